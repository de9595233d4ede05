/** Changes of the members, where a script of several cores can't reach, or would not show it. */
import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, type MemberRecord, type Output, type Raft } from "../../src/core/index.js";
import { configurationOf } from "./golden-cluster.js";
import { becomeLeader, command, configurationEntry, hears, noop, settle, snapshotAt, startCore } from "./one-core.js";

const events = (outputs: readonly Output[]): readonly string[] =>
  outputs.flatMap((output) => output.events.map(({ type }) => type));

test("a member whose leaving is in the snapshot that it is sent knows that it left", () => {
  const raft = startCore({
    id: "c",
    hardState: { currentTerm: 1, votedFor: null, commitIndex: 1 },
    entries: [noop(1, 1), command(2, 1)],
  });
  settle(raft);
  const metadata = { ...snapshotAt(9, 1, configurationOf(["a", "b"])), configurationIndex: 8 };
  hears(raft, "a", {
    type: "InstallSnapshot",
    term: 1,
    lastIncludedIndex: 9,
    lastIncludedTerm: 1,
    offset: 0,
    data: EMPTY_BYTES,
    done: true,
  });
  expect(raft.snapshotInstalled(0, metadata)).toBe(true);
  expect(events(settle(raft))).toContain("memberRemoved");
});

describe("a listing that was not committed, and a snapshot without it that contradicts it", () => {
  const metadata = (voters: readonly string[], name: string) => {
    const configuration = configurationOf(voters);
    const members = configuration.members.map((member) => (member.id === "c#0" ? { ...member, name } : member));
    return { ...snapshotAt(3, 2, { ...configuration, members }), configurationIndex: 2 };
  };
  const start = (commitIndex: number) => {
    const raft = startCore({
      id: "c",
      hardState: { currentTerm: 2, votedFor: null, commitIndex },
      entries: [noop(1, 1), configurationEntry(2, 1, ["a", "b"]), configurationEntry(3, 1, ["a", "b", "c"])],
      snapshot: snapshotAt(0, 0, configurationOf(["a", "b"])),
    });
    settle(raft);
    return raft;
  };

  test("its name waits there to be taken in: it has not left", () => {
    const raft = start(2);
    expect(raft.snapshotInstalled(0, metadata(["a", "b", "c#0"], "c"))).toBe(true);
    expect(events(settle(raft))).not.toContain("memberRemoved");
  });

  test("nor was it a member, until that is committed", () => {
    const raft = start(2);
    expect([raft.wasMember, raft.wasCommittedMember]).toEqual([true, false]);
    hears(raft, "a", { type: "Heartbeat", term: 2, leaderCommit: 0, readRound: 0, leases: false });
    const heartbeat = { type: "AppendEntries", term: 2, prevLogIndex: 3, prevLogTerm: 1, entries: [], leases: false } as const;
    hears(raft, "a", { ...heartbeat, leaderCommit: 3 });
    expect(raft.wasCommittedMember).toBe(true);
  });

  test("its name is not there: it has left, if it was ever in", () => {
    const raft = start(2);
    expect(raft.snapshotInstalled(0, metadata(["a", "b"], "c"))).toBe(true);
    expect(events(settle(raft))).toContain("memberRemoved");
  });
});

test("a member that is in the log after the snapshot that leaves it out has not left", () => {
  const raft = startCore({
    id: "c",
    hardState: { currentTerm: 1, votedFor: null, commitIndex: 0 },
    entries: [noop(1, 1), configurationEntry(2, 1, ["a", "b"]), configurationEntry(3, 1, ["a", "b", "c"])],
  });
  settle(raft);
  const metadata = { ...snapshotAt(2, 1, configurationOf(["a", "b"])), configurationIndex: 2 };
  expect(raft.snapshotInstalled(0, metadata)).toBe(true);
  expect(events(settle(raft))).not.toContain("memberRemoved");
});

describe("catching up", () => {
  const MEMBERS = { kind: "members", add: [], addLearners: [], promote: [], demote: [], remove: [] } as const;
  const record = (id: string): MemberRecord => ({ id, name: id, address: `${id}:1` });
  const acknowledge = (raft: Raft, from: string, now: number): void => {
    const matchIndex = raft.lastLogIndex;
    raft.receive(now, from, {
      type: "AppendEntriesResponse",
      term: 1,
      success: true,
      prevLogIndex: 0,
      matchIndex,
      hintIndex: 0,
      hintTerm: 0,
    });
    settle(raft);
  };
  /** Leads alone, with learners b and c that are to vote: b has caught up, c was never heard. */
  const waitsForC = (): Raft => {
    const raft = startCore({ snapshot: snapshotAt(0, 0, configurationOf(["a"])) });
    raft.advance(raft.take().deadline ?? 0);
    settle(raft);
    raft.changeMembership(0, { ...MEMBERS, add: [record("b"), record("c")] });
    settle(raft);
    acknowledge(raft, "b", 0);
    return raft;
  };
  /** The member lives, and its disk takes nothing in. */
  const livesOn = (raft: Raft, from: string, now: number): void => {
    for (let at = 0; at < now; at += 100_000) {
      raft.advance(at);
      settle(raft);
      raft.receive(at, from, { type: "HeartbeatResponse", term: 1, readRound: 0, promised: false });
      settle(raft);
    }
  };
  const writeMuch = (raft: Raft): void => {
    raft.propose(
      0,
      Array.from({ length: 1000 }, () => EMPTY_BYTES),
    );
    settle(raft);
  };

  test("is begun anew for another change: what a learner had once caught up with says nothing of now", () => {
    const raft = waitsForC();
    raft.changeMembership(0, { kind: "cancel" });
    settle(raft);
    writeMuch(raft);
    expect(raft.changeMembership(0, { ...MEMBERS, promote: ["b"] })).not.toHaveProperty("refusal");
    settle(raft);
    expect(raft.configuration.votersOutgoing).toEqual([]);
    expect(raft.configuration.staged?.promote).toEqual(["b"]);
    acknowledge(raft, "b", 0);
    expect(raft.configuration.voters).toEqual(["a", "b"]);
  });

  test("is not over for a learner that falls behind again while the change waits for another one", () => {
    const raft = waitsForC();
    writeMuch(raft);
    livesOn(raft, "b", 5_000_000);
    acknowledge(raft, "c", 5_000_000);
    acknowledge(raft, "c", 5_000_000);
    expect(raft.configuration.votersOutgoing).toEqual([]);
    acknowledge(raft, "b", 5_000_000);
    acknowledge(raft, "b", 5_000_000);
    acknowledge(raft, "c", 5_000_000);
    expect(raft.configuration.voters).toEqual(["a", "b", "c"]);
  });

  test("does not take a change up while no quorum of the voters that come of it answers", () => {
    const raft = startCore();
    becomeLeader(raft);
    acknowledge(raft, "b", 0);
    raft.changeMembership(0, { ...MEMBERS, add: [record("d")], remove: ["a", "b"] });
    settle(raft);
    acknowledge(raft, "b", 0);
    // c says nothing: of c and d, who would vote, only one is there.
    livesOn(raft, "b", 2_000_000);
    for (const from of ["b", "d"]) acknowledge(raft, from, 2_000_000);
    for (const from of ["b", "d"]) acknowledge(raft, from, 2_000_000);
    expect([raft.role, raft.configuration.votersOutgoing]).toEqual(["leader", []]);
    acknowledge(raft, "c", 2_000_000);
    expect(raft.configuration.votersOutgoing).toEqual(["a", "b", "c"]);
  });
});
