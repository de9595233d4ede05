/**
 * A word in a data directory that no node may start there, and why: because it is being made and is not finished, or because
 * its cluster was carried on in another directory. One small file that a person can read and, knowing better, remove.
 */
import { decodeUtf8, encodeUtf8 } from "../../core/utf8.js";
import { type Disk, DiskError, type DiskFile } from "../ports.js";
import { call, perform, type Task } from "../task.js";

export const BLOCK_PATH = "do-not-start";
const TEMPORARY = `${BLOCK_PATH}.tmp`;
const MAX_BYTES = 4096;

/** A directory that begins with this word may be made anew. */
const UNFINISHED = "unfinished";

/** Null: nothing forbids a start. */
export function* readBlock(disk: Disk): Task<{ readonly reason: string; readonly unfinished: boolean } | null> {
  let file: DiskFile;
  try {
    file = yield* call<DiskFile>((done) => disk.open(BLOCK_PATH, "read", done));
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") return null;
    throw error;
  }
  try {
    const reason = (decodeUtf8(yield* call<Uint8Array>((done) => file.read(0, MAX_BYTES, done))) ?? "").trim();
    return { reason, unfinished: reason.startsWith(UNFINISHED) };
  } finally {
    yield* perform((done) => file.close(done));
  }
}

/** Durable when it returns. */
export function* writeBlock(disk: Disk, reason: string): Task<void> {
  yield* perform((done) => disk.remove(TEMPORARY, () => done(null)));
  const file = yield* call<DiskFile>((done) => disk.open(TEMPORARY, "create", done));
  try {
    yield* perform((done) => file.write(0, encodeUtf8(`${reason}\n`) ?? new Uint8Array(0), done));
    yield* perform((done) => file.sync(done));
  } finally {
    yield* perform((done) => file.close(done));
  }
  yield* perform((done) => disk.rename(TEMPORARY, BLOCK_PATH, done));
  yield* perform((done) => disk.syncDirectory("", done));
}

export function* blockUnfinished(disk: Disk, what: string): Task<void> {
  yield* writeBlock(disk, `${UNFINISHED}: ${what}`);
}

/** Durable when it returns: from now on a node may start here. */
export function* removeBlock(disk: Disk): Task<void> {
  yield* perform((done) => disk.remove(BLOCK_PATH, done));
  yield* perform((done) => disk.syncDirectory("", done));
}
