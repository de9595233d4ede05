/** What a client is told of the commands of its session: never more than is known, and once it is known, that. */
import { describe, expect, test } from "vitest";
import { ByteWriter } from "../../../src/core/bytes.js";
import type { Entry, ProposeRequest } from "../../../src/core/index.js";
import { createFace, type ProposeResult, type RaftError, type RaftNodeOptions } from "../../../src/runtime/index.js";
import { ClientSession, openClientSession } from "../../../src/runtime/sessions/client-session.js";
import { type ListMachine, NodeBench } from "../node-bench.js";
import { BytesDisk } from "../storage/bytes-disk.js";

type Options = Partial<RaftNodeOptions<ListMachine>>;

/** A node that follows b, whose part the test plays. */
class Follower {
  readonly bench: NodeBench;
  readonly told: string[] = [];
  /** The log as the leader has it. */
  readonly #log: Entry[] = [{ index: 1, term: 1, type: "noop", data: new Uint8Array(0) }];
  #ledFor = 0;

  constructor(options: Options = {}) {
    this.bench = new NodeBench(new BytesDisk(), ["a", "b", "c"], options);
    this.bench.found();
    this.#replicate(0);
  }

  /** What the node has handed on since the last look. */
  handedOn(): readonly ProposeRequest[] {
    this.bench.clock.run();
    return this.bench.said("ProposeRequest") as readonly ProposeRequest[];
  }

  /** The leader appends them, commits, and says where they stand, unless that message is lost. */
  appends(requests: readonly ProposeRequest[], { answers = true, after = 0 } = {}): void {
    this.#ledFor += after * 1000;
    for (const { requestId, commands, entryType } of requests) {
      const from = this.#log.length;
      for (const command of commands) {
        const data = new ByteWriter();
        if (entryType === "session") data.u64(this.#ledFor);
        data.raw(command);
        this.#log.push({ index: this.#log.length + 1, term: 1, type: entryType, data: data.finish() });
      }
      if (answers)
        this.bench.tell("b", { type: "ProposeResponse", term: 1, requestId, firstIndex: from + 1, entryTerm: 1, refusal: null });
      this.#replicate(from);
    }
  }

  /** The leader answers what comes until nothing more does. */
  serves(): void {
    for (let requests = this.handedOn(); requests.length > 0; requests = this.handedOn()) this.appends(requests);
  }

  #replicate(from: number): void {
    this.bench.hears("b", {
      type: "AppendEntries",
      term: 1,
      prevLogIndex: from,
      prevLogTerm: from === 0 ? 0 : 1,
      entries: this.#log.slice(from),
      leaderCommit: this.#log.length,
      leases: false,
    });
  }

