/**
 * The write-ahead log of a process: one sequence of segments that carries entries and hard state of all its groups, so that
 * one write and one fdatasync make a batch durable. What arrives while a batch is being synced waits and becomes the next
 * one; there is never more than one write or sync under way, so at most the last batch of the log can be unsynced.
 *
 * Nothing in here is ever changed in place. A start begins a new segment that says where the last one ends, and holds again
 * what might have been in the page cache only (WAL7, WAL12); segments that are not needed any more are removed whole,
 * oldest first (WAL9).
 */
import type { PersistBatch } from "../../core/output.js";
import {
  type Entry,
  type HardState,
  type Index,
  type LogItem,
  type LogPosition,
  type Micros,
  NO_POSITION,
} from "../../core/types.js";
import type { GroupLog, GroupLogHandler, RecoveredGroup } from "../log-store.js";
import { type Clock, type Disk, DiskError, type DiskFile, type TimerHandle } from "../ports.js";
import { call, perform, runTask, type Task } from "../task.js";
import { batchBytes, encodeBatch, type GroupWrite } from "./batch.js";
import { readExactly } from "./read.js";
import { aligned, SECTOR_BYTES } from "./record.js";
import {
  coverWithSnapshot,
  LogDamage,
  LogReplay,
  type Replay,
  type ReplayedGroup,
  type SegmentToRead,
  type UnsyncedBatch,
} from "./recovery.js";
import {
  decodeSegmentHeader,
  EMPTY_BOUNDS,
  encodeSegmentHeader,
  type GroupBounds,
  LOG_FOLDER,
  type Owner,
  segmentId,
  segmentPath,
} from "./segment.js";

/** A batch is closed at this size; a single write of a group may make it larger. */
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
const SLICE_BYTES = 1024 * 1024;
/** How long a write that found no space waits before it is tried again. */
const RETRY_MICROS = 500_000;
const TEMPORARY = `${LOG_FOLDER}/prepared.tmp`;
/** How much of a header is read before its length is known. */
const HEADER_READ_BYTES = 64 * 1024;

export interface LogCounters {
  syncs: number;
  batches: number;
  entries: number;
  bytes: number;
}

interface GroupState {
  hardState: HardState;
  start: LogPosition;
  last: LogPosition;
  handler: GroupLogHandler | null;
  /** The start that the header of the active segment records: what lies at or below it may go. */
  recordedStart: Index;
  /** The newest ticket that the handler was told of. */
  reported: number;
}

interface Segment {
  readonly id: number;
  readonly path: string;
  /** Highest index of an entry in it, by group. */
  readonly highest: Map<number, Index>;
}

interface ActiveSegment extends Segment {
  readonly file: DiskFile;
  readonly size: number;
  position: number;
}

interface Waiting {
  readonly group: number;
  readonly batch: PersistBatch;
  readonly since: Micros;
}

export interface LogOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly owner: Owner;
  readonly segmentBytes: number;
  /** The log may hold groups that the caller does not know by heart. Default false. */
  readonly manyGroups?: boolean;
  /** Looks at what was found before anything is changed; throws to refuse it. */
  readonly accept?: (groups: ReadonlyMap<number, RecoveredGroup>, damage: readonly string[]) => void;
  /** Where the newest whole snapshot of a group ends: damage below it is harmless. Also where a log is cut that no snapshot reaches. */
  readonly snapshotOf?: (group: number) => LogPosition | null;
}

export interface OpenedLog {
  readonly log: WriteAheadLog;
  readonly groups: ReadonlyMap<number, RecoveredGroup>;
  readonly torn: boolean;
  /** What was found damaged, in words; it was left behind. */
  readonly damage: readonly string[];
}

