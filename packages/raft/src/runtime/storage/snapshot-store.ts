/**
 * The files of snapshots. Each is written under a temporary name, synced, read back as a whole, and only then named and
 * announced (storage rule WAL10); its name tells index and term. The two newest are kept. A file begins with a block that says
 * whose it is (WAL16), then comes the portable body (snapshot-body.ts).
 *
 * Bytes that are sent to a follower are verified as they are read (WAL17): reading a file as a whole leaves a checksum
 * for each 64 KiB of it in memory.
 */
import { ByteReader, ByteWriter, DecodeError, decoding } from "../../core/bytes.js";
import type { SnapshotMetadata } from "../../core/output.js";
import type { LogPosition } from "../../core/types.js";
import { crc32c } from "../crc32c.js";
import type { SnapshotPiece } from "../machine-host.js";
import type { Disk, DiskFile } from "../ports.js";
import type { PieceRead, SnapshotFiles, SnapshotReceiving, SnapshotWriting } from "../snapshot-work.js";
import { call, perform, runTask, type Task } from "../task.js";
import { readExactly } from "./read.js";
import { BLOCK_BYTES } from "./record.js";
import { FORMAT_VERSION, foreignOwner, type Owner } from "./segment.js";
import { BodyReader, BodyWriter } from "./snapshot-body.js";

export const SNAPSHOT_FOLDER = "snapshots";
const FOLDER = SNAPSHOT_FOLDER;
const MAGIC = 0x50414e53;
const CHUNK_BYTES = 64 * 1024;
/** The system is asked to write this much at a time, so that one sync at the end does not hold up the log's. */
const SYNC_EVERY_BYTES = 4 * 1024 * 1024;

interface Stored {
  readonly position: LogPosition;
  readonly path: string;
  /** Of the body, by chunk; null until the file was read as a whole in this life. */
  table: ChunkTable | null;
}

interface ChunkTable {
  readonly length: number;
  readonly checksums: readonly number[];
}

function pathOf({ index, term }: LogPosition): string {
  return `${FOLDER}/${index.toString(16).padStart(16, "0")}-${term.toString(16).padStart(16, "0")}.snapshot`;
}

function positionIn(name: string): LogPosition | null {
  const match = /^([0-9a-f]{16})-([0-9a-f]{16})\.snapshot$/.exec(name);
  if (match === null) return null;
  const position = { index: Number.parseInt(match[1] ?? "", 16), term: Number.parseInt(match[2] ?? "", 16) };
  return Number.isSafeInteger(position.index) && Number.isSafeInteger(position.term) ? position : null;
}

function encodeOwner(owner: Owner): Uint8Array {
  const body = new ByteWriter();
  body.raw(owner.clusterId);
  body.text(owner.name);
  body.big64(owner.incarnation);
  const fields = body.finish();
  const writer = new ByteWriter(BLOCK_BYTES);
  writer.u32(MAGIC);
  writer.u16(FORMAT_VERSION);
  writer.u32(fields.length);
  writer.u32(crc32c(fields));
  writer.raw(fields);
  writer.raw(new Uint8Array(BLOCK_BYTES - writer.length));
  return writer.finish();
}

function decodeOwner(bytes: Uint8Array): Owner {
  const prefix = new ByteReader(bytes);
  if (prefix.u32() !== MAGIC) throw new DecodeError("does not begin like a snapshot's file");
  const format = prefix.u16();
  if (format > FORMAT_VERSION) throw new DecodeError(`has format ${format}, this version reads up to ${FORMAT_VERSION}`);
  const length = prefix.u32();
  const crc = prefix.u32();
  const fields = prefix.raw(length);
  if (crc32c(fields) !== crc) throw new DecodeError("has a damaged beginning");
  const reader = new ByteReader(fields);
  const owner = { clusterId: reader.raw(16).slice(), name: reader.text(64), incarnation: reader.big64() };
  reader.end();
  return owner;
}

