/**
 * The state machine: what a user replicates (Raft section 2). Every node applies the same commands in the same order to
 * its own instance, so `apply` must be deterministic: no clock, no random numbers, no input but the entries.
 */
import type { Index, Term } from "../core/types.js";

/** A committed command. No-ops and configurations are not shown, so indexes rise but not always by one. */
export interface CommittedEntry {
  readonly index: Index;
  readonly term: Term;
  readonly data: Uint8Array;
}

/** A state machine that lives in memory; the log and the snapshots make it durable. */
export interface StateMachine {
  /**
   * Applies committed commands in order. Returns one result for each (undefined is an empty result); it is given to the
   * caller of `propose` on this node. A command that makes no sense is answered with a result that says so; a throw
   * fails the node, because on equal input every node would throw.
   */
  apply(entries: readonly CommittedEntry[]): readonly (Uint8Array | undefined)[];
  /**
   * Freezes the state as it is now, before the call returns, and gives it out in pieces, pulled one a turn while
   * `apply` goes on. A piece is at most 1 MiB. Small states: `return [bytes]`.
   */
  snapshot(): Iterable<Uint8Array>;
  /**
   * Called on a fresh instance with exactly the pieces that `snapshot` gave, in order; `last` with the last one (a
   * snapshot without pieces is restored by one call with an empty piece). Throws when they are not a valid state.
   */
  restore(piece: Uint8Array, last: boolean): void;
}
