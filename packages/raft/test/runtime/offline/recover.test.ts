/** A cluster goes on with one member when the others are lost for good; and a backup becomes a cluster again. */
import { describe, expect, test } from "vitest";
import { clusterIdOf, crc32c, hexadecimal, Refusal, runTask } from "../../../src/runtime/index.js";
import { backUpDirectory, readBackup, restoreBackup } from "../../../src/runtime/offline/backup.js";
import { BackupReader } from "../../../src/runtime/offline/backup-file.js";
import { worstOf } from "../../../src/runtime/offline/finding.js";
import { lookForRecovery, type RecoveryRequest, recoverDirectory } from "../../../src/runtime/offline/recover.js";
import { scanDirectory } from "../../../src/runtime/offline/scan-directory.js";
import type { Disk } from "../../../src/runtime/ports.js";
import { openStorage } from "../../../src/runtime/storage-binding.js";
import { atOnce, STILL_CLOCK } from "../../../src/sim/crash-points/at-once.js";
import { applyEffect, copyOf, stateOf } from "../../../src/sim/crash-points/disk-state.js";
import { imagesOf } from "../../../src/sim/crash-points/images.js";
import { RecordingDisk } from "../../../src/sim/crash-points/recording-disk.js";
import { SeededRandom } from "../../../src/sim/random.js";
import { BytesDisk, flip } from "../storage/bytes-disk.js";
import { type Past, pastOf, SECOND, VirtualCluster } from "../storage/virtual-cluster.js";

const NEW: RecoveryRequest = { name: "d", address: "d:7000", token: "", dropAfter: null };
const portsOf = (seed: number): { clock: typeof STILL_CLOCK; random: SeededRandom } => ({
  clock: STILL_CLOCK,
  random: new SeededRandom(seed, 1),
});

/** Every file but the locks, short enough to compare quickly. */
const contents = (disk: BytesDisk): string[] => [...disk.files].map(([path, bytes]) => `${path} ${crc32c(bytes)}`).sort();

/** The node starts in this directory, alone, and has these operations; it goes on writing. */
function goesOn(disk: Disk, operations: readonly number[]): void {
  const cluster = new VirtualCluster(["d"]);
  cluster.open("d", disk);
  cluster.untilLeader();
  expect(cluster.operationsOf("d")).toEqual(operations);
  expect(
    cluster.nodes
      .get("d")
      ?.host.status()
      .members.map(({ name }) => name),
  ).toEqual(["d"]);
  cluster.operation = operations.length;
  cluster.write("d", 3);
  cluster.kill("d");
}

function disksOfThree(write: (cluster: VirtualCluster, leader: string) => void): {
  readonly disks: ReadonlyMap<string, BytesDisk>;
  readonly acknowledged: readonly number[];
  readonly leader: string;
} {
  const cluster = new VirtualCluster(["a", "b", "c"]);
  const disks = new Map(["a", "b", "c"].map((name) => [name, new BytesDisk()]));
  for (const [name, disk] of disks) cluster.start(name, disk);
  const leader = cluster.untilLeader();
  write(cluster, leader);
  for (const name of disks.keys()) cluster.kill(name);
  return { disks: new Map([...disks].map(([name, disk]) => [name, disk.copy()])), acknowledged: cluster.acknowledged, leader };
}

const diskOf = (disks: ReadonlyMap<string, BytesDisk>, name: string): BytesDisk => disks.get(name) ?? new BytesDisk();

