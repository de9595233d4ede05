/**
 * The log as the driver sees it: a view of the write-ahead log for one group. The log itself is shared by all groups of
 * a process (one file, one sync), which is why every record names its group.
 */
import type { PersistBatch } from "../core/output.js";
import type { Entry, HardState, LogItem, LogPosition, Micros } from "../core/types.js";
import type { DiskError } from "./ports.js";

/** What a group finds after a start. */
export interface RecoveredGroup {
  readonly hardState: HardState;
  /** The position before the first entry: entries begin at `start.index + 1`. Its term is known. */
  readonly start: LogPosition;
  readonly entries: readonly Entry[];
  /** Present when this member may have acknowledged more than `entries`: it must be repaired before it votes. */
  readonly recovering?: RecoveringLog;
}

/** What is known of the part of a log that was lost (docs/corruption-repair.md). */
export interface RecoveringLog {
  /** What followed `entries`, first an entry that is lost, then lost and whole ones to the end. Null: not known. */
  readonly remaining: readonly LogItem[] | null;
}

export interface GroupLog {
  /** Queues a batch; batches that wait are written and synced together. Completion is reported by `onDurable`. */
  append(batch: PersistBatch): void;
  /** Entries at or below `position` are no longer needed (a durable snapshot covers them). Frees whole segments, later. */
  release(position: LogPosition): void;
  /** Since when the oldest batch that is not durable yet has been waiting; null when there is none. */
  readonly oldestUnfinishedSince: Micros | null;
}

/** Reports of the log to a group's driver. May come before `append` returns. */
export interface GroupLogHandler {
  /** Every batch up to and including this ticket is durable. */
  onDurable(ticket: number): void;
  /**
   * The log can't go on. `fatal`: a sync failed or a write could not be undone; the node must fail (WAL12). Not fatal: no
   * space (WAL13); nothing of the batch is in the log, and it is tried again when space returns: `onDurable` comes then.
   */
  onError(error: DiskError, fatal: boolean): void;
}
