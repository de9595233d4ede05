/**
 * Reading the log after a start, whatever the last life left behind.
 *
 * The segments are replayed in order into the log of each group. What can't be read is judged by one question: was it
 * synced? Only one batch is ever unsynced, the last one. So if anything valid follows the bad record, or a later segment
 * begins behind it, the disk has lost something it had promised: that is damage. If nothing follows, the batch may be one that
 * was never finished: it is cut when the disk visibly never got all of it (a sector of zeros, or zeros to the end), and
 * otherwise doubtful, which is treated like damage, because somebody may have been told that it is durable (storage rules WAL6,
 * WAL6b and WAL8; CTRL, FAST'18).
 *
 * Of damage, what can be read is given back (docs/corruption-repair.md). Most often that is everything but the content of some
 * entries, whose names are known (salvage.ts): the replay goes on with `lost` in their place, as exact as before. Where not even
 * that is known, the groups' logs are *broken*: nothing above their start is given back, and the replay goes on at the next place
 * that can be read, for the sake of the hard state. The newest vote and term must be found in any case; if a batch that may
 * have held them is gone, the log is refused (WAL15, WAL20).
 */
import type { HardState, Index, LogItem, LogPosition, Term } from "../../core/types.js";
import { type BadRecord, type BatchStep, type ReadBatch, readBatch } from "./batch.js";
import { aligned, isZero, RecordType, readHeader, SECTOR_BYTES } from "./record.js";
import { salvageBatch } from "./salvage.js";
import { EMPTY_BOUNDS, foreignOwner, type GroupBounds, type Owner, type SegmentHeader } from "./segment.js";

/** The log can't be trusted. The message says where, what, and what to do. */
export class LogDamage extends Error {
  override readonly name = "LogDamage";
  constructor(where: string, what: string) {
    super(
      `${where} is damaged: ${what}. A member must not take part when it can't know how it voted or what it promised, so the log is not opened and nothing was changed. Remove this member from the cluster, keep this directory aside, and add the member again with an empty one`,
    );
  }
}

/** One group's log while it is replayed. Entries before `entries` may be missing: those are at or below a later start. */
export interface ReplayedGroup {
  hardState: HardState;
  start: LogPosition;
  /** Index of `entries[0]`. */
  first: Index;
  entries: LogItem[];
  last: LogPosition;
  /** What stands above the start is not known: it was acknowledged, perhaps, and is lost. */
  broken: boolean;
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
  readonly segments: readonly Omit<SegmentFound, "header">[];
  /** The mark: everything up to here was synced. What follows it is in `unsynced`. */
  readonly durableThrough: number;
  /** The chain's checksum at the mark. */
  readonly checksum: number;
  /** The groups as they were at the mark. */
  readonly boundsAtMark: ReadonlyMap<number, GroupBounds>;
  readonly unsynced: readonly UnsyncedBatch[];
  /** A batch that was never finished was found and left out. */
  readonly torn: boolean;
  /** What is damaged, in words. If anything is, the segments must not be read again: the log is begun anew from what was found. */
  readonly damage: readonly string[];
  /** The record after the last one, whatever the mark. */
  readonly nextSequence: number;
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
  /** Null: the last record can't be read. */
  #checksum: number | null = 0;
  /** The highest record that anything read so far says was synced; it may be one that is still to come. */
  #durable = 0;
  /** The end of the last batch that was read and is known to be synced. */
  #mark = 0;
  #checksumAtMark: number | null = 0;
  #boundsAtMark: Map<number, GroupBounds> = new Map();
  #torn = false;
  readonly #damage: string[] = [];
  /** Nothing is known of the groups' logs until a header tells where they stand. */
  #lost = false;
  readonly #manyGroups: boolean;
  /** Groups whose newest hard state may be in what was lost, unless a later one is found. */
  readonly #unseen = new Set<number>();

  /**
   * `damage`: what is known to be missing before the first segment. `manyGroups`: a group may have been begun, and have voted, in a
   * batch of which nothing is left; only a later header, which names all groups, says that none has.
   */
  constructor(owner: Owner, damage: readonly string[] = [], manyGroups = false) {
    this.#manyGroups = manyGroups;
    this.#owner = owner;
    this.#damage.push(...damage);
  }

