/** Changes of the members, where a script of several cores can't reach, or would not show it. */
import { expect, test } from "vitest";
import { EMPTY_BYTES, type Output } from "../../src/core/index.js";
import { configurationOf } from "./golden-cluster.js";
import { command, configurationEntry, hears, noop, settle, snapshotAt, startCore } from "./one-core.js";

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
