/**
 * Invariants as code. Each stands at the line it guards, under the name by which docs/invariants.md knows it. A broken one
 * is proof that something impossible happened (a bug, a lying disk, two clusters mixed): the core then stops at once, so
 * that the damage stays on one node (design law 3).
 */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
  readonly invariant: string;
  readonly detail: string;
  constructor(broken: string, detail: string) {
    super(`${broken}: ${detail}`);
    this.invariant = broken;
    this.detail = detail;
  }
}

/** Caught at the edge of the core (raft.ts), never by anything within. `detail` may be a function, called only on failure. */
export function invariant(holds: boolean, name: string, detail: string | (() => string)): asserts holds {
  if (!holds) throw new InvariantViolation(name, typeof detail === "string" ? detail : detail());
}
