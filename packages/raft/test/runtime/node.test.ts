/** Whole nodes, one at a time: what comes of snapshots, restarts, slow disks, pauses and bad commands. */
import { describe, expect, test } from "vitest";
import type { AppendEntries, Entry, SnapshotMetadata } from "../../src/core/index.js";
import { createFace, type RaftError } from "../../src/runtime/index.js";
import { readIdentity } from "../../src/runtime/storage/identity.js";
import { openSnapshots } from "../../src/runtime/storage/snapshot-store.js";
import { runTask, type Task } from "../../src/runtime/task.js";
import { NodeBench, POISON } from "./node-bench.js";
import { BytesDisk } from "./storage/bytes-disk.js";

const sequence = (count: number): readonly number[] => Array.from({ length: count }, (_, place) => place + 1);

/** A node alone that has applied 1 … count, one after the other, and was closed. */
function written(count: number, given: ConstructorParameters<typeof NodeBench>[2] = {}, bytes = 1): BytesDisk {
  const disk = new BytesDisk();
  const bench = new NodeBench(disk, ["a"], given);
  bench.lead();
  for (const value of sequence(count)) {
    bench.propose(value, [], undefined, bytes);
    bench.clock.run();
  }
  expect(bench.values).toEqual(sequence(count));
  bench.close();
  return disk;
}

/** The result of a task on a disk that answers at once. */
function now<T>(task: () => Task<T>): T {
  const got: { result?: T } = {};
  runTask(task, (error, result) => {
    if (error !== null) throw error;
    if (result !== null) got.result = result;
  });
  if (got.result === undefined) throw new Error("it did not end at once");
  return got.result;
}

/** Puts a snapshot into a closed directory, as if it had come from a leader. */
function putSnapshot(disk: BytesDisk, lastIncludedIndex: number, lastIncludedTerm: number, values: readonly number[]): void {
  const owner = now(() => readIdentity(disk));
  if (owner === null) throw new Error("the directory has no identity");
  const { store, newest } = now(() => openSnapshots(disk, owner));
  const configuration = newest?.configuration ?? new NodeBench(disk.copy()).host.running?.raft.configuration;
  if (configuration === undefined) throw new Error("there is no configuration");
  const metadata: SnapshotMetadata = { lastIncludedIndex, lastIncludedTerm, configuration, configurationIndex: 0 };
  const writing = store.begin(metadata);
  writing.add(Uint8Array.from(values), (error) => expect(error).toBeNull());
  writing.finish((error) => expect(error).toBeNull());
}

const snapshotsOf = (disk: BytesDisk): readonly string[] =>
  [...disk.files.keys()].filter((path) => path.endsWith(".snapshot")).sort();

