/** Faults of the disk under a whole node that is a cluster by itself, one test a row of docs/disk-faults.md. */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { createDisk } from "../../../src/platform/index.js";
import { clusterIdOf, crc32c, type NodeStorage, openStorage, RaftError, runTask } from "../../../src/runtime/index.js";
import { writeIdentity } from "../../../src/runtime/storage/identity.js";
import { openSnapshots } from "../../../src/runtime/storage/snapshot-store.js";
import { atOnce, STILL_CLOCK } from "../../../src/sim/crash-points/at-once.js";
import { applyEffect, copyOf, EMPTY_IMAGE, stateOf } from "../../../src/sim/crash-points/disk-state.js";
import { imagesOf } from "../../../src/sim/crash-points/images.js";
import { type Pace, RecordingDisk } from "../../../src/sim/crash-points/recording-disk.js";
import { BytesDisk } from "./bytes-disk.js";
import { entry, OWNER, open, state } from "./log-bench.js";
import { type Past, pastOf, SECOND, VirtualCluster } from "./virtual-cluster.js";

const REMEDY = /Remove this member from the cluster, keep (the|this) directory aside, and add the member again with an empty one/;

function files(disk: BytesDisk, suffix: string): string[] {
  return [...disk.files.keys()].filter((path) => path.endsWith(suffix)).sort();
}

function last<T>(of: readonly T[]): T {
  const value = of.at(-1);
  if (value === undefined) throw new Error("there is none");
  return value;
}

/** Every file, short enough to compare quickly. */
const contents = (disk: BytesDisk): string[] =>
  [...disk.files].map(([path, bytes]) => `${path} ${bytes.length} ${crc32c(bytes)}`).sort();

/** Where records of a type begin (record.ts): 1 the first of a batch, 2 an entry, 4 the last of a batch. */
function records(bytes: Uint8Array, type: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: number[] = [];
  for (let at = 4096; at + 64 <= bytes.length; at += 8)
    if (view.getUint32(at, true) === 0x4c455251 && bytes[at + 8] === type && view.getUint32(at + 12, true) > 0) found.push(at);
  return found;
}

function flip(disk: BytesDisk, path: string, at: number): void {
  const bytes = disk.bytesOf(path);
  bytes[at] = (bytes[at] ?? 0) ^ 16;
}

/** It does not open, says why and what to do, says nothing to anybody else, and leaves everything as it was; every time. */
function refused(disk: BytesDisk, why: RegExp): void {
  const before = contents(disk);
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const cluster = new VirtualCluster(["a"]);
    let error: unknown = null;
    try {
      cluster.open("a", disk);
    } catch (thrown) {
      error = thrown;
    }
    if (!(error instanceof RaftError)) throw new Error("it was opened, or failed without a word", { cause: error });
    expect([error.code, error.outcome]).toEqual(["dataDirectory", "not-executed"]);
    expect(error.message).toMatch(why);
    expect(error.message).toMatch(REMEDY);
    expect([...cluster.spoke]).toEqual([]);
    expect(contents(disk)).toEqual(before);
  }
}

/** It opens, and every acknowledged operation is there. */
function honoured({ disk, acknowledged }: Past): VirtualCluster {
  const cluster = new VirtualCluster(["a"]);
  cluster.open("a", disk);
  cluster.untilLeader();
  const there = new Set(cluster.operationsOf("a"));
  expect(acknowledged.filter((operation) => !there.has(operation))).toEqual([]);
  return cluster;
}

const ALONE = /is damaged \(.*\), and there is no other member who could hold what is lost/;

