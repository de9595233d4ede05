/** `quorate serve` around a server that is played: what it prints and reports, how it stops, how it fails. */
import type { NodeEvent, NodeStatus } from "@quorate/raft";
import { describe, expect, it } from "vitest";
import { CommandFailure } from "../../src/cli/failure.js";
import { parseReport, type Report } from "../../src/cli/report.js";
import { type RunningServer, serve } from "../../src/cli/serve.js";

const SETTINGS = {
  name: "a",
  cluster: [
    { name: "a", address: "127.0.0.1:2380" },
    { name: "b", address: "127.0.0.1:22380" },
  ],
  directory: "/data/a",
  listenClient: "127.0.0.1:2379",
  advertiseClient: "http://127.0.0.1:2379",
};

const STATUS: NodeStatus = {
  id: "a",
  incarnation: "0000000000000001",
  clusterId: "00000000000000000000000000000001",
  boot: 1,
  state: "running",
  failure: null,
  role: "follower",
  currentTerm: 1,
  leader: null,
  commitIndex: 3,
  lastApplied: 2,
  lastLogIndex: 3,
  durableIndex: 3,
  snapshotIndex: 0,
  firstLogIndex: 1,
  leaderHeardMs: null,
  leaseMs: null,
  pendingProposals: 0,
  pendingReads: 0,
  sessions: { open: 0, answeredAgain: 0, answeredAcrossTerms: 0, expired: 0, refused: 0 },
  voters: ["a", "b"],
  learners: [],
  recovering: null,
  warnings: [],
  peers: [{ name: "b", address: "127.0.0.1:22380", connected: true, matchIndex: null, nextIndex: null, state: null }],
  members: [],
  configuration: { index: 0, committed: true, joint: false, staged: null },
  log: { syncs: 1, batches: 1, entries: 3, bytes: 100 },
};

class PlayedServer implements RunningServer {
  now: NodeStatus = STATUS;
  closed = false;
  fail: (reason: string) => void = () => {};
  readonly failed = new Promise<string>((resolve) => {
    this.fail = resolve;
  });
  readonly #queue: NodeEvent[] = [];
  #wake: (() => void) | null = null;
  #over = false;

  readonly node = { status: (): NodeStatus => this.now, events: () => this.#events() };

  emit(event: NodeEvent): void {
    this.#queue.push(event);
    this.#wake?.();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#over = true;
    this.#wake?.();
  }

  async *#events(): AsyncGenerator<NodeEvent, void> {
    while (!this.#over) {
      for (const event of this.#queue.splice(0)) yield event;
      if (this.#over) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (this.#queue.length > 0) resolve();
      });
    }
  }
}

function play(status = STATUS) {
  const server = new PlayedServer();
  server.now = status;
  const lines: string[] = [];
  const reports: Report[] = [];
  let stop: (reason: string) => void = () => {};
  const reported: (() => void)[] = [];
  const stopRequested = new Promise<string>((resolve) => {
    stop = resolve;
  });
  const done = serve(SETTINGS, async () => server, {
    print: (line) => lines.push(line.replace(/^\d\d:\d\d:\d\d\.\d{3} /, "")),
    report: (report) => {
      reports.push(report);
      for (const wake of reported.splice(0)) wake();
    },
    stopRequested,
  });
  const reportThat = async (fits: (report: Report) => boolean): Promise<void> => {
    while (!reports.some(fits)) await new Promise<void>((resolve) => reported.push(resolve));
  };
  return { server, lines, reports, stop, done, reportThat };
}

