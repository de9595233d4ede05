/**
 * Reading the log after a start, whatever the last life left behind.
 *
 * The segments are replayed in order into the log of each group. What can't be read is judged by one question: was it
 * synced? Only one batch is ever unsynced, the last one. So if anything valid follows the bad record, or a later segment
 * begins behind it, the disk has lost something it had promised: that is damage, and this node refuses to go on with a
 * log that has a hole. If nothing follows, the batch may be one that was never finished: it is cut when the disk visibly
 * never got all of it (a sector of zeros, or zeros to the end), and otherwise doubtful, which is treated like damage, because
 * somebody may have been told that it is durable (storage rules WAL6, WAL6b and WAL8; CTRL, FAST'18).
 */
import type { Entry, HardState, Index, LogPosition, Term } from "../../core/types.js";
import { type BadRecord, type BatchStep, type ReadBatch, readBatch } from "./batch.js";
import { aligned, isZero, readHeader, SECTOR_BYTES } from "./record.js";
import { EMPTY_BOUNDS, foreignOwner, type GroupBounds, type Owner, type SegmentHeader } from "./segment.js";

/** The log can't be trusted. The message says where, what, and what to do. */
export class LogDamage extends Error {
  override readonly name = "LogDamage";
  constructor(where: string, what: string) {
    super(
      `${where} is damaged: ${what}. A member must not take part with a log that has a hole, so it is not opened and nothing was changed. Remove this member from the cluster, keep this directory aside, and add the member again with an empty one`,
    );
  }
}

/** One group's log while it is replayed. Entries before `entries` may be missing: those are at or below a later start. */
export interface ReplayedGroup {
  hardState: HardState;
  start: LogPosition;
  /** Index of `entries[0]`. */
  first: Index;
  entries: Entry[];
  last: LogPosition;
}

/** A batch that may be in the page cache only: it lies behind the newest mark of what was synced. */
export interface UnsyncedBatch {
  readonly hardStates: ReadonlyMap<number, HardState>;
  readonly steps: readonly BatchStep[];
}

export interface SegmentFound {
  readonly id: number;
  readonly path: string;
  readonly header: SegmentHeader;
  /** Highest index of an entry in it, by group. */
  readonly highest: Map<number, Index>;
}

export interface Replay {
  readonly groups: Map<number, ReplayedGroup>;
  readonly segments: readonly SegmentFound[];
  /** The mark: everything up to here was synced. What follows it is in `unsynced`. */
  readonly durableThrough: number;
  /** The chain's checksum at the mark. */
  readonly checksum: number;
  /** The groups as they were at the mark. */
  readonly boundsAtMark: ReadonlyMap<number, GroupBounds>;
  readonly unsynced: readonly UnsyncedBatch[];
  /** A batch that was never finished was found and left out. */
  readonly torn: boolean;
}

/** A segment whose header was read; its bytes are asked for one segment at a time. */
export interface SegmentToRead {
  readonly path: string;
  readonly header: SegmentHeader;
  readonly headerLength: number;
}

export class LogReplay {
  readonly #owner: Owner;
  readonly #groups = new Map<number, ReplayedGroup>();
  readonly #found: SegmentFound[] = [];
  readonly #unsynced: UnsyncedBatch[] = [];
  #sequence = 1;
  #checksum = 0;
  /** The highest record that anything read so far says was synced; it may be one that is still to come. */
  #durable = 0;
  /** The end of the last batch that was read and is known to be synced. */
  #mark = 0;
  #checksumAtMark = 0;
  #boundsAtMark: Map<number, GroupBounds> = new Map();
  #torn = false;

  constructor(owner: Owner) {
    this.#owner = owner;
  }

