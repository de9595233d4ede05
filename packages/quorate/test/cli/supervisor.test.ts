/**
 * The supervisor of `quorate dev` with real child processes: small programs that report like a node does, and die, freeze or
 * refuse to stop as the test says.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../../raft/test/proof/processes.js";
import type { EventReport, StatusReport } from "../../src/cli/report.js";
import { lastSentence, Supervisor } from "../../src/cli/supervisor.js";

const REPORT: StatusReport = {
  type: "status",
  name: "a",
  pid: 1,
  clientUrl: "http://127.0.0.1:2379",
  state: "running",
  failure: null,
  role: "follower",
  term: 1,
  leader: null,
  commitIndex: 0,
  lastApplied: 0,
  snapshotIndex: 0,
  connectedPeers: 0,
  peers: 0,
};

/** Reports every 20 ms; what else it does is its first argument. */
const PROGRAM = `
const report = ${JSON.stringify(REPORT)};
const [behaviour] = process.argv.slice(2);
if (behaviour === "failsToStart") {
  process.stderr.write("warning: something else\\nquorate: the port 1 is in use: choose another\\n");
  process.exit(1);
}
process.on("SIGINT", () => {});
process.on("SIGTERM", () => { if (behaviour !== "deaf") process.exit(0); });
process.on("disconnect", () => process.exit(0));
// Only now, for the first report is what a test waits for before it sends a signal.
let commitIndex = 0;
process.send("rubbish");
process.send({ type: "event", level: "warning", text: "hello from the child" });
const beat = () => process.connected && process.send({ ...report, pid: process.pid, commitIndex: (commitIndex += 1) });
beat();
setInterval(beat, 20);
`;

let folder: string;
let program: string;
let supervisor: Supervisor | null = null;
let said: [string, EventReport][] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-supervisor-"));
  program = join(folder, "program.mjs");
  writeFileSync(program, PROGRAM);
  said = [];
});

afterEach(async () => {
  await supervisor?.stopAll();
  supervisor = null;
  rmSync(folder, { recursive: true, force: true });
});

function supervise(behaviours: Readonly<Record<string, string>>, graceMs = 30_000): Supervisor {
  const plans = Object.entries(behaviours).map(([name, behaviour]) => ({
    name,
    clientAddress: "127.0.0.1:2379",
    arguments: [program, behaviour],
  }));
  supervisor = new Supervisor(plans, { changed: () => {}, said: (name, event) => said.push([name, event]) }, graceMs);
  supervisor.startAll();
  return supervisor;
}

function reports(of: Supervisor, name: string): Promise<void> {
  const before = of.child(name).view().report;
  const fits = (): boolean => {
    const { report } = of.child(name).view();
    return report !== null && report !== before;
  };
  return until(fits, () => `${name} to report`);
}

function isGone(pid: number | null): boolean {
  try {
    process.kill(pid ?? -1, 0);
    return false;
  } catch {
    return true;
  }
}

describe("the supervisor", () => {
  it("shows what its children report, hands on what they say, and ignores rubbish", async () => {
    const all = supervise({ a: "", b: "" });
    await Promise.all([reports(all, "a"), reports(all, "b")]);
    for (const view of all.views()) {
      expect(view.life).toEqual({ phase: "running" });
      expect(view.report?.pid).toBe(view.pid);
      expect(view.silentMs).toBeLessThan(60_000);
    }
    expect(said.map(([name, { text }]) => `${name}: ${text}`).sort()).toEqual([
      "a: hello from the child",
      "b: hello from the child",
    ]);
  });

  it("one that is killed stays dead and the others live; it is started again on request", async () => {
    const all = supervise({ a: "", b: "" });
    await Promise.all([reports(all, "a"), reports(all, "b")]);
    const before = all.child("a").view().pid;
    expect(all.child("a").kill()).toBe(true);
    await until(
      () => !all.child("a").alive,
      () => "a to die",
    );
    expect(all.child("a").view()).toMatchObject({ pid: null, life: { phase: "dead", how: "SIGKILL", reason: null } });
    expect(all.child("a").kill()).toBe(false);
    expect(all.child("b").view().life).toEqual({ phase: "running" });
    await all.child("a").restart();
    await reports(all, "a");
    expect(all.child("a").view().pid).not.toBe(before);
  });

  it("a kill from outside is seen too", async () => {
    const all = supervise({ a: "" });
    await reports(all, "a");
    process.kill(all.child("a").view().pid ?? 0, "SIGABRT");
    await until(
      () => !all.child("a").alive,
      () => "a to die",
    );
    expect(all.child("a").view().life).toMatchObject({ phase: "dead", how: "SIGABRT" });
  });

  it("freezes and thaws; a frozen one says nothing, and still stops when all stop", async () => {
    const all = supervise({ a: "" });
    const a = all.child("a");
    await reports(all, "a");
    expect(a.resume()).toBe(false);
    expect(a.pause()).toBe(true);
    expect(a.pause()).toBe(false);
    expect(a.view().life).toEqual({ phase: "paused" });
    await until(
      () => a.view().silentMs > 500,
      () => "a to fall silent",
    );
    expect(a.resume()).toBe(true);
    await reports(all, "a");
    expect(a.pause()).toBe(true);
    await all.stopAll();
    expect(a.view().life).toEqual({ phase: "stopped" });
  });

  it("restarting one that runs ends it in good order first; asked twice, it is done once", async () => {
    const all = supervise({ a: "" });
    await reports(all, "a");
    const before = all.child("a").view().pid;
    await Promise.all([all.child("a").restart(), all.child("a").restart()]);
    await reports(all, "a");
    expect(isGone(before)).toBe(true);
    expect(all.child("a").alive).toBe(true);
  });

  it("one that does not stop is killed after the grace", async () => {
    const all = supervise({ a: "deaf", b: "" }, 3_000);
    await Promise.all([reports(all, "a"), reports(all, "b")]);
    const pids = all.views().map(({ pid }) => pid);
    await all.stopAll();
    expect(all.child("a").view().life).toMatchObject({ phase: "dead", how: "SIGKILL" });
    expect(all.child("b").view().life).toEqual({ phase: "stopped" });
    expect(pids.map(isGone)).toEqual([true, true]);
  });

  it("tells why nothing could be started", async () => {
    const all = supervise({ a: "failsToStart", b: "failsToStart" });
    expect(all.allFailedToStart).toBe(false);
    await until(
      () => all.allFailedToStart,
      () => "both to give up",
    );
    expect(all.child("a").view().life).toEqual({ phase: "dead", how: "exit 1", reason: "the port 1 is in use: choose another" });
  });

  it("last words: the last line, without the program's name", () => {
    expect(lastSentence("")).toBeNull();
    expect(lastSentence("\n \n")).toBeNull();
    expect(lastSentence("one\nquorate: two\n\n")).toBe("two");
  });
});
