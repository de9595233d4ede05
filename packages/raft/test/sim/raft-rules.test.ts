/** The simulator's rules of Raft, where they are easily drawn too narrow or too wide. */
import { describe, expect, test } from "vitest";
import { type Entry, encodeConfiguration, type Index, Raft, type Term } from "../../src/core/index.js";
import { RaftRules } from "../../src/sim/raft-rules.js";
import { configurationOf } from "../core/golden-cluster.js";

/** As much of a core as the rules look at: a follower with these terms in its log, that has committed so much. */
function coreWith(id: string, currentTerm: Term, terms: readonly Term[], commitIndex: Index): Raft {
  const entryAt = (index: Index): Entry | null => {
    const term = terms[index - 1];
    return term === undefined ? null : { index, term, type: "noop", data: new Uint8Array(0) };
  };
  return {
    id,
    currentTerm,
    votedFor: null,
    role: "follower",
    commitIndex,
    lastApplied: 0,
    snapshot: { lastIncludedIndex: 0 },
    logStart: { index: 0, term: 0 },
    lastLogIndex: terms.length,
    durableIndex: terms.length,
    recovering: null,
    configuration: configurationOf(["a", "b", "c"]),
    entryAt,
    termAt: (index: Index) => (index === 0 ? 0 : (entryAt(index)?.term ?? null)),
  } as unknown as Raft;
}

describe("leader completeness", () => {
  /** Index 1 is committed in term 2; then a core with these terms in its log is elected. */
  function electedIn(term: Term, terms: readonly Term[]): string[] {
    const complaints: string[] = [];
    const rules = new RaftRules((text) => {
      complaints.push(text);
      throw new Error(text);
    });
    rules.started("b#1", coreWith("b#1", 2, [2], 0));
    rules.event("b#1", { type: "commitAdvanced", commitIndex: 1, term: 2 });
    rules.started("a#1", coreWith("a#1", term, terms, 0));
    try {
      rules.event("a#1", { type: "roleChanged", role: "leader", previous: "candidate", term, reason: "" });
    } catch {
      // It is among the complaints.
    }
    return complaints;
  }

  test("is owed by the leader of a later term", () => {
    expect(electedIn(3, [2])).toEqual([]);
    expect(electedIn(3, [])).toEqual(["a#1 was elected in term 3 and holds nothing at index 1, where term 2 is committed"]);
    expect(electedIn(3, [1])).toHaveLength(1);
  });

  test("is not owed by that of an earlier term, which learns late that it was elected", () => {
    expect(electedIn(1, [])).toEqual([]);
  });
});

describe("configurations", () => {
  test("of a restarted node are looked at as far back as its snapshot, also when its log goes back further", () => {
    const voters = configurationOf(["a", "b", "c"]);
    const command = (index: Index): Entry => ({ index, term: 1, type: "command", data: new Uint8Array(1) });
    const changed = { type: "configuration", data: encodeConfiguration(configurationOf(["a", "b", "c"], ["d"])) } as const;
    const raft = new Raft({
      id: "a",
      random: () => 0,
      now: 0,
      hardState: { currentTerm: 1, votedFor: null, commitIndex: 3 },
      snapshot: { lastIncludedIndex: 3, lastIncludedTerm: 1, configuration: voters, configurationIndex: 2 },
      logStart: { index: 0, term: 0 },
      entries: [
        command(1),
        { index: 2, term: 1, type: "configuration", data: encodeConfiguration(voters) },
        command(3),
        { index: 4, term: 1, ...changed },
      ],
    });
    const rules = new RaftRules((text) => {
      throw new Error(text);
    });
    rules.started("a", raft);
    // A leader of term 2 replaces entry 4: the configuration of the snapshot is in force again.
    const entries = [{ ...command(4), term: 2 }];
    raft.receive(1, "b", {
      type: "AppendEntries",
      term: 2,
      prevLogIndex: 3,
      prevLogTerm: 1,
      entries,
      leaderCommit: 3,
      leases: false,
    });
    const changes = raft.take().events.filter(({ type }) => type === "configurationChanged");
    expect(changes).toMatchObject([{ index: 2 }]);
    for (const event of changes) rules.event("a", event);
  });
});

test("who has lost part of its log neither votes nor leads", () => {
  const rules = new RaftRules((text) => {
    throw new Error(text);
  });
  const lost: Raft = Object.assign(coreWith("a#1", 1, [1], 0), { recovering: { lost: null, answers: [] } });
  rules.started("a#1", lost);
  expect(() => rules.event("a#1", { type: "voteCast", candidate: "b#1", term: 1 })).toThrow(
    /votes in term 1, and part of its log/,
  );
  expect(() =>
    rules.event("a#1", { type: "roleChanged", role: "preCandidate", previous: "follower", term: 1, reason: "" }),
  ).toThrow(/is preCandidate in term 1, and part of its log is lost/);
});
