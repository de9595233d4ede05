/** Moving leadership, asked of whole nodes: who leads then, what the caller is told, and what becomes of writes meanwhile. */
import { describe, expect, test } from "vitest";
import type { RaftError } from "../../src/runtime/index.js";
import { submitTransfer } from "../../src/runtime/requests.js";
import { VirtualNodes } from "./virtual-nodes.js";

interface Outcome {
  error: RaftError | null;
  leader: string | null;
}

/** Asks a node, and lets the world go on until there is an answer. */
function transfer(nodes: VirtualNodes, at: string, to: string | null, timeoutMs?: number): Outcome {
  const outcome: { settled: Outcome | null } = { settled: null };
  submitTransfer(nodes.node(at).host, to, timeoutMs, (error, leader) => {
    outcome.settled = { error, leader };
  });
  nodes.until("an answer", () => outcome.settled !== null);
  return outcome.settled ?? { error: null, leader: null };
}

const others = (nodes: VirtualNodes, leader: string): readonly [string, string] => {
  const [one = "", two = ""] = nodes.nodes.map(({ name }) => name).filter((name) => name !== leader);
  return [one, two];
};

/** Closes a node as SIGTERM does, and ends its process. Returns how many seconds it took. */
function closed(nodes: VirtualNodes, name: string): number {
  const begun = nodes.now;
  let done = false;
  nodes.node(name).host.close(() => {
    done = true;
    nodes.kill(name);
  }, true);
  nodes.until("the node is closed", () => done);
  return nodes.now - begun;
}

