/**
 * Nothing leaves before the disk vouches for it: three real processes on real disks, with the ports between node and
 * system recorded (fixtures/recorder.ts), leaders killed with -9 in between, and the record judged (effects.ts). The judge
 * is shown to complain: of records that were tampered with, and of a build that reports its syncs too early.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodePayload } from "../../src/runtime/wire/payload.js";
import { type Effect, judge, parseEffects } from "./effects.js";
import { Cluster, NAMES } from "./members.js";
import { Processes, pause, present } from "./processes.js";

/** Small segments, so that the log goes over several of them. */
const OPTIONS = { electionTimeoutMs: 400, heartbeatIntervalMs: 50, segmentBytes: 256 * 1024 };
const KILLS = 4;
const LOAD_MS = 500;

const processes = new Processes();
let record = new Map<string, readonly Effect[]>();

function recordOf(cluster: Cluster): Map<string, readonly Effect[]> {
  return new Map(cluster.names.map((name) => [name, parseEffects(readFileSync(cluster.effects(name), "utf8"))]));
}

async function start(environment: Readonly<Record<string, string>> = {}): Promise<Cluster> {
  const cluster = await Cluster.make(processes, NAMES, { options: OPTIONS, environment });
  await cluster.startAll((name) => ({ environment: { EFFECTS: cluster.effects(name) } }));
  return cluster;
}

/** Every member proposes for a while. */
async function load(cluster: Cluster): Promise<void> {
  for (const name of NAMES) await cluster.ask(name, "load 3", "loading");
  await pause(LOAD_MS);
}

beforeAll(async () => {
  const cluster = await start();
  for (let kill = 0; kill < KILLS; kill += 1) {
    const { name } = await cluster.leader();
    await load(cluster);
    cluster.member(name).kill("SIGKILL");
    await cluster.member(name).ended;
    const rest = NAMES.filter((each) => each !== name);
    await cluster.leader(rest);
    for (const each of rest) await cluster.ask(each, "stop", "loaded");
    await cluster.restart(name, { environment: { EFFECTS: cluster.effects(name) } });
    await cluster.caughtUp();
  }
  await cluster.closeAll();
  record = recordOf(cluster);
});

afterAll(() => processes.endAll());

/** The record with one effect of a process moved to stand before another. */
function moved(name: string, effect: Effect, before: Effect): Map<string, readonly Effect[]> {
  const effects = (record.get(name) ?? []).filter((each) => each !== effect);
  effects.splice(effects.indexOf(before), 0, { ...effect, n: before.n, at: before.at });
  return new Map([...record, [name, effects]]);
}

/** The first flush that carries a message that fits, and the last end of a sync before it. */
function promise(fits: (message: unknown) => boolean): { readonly name: string; readonly flush: Effect; readonly sync: Effect } {
  for (const [name, effects] of record) {
    let sync: Effect | null = null;
    for (const effect of effects) {
      if (effect.k === "syncEnd" && effect.path.endsWith(".segment")) sync = effect;
      if (effect.k !== "flush" || sync === null) continue;
      const carries = effect.sent.some(({ data }) => {
        const payload = decodePayload(Buffer.from(data, "base64"));
        return payload.ok && payload.kind === "message" && fits(payload.message);
      });
      if (carries) return { name, flush: effect, sync };
    }
  }
  throw new Error("the record holds no such message");
}

describe("three processes that lose their leaders", () => {
  test("promise nothing before their disks have it", () => {
    const { complaints, seen, each } = judge(record);
    expect(complaints).toEqual([]);
    expect(seen.voteRequests).toBeGreaterThanOrEqual(KILLS);
    expect(seen.votes).toBeGreaterThanOrEqual(KILLS);
    expect(seen.acknowledgements).toBeGreaterThan(50);
    expect(seen.answers).toBeGreaterThan(100);
    expect(seen.applied).toBeGreaterThan(seen.answers);
    for (const one of each.values()) {
      expect(one.syncs).toBeGreaterThan(50);
      expect(one.segments).toBeGreaterThanOrEqual(2);
    }
  });
});

describe("the judge complains of", () => {
  test("an acknowledgement before its sync", () => {
    const { name, flush, sync } = promise(
      (message) =>
        matches(message, { type: "AppendEntriesResponse", success: true }) && (message as { matchIndex: number }).matchIndex > 5,
    );
    const { complaints } = judge(moved(name, flush, sync));
    expect(complaints.join("\n")).toMatch(
      new RegExp(`${name}, effect ${sync.n}: acknowledges entry \\d+ to \\w, and the durable log ends`),
    );
  });

  test("a vote before its sync", () => {
    const { name, flush, sync } = promise((message) => matches(message, { type: "RequestVoteResponse", voteGranted: true }));
    const { complaints } = judge(moved(name, flush, sync));
    expect(complaints.join("\n")).toMatch(/its vote leaves to \w in term \d+, and the durable vote of that term is none/);
  });

  test("a candidate that asks before its sync", () => {
    const { name, flush, sync } = promise((message) => matches(message, { type: "RequestVote" }));
    const { complaints } = judge(moved(name, flush, sync));
    expect(complaints.join("\n")).toMatch(/RequestVote of term \d+ leaves to \w, and the durable term is/);
    expect(complaints.join("\n")).toMatch(/it asks \w for a vote in term \d+, and the durable vote of that term is none/);
  });

  test("an answer before the majority has it", () => {
    const [name, effects] = present(
      [...record].find(([, each]) => each.some((effect) => effect.k === "answer")),
      "record with an answer",
    );
    const answer = present(
      effects.find((effect) => effect.k === "answer"),
      "answer",
    );
    const begin = present(
      effects.find((effect) => effect.k === "life"),
      "life",
    );
    const { complaints } = judge(moved(name, answer, begin));
    expect(complaints.join("\n")).toMatch(/entry \d+ is answered for, and only 0 is known to be committed/);
    expect(complaints.join("\n")).toMatch(/the client is told of entry \d+ of term \d+, which is durable on 0 of 3 disks/);
  });

  test("a sync that failed", () => {
    const { name, sync } = promise((message) => matches(message, { type: "AppendEntriesResponse", success: true }));
    const effects = (record.get(name) ?? []).map((effect) => (effect === sync ? { ...effect, ok: false } : effect));
    expect(judge(new Map([...record, [name, effects]])).complaints).not.toEqual([]);
  });

  test("a build that reports its syncs before they are done", async () => {
    const cluster = await start({ EARLY_SYNC: "1" });
    await cluster.leader();
    await load(cluster);
    for (const name of NAMES) await cluster.ask(name, "stop", "loaded");
    await cluster.closeAll();
    const text = judge(recordOf(cluster)).complaints.join("\n");
    expect(text).toMatch(/acknowledges entry \d+ to \w, and the durable log ends at \d+/);
    expect(text).toMatch(/the client is told of entry \d+ of term \d+, which is durable on [01] of 3 disks/);
    expect(text).toMatch(/leaves to \w, and the durable term is/);
  });
});

function matches(message: unknown, fields: Readonly<Record<string, unknown>>): boolean {
  return Object.entries(fields).every(([name, value]) => (message as Record<string, unknown>)[name] === value);
}
