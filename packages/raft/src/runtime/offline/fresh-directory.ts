/**
 * Makes a data directory for the only member of a new cluster, out of a state that came from elsewhere: a snapshot and the entries
 * after it. All that is brought counts as committed; above it goes an entry of a higher term that says who the members are
 * from now on: this one alone.
 *
 * Until all of it is durable a word in the directory forbids to start there (block.ts), so it counts whole or not at all; and
 * a second attempt throws away what the first one left, and begins anew.
 */
import type { Configuration } from "../../core/configuration.js";
import { encodeConfiguration } from "../../core/configuration-codec.js";
import type { PersistBatch } from "../../core/output.js";
import type { Entry, LogPosition, Term } from "../../core/types.js";
import { memberId } from "../member-id.js";
import { GROUP } from "../network.js";
import type { Clock, Disk, DiskError } from "../ports.js";
import type { SnapshotReceiving } from "../snapshot-work.js";
import { writeIdentity } from "../storage/identity.js";
import { LOG_FOLDER, type Owner } from "../storage/segment.js";
import { openSnapshots, SNAPSHOT_FOLDER } from "../storage/snapshot-store.js";
import { openLog } from "../storage/write-ahead-log.js";
import { call, perform, type Task } from "../task.js";
import { blockUnfinished, readBlock, removeBlock } from "./block.js";
import { Refusal } from "./finding.js";
import { listFolder } from "./scan-log.js";

/** What goes into the new directory. */
export interface BroughtState {
  /** Gives the portable body of the snapshot, piece by piece. Null: there is none, the entries begin at 1. */
  readonly snapshot: {
    readonly position: LogPosition;
    readonly body: (each: (bytes: Uint8Array) => Task<void>) => Task<void>;
  } | null;
  /** Follow the snapshot without a gap. */
  readonly entries: Iterable<Entry>;
  /** The last of them, or the snapshot's position. */
  readonly last: LogPosition;
  /** The highest term that is known of. */
  readonly term: Term;
}

export interface NewMemberOfOne {
  readonly owner: Owner;
  /** host:port on which peers will reach it. */
  readonly address: string;
}

/** Bytes of entries in one write of the log. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** The least; each write gets a segment as large as it needs. */
const SEGMENT_BYTES = 64 * 1024;

/** Why nothing may be made in this directory; null when it is empty, or holds what an earlier attempt left. The lock is held. */
export function* whyNotFresh(disk: Disk): Task<string | null> {
  const block = yield* readBlock(disk);
  if (block?.unfinished === true) return null;
  const names = (yield* listFolder(disk, "")).filter((name) => !name.startsWith("lock.") && !name.endsWith(".tmp"));
  for (const folder of [LOG_FOLDER, SNAPSHOT_FOLDER])
    for (const name of yield* listFolder(disk, folder)) names.push(`${folder}/${name}`);
  if (names.length === 0) return null;
  return `${disk.location} is not empty (it holds ${names.slice(0, 3).join(", ")}${names.length > 3 ? ", …" : ""}): nothing is ever written over; name a directory that is empty or missing`;
}

/** Returns where the log ends. The lock is held by whoever calls. `beforeItCounts` is done when all is durable, and may be done twice. */
export function* makeFresh(
  disk: Disk,
  clock: Clock,
  { owner, address }: NewMemberOfOne,
  state: BroughtState,
  beforeItCounts: (() => Task<void>) | null = null,
): Task<LogPosition> {
  yield* blockUnfinished(
    disk,
    `this directory is being made by quorate restore or quorate recover, and is not complete; run the same command again, it begins anew`,
  );
  yield* removeLeftovers(disk);
  if (state.snapshot !== null) yield* writeSnapshot(disk, owner, state.snapshot);
  const id = memberId(owner.name, owner.incarnation);
  const alone: Configuration = {
    voters: [id],
    votersOutgoing: [],
    learners: [],
    members: [{ id, name: owner.name, address }],
    leases: false,
    staged: null,
  };
  const term = state.term + 1;
  const end: Entry = { index: state.last.index + 1, term, type: "configuration", data: encodeConfiguration(alone) };
  yield* writeLog(disk, clock, owner, { ...state, end });
  yield* writeIdentity(disk, { ...owner, boot: 1, founders: [] });
  if (beforeItCounts !== null) yield* beforeItCounts();
  yield* removeBlock(disk);
  return end;
}

function* removeLeftovers(disk: Disk): Task<void> {
  for (const folder of [LOG_FOLDER, SNAPSHOT_FOLDER]) {
    yield* perform((done) => disk.makeDirectory(folder, done));
    for (const name of yield* listFolder(disk, folder)) yield* perform((done) => disk.remove(`${folder}/${name}`, done));
    yield* perform((done) => disk.syncDirectory(folder, done));
  }
  for (const name of ["identity", "identity.tmp"])
    yield* perform((done) => disk.remove(name, (error) => done(error?.code === "ENOENT" ? null : error)));
  yield* perform((done) => disk.syncDirectory("", done));
}

function* writeSnapshot(disk: Disk, owner: Owner, { position, body }: NonNullable<BroughtState["snapshot"]>): Task<void> {
  const { store } = yield* openSnapshots(disk, owner);
  const file: SnapshotReceiving = store.receive(position);
  let offset = 0;
  yield* body(function* (bytes) {
    const at = offset;
    offset += bytes.length;
    yield* perform((done) => file.write(at, bytes, done));
  });
  yield* call((done) => file.finish(done));
}

function* writeLog(
  disk: Disk,
  clock: Clock,
  owner: Owner,
  { snapshot, entries, end }: BroughtState & { readonly end: Entry },
): Task<void> {
  const { log } = yield* openLog({ disk, clock, owner, segmentBytes: SEGMENT_BYTES });
  const state: { error: DiskError | null; done: ((error: Error | null) => void) | null } = { error: null, done: null };
  const settle = (error: DiskError | null): void => {
    state.error ??= error;
    const { done } = state;
    state.done = null;
    done?.(state.error);
  };
  const group = log.forGroup(GROUP, { onDurable: () => settle(null), onError: (error) => settle(error) });
  let ticket = 0;
  const append = (batch: Pick<PersistBatch, "logStart" | "entries">): Task<void> =>
    perform((done) => {
      ticket += 1;
      state.done = done;
      const hardState = { currentTerm: end.term, votedFor: null, commitIndex: end.index };
      group.append({ ticket, hardState, hardStateChanged: true, ...batch });
    });
  try {
    if (snapshot !== null) yield* append({ logStart: { position: snapshot.position, keepSuffix: false }, entries: [] });
    let batch: Entry[] = [];
    let bytes = 0;
    for (const entry of entries) {
      batch.push(entry);
      bytes += entry.data.length;
      if (bytes < BATCH_BYTES) continue;
      yield* append({ logStart: null, entries: batch });
      batch = [];
      bytes = 0;
    }
    yield* append({ logStart: null, entries: [...batch, end] });
  } finally {
    yield* perform((done) => log.close(() => done(null)));
  }
}

/** Takes the lock of a directory that may be missing yet. */
export function* lockedFresh<T>(disk: Disk, body: () => Task<T>): Task<T> {
  yield* perform((done) => disk.lock(done));
  try {
    const why = yield* whyNotFresh(disk);
    if (why !== null) throw new Refusal(why);
    return yield* body();
  } finally {
    yield* perform((done) => disk.unlock(() => done(null)));
  }
}
