/**
 * A data directory as a node opens it: lock, identity, log, snapshots, in the order of trust. Nothing is changed in a
 * directory that turns out to be another node's, of a newer version, or damaged; and nothing is said to anybody before
 * the new boot is durable.
 */
import type { SnapshotMetadata } from "../core/output.js";
import type { Checkpoint, CheckpointOwner } from "./durable.js";
import type { FounderRecord } from "./founding.js";
import type { GroupLog, GroupLogHandler, RecoveredGroup } from "./log-store.js";
import { GROUP } from "./network.js";
import { BLOCK_PATH, readBlock } from "./offline/block.js";
import { type Clock, type Disk, DiskError, type Random } from "./ports.js";
import type { SnapshotFiles } from "./snapshot-work.js";
import { type Identity, readIdentity, writeIdentity } from "./storage/identity.js";
import { EMPTY_BOUNDS, foreignOwner, LOG_FOLDER, type Owner, segmentId } from "./storage/segment.js";
import { openSnapshots } from "./storage/snapshot-store.js";
import { type LogCounters, openLog } from "./storage/write-ahead-log.js";
import { call, perform, runTask, type Task } from "./task.js";

export interface StorageOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly clusterId: Uint8Array;
  readonly name: string;
  readonly segmentBytes: number;
  /** Opens a durable machine, whose storage belongs to this directory. Null: it holds nothing, or lives in memory. */
  readonly openMachine?: (owner: CheckpointOwner) => Checkpoint | null;
  /** Makes durable what a durable machine gave back: after a killed process it may be in the system's cache only. */
  readonly syncMachine?: (done: (error: Error | null) => void) => void;
  /** The last chance to refuse: the directory is locked, and nothing in it was changed. */
  readonly beforeChanges?: (done: (error: Error | null) => void) => void;
  /** Part of the log is lost: why this node can't be repaired by others, or null. Nothing was changed yet. */
  readonly beyondRepair?: (found: {
    readonly recovered: RecoveredGroup;
    readonly snapshot: SnapshotMetadata | null;
    readonly founders: readonly FounderRecord[];
    readonly incarnation: bigint;
  }) => string | null;
}

export interface NodeStorage {
  readonly incarnation: bigint;
  /** Counts the starts of this directory; durable. */
  readonly boot: number;
  /** The other founders, as they were first heard. */
  readonly founders: readonly FounderRecord[];
  /** The newest snapshot that is whole. */
  readonly snapshot: SnapshotMetadata | null;
  /** What a durable machine holds by itself. */
  readonly checkpoint: Checkpoint | null;
  readonly recovered: RecoveredGroup;
  readonly files: SnapshotFiles;
  /** What a person should know of what was found. */
  readonly warnings: readonly string[];
  openLog(handler: GroupLogHandler): GroupLog;
  /** Adds a founder's record, durably. One at a time. */
  recordFounder(name: string, incarnation: bigint, done: (error: Error | null) => void): void;
  counters(): LogCounters;
  /** Closes the files and gives the directory free. */
  close(done: () => void): void;
}

export function* openStorage(options: StorageOptions): Task<NodeStorage> {
  const { disk } = options;
  yield* perform((done) => disk.lock(done));
  try {
    const block = yield* readBlock(disk);
    if (block !== null)
      throw new Error(
        `${disk.location} must not be started (${block.reason}): this is said by its file ${BLOCK_PATH}. Nothing was changed`,
      );
    if (options.beforeChanges !== undefined) yield* perform(options.beforeChanges);
    return yield* openLocked(options);
  } catch (error) {
    yield* perform((done) => disk.unlock(() => done(null)));
    throw error;
  }
}