/** What was found at a start. */
export interface FoundSnapshots {
  readonly store: SnapshotStore;
  /** The newest that is whole. */
  readonly newest: SnapshotMetadata | null;
  /** Files that are not whole, in words. */
  readonly damaged: readonly string[];
  /**
   * Puts these aside under another name, removes what was never finished, and makes the names of the rest durable. Until
   * then nothing is changed, and nothing may be built on what was found.
   */
  readonly tidy: () => Task<void>;
}

export function* openSnapshots(disk: Disk, owner: Owner): Task<FoundSnapshots> {
  yield* perform((done) => disk.makeDirectory(FOLDER, done));
  const names = yield* call<readonly string[]>((done) => disk.list(FOLDER, done));
  const stored: Stored[] = [];
  const damagedPaths: string[] = [];
  for (const name of names) {
    const position = positionIn(name);
    if (position !== null) stored.push({ position, path: `${FOLDER}/${name}`, table: null });
  }
  const damaged: string[] = [];
  let newest: SnapshotMetadata | null = null;
  // Names are padded, so the last one is the newest. Older ones are only read when they are needed.
  while (stored.length > 0 && newest === null) {
    const last = stored.at(-1);
    if (last === undefined) break;
    const verified = yield* verifyFile(disk, owner, last);
    if (verified.ok) {
      newest = verified.metadata;
    } else {
      damaged.push(`${last.path} ${verified.reason}`);
      damagedPaths.push(last.path);
      stored.pop();
    }
  }
  const tidy = function* (): Task<void> {
    for (const name of names) if (name.endsWith(".tmp")) yield* perform((done) => disk.remove(`${FOLDER}/${name}`, done));
    for (const path of damagedPaths) yield* perform((done) => disk.rename(path, `${path}.damaged`, done));
    // Also when nothing was renamed: a process that was killed may have left the newest one's name in the cache only, and what
    // is built on it from now on must not outlive it.
    yield* perform((done) => disk.syncDirectory(FOLDER, done));
  };
  return { store: new SnapshotStore(disk, owner, stored), newest, damaged, tidy };
}

/** Reads a file as a whole and notes the checksums of its chunks. Errors of the disk are thrown; they are no damage. */
function* verifyFile(
  disk: Disk,
  owner: Owner | null,
  stored: Stored,
): Task<{ readonly ok: true; readonly metadata: SnapshotMetadata } | { readonly ok: false; readonly reason: string }> {
  const body = new BodyReader();
  const checksums: number[] = [];
  let length = 0;
  let reason: string | null = null;
  yield* readFile(
    disk,
    stored.path,
    owner,
    function* (chunk) {
      checksums.push(crc32c(chunk));
      length += chunk.length;
      const read = decoding(() => body.push(chunk));
      if (!read.ok) reason = read.reason;
      return read.ok;
    },
    (why) => {
      reason = why;
    },
  );
  if (reason !== null) return { ok: false, reason };
  const finished = decoding(() => body.finish());
  if (!finished.ok) return finished;
  const { value: metadata } = finished;
  if (metadata.lastIncludedIndex !== stored.position.index || metadata.lastIncludedTerm !== stored.position.term) {
    return { ok: false, reason: `says that it ends at index ${metadata.lastIncludedIndex} of term ${metadata.lastIncludedTerm}` };
  }
  stored.table = { length, checksums };
  return { ok: true, metadata };
}

/** What is in a file of this name, for tools that only look; null for a name that no snapshot has. */
export function* verifySnapshot(disk: Disk, name: string): Task<LookedAt | null> {
  const position = positionIn(name);
  if (position === null) return null;
  const path = `${FOLDER}/${name}`;
  const { bytes, beginning } = yield* readOwnerBlock(disk, path);
  const owner = decoding(() => decodeOwner(beginning));
  const verified = yield* verifyFile(disk, null, { position, path, table: null });
  return {
    position,
    bytes,
    owner: owner.ok ? owner.value : null,
    metadata: verified.ok ? verified.metadata : null,
    reason: verified.ok ? null : verified.reason,
  };
}

