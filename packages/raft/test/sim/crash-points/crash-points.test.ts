/**
 * A crash after every effect of scripted workloads, times everything that the disk may keep: whatever was promised is found, no
 * crash is taken for damage, and a crash of the recovery leaves the same or an older safe state. And builds with a
 * mistake are caught.
 *
 * Every effect, every unsynced sector (lost alone, kept alone) and every beginning of the changes of names is tried. Sampled in
 * this short run are the bytes at which a write is cut, and the recoveries that are crashed themselves. With CRASH_SEEDS
 * (`npm run test:crash -- --seeds 5`) the workloads are longer, every cut of the log, the identity and the snapshots is tried,
 * and a kill after every effect; for whole nodes, whose files are the same, the cuts stay sampled.
 */
import { describe, expect, test } from "vitest";
import {
  type CrashCase,
  type CrashPlan,
  type CrashReport,
  identityCase,
  logCase,
  memberCase,
  nodeCase,
  runCrashPoints,
  snapshotCase,
} from "../../../src/sim/index.js";
import { answersBeforeItSyncs, doesNotSyncBatches, doesNotSyncFolder, namesBeforeItSyncs } from "./wrong-disks.js";

const seeds = Number(process.env["CRASH_SEEDS"] ?? 1);
const HANG_MS = 1_200_000 * seeds;
const firstSeed = Number(process.env["CRASH_FIRST_SEED"] ?? 2);
const isLong = process.env["CRASH_SEEDS"] !== undefined;

/** The log, the identity and the snapshots by themselves. */
const FILES: CrashPlan = isLong
  ? { tears: Number.POSITIVE_INFINITY, secondCrashEvery: 29, secondTears: 4, killEvery: 1 }
  : { tears: 24, secondCrashEvery: 60, secondTears: 2, killEvery: 5 };
/** Whole nodes, whose starts take longer. */
const NODES: CrashPlan = isLong
  ? { tears: 24, secondCrashEvery: 199, secondTears: 0, killEvery: 1 }
  : { tears: 2, secondCrashEvery: 500, secondTears: 0, killEvery: 29 };

/** Runs it, says how much was looked at, and throws the first complaint. */
function held<Ledger, Found>(of: CrashCase<Ledger, Found>, how: CrashPlan): CrashReport {
  const report = runCrashPoints(of, how);
  const { name, operations, effects, images, secondCrashes, secondImages, complaint } = report;
  if (complaint !== null) throw new Error(complaint);
  console.log(
    `${name}: ${operations} operations, ${effects} effects, ${images} crashes; ${secondCrashes} recoveries crashed, ${secondImages} times`,
  );
  return report;
}

const eachSeed = (body: (seed: number) => void): void => {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) body(seed);
};

describe("after a crash at any effect, whatever the disk keeps,", () => {
  test("the log holds what it called durable", { timeout: HANG_MS }, () => {
    eachSeed((seed) => {
      const log = logCase({ seed, operations: isLong ? 1500 : 700 });
      const report = held(log, FILES);
      for (const [shape, count] of log.shapes) expect(count, shape).toBeGreaterThan(0);
      expect(report.effects).toBeGreaterThan(200);
      expect(report.secondCrashes).toBeGreaterThan(20);
      const removals = log.recording.effects.filter((effect) => effect.kind === "remove" && effect.path.endsWith(".segment"));
      expect(removals.length).toBeGreaterThan(5);
    });
  });

  test("the identity is the newest that was reported, or a newer one", { timeout: HANG_MS }, () => {
    const report = held(identityCase({ operations: 300 }), { ...FILES, tears: Number.POSITIVE_INFINITY, killEvery: 1 });
    expect(report.effects).toBeGreaterThan(200);
  });

  test("the snapshots are whole, and the two newest are there", { timeout: HANG_MS }, () => {
    eachSeed((seed) => {
      const report = held(snapshotCase({ seed, operations: isLong ? 2000 : 800 }), FILES);
      expect(report.effects).toBeGreaterThan(200);
    });
  });

  test("a node that is alone honours terms, votes, entries and acknowledgements", { timeout: HANG_MS }, () => {
    eachSeed((seed) => {
      const node = nodeCase({ seed, operations: isLong ? 900 : 500 });
      const report = held(node, NODES);
      expect(report.effects).toBeGreaterThan(200);
      const { effects } = node.recording;
      const named = (suffix: string): number =>
        effects.filter((effect) => effect.kind === "rename" && effect.to.endsWith(suffix)).length;
      expect(named(".segment")).toBeGreaterThan(3);
      expect(named(".snapshot")).toBeGreaterThan(3);
    });
  });

  test("a member honours what left it, also where it took over a snapshot", { timeout: HANG_MS }, () => {
    eachSeed((seed) => {
      for (const slowLog of isLong ? [1, 4, 12] : [2]) {
        const member = memberCase({ seed, operations: isLong ? 800 : 450, slowLog });
        const report = held(member, NODES);
        expect(report.effects).toBeGreaterThan(200);
        expect(member.happened.get("snapshotInstalled")).toBeGreaterThan(0);
        expect(member.happened.get("logTruncated")).toBeGreaterThan(0);
        expect(member.happened.get("killed while installing")).toBeGreaterThan(0);
      }
    });
  });
});