describe("snapshots of a node", () => {
  test("hold the state at their index, not a moment later: nothing is applied twice after a restart (pitfalls, rule 22)", () => {
    const disk = new BytesDisk();
    const bench = new NodeBench(disk, ["a"], { snapshotLogEntries: 5, trailingEntries: 0 });
    bench.lead();
    // Each command follows from the answer to the one before: the next turn is asked for while a snapshot begins.
    const follow = (value: number): void => {
      if (value <= 60) bench.propose(value, [], () => follow(value + 1));
    };
    follow(1);
    bench.clock.run();
    expect(bench.values).toEqual(sequence(60));
    expect(snapshotsOf(disk).length).toBe(2);
    bench.close();
    const again = new NodeBench(disk);
    again.lead();
    expect(again.values).toEqual(sequence(60));
  });

  test("when the newest is damaged, the one before and the log from there give the same state (WAL10, D21)", () => {
    // Several segments are begun after the last snapshot, so that what it made needless is really gone.
    const given = { snapshotLogEntries: 50, trailingEntries: 0 };
    const disk = written(190, given, 3000);
    const newest = snapshotsOf(disk).at(-1) ?? "";
    disk.bytesOf(newest)[5000] = 1;
    disk.bytesOf(newest)[4100] = 77;
    const bench = new NodeBench(disk, ["a"], given);
    expect(bench.host.status().warnings).toEqual([expect.stringContaining(newest)]);
    bench.lead();
    expect(bench.values).toEqual(sequence(190));
  });

  test("that can't be written is tried again later, and the log is kept meanwhile (pitfall F4)", () => {
    const disk = new BytesDisk();
    const bench = new NodeBench(disk, ["a"], { snapshotLogEntries: 5, trailingEntries: 0 });
    bench.lead();
    const propose = (values: readonly number[]): void => {
      for (const value of values) {
        bench.propose(value);
        bench.clock.run();
      }
    };
    disk.before = ({ kind, path }) => (kind === "write" && path.startsWith("snapshots/") ? "ENOSPC" : null);
    propose([1, 2, 3, 4, 5, 6]);
    expect(bench.events).toContainEqual({ type: "warning", message: expect.stringContaining("could not be written") });
    expect(bench.host.status()).toMatchObject({ snapshotIndex: 0, firstLogIndex: 1, state: "running" });
    disk.before = () => null;
    propose([7, 8, 9, 10, 11, 12]);
    expect(bench.host.status().snapshotIndex).toBeGreaterThan(0);
    bench.close();
    const again = new NodeBench(disk);
    again.lead();
    expect(again.values).toEqual(sequence(12));
  });

  test("one that is newer than the log begins the log anew, on the disk too (WAL11, D19)", () => {
    const disk = written(5);
    putSnapshot(disk, 50, 1, sequence(40));
    const bench = new NodeBench(disk);
    expect(bench.values).toEqual(sequence(40));
    bench.lead();
    bench.propose(41);
    bench.clock.run();
    bench.close();
    const again = new NodeBench(disk);
    again.lead();
    expect(again.values).toEqual(sequence(41));
  });

  test("one that contradicts the log drops it: its entries were never committed (WAL11)", () => {
    const disk = written(5);
    const bench = new NodeBench(disk);
    bench.lead();
    const { lastLogIndex, currentTerm } = bench.host.status();
    bench.close();
    expect([lastLogIndex, currentTerm]).toEqual([7, 2]);
    putSnapshot(disk, 4, 2, [9, 9, 9]);
    const again = new NodeBench(disk);
    expect(again.host.status()).toMatchObject({ lastLogIndex: 4, firstLogIndex: 5, lastApplied: 4 });
    expect(again.values).toEqual([9, 9, 9]);
  });

  test("older than where the log begins, with newer ones gone, there is a hole: the node does not start (D22)", () => {
    const disk = written(60, { snapshotLogEntries: 10, trailingEntries: 0 }, 3000);
    // A start records in the log where it begins now.
    new NodeBench(disk).close();
    const kept = disk.copy();
    for (const path of snapshotsOf(disk)) disk.files.delete(path);
    expect(() => new NodeBench(disk)).toThrow();
    putSnapshot(kept, 1, 1, []);
    for (const path of snapshotsOf(kept).slice(1)) kept.files.delete(path);
    expect(() => new NodeBench(kept)).toThrow(/the log begins only after .*there is no other member/);
  });
});

test("a directory whose log is gone does not start: the votes that it gave are gone too (D22, D28)", () => {
  const disk = written(3);
  for (const path of [...disk.files.keys()]) if (path.endsWith(".segment")) disk.files.delete(path);
  expect(() => new NodeBench(disk)).toThrow(/its log is gone/);
});

