/**
 * What is wrong with a data directory, in four degrees (storage rules WAL6, WAL6b and section 4).
 *
 * - `note`: nothing is wrong; a person may want to know.
 * - `torn`: a write that was never finished. Nobody was told of it; a start leaves it out.
 * - `doubtful`: the last write can't be read, and nothing shows that it was cut short. Somebody may have been told of it.
 * - `damage`: something is lost that was promised.
 */
export type Degree = "note" | "torn" | "doubtful" | "damage";

export interface Finding {
  readonly degree: Degree;
  /** The file, and the byte where that is known. */
  readonly place: string;
  readonly what: string;
  /** Entries that can't be read because of it, as far as their names are known. */
  readonly lost?: readonly { readonly index: number; readonly term: number }[];
}

const DEGREES: readonly Degree[] = ["note", "torn", "doubtful", "damage"];

/** The worst of them; `note` when there are none. */
export function worstOf(findings: readonly Finding[]): Degree {
  return DEGREES[Math.max(0, ...findings.map(({ degree }) => DEGREES.indexOf(degree)))] ?? "note";
}

/** What was asked for can't be done with what is there. The message says why, and what else to do. Nothing was changed. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}
