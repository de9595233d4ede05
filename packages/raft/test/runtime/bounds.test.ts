/** What a node keeps stays within stated bounds (docs/limits.md), whatever its peers, callers and state machine do. */
import { expect, test } from "vitest";
import type { AppendEntries, Entry } from "../../src/core/index.js";
import type { Raft } from "../../src/core/raft.js";
import { NodeHost, type RaftError } from "../../src/runtime/index.js";
import { checkNodeOptions } from "../../src/runtime/options.js";
import { submitProposal } from "../../src/runtime/requests.js";
import { compactionPoint } from "../../src/runtime/trailing.js";
import { Platter, Registers, Scheduler, SeededRandom, VirtualClock, VirtualNetwork } from "../../src/sim/index.js";
import { NodeBench } from "./node-bench.js";
import { BytesDisk } from "./storage/bytes-disk.js";

test("what is kept behind a snapshot is bounded in entries and in bytes", () => {
  const raftWith = (start: number, snapshot: number, bytes: number): Raft => {
    const raft = {
      snapshot: { lastIncludedIndex: snapshot },
      logStart: { index: start, term: 1 },
      entryAt: (index: number): Entry => ({ index, term: 1, type: "command", data: new Uint8Array(bytes) }),
    };
    return raft as unknown as Raft;
  };
  const at = (raft: Raft, trailingEntries: number, maxTrailingBytes: number): number =>
    compactionPoint(raft, raft.snapshot.lastIncludedIndex, { trailingEntries, maxTrailingBytes });
  expect(at(raftWith(0, 100, 10), 20, 1000)).toBe(80);
  expect(at(raftWith(0, 100, 10), 20, 100)).toBe(90);
  expect(at(raftWith(0, 100, 10), 20, 99)).toBe(91);
  expect(at(raftWith(0, 100, 10), 20, 0)).toBe(100);
  expect(at(raftWith(0, 100, 10), 0, 1000)).toBe(100);
  expect(at(raftWith(95, 100, 10), 20, 1000)).toBe(95);
  expect(at(raftWith(0, 100, 0), 1000, 0)).toBe(0);
});

test("commands are refused while the state machine is too far behind, by the node itself and by its leader", () => {
  const bench = new NodeBench(new BytesDisk(), ["a", "b", "c"], { maxApplyLag: 3 });
  bench.found();
  const append = (from: number, to: number, commit: number): AppendEntries => ({
    type: "AppendEntries",
    term: 1,
    prevLogIndex: from - 1,
    prevLogTerm: from === 1 ? 0 : 1,
    entries: Array.from(
      { length: to - from + 1 },
      (_, place): Entry => ({ index: from + place, term: 1, type: "command", data: Uint8Array.of(1) }),
    ),
    leaderCommit: commit,
    leases: false,
  });
  const told: string[] = [];
  const submit = (): unknown =>
    submitProposal(bench.host, Uint8Array.of(1), undefined, (error: RaftError | null) =>
      told.push(`${error?.code}, ${error?.outcome}`),
    );
  // Committed by the others; this node's own disk is slow, and nothing is applied before it is durable here.
  bench.syncs.holds = true;
  bench.hears("b", append(1, 4, 3));
  submit();
  expect(told).toEqual([]);
  bench.hears("b", append(5, 6, 6));
  expect(bench.host.status()).toMatchObject({ commitIndex: 6, lastApplied: 0 });
  submit();
  expect(told).toEqual(["overloaded, not-executed"]);
  bench.syncs.release();
  bench.clock.run();
  expect(bench.host.status()).toMatchObject({ commitIndex: 6, lastApplied: 6 });
  submit();
  expect(told.length).toBe(1);
});

/** Every byte of the commands that a core holds. */
function bytesInMemory(raft: Raft): number {
  let sum = 0;
  for (let index = raft.logStart.index + 1; index <= raft.lastLogIndex; index += 1) sum += raft.entryAt(index)?.data.length ?? 0;
  return sum;
}