describe("quorate serve", () => {
  it("says where it serves, reports its state, and stops in good order when it is told to", async () => {
    const { server, lines, reports, stop, done, reportThat } = play();
    await reportThat(() => true);
    stop("SIGTERM");
    expect(await done).toBe(0);
    expect(server.closed).toBe(true);
    expect(lines).toEqual([
      "a serves clients at http://127.0.0.1:2379, peers at 127.0.0.1:2380 (peers b=127.0.0.1:22380), data in /data/a",
      "a is follower, term 1",
      "a stops: SIGTERM",
      "a stopped",
    ]);
    expect(reports[0]).toEqual({
      type: "status",
      name: "a",
      pid: process.pid,
      clientUrl: "http://127.0.0.1:2379",
      state: "running",
      failure: null,
      role: "follower",
      term: 1,
      leader: null,
      commitIndex: 3,
      lastApplied: 2,
      snapshotIndex: 0,
      connectedPeers: 1,
      peers: 1,
    });
    // What is reported is what the supervisor understands, also after a journey as JSON.
    expect(parseReport(JSON.parse(JSON.stringify(reports[0])))).toEqual(reports[0]);
  });

  it("prints and reports events; a change of leader shows in the very next report", async () => {
    const { server, lines, reports, stop, done, reportThat } = play();
    await reportThat(() => true);
    server.now = { ...STATUS, role: "leader", currentTerm: 2, leader: { name: "a", address: "127.0.0.1:2380" } };
    server.emit({ type: "roleChanged", role: "leader", previous: "candidate", term: 2, reason: "elected" });
    server.emit({ type: "leaderChanged", leader: "b#00000000000000ff", term: 2 });
    server.emit({ type: "commitAdvanced", commitIndex: 4, term: 2 });
    server.emit({ type: "warning", message: "the disk is slow" });
    await reportThat((report) => report.type === "event" && report.level === "warning");
    expect(reports.slice(1, 5)).toMatchObject([
      { type: "event", level: "info", text: "is leader (was candidate), term 2: elected" },
      { type: "status", role: "leader", term: 2, leader: "a" },
      { type: "event", level: "info", text: "leader is b, term 2" },
      { type: "event", level: "warning", text: "the disk is slow" },
    ]);
    stop("SIGINT");
    await done;
    expect(lines.slice(2, 5)).toEqual([
      "a is leader (was candidate), term 2: elected",
      "a leader is b, term 2",
      "a warning: the disk is slow",
    ]);
  });

  it("reports again without an event, as a sign of life and because indexes move", async () => {
    const { server, reports, stop, done, reportThat } = play();
    server.now = { ...STATUS, commitIndex: 9 };
    await reportThat((report) => report.type === "status" && report.commitIndex === 9);
    const before = reports.length;
    await reportThat(() => reports.length > before);
    stop("SIGTERM");
    expect(await done).toBe(0);
  });

  it("a node that does not close is not waited for without end", async () => {
    const server = new PlayedServer();
    server.close = () => new Promise(() => {});
    const host = { print: () => {}, report: () => {}, stopRequested: Promise.resolve("SIGTERM") };
    await expect(serve(SETTINGS, async () => server, host, 50)).rejects.toThrow(
      "node a did not stop within 50 ms; ended without waiting longer",
    );
  });

  it("tells what the node found at its start", async () => {
    const { lines, reports, stop, done, reportThat } = play({ ...STATUS, warnings: ["a torn write was left out"] });
    await reportThat((report) => report.type === "status");
    stop("SIGTERM");
    await done;
    expect(lines).toContain("a warning: a torn write was left out");
    expect(reports[0]).toEqual({ type: "event", level: "warning", text: "a torn write was left out" });
  });

  it("a node that fails is closed, and the command fails with its reason", async () => {
    const { server, reports, done } = play();
    server.now = { ...STATUS, state: "failed", failure: "fdatasync failed: EIO" };
    server.fail("fdatasync failed: EIO");
    await expect(done).rejects.toThrow(new CommandFailure("node a failed: fdatasync failed: EIO"));
    expect(server.closed).toBe(true);
    expect(reports.at(-1)).toMatchObject({ type: "status", state: "failed", failure: "fdatasync failed: EIO" });
  });

  it("a node that joins says what it waits for, and what it has become", async () => {
    const { server, lines, stop, done, reportThat } = play({ ...STATUS, state: "joining", voters: [] });
    await reportThat(() => true);
    server.now = { ...STATUS, voters: ["b"], learners: ["a"] };
    const changed = { type: "configurationChanged", index: 5, voters: [], votersOutgoing: [], learners: [] } as const;
    server.emit(changed);
    await reportThat((report) => report.type === "event" && report.text.startsWith("is a learner"));
    server.now = STATUS;
    server.emit(changed);
    server.emit({ ...changed, index: 6 });
    await reportThat((report) => report.type === "event" && report.text.startsWith("is a voter"));
    stop("SIGTERM");
    await done;
    expect(lines.slice(2, -2)).toEqual([
      "a joins: waits until a leader takes it in (quorate member add 127.0.0.1:2380)",
      "a is a learner now: it receives the log, and does not vote",
      "a is a voter now",
    ]);
  });

  it("a founder is a voter from the start, and does not say so at each change", async () => {
    const { server, lines, stop, done, reportThat } = play({ ...STATUS, state: "founding", voters: [] });
    await reportThat(() => true);
    server.now = STATUS;
    server.emit({ type: "founded", voters: ["a", "b"] });
    server.emit({ type: "configurationChanged", index: 5, voters: [], votersOutgoing: [], learners: [] });
    server.emit({ type: "warning", message: "the end" });
    await reportThat((report) => report.type === "event" && report.text === "the end");
    stop("SIGTERM");
    await done;
    expect(lines.slice(2, -2)).toEqual(["a the cluster is founded: a, b", "a warning: the end"]);
  });

  it("a node that was removed says so, and the command ends with an exit code of its own", async () => {
    const { server, lines, done } = play();
    const reason = "this member was removed from the cluster (configuration 9); its data directory can be deleted";
    server.now = { ...STATUS, state: "removed", failure: reason };
    server.emit({ type: "removed", reason });
    server.fail(reason);
    await expect(done).rejects.toMatchObject({
      message: "node a was removed from the cluster; its data directory /data/a can be deleted",
      exitCode: 3,
    });
    expect(server.closed).toBe(true);
    expect(lines.filter((line) => line.includes("error"))).toEqual([`a error: removed: ${reason}`]);
  });

  it("a message that is no report is none", () => {
    for (const message of [null, 7, "status", {}, { type: "status" }, { type: "event", level: "loud", text: "" }]) {
      expect(parseReport(message)).toBeNull();
    }
  });
});