describe("recover", () => {
  test("each member of three can be the one that is left; what was acknowledged is there, and the old ones are strangers", () => {
    const { disks, acknowledged } = disksOfThree((cluster, leader) => {
      cluster.write(leader, 40);
      cluster.untilEqual();
    });
    for (const [name, disk] of disks) {
      const before = contents(disk);
      const target = new BytesDisk();
      const made = atOnce(() => recoverDirectory(disk, target, portsOf(3), NEW));
      expect(made.plan).toMatchObject({
        wasVoter: true,
        dropped: null,
        leftBehind: ["a", "b", "c"].filter((each) => each !== name),
      });
      expect(made.plan.snapshotIndex).toBeGreaterThan(0);
      expect(made.incarnation).not.toBe(atOnce(() => scanDirectory(disk)).identity?.incarnation);
      // The old directory has all that it had, and a word that nobody may start there.
      expect(contents(disk).filter((each) => !each.startsWith("do-not-start"))).toEqual(before);
      const again = new VirtualCluster(["a", "b", "c"]);
      expect(() => again.open(name, disk)).toThrow(
        /must not be started \(recovered: the cluster of this directory goes on as cluster/,
      );
      const looked = atOnce(() => scanDirectory(target));
      expect(worstOf(looked.findings)).toBe("note");
      expect(looked.identity?.incarnation).toBe(made.incarnation);
      expect(hexadecimal(made.clusterId)).toBe(made.plan.newClusterId);
      goesOn(target, acknowledged);
    }
  });

  test("an entry that is not known to be committed is kept, and said", () => {
    const { disks, leader } = disksOfThree((cluster, leading) => {
      cluster.write(leading, 5);
      cluster.untilEqual();
      for (const name of ["a", "b", "c"]) if (name !== leading) cluster.kill(name);
      cluster.propose(leading);
      cluster.pass(SECOND / 50);
    });
    const disk = diskOf(disks, leader);
    const target = new BytesDisk();
    const { plan } = atOnce(() => recoverDirectory(disk, target, portsOf(3), NEW));
    expect(plan.keptUnknown?.last).toBe(plan.last.index);
    expect(plan.knownCommitted).toBeLessThan(plan.last.index);
    goesOn(target, [1, 2, 3, 4, 5, 6]);
  });

  const past: Past = pastOf(5, 5);
  const segmentOf = (disk: BytesDisk): string => [...disk.files.keys()].filter((path) => path.endsWith(".segment")).at(-1) ?? "";

  test("an entry that can't be read: refused; with the loss said, what is before it is kept", () => {
    const disk = past.disk.copy();
    const whole = atOnce(() => scanDirectory(disk, () => true));
    const snapshotIndex = whole.snapshots[0]?.lastIncludedIndex ?? 0;
    const victim = whole.entries.find(
      ({ index, type, path }) => index > snapshotIndex + 1 && type === "command" && path === segmentOf(disk),
    );
    if (victim?.data == null) throw new Error("no entry to damage");
    const at = Buffer.from(disk.bytesOf(victim.path)).indexOf(Buffer.from(victim.data));
    flip(disk.bytesOf(victim.path), at, 8);
    const before = contents(disk);
    const refused = (): unknown => atOnce(() => recoverDirectory(disk, new BytesDisk(), portsOf(1), NEW));
    expect(refused).toThrow(Refusal);
    expect(refused).toThrow(new RegExp(`entry ${victim.index} can't be read .*say --drop-after ${victim.index - 1}`));
    const wanted = { ...NEW, dropAfter: victim.index - 1 };
    const plan = atOnce(() => lookForRecovery(disk, wanted));
    expect(plan.dropped).toMatchObject({ first: victim.index, committed: plan.knownCommitted >= victim.index - 1 });
    expect(plan.last.index).toBe(victim.index - 1);
    expect(contents(disk)).toEqual(before);
    const target = new BytesDisk();
    atOnce(() => recoverDirectory(disk, target, portsOf(1), wanted));
    const kept = whole.entries.filter(({ index, type }) => type === "command" && index < victim.index).length;
    expect(kept).toBeGreaterThan(0);
    const cluster = new VirtualCluster(["d"]);
    cluster.open("d", target);
    cluster.untilLeader();
    const there = cluster.operationsOf("d");
    expect(there).toEqual(past.acknowledged.slice(0, there.length));
    expect(there.length).toBeLessThan(past.acknowledged.length);
  });

  test("the newest snapshot is damaged: the older one and the log are used", () => {
    const long = pastOf(30, 10);
    const disk = long.disk.copy();
    const newest =
      [...disk.files.keys()]
        .filter((path) => path.endsWith(".snapshot"))
        .sort()
        .at(-1) ?? "";
    flip(disk.bytesOf(newest), 4096 + 60, 1);
    const target = new BytesDisk();
    atOnce(() => recoverDirectory(disk, target, portsOf(1), NEW));
    goesOn(target, long.acknowledged);
  });

  test("refused: nothing there, the old cluster's id, an index that can't be, a directory that is not empty", () => {
    const { disk } = past;
    const attempt = (request: Partial<RecoveryRequest>, from = disk.copy(), into: Disk = new BytesDisk()): unknown =>
      atOnce(() => recoverDirectory(from, into, portsOf(1), { ...NEW, ...request }));
    expect(() => attempt({}, new BytesDisk())).toThrow(/holds no state of a cluster/);
    expect(() => attempt({ name: "a" })).toThrow(/would have the id of the old one/);
    expect(() => attempt({ dropAfter: 0 })).toThrow(/the snapshot holds everything up to \d+ in one piece/);
    expect(() => attempt({ dropAfter: 10_000 })).toThrow(/the log ends at/);
    const full = pastOf(1).disk;
    const before = contents(full);
    expect(() => attempt({}, disk.copy(), full)).toThrow(/is not empty/);
    expect(contents(full)).toEqual(before);
  });

  test("a crash at any moment: a node does not start there until all is there, and a second attempt gives the same", () => {
    const recording = new RecordingDisk<never>();
    const source = pastOf(12).disk;
    atOnce(() => recoverDirectory(source.copy(), recording.mount(), portsOf(5), NEW));
    const wholeOf = (disk: Disk): string => {
      const { entries, snapshots, last, hardState } = atOnce(() => scanDirectory(disk, () => true));
      return JSON.stringify([
        entries.map(({ index, term, type, data }) => [index, term, type, type === "command" && data !== null ? crc32c(data) : 0]),
        snapshots.map(({ path, bytes }) => [path, bytes]),
        last,
        hardState,
      ]);
    };
    const state = copyOf(recording.beginning);
    const outcomes = new Map<string, number>();
    const images: { readonly keeps: string; readonly files: Map<string, Uint8Array> }[] = [];
    for (const effect of recording.effects) {
      applyEffect(state, effect, true);
      for (const { image, keeps } of imagesOf(state, {
        tears: 2,
        unread: (path) => path.endsWith(".tmp") && path !== "do-not-start.tmp",
      }))
        if (images.length < 100_000)
          images.push({ keeps: `${JSON.stringify(effect.kind)}: ${keeps}`, files: new Map(image.files) });
    }
    const last = new RecordingDisk<never>(state);
    const expected = wholeOf(last.mount());
    const step = Math.max(1, Math.floor(images.length / 400));
    for (const [place, { keeps, files }] of images.entries()) {
      if (place % step !== 0 && place < images.length - 40) continue;
      const image = { files, folders: new Set(["", "log", "snapshots"]) };
      const found = startOf(new RecordingDisk<never>(stateOf(image)).mount());
      outcomes.set(found, (outcomes.get(found) ?? 0) + 1);
      const disk = new RecordingDisk<never>(stateOf(image));
      try {
        atOnce(() => recoverDirectory(source.copy(), disk.mount(), portsOf(6), NEW));
        expect(found, keeps).not.toBe("recovered");
      } catch (error) {
        // It is complete: nothing is written over.
        expect(String(error), keeps).toMatch(/is not empty/);
        expect(found, keeps).toBe("recovered");
      }
      expect(wholeOf(disk.mount()), keeps).toBe(expected);
    }
    expect(outcomes.get("blocked")).toBeGreaterThan(50);
    expect(outcomes.get("recovered")).toBeGreaterThan(0);
    // Before the word is durable there is nothing at all.
    expect([...outcomes.keys()].sort()).toEqual(["blocked", "fresh", "recovered"]);
  }, 120_000);
});

/** What a node finds that is started there. */
function startOf(disk: Disk): string {
  let outcome = "nothing";
  runTask(
    () =>
      openStorage({
        disk,
        clock: STILL_CLOCK,
        random: new SeededRandom(9, 9),
        clusterId: clusterIdOf(["d"], ""),
        name: "d",
        segmentBytes: 65_536,
      }),
    (error, storage) => {
      if (error !== null) outcome = /must not be started \(unfinished/.test(error.message) ? "blocked" : error.message;
      else outcome = storage?.snapshot != null && storage.recovered.hardState.currentTerm > 0 ? "recovered" : "fresh";
    },
  );
  return outcome;
}

describe("backup and restore", () => {
  const { disk, acknowledged } = pastOf(30, 10);
  const OPTIONS = { uncommitted: true, takenAt: "2026-01-01" };

  test("what was backed up is there again, in another cluster", () => {
    const shelf = new BytesDisk();
    const backup = atOnce(() => backUpDirectory(disk.copy(), shelf, "one.backup", OPTIONS));
    expect(backup).toMatchObject({ leftOut: null, head: { name: "a", takenAt: "2026-01-01" } });
    expect([backup.snapshotBytes > 0, backup.entries > 0, backup.bytes]).toEqual([
      true,
      true,
      shelf.bytesOf("one.backup").length,
    ]);
    expect([...shelf.files.keys()]).toEqual(["one.backup"]);
    // etcdctl saves nothing of another length.
    expect(backup.bytes % 512).toBe(32);
    const target = new BytesDisk();
    atOnce(() => restoreBackup(shelf, "one.backup", target, portsOf(2), NEW));
    expect(worstOf(atOnce(() => scanDirectory(target)).findings)).toBe("note");
    goesOn(target, acknowledged);
    expect(() => atOnce(() => backUpDirectory(disk.copy(), shelf, "one.backup", OPTIONS))).toThrow(/never replaces a file/);
  });

  test("a state without a snapshot", () => {
    const small = pastOf(3);
    const shelf = new BytesDisk();
    const backup = atOnce(() => backUpDirectory(small.disk, shelf, "b", OPTIONS));
    expect([backup.snapshotBytes, backup.head.snapshot.index]).toEqual([0, 0]);
    const target = new BytesDisk();
    atOnce(() => restoreBackup(shelf, "b", target, portsOf(2), NEW));
    goesOn(target, small.acknowledged);
  });

  test("without being told otherwise, only what is known to be committed", () => {
    const {
      disks,
      leader,
      acknowledged: written,
    } = disksOfThree((cluster, leading) => {
      cluster.write(leading, 5);
      cluster.untilEqual();
      for (const name of ["a", "b", "c"]) if (name !== leading) cluster.kill(name);
      cluster.propose(leading);
      cluster.pass(SECOND / 50);
    });
    const shelf = new BytesDisk();
    const backup = atOnce(() => backUpDirectory(diskOf(disks, leader), shelf, "b", { ...OPTIONS, uncommitted: false }));
    expect(backup.leftOut).not.toBeNull();
    expect(backup.leftOut?.first).toBe(backup.last.index + 1);
    const target = new BytesDisk();
    atOnce(() => restoreBackup(shelf, "b", target, portsOf(2), NEW));
    goesOn(target, written);
  });

  test("a backup that is damaged or cut off anywhere is refused, and nothing is made of it", () => {
    const shelf = new BytesDisk();
    atOnce(() => backUpDirectory(disk.copy(), shelf, "b", OPTIONS));
    const whole = shelf.bytesOf("b");
    const refused = (bytes: Uint8Array, what: string): void => {
      shelf.files.set("b", bytes);
      const target = new BytesDisk();
      expect(() => atOnce(() => restoreBackup(shelf, "b", target, portsOf(2), NEW)), what).toThrow(
        /it is no whole backup, and nothing was done with it/,
      );
      expect([...target.files.keys()], what).toEqual([]);
    };
    const step = Math.max(1, Math.floor(whole.length / 500));
    for (let at = 0; at < whole.length; at += at < 100 ? 1 : step) {
      const flipped = whole.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      refused(flipped, `flipped at ${at}`);
      refused(whole.slice(0, at), `cut at ${at}`);
    }
    refused(Uint8Array.of(...whole, 0), "one byte more");
    refused(Buffer.from("no backup at all"), "a text");
    shelf.files.set("b", whole);
    expect(atOnce(() => readBackup(shelf, "b")).bytes).toBe(whole.length);
  });

  test("chunks of any size are the same to its reader", () => {
    const shelf = new BytesDisk();
    const { bytes } = atOnce(() => backUpDirectory(disk.copy(), shelf, "b", OPTIONS));
    for (const size of [1, 7, 100, 65_536, bytes]) {
      const reader = new BackupReader();
      for (let at = 0; at < bytes; at += size) reader.push(shelf.bytesOf("b").subarray(at, at + size));
      expect(reader.finish().bytes).toBe(bytes);
    }
  });

  test("refused: a directory that is not empty, the old cluster's id, a damaged directory", () => {
    const shelf = new BytesDisk();
    atOnce(() => backUpDirectory(disk.copy(), shelf, "b", OPTIONS));
    const full = pastOf(1).disk;
    expect(() => atOnce(() => restoreBackup(shelf, "b", full, portsOf(2), NEW))).toThrow(/is not empty/);
    expect(() => atOnce(() => restoreBackup(shelf, "b", new BytesDisk(), portsOf(2), { ...NEW, name: "a" }))).toThrow(
      /choose another/,
    );
    const damaged = pastOf(5).disk;
    const found = atOnce(() => scanDirectory(damaged, () => true));
    const victim = found.entries.find(({ type }) => type === "command");
    const at = Buffer.from(damaged.bytesOf(victim?.path ?? "")).indexOf(Buffer.from(victim?.data ?? []));
    flip(damaged.bytesOf(victim?.path ?? ""), at, 1);
    expect(() => atOnce(() => backUpDirectory(damaged, shelf, "c", OPTIONS))).toThrow(/can't be read/);
    expect([...shelf.files.keys()]).toEqual(["b"]);
  });
});
