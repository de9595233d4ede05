/** Traces to judge: of random hostile worlds (random-cluster.ts), and the judgement of one. */
import { Reference, type TraceRecord } from "../../../src/sim/reference/index.js";
import { RandomCluster } from "../../core/random-cluster.js";

export type Trace = readonly TraceRecord[];

/** What a random world did; with `membership`, one whose members change; with `damages`, one whose disks lose entries. */
export function randomTrace(
  seed: number,
  steps: number,
  kind: "shortTurns" | "longTurns",
  { membership = false, damages = false }: { readonly membership?: boolean; readonly damages?: boolean } = {},
): TraceRecord[] {
  const records: TraceRecord[] = [];
  const options = {
    longTurns: kind === "longTurns",
    forwards: true,
    partitions: seed % 3 !== 0,
    mostlyUp: seed % 4 !== 0,
    membership,
    damages,
  };
  new RandomCluster(seed, { ...options, record: (record) => records.push(record) }).run(steps);
  return records;
}

export interface Verdict {
  /** Null: accepted to the end. */
  readonly refusal: string | null;
  /** Which record was refused. */
  readonly place: number;
}

export function judge(trace: Trace): Verdict {
  const reference = new Reference();
  for (const [place, record] of trace.entries()) {
    const refusal = reference.accept(record);
    if (refusal !== null) return { refusal, place };
  }
  return { refusal: null, place: trace.length };
}

/** The records around a place, for people. */
export function around(trace: Trace, place: number): string {
  return trace
    .slice(Math.max(0, place - 20), place + 3)
    .map((record) => JSON.stringify(record))
    .join("\n");
}