/** Reads the log, begins a new segment, and gives the log with what each group finds in it. */
export function* openLog(options: LogOptions): Task<OpenedLog> {
  const { disk } = options;
  yield* perform((done) => disk.makeDirectory(LOG_FOLDER, done));
  const names = yield* call<readonly string[]>((done) => disk.list(LOG_FOLDER, done));
  const replay = yield* replaySegments(
    options,
    names.map(segmentId).filter((id) => id !== null),
  );
  const damage = [...replay.damage];
  for (const [group, replayed] of replay.groups) {
    const snapshot = options.snapshotOf?.(group) ?? null;
    if (snapshot !== null) coverWithSnapshot(replayed, snapshot);
    const unreached = options.snapshotOf === undefined ? null : beyondSnapshot(replayed, snapshot);
    if (unreached !== null) damage.push(unreached);
  }
  const groups = new Map([...replay.groups].map(([group, replayed]) => [group, recoveredFrom(replayed)]));
  options.accept?.(groups, damage);
  // Only now: a log that can't be read, or is not accepted, is left as it is.
  for (const name of names) if (name.endsWith(".tmp")) yield* perform((done) => disk.remove(`${LOG_FOLDER}/${name}`, done));
  const log = new WriteAheadLog(options, replay);
  if (damage.length === 0) yield* log.begin(replay);
  else yield* log.beginAnew(replay);
  return { log, groups, torn: replay.torn, damage };
}

/**
 * A log may begin later than at its first entry only where a snapshot holds what is missing. If those are damaged or gone, the
 * state can't be made from what is here, and must come from the leader: the log is taken as lost from where a snapshot ends.
 */
function beyondSnapshot(replayed: ReplayedGroup, snapshot: LogPosition | null): string | null {
  const { start } = replayed;
  const reached = snapshot ?? NO_POSITION;
  if (reached.index >= start.index) return null;
  Object.assign(replayed, { start: reached, first: reached.index + 1, entries: [], last: reached, broken: true });
  const what = snapshot === null ? "no snapshot is whole" : `the newest snapshot that is whole ends at index ${reached.index}`;
  return `${what}, but the log begins only after ${start.index}: newer snapshots are damaged or gone`;
}

function recoveredFrom({ hardState, start, entries, broken }: ReplayedGroup): RecoveredGroup {
  const firstLost = entries.findIndex(({ type }) => type === "lost");
  const whole = (firstLost === -1 ? entries : entries.slice(0, firstLost)).filter(isWhole);
  if (firstLost === -1 && !broken && hardState.recovering !== true) return { hardState, start, entries: whole };
  const remaining = firstLost === -1 || broken ? null : entries.slice(firstLost);
  // The hint speaks of the log as it was. What takes the place of the lost part must not be believed to be committed by it.
  const commitIndex = Math.min(hardState.commitIndex, start.index + whole.length);
  return { hardState: { ...hardState, commitIndex, recovering: true }, start, entries: whole, recovering: { remaining } };
}

function isWhole(item: LogItem): item is Entry {
  return item.type !== "lost";
}

function* replaySegments({ disk, owner, manyGroups }: LogOptions, found: readonly number[]): Task<Replay> {
  const ids = [...found].sort((a, b) => a - b);
  // A removal that a crash undid leaves a segment without its successor, and so does a log that was begun anew because of
  // damage: what counts is the newest unbroken run.
  const first = Math.max(
    0,
    ids.findLastIndex((id, place) => place > 0 && id !== (ids[place - 1] ?? 0) + 1),
  );
  const { segments, missing } = yield* readHeaders(disk, ids.slice(first));
  const replay = new LogReplay(owner, missing, manyGroups);
  for (const [place, segment] of segments.entries()) {
    const bytes = yield* readWhole(disk, segment.path);
    replay.add(segment, bytes, segments[place + 1]?.header ?? null);
  }
  const read = replay.finish();
  const stale = ids
    .filter((id) => !read.segments.some((segment) => segment.id === id))
    .map((id) => ({ id, path: segmentPath(id), highest: new Map<number, Index>() }));
  return { ...read, segments: [...stale, ...read.segments] };
}

/**
 * The headers of a run. A segment whose header is damaged tells nothing, and nothing before it can be joined to what follows; but the
 * newest segment's can't be done without: it may hold the newest vote.
 */
