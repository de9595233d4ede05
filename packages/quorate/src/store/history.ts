/**
 * The history of one key: a chain of records from the newest to the oldest that compaction left. The index holds the newest.
 *
 * Finding the version at an old revision must not take a step for each newer one, so a record also has a jump to an older
 * one. The jumps are those of a skew-binary list (Myers, "An applicative random-access stack", 1983): where a record jumps to
 * follows from its depth alone, appending needs only the record before, nothing older is ever changed, and a search takes
 * about 2 log n steps. Compaction cuts the chain's old end off without touching what stays: a link to a record that is gone
 * leads below the compacted revision, where nobody may read.
 */
import { NO_RECORD, type RecordCursor, type RecordHead, type RecordLog } from "./records.js";

const DEPTH_LIMIT = 0xffff_ffff;

/**
 * How the index holds a newest record: its reference, and for a tombstone that reference below zero, so that scans tell
 * what exists without looking at the records.
 */
export function indexEntry(reference: number, tombstone: boolean): number {
  return tombstone ? -reference - 1 : reference;
}

export function entryReference(entry: number): number {
  return entry < 0 ? -entry - 1 : entry;
}

export function isTombstoneEntry(entry: number): boolean {
  return entry < 0;
}

/**
 * Fills in `previous`, `depth` and `jump` of the record that will follow `newest` (NO_RECORD: it will be the first), and
 * marks `newest` as superseded by it.
 */
export function linkAfter(log: RecordLog, newest: number, head: RecordHead, cursor: RecordCursor): void {
  head.previous = NO_RECORD;
  head.jump = NO_RECORD;
  head.depth = 1;
  if (!log.find(newest, cursor)) return;
  cursor.supersededAt = head.modRevision;
  head.previous = newest;
  head.jump = newest;
  head.depth = cursor.depth === DEPTH_LIMIT ? 1 : cursor.depth + 1;
  if (jumpsOverOne(head.depth)) return;
  head.jump = log.find(cursor.jump, cursor) ? cursor.jump : NO_RECORD;
}

/**
 * A depth is a sum of weights 2^k - 1, the largest first, of which only the smallest may come twice; a record jumps over as
 * many records as its smallest weight says. Tells whether that is one; otherwise it jumps where the jump of the record
 * before it jumps to.
 */
function jumpsOverOne(depth: number): boolean {
  let rest = depth;
  let weight = 1;
  while (weight * 2 + 1 <= rest) weight = weight * 2 + 1;
  for (;;) {
    rest -= weight;
    if (rest === 0) return weight === 1;
    while (weight > rest) weight = (weight - 1) / 2;
  }
}

/**
 * Stands the cursor on the newest record at or below `revision` of the chain that begins at `newest`, and returns its
 * reference; NO_RECORD when there is none that compaction left. `probe` is moved about meanwhile.
 */
export function findAt(log: RecordLog, newest: number, revision: number, cursor: RecordCursor, probe: RecordCursor): number {
  let reference = newest;
  for (;;) {
    if (!log.find(reference, cursor)) return NO_RECORD;
    if (cursor.modRevision <= revision) return reference;
    const { jump } = cursor;
    reference = log.find(jump, probe) && probe.modRevision > revision ? jump : cursor.previous;
  }
}