export interface LookedAt {
  readonly position: LogPosition;
  /** Of the file. */
  readonly bytes: number;
  readonly owner: Owner | null;
  /** Null: it is not whole, and `reason` says why. */
  readonly metadata: SnapshotMetadata | null;
  readonly reason: string | null;
}

function* readOwnerBlock(disk: Disk, path: string): Task<{ readonly bytes: number; readonly beginning: Uint8Array }> {
  const file = yield* call<DiskFile>((done) => disk.open(path, "read", done));
  try {
    const bytes = yield* call<number>((done) => file.size(done));
    return { bytes, beginning: yield* readExactly(file, 0, Math.min(bytes, BLOCK_BYTES)) };
  } finally {
    yield* perform((done) => file.close(done));
  }
}

/** Gives the body of a snapshot, chunk by chunk, verified as a whole before by whoever asks. */
export function* eachChunk(disk: Disk, path: string, each: (chunk: Uint8Array) => Task<void>): Task<void> {
  let wrong: string | null = null;
  yield* readFile(
    disk,
    path,
    null,
    function* (chunk) {
      yield* each(chunk);
      return true;
    },
    (reason) => {
      wrong = reason;
    },
  );
  if (wrong !== null) throw new Error(`${path} ${String(wrong)}`);
}

/** Gives the body in chunks until it ends or `each` says no. A foreign file is an error, a bad beginning is told to `bad`. */
function* readFile(
  disk: Disk,
  path: string,
  owner: Owner | null,
  each: (chunk: Uint8Array) => Task<boolean>,
  bad: (reason: string) => void,
): Task<void> {
  const file = yield* call<DiskFile>((done) => disk.open(path, "read", done));
  try {
    const size = yield* call<number>((done) => file.size(done));
    const beginning = yield* readExactly(file, 0, Math.min(size, BLOCK_BYTES));
    const is = decoding(() => decodeOwner(beginning));
    if (!is.ok) return bad(is.reason);
    const foreign = owner === null ? null : foreignOwner(owner, is.value);
    if (foreign !== null) throw new Error(`${path} ${foreign}. Nothing was changed; check which directory belongs to which node`);
    for (let at = BLOCK_BYTES; at < size; at += CHUNK_BYTES)
      if (!(yield* each(yield* readExactly(file, at, Math.min(CHUNK_BYTES, size - at))))) return;
  } finally {
    yield* perform((done) => file.close(done));
  }
}