function* readHeaders(
  disk: Disk,
  run: readonly number[],
): Task<{ readonly segments: readonly SegmentToRead[]; readonly missing: readonly string[] }> {
  let segments: SegmentToRead[] = [];
  const missing: string[] = [];
  for (const id of run) {
    try {
      segments.push(yield* readHeaderOf(disk, id));
    } catch (error) {
      if (!(error instanceof LogDamage) || id === run.at(-1)) throw error;
      missing.push(error.message);
      segments = [];
    }
  }
  return { segments, missing };
}

function* readHeaderOf(disk: Disk, id: number): Task<SegmentToRead> {
  const path = segmentPath(id);
  const file = yield* call<DiskFile>((done) => disk.open(path, "read", done));
  try {
    const size = yield* call<number>((done) => file.size(done));
    let decoded = decodeSegmentHeader(yield* readExactly(file, 0, Math.min(size, HEADER_READ_BYTES)));
    if (!decoded.ok && size > HEADER_READ_BYTES)
      decoded = decodeSegmentHeader(yield* readExactly(file, 0, Math.min(size, 2 * 1024 * 1024)));
    if (!decoded.ok && decoded.reason.includes("upgrade")) throw new Error(`${path} ${decoded.reason}. Nothing was changed`);
    if (!decoded.ok) throw new LogDamage(path, `it ${decoded.reason}`);
    if (decoded.value.header.id !== id) throw new LogDamage(path, `it says that it is segment ${decoded.value.header.id}`);
    return { path, header: decoded.value.header, headerLength: decoded.value.length };
  } finally {
    yield* perform((done) => file.close(done));
  }
}

function* readWhole(disk: Disk, path: string): Task<Uint8Array> {
  const file = yield* call<DiskFile>((done) => disk.open(path, "read", done));
  try {
    const size = yield* call<number>((done) => file.size(done));
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += SLICE_BYTES) bytes.set(yield* readExactly(file, at, Math.min(SLICE_BYTES, size - at)), at);
    return bytes;
  } finally {
    yield* perform((done) => file.close(done));
  }
}

export class WriteAheadLog {
  readonly #options: LogOptions;
  readonly #disk: Disk;
  readonly #groups = new Map<number, GroupState>();
  readonly #older: Segment[];
  readonly counters: LogCounters = { syncs: 0, batches: 0, entries: 0, bytes: 0 };
  #active: ActiveSegment | null = null;
  #nextId: number;
  #sequence: number;
  #checksum: number;
  #durableThrough: number;

  readonly #queue: Waiting[] = [];
  /** What the write under way carries. */
  #writing: readonly Waiting[] = [];
  #busy = false;
  #failed = false;
  #closed: (() => void) | null = null;
  #retryTimer: TimerHandle | null = null;
  /** Filled with zeros and synced, under a temporary name. */
  #prepared: { readonly file: DiskFile; readonly size: number } | null = null;
  #preparing = false;
  #afterPreparing: (() => void) | null = null;
  /** A segment is being begun, under the same temporary name that the next one would be prepared under. */
  #switching = false;
  #purging = false;
  #scratch = new Uint8Array(64 * 1024);

  constructor(options: LogOptions, replay: Replay) {
    this.#options = options;
    this.#disk = options.disk;
    this.#older = replay.segments.map(({ id, path, highest }) => ({ id, path, highest }));
    this.#nextId = (this.#older.at(-1)?.id ?? 0) + 1;
    this.#sequence = replay.durableThrough + 1;
    this.#checksum = replay.checksum;
    this.#durableThrough = replay.durableThrough;
    for (const [group, { hardState, start, last }] of replay.boundsAtMark)
      this.#groups.set(group, { hardState, start, last, handler: null, recordedStart: 0, reported: 0 });
  }

