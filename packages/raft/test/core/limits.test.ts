/** Bounds that hold whatever happens, and numbers that are larger than 32 bits. */
import { expect, test } from "vitest";
import { command, startCore } from "./one-core.js";

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
