/**
 * What the core asks of whoever drives it. Effects are data, taken with `take()` once after a burst of inputs.
 *
 * The one ordering rule (law 2 of the design): persist the batches in the order given, and call `persisted(ticket)` once a
 * batch is durable. Whatever depends on durability is held inside the core until then, so a driver cannot send it early.
 */
import type { Configuration } from "./configuration.js";
import type { RaftEvent } from "./event.js";
import type { ChangeResponse, Message, ProposeResponse } from "./message.js";
import type { Entry, HardState, Index, LogPosition, MemberId, Micros } from "./types.js";

/** One unit of durable writing. Batches complete in the order of their tickets, each wholly or not at all. */
export interface PersistBatch {
  /** Rises by one with each batch. */
  readonly ticket: number;
  /** The whole hard state, always present; `hardStateChanged` says that term or vote differ from the last batch. */
  readonly hardState: HardState;
  readonly hardStateChanged: boolean;
  /**
   * When present the log begins anew after this position (a snapshot was installed): every entry at or below it goes,
   * and with `keepSuffix` false every entry above it as well. Applied before `entries`.
   */
  readonly logStart: { readonly position: LogPosition; readonly keepSuffix: boolean } | null;
  /** Contiguous. An entry at an index that exists replaces it and removes all above (WAL8). May be empty. */
  readonly entries: readonly Entry[];
}

/** A message and where it goes. */
export interface Envelope {
  readonly to: MemberId;
  readonly message: Message;
}

/** A read that may be answered from any state at or after `index`. */
export interface ReadReady {
  readonly id: number;
  readonly index: Index;
}

/** What a snapshot stands for. */
export interface SnapshotMetadata {
  readonly lastIncludedIndex: Index;
  readonly lastIncludedTerm: LogPosition["term"];
  /** The configuration in force at lastIncludedIndex, and the index of the entry that made it (0: the founding one). */
  readonly configuration: Configuration;
  readonly configurationIndex: Index;
}

/** The core wants bytes of its newest snapshot; answer with `snapshotChunkRead`. */
export interface SnapshotReadRequest {
  readonly to: MemberId;
  readonly lastIncludedIndex: Index;
  readonly lastIncludedTerm: LogPosition["term"];
  readonly offset: number;
  readonly maxBytes: number;
}

/** Bytes of a snapshot that is being received; answer with `snapshotChunkWritten`, `snapshotInstalled` or `snapshotRejected`. */
export interface SnapshotWriteRequest {
  readonly lastIncludedIndex: Index;
  readonly lastIncludedTerm: LogPosition["term"];
  readonly offset: number;
  readonly data: Uint8Array;
  readonly done: boolean;
}

export interface Output {
  /** Null when nothing needs to be durable. */
  readonly persist: PersistBatch | null;
  readonly messages: readonly Envelope[];
  /** Committed and durable here; to be applied in order. Empty when there is none. Report with `applied(index)`. */
  readonly committed: readonly Entry[];
  readonly readsReady: readonly ReadReady[];
  /** Reads that can't be confirmed any more (the term ended): nothing was read, ask again. */
  readonly readsFailed: readonly number[];
  /** Answers to commands that were handed to the leader with `forward`. */
  readonly proposeResponses: readonly ProposeResponse[];
  /** Answers to changes that were handed to the leader with `forwardChange`. */
  readonly changeResponses: readonly ChangeResponse[];
  readonly snapshotReads: readonly SnapshotReadRequest[];
  readonly snapshotWrites: readonly SnapshotWriteRequest[];
  readonly events: readonly RaftEvent[];
  /** When `advance` wants to be called next, or null. */
  readonly deadline: Micros | null;
}
