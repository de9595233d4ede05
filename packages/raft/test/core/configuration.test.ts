/**
 * Which configuration is in force (dissertation section 4.1): the newest in the log, committed or not; the one before when
 * it is cut off; and with a snapshot the one at its last entry, not one that is newer.
 */
import { expect, test } from "vitest";
import { command, configurationEntry, hears, noop, settle, snapshotAt, startCore } from "./one-core.js";

test("a restart takes the newest configuration of the log, also one that is not committed", () => {
  const raft = startCore({
    hardState: { currentTerm: 2, votedFor: null, commitIndex: 1 },
    entries: [noop(1, 1), configurationEntry(2, 2, ["a", "b"]), configurationEntry(3, 2, ["a", "b", "c", "d"])],
  });
  expect(raft.configuration.voters).toEqual(["a", "b", "c", "d"]);
});

test("a snapshot carries the configuration at its own index, however many follow", () => {
  const raft = startCore({
    hardState: { currentTerm: 1, votedFor: null, commitIndex: 3 },
    entries: [noop(1, 1), configurationEntry(2, 1, ["a", "b"]), command(3, 1), configurationEntry(4, 1, ["a", "b", "c", "d"])],
  });
  expect(raft.configurationAt(1).configuration.voters).toEqual(["a", "b", "c"]);
  expect(raft.configurationAt(3)).toMatchObject({ index: 2, configuration: { voters: ["a", "b"] } });
  expect(raft.configurationAt(4)).toMatchObject({ index: 4, configuration: { voters: ["a", "b", "c", "d"] } });
});

test("compaction keeps the configuration that is in force again when a newer one is cut off", () => {
  const raft = startCore({
    hardState: { currentTerm: 1, votedFor: null, commitIndex: 3 },
    entries: [noop(1, 1), configurationEntry(2, 1, ["a", "b"]), command(3, 1), configurationEntry(4, 1, ["a", "b", "c", "d"])],
  });
  settle(raft);
  const { index: configurationIndex, configuration } = raft.configurationAt(3);
  raft.snapshotTaken(0, { ...snapshotAt(3, 1, configuration), configurationIndex });
  expect(raft.compact(0, 3)).toEqual({ index: 3, term: 1 });
  expect(raft.configuration.voters).toEqual(["a", "b", "c", "d"]);
  hears(raft, "b", {
    type: "AppendEntries",
    term: 2,
    prevLogIndex: 3,
    prevLogTerm: 1,
    entries: [command(4, 2)],
    leaderCommit: 3,
    leases: false,
  });
  expect(raft.failed).toBe(false);
  expect(raft.configuration.voters).toEqual(["a", "b"]);
});
