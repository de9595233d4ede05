/** A leader whose process ended is noticed by its broken connections; one that only can't be dialled is not deposed by one follower. */
import { describe, expect, test } from "vitest";
import { VirtualNodes } from "./virtual-nodes.js";

/** Leader of a cluster that has been quiet for a while, and the others. */
function settled(
  leases: boolean,
  names: readonly string[] = ["a", "b", "c"],
): { nodes: VirtualNodes; leader: string; rest: string[] } {
  const nodes = new VirtualNodes(names, { leases });
  const leader = nodes.lead();
  nodes.run(1030);
  return { nodes, leader, rest: names.filter((name) => name !== leader) };
}

/** How many seconds until the others follow another leader. */
function replaced(nodes: VirtualNodes, old: string, rest: readonly string[]): number {
  const begun = nodes.now;
  nodes.until("another leader", () => {
    const followed = new Set(rest.map((name) => nodes.node(name).host.leader()?.name ?? null));
    const [only] = [...followed];
    return followed.size === 1 && only !== null && only !== old;
  });
  return nodes.now - begun;
}

describe("a leader whose process was killed", () => {
  test.each([[["a", "b", "c"]], [["a", "b", "c", "d", "e"]]])("is replaced long before an election timeout, of %j", (names) => {
    const { nodes, leader, rest } = settled(false, names);
    nodes.kill(leader);
    expect(replaced(nodes, leader, rest)).toBeLessThan(0.5);
    for (const name of rest)
      expect(nodes.node(name).events).toContainEqual(expect.objectContaining({ type: "leaderRefused", held: false }));
  });

  test("is replaced when what was promised to its lease is over, if it used leases", () => {
    const { nodes, leader, rest } = settled(true);
    nodes.kill(leader);
    const seconds = replaced(nodes, leader, rest);
    expect(seconds).toBeGreaterThan(0.85);
    expect(seconds).toBeLessThan(1.5);
    for (const name of rest)
      expect(nodes.node(name).events).toContainEqual(expect.objectContaining({ type: "leaderRefused", held: true }));
  });

  test("or at once when it comes back: its new life proves that the old one is over", () => {
    const { nodes, leader, rest } = settled(true);
    nodes.kill(leader);
    nodes.run(100);
    nodes.start(leader);
    expect(replaced(nodes, leader, rest)).toBeLessThan(0.6);
    for (const name of rest)
      expect(nodes.node(name).events).toContainEqual(expect.objectContaining({ type: "leaderRestarted", hadPromise: true }));
  });
});

test("a connection that broke and is made again is no other life: promises hold", () => {
  const { nodes, leader, rest } = settled(true);
  for (const name of rest) nodes.network.reset(nodes.node(name).address, nodes.node(leader).address);
  nodes.run(1000);
  expect(nodes.leader).toBe(leader);
  for (const { events } of nodes.nodes) expect(events.map(({ type }) => type)).not.toContain("leaderRestarted");
});

describe("a leader that lives and can't be dialled", () => {
  test("leads on when it is so for one follower", () => {
    const { nodes, leader, rest } = settled(false);
    const [one = ""] = rest;
    nodes.network.refuse(nodes.node(one).address, nodes.node(leader).address);
    nodes.run(5000);
    expect(nodes.leader).toBe(leader);
    expect(nodes.node(one).events).toContainEqual(expect.objectContaining({ type: "leaderRefused", held: false }));
    // Said once for the connection that was lost, not at every try.
    expect(nodes.node(one).events.filter(({ type }) => type === "leaderRefused")).toHaveLength(1);
  });

  test("is deposed by nobody while its lease may run, though all are refused", () => {
    const { nodes, leader, rest } = settled(true);
    for (const name of rest) nodes.network.refuse(nodes.node(name).address, nodes.node(leader).address);
    const term = nodes.node(leader).host.running?.raft.currentTerm;
    nodes.run(700);
    expect(nodes.node(leader).host.running?.raft.role).toBe("leader");
    expect(nodes.node(leader).host.running?.raft.currentTerm).toBe(term);
  });
});