describe("a snapshot from the leader", () => {
  const entry = (index: number, value: number): Entry => ({ index, term: 1, type: "command", data: Uint8Array.of(value) });

  /** The bytes of a snapshot at 5, as the leader sends them. */
  function body(bench: NodeBench, values: readonly number[]): Uint8Array {
    const { raft } = bench.host.running ?? {};
    if (raft === undefined) throw new Error("it does not run");
    const disk = new BytesDisk();
    const owner = { clusterId: new Uint8Array(16), name: "b", incarnation: 1n };
    const { store } = now(() => openSnapshots(disk, owner));
    const writing = store.begin({
      lastIncludedIndex: 5,
      lastIncludedTerm: 1,
      configuration: raft.configuration,
      configurationIndex: 0,
    });
    for (const value of values) writing.add(Uint8Array.of(value), () => undefined);
    writing.finish((error) => expect(error).toBeNull());
    let bytes: Uint8Array | null = null;
    store.read({ index: 5, term: 1 }, 0, 1_000_000, (data) => {
      bytes = data;
    });
    if (bytes === null) throw new Error("it can't be read");
    return bytes;
  }

  /** A follower of b in term 1 that has applied 1/1. */
  function follower(): NodeBench {
    const bench = new NodeBench(new BytesDisk(), ["a", "b", "c"]);
    bench.found();
    bench.hears("b", append(0, [entry(1, 1)], 1));
    expect(bench.values).toEqual([1]);
    return bench;
  }

  function append(prevLogIndex: number, entries: readonly Entry[], leaderCommit: number): AppendEntries {
    return {
      type: "AppendEntries",
      term: 1,
      prevLogIndex,
      prevLogTerm: prevLogIndex === 0 ? 0 : 1,
      entries,
      leaderCommit,
      leases: false,
    };
  }

  function install(bench: NodeBench, values: readonly number[]): void {
    bench.tell("b", {
      type: "InstallSnapshot",
      term: 1,
      lastIncludedIndex: 5,
      lastIncludedTerm: 1,
      offset: 0,
      data: body(bench, values),
      done: true,
    });
  }

  test("replaces the state, and tells at once those whose commands it covers (pitfall F5)", () => {
    const bench = follower();
    const told: string[] = [];
    bench.propose(3, told);
    bench.clock.run();
    const [request] = bench.said("ProposeRequest");
    if (request?.type !== "ProposeRequest") throw new Error("nothing was handed on");
    bench.hears("b", {
      type: "ProposeResponse",
      term: 1,
      requestId: request.requestId,
      firstIndex: 3,
      entryTerm: 1,
      refusal: null,
    });
    expect(told).toEqual([]);
    install(bench, [1, 2, 3, 4, 5]);
    bench.clock.run();
    expect(bench.values).toEqual([1, 2, 3, 4, 5]);
    expect(told).toEqual(["resultUnavailable, unknown"]);
    expect(bench.said("InstallSnapshotResponse")).toMatchObject([{ status: "installed", lastIncludedIndex: 5 }]);
  });

  test("that was overtaken by entries while it was restored is not put in place of what they made (pitfall F1)", () => {
    const bench = follower();
    install(bench, [1, 2, 3, 4, 5]);
    bench.clock.run(4);
    expect(bench.values).toEqual([1]);
    bench.tell(
      "b",
      append(
        1,
        [2, 3, 4, 5, 6, 7].map((index) => entry(index, index)),
        7,
      ),
    );
    bench.clock.run();
    expect(bench.host.state).toBe("running");
    expect(bench.host.status()).toMatchObject({ commitIndex: 7, lastApplied: 7 });
    expect(bench.values).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });
});

