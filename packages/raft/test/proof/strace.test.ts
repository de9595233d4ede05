/**
 * The order of system calls, as strace sees them: no vote and no acknowledgement is handed to a socket before the fdatasync
 * that covers it has returned. And what the program does when the system says that an fdatasync failed. This needs strace;
 * where there is none, the tests are left out and say so.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { decodePayload } from "../../src/runtime/wire/payload.js";
import { type Effect, ProcessJudge } from "./effects.js";
import { Cluster, NAMES, waitOpen } from "./members.js";
import { Processes, pause, until } from "./processes.js";
import { STRACE_ENVIRONMENT, straceCommand, straceMissing, TraceReader } from "./strace.js";

const missing = process.platform === "linux" ? straceMissing() : "strace exists on Linux only";
if (missing !== null) console.warn(`The proofs by system call trace are left out: ${missing}.`);

const OPTIONS = { electionTimeoutMs: 600, heartbeatIntervalMs: 60, segmentBytes: 256 * 1024 };

let processes = new Processes();
afterEach(async () => {
  await processes.endAll();
  processes = new Processes();
});

function readTrace(cluster: Cluster, name: string, file: string): TraceReader {
  const peers = new Map(cluster.names.map((each, place) => [cluster.ports[place] ?? 0, each]));
  const reader = new TraceReader(name, cluster.directory(name), peers);
  reader.read(readFileSync(file, "utf8"));
  return reader;
}

function judgeTrace(name: string, effects: readonly Effect[]): ProcessJudge {
  const judge = new ProcessJudge(name, { voters: 3, received: false });
  for (const effect of effects) judge.take(effect);
  return judge;
}

/** Acknowledgements and votes among what leaves. */
function promises(effects: readonly Effect[]): number {
  return effects
    .flatMap((effect) => (effect.k === "flush" ? effect.sent : []))
    .map(({ data }) => decodePayload(Buffer.from(data, "base64")))
    .filter((payload) => payload.ok && payload.kind === "message")
    .filter(({ message }) => ("success" in message && message.success) || ("voteGranted" in message && message.voteGranted))
    .length;
}

describe.skipIf(missing !== null)("traced by strace", () => {
  test("a member that votes and acknowledges does so after its fdatasync has returned", async () => {
    const cluster = await Cluster.make(processes, NAMES, { options: OPTIONS });
    const trace = join(cluster.folder, "b.trace");
    await cluster.startAll((name) => (name === "b" ? { under: straceCommand(trace), environment: STRACE_ENVIRONMENT } : {}));
    await cluster.leader();
    await cluster.ask("a", "load 8", "loading");
    await pause(700);
    await cluster.ask("a", "stop", "loaded");
    // Another member leads after this, and b has voted once more, for it or for itself.
    const { name } = await cluster.leader();
    if (name !== "b") {
      cluster.member(name).kill("SIGKILL");
      await cluster.member(name).ended;
      await cluster.leader(NAMES.filter((each) => each !== name));
      await cluster.restart(name);
    }
    await cluster.leader();
    expect((await cluster.add("b", 1)).ok).toBe(true);
    await cluster.closeAll();

    const judged = judgeTrace("b", readTrace(cluster, "b", trace).effects);
    expect(judged.complaints).toEqual([]);
    expect(judged.seen.acknowledgements).toBeGreaterThan(20);
    expect(judged.seen.votes + judged.seen.voteRequests).toBeGreaterThanOrEqual(2);
    expect(judged.seen.syncs).toBeGreaterThan(20);
    expect(judged.seen.segments).toBeGreaterThanOrEqual(2);
  });

  test("the judge complains of a build that reports its syncs too early", async () => {
    const cluster = await Cluster.make(processes, NAMES, { options: OPTIONS });
    const trace = join(cluster.folder, "b.trace");
    const environment = { ...STRACE_ENVIRONMENT, EARLY_SYNC: "1", EFFECTS: cluster.effects("b") };
    await cluster.startAll((name) => (name === "b" ? { under: straceCommand(trace), environment } : {}));
    await cluster.leader();
    await cluster.ask("a", "load 8", "loading");
    await pause(500);
    await cluster.ask("a", "stop", "loaded");
    await cluster.closeAll();
    const { complaints } = judgeTrace("b", readTrace(cluster, "b", trace).effects);
    expect(complaints.join("\n")).toMatch(/acknowledges entry \d+ to \w, and the durable log ends at \d+/);
  });

  test("a follower whose fdatasync fails ends, promises nothing more, and comes back; the others go on", async () => {
    const cluster = await Cluster.make(processes, NAMES, { options: { ...OPTIONS, segmentBytes: 1024 * 1024 } });
    const trace = join(cluster.folder, "c.trace");
    // The syncs are counted by thread, so there is one; the next one would succeed again, as it does on a real system.
    await cluster.startAll((name) =>
      name === "c"
        ? {
            under: straceCommand(trace, "inject=fdatasync:error=EIO:when=40"),
            environment: { ...STRACE_ENVIRONMENT, UV_THREADPOOL_SIZE: "1" },
          }
        : {},
    );
    await cluster.leader();
    const failing = cluster.member("c");
    let acknowledged = 0;
    await until(
      async () => {
        const answer = await cluster.add("a", 1);
        expect(answer.ok).toBe(true);
        acknowledged += 1;
        return failing.lines.some((line) => line.includes('"failed"'));
      },
      () => "the follower to fail",
    );
    const line = await failing.waitForLine((each) => each.startsWith('{"type":"failed"'), "that it has failed");
    expect(line).toMatch(/the log can't be written: fdatasync \S+\/c\/log\/\S+: EIO the disk reports an error/);
    expect(await failing.ended).toEqual({ code: 4, signal: null });
    for (let more = 0; more < 20; more += 1) {
      expect((await cluster.add("b", 1)).ok).toBe(true);
      acknowledged += 1;
    }

    const reader = readTrace(cluster, "c", trace);
    expect(reader.refused).toBe(1);
    const judged = judgeTrace("c", reader.effects);
    expect(judged.complaints).toEqual([]);
    expect(judged.seen.acknowledgements).toBeGreaterThan(5);
    const failure = reader.effects.findIndex((effect) => effect.k === "syncEnd" && !effect.ok);
    expect(promises(reader.effects.slice(0, failure))).toBeGreaterThan(5);
    expect(promises(reader.effects.slice(failure))).toBe(0);
    expect(reader.effects.slice(failure).filter((effect) => effect.k === "syncBegin")).toEqual([]);

    await cluster.restart("c");
    await cluster.leader();
    await cluster.caughtUp();
    for (const name of NAMES) expect(await cluster.value(name)).toBe(acknowledged);
    await cluster.closeAll();
  });

  test("a data directory that can't be synced is not opened", async () => {
    const cluster = await Cluster.make(processes, ["a"]);
    const trace = join(cluster.folder, "a.trace");
    const child = cluster.start("a", {
      under: straceCommand(trace, "inject=fdatasync:error=EIO:when=1"),
      environment: { ...STRACE_ENVIRONMENT, UV_THREADPOOL_SIZE: "1" },
    });
    expect(await child.ended).toEqual({ code: 3, signal: null });
    expect(child.errors).toMatch(/^fdatasync .*\/a\/identity.tmp: EIO the disk reports an error\n$/);
    expect(existsSync(join(cluster.directory("a"), "identity"))).toBe(false);
    cluster.start("a");
    await waitOpen(cluster.member("a"));
    await cluster.closeAll();
  });
});