describe("leadership", () => {
  test("moves to whom it is asked to, at the leader and at a follower, and writes wait for it instead of failing", () => {
    const nodes = new VirtualNodes(["a", "b", "c"]);
    const leader = nodes.lead();
    const [one, two] = others(nodes, leader);
    const writings = nodes.nodes.map(({ name }) => nodes.writing(name));
    nodes.run(500);
    expect(transfer(nodes, leader, one)).toEqual({ error: null, leader: one });
    nodes.run(200);
    expect(nodes.lead()).toBe(one);
    // Asked of one that does not lead, for one that does not lead.
    expect(transfer(nodes, leader, two)).toEqual({ error: null, leader: two });
    nodes.run(200);
    expect(nodes.lead()).toBe(two);
    expect(transfer(nodes, two, null).leader).not.toBe(two);
    nodes.run(500);
    for (const writing of writings) {
      expect(writing.failed).toEqual([]);
      expect(writing.done()).toBeGreaterThan(50);
    }
  });

  test("is there already: the caller is told at once", () => {
    const nodes = new VirtualNodes(["a", "b", "c"]);
    const leader = nodes.lead();
    for (const { name } of nodes.nodes) expect(transfer(nodes, name, leader)).toEqual({ error: null, leader });
  });

  test("stays where it is when the target does not take over, and the writes that waited go on", () => {
    const nodes = new VirtualNodes(["a", "b", "c"]);
    const leader = nodes.lead();
    const [one, two] = others(nodes, leader);
    nodes.node(one).clock.pause();
    const wish: { settled: Outcome | null } = { settled: null };
    submitTransfer(nodes.node(two).host, one, 5000, (error, to) => {
      wish.settled = { error, leader: to };
    });
    nodes.run(50);
    const held = [nodes.propose(leader), nodes.propose(two)];
    nodes.run(500);
    expect(held.map(({ settled }) => settled)).toEqual([null, null]);
    nodes.until("the end of the attempt", () => wish.settled !== null, 1100);
    expect(wish.settled?.error).toMatchObject({ code: "transferFailed", outcome: "not-executed" });
    nodes.run(300);
    expect(held.map(({ settled }) => settled?.error)).toEqual([null, null]);
    nodes.node(one).clock.resume();
    nodes.run(1000);
    expect(nodes.lead()).toBe(leader);
  });

  test("is refused with the reason", () => {
    const nodes = new VirtualNodes(["a", "b", "c"]);
    expect(transfer(nodes, "a", "b").error).toMatchObject({ code: "notLeader", retry: "now" });
    const leader = nodes.lead();
    const [one, two] = others(nodes, leader);
    expect(transfer(nodes, leader, "z").error).toMatchObject({ code: "unknownMember", retry: "never" });
    expect(transfer(nodes, leader, one, -1).error).toMatchObject({ code: "invalidArgument" });
    nodes.node(one).clock.pause();
    submitTransfer(nodes.node(leader).host, one, 5000, () => undefined);
    expect(transfer(nodes, leader, two).error).toMatchObject({ code: "transferring" });
    expect(transfer(nodes, two, two).error).toMatchObject({ code: "transferring" });
    nodes.node(leader).host.close(() => undefined);
    expect(transfer(nodes, leader, two).error).toMatchObject({ code: "closed" });
  });

  test("goes by itself to the highest priority, and never to 0 unless it is named", () => {
    const priorities: Readonly<Record<string, number>> = { a: 1, b: 0, c: 1, d: 7, e: 1 };
    const nodes = new VirtualNodes(["a", "b", "c", "d", "e"], {}, (name) => ({ priority: priorities[name] ?? 1 }));
    expect(nodes.lead()).toBe("a");
    nodes.run(500);
    expect(transfer(nodes, "a", null).leader).toBe("d");
    nodes.run(500);
    expect(transfer(nodes, "c", "b").leader).toBe("b");
  });

  test("passes on when a leader is closed, long before anybody would have missed it", () => {
    const nodes = new VirtualNodes(["a", "b", "c"]);
    const leader = nodes.lead();
    nodes.run(500);
    const writing = nodes.writing(leader);
    const seconds = closed(nodes, leader);
    expect(nodes.lead()).not.toBe(leader);
    expect(seconds).toBeLessThan(0.3);
    writing.stop();
    // What waited at the node that went was settled, one way or the other: by the new leader, or as not executed.
    nodes.run(100);
    for (const { code } of writing.failed) expect(code).toBe("closed");
  });

  test("passes on also when the vote of the one that is closed is needed", () => {
    const nodes = new VirtualNodes(["a", "b", "c"]);
    const leader = nodes.lead();
    const [one, two] = others(nodes, leader);
    nodes.run(500);
    nodes.kill(one);
    nodes.run(200);
    const seconds = closed(nodes, leader);
    expect(nodes.node(two).host.running?.raft.role).toBe("leader");
    expect(seconds).toBeLessThan(0.3);
  });

  test("a leader that nobody can replace closes all the same, within an election timeout", () => {
    const nodes = new VirtualNodes(["a", "b", "c"]);
    const leader = nodes.lead();
    const [one, two] = others(nodes, leader);
    nodes.run(500);
    nodes.node(one).clock.pause();
    nodes.node(two).clock.pause();
    const seconds = closed(nodes, leader);
    expect(seconds).toBeGreaterThan(0.9);
    expect(seconds).toBeLessThan(1.2);
  });

  test("all nodes closed at once do not wait for each other", () => {
    const nodes = new VirtualNodes(["a", "b", "c"]);
    nodes.lead();
    nodes.run(500);
    let count = 0;
    const begun = nodes.now;
    for (const { host, name } of nodes.nodes)
      host.close(() => {
        count += 1;
        nodes.kill(name);
      }, true);
    nodes.until("all are closed", () => count === 3);
    expect(nodes.now - begun).toBeLessThan(0.5);
  });

  test("is given up on request; the cluster elects anew", () => {
    const nodes = new VirtualNodes(["a", "b", "c"]);
    const leader = nodes.lead();
    const { host } = nodes.node(leader);
    host.stepDown();
    nodes.run(10);
    expect(host.running?.raft.role).toBe("follower");
    expect(nodes.node(leader).events).toContainEqual(expect.objectContaining({ reason: "this node was told to step down" }));
    expect(nodes.lead()).not.toBe("");
  });
});