  /** Begins the segment of this life, with what the last one may have left in the page cache only. */
  *begin(replay: Replay): Task<void> {
    const batches = replay.unsynced.map(toWrites);
    const needed = batches.reduce((sum, writes) => sum + batchBytes(writes), 0);
    yield* this.#beginSegment(needed, batches);
    for (const [group, { hardState, start, last }] of replay.groups) {
      const state = this.#group(group);
      state.hardState = hardState;
      state.start = start;
      state.last = last;
    }
  }

  /**
   * Something is damaged: what was found is written again as a whole, with the names of what is lost in its places, into one segment
   * that does not follow on the others. From then on those are not read any more, whatever is wrong with them; until
   * then they are what counts. So a crash in between leaves either the old log or the new one.
   */
  *beginAnew(replay: Replay): Task<void> {
    this.#sequence = replay.nextSequence;
    this.#checksum = 0;
    this.#durableThrough = replay.nextSequence - 1;
    this.#nextId += 1;
    this.#groups.clear();
    const contents: GroupWrite[][] = [];
    for (const [group, replayed] of replay.groups) {
      const { hardState } = recoveredFrom(replayed);
      const { start, entries } = replayed;
      this.#groups.set(group, { hardState, start, last: start, handler: null, recordedStart: 0, reported: 0 });
      for (const items of inBatches(entries)) contents.push([{ group, batch: { hardState, logStart: null, entries: items } }]);
    }
    const needed = contents.reduce((sum, writes) => sum + batchBytes(writes), 0);
    yield* this.#beginSegment(needed, contents);
    for (const [group, { last }] of replay.groups) this.#group(group).last = last;
  }

  /** The view of one group. */
  forGroup(group: number, handler: GroupLogHandler): GroupLog {
    const state = this.#group(group);
    state.handler = handler;
    const oldest = (): Micros | null => {
      const find = (list: readonly Waiting[]): Micros | null => list.find((each) => each.group === group)?.since ?? null;
      return find(this.#writing) ?? find(this.#queue);
    };
    return {
      append: (batch) => {
        this.#queue.push({ group, batch, since: this.#options.clock.now() });
        this.#pump();
      },
      release: (position) => {
        if (position.index > state.start.index) state.start = position;
      },
      get oldestUnfinishedSince() {
        return oldest();
      },
    };
  }

  #group(group: number): GroupState {
    let state = this.#groups.get(group);
    if (state === undefined) {
      const { hardState, start, last } = EMPTY_BOUNDS;
      state = { hardState, start, last, handler: null, recordedStart: 0, reported: 0 };
      this.#groups.set(group, state);
    }
    return state;
  }

  // ---- Writing ----

  #pump(): void {
    if (this.#busy || this.#failed || this.#closed !== null || this.#queue.length === 0) return;
    this.#busy = true;
    const taken = this.#takeBatch();
    this.#writing = taken;
    const needed = batchBytes(taken);
    const active = this.#active;
    if (active === null || active.position + needed > active.size) {
      this.#switchSegment(needed, () => this.#writeBatch(taken, needed));
    } else {
      this.#writeBatch(taken, needed);
    }
  }

  #takeBatch(): readonly Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { batch } of this.#queue) {
      const size = batch.entries.reduce((sum, entry) => sum + entry.data.length + 96, 256);
      if (count > 0 && bytes + size > MAX_BATCH_BYTES) break;
      bytes += size;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  #writeBatch(taken: readonly Waiting[], needed: number): void {
    const active = this.#active;
    if (active === null) return;
    if (this.#scratch.length < needed) this.#scratch = new Uint8Array(aligned(needed, SLICE_BYTES));
    const bytes = this.#scratch.subarray(0, needed);
    bytes.fill(0);
    const place = {
      segment: active.id,
      sequence: this.#sequence,
      durableThrough: this.#durableThrough,
      prevChecksum: this.#checksum,
    };
    const written = encodeBatch(bytes, active.position, place, taken);
    this.#sequence = written.nextSequence;
    this.#checksum = written.checksum;
    for (const { group, batch } of taken) this.#note(group, batch, active.highest);
    this.#put(active, bytes.subarray(0, written.length), taken);
  }

