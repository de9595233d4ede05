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

/** Up to where the log may go, once everything up to `durableIndex` is durable without it. */
export function compactionPoint(raft: Raft, durableIndex: Index, { trailingEntries, maxTrailingBytes }: TrailingLimits): Index {
  const least = Math.max(raft.logStart.index, durableIndex - trailingEntries);
  let bytes = 0;
  let index = durableIndex;
  for (; index > least; index -= 1) {
    bytes += raft.entryAt(index)?.data.length ?? 0;
    if (bytes > maxTrailingBytes) break;
  }
  return index;
}