function* openLocked(options: StorageOptions): Task<NodeStorage> {
  const { disk, clock, random, clusterId, name, segmentBytes, openMachine } = options;
  const found = yield* readIdentity(disk);
  // A process that was killed may have left the name of the identity, or of a folder, in the cache only.
  yield* perform((done) => disk.syncDirectory("", done));
  const segments = yield* countSegments(disk);
  const owner: Owner = found ?? {
    clusterId,
    name,
    incarnation: (BigInt(random.nextUint32()) << 32n) | BigInt(random.nextUint32()),
  };
  const foreign = foreignOwner({ clusterId, name, incarnation: owner.incarnation }, owner);
  if (foreign !== null)
    throw new Error(`${disk.location} ${foreign}. Nothing was changed; check the directory, the founders and the cluster token`);
  if (found === null && segments > 0)
    throw new Error(
      `${disk.location} holds a log but no identity: this node can't know who it is and how it voted. Remove this member from the cluster, keep the directory aside, and add the member again with an empty one`,
    );
  if (found !== null && found.boot > 0 && segments === 0)
    throw new Error(
      `${disk.location} was started ${found.boot} times, but its log is gone, and with it the votes it gave. Remove this member from the cluster, keep the directory aside, and add the member again with an empty one`,
    );
  // Boot 0 says: nothing was ever promised here, a missing log is no loss.
  let identity: Identity = found ?? { ...owner, boot: 0, founders: [] };
  if (found === null) yield* writeIdentity(disk, identity);
  // The snapshots are only looked at, and the log refuses before it changes anything.
  const { store, newest, damaged, tidy } = yield* openSnapshots(disk, owner);
  const checkpoint = openMachine?.(owner) ?? null;
  // The log is judged, and cut, by what the machine holds: so it must hold it whatever happens to the power now.
  if (checkpoint !== null && options.syncMachine !== undefined) yield* perform(options.syncMachine);
  const reached = newerOf(newest, checkpoint?.metadata ?? null);
  const { log, groups, torn, damage } = yield* openLog({
    disk,
    clock,
    owner,
    segmentBytes,
    snapshotOf: (group) =>
      group === GROUP && reached !== null ? { index: reached.lastIncludedIndex, term: reached.lastIncludedTerm } : null,
    accept: (all, what) => {
      const recovered = all.get(GROUP);
      checkMachine(disk.location, newest, checkpoint, recovered);
      if (recovered?.recovering === undefined) return;
      const { founders, incarnation } = identity;
      const why = options.beyondRepair?.({ recovered, snapshot: reached, founders, incarnation }) ?? null;
      if (why !== null)
        throw new Error(
          `${disk.location} is damaged (${what.join("; ")}), and ${why}. Nothing was changed. Remove this member from the cluster, keep this directory aside, and add the member again with an empty one`,
        );
    },
  });
  try {
    yield* tidy();
    identity = { ...identity, boot: identity.boot + 1 };
    yield* writeIdentity(disk, identity);
  } catch (error) {
    yield* perform((done) => log.close(() => done(null)));
    throw error;
  }
  const writer = new IdentityWriter(disk);

  const { hardState, start } = EMPTY_BOUNDS;
  const warnings = damaged.map((what) => `${what}; it was put aside and an older state is used`);
  for (const what of damage) warnings.push(`${what}; it was left behind`);
  if (groups.get(GROUP)?.recovering !== undefined)
    warnings.push("part of the log is lost: this member neither votes nor leads until the others have repaired it");
  if (torn) warnings.push("the last write of the log was never finished and was left out; nobody was told of it");
  const { boot, founders } = identity;
  return {
    incarnation: owner.incarnation,
    boot,
    founders,
    snapshot: newest,
    checkpoint,
    recovered: groups.get(GROUP) ?? { hardState, start, entries: [] },
    files: store,
    warnings,
    openLog: (handler) => log.forGroup(GROUP, handler),
    recordFounder(founder, incarnation, done) {
      const others = identity.founders.filter((each) => each.name !== founder);
      identity = {
        ...identity,
        founders: [...others, { name: founder, incarnation }].sort((a, b) => (a.name < b.name ? -1 : 1)),
      };
      writer.write(identity, done);
    },
    counters: () => ({ ...log.counters }),
    close: (done) => log.close(() => writer.whenIdle(() => disk.unlock(() => done()))),
  };
}

function newerOf(one: SnapshotMetadata | null, other: SnapshotMetadata | null): SnapshotMetadata | null {
  if (one === null || other === null) return one ?? other;
  return other.lastIncludedIndex > one.lastIncludedIndex ? other : one;
}

/** Only what is durable in the log is ever applied; a snapshot may be newer than the log, and come to the machine first. */
function checkMachine(
  location: string,
  newest: SnapshotMetadata | null,
  checkpoint: Checkpoint | null,
  recovered: RecoveredGroup | undefined,
): void {
  const inFile = newest?.lastIncludedIndex ?? 0;
  const inMachine = checkpoint?.metadata.lastIncludedIndex ?? 0;
  const logEnd = (recovered?.start.index ?? 0) + (recovered?.entries.length ?? 0);
  if (inMachine <= Math.max(logEnd, inFile)) return;
  throw new Error(
    `${location}: the state machine has applied everything up to ${inMachine}, but the log ends at ${logEnd}: it has lost its end. Nothing was changed. Remove this member from the cluster, keep both aside, and add the member again with empty ones`,
  );
}

/** Writes of the identity, one after the other. */
class IdentityWriter {
  readonly #disk: Disk;
  readonly #waiting: (() => void)[] = [];
  #busy = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  write(identity: Identity, done: (error: Error | null) => void): void {
    this.#waiting.push(() => {
      this.#busy = true;
      runTask(
        () => writeIdentity(this.#disk, identity),
        (error) => {
          this.#busy = false;
          done(error);
          this.#waiting.shift()?.();
        },
      );
    });
    if (!this.#busy) this.#waiting.shift()?.();
  }

  whenIdle(then: () => void): void {
    if (this.#busy) this.#waiting.push(then);
    else then();
  }
}

function* countSegments(disk: Disk): Task<number> {
  try {
    const names = yield* call<readonly string[]>((done) => disk.list(LOG_FOLDER, done));
    return names.filter((name) => segmentId(name) !== null).length;
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") return 0;
    throw error;
  }
}