/** What the crash points say of a build with a mistake. */
function caught<Ledger, Found>(of: CrashCase<Ledger, Found>): string {
  const { complaint, images } = runCrashPoints(of, { tears: 2, secondCrashEvery: 100, secondTears: 0, killEvery: 100 });
  return complaint ?? `nothing was found in ${images} crashes`;
}

describe("is caught: a build that", () => {
  const log = (wrap: Parameters<typeof logCase>[0]["wrap"] & {}): string => caught(logCase({ seed: 1, operations: 300, wrap }));
  const snapshots = (wrap: Parameters<typeof logCase>[0]["wrap"] & {}): string =>
    caught(snapshotCase({ seed: 1, operations: 200, wrap }));

  test("does not sync the batches of the log", () => {
    expect(log(doesNotSyncBatches)).toMatch(/^the log, seed 1: a crash after effect \d+ .*batch \d+ was called durable/);
    expect(caught(nodeCase({ seed: 1, operations: 200, wrap: doesNotSyncBatches }))).toMatch(/durable|acknowledged/);
    expect(caught(memberCase({ seed: 1, operations: 250, wrap: doesNotSyncBatches }))).toMatch(
      /comes back|acknowledged|voted|has forgotten/,
    );
  });

  test("calls a batch durable before it is synced", () => {
    expect(log(answersBeforeItSyncs)).toMatch(
      /^the log, seed 1: a crash after effect \d+ .*(was called durable|it is not opened)/,
    );
    expect(caught(memberCase({ seed: 1, operations: 250, wrap: answersBeforeItSyncs }))).toMatch(
      /^a member of three, seed 1: a crash after/,
    );
  });

  test("gives a segment its name before its content is synced", () => {
    expect(log(namesBeforeItSyncs("log"))).toMatch(/\(rename of log\/prepared\.tmp .*it is not opened: .* is damaged/);
  });

  test("does not sync the folder of the log", () => {
    expect(log(doesNotSyncFolder("log"))).toMatch(/no change of names: .*was called durable/);
    expect(caught(nodeCase({ seed: 1, operations: 200, wrap: doesNotSyncFolder("log") }))).toMatch(/its log is gone|was durable/);
  });

  test("gives the identity its name before its content is synced", () => {
    expect(caught(identityCase({ operations: 60, wrap: namesBeforeItSyncs("") }))).toMatch(/is damaged in both copies/);
  });

  test("does not sync the folder of the identity", () => {
    expect(caught(identityCase({ operations: 60, wrap: doesNotSyncFolder("") }))).toMatch(/boot -1 is found, between 0 and/);
    expect(caught(nodeCase({ seed: 1, operations: 200, wrap: doesNotSyncFolder("") }))).toMatch(/holds a log but no identity/);
  });

  test("gives a snapshot its name before its content is synced", () => {
    expect(snapshots(namesBeforeItSyncs("snapshots"))).toMatch(/damage is found where nothing but a crash was/);
  });

  test("does not sync the folder of the snapshots", () => {
    expect(snapshots(doesNotSyncFolder("snapshots"))).toMatch(/the snapshot at \d+ was reported and is gone/);
  });
});