  /** Takes the next segment, in the order of ids. `next` is the header of the one after it, null for the last. */
  add(segment: SegmentToRead, bytes: Uint8Array, next: SegmentHeader | null): void {
    const { header, path } = segment;
    const foreign = foreignOwner(this.#owner, header);
    if (foreign !== null) throw new Error(`${path} ${foreign}. Nothing was changed; check which directory belongs to which node`);
    // It had its full size before it got its name, so this is no write that was cut short.
    if (bytes.length < header.size)
      throw new LogDamage(path, `it has ${bytes.length} bytes and was made with ${header.size}: its end is gone`);
    this.#begin(segment);
    const found: SegmentFound = { id: header.id, path, header, highest: new Map() };
    this.#found.push(found);
    const end = next?.firstSequence ?? Number.MAX_SAFE_INTEGER;
    let position = segment.headerLength;
    while (this.#sequence < end && position < bytes.length) {
      const reading = readBatch(bytes, position, { segment: header.id, sequence: this.#sequence, prevChecksum: this.#checksum });
      if (!reading.ok) {
        this.#judge(segment, bytes, position, reading.bad, next);
        break;
      }
      if (reading.batch.nextSequence > end)
        throw new LogDamage(path, `a batch at byte ${position} reaches into the next segment`);
      this.#take(reading.batch, found, path);
      position = aligned(position + reading.batch.length, SECTOR_BYTES);
    }
    if (next !== null && this.#sequence !== end)
      throw new LogDamage(path, `it ends with record ${this.#sequence - 1}, the next segment begins with ${end}`);
    if (next !== null && this.#checksum !== next.prevChecksum) throw new LogDamage(path, "the next segment does not follow it");
  }

  /** The first segment sets the scene; a later one is held to what was found so far. */
  #begin({ header, path }: SegmentToRead): void {
    if (this.#found.length === 0) {
      this.#sequence = header.firstSequence;
      this.#checksum = header.prevChecksum;
      this.#setMark(header.firstSequence - 1, header.prevChecksum);
      for (const [group, { hardState, start, last }] of header.groups)
        this.#groups.set(group, { hardState, start, first: last.index + 1, entries: [], last });
      this.#boundsAtMark = new Map(header.groups);
    }
    for (const [group, bounds] of header.groups) {
      const replayed = this.#group(group);
      if (
        bounds.last.index !== replayed.last.index ||
        bounds.last.term !== replayed.last.term ||
        bounds.hardState.currentTerm < replayed.hardState.currentTerm
      ) {
        throw new LogDamage(
          path,
          `it begins after entry ${bounds.last.index} of term ${bounds.last.term}, but the log before it ends with ${replayed.last.index} of term ${replayed.last.term}`,
        );
      }
      replayed.hardState = bounds.hardState;
      if (bounds.start.index > replayed.start.index) replayed.start = bounds.start;
    }
    // Its name was given after all of it was synced.
    this.#considerMark(header.durableThrough);
  }

  #group(group: number): ReplayedGroup {
    const known = this.#groups.get(group);
    if (known !== undefined) return known;
    const { hardState, start, last } = EMPTY_BOUNDS;
    const fresh = { hardState, start, first: 1, entries: [], last };
    this.#groups.set(group, fresh);
    return fresh;
  }

  #take(batch: ReadBatch, found: SegmentFound, path: string): void {
    this.#considerMark(batch.durableThrough);
    for (const step of batch.steps) {
      const replayed = this.#group(step.group);
      if (step.kind === "logStart") restartLog(replayed, step.position, step.keepSuffix);
      else {
        appendEntry(replayed, step.entry, path);
        found.highest.set(step.group, Math.max(found.highest.get(step.group) ?? 0, step.entry.index));
      }
    }
    for (const [group, hardState] of batch.hardStates) {
      const replayed = this.#group(group);
      if (hardState.currentTerm < replayed.hardState.currentTerm)
        throw new LogDamage(path, `the term goes back from ${replayed.hardState.currentTerm} to ${hardState.currentTerm}`);
      if (replayed.last.term > hardState.currentTerm)
        throw new LogDamage(path, `an entry of term ${replayed.last.term} stands in a log of term ${hardState.currentTerm}`);
      replayed.hardState = hardState;
    }
    this.#unsynced.push({ hardStates: batch.hardStates, steps: batch.steps });
    this.#sequence = batch.nextSequence;
    this.#checksum = batch.checksum;
    this.#considerMark(0);
  }

  #setMark(sequence: number, checksum: number): void {
    this.#mark = sequence;
    this.#checksumAtMark = checksum;
  }

  /** A record says that everything up to here was synced: what was read so far, or also what is still to come. */
  #considerMark(durableThrough: number): void {
    this.#durable = Math.max(this.#durable, durableThrough);
    const read = this.#sequence - 1;
    if (read <= this.#mark || this.#durable < read) return;
    this.#setMark(read, this.#checksum);
    this.#boundsAtMark = new Map(
      [...this.#groups].map(([group, { hardState, start, last }]) => [group, { hardState, start, last }]),
    );
    this.#unsynced.length = 0;
  }

  /** Torn, and left behind; or damage, and thrown. */
  #judge({ path, header }: SegmentToRead, bytes: Uint8Array, position: number, bad: BadRecord, next: SegmentHeader | null): void {
    const where = `${path} at byte ${bad.at}`;
    if (next !== null) throw new LogDamage(where, `${bad.what}, and a later segment follows`);
    if (this.#sequence <= this.#durable) throw new LogDamage(where, `${bad.what}, and it is recorded that it was synced`);
    if (isZero(bytes, position, bytes.length)) return;
    if (this.#validRecordAfter(bytes, position, header.id))
      throw new LogDamage(where, `${bad.what}, and later records are whole`);
    if (!looksUnwritten(bytes, bad)) throw new LogDamage(where, `${bad.what}, and nothing shows that the write was cut short`);
    this.#torn = true;
  }

  /** A whole record of a batch after the one that begins at `position`: then that one was synced. */
  #validRecordAfter(bytes: Uint8Array, position: number, segment: number): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = position; at + 64 <= bytes.length; at += 8) {
      const header = readHeader(bytes, view, at);
      if (header !== null && header.segment === segment && header.sequence - header.place > this.#sequence) return true;
    }
    return false;
  }

  finish(): Replay {
    for (const [group, replayed] of this.#groups) finishGroup(group, replayed);
    return {
      groups: this.#groups,
      segments: this.#found,
      durableThrough: this.#mark,
      checksum: this.#checksumAtMark,
      boundsAtMark: this.#boundsAtMark,
      unsynced: this.#unsynced,
      torn: this.#torn,
    };
  }
}

/**
 * Whether the disk never got all of a record: from some byte of it on there are only zeros, or a sector under it holds
 * nothing but zeros. A record that the writer finished has no such sector (record.ts, the mask).
 */
function looksUnwritten(bytes: Uint8Array, bad: BadRecord): boolean {
  if (isZero(bytes, Math.max(bad.at, bad.end - 1), bytes.length)) return true;
  for (let sector = Math.floor(bad.at / SECTOR_BYTES) * SECTOR_BYTES; sector < bad.end; sector += SECTOR_BYTES) {
    if (isZero(bytes, sector, Math.min(bytes.length, sector + SECTOR_BYTES))) return true;
  }
  return false;
}

function restartLog(group: ReplayedGroup, position: LogPosition, keepSuffix: boolean): void {
  group.start = position;
  if (keepSuffix && group.last.index >= position.index) {
    if (position.index >= group.first) group.entries.splice(0, position.index - group.first + 1);
    group.first = Math.max(group.first, position.index + 1);
    if (group.last.index === position.index) group.last = position;
    return;
  }
  group.entries = [];
  group.first = position.index + 1;
  group.last = position;
}

/** WAL8: an entry replaces what stands at its index and removes all above. */
function appendEntry(group: ReplayedGroup, entry: Entry, path: string): void {
  const { index } = entry;
  if (index <= group.start.index || index > group.last.index + 1) {
    throw new LogDamage(path, `entry ${index} stands where the log goes from ${group.start.index + 1} to ${group.last.index}`);
  }
  if (index < group.first) {
    group.entries = [];
    group.first = index;
  } else if (index <= group.last.index) {
    group.entries.length = index - group.first;
  }
  const before: Term = termBefore(group, index);
  if (entry.term < before) throw new LogDamage(path, `entry ${index} has term ${entry.term}, the one before it ${before}`);
  group.entries.push(entry);
  group.last = { index, term: entry.term };
}

/** The term of the entry before `index`, 0 when it is not known here. */
function termBefore(group: ReplayedGroup, index: Index): Term {
  if (index - 1 === group.start.index) return group.start.term;
  return group.entries[index - 1 - group.first]?.term ?? 0;
}

/** Everything above the start must be there. */
function finishGroup(group: number, replayed: ReplayedGroup): void {
  const { start } = replayed;
  if (replayed.first <= start.index) {
    replayed.entries.splice(0, start.index - replayed.first + 1);
    replayed.first = start.index + 1;
  }
  if (replayed.last.index < start.index) {
    replayed.entries = [];
    replayed.first = start.index + 1;
    replayed.last = start;
  }
  if (replayed.first !== start.index + 1 || replayed.last.index !== start.index + replayed.entries.length) {
    throw new LogDamage(
      "the log",
      `group ${group} needs entries from ${start.index + 1} on, and has them only from ${replayed.first} to ${replayed.last.index}`,
    );
  }
}
