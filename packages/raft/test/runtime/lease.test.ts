/** Reads from a lease, asked of whole nodes: when they need no message, and what becomes of them when the lease is over. */
import { describe, expect, test } from "vitest";
import type { RaftError } from "../../src/runtime/index.js";
import { submitQuery } from "../../src/runtime/requests.js";
import { type Tally, VirtualNodes } from "./virtual-nodes.js";

interface Seen {
  answer: number | null;
  error: RaftError | null;
  looks: number;
}

function leaseRead(nodes: VirtualNodes, at: string, during: () => void = () => undefined): Seen {
  const seen: Seen = { answer: null, error: null, looks: 0 };
  const query = (machine: Tally): number => {
    seen.looks += 1;
    if (seen.looks === 1) during();
    return machine.count;
  };
  submitQuery(nodes.node(at).host, "lease", 1000, query, (error, answer) => {
    seen.error = error;
    seen.answer = answer?.value ?? null;
  });
  return seen;
}

function written(nodes: VirtualNodes, at: string): void {
  const { settled } = ((): { settled: unknown } => {
    const outcome = nodes.propose(at);
    nodes.until("a write", () => outcome.settled !== null);
    return outcome;
  })();
  expect(settled).toMatchObject({ error: null });
}

const cluster = (leases: boolean): VirtualNodes => {
  const nodes = new VirtualNodes(["a", "b", "c"], { leases });
  nodes.lead();
  nodes.run(300);
  return nodes;
};

describe("a read from a lease", () => {
  test("is answered by the leader at once, and by a follower as any linearizable read", () => {
    const nodes = cluster(true);
    const leader = nodes.leader ?? "";
    written(nodes, leader);
    expect(nodes.node(leader).host.status().leaseMs).toBeGreaterThan(500);
    // Before this call returns: nobody was asked.
    expect(leaseRead(nodes, leader)).toEqual({ answer: 1, error: null, looks: 1 });
    const other = nodes.nodes.find(({ name }) => name !== leader)?.name ?? "";
    expect(nodes.node(other).host.status().leaseMs).toBeNull();
    const asked = leaseRead(nodes, other);
    expect(asked.answer).toBeNull();
    nodes.run(50);
    expect(asked).toEqual({ answer: 1, error: null, looks: 1 });
  });

  test("asks as usual in a cluster that was founded without leases", () => {
    const nodes = cluster(false);
    const leader = nodes.leader ?? "";
    written(nodes, leader);
    expect(nodes.node(leader).host.status().leaseMs).toBeNull();
    const asked = leaseRead(nodes, leader);
    expect(asked.answer).toBeNull();
    nodes.run(50);
    expect(asked.answer).toBe(1);
  });

  test("is made again in the usual way when the process stood still while it looked at the state", () => {
    const nodes = cluster(true);
    const leader = nodes.leader ?? "";
    written(nodes, leader);
    // The lease is for 818 ms. The collector comes between the look at the clock and the look at the state.
    const short = leaseRead(nodes, leader, () => nodes.node(leader).clock.jump(300_000));
    expect(short).toEqual({ answer: 1, error: null, looks: 1 });
    nodes.run(300);
    const long = leaseRead(nodes, leader, () => nodes.node(leader).clock.jump(900_000));
    expect(long).toEqual({ answer: null, error: null, looks: 1 });
    nodes.run(300);
    expect(long).toEqual({ answer: 1, error: null, looks: 2 });
    expect(nodes.node(leader).events).toContainEqual({ type: "leaseRefused", reason: "expired" });
  });

  test("never shows what the leader knew before it stood still, when the others have gone on without it (etcd #20418)", () => {
    const nodes = cluster(true);
    const leader = nodes.leader ?? "";
    written(nodes, leader);
    nodes.node(leader).clock.pause();
    const others = nodes.nodes.filter(({ name }) => name !== leader);
    nodes.until("another leader", () => others.some(({ host }) => host.running?.raft.role === "leader"));
    written(nodes, others[0]?.name ?? "");
    nodes.node(leader).clock.resume();
    const asked = leaseRead(nodes, leader);
    expect(asked.answer).toBeNull();
    nodes.run(800);
    expect(asked).toMatchObject({ answer: 2, error: null });
  });

  test("needs founders that agree on it: others do not talk to each other", () => {
    const nodes = new VirtualNodes(["a", "b", "c"], {}, (name) => ({ leases: name !== "c" }));
    nodes.run(5000);
    expect(nodes.node("a").host.state).toBe("founding");
    expect(nodes.node("a").events).toContainEqual(
      expect.objectContaining({ type: "warning", message: expect.stringContaining("use of leases differ") }),
    );
  });
});

test("a stale read is as old as the leader's last word, which the status tells", () => {
  const nodes = cluster(false);
  const leader = nodes.leader ?? "";
  for (const { host } of nodes.nodes) expect(host.status().leaderHeardMs).toBeLessThan(150);
  const other = nodes.nodes.find(({ name }) => name !== leader);
  const ages: number[] = [];
  nodes.node(leader).clock.pause();
  for (let ms = 0; ms < 800; ms += 200) {
    nodes.run(200);
    ages.push(Math.round((other?.host.status().leaderHeardMs ?? -1) / 200));
  }
  expect(ages.map((age, place) => age - place)).toEqual(Array.from({ length: 4 }, () => ages[0]));
  nodes.until("nobody that it follows", () => other?.host.status().leader === null);
  expect(other?.host.status().leaderHeardMs).toBeNull();
});