  /** The leader is heard all the time. */
  passes(millis: number): void {
    for (let passed = 0; passed < millis; passed += 100) {
      this.bench.clock.advance(100);
      this.bench.hears("b", { type: "Heartbeat", term: 1, leaderCommit: this.#log.length, readRound: 0, leases: false });
    }
  }

  opens(options: Parameters<typeof openClientSession>[1] = {}): ClientSession<ListMachine> {
    const opened: (ClientSession<ListMachine> | RaftError | null)[] = [];
    openClientSession(this.bench.host, { keepAlive: false, ...options }, (error, session) => opened.push(session ?? error));
    this.serves();
    const [session] = opened;
    if (!(session instanceof ClientSession)) throw session ?? new Error("it is not open yet");
    return session;
  }

  proposes(session: ClientSession<ListMachine>, value: number, timeoutMs = 5000): ((code: "aborted") => void) | null {
    return session.propose(Uint8Array.of(value), timeoutMs, (error, result) =>
      this.told.push(
        error === null ? `${value}: ${result?.result[0]} at ${result?.index}` : `${value}: ${error.code}, ${error.outcome}`,
      ),
    );
  }
}

describe("a command of a session", () => {
  test("is repeated when its answer is lost, and executed once: the repetition gets the first answer", () => {
    const follower = new Follower();
    const session = follower.opens();
    follower.proposes(session, 7);
    const first = follower.handedOn();
    follower.appends(first, { answers: false });
    expect(follower.bench.values).toEqual([7]);
    expect(follower.told).toEqual([]);
    follower.passes(2100);
    const again = follower.handedOn();
    expect(again.map(({ commands }) => commands)).toEqual(first.map(({ commands }) => commands));
    expect(again[0]?.requestId).not.toBe(first[0]?.requestId);
    follower.appends(again);
    expect(follower.bench.values).toEqual([7]);
    expect(follower.told).toEqual(["7: 1 at 3"]);
    expect(follower.bench.host.status().sessions).toMatchObject({ open: 1, answeredAgain: 1, answeredAcrossTerms: 0 });
  });

  test("whose time is over is unknown if anybody may have it, and not executed if nobody does", () => {
    const follower = new Follower();
    const session = follower.opens();
    follower.proposes(session, 7, 1000);
    follower.handedOn();
    follower.passes(1100);
    expect(follower.told).toEqual(["7: timeout, unknown"]);
    const silent = new NodeBench(new BytesDisk(), ["a", "b", "c"]);
    const told: string[] = [];
    openClientSession(silent.host, { timeoutMs: 300 }, (error) => told.push(`${error?.code}, ${error?.outcome}`));
    silent.clock.advance(400);
    expect(told).toEqual(["timeout, not-executed"]);
  });

  test("that was refused after it was in doubt stays in doubt", () => {
    const follower = new Follower();
    const session = follower.opens();
    follower.proposes(session, 7, 4000);
    follower.appends(follower.handedOn(), { answers: false });
    follower.passes(2100);
    // The repetition is refused, certainly not executed; the first one was.
    const [again] = follower.handedOn();
    if (again === undefined) throw new Error("it was not repeated");
    follower.bench.hears("b", {
      type: "ProposeResponse",
      term: 1,
      requestId: again.requestId,
      firstIndex: 0,
      entryTerm: 0,
      refusal: "overloaded",
    });
    expect(follower.told).toEqual([]);
    follower.passes(2000);
    expect(follower.told).toEqual([expect.stringMatching(/^7: \w+, unknown$/)]);
  });

  test("is overloaded at once when nothing is in doubt", () => {
    const follower = new Follower();
    const session = follower.opens();
    follower.proposes(session, 7);
    const [request] = follower.handedOn();
    follower.bench.hears("b", {
      type: "ProposeResponse",
      term: 1,
      requestId: request?.requestId ?? 0,
      firstIndex: 0,
      entryTerm: 0,
      refusal: "overloaded",
    });
    expect(follower.told).toEqual(["7: overloaded, not-executed"]);
  });

  test("says from where its client waits; as many wait as may, and one more is refused", () => {
    const follower = new Follower({ maxSessionRequests: 2 });
    const session = follower.opens();
    follower.proposes(session, 1);
    follower.proposes(session, 2);
    follower.proposes(session, 3);
    expect(follower.told).toEqual(["3: overloaded, not-executed"]);
    follower.serves();
    expect(follower.told.slice(1)).toEqual(["1: 1 at 3", "2: 2 at 4"]);
    const { executed, lowestWaiting } = follower.bench.host.running?.host.sessions.sessions.get(session.id) ?? {};
    expect([executed?.size, lowestWaiting]).toEqual([2, 1]);
    follower.proposes(session, 4);
    follower.serves();
    expect(session.nextSequence).toBe(4);
    expect([executed?.size, follower.bench.host.running?.host.sessions.sessions.get(session.id)?.lowestWaiting]).toEqual([1, 3]);
  });

  test("that its caller gives up is unknown, and is not waited for any more", () => {
    const follower = new Follower({ maxSessionRequests: 1 });
    const session = follower.opens();
    const giveUp = follower.proposes(session, 1);
    follower.handedOn();
    giveUp?.("aborted");
    expect(follower.told).toEqual(["1: aborted, unknown"]);
    follower.proposes(session, 2);
    follower.serves();
    expect(follower.told.slice(1)).toEqual(["2: 1 at 3"]);
  });

  test("is settled when its node closes, also between two attempts", () => {
    const follower = new Follower();
    const session = follower.opens();
    follower.proposes(session, 7);
    const [request] = follower.handedOn();
    follower.bench.hears("b", {
      type: "ProposeResponse",
      term: 1,
      requestId: request?.requestId ?? 0,
      firstIndex: 2,
      entryTerm: 1,
      refusal: null,
    });
    // Its place was covered by a snapshot, as far as this node can tell: it asks again, after a pause.
    expect(follower.told).toEqual([]);
    expect(follower.bench.host.whenStopped.size).toBe(1);
    follower.bench.close();
    expect(follower.told).toEqual(["7: closed, unknown"]);
    expect(follower.bench.host.whenStopped.size).toBe(0);
  });

  test("that is too large is refused before it has a number", () => {
    const follower = new Follower({ maxEntryBytes: 10 });
    const session = follower.opens();
    const told: string[] = [];
    session.propose(new Uint8Array(11), undefined, (error) => told.push(`${error?.code}`));
    expect([told, session.nextSequence]).toEqual([["tooLarge"], 1]);
    session.propose(new Uint8Array(10), undefined, (error) => told.push(`${error?.code ?? "done"}`));
    follower.serves();
    expect(told).toEqual(["tooLarge", "done"]);
  });

  test("that its node refuses at once leaves its number to the next one", () => {
    const follower = new Follower({ maxPendingProposals: 1 });
    const session = follower.opens();
    follower.proposes(session, 1);
    follower.proposes(session, 2);
    expect([follower.told, session.nextSequence]).toEqual([["2: overloaded, not-executed"], 2]);
    follower.serves();
    follower.proposes(session, 3);
    follower.serves();
    expect(follower.told.slice(1)).toEqual(["1: 1 at 3", "3: 2 at 4"]);
    expect(session.nextSequence).toBe(3);
  });

  test("whose result was too large to be kept is known to be executed", () => {
    const follower = new Follower({ maxSessionResultBytes: 0 });
    const session = follower.opens();
    follower.proposes(session, 7);
    follower.appends(follower.handedOn(), { answers: false });
    follower.passes(2100);
    follower.serves();
    expect(follower.told).toEqual(["7: resultUnavailable, executed"]);
    expect(follower.bench.values).toEqual([7]);
  });
});

describe("a session", () => {
  test("that has expired says so to every command, and is never opened again by itself", () => {
    const follower = new Follower();
    const session = follower.opens({ expireAfterMs: 500 });
    follower.proposes(session, 1);
    follower.appends(follower.handedOn(), { after: 501 });
    expect(follower.told).toEqual(["1: sessionExpired, not-executed"]);
    follower.proposes(session, 2);
    expect(follower.told[1]).toBe("2: sessionExpired, not-executed");
    expect(follower.handedOn()).toEqual([]);
    expect(follower.bench.values).toEqual([]);
    expect(follower.bench.host.status().sessions).toMatchObject({ open: 0, expired: 1 });
  });

  test("that expired between two copies of a command leaves it unknown", () => {
    const follower = new Follower();
    const session = follower.opens({ expireAfterMs: 500 });
    follower.proposes(session, 1);
    follower.appends(follower.handedOn(), { answers: false });
    follower.passes(2100);
    follower.appends(follower.handedOn(), { after: 2100 });
    expect(follower.told).toEqual(["1: sessionExpired, unknown"]);
    expect(follower.bench.values).toEqual([1]);
  });

  test("keeps itself alive while nothing is asked, and rests when it is over or its node is", () => {
    const follower = new Follower();
    const session = follower.opens({ expireAfterMs: 2000, keepAlive: true });
    follower.passes(3000);
    const alive = follower.handedOn().length;
    expect(alive).toBeGreaterThanOrEqual(2);
    session.close(undefined, () => undefined);
    follower.serves();
    expect(follower.bench.host.status().sessions.open).toBe(0);
    follower.passes(3000);
    expect(follower.handedOn()).toEqual([]);
    follower.opens({ expireAfterMs: 2000, keepAlive: true });
    expect(follower.bench.host.whenStopped.size).toBe(1);
    follower.bench.close();
    expect(follower.bench.host.whenStopped.size).toBe(0);
  });

  test("is refused when as many are open as there may be", () => {
    const follower = new Follower({ maxSessions: 1 });
    const session = follower.opens();
    expect(() => follower.opens()).toThrow(expect.objectContaining({ code: "overloaded", outcome: "not-executed" }));
    session.close(undefined, (error) => follower.told.push(`closed ${error?.code}`));
    follower.serves();
    expect(follower.told).toEqual(["closed undefined"]);
    follower.opens();
  });

  test("goes on after its client has started again: the same commands in the same order are the same commands", () => {
    const follower = new Follower();
    const session = follower.opens();
    follower.proposes(session, 1);
    follower.serves();
    const from = session.nextSequence;
    follower.proposes(session, 2);
    follower.proposes(session, 3);
    follower.appends(follower.handedOn(), { answers: false });
    // The client's process ends here; another one reads what it had written down.
    const { told } = follower;
    const resumed = follower.opens({ resume: { id: session.id, nextSequence: from } });
    expect([resumed.id, resumed.expireAfter]).toEqual([session.id, session.expireAfter]);
    told.length = 0;
    for (const value of [2, 3, 4]) follower.proposes(resumed, value);
    follower.serves();
    expect(told).toEqual(["2: 2 at 4", "3: 3 at 5", "4: 4 at 9"]);
    expect(follower.bench.values).toEqual([1, 2, 3, 4]);
  });

  test("that is resumed too far back is told that nothing is known there any more", () => {
    const follower = new Follower();
    const session = follower.opens();
    for (const value of [1, 2]) {
      follower.proposes(session, value);
      follower.serves();
    }
    const resumed = follower.opens({ resume: { id: session.id, nextSequence: 1 } });
    follower.proposes(resumed, 1);
    follower.serves();
    expect(follower.told.at(-1)).toBe("1: resultUnavailable, unknown");
    expect(follower.bench.values).toEqual([1, 2]);
  });

  test("that is not there can't be resumed, and what makes no sense is not sent", () => {
    const follower = new Follower();
    const error = { code: "sessionExpired", outcome: "not-executed" };
    expect(() => follower.opens({ resume: { id: 99, nextSequence: 1 } })).toThrow(expect.objectContaining(error));
    for (const wrong of [
      { expireAfterMs: 0 },
      { expireAfterMs: Number.NaN },
      { resume: { id: 0, nextSequence: 1 } },
      { resume: { id: 1, nextSequence: 1.5 } },
      { timeoutMs: -1 },
    ])
      expect(() => follower.opens(wrong)).toThrow(expect.objectContaining({ code: "invalidArgument" }));
  });
});

test("sessions come through the promises of a node, and outlive its restart", async () => {
  const disk = new BytesDisk();
  const run = async <T>(bench: NodeBench, promise: Promise<T>): Promise<T> => {
    for (let turn = 0; turn < 20; turn += 1) {
      bench.clock.run();
      await Promise.resolve();
    }
    return promise;
  };
  const options = { snapshotLogEntries: 4, trailingEntries: 0 };
  const first = new NodeBench(disk, ["a"], options);
  first.lead();
  const face = createFace(first.host);
  const session = await run(first, face.openSession());
  const results: ProposeResult[] = [];
  for (const value of [5, 6, 7, 8]) results.push(await run(first, session.propose(Uint8Array.of(value))));
  expect(results.map(({ result, index }) => [result[0], index])).toEqual([
    [1, 3],
    [2, 4],
    [3, 5],
    [4, 6],
  ]);
  expect([session.id, session.nextSequence, session.expireAfterMs]).toEqual([2, 5, 60_000]);
  first.close();
  const second = new NodeBench(disk, ["a"], options);
  second.lead();
  expect(second.host.running?.raft.snapshot.lastIncludedIndex).toBeGreaterThan(0);
  const again = await run(second, createFace(second.host).openSession({ resume: { id: session.id, nextSequence: 4 } }));
  const repeated = await run(second, again.propose(Uint8Array.of(8)));
  expect([repeated.result[0], repeated.index]).toEqual([4, 6]);
  expect(second.values).toEqual([5, 6, 7, 8]);
  await run(second, again.keepAlive());
  await run(second, again.close());
  const failure = await run(second, again.propose(Uint8Array.of(9))).catch((error: RaftError) => error.code);
  expect(failure).toBe("sessionExpired");
  const stopped = { aborted: true, addEventListener: () => undefined, removeEventListener: () => undefined };
  const refused = await createFace(second.host)
    .openSession({ signal: stopped })
    .catch((error: RaftError) => error.code);
  expect(refused).toBe("aborted");
});
