/**
 * How much of the log is kept behind a snapshot, for followers that are a little late. The window is bounded in entries and in
 * bytes, and nobody makes it larger: a follower that is further behind, however long it was dead, gets a snapshot.
 */
import type { Raft } from "../core/raft.js";
import type { Index } from "../core/types.js";

export interface TrailingLimits {
  readonly trailingEntries: number;
  readonly maxTrailingBytes: number;
}

/** Up to where the log may go, once everything up to the core's snapshot is durable without it. */
export function compactionPoint(raft: Raft, { trailingEntries, maxTrailingBytes }: TrailingLimits): Index {
  const { lastIncludedIndex } = raft.snapshot;
  const least = Math.max(raft.logStart.index, lastIncludedIndex - trailingEntries);
  let bytes = 0;
  let index = lastIncludedIndex;
  for (; index > least; index -= 1) {
    bytes += raft.entryAt(index)?.data.length ?? 0;
    if (bytes > maxTrailingBytes) break;
  }
  return index;
}
