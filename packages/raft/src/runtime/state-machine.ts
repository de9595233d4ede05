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

/** Something that the node keeps beside a durable machine's data. Null: there is no such record any more. */
export interface KeptRecord {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/**
 * What a machine offers that keeps itself on disk (docs/on-disk-state-machines.md). The node then does not rebuild it at a start:
 * what the newest transaction holds is applied, and only the log after it is. In return the machine stores a few records of the
 * node's, without reading them, in the same transactions as its data.
 */
export interface DurableStorage {
  /** Opens it. Gives all records as the newest whole transaction left them; none when it is new. Called once, before anything else. */
  open(): Iterable<KeptRecord>;
  /**
   * Calls `body` once, in which the node calls `apply`, or `restore` for the last piece. What that changes and the records that
   * `body` returns are in force together or not at all, whatever happens; they need not be durable yet. Throws if they can't be.
   */
  transaction(body: () => readonly KeptRecord[]): void;
  /** Calls back once every transaction before this call survives a loss of power: at once or later. The log is kept until then. */
  sync(done: (error: Error | null) => void): void;
  /**
   * Pieces of another state will come through `restore`: they are put aside, in the place of what an earlier restore that never
   * ended has left. The present state stays in force, and may go on changing, until the last piece comes, in a transaction.
   */
  beginRestore(): void;
  /** The node closes or has failed. */
  close(): void;
}

/** A state machine. One without `durable` lives in memory; the log and the snapshots make it durable. */
export interface StateMachine {
  /** For a machine that keeps itself on disk. */
  readonly durable?: DurableStorage;
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
   * Called on a fresh instance (a durable machine: after `beginRestore`) with exactly the pieces that `snapshot` gave, in order; `last` with the last one (a
   * snapshot without pieces is restored by one call with an empty piece). Throws when they are not a valid state.
   */
  restore(piece: Uint8Array, last: boolean): void;
}
