/** Bounds that hold whatever happens, and numbers that are larger than 32 bits. */
import { expect, test } from "vitest";
import { configurationOf } from "./golden-cluster.js";
import { command, settle, snapshotAt, startCore } from "./one-core.js";

test("the state machine is given no more bytes than it may have before it, and goes on when it has applied them", () => {
  const raft = startCore({
    options: { maxUnappliedBytes: 10 },
    hardState: { currentTerm: 1, votedFor: null, commitIndex: 4 },
    entries: [1, 2, 3, 4].map((index) => command(index, 1, "12345")),
  });
  expect(raft.take().committed.map(({ index }) => index)).toEqual([1, 2]);
  expect(raft.take().committed).toEqual([]);
  raft.applied(0, 1);
  expect(raft.take().committed.map(({ index }) => index)).toEqual([3, 4]);
  raft.applied(0, 4);
  expect(raft.take().committed).toEqual([]);
});

test("a clock that has run for longer than 2^31 microseconds is a clock like any other", () => {
  for (const now of [2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5, 2 ** 45]) {
    const raft = startCore({ now });
    const { deadline } = raft.take();
    expect(deadline).toBeGreaterThanOrEqual(now + 1_000_000);
    expect(deadline).toBeLessThan(now + 2_000_000);
    raft.advance((deadline ?? 0) - 1);
    expect(raft.role).toBe("follower");
    raft.advance(deadline ?? 0);
    expect(raft.role).toBe("preCandidate");
  }
});

test("a leader takes no more commands while its state machine is too far behind, and takes them again when it has come up", () => {
  const raft = startCore({ options: { maxApplyLag: 2 }, snapshot: snapshotAt(0, 0, configurationOf(["a"])) });
  raft.advance(2_000_000);
  settle(raft);
  expect([raft.role, raft.commitIndex, raft.lastApplied]).toEqual(["leader", 1, 1]);
  const propose = (): string => {
    const outcome = raft.propose(2_000_000, [Uint8Array.of(1)]);
    settle(raft, false);
    return "refusal" in outcome ? outcome.refusal : `at ${outcome.firstIndex}`;
  };
  expect([propose(), propose(), propose(), propose()]).toEqual(["at 2", "at 3", "at 4", "overloaded"]);
  expect([raft.commitIndex, raft.lastApplied]).toEqual([4, 1]);
  raft.applied(2_000_000, 2);
  expect(propose()).toBe("at 5");
});