/** A file being written: operations in order, one at a time. After an error the rest is refused with it. */
class Draft {
  readonly #disk: Disk;
  readonly path: string;
  readonly #waiting: (() => void)[] = [];
  #busy = false;
  #file: DiskFile | null = null;
  #error: Error | null = null;
  #position = 0;
  #unsynced = 0;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.path = path;
  }

  /** Where the next bytes of the body go. */
  get bodyLength(): number {
    return Math.max(0, this.#position - BLOCK_BYTES);
  }

  run(body: (draft: this) => Task<void>, done: (error: Error | null) => void): void {
    this.#waiting.push(() => {
      if (this.#error !== null) return this.#next(done, this.#error);
      runTask(
        () => body(this),
        (error) => {
          this.#error ??= error;
          this.#next(done, error);
        },
      );
    });
    if (!this.#busy) this.#start();
  }

  #start(): void {
    const first = this.#waiting.shift();
    this.#busy = first !== undefined;
    first?.();
  }

  #next(done: (error: Error | null) => void, error: Error | null): void {
    this.#start();
    done(error);
  }

  *write(bytes: Uint8Array): Task<void> {
    const disk = this.#disk;
    this.#file ??= yield* call<DiskFile>((done) => disk.open(this.path, "create", done));
    const file = this.#file;
    const at = this.#position;
    yield* perform((done) => file.write(at, bytes, done));
    this.#position = at + bytes.length;
    this.#unsynced += bytes.length;
    if (this.#unsynced >= SYNC_EVERY_BYTES) yield* this.sync();
  }

  *sync(): Task<void> {
    const file = this.#file;
    if (file === null) return;
    this.#unsynced = 0;
    yield* perform((done) => file.sync(done));
  }

  *close(): Task<void> {
    const file = this.#file;
    this.#file = null;
    if (file !== null) yield* perform((done) => file.close(done));
  }

  /** Closes and removes it, after what is under way. */
  abort(): void {
    this.#waiting.length = 0;
    const disk = this.#disk;
    const path = this.path;
    const end = (): void => {
      this.#error ??= new Error("the snapshot was given up");
      runTask(
        () => this.close(),
        () => disk.remove(path, () => undefined),
      );
    };
    if (this.#busy) this.#waiting.push(end);
    else end();
  }
}

export class SnapshotStore implements SnapshotFiles {
  readonly #disk: Disk;
  readonly #owner: Owner;
  /** Oldest first. */
  #stored: Stored[];
  /** Files that are being given their name, or read to restore a machine; a number for each, as both may happen at once. */
  readonly #inUse = new Map<string, number>();
  #drafts = 0;

  constructor(disk: Disk, owner: Owner, stored: Stored[]) {
    this.#disk = disk;
    this.#owner = owner;
    this.#stored = stored;
  }

  #newDraft(kind: string): Draft {
    this.#drafts += 1;
    return new Draft(this.#disk, `${FOLDER}/${kind}-${this.#drafts}.tmp`);
  }

  begin(metadata: SnapshotMetadata): SnapshotWriting {
    const draft = this.#newDraft("taking");
    const owner = encodeOwner(this.#owner);
    const writer = new BodyWriter();
    const position = { index: metadata.lastIncludedIndex, term: metadata.lastIncludedTerm };
    draft.run(function* () {
      yield* draft.write(owner);
      yield* draft.write(writer.metadata(metadata));
    }, ignore);
    return {
      add: (piece, done, part) => draft.run(() => draft.write(writer.piece(piece, part)), done),
      finish: (done) => {
        draft.run(() => draft.write(writer.end()), ignore);
        this.#finish(draft, position, (error) => done(error, draft.bodyLength));
      },
      abort: () => draft.abort(),
    };
  }

  receive(position: LogPosition): SnapshotReceiving {
    const draft = this.#newDraft("receiving");
    const owner = encodeOwner(this.#owner);
    draft.run(() => draft.write(owner), ignore);
    return {
      write: (offset, data, done) =>
        draft.run(function* () {
          if (offset !== draft.bodyLength) throw new Error(`a piece for byte ${offset} came where ${draft.bodyLength} is next`);
          yield* draft.write(data);
        }, done),
      finish: (done) => this.#finish(draft, position, done),
      abort: () => draft.abort(),
    };
  }

  /** Sync, read back, name, sync the folder; only then it counts. */
  #finish(draft: Draft, position: LogPosition, done: (error: Error | null, metadata: SnapshotMetadata | null) => void): void {
    const disk = this.#disk;
    const owner = this.#owner;
    const stored: Stored = { position, path: pathOf(position), table: null };
    let metadata: SnapshotMetadata | null = null;
    this.#use(stored.path, 1);
    draft.run(
      function* () {
        yield* draft.sync();
        yield* draft.close();
        const draftFile: Stored = { position, path: draft.path, table: null };
        const verified = yield* verifyFile(disk, owner, draftFile);
        if (!verified.ok) throw new Error(`the snapshot ${verified.reason}`);
        yield* perform((moved) => disk.rename(draft.path, stored.path, moved));
        yield* perform((synced) => disk.syncDirectory(FOLDER, synced));
        stored.table = draftFile.table;
        metadata = verified.metadata;
      },
      (error) => {
        if (error === null) this.#add(stored);
        else draft.abort();
        done(error, metadata);
        this.#use(stored.path, -1);
      },
    );
  }

  hold(position: LogPosition): () => void {
    const path = pathOf(position);
    let held = true;
    this.#use(path, 1);
    return () => {
      if (held) this.#use(path, -1);
      held = false;
    };
  }

  #use(path: string, by: 1 | -1): void {
    const users = (this.#inUse.get(path) ?? 0) + by;
    if (users > 0) this.#inUse.set(path, users);
    else this.#inUse.delete(path);
  }

  #add(stored: Stored): void {
    const same = this.#stored.findIndex((each) => each.path === stored.path);
    if (same !== -1) this.#stored.splice(same, 1);
    const after = this.#stored.findIndex((each) => each.position.index > stored.position.index);
    this.#stored.splice(after === -1 ? this.#stored.length : after, 0, stored);
  }

  #find(position: LogPosition): Stored | null {
    return this.#stored.find((each) => each.position.index === position.index && each.position.term === position.term) ?? null;
  }

  read(position: LogPosition, offset: number, maxBytes: number, done: PieceRead): void {
    const stored = this.#find(position);
    const table = stored?.table ?? null;
    if (stored === null || table === null || offset > table.length) return done(null, false, false);
    let isDamaged = false;
    const disk = this.#disk;
    const end = Math.min(offset + maxBytes, table.length);
    const from = Math.floor(offset / CHUNK_BYTES);
    const to = Math.ceil(end / CHUNK_BYTES);
    runTask(
      function* () {
        const file = yield* call<DiskFile>((opened) => disk.open(stored.path, "read", opened));
        try {
          const bytes = yield* call<Uint8Array>((read) =>
            file.read(BLOCK_BYTES + from * CHUNK_BYTES, (to - from) * CHUNK_BYTES, read),
          );
          for (let chunk = from; chunk < to; chunk += 1) {
            const start = (chunk - from) * CHUNK_BYTES;
            isDamaged = crc32c(bytes, start, Math.min(bytes.length, start + CHUNK_BYTES)) !== table.checksums[chunk];
            if (isDamaged) throw new Error(`${stored.path} is damaged`);
          }
          return bytes.slice(offset - from * CHUNK_BYTES, end - from * CHUNK_BYTES);
        } finally {
          yield* perform((closed) => file.close(closed));
        }
      },
      (error, data) => done(error === null ? data : null, end === table.length, isDamaged),
    );
  }

  load(position: LogPosition, each: (piece: SnapshotPiece, next: () => void) => void, done: (error: Error | null) => void): void {
    const stored = this.#find(position);
    if (stored === null) return done(new Error(`there is no snapshot at index ${position.index}`));
    const body = new BodyReader();
    const disk = this.#disk;
    const owner = this.#owner;
    this.#use(stored.path, 1);
    runTask(
      function* () {
        let wrong: string | null = null;
        yield* readFile(
          disk,
          stored.path,
          owner,
          function* (chunk) {
            for (const piece of body.push(chunk)) yield* perform((next) => each(piece, () => next(null)));
            return true;
          },
          (reason) => {
            wrong = reason;
          },
        );
        if (wrong !== null) throw new DecodeError(wrong);
        body.finish();
      },
      (error) => {
        this.#use(stored.path, -1);
        done(error instanceof DecodeError ? new Error(`${stored.path} ${error.message}`) : error);
      },
    );
  }

  prune(done: (error: Error | null, oldestKept: LogPosition | null) => void): void {
    // One that is in use goes the next time. A snapshot taken here and one from a leader may have the same name.
    const surplus = this.#stored.slice(0, Math.max(0, this.#stored.length - 2)).filter(({ path }) => !this.#inUse.has(path));
    this.#stored = this.#stored.filter((stored) => !surplus.includes(stored));
    const kept = this.#stored.at(-2)?.position ?? null;
    const disk = this.#disk;
    runTask(
      function* () {
        for (const { path } of surplus) yield* perform((removed) => disk.remove(path, removed));
        if (surplus.length > 0) yield* perform((synced) => disk.syncDirectory(FOLDER, synced));
      },
      (error) => done(error, kept),
    );
  }
}

function ignore(): void {}