  /** How the groups look once the batch is in the log. */
  #note(group: number, batch: PersistBatch, highest: Map<number, Index>): void {
    const state = this.#group(group);
    state.hardState = batch.hardState;
    if (batch.logStart !== null) {
      const { position, keepSuffix } = batch.logStart;
      if (position.index > state.start.index) state.start = position;
      if (!keepSuffix || state.last.index < position.index) state.last = position;
    }
    const last = batch.entries.at(-1);
    if (last === undefined) return;
    state.last = { index: last.index, term: last.term };
    highest.set(group, Math.max(highest.get(group) ?? 0, last.index));
    this.counters.entries += batch.entries.length;
  }

  #put(active: ActiveSegment, bytes: Uint8Array, taken: readonly Waiting[]): void {
    active.file.write(active.position, bytes, (writeError) => {
      if (writeError !== null) {
        if (writeError.code !== "ENOSPC") return this.#fail(writeError);
        // The very same bytes at the very same place, later: whatever part of them is there now is overwritten (WAL13).
        return this.#waitForSpace(writeError, () => this.#put(active, bytes, taken));
      }
      active.file.sync((syncError) => {
        // Never tried again: the system may have dropped the pages and call the next sync a success (WAL12).
        if (syncError !== null) return this.#fail(syncError);
        active.position = aligned(active.position + bytes.length, SECTOR_BYTES);
        this.#durableThrough = this.#sequence - 1;
        this.counters.syncs += 1;
        this.counters.batches += 1;
        this.counters.bytes += bytes.length;
        this.#finished(taken);
      });
    });
  }

  #finished(taken: readonly Waiting[]): void {
    this.#writing = [];
    this.#busy = false;
    // The next write starts before anybody is told of this one: the disk need not wait for what they make of it.
    this.#pump();
    const newest = new Map<number, number>();
    for (const { group, batch } of taken) newest.set(group, batch.ticket);
    for (const [group, ticket] of newest) {
      const state = this.#group(group);
      if (ticket <= state.reported) continue;
      state.reported = ticket;
      state.handler?.onDurable(ticket);
    }
    this.#settleClosing();
    const active = this.#active;
    if (active !== null && active.position > active.size / 2) this.#prepare();
  }

  #fail(error: DiskError): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#busy = false;
    this.#stopRetrying();
    for (const { handler } of this.#groups.values()) handler?.onError(error, true);
    this.#settleClosing();
  }

  #waitForSpace(error: DiskError, again: () => void): void {
    for (const { handler } of this.#groups.values()) handler?.onError(error, false);
    if (this.#closed !== null) {
      this.#busy = false;
      this.#settleClosing();
      return;
    }
    const { clock } = this.#options;
    this.#retryTimer = clock.setTimer(clock.now() + RETRY_MICROS, () => {
      this.#retryTimer = null;
      again();
    });
  }

  #stopRetrying(): void {
    if (this.#retryTimer !== null) this.#options.clock.clearTimer(this.#retryTimer);
    this.#retryTimer = null;
  }

  // ---- Segments ----

  #switchSegment(needed: number, then: () => void): void {
    if (this.#preparing) {
      this.#afterPreparing = () => this.#switchSegment(needed, then);
      return;
    }
    this.#switching = true;
    runTask(
      () => this.#beginSegment(needed, []),
      (error) => {
        this.#switching = false;
        if (error === null) {
          then();
          this.#purge();
        } else if (error instanceof DiskError && error.code === "ENOSPC") {
          this.#waitForSpace(error, () => this.#switchSegment(needed, then));
        } else {
          this.#fail(error instanceof DiskError ? error : new DiskError("OTHER", "write", LOG_FOLDER, error.message));
        }
      },
    );
  }

  /** A segment gets its name only when all of it is durable, so it counts whole or not at all (WAL9). */
  *#beginSegment(needed: number, contents: readonly (readonly GroupWrite[])[]): Task<void> {
    const { owner } = this.#options;
    const id = this.#nextId;
    const groups = new Map<number, GroupBounds>(
      [...this.#groups].map(([group, { hardState, start, last }]) => [
        group,
        { hardState, start: start.index > last.index ? last : start, last },
      ]),
    );
    const place = { id, firstSequence: this.#sequence, prevChecksum: this.#checksum };
    const length = encodeSegmentHeader({ ...owner, ...place, size: 0, durableThrough: 0, groups }).length;
    const highest = new Map<number, Index>();
    const body: { readonly position: number; readonly bytes: Uint8Array }[] = [];
    let position = length;
    for (const writes of contents) {
      const bytes = new Uint8Array(batchBytes(writes));
      const written = encodeBatch(
        bytes,
        position,
        { segment: id, sequence: this.#sequence, durableThrough: this.#durableThrough, prevChecksum: this.#checksum },
        writes,
      );
      for (const { group, batch } of writes)
        for (const entry of batch.entries) highest.set(group, Math.max(highest.get(group) ?? 0, entry.index));
      this.#sequence = written.nextSequence;
      this.#checksum = written.checksum;
      this.#durableThrough = written.nextSequence - 1;
      body.push({ position, bytes: bytes.subarray(0, written.length) });
      position = aligned(position + written.length, SECTOR_BYTES);
    }
    const { file, size } = yield* this.#takePrepared(length + needed);
    const header = encodeSegmentHeader({ ...owner, ...place, size, durableThrough: this.#durableThrough, groups });
    const path = segmentPath(id);
    try {
      yield* perform((done) => file.write(0, header, done));
      for (const { position: at, bytes } of body) yield* perform((done) => file.write(at, bytes, done));
      yield* perform((done) => file.sync(done));
      yield* perform((done) => this.#disk.rename(TEMPORARY, path, done));
      yield* perform((done) => this.#disk.syncDirectory(LOG_FOLDER, done));
    } catch (error) {
      // Begun anew with a fresh file: after a failed sync nobody can say what of this one is on the disk.
      yield* this.#giveUpTemporary(file);
      throw error;
    }
    const before = this.#active;
    if (before !== null) {
      yield* perform((done) => before.file.close(done));
      this.#older.push({ id: before.id, path: before.path, highest: before.highest });
    }
    this.#nextId = id + 1;
    this.#active = { id, path, highest, file, size, position };
    for (const [group, { start }] of groups) this.#group(group).recordedStart = start.index;
  }

  *#takePrepared(needed: number): Task<{ readonly file: DiskFile; readonly size: number }> {
    const prepared = this.#prepared;
    if (prepared !== null && prepared.size >= needed) {
      this.#prepared = null;
      return prepared;
    }
    if (prepared !== null) {
      this.#prepared = null;
      yield* perform((done) => prepared.file.close(done));
      yield* perform((done) => this.#disk.remove(TEMPORARY, done));
    }
    return yield* this.#fillWithZeros(Math.max(this.#options.segmentBytes, aligned(needed, SECTOR_BYTES)));
  }

  /** Zeros, synced slice by slice, so that the log's own syncs never wait for all of them at once. */
  *#fillWithZeros(size: number): Task<{ readonly file: DiskFile; readonly size: number }> {
    const disk = this.#disk;
    const file = yield* call<DiskFile>((done) => disk.open(TEMPORARY, "create", done));
    try {
      const zeros = new Uint8Array(Math.min(SLICE_BYTES, size));
      for (let at = 0; at < size; at += zeros.length) {
        yield* perform((done) => file.write(at, zeros.subarray(0, Math.min(zeros.length, size - at)), done));
        yield* perform((done) => file.sync(done));
      }
      return { file, size };
    } catch (error) {
      yield* this.#giveUpTemporary(file);
      throw error;
    }
  }

  *#giveUpTemporary(file: DiskFile): Task<void> {
    yield* perform((done) => file.close(() => this.#disk.remove(TEMPORARY, () => done(null))));
  }

  /** Has the next segment ready before the present one is full. A failure shows when it is needed. */
  #prepare(): void {
    if (this.#preparing || this.#switching || this.#prepared !== null || this.#failed || this.#closed !== null) return;
    this.#preparing = true;
    runTask(
      () => this.#fillWithZeros(this.#options.segmentBytes),
      (_error, prepared) => {
        this.#preparing = false;
        this.#prepared = prepared;
        const then = this.#afterPreparing;
        this.#afterPreparing = null;
        then?.();
        this.#settleClosing();
      },
    );
  }

  /** Removes segments whose entries are all covered by a start that a durable header records; oldest first, one by one. */
  #purge(): void {
    if (this.#purging) return;
    this.#purging = true;
    const disposable = (segment: Segment): boolean =>
      [...segment.highest].every(([group, index]) => index <= this.#group(group).recordedStart);
    const disk = this.#disk;
    const older = this.#older;
    const isClosing = (): boolean => this.#closed !== null;
    runTask(
      function* () {
        for (let oldest = older[0]; oldest !== undefined && disposable(oldest) && !isClosing(); oldest = older[0]) {
          const { path } = oldest;
          yield* perform((done) => disk.remove(path, done));
          yield* perform((done) => disk.syncDirectory(LOG_FOLDER, done));
          older.shift();
        }
      },
      () => {
        // A segment that could not be removed is tried again at the next switch; it only takes space.
        this.#purging = false;
        this.#settleClosing();
      },
    );
  }

  // ---- Closing ----

  /** Lets the write under way finish, tells nobody of it any more, and closes the files. */
  close(done: () => void): void {
    for (const state of this.#groups.values()) state.handler = null;
    if (this.#retryTimer !== null) {
      this.#stopRetrying();
      this.#busy = false;
    }
    this.#closed = done;
    this.#settleClosing();
  }

  #settleClosing(): void {
    const done = this.#closed;
    if (done === null || this.#busy || this.#preparing || this.#purging) return;
    this.#closed = () => undefined;
    const files = [this.#active?.file, this.#prepared?.file].filter((file) => file !== undefined);
    this.#active = null;
    this.#prepared = null;
    const disk = this.#disk;
    runTask(
      function* () {
        for (const file of files) yield* perform((closed) => file.close(() => closed(null)));
        yield* perform((removed) => disk.remove(TEMPORARY, () => removed(null)));
      },
      () => done(),
    );
  }
}

function inBatches(items: readonly LogItem[]): readonly (readonly LogItem[])[] {
  const batches: LogItem[][] = [];
  let bytes = MAX_BATCH_BYTES;
  for (const item of items) {
    const size = (item.type === "lost" ? 0 : item.data.length) + 96;
    if (bytes + size > MAX_BATCH_BYTES) {
      batches.push([]);
      bytes = 0;
    }
    bytes += size;
    batches.at(-1)?.push(item);
  }
  return batches;
}

/** A batch that was read, as it is written again. */
function toWrites(batch: UnsyncedBatch): readonly GroupWrite[] {
  const writes: {
    group: number;
    batch: { hardState: HardState; logStart: PersistBatch["logStart"]; entries: LogItem[] };
  }[] = [];
  const hardStateOf = (group: number): HardState => batch.hardStates.get(group) ?? EMPTY_BOUNDS.hardState;
  for (const step of batch.steps) {
    const current = writes.at(-1);
    if (step.kind === "logStart") {
      writes.push({
        group: step.group,
        batch: {
          hardState: hardStateOf(step.group),
          logStart: { position: step.position, keepSuffix: step.keepSuffix },
          entries: [],
        },
      });
      continue;
    }
    const item: LogItem = step.kind === "entry" ? step.entry : { ...step.position, type: "lost" };
    if (current !== undefined && current.group === step.group) {
      current.batch.entries.push(item);
    } else {
      writes.push({ group: step.group, batch: { hardState: hardStateOf(step.group), logStart: null, entries: [item] } });
    }
  }
  for (const [group, hardState] of batch.hardStates) {
    if (!writes.some((write) => write.group === group)) writes.push({ group, batch: { hardState, logStart: null, entries: [] } });
  }
  return writes;
}
