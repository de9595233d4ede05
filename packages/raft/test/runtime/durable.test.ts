/**
 * Machines that keep themselves on disk: data and applied index in one transaction (pitfalls D12, rule 44), so that nothing is
 * applied twice and nothing is left out, wherever a crash or a loss of power strikes.
 */
import { describe, expect, test } from "vitest";
import { createFace } from "../../src/runtime/index.js";
import { type ClientSession, openClientSession } from "../../src/runtime/sessions/client-session.js";
import { encodeSessionRequest } from "../../src/runtime/sessions/request.js";
import type { CommittedEntry, DurableStorage, KeptRecord } from "../../src/runtime/state-machine.js";
import { MachineDisk, storageOn } from "../../src/sim/machine-disk.js";
import { ListMachine, NodeBench } from "./node-bench.js";
import { BytesDisk } from "./storage/bytes-disk.js";

/** Syncs of a machine's storage wait while `holds` is set. */
class Syncs {
  holds = false;
  readonly #waiting: (() => void)[] = [];

  readonly later = (_delay: number, body: () => void): void => {
    if (this.holds) this.#waiting.push(body);
    else body();
  };

  release(): void {
    this.holds = false;
    for (const each of this.#waiting.splice(0)) each();
  }
}

class DurableList extends ListMachine {
  readonly durable: DurableStorage;
  #aside: ListMachine | null = null;
  /** Indexes that were applied in this life. */
  readonly applied: number[] = [];

  constructor(disk: MachineDisk, later: Syncs["later"] = (_delay, body) => body()) {
    super();
    const state = {
      pieces: () => this.snapshot(),
      fill: (pieces: readonly Uint8Array[]): void => {
        for (const piece of pieces) this.values.push(...piece);
      },
      beginRestore: (): void => {
        this.#aside = new ListMachine();
      },
    };
    this.durable = storageOn(disk, state, { later, syncMicros: 0 });
  }

  override apply(entries: readonly CommittedEntry[]): readonly Uint8Array[] {
    this.applied.push(...entries.map(({ index }) => index));
    return super.apply(entries);
  }

