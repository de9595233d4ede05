/**
 * The files of snapshots: taken from pieces, received in pieces that end anywhere, both at once, given up in the middle, named
 * over one that is there, and pruned; over several starts. A snapshot that was reported is whole and loads, as long as it is
 * among the two newest; none is ever found damaged, and none that was never finished is found at all.
 */
import type { SnapshotMetadata } from "../../core/index.js";
import type { Disk } from "../../runtime/ports.js";
import { BodyWriter } from "../../runtime/storage/snapshot-body.js";
import { openSnapshots, type SnapshotStore } from "../../runtime/storage/snapshot-store.js";
import { perform } from "../../runtime/task.js";
import { SeededRandom } from "../random.js";
import { atOnce } from "./at-once.js";
import { LOG_OWNER } from "./log-case.js";
import { isSameBytes } from "./log-model.js";
import { RecordingDisk } from "./recording-disk.js";
import type { CrashCase } from "./run.js";

interface Taken {
  readonly metadata: SnapshotMetadata;
  readonly pieces: readonly Uint8Array[];
}

/** Snapshots by their index. */
export interface SnapshotLedger {
  /** Were reported, and not given up by pruning. */
  readonly owed: readonly number[];
  /** Everything that was ever begun. */
  readonly begun: ReadonlyMap<number, Taken>;
}

export interface SnapshotFound {
  readonly newest: SnapshotMetadata | null;
  readonly damaged: readonly string[];
  /** What each file holds; a text is the error that it loads with. */
  readonly loaded: ReadonlyMap<number, readonly Uint8Array[] | string>;
}

export interface SnapshotCaseOptions {
  readonly seed: number;
  readonly operations: number;
  readonly wrap?: (disk: Disk) => Disk;
}

export function snapshotCase(options: SnapshotCaseOptions): CrashCase<SnapshotLedger, SnapshotFound> {
  return {
    name: `the snapshots, seed ${options.seed}`,
    recording: record(options),
    nothing: { owed: [], begun: new Map() },
    recover,
    judge: complain,
    // A start changes nothing but what was never finished.
    whileRecovering: (ledger) => ledger,
    afterRecovery: (ledger) => ledger,
    unread: (path) => path.endsWith(".tmp"),
  };
}

function recover(disk: Disk): SnapshotFound {
  const { store, newest, damaged, tidy } = atOnce(() => openSnapshots(disk, LOG_OWNER));
  atOnce(tidy);
  const loaded = new Map<number, readonly Uint8Array[] | string>();
  atOnce(function* () {
    let names: readonly string[] = [];
    yield* perform((done) =>
      disk.list("snapshots", (error, found) => {
        names = found ?? [];
        done(error);
      }),
    );
    for (const name of names) {
      const [index, term] = name.split(/[-.]/, 2).map((part) => Number.parseInt(part, 16));
      if (index === undefined || term === undefined || !name.endsWith(".snapshot")) continue;
      const pieces: Uint8Array[] = [];
      const each = (piece: Uint8Array, next: () => void): void => {
        pieces.push(piece);
        next();
      };
      yield* perform((done) =>
        store.load({ index, term }, each, (error) => {
          loaded.set(index, error === null ? pieces : error.message);
          done(null);
        }),
      );
    }
  });
  return { newest, damaged, loaded };
}

function complain({ newest, damaged, loaded }: SnapshotFound, { owed, begun }: SnapshotLedger): string | null {
  if (damaged.length > 0) return `damage is found where nothing but a crash was: ${damaged.join("; ")}`;
  for (const [index, pieces] of loaded) {
    if (typeof pieces === "string") return `the snapshot at ${index} does not load: ${pieces}`;
    const expected = begun.get(index)?.pieces;
    if (expected === undefined) return `a snapshot at ${index} is found that nobody began`;
    if (
      pieces.length !== expected.length ||
      pieces.some((piece, place) => !isSameBytes(piece, expected[place] ?? new Uint8Array(0)))
    )
      return `the snapshot at ${index} holds something else than what was written`;
  }
  for (const index of owed) if (!loaded.has(index)) return `the snapshot at ${index} was reported and is gone`;
  const newestOwed = Math.max(0, ...owed);
  if ((newest?.lastIncludedIndex ?? 0) < newestOwed)
    return `the newest snapshot found is at ${newest?.lastIncludedIndex ?? 0}, one at ${newestOwed} was reported`;
  const expected = begun.get(newest?.lastIncludedIndex ?? 0)?.metadata;
  if (newest !== null && (expected === undefined || !isSameMetadata(newest, expected)))
    return `the snapshot at ${newest.lastIncludedIndex} has other metadata than were written`;
  return null;
}

