/** What the core believes of its disk (design law 2): completions come in order, and one that is told again changes nothing. */
import { expect, test } from "vitest";
import { startCore } from "./one-core.js";

test("a completion that is told twice or late takes nothing back, one for a batch that was never taken gives nothing", () => {
  const raft = startCore();
  const heartbeat = (term: number) => ({ type: "Heartbeat", term, leaderCommit: 0, readRound: 0, leases: false }) as const;
  raft.receive(0, "b", heartbeat(1));
  expect(raft.take().persist?.ticket).toBe(1);
  raft.receive(0, "b", heartbeat(2));
  expect(raft.take().persist?.ticket).toBe(2);
  raft.persisted(0, 9);
  expect(raft.take().messages).toEqual([]);
  raft.persisted(0, 2);
  // The answer in term 1 is dropped: nobody waits for it.
  expect(raft.take().messages.map(({ message }) => message.term)).toEqual([2]);
  raft.persisted(0, 1);
  raft.receive(0, "b", heartbeat(2));
  expect(raft.take().messages.map(({ message }) => message.type)).toEqual(["HeartbeatResponse"]);
});