  override restore(piece: Uint8Array, last = false): void {
    this.#aside?.restore(piece);
    if (last) this.values.splice(0, this.values.length, ...(this.#aside?.values ?? []));
  }
}

const OPTIONS = { snapshotLogEntries: 5, trailingEntries: 0 };
const sequence = (count: number): readonly number[] => Array.from({ length: count }, (_, place) => place + 1);

function start(log: BytesDisk, machine: DurableList): NodeBench {
  const bench = new NodeBench(log, ["a"], { ...OPTIONS, stateMachine: () => machine });
  bench.lead();
  return bench;
}

function write(bench: NodeBench, values: readonly number[]): void {
  for (const value of values) {
    bench.propose(value);
    bench.clock.run();
  }
}

const snapshotFiles = (disk: BytesDisk): readonly string[] =>
  [...disk.files.keys()].filter((path) => path.includes("snapshots/"));

describe("a machine that keeps itself on disk", () => {
  test("is not applied again what it holds, and needs no snapshot's file", () => {
    const [log, disk] = [new BytesDisk(), new MachineDisk()];
    const first = start(log, new DurableList(disk));
    write(first, sequence(23));
    const { firstLogIndex, lastApplied } = first.host.status();
    expect(firstLogIndex).toBeGreaterThan(15);
    expect(snapshotFiles(log)).toEqual([]);
    const machine = new DurableList(disk);
    // Killed: nothing was closed.
    const second = start(log.copy(), machine);
    expect(machine.values).toEqual(sequence(23));
    expect(machine.applied).toEqual([]);
    write(second, [24]);
    expect(machine.applied).toEqual([second.host.status().lastApplied]);
    expect(second.host.status().lastApplied).toBe(lastApplied + 2);
    expect(machine.values).toEqual(sequence(24));
  });

  test("that loses any of its transactions with the power gets them back from the log: at every step, sessions and all", async () => {
    const [log, disk] = [new BytesDisk(), new MachineDisk()];
    const syncs = new Syncs();
    const bench = start(log, new DurableList(disk, syncs.later));
    const run = async <T>(on: NodeBench, promise: Promise<T>): Promise<T> => {
      for (let turn = 0; turn < 20; turn += 1) {
        on.clock.run();
        await Promise.resolve();
      }
      return promise;
    };
    const session = await run(bench, createFace(bench.host).openSession({ keepAlive: false }));
    let starts = 0;
    for (const value of sequence(17)) {
      syncs.holds = value % 3 !== 0;
      if (!syncs.holds) syncs.release();
      const { index } = await run(bench, session.propose(Uint8Array.of(value)));
      for (let lost = 0; lost <= disk.unsynced; lost += 1) {
        const survivor = disk.copy();
        survivor.lose(lost);
        const machine = new DurableList(survivor);
        const again = start(log.copy(), machine);
        expect(machine.values, `${lost} lost after ${value}`).toEqual(sequence(value));
        const resume = { id: session.id, nextSequence: value };
        const resumed = await run(again, createFace(again.host).openSession({ resume, keepAlive: false }));
        const repeated = await run(again, resumed.propose(Uint8Array.of(value)));
        expect([repeated.index, repeated.result[0]]).toEqual([index, value]);
        expect(machine.values).toEqual(sequence(value));
        again.close();
        starts += 1;
      }
    }
    expect(starts).toBeGreaterThan(40);
  });

  test("holds whole batches: what was applied in one call is stored up to its end", () => {
    const [log, disk] = [new BytesDisk(), new MachineDisk()];
    const bench = start(log, new DurableList(disk));
    for (const value of sequence(6)) bench.propose(value);
    bench.clock.run();
    const machine = new DurableList(disk.copy());
    start(log.copy(), machine);
    expect([machine.values, machine.applied]).toEqual([sequence(6), []]);
  });

  test("keeps the log until its own storage is durable", () => {
    const [log, disk] = [new BytesDisk(), new MachineDisk()];
    const syncs = new Syncs();
    syncs.holds = true;
    const bench = start(log, new DurableList(disk, syncs.later));
    write(bench, sequence(23));
    expect(bench.host.status()).toMatchObject({ firstLogIndex: 1, snapshotIndex: 0 });
    syncs.release();
    bench.clock.run();
    const { firstLogIndex, snapshotIndex } = bench.host.status();
    expect(snapshotIndex).toBeGreaterThan(4);
    expect(firstLogIndex).toBe(snapshotIndex + 1);
    // All that came after the sync was asked for may be lost, and is in the log.
    const survivor = disk.copy();
    survivor.lose(survivor.unsynced);
    const machine = new DurableList(survivor);
    start(log.copy(), machine);
    expect(machine.values).toEqual(sequence(23));
  });

  test("is made durable at a start before the log is judged by it: after a killed process it may be in a cache only", () => {
    const [log, disk] = [new BytesDisk(), new MachineDisk()];
    const syncs = new Syncs();
    syncs.holds = true;
    write(start(log, new DurableList(disk, syncs.later)), sequence(23));
    expect(disk.unsynced).toBeGreaterThan(0);
    // Killed, started again, and then the power goes.
    const second = new NodeBench(log.copy(), ["a"], { ...OPTIONS, stateMachine: () => new DurableList(disk) });
    expect(disk.unsynced).toBe(0);
    second.close();
  });

  test("whose storage can't be made durable fails its node, and the log is kept", () => {
    const disk = new MachineDisk();
    const machine = new DurableList(disk);
    machine.durable.sync = (done): void => done(new Error("EIO"));
    const bench = start(new BytesDisk(), machine);
    write(bench, sequence(7));
    expect(bench.host.status()).toMatchObject({ state: "failed", failure: expect.stringContaining("EIO"), firstLogIndex: 1 });
  });

  test.each<[string, (storage: DurableStorage) => DurableStorage["transaction"], string]>([
    ["runs no transaction", () => () => undefined, "0 times"],
    [
      "runs a transaction twice",
      (storage) => (body) => {
        storage.transaction(body);
        storage.transaction(() => []);
        body();
      },
      "2 times",
    ],
    [
      "can't commit",
      () => () => {
        throw new Error("no space");
      },
      "no space",
    ],
  ])("that %s fails its node, and nobody is told that anything was done", (_what, transaction, failure) => {
    const machine = new DurableList(new MachineDisk());
    const bench = start(new BytesDisk(), machine);
    const told: string[] = [];
    const { transaction: right } = machine.durable;
    machine.durable.transaction = transaction({ ...machine.durable, transaction: right });
    bench.propose(1, told);
    bench.clock.run();
    expect(bench.host.status()).toMatchObject({ state: "failed", failure: expect.stringContaining(failure) });
    expect(told).toEqual(["failed, unknown"]);
  });

  test("is closed with its node", () => {
    const machine = new DurableList(new MachineDisk());
    let closed = 0;
    machine.durable.close = (): void => {
      closed += 1;
    };
    const bench = start(new BytesDisk(), machine);
    bench.close();
    expect(closed).toBe(1);
  });
});

describe("what can't be this node's is refused, and nothing is changed", () => {
  function written(count: number): { readonly log: BytesDisk; readonly disk: MachineDisk } {
    const [log, disk] = [new BytesDisk(), new MachineDisk()];
    const bench = start(log, new DurableList(disk));
    write(bench, sequence(count));
    bench.close();
    return { log, disk };
  }

  function refused(log: BytesDisk, disk: MachineDisk, message: string): void {
    const before = [...log.files].map(([path, bytes]) => [path, bytes.slice()]);
    expect(() => start(log, new DurableList(disk))).toThrow(
      expect.objectContaining({ code: "dataDirectory", message: expect.stringContaining(message) }),
    );
    expect([...log.files].map(([path, bytes]) => [path, bytes])).toEqual(before);
  }

  test("the storage of another node's machine", () => {
    refused(written(3).log, writtenElsewhere(), "belongs to another");
  });

  /** The same founders, and another data directory. */
  function writtenElsewhere(): MachineDisk {
    const { disk } = written(3);
    const { newest } = disk;
    const checkpoint = newest?.records.get("checkpoint")?.slice();
    if (newest === null || checkpoint === undefined) throw new Error("nothing was written");
    checkpoint[17] = (checkpoint[17] ?? 0) ^ 1;
    const other = new MachineDisk();
    other.add({ ...newest, records: new Map([...newest.records, ["checkpoint", checkpoint]]) });
    return other;
  }

  test("a machine that has applied more than the log holds: the log has lost its end", () => {
    const log = new BytesDisk();
    const disk = new MachineDisk();
    const bench = start(log, new DurableList(disk));
    write(bench, [1]);
    const early = log.copy();
    write(bench, [2, 3]);
    refused(early, disk, "it has lost its end");
  });

  test("a log that was compacted, and a machine that is gone", () => {
    const { log } = written(23);
    refused(log, new MachineDisk(), "no snapshot is whole");
  });

  test.each<[string, KeptRecord[], string]>([
    ["a record that no node has given", [{ key: "other", value: new Uint8Array(1) }], "no node has given it"],
    ["sessions and no checkpoint", [{ key: "session/5", value: new Uint8Array(48) }], "no checkpoint"],
    ["a checkpoint of another version", [{ key: "checkpoint", value: new Uint8Array(80) }], "version 0"],
    ["a checkpoint that ends early", [{ key: "checkpoint", value: Uint8Array.of(1, 2) }], "ends early"],
  ])("%s", (_what, records, message) => {
    const disk = new MachineDisk();
    disk.add({ records: new Map(records.map(({ key, value }) => [key, value ?? new Uint8Array(0)])), pieces: [] });
    refused(written(3).log, disk, message);
  });
});

describe("a durable machine and snapshots of others", () => {
  /** One of three. */
  function memberWith(log: BytesDisk, machine: DurableList): NodeBench {
    return new NodeBench(log, ["a", "b", "c"], { ...OPTIONS, stateMachine: () => machine });
  }

  /** A snapshot's body as a leader would send it. */
  function bodyOf(values: readonly number[]): { readonly data: Uint8Array; readonly index: number } {
    const log = new BytesDisk();
    const bench = new NodeBench(log, ["a"], OPTIONS);
    bench.lead();
    write(bench, values);
    return bodyIn(log, bench);
  }

  /** The newest snapshot of a node. */
  function bodyIn(log: BytesDisk, bench: NodeBench): { readonly data: Uint8Array; readonly index: number } {
    const path = snapshotFiles(log).findLast((each) => each.endsWith(".snapshot"));
    if (path === undefined) throw new Error("no snapshot was taken");
    return { data: log.bytesOf(path).slice(4096), index: bench.host.status().snapshotIndex };
  }

  test.each(["in memory", "on disk"])("bring their sessions, and take away those that are over: a machine %s", (where) => {
    const leaderLog = new BytesDisk();
    const leader = new NodeBench(leaderLog, ["a"], OPTIONS);
    leader.lead();
    let session: ClientSession<ListMachine> | null = null;
    openClientSession(leader.host, { keepAlive: false }, (_error, opened) => {
      session = opened;
    });
    leader.clock.run();
    const opened = session as ClientSession<ListMachine> | null;
    for (const value of [7, 8]) {
      opened?.propose(Uint8Array.of(value), undefined, (error) => expect(error).toBeNull());
      leader.clock.run();
    }
    write(leader, sequence(6));
    const { data, index } = bodyIn(leaderLog, leader);

    const [log, disk] = [new BytesDisk(), new MachineDisk()];
    const machine = (): DurableList | ListMachine => (where === "on disk" ? new DurableList(disk) : new ListMachine());
    const bench = new NodeBench(log, ["a", "b", "c"], { ...OPTIONS, stateMachine: machine });
    bench.found();
    // A session of its own, at an index where the leader's snapshot has none.
    const request = encodeSessionRequest({ kind: "open", expireAfter: 1000, maxSessions: 9, maxRequests: 9, maxResultBytes: 9 });
    const stamped = new Uint8Array(8 + request.length);
    stamped.set(request, 8);
    const entry = { index: 1, term: 1, type: "session", data: stamped } as const;
    bench.hears("b", {
      type: "AppendEntries",
      term: 1,
      prevLogIndex: 0,
      prevLogTerm: 0,
      entries: [entry],
      leaderCommit: 1,
      leases: false,
    });
    const tableOf = (of: NodeBench): readonly (readonly number[])[] =>
      [...(of.host.running?.host.sessions.sessions.values() ?? [])].map(({ id, executed }) => [id, ...executed.keys()]);
    expect(tableOf(bench)).toEqual([[1]]);
    bench.hears("b", {
      type: "InstallSnapshot",
      term: 1,
      lastIncludedIndex: index,
      lastIncludedTerm: 1,
      offset: 0,
      data,
      done: true,
    });
    const expected = [[opened?.id, 2]];
    expect(tableOf(leader)).toEqual(expected);
    expect(tableOf(bench)).toEqual(expected);
    const again = new NodeBench(log.copy(), ["a", "b", "c"], { ...OPTIONS, stateMachine: machine });
    expect(tableOf(again)).toEqual(expected);
    again.close();
  });

  test("is replaced in one transaction, and after a crash in the middle is what it was", () => {
    const { data, index } = bodyOf(sequence(9));
    const held = index - 1;
    const [log, disk] = [new BytesDisk(), new MachineDisk()];
    const machine = new DurableList(disk);
    const bench = memberWith(log, machine);
    bench.found();
    const entry = { index: 1, term: 1, type: "command", data: Uint8Array.of(77) } as const;
    bench.hears("b", {
      type: "AppendEntries",
      term: 1,
      prevLogIndex: 0,
      prevLogTerm: 0,
      entries: [entry],
      leaderCommit: 1,
      leases: false,
    });
    expect(machine.values).toEqual([77]);
    const install = {
      type: "InstallSnapshot",
      term: 1,
      lastIncludedIndex: index,
      lastIncludedTerm: 1,
      offset: 0,
      data,
      done: true,
    } as const;
    bench.tell("b", install);
    // A crash in any turn: the old state, or the snapshot's if its file was finished; never a mixture.
    const seen = new Set<string>();
    for (let turn = 0; turn < 12; turn += 1) {
      const early = new DurableList(disk.copy());
      const again = memberWith(log.copy(), early);
      seen.add(`${machine.values.length} ${early.values.join()}`);
      again.close();
      bench.clock.run(1);
    }
    const [old, whole] = ["77", sequence(held).join()];
    expect([...seen].sort()).toEqual([`1 ${whole}`, `1 ${old}`, `${held} ${whole}`].sort());
    bench.clock.run();
    expect(machine.values).toEqual(sequence(held));
    expect(bench.host.status().lastApplied).toBe(index);
    // And after it.
    const late = new DurableList(disk.copy());
    const after = memberWith(log.copy(), late);
    expect(late.values).toEqual(sequence(held));
    expect(after.host.status().lastApplied).toBe(index);
    after.close();
  });

  test("writes a file when a follower needs what is gone from the log, and sends that", () => {
    const log = new BytesDisk();
    const bench = memberWith(log, new DurableList(new MachineDisk()));
    bench.found();
    bench.lead();
    const { currentTerm: term } = bench.host.status();
    const agree = (): void => {
      const { lastLogIndex: matchIndex } = bench.host.status();
      const answer = {
        type: "AppendEntriesResponse",
        term,
        success: true,
        prevLogIndex: 0,
        matchIndex,
        hintIndex: 0,
        hintTerm: 0,
      } as const;
      bench.hears("b", answer);
    };
    agree();
    for (const value of sequence(9)) {
      bench.propose(value);
      bench.clock.run();
      agree();
    }
    expect(bench.host.status().firstLogIndex).toBeGreaterThan(5);
    expect(snapshotFiles(log)).toEqual([]);
    // c comes back with nothing: what it needs is asked of a file that is not there yet, and then it is.
    bench.connect("c");
    expect(snapshotFiles(log).length).toBe(1);
    expect(bench.said("InstallSnapshot")).toEqual([]);
    bench.hears("c", { type: "HeartbeatResponse", term, readRound: 0, promised: false });
    const [piece] = bench.said("InstallSnapshot");
    expect(piece).toMatchObject({ lastIncludedIndex: bench.host.status().snapshotIndex, offset: 0, done: true });
  });

  test("whose own storage is behind the snapshot's file, after a loss of power, is filled from the file", () => {
    const { data, index } = bodyOf(sequence(9));
    const [log, disk] = [new BytesDisk(), new MachineDisk()];
    const bench = memberWith(log, new DurableList(disk));
    bench.found();
    bench.hears("b", {
      type: "InstallSnapshot",
      term: 1,
      lastIncludedIndex: index,
      lastIncludedTerm: 1,
      offset: 0,
      data,
      done: true,
    });
    // All its transactions went with the power.
    const lost = new DurableList(new MachineDisk());
    const again = memberWith(log.copy(), lost);
    expect(lost.values).toEqual(sequence(index - 1));
    expect(again.host.status().lastApplied).toBe(index);
  });
});
