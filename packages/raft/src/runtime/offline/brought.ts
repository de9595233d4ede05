/** What a directory has to give to a new one: its newest whole snapshot, and the entries after it up to some index. */
import type { Entry, Index, LogPosition, Term } from "../../core/types.js";
import type { Disk, Random } from "../ports.js";
import type { Owner } from "../storage/segment.js";
import { eachChunk } from "../storage/snapshot-store.js";
import { Refusal } from "./finding.js";
import type { BroughtState } from "./fresh-directory.js";
import type { ScannedDirectory } from "./scan-directory.js";
import type { FoundSnapshot } from "./scan-snapshots.js";

/** The cluster that begins with one member. */
export interface NewCluster {
  /** Of its only member. */
  readonly name: string;
  /** host:port on which peers will reach it. */
  readonly address: string;
  /** Mixed into the cluster's id, so that it is another one than the old cluster's. */
  readonly token: string;
}

export interface NewClusterMade extends Owner {
  /** Of the entry that makes the new member the only one; everything up to it is committed. */
  readonly end: LogPosition;
}

export function newIncarnation(random: Random): bigint {
  return (BigInt(random.nextUint32()) << 32n) | BigInt(random.nextUint32());
}

export function newestWhole(found: ScannedDirectory): FoundSnapshot | null {
  return found.snapshots.find(({ metadata }) => metadata !== null) ?? null;
}

/**
 * The first index above the snapshot that can't be read, or whose content is lost, up to the end of the log and also beyond it,
 * where the last batch can't be read. Null: all of it can.
 */
export function firstUnreadable(found: ScannedDirectory): Index | null {
  const base = baseOf(found);
  let index = base.index + 1;
  if (base.index < found.start.index) return index;
  if (!logFollows(found, base)) return found.endIsLost ? index : null;
  for (const entry of found.entries) {
    if (entry.index < index) continue;
    if (entry.index !== index || entry.type === null) return index;
    index += 1;
  }
  return index <= endOf(found) || found.endIsLost ? index : null;
}

/** Where the entries that can be brought begin: after the newest whole snapshot. */
function baseOf(found: ScannedDirectory): LogPosition {
  const snapshot = newestWhole(found);
  return snapshot === null ? { index: 0, term: 0 } : { index: snapshot.lastIncludedIndex, term: snapshot.lastIncludedTerm };
}

/** Where the entries that go on after the newest whole snapshot end. A log that does not agree with it was to begin anew (WAL11). */
export function endOf(found: ScannedDirectory): Index {
  const base = baseOf(found);
  return logFollows(found, base) ? Math.max(base.index, found.last.index) : base.index;
}

function logFollows({ start, entries }: ScannedDirectory, base: LogPosition): boolean {
  if (base.index === 0) return start.index === 0;
  const term = start.index === base.index ? start.term : entries.find(({ index }) => index === base.index)?.term;
  return term === base.term;
}

/** Throws a Refusal where something of it can't be read. `found` was scanned with the content of all entries. */
export function stateOf(disk: Disk, found: ScannedDirectory, upTo: Index): BroughtState {
  const base = baseOf(found);
  const snapshot = newestWhole(found);
  const entries: Entry[] = [];
  let last = base;
  const follows = logFollows(found, base);
  for (const { index, term, type, data } of follows ? found.entries : []) {
    if (index <= base.index || index > upTo) continue;
    if (index !== last.index + 1 || type === null || data === null) break;
    entries.push({ index, term, type, data });
    last = { index, term };
  }
  const wanted = follows || base.index === 0 ? upTo : base.index;
  if (last.index < wanted)
    throw new Refusal(
      `${found.location}: entry ${last.index + 1} can't be read, of ${wanted} that are wanted: see quorate log verify, and docs/disaster.md for what can be done`,
    );
  let term: Term = Math.max(found.hardState.currentTerm, base.term, last.term);
  for (const entry of found.entries) term = Math.max(term, entry.term);
  return {
    snapshot: snapshot === null ? null : { position: base, body: (each) => eachChunk(disk, snapshot.path, each) },
    entries,
    last,
    term,
  };
}