test("an hour with a follower dead: log and disk of the others stay within their bounds, and it catches up when it is back", () => {
  const scheduler = new Scheduler();
  const random = new SeededRandom(11);
  const network = new VirtualNetwork({ scheduler, random });
  const KIB = 1024;
  const names = ["a", "b", "c"];
  const limits = {
    snapshotLogBytes: 256 * KIB,
    snapshotLogEntries: 1000,
    trailingEntries: 100_000,
    maxTrailingBytes: 128 * KIB,
    segmentBytes: 64 * KIB,
  };
  const platters = new Map(names.map((name) => [name, new Platter({ scheduler, random, location: `/${name}` })]));
  let lives = 0;
  const start = (name: string): { readonly host: NodeHost<Registers>; readonly clock: VirtualClock } => {
    const clock = new VirtualClock(scheduler);
    const platter = platters.get(name);
    if (platter === undefined) throw new Error(name);
    lives += 1;
    const options = {
      id: name,
      cluster: names.map((each) => ({ name: each, address: `${each}:1` })),
      directory: name,
      stateMachine: () => new Registers(),
      heartbeatIntervalMs: 500,
      electionTimeoutMs: 2000,
      ...limits,
    };
    const host = new NodeHost<Registers>(
      checkNodeOptions(options),
      {
        clock,
        random: new SeededRandom(5, lives),
        disk: platter.mount((body) => clock.asNode(body)),
        transport: network.attach(`${name}:1`, clock),
      },
      options.stateMachine,
    );
    host.open((error) => expect(error).toBeNull());
    return { host, clock };
  };
  const nodes = new Map(names.map((name) => [name, start(name)]));
  const leader = (): NodeHost<Registers> | null =>
    [...nodes.values()].map(({ host }) => host).find((host) => host.status().role === "leader") ?? null;
  expect(scheduler.runUntil(() => leader() !== null, 60_000_000)).toBe(true);
  const dead = names.find((name) => nodes.get(name)?.host !== leader()) ?? "";
  nodes.get(dead)?.clock.kill();
  nodes.delete(dead);
  network.crash(`${dead}:1`);

  const command = new Uint8Array(4 * KIB);
  let written = 0;
  let most = 0;
  let mostOnDisk = 0;
  let mostSnapshots = 0;
  const HOUR_SECONDS = 3600;
  for (let second = 0; second < HOUR_SECONDS; second += 1) {
    const host = leader();
    if (host !== null)
      for (let each = 0; each < 2; each += 1)
        submitProposal(host, command, undefined, (error) => {
          if (error === null) written += command.length;
        });
    scheduler.runUntil(() => false, 1_000_000);
    for (const [name, { host: node }] of nodes) {
      if (node.running !== null) most = Math.max(most, bytesInMemory(node.running.raft));
      const platter = platters.get(name);
      const sizes = platter?.paths.filter((path) => path.endsWith(".segment") || path.endsWith(".tmp")).length ?? 0;
      mostSnapshots = Math.max(mostSnapshots, platter?.paths.filter((path) => path.endsWith(".snapshot")).length ?? 0);
      mostOnDisk = Math.max(mostOnDisk, sizes * limits.segmentBytes);
    }
  }
  // Far more went through than may stay.
  expect(written).toBeGreaterThan(25 * 1024 * KIB);
  const bound = limits.maxTrailingBytes + limits.snapshotLogBytes + 64 * KIB;
  expect(most).toBeGreaterThan(limits.maxTrailingBytes);
  expect(most).toBeLessThanOrEqual(bound);
  // On disk the log reaches back to the older of two snapshots, in whole segments that are never quite full.
  expect(mostOnDisk).toBeLessThanOrEqual(2 * (2 * limits.snapshotLogBytes + limits.maxTrailingBytes) + 3 * limits.segmentBytes);
  expect(mostSnapshots).toBeLessThanOrEqual(3);
  nodes.set(dead, start(dead));
  const caughtUp = (): boolean => {
    const [back, ahead] = [nodes.get(dead)?.host.status(), leader()?.status()];
    return back !== undefined && ahead !== undefined && back.lastApplied === ahead.lastApplied;
  };
  expect(scheduler.runUntil(caughtUp, 60_000_000)).toBe(true);
});