  /** Takes the next segment, in the order of ids. `next` is the header of the one after it, null for the last. */
  add(segment: SegmentToRead, bytes: Uint8Array, next: SegmentHeader | null): void {
    const { header, path } = segment;
    const foreign = foreignOwner(this.#owner, header);
    if (foreign !== null) throw new Error(`${path} ${foreign}. Nothing was changed; check which directory belongs to which node`);
    // It had its full size before it got its name, so this is no write that was cut short.
    const isShort = bytes.length < header.size;
    const short = `it has ${bytes.length} bytes and was made with ${header.size}: its end is gone`;
    if (isShort && next === null) throw new LogDamage(path, short);
    if (isShort) this.#damage.push(`${path}: ${short}`);
    this.#begin(segment);
    const found: SegmentFound = { id: header.id, path, header, highest: new Map() };
    this.#found.push(found);
    const end = next?.firstSequence ?? Number.MAX_SAFE_INTEGER;
    let position = segment.headerLength;
    while (this.#sequence < end && position < bytes.length) {
      const reading = readBatch(bytes, position, { segment: header.id, sequence: this.#sequence, prevChecksum: this.#checksum });
      if (!reading.ok) {
        const goesOn = this.#judge(segment, bytes, position, reading.bad, found, next);
        if (goesOn === null) break;
        position = goesOn;
        continue;
      }
      if (reading.batch.nextSequence > end)
        throw new LogDamage(path, `a batch at byte ${position} reaches into the next segment`);
      this.#take(reading.batch, found, path);
      position = aligned(position + reading.batch.length, SECTOR_BYTES);
    }
    if (next === null) return;
    if (this.#sequence < end) this.#lose(`${path} ends with record ${this.#sequence - 1}, the next segment begins with ${end}`);
    else if (this.#checksum !== null && this.#checksum !== next.prevChecksum)
      throw new LogDamage(path, "the next segment does not follow it");
    this.#sequence = next.firstSequence;
    this.#checksum = next.prevChecksum;
  }

  /** The first segment sets the scene; a later one is held to what was found so far. */
  #begin({ header, path }: SegmentToRead): void {
    const isFirst = this.#found.length === 0;
    if (isFirst) {
      this.#sequence = header.firstSequence;
      this.#checksum = header.prevChecksum;
      this.#setMark(header.firstSequence - 1, header.prevChecksum);
      this.#boundsAtMark = new Map(header.groups);
    }
    this.#lost = false;
    for (const [group, bounds] of header.groups) {
      const replayed = this.#group(group);
      // Where a log stands, although what made it so can't be read.
      if (isFirst || replayed.broken) {
        const { start, last } = bounds;
        Object.assign(replayed, { start, last, first: last.index + 1, entries: [], broken: false });
      }
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
      this.#see(group, bounds.hardState);
      if (bounds.start.index > replayed.start.index) replayed.start = bounds.start;
    }
    // Its name was given after all of it was synced.
    this.#considerMark(header.durableThrough);
  }

  /** What follows here can't be read, and may have changed every log, every vote and every term. */
  #lose(what: string): void {
    this.#damage.push(what);
    this.#lost = true;
    for (const [group, replayed] of this.#groups) {
      breakLog(replayed);
      this.#unseen.add(group);
    }
  }

  #see(group: number, hardState: HardState): void {
    this.#group(group).hardState = hardState;
    this.#unseen.delete(group);
  }

  #group(group: number): ReplayedGroup {
    const known = this.#groups.get(group);
    if (known !== undefined) return known;
    const { hardState, start, last } = EMPTY_BOUNDS;
    const fresh = { hardState, start, first: 1, entries: [], last, broken: this.#lost };
    this.#groups.set(group, fresh);
    return fresh;
  }

  #take(batch: Omit<ReadBatch, "checksum"> & { readonly checksum: number | null }, found: SegmentFound, path: string): void {
    this.#considerMark(batch.durableThrough);
    for (const step of batch.steps) {
      const replayed = this.#group(step.group);
      if (step.kind === "logStart") {
        restartLog(replayed, step.position, step.keepSuffix);
        continue;
      }
      const item: LogItem = step.kind === "entry" ? step.entry : { ...step.position, type: "lost" };
      if (!replayed.broken) appendEntry(replayed, item, path);
      found.highest.set(step.group, Math.max(found.highest.get(step.group) ?? 0, item.index));
    }
    for (const [group, hardState] of batch.hardStates) {
      const replayed = this.#group(group);
      if (hardState.currentTerm < replayed.hardState.currentTerm)
        throw new LogDamage(path, `the term goes back from ${replayed.hardState.currentTerm} to ${hardState.currentTerm}`);
      if (replayed.last.term > hardState.currentTerm)
        throw new LogDamage(path, `an entry of term ${replayed.last.term} stands in a log of term ${hardState.currentTerm}`);
      this.#see(group, hardState);
    }
    this.#unsynced.push({ hardStates: batch.hardStates, steps: batch.steps });
    this.#sequence = batch.nextSequence;
    this.#checksum = batch.checksum;
    this.#considerMark(0);
  }

  #setMark(sequence: number, checksum: number | null): void {
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

  /** The end, or torn and left behind: null. Damage: where the replay goes on, null for the next segment; or it is thrown. */
  #judge(
    { path, header }: SegmentToRead,
    bytes: Uint8Array,
    position: number,
    bad: BadRecord,
    found: SegmentFound,
    next: SegmentHeader | null,
  ): number | null {
    const wasSynced = next !== null || this.#sequence <= this.#durable;
    if (!wasSynced && isZero(bytes, position, bytes.length)) return null;
    if (!wasSynced && !this.#validRecordAfter(bytes, position, header.id) && looksUnwritten(bytes, bad)) {
      this.#torn = true;
      return null;
    }
    const where = `${path} at byte ${bad.at}`;
    const salvaged = salvageBatch(bytes, position, {
      segment: header.id,
      sequence: this.#sequence,
      prevChecksum: this.#checksum,
    });
    if (salvaged !== null && salvaged.nextSequence <= (next?.firstSequence ?? Number.MAX_SAFE_INTEGER)) {
      const { steps } = salvaged;
      if (steps === null) this.#lose(`${where}: ${bad.what}, and what the batch held is not known`);
      else this.#damage.push(`${where}: ${bad.what}`);
      this.#take({ ...salvaged, steps: steps ?? [] }, found, path);
      return aligned(position + salvaged.length, SECTOR_BYTES);
    }
    if (next !== null) {
      this.#lose(`${where}: ${bad.what}, and so is what follows up to the next segment`);
      this.#sequence = next.firstSequence;
      this.#checksum = null;
      return null;
    }
    const later = this.#wholeBatchAfter(bytes, position, header.id);
    if (later === null)
      throw new LogDamage(where, `${bad.what}, and it may have held the newest vote, of which no copy can be read`);
    this.#lose(`${where}: ${bad.what}, and so is what follows up to byte ${later.at}`);
    this.#sequence = later.sequence;
    this.#checksum = null;
    return later.at;
  }