function isSameMetadata(one: SnapshotMetadata, other: SnapshotMetadata): boolean {
  return isSameBytes(new BodyWriter().metadata(one), new BodyWriter().metadata(other));
}

function record({ seed, operations, wrap = (disk) => disk }: SnapshotCaseOptions): RecordingDisk<SnapshotLedger> {
  const random = new SeededRandom(seed, 1);
  const recording = new RecordingDisk<SnapshotLedger>();
  let ledger: SnapshotLedger = { owed: [], begun: new Map() };
  const promise = (change: Partial<SnapshotLedger>): void => {
    ledger = { ...ledger, ...change };
    recording.promise(ledger);
  };
  const open = (): SnapshotStore => {
    const { store, tidy } = atOnce(() => openSnapshots(wrap(recording.mount()), LOG_OWNER));
    atOnce(tidy);
    return store;
  };
  let store = open();
  let index = 0;

  const next = (): Taken => {
    index += random.between(1, 40);
    const metadata: SnapshotMetadata = {
      lastIncludedIndex: index,
      lastIncludedTerm: 1 + Math.floor(index / 50),
      configuration: {
        voters: ["a#1"],
        votersOutgoing: [],
        learners: [],
        members: [{ id: "a#1", name: "a", address: "a:1" }],
        leases: false,
        staged: null,
      },
      configurationIndex: 0,
    };
    const pieces = Array.from({ length: random.below(5) }, () => {
      const piece = new Uint8Array(random.pick([0, 1, 300, 700, 5000, 70_000]) ?? 0).fill(index % 251);
      if (piece.length > 8) new DataView(piece.buffer).setUint32(1, index);
      return piece;
    });
    return { metadata, pieces };
  };
  const begin = (taken: Taken): void => promise({ begun: new Map([...ledger.begun, [taken.metadata.lastIncludedIndex, taken]]) });
  const reported =
    ({ metadata }: Taken) =>
    (error: Error | null): void => {
      if (error !== null) throw error;
      promise({ owed: [...ledger.owed.filter((each) => each !== metadata.lastIncludedIndex), metadata.lastIncludedIndex] });
    };
  const fine = (error: Error | null): void => {
    if (error !== null) throw error;
  };
  /** Each yields between its pieces, so that two can be written side by side. */
  function* take(taken: Taken, isGivenUp: boolean): Generator<void> {
    begin(taken);
    const writing = store.begin(taken.metadata);
    for (const piece of taken.pieces) {
      writing.add(piece, fine);
      yield;
    }
    if (isGivenUp) writing.abort();
    else writing.finish(reported(taken));
  }
  function* receive(taken: Taken, isGivenUp: boolean): Generator<void> {
    begin(taken);
    const writer = new BodyWriter();
    const parts = [writer.metadata(taken.metadata), ...taken.pieces.map((piece) => writer.piece(piece)), writer.end()];
    const body = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let length = 0;
    for (const part of parts) {
      body.set(part, length);
      length += part.length;
    }
    const size = random.pick([700, 4000, 30_000]) ?? 700;
    const { lastIncludedIndex, lastIncludedTerm } = taken.metadata;
    const receiving = store.receive({ index: lastIncludedIndex, term: lastIncludedTerm });
    for (let at = 0; at < body.length; at += size) {
      receiving.write(at, body.subarray(at, at + size), fine);
      yield;
    }
    if (isGivenUp) receiving.abort();
    else receiving.finish(reported(taken));
  }

  while (recording.operations < operations) {
    const first = next();
    const running = [take(first, random.chance(150))];
    if (random.chance(500)) running.push(receive(next(), random.chance(150)));
    // A leader may send what is there already.
    else if (random.chance(300)) running.push(receive(first, false));
    while (running.length > 0) {
      const place = random.below(running.length);
      if (running[place]?.next().done === true) running.splice(place, 1);
    }
    if (random.chance(700)) {
      const newest = [...ledger.owed].sort((a, b) => b - a).slice(0, 2);
      promise({ owed: newest });
      store.prune(fine);
    }
    if (random.chance(200)) store = open();
  }
  return recording;
}
