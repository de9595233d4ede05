/** What `quorate dev` shows, as whole pictures. */
import { describe, expect, it } from "vitest";
import { type NodeView, renderView, SILENT_AFTER_MS, tellChanges, type ViewState } from "../../src/cli/dev-view.js";
import type { StatusReport } from "../../src/cli/report.js";

function report(name: string, changes: Partial<StatusReport> = {}): StatusReport {
  return {
    type: "status",
    name,
    pid: 1,
    clientUrl: "http://x:1",
    state: "running",
    failure: null,
    role: "follower",
    term: 2,
    leader: "a",
    commitIndex: 17,
    lastApplied: 17,
    snapshotIndex: 0,
    connectedPeers: 2,
    peers: 2,
    ...changes,
  };
}

const PORTS: Readonly<Record<string, number>> = { a: 2379, b: 22379, c: 32379 };

function node(name: string, changes: Partial<NodeView> = {}, reported: Partial<StatusReport> = {}): NodeView {
  return {
    name,
    clientAddress: `127.0.0.1:${PORTS[name]}`,
    pid: 4000 + (PORTS[name] ?? 0),
    life: { phase: "running" },
    report: report(name, reported),
    silentMs: 10,
    ...changes,
  };
}

const A = node("a", {}, { role: "leader" });
const B = node("b");
const C = node("c");

function state(nodes: readonly NodeView[], recent: ViewState["recent"] = []): ViewState {
  return { directory: "/data", nodes, recent };
}

describe("the picture on a terminal", () => {
  it("three nodes with a leader", () => {
    expect(renderView(state([A, B, C]), 200)).toEqual([
      "quorate dev: 3 nodes, data in /data",
      "",
      "NODE  PID    ROLE      TERM  COMMIT  APPLIED  CLIENTS                 STATE",
      "a     6379   leader       2      17       17  http://127.0.0.1:2379   running",
      "b     26379  follower     2      17       17  http://127.0.0.1:22379  running",
      "c     36379  follower     2      17       17  http://127.0.0.1:32379  running",
      "",
      "leader: a (term 2), clients: http://127.0.0.1:2379,http://127.0.0.1:22379,http://127.0.0.1:32379",
      "try: etcdctl --endpoints=127.0.0.1:2379,127.0.0.1:22379,127.0.0.1:32379 put k v",
      "commands: kill a, restart a, stop a, cont a, help, quit (kill is -9; stop and cont are SIGSTOP and SIGCONT)",
      "",
    ]);
  });

  it("a dead one and one that starts; nobody can lead", () => {
    const dead = node("a", { pid: null, life: { phase: "dead", how: "SIGKILL", reason: null } }, { role: "leader" });
    const starting = node("c", { report: null, silentMs: 0 });
    expect(renderView(state([dead, B, starting], [{ source: "node", name: "b", level: "warning", text: "slow" }]), 200)).toEqual([
      "quorate dev: 3 nodes, data in /data",
      "",
      "NODE  PID    ROLE      TERM  COMMIT  APPLIED  CLIENTS                 STATE",
      'a     -      -            -       -        -  http://127.0.0.1:2379   dead (SIGKILL); type "restart a" to start it again',
      "b     26379  follower     2      17       17  http://127.0.0.1:22379  running",
      "c     36379  -            -       -        -  http://127.0.0.1:32379  starting",
      "",
      "leader: none, and none can be elected: 1 of 3 nodes are up, 2 are needed",
      "try: etcdctl --endpoints=127.0.0.1:2379,127.0.0.1:22379,127.0.0.1:32379 put k v",
      "commands: kill a, restart a, stop a, cont a, help, quit (kill is -9; stop and cont are SIGSTOP and SIGCONT)",
      "",
      "b: warning: slow",
    ]);
  });

  it.each<[string, NodeView, string]>([
    [
      "its last words",
      node("b", { life: { phase: "dead", how: "exit 1", reason: "no room" } }),
      'dead (exit 1): no room; type "restart b" to start it again',
    ],
    ["paused", node("b", { life: { phase: "paused" } }), 'paused (SIGSTOP); type "cont b" to continue it'],
    ["stopping", node("b", { life: { phase: "stopping" } }), "stopping"],
    ["stopped", node("b", { pid: null, life: { phase: "stopped" } }), "stopped"],
    ["failed", node("b", {}, { state: "failed", failure: "a sync failed" }), "failed: a sync failed"],
    ["failed without a word", node("b", {}, { state: "failed" }), "failed: no reason given"],
    ["silent", node("b", { silentMs: SILENT_AFTER_MS }), "silent: says nothing; frozen or overloaded"],
    [
      "removed, and ended",
      node("b", { life: { phase: "dead", how: "exit 3", reason: "node b was removed from the cluster" } }),
      "gone: node b was removed from the cluster",
    ],
    ["removed", node("b", {}, { state: "removed", failure: "it left" }), "removed: it left"],
    ["joining", node("b", {}, { state: "joining", leader: null }), "joining: waits until a leader takes it in"],
    ["founding", node("b", {}, { state: "founding", leader: null, connectedPeers: 1 }), "founding: 1 of 2 peers connected"],
    ["without a leader", node("b", {}, { leader: null, role: "preCandidate" }), "running, knows no leader"],
  ])("the state of one that is %s", (_, view, words) => {
    expect(renderView(state([view]), 300)[3]?.endsWith(`  ${words}`)).toBe(true);
  });

  it("the leader of the highest term is shown; one that is paused or silent is none", () => {
    const newer = node("b", {}, { role: "leader", term: 3 });
    expect(renderView(state([A, newer, C]), 200)[7]).toContain("leader: b (term 3)");
    expect(renderView(state([node("a", { life: { phase: "paused" } }, { role: "leader" }), B, C]), 200)[7]).toBe(
      "leader: none yet",
    );
    expect(renderView(state([node("a", { silentMs: 1e6 }, { role: "leader" }), B, C]), 200)[7]).toBe("leader: none yet");
  });

  it("no line is longer than the terminal is wide", () => {
    const lines = renderView(state([A, B, C]), 30);
    expect(Math.max(...lines.map((line) => line.length))).toBe(30);
    expect(lines[4]).toBe("b     26379  follower     2  …");
  });
});