describe("damage in the log of a member that is alone: what is lost is refused, nothing is changed, and nothing is said to anybody", () => {
  const { disk, acknowledged } = pastOf(5, 5);
  const segment = last(files(disk, ".segment"));

  test("the disk is whole before it is damaged", () => {
    honoured({ disk: disk.copy(), acknowledged });
  });

  test("D4 a sector of zeros in the middle", () => {
    const damaged = disk.copy();
    const at = records(damaged.bytesOf(segment), 2).at(-2) ?? 0;
    const sector = at - (at % 512);
    damaged.bytesOf(segment).fill(0, sector, sector + 512);
    refused(damaged, ALONE);
  });

  test("D5 a flipped bit in an entry, in the middle", () => {
    const damaged = disk.copy();
    flip(damaged, segment, (records(damaged.bytesOf(segment), 2).at(-2) ?? 0) + 64);
    refused(damaged, ALONE);
  });

  test("D5 a flipped bit where everything else tells what was there: nothing is lost, it opens and says so", () => {
    for (const type of [1, 4]) {
      const damaged = disk.copy();
      flip(damaged, segment, (records(damaged.bytesOf(segment), type)[1] ?? 0) + 70);
      const cluster = honoured({ disk: damaged, acknowledged });
      expect(cluster.nodes.get("a")?.host.status().warnings.join()).toMatch(/its content can't be read; it was left behind/);
      expect(cluster.nodes.get("a")?.host.status().recovering).toBeNull();
      // The damage is behind it: the next start has nothing to say.
      cluster.write("a", 3);
      cluster.kill("a");
      const next = new VirtualCluster(["a"]);
      expect(next.open("a", damaged.copy()).host.status().warnings).toEqual([]);
    }
  });

  test("D6 a flipped bit in the last batch, in one of the two copies of the vote: the other one is used", () => {
    const damaged = disk.copy();
    flip(damaged, segment, last(records(damaged.bytesOf(segment), 4)) + 70);
    honoured({ disk: damaged, acknowledged });
  });

  test("D6 D24 damage at the newest vote, in both copies, is refused: nobody can tell how it voted", () => {
    const damaged = disk.copy();
    for (const type of [1, 4]) flip(damaged, segment, last(records(damaged.bytesOf(segment), type)) + 70);
    refused(damaged, /its content can't be read, and it may have held the newest vote, of which no copy can be read/);
  });

  test("D25 both copies of the identity, or no identity beside a log, or no log", () => {
    const both = disk.copy();
    for (const copy of [0, 4096]) flip(both, "identity", copy + 30);
    refused(both, /identity is damaged in both copies/);
    const none = disk.copy();
    none.files.delete("identity");
    refused(none, /holds a log but no identity/);
    const log = disk.copy();
    for (const path of files(log, ".segment")) log.files.delete(path);
    refused(log, /was started 2 times, but its log is gone, and with it the votes it gave/);
  });

  test("a log whose pieces are whole and contradict themselves is refused in words, not thrown at the process", () => {
    const clusterId = clusterIdOf(["a"], "");
    const strange = new BytesDisk();
    atOnce(() => writeIdentity(strange, { ...OWNER, clusterId, boot: 1, founders: [] }));
    const log = open(strange, { ...OWNER, clusterId });
    log.append(state(1), [{ ...entry(1, 1), type: "configuration", data: Uint8Array.of(1, 2, 3) }]);
    const cluster = new VirtualCluster(["a"]);
    expect(() => cluster.open("a", strange)).toThrow(/contradicts itself \(configurations in the log are valid: entry 1\)/);
    expect(() => new VirtualCluster(["a"]).open("a", strange)).toThrow(REMEDY);
  });
});

describe("snapshots", () => {
  const past = pastOf(30, 10);
  const snapshots = files(past.disk, ".snapshot");

  test("D21 the newest is damaged: it is put aside, the older one and the log have everything, and a person is told", () => {
    expect(snapshots.length).toBe(2);
    const disk = past.disk.copy();
    flip(disk, last(snapshots), 4096 + 50);
    const cluster = honoured({ disk, acknowledged: past.acknowledged });
    expect(cluster.nodes.get("a")?.host.status().warnings.join()).toMatch(
      /snapshot .* it was put aside and an older state is used/,
    );
    expect(files(disk, ".damaged")).toEqual([`${last(snapshots)}.damaged`]);
    cluster.write("a", 20);
  });

  test("D22 all are damaged and the log begins later: a member that is alone is refused, also the second time", () => {
    const disk = past.disk.copy();
    for (const path of snapshots) flip(disk, path, 4096 + 50);
    refused(disk, ALONE);
  });

  test("D22 all are gone: refused, and never begun anew with an empty state", () => {
    const disk = past.disk.copy();
    for (const path of snapshots) disk.files.delete(path);
    refused(disk, ALONE);
  });

  test("D22 the log begins after the older one, and the newest is damaged", () => {
    const disk = past.disk.copy();
    const older = pastOf(13).disk;
    for (const path of snapshots) disk.files.delete(path);
    const [early = ""] = files(older, ".snapshot");
    // A snapshot of the same node, of long ago.
    disk.files.set(early, older.bytesOf(early));
    refused(disk, ALONE);
  });

  test("D19 a snapshot that is newer than the log: the log begins anew after it, over several starts", () => {
    const older = pastOf(9);
    const newer = pastOf(9, 20);
    let disk = older.disk.copy();
    const path = last(files(newer.disk, ".snapshot"));
    disk.files.set(path, newer.disk.bytesOf(path).slice());
    const reached = Number.parseInt(path.slice("snapshots/".length, -1), 16);
    for (let start = 0; start < 3; start += 1) {
      const cluster = new VirtualCluster(["a"]);
      const { host } = cluster.open("a", disk);
      expect(host.running?.raft.lastLogIndex).toBeGreaterThanOrEqual(reached);
      cluster.untilLeader();
      if (start > 0) cluster.write("a", 3);
      cluster.kill("a");
      disk = disk.copy();
    }
  });

  test("D19 a snapshot that became durable before the term that it came with: the node starts, in that term, without a vote", () => {
    const older = pastOf(9);
    const newer = pastOf(9, 20);
    const disk = older.disk.copy();
    const path = last(files(newer.disk, ".snapshot"));
    disk.files.set(path, newer.disk.bytesOf(path).slice());
    const cluster = new VirtualCluster(["a"]);
    const { host } = cluster.open("a", disk);
    // The first life was in term 1, the snapshot is of term 2.
    const { currentTerm, votedFor, snapshot } = host.running?.raft ?? { currentTerm: 0, votedFor: "", snapshot: null };
    expect([currentTerm, votedFor, snapshot?.lastIncludedTerm]).toEqual([2, null, 2]);
  });
});

describe("errors while it runs", () => {
  const codes = { D13: ["EIO", "write"], D14: ["EIO", "sync"], D30: ["EROFS", "write"] } as const;
  for (const [row, [code, kind]] of Object.entries(codes)) {
    test(`${row} ${code} from a ${kind} of the log: the node fails at once, settles what waits as unknown, and tries nothing again`, () => {
      const disk = new BytesDisk();
      const cluster = new VirtualCluster(["a"]);
      const node = cluster.open("a", disk);
      cluster.untilLeader();
      cluster.write("a", 3);
      // Once: the next one would succeed, as it does on a real system.
      let left = 1;
      disk.before = (operation) => {
        if (operation.kind !== kind || !operation.path.endsWith(".segment") || left === 0) return null;
        left -= 1;
        return code;
      };
      const settled = cluster.propose("a");
      cluster.pass(SECOND);
      expect(node.failure).toMatch(new RegExp(`the log can't be written: .*${code}`));
      expect(settled.outcome?.error).toMatchObject({ code: "failed", outcome: "unknown" });
      const { length } = disk.operations;
      cluster.pass(10 * SECOND);
      expect(disk.operations.length).toBe(length);
      cluster.kill("a");
      honoured({ disk: disk.copy(), acknowledged: cluster.acknowledged });
    });
  }

  test("D16 no space: it steps down, can still be read, and leads and writes again when there is space", () => {
    const disk = new BytesDisk();
    const cluster = new VirtualCluster(["a"]);
    const { host } = cluster.open("a", disk);
    cluster.untilLeader();
    cluster.write("a", 3);
    disk.before = ({ kind }) => (kind === "write" ? "ENOSPC" : null);
    const settled = cluster.propose("a");
    // At once, not only when the write has been stalled for an election timeout.
    cluster.pass(10_000);
    expect(host.running?.raft.role).toBe("follower");
    cluster.pass(3 * SECOND);
    expect(host.state).toBe("running");
    expect(host.running?.raft.role).not.toBe("leader");
    expect(cluster.acknowledged.length).toBe(3);
    expect(cluster.operationsOf("a").length).toBe(3);
    const warnings = (cluster.events.get("a") ?? []).filter((event) => event.type === "warning");
    expect(warnings.map((event) => event.type === "warning" && event.message).join()).toMatch(/waits for space: .*ENOSPC/);
    disk.before = () => null;
    cluster.untilLeader();
    cluster.write("a", 3);
    cluster.run(() => settled.outcome !== null, 10 * SECOND);
    expect(settled.outcome).not.toBeNull();
    cluster.kill("a");
    honoured({ disk: disk.copy(), acknowledged: cluster.acknowledged });
  });

  test("D16 no space for a snapshot: the node goes on, the log is kept, and it is tried again", () => {
    const disk = new BytesDisk();
    const cluster = new VirtualCluster(["a"]);
    cluster.open("a", disk);
    cluster.untilLeader();
    disk.before = ({ kind, path }) => (kind === "write" && path.startsWith("snapshots/") ? "ENOSPC" : null);
    cluster.write("a", 40);
    expect(files(disk, ".snapshot")).toEqual([]);
    expect(cluster.leader()).toBe("a");
    disk.before = () => null;
    cluster.write("a", 10);
    expect(files(disk, ".snapshot").length).toBeGreaterThan(0);
    cluster.kill("a");
    honoured({ disk: disk.copy(), acknowledged: cluster.acknowledged });
  });

  test("D16 D33 an error at any operation of a start: it is refused with that error, and the next start has everything", () => {
    const past = pastOf(30, 10);
    const counting = past.disk.copy();
    new VirtualCluster(["a"]).open("a", counting);
    const { length } = counting.operations;
    expect(length).toBeGreaterThan(15);
    for (const code of ["ENOSPC", "EIO"] as const) {
      for (let fails = 0; fails < length; fails += 1) {
        const disk = past.disk.copy();
        let left = fails;
        disk.before = () => {
          left -= 1;
          return left === -1 ? code : null;
        };
        const cluster = new VirtualCluster(["a"]);
        let message = "";
        try {
          cluster.open("a", disk);
        } catch (error) {
          message = error instanceof Error ? error.message : "";
        }
        if (fails < length - 3)
          expect(message, `operation ${fails} ${JSON.stringify(counting.operations[fails])}`).toContain(code);
        disk.before = () => null;
        honoured({ disk: disk.copy(), acknowledged: past.acknowledged });
      }
    }
  });
});

describe("a start on what a killed process left in the cache", () => {
  /** The first operation of this kind after a renaming, and what follows it, is never finished: the process is killed there. */
  const stopsAt = (kind: string, folder: string): { readonly disk: RecordingDisk<never>; goOn: () => void } => {
    let hasStopped = false;
    let isOver = false;
    const pace: Pace = (operation, path, complete) => {
      if (!isOver && operation === kind && path === folder && disk.effects.at(-1)?.kind === "rename") hasStopped = true;
      if (!hasStopped || isOver) complete();
    };
    const disk = new RecordingDisk<never>(undefined, pace);
    return {
      disk,
      goOn: () => {
        isOver = true;
      },
    };
  };

  test("makes the name of the identity durable before there is a log: a loss of power leaves both, or none", () => {
    const { disk, goOn } = stopsAt("syncDirectory", "");
    const killed = new VirtualCluster(["a"]);
    killed.start("a", disk.mount());
    killed.pass(SECOND);
    expect(disk.effects.at(-1)).toMatchObject({ kind: "rename", to: "identity" });
    killed.kill("a");
    goOn();
    const next = new VirtualCluster(["a"]);
    next.open("a", disk.mount());
    const found = stateOf(EMPTY_IMAGE);
    let images = 0;
    for (const effect of disk.effects) {
      applyEffect(found, effect);
      for (const { image, keeps } of imagesOf(found, { tears: 0 })) {
        const again = new VirtualCluster(["a"]);
        const after = new RecordingDisk<never>(stateOf(image));
        expect(() => again.open("a", after.mount()), keeps).not.toThrow();
        images += 1;
      }
    }
    expect(images).toBeGreaterThan(20);
  });

  test("makes the names of snapshots durable before the log may build on them", () => {
    const { disk, goOn } = stopsAt("syncDirectory", "snapshots");
    const { store } = atOnce(() => openSnapshots(disk.mount(), OWNER));
    const members = [{ id: "a#1", name: "a", address: "a:1" }];
    const configuration = { voters: ["a#1"], votersOutgoing: [], learners: [], members, leases: false, staged: null };
    const writing = store.begin({ lastIncludedIndex: 9, lastIncludedTerm: 1, configuration, configurationIndex: 0 });
    writing.finish(() => expect.fail("the folder was never synced"));
    expect(disk.effects.at(-1)?.kind).toBe("rename");
    goOn();
    const { newest, tidy } = atOnce(() => openSnapshots(disk.mount(), OWNER));
    expect(newest?.lastIncludedIndex).toBe(9);
    atOnce(tidy);
    const after = copyOf(disk.beginning);
    for (const effect of disk.effects) applyEffect(after, effect);
    const left = [...imagesOf(after, { tears: 0 })].map(({ image }) => [...image.files.keys()].length);
    expect(left).toEqual([1]);
  });
});

describe("on a real disk", () => {
  const folders: string[] = [];
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  /** The files of a virtual disk in a real folder, each with a time of its own. */
  function real(disk: BytesDisk, timeOf: (place: number) => Date): string {
    const folder = mkdtempSync(join(tmpdir(), "disk-faults-"));
    folders.push(folder);
    [...disk.files].forEach(([path, bytes], place) => {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), bytes);
      utimesSync(join(folder, path), timeOf(place), timeOf(place));
    });
    return folder;
  }

  function storageIn(folder: string): Promise<NodeStorage> {
    const clusterId = clusterIdOf(["a"], "");
    const random = { nextUint32: (): number => 1 };
    return new Promise((resolve, reject) =>
      runTask(
        () => openStorage({ disk: createDisk(folder), clock: STILL_CLOCK, random, clusterId, name: "a", segmentBytes: 65_536 }),
        (error, storage) => (storage === null ? reject(error ?? new Error("nothing was opened")) : resolve(storage)),
      ),
    );
  }

  const closed = (storage: NodeStorage): Promise<void> => new Promise((done) => storage.close(done));

  test("D31 the times of files mean nothing: forwards, backwards or in the future, the same is found", async () => {
    const { disk } = pastOf(30, 10);
    const digests: string[] = [];
    for (const timeOf of [
      (place: number): Date => new Date(1e12 + place * 1000),
      (place: number): Date => new Date(2e12 - place * 1000),
      (): Date => new Date(0),
    ]) {
      const storage = await storageIn(real(disk, timeOf));
      const { hardState, start, entries } = storage.recovered;
      digests.push(
        JSON.stringify([hardState, start, entries.map(({ index, term }) => [index, term]), storage.snapshot?.lastIncludedIndex]),
      );
      await closed(storage);
    }
    expect(new Set(digests).size).toBe(1);
  });

  test("D29 a second one on the same directory is refused, and the first one keeps it", async () => {
    const folder = real(pastOf(3).disk, () => new Date());
    const first = await storageIn(folder);
    await expect(storageIn(folder)).rejects.toThrow(/another process uses this data directory: stop it first/);
    await closed(first);
    await closed(await storageIn(folder));
  });
});