describe("a node and time", () => {
  test("a leader whose disk has not finished a write for an election timeout gives up (etcd #15247)", () => {
    const bench = new NodeBench(new BytesDisk(), ["a", "b", "c"]);
    bench.found();
    bench.lead();
    const { currentTerm: term } = bench.host.status();
    bench.syncs.holds = true;
    bench.propose(1);
    bench.clock.run();
    for (let waited = 0; waited < 900; waited += 100) {
      bench.clock.advance(100);
      bench.hears("b", { type: "HeartbeatResponse", term, readRound: 0, promised: false });
      expect(bench.role, `after ${waited} ms`).toBe("leader");
    }
    bench.clock.advance(100);
    bench.hears("b", { type: "HeartbeatResponse", term, readRound: 0, promised: false });
    bench.clock.advance(100);
    expect(bench.role).not.toBe("leader");
    expect(bench.events).toContainEqual(
      expect.objectContaining({ type: "roleChanged", role: "follower", reason: expect.stringContaining("disk") }),
    );
    bench.syncs.release();
    bench.clock.run();
    bench.lead();
  });

  test("after a pause it reads what came meanwhile before it takes its leader for dead (design law 8)", () => {
    const bench = new NodeBench(new BytesDisk(), ["a", "b", "c"]);
    bench.found();
    const heartbeat = { type: "Heartbeat", term: 1, leaderCommit: 0, readRound: 0, leases: false } as const;
    bench.hears("b", heartbeat);
    expect(bench.role).toBe("follower");
    bench.said("RequestPreVote");
    bench.clock.pause(5000);
    bench.tell("b", heartbeat);
    bench.clock.run();
    expect(bench.role).toBe("follower");
    expect(bench.said("RequestPreVote")).toEqual([]);
    // With nothing to read the time counts.
    bench.clock.pause(5000);
    bench.clock.run();
    expect(bench.role).toBe("preCandidate");
  });
});

test("what is handed on after a restart has a number that no earlier life has used: it is not taken for a repetition", () => {
  const disk = new BytesDisk();
  const numbers = [0, 1, 2].map((life) => {
    const bench = new NodeBench(disk, ["a", "b", "c"]);
    if (life === 0) bench.found();
    else for (const name of ["b", "c"]) bench.connect(name);
    bench.hears("b", { type: "Heartbeat", term: 1, leaderCommit: 0, readRound: 0, leases: false });
    bench.propose(1);
    bench.clock.run();
    const [request] = bench.said("ProposeRequest");
    bench.close();
    return request?.type === "ProposeRequest" ? request.requestId : 0;
  });
  expect(numbers[0]).toBeGreaterThan(0);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
});

describe("what callers ask for", () => {
  const settled = async (): Promise<void> => {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  };

  test("a read of an index waits until it is applied here", async () => {
    const bench = new NodeBench(new BytesDisk());
    bench.lead();
    const face = createFace(bench.host);
    const atLeast = bench.host.status().lastApplied + 2;
    const seen: number[][] = [];
    const reading = face.read(({ values }) => seen.push([...values]), { consistency: { atLeast } });
    for (const value of [1, 2]) {
      await settled();
      expect(seen).toEqual([]);
      bench.propose(value);
      bench.clock.run();
    }
    await reading;
    expect(seen).toEqual([[1, 2]]);
    expect(await face.read(({ values }) => values.length, { consistency: { atLeast } })).toBe(2);
  });

  test("commands that wait are bounded: one too many is refused, and not executed", async () => {
    const bench = new NodeBench(new BytesDisk(), ["a", "b", "c"], { maxPendingProposals: 2 });
    const face = createFace(bench.host);
    const told: string[][] = [1, 2, 3].map((value) => {
      const codes: string[] = [];
      face.propose(Uint8Array.of(value)).catch((error: RaftError) => codes.push(`${error.code}, ${error.outcome}`));
      return codes;
    });
    await settled();
    expect(told).toEqual([[], [], ["overloaded, not-executed"]]);
    bench.close();
    await settled();
    expect(told).toEqual([["closed, not-executed"], ["closed, not-executed"], ["overloaded, not-executed"]]);
  });

  test("what the state machine throws ends the node, and everybody who waits is told", () => {
    const bench = new NodeBench(new BytesDisk());
    bench.lead();
    const told: string[] = [];
    bench.propose(1, told);
    bench.propose(POISON, told);
    bench.clock.run();
    bench.propose(2, told);
    expect(bench.host.state).toBe("failed");
    expect(bench.host.failure).toContain("poison");
    expect(told).toEqual(["failed, unknown", "failed, unknown", "failed, not-executed"]);
  });
});