  /** The next batch of this segment that is whole. */
  #wholeBatchAfter(
    bytes: Uint8Array,
    position: number,
    segment: number,
  ): { readonly at: number; readonly sequence: number } | null {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = aligned(position + 1, SECTOR_BYTES); at < bytes.length; at += SECTOR_BYTES) {
      const header = readHeader(bytes, view, at);
      if (header === null || header.type !== RecordType.batchStart || header.segment !== segment) continue;
      const { sequence } = header;
      if (sequence > this.#sequence && readBatch(bytes, at, { segment, sequence, prevChecksum: null }).ok)
        return { at, sequence };
    }
    return null;
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
    if (this.#unseen.size > 0)
      throw new LogDamage(
        "the log",
        `${this.#damage.join("; ")}; what is lost may have held the newest vote of group ${[...this.#unseen].join(", ")}`,
      );
    if (this.#lost && this.#manyGroups)
      throw new LogDamage("the log", `${this.#damage.join("; ")}; a group of which nothing is known may have begun there`);
    for (const [group, replayed] of this.#groups) {
      const missing = finishGroup(replayed);
      if (missing !== null) this.#damage.push(`group ${group} ${missing}`);
    }
    return {
      groups: this.#groups,
      segments: this.#found,
      durableThrough: this.#mark,
      checksum: this.#checksumAtMark ?? 0,
      boundsAtMark: this.#boundsAtMark,
      unsynced: this.#unsynced,
      torn: this.#torn,
      damage: this.#damage,
      nextSequence: this.#sequence,
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

function breakLog(group: ReplayedGroup): void {
  group.broken = true;
  group.entries = [];
  group.first = group.start.index + 1;
  group.last = group.start;
}

function restartLog(group: ReplayedGroup, position: LogPosition, keepSuffix: boolean): void {
  group.start = position;
  if (group.broken) {
    breakLog(group);
    group.broken = keepSuffix;
    return;
  }
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
function appendEntry(group: ReplayedGroup, entry: LogItem, path: string): void {
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

/**
 * What a snapshot that is whole and durable stands for need not be in the log, damaged or not. Where the log does not agree with it,
 * or ends before it, the log was about to be begun anew when the process ended (WAL11).
 */
export function coverWithSnapshot(group: ReplayedGroup, position: LogPosition): void {
  if (group.broken || position.index <= group.start.index || !group.entries.some(({ type }) => type === "lost")) return;
  restartLog(group, position, group.entries[position.index - group.first]?.term === position.term);
}

/** Everything above the start must be there. Null: it is; otherwise what is missing, and the log is broken. */
function finishGroup(replayed: ReplayedGroup): string | null {
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
    const missing = `needs entries from ${start.index + 1} on, and has them only from ${replayed.first} to ${replayed.last.index}`;
    breakLog(replayed);
    return missing;
  }
  return null;
}
