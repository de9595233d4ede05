/**
 * The reference accepts what the core does in random hostile worlds, and refuses each of many things that Raft forbids, each
 * made by changing a single thing in a trace that was accepted. `REFERENCE_SEEDS=10000` takes more worlds,
 * `REFERENCE_FIRST_SEED` others.
 */
import { describe, expect, it } from "vitest";
import { Reference, type TraceRecord } from "../../../src/sim/reference/index.js";
import type { Corruption } from "./corruption.js";
import { DISKS, SNAPSHOTS } from "./corruptions-disk.js";
import { ELECTIONS } from "./corruptions-elections.js";
import { COMMITMENT, REPLICATION } from "./corruptions-log.js";
import { READS } from "./corruptions-reads.js";
import { DISCARDS, REPAIR } from "./corruptions-repair.js";
import { MEMBERSHIP, oneByOne, rolledBack, throughJoint } from "./membership-traces.js";
import { around, judge, randomTrace, type Trace } from "./traces.js";
import { View } from "./view.js";

const seeds = Number(process.env["REFERENCE_SEEDS"] ?? 100);
const firstSeed = Number(process.env["REFERENCE_FIRST_SEED"] ?? 1);

describe("the reference and the core", () => {
  // The limit only catches a hang.
  it(`agree over ${seeds} random worlds`, { timeout: 120_000 + 1000 * seeds }, () => {
    const kinds = new Map<string, number>();
    for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
      const trace = randomTrace(seed, 2000, seed % 2 === 0 ? "longTurns" : "shortTurns", { damages: seed % 5 < 2 });
      const { refusal, place } = judge(trace);
      if (refusal !== null) throw new Error(`seed ${seed}, record ${place}: ${refusal}\n${around(trace, place)}`);
      for (const { type } of trace) kinds.set(type, (kinds.get(type) ?? 0) + 1);
    }
    // Worlds in which nothing happens would prove nothing.
    for (const kind of [
      "stop",
      "recovered",
      "logTruncated",
      "snapshotInstalled",
      "logCompacted",
      "readConfirmed",
      "commitAdvanced",
    ])
      expect(kinds.get(kind), kind).toBeGreaterThan(seeds / 8);
  });

  it(`agree over ${seeds} random worlds in which the members change`, { timeout: 120_000 + 1000 * seeds }, () => {
    const kinds = new Map<string, number>();
    for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
      const trace = randomTrace(seed, 2000, seed % 2 === 0 ? "longTurns" : "shortTurns", {
        membership: true,
        damages: seed % 5 < 2,
      });
      const { refusal, place } = judge(trace);
      if (refusal !== null) throw new Error(`seed ${seed}, record ${place}: ${refusal}\n${around(trace, place)}`);
      for (const { type } of trace) kinds.set(type, (kinds.get(type) ?? 0) + 1);
    }
    for (const kind of ["configurationChanged", "logTruncated", "snapshotInstalled", "commitAdvanced"])
      expect(kinds.get(kind), kind).toBeGreaterThan(seeds / 8);
  });
});

describe("what the reference remembers", () => {
  it("are the entries that some node still has, and terms that some node is not beyond", () => {
    const reference = new Reference();
    const view = new View();
    let most = 0;
    let terms = 0;
    for (const record of randomTrace(3, 20_000, "shortTurns")) {
      expect(reference.accept(record)).toBeNull();
      view.follow(record);
      const nodes = [...view.nodes.values()];
      most = Math.max(most, ...nodes.map(({ last }) => last));
      // Also what was cut off: it may still be on some disk.
      expect(reference.remembered.entries).toBeLessThanOrEqual(most - Math.min(...nodes.map(({ logStart }) => logStart)));
      terms = Math.max(terms, ...nodes.map(({ term }) => term));
    }
    // Much came and went.
    expect(most).toBeGreaterThan(2 * reference.remembered.entries);
    expect(terms).toBeGreaterThan(2 * reference.remembered.terms);
  });
});

describe("the reference and changes of membership by hand", () => {
  it.each([0, 3])("agree, after %d campaigns that were lost", (lost) => {
    for (const { records } of [throughJoint(lost), rolledBack(lost), oneByOne(lost)]) {
      const { refusal, place } = judge(records);
      expect(refusal, around(records, place)).toBeNull();
    }
  });
});

// ---- Corruptions ----

/** Two places a trace, so that no trace is all the evidence. */
const PLACES = 2;
const TRACES = 3;

const worlds: readonly Trace[] = Array.from({ length: 90 }, (_, seed) => randomTrace(5000 + seed, 3000, "shortTurns"));
const damaged: readonly Trace[] = Array.from({ length: 120 }, (_, seed) =>
  randomTrace(9000 + seed, 3000, "shortTurns", { damages: true }),
);
const byHand: readonly Trace[] = [0, 1, 5]
  .flatMap((lost) => [throughJoint(lost), rolledBack(lost), oneByOne(lost)])
  .map(({ records }) => records);

/** The trace with the corruption at each of a few places. */
function* corrupted(
  { change }: Corruption,
  trace: Trace,
): Generator<{ readonly records: readonly TraceRecord[]; readonly at: number }> {
  const view = new View();
  let places = 0;
  for (const [at, record] of trace.entries()) {
    const instead = change(record, { trace, at, view, node: view.node(record.node) });
    if (instead !== null) {
      yield { records: [...trace.slice(0, at), ...instead, ...trace.slice(at + 1)], at };
      places += 1;
      if (places === PLACES) return;
    }
    view.follow(record);
  }
}

function expectRefused(corruption: Corruption, traces: readonly Trace[], enough: number): void {
  let tried = 0;
  for (const trace of traces) {
    let found = false;
    for (const { records, at } of corrupted(corruption, trace)) {
      found = true;
      const { refusal, place } = judge(records);
      if (refusal === null) throw new Error(`accepted, with the corruption at ${at}:\n${around(records, at)}`);
      expect(corruption.rules, `${refusal}\n${around(records, place)}`).toContain(refusal.slice(0, refusal.indexOf(":")));
    }
    if (found) tried += 1;
    if (tried === enough) return;
  }
  throw new Error(`only ${tried} traces have a place for it`);
}

describe.each([
  ["elections", ELECTIONS, worlds, TRACES],
  ["replication", REPLICATION, worlds, TRACES],
  ["commitment and application", COMMITMENT, worlds, TRACES],
  ["disks and restarts", DISKS, worlds, TRACES],
  ["snapshots", SNAPSHOTS, worlds, TRACES],
  ["reads", READS, worlds, TRACES],
  ["membership", MEMBERSHIP, byHand, TRACES],
  ["lost entries and their repair", REPAIR, damaged, TRACES],
  ["lost entries and their repair", DISCARDS, damaged, 1],
])("the reference refuses, of %s,", (_name, corruptions, traces, enough) => {
  it.each(corruptions.map((corruption): [string, Corruption] => [corruption.name, corruption]))("%s", (_what, corruption) => {
    expectRefused(corruption, traces, enough);
  });
});