describe("the lines for a pipe", () => {
  it("first all nodes, then only what differs", () => {
    const first = tellChanges(null, state([A, B]), true);
    expect(first.lines).toEqual([
      "a: pid 6379, leader, term 2, commit 17, applied 17, http://127.0.0.1:2379, running",
      "b: pid 26379, follower, term 2, commit 17, applied 17, http://127.0.0.1:22379, running",
    ]);
    expect(tellChanges(first.known, state([A, node("b", { silentMs: 999 })]), true).lines).toEqual([]);
    expect(tellChanges(first.known, state([A, node("b", {}, { term: 3 })]), false).lines).toEqual([
      "b: pid 26379, follower, term 3, commit 17, applied 17, http://127.0.0.1:22379, running",
    ]);
  });

  it("indexes that move are told only when it is time, and none is forgotten", () => {
    const first = tellChanges(null, state([A, B]), true);
    const moved = state([A, node("b", {}, { commitIndex: 18 })]);
    const quiet = tellChanges(first.known, moved, false);
    expect(quiet.lines).toEqual([]);
    // Something else is told meanwhile; b's move is still new.
    const other = tellChanges(
      quiet.known,
      { ...moved, nodes: [node("a", {}, { role: "leader", term: 4 }), ...moved.nodes.slice(1)] },
      false,
    );
    expect(other.lines[0]).toContain("a: pid 6379, leader, term 4");
    expect(
      tellChanges(other.known, { ...moved, nodes: [other.known.nodes[0] ?? A, ...moved.nodes.slice(1)] }, true).lines,
    ).toEqual(["b: pid 26379, follower, term 2, commit 18, applied 17, http://127.0.0.1:22379, running"]);
  });

  it("a first leader is announced with what to try, a lost one with what is missing", () => {
    const waiting = tellChanges(null, state([node("a", {}, { leader: null }), B, C]), true);
    const led = tellChanges(waiting.known, state([A, B, C]), true);
    expect(led.lines.slice(1)).toEqual([
      "leader: a (term 2), clients: http://127.0.0.1:2379,http://127.0.0.1:22379,http://127.0.0.1:32379",
      "try: etcdctl --endpoints=127.0.0.1:2379,127.0.0.1:22379,127.0.0.1:32379 put k v",
    ]);
    const dead = (name: string): NodeView => node(name, { pid: null, life: { phase: "dead", how: "SIGKILL", reason: null } });
    expect(tellChanges(led.known, state([dead("a"), dead("b"), C]), true).lines).toEqual([
      'a: dead (SIGKILL); type "restart a" to start it again',
      'b: dead (SIGKILL); type "restart b" to start it again',
      "leader: none, and none can be elected: 1 of 3 nodes are up, 2 are needed",
    ]);
  });
});
