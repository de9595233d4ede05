/** Taking a backup of a directory that no node uses, checking one, and making a directory out of one. */
import { decoding } from "../../core/bytes.js";
import type { Entry, Index } from "../../core/types.js";
import { clusterIdOf, hexadecimal } from "../cluster-id.js";
import { type Clock, type Disk, DiskError, type DiskFile, type Random } from "../ports.js";
import { readExactly } from "../storage/read.js";
import { call, perform, type Task } from "../task.js";
import { type BackupContent, BackupReader, type BackupSummary, BackupWriter } from "./backup-file.js";

import { endOf, type NewCluster, type NewClusterMade, newIncarnation, stateOf } from "./brought.js";
import { Refusal } from "./finding.js";
import { lockedFresh, makeFresh } from "./fresh-directory.js";
import { lookingAt, scanDirectory } from "./scan-directory.js";

const READ_BYTES = 1024 * 1024;
const WRITE_BYTES = 1024 * 1024;

export interface BackupOptions {
  /** Also entries that are not known to be committed. */
  readonly uncommitted: boolean;
  readonly takenAt: string;
}

export interface DirectoryBackup extends BackupSummary {
  /** Entries that were left out, because they are not known to be committed. */
  readonly leftOut: { readonly first: Index; readonly last: Index } | null;
}

/** Writes the file anew; it has its name only when all of it is durable and was read back. */
export function* backUpDirectory(disk: Disk, target: Disk, path: string, options: BackupOptions): Task<DirectoryBackup> {
  return yield* lookingAt(disk, function* () {
    const found = yield* scanDirectory(disk, () => true);
    const committed = Math.max(
      found.hardState.commitIndex,
      found.snapshots.find(({ metadata }) => metadata !== null)?.lastIncludedIndex ?? 0,
    );
    const upTo = options.uncommitted ? endOf(found) : Math.min(endOf(found), committed);
    const state = stateOf(disk, found, upTo);
    const { owner } = found;
    if (owner === null) throw new Refusal(`${disk.location} holds no data of a node: there is nothing to back up`);
    const summary = yield* writeBackup(target, path, function* (put) {
      const writer = new BackupWriter();
      const snapshot = state.snapshot?.position ?? { index: 0, term: 0 };
      yield* put(writer.head({ ...owner, takenAt: options.takenAt, snapshot, term: state.term }));
      if (state.snapshot !== null) yield* state.snapshot.body((bytes) => put(writer.snapshot(bytes)));
      for (const entry of state.entries) yield* put(writer.entry(entry));
      yield* put(writer.end(state.last));
    });
    const leftOut = endOf(found) > state.last.index ? { first: state.last.index + 1, last: endOf(found) } : null;
    return { ...summary, leftOut };
  });
}

/** Gives the file its bytes, and then its name. */
export function* writeBackup(
  target: Disk,
  path: string,
  fill: (put: (bytes: Uint8Array) => Task<void>) => Task<void>,
): Task<BackupSummary> {
  const part = `${path}.part`;
  yield* refuseExisting(target, path);
  yield* perform((done) => target.remove(part, (error) => done(error?.code === "ENOENT" ? null : error)));
  const file = yield* call<DiskFile>((done) => target.open(part, "create", done));
  try {
    let at = 0;
    let waiting: Uint8Array[] = [];
    let bytes = 0;
    const flush = function* (): Task<void> {
      for (const each of waiting) {
        const position = at;
        at += each.length;
        yield* perform((done) => file.write(position, each, done));
      }
      waiting = [];
      bytes = 0;
    };
    yield* fill(function* (frame) {
      waiting.push(frame);
      bytes += frame.length;
      if (bytes >= WRITE_BYTES) yield* flush();
    });
    yield* flush();
    yield* perform((done) => file.sync(done));
  } catch (error) {
    yield* perform((done) => file.close(() => target.remove(part, () => done(null))));
    throw error;
  }
  yield* perform((done) => file.close(done));
  const summary = yield* readBackup(target, part);
  yield* perform((done) => target.rename(part, path, done));
  yield* perform((done) => target.syncDirectory("", done));
  return summary;
}

function* refuseExisting(target: Disk, path: string): Task<void> {
  try {
    const file = yield* call<DiskFile>((done) => target.open(path, "read", done));
    yield* perform((done) => file.close(done));
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") return;
    throw error;
  }
  throw new Refusal(`${target.location}/${path} exists: a backup never replaces a file; choose another name`);
}

/** Reads the whole file and checks it. */
export function* readBackup(disk: Disk, path: string, content: BackupContent = {}): Task<BackupSummary> {
  const reader = new BackupReader(content);
  const where = `${disk.location}/${path}`;
  yield* eachPart(disk, path, function* (bytes) {
    const read = decoding(() => reader.push(bytes));
    if (!read.ok) throw new Refusal(`${where} ${read.reason}: it is no whole backup, and nothing was done with it`);
  });
  const finished = decoding(() => reader.finish());
  if (!finished.ok) throw new Refusal(`${where} ${finished.reason}: it is no whole backup, and nothing was done with it`);
  return finished.value;
}

function* eachPart(disk: Disk, path: string, each: (bytes: Uint8Array) => Task<void>): Task<void> {
  const file = yield* call<DiskFile>((done) => disk.open(path, "read", done));
  try {
    const size = yield* call<number>((done) => file.size(done));
    for (let at = 0; at < size; at += READ_BYTES) yield* each(yield* readExactly(file, at, Math.min(READ_BYTES, size - at)));
  } finally {
    yield* perform((done) => file.close(done));
  }
}

export interface RestorePorts {
  readonly clock: Clock;
  readonly random: Random;
}

/** Makes the only member of a new cluster out of a backup, in a directory that is empty or missing. */
export function* restoreBackup(
  source: Disk,
  path: string,
  target: Disk,
  { clock, random }: RestorePorts,
  cluster: NewCluster,
): Task<NewClusterMade & { readonly backup: BackupSummary }> {
  const entries: Entry[] = [];
  const backup = yield* readBackup(source, path, { entry: (entry) => entries.push(entry) });
  const { head, last } = backup;
  const clusterId = clusterIdOf([cluster.name], cluster.token);
  if (hexadecimal(clusterId) === hexadecimal(head.clusterId))
    throw new Refusal(
      `clusterToken is "${cluster.token}": with it the new cluster would have the id of the old one, and its members could come between; choose another`,
    );
  const owner = { clusterId, name: cluster.name, incarnation: newIncarnation(random) };
  const snapshot =
    head.snapshot.index === 0
      ? null
      : { position: head.snapshot, body: (each: (bytes: Uint8Array) => Task<void>) => bodyIn(source, path, each) };
  const end = yield* lockedFresh(target, () =>
    makeFresh(target, clock, { owner, address: cluster.address }, { snapshot, entries, last, term: head.term }),
  );
  return { ...owner, end, backup };
}

/** The snapshot's body once more, out of a file that was checked. */
function* bodyIn(source: Disk, path: string, each: (bytes: Uint8Array) => Task<void>): Task<void> {
  let pieces: Uint8Array[] = [];
  const reader = new BackupReader({ snapshot: (piece) => pieces.push(piece.slice()) });
  yield* eachPart(source, path, function* (bytes) {
    reader.push(bytes);
    const ready = pieces;
    pieces = [];
    for (const piece of ready) yield* each(piece);
  });
}
