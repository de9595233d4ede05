/**
 * Snapshots that come at a bad moment: a long installation or a long own snapshot ends when the server has gone on
 * meanwhile. What is committed, applied or in a newer snapshot is never rolled back (Raft section 7).
 */
import { expect, test } from "vitest";
import type { Raft } from "../../src/core/index.js";
import { becomeLeader, broken, command, hears, settle, snapshotAt, standing, startCore } from "./one-core.js";

/** A follower that has a snapshot at 3 in its hands, received as a whole from `b` and not installed yet. */
function receiving(): Raft {
  const raft = startCore({ hardState: { currentTerm: 1, votedFor: null, commitIndex: 0 }, entries: [command(1, 1)] });
  const [output] = hears(raft, "b", {
    type: "InstallSnapshot",
    term: 1,
    lastIncludedIndex: 3,
    lastIncludedTerm: 1,
    offset: 0,
    data: new Uint8Array(10),
    done: true,
  });
  expect(output?.snapshotWrites.length).toBe(1);
  return raft;
}

test("a snapshot that entries have overtaken while it was written is not installed", () => {
  const raft = receiving();
  hears(raft, "b", {
    type: "AppendEntries",
    term: 1,
    prevLogIndex: 1,
    prevLogTerm: 1,
    entries: [command(2, 1), command(3, 1), command(4, 1)],
    leaderCommit: 4,
    leases: false,
  });
  expect(raft.commitIndex).toBe(4);
  expect(raft.snapshotInstalled(0, snapshotAt(3, 1))).toBe(false);
  expect(broken(settle(raft))).toEqual([]);
  expect(standing(raft)).toMatchObject({ commitIndex: 4, lastApplied: 4, last: [4, 1] });
  expect(raft.snapshot.lastIncludedIndex).toBe(0);
});

test("a server that was elected while it received a snapshot keeps its log: a leader only appends", () => {
  const raft = receiving();
  becomeLeader(raft);
  expect(standing(raft)).toMatchObject({ currentTerm: 2, last: [2, 2] });
  expect(raft.snapshotInstalled(0, snapshotAt(3, 1))).toBe(false);
  expect(broken(settle(raft))).toEqual([]);
  expect(standing(raft)).toMatchObject({ role: "leader", last: [2, 2] });
});

test("an own snapshot that is finished after a newer one was installed does not take its place", () => {
  const raft = receiving();
  hears(raft, "b", { type: "Heartbeat", term: 1, leaderCommit: 1, readRound: 0, leases: false });
  expect(raft.lastApplied).toBe(1);
  expect(raft.snapshotInstalled(0, snapshotAt(3, 1))).toBe(true);
  settle(raft);
  raft.snapshotTaken(0, snapshotAt(1, 1));
  expect(broken(settle(raft))).toEqual([]);
  expect(raft.snapshot.lastIncludedIndex).toBe(3);
});

test("the log is compacted no further than a snapshot covers it", () => {
  const raft = startCore({
    hardState: { currentTerm: 1, votedFor: null, commitIndex: 3 },
    entries: [command(1, 1), command(2, 1), command(3, 1)],
  });
  settle(raft);
  expect(raft.lastApplied).toBe(3);
  expect(raft.compact(0, 3)).toEqual({ index: 0, term: 0 });
  raft.snapshotTaken(0, snapshotAt(2, 1));
  expect(raft.compact(0, 3)).toEqual({ index: 2, term: 1 });
  expect(broken(settle(raft))).toEqual([]);
});
