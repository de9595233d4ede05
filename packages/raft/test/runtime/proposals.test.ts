/** What callers are told of their commands: never more than is known (pitfalls, rules 21 and 39). */
import { expect, test } from "vitest";
import { type Proposal, Proposals } from "../../src/runtime/proposals.js";

/** A command, and what its caller was told. */
function proposal(expiresAt = 1000): { readonly proposal: Proposal; readonly told: string[] } {
  const told: string[] = [];
  return {
    told,
    proposal: {
      entryType: "command",
      caller: "",
      command: new Uint8Array(10),
      expiresAt,
      settle: (error, result) =>
        told.push(error === null ? `done at ${result?.index}/${result?.term}` : `${error.code}, ${error.outcome}`),
      state: "waiting",
      index: 0,
      term: 0,
      next: null,
    },
  };
}

/** One that waits, one that a leader has, one in the log at 7/2. */
function three(): { readonly proposals: Proposals; readonly told: readonly string[][] } {
  const proposals = new Proposals();
  const [waiting, forwarded, placed] = [proposal(), proposal(), proposal()];
  for (const each of [forwarded, placed]) proposals.add(each.proposal);
  const [first, second] = proposals.takeWaiting(2, 1000);
  if (first === undefined || second === undefined) throw new Error("they do not wait");
  proposals.forwarded(1, [first], "a", "1 a");
  proposals.placed([second], 7, 2);
  proposals.add(waiting.proposal);
  return { proposals, told: [waiting.told, forwarded.told, placed.told] };
}

test("applied at its index and term a command is done; where another entry is applied it was not executed", () => {
  const { proposals, told } = three();
  proposals.applied(6, 2, undefined);
  expect(told).toEqual([[], [], []]);
  proposals.applied(7, 2, undefined);
  expect(told).toEqual([[], [], ["done at 7/2"]]);
  const other = three();
  other.proposals.applied(7, 3, undefined);
  expect(other.told).toEqual([[], [], ["notLeader, not-executed"]]);
});

test("what the lost leader had may still be executed; what is in the log waits on, what waits goes to the next leader", () => {
  const { proposals, told } = three();
  proposals.leaderLost("1 a", 500);
  proposals.expire(500);
  expect(told).toEqual([[], [], []]);
  // It may still say what became of it, for a while; in a later term the same leader is another one.
  proposals.leaderLost("2 a", 500);
  proposals.leaderLost("2 b", 700);
  expect(proposals.nextExpiry).toBe(500);
  proposals.expire(499);
  expect(told).toEqual([[], [], []]);
  proposals.expire(500);
  expect(told).toEqual([[], ["leadershipLost, unknown"], []]);
  expect(proposals.hasWaiting).toBe(true);
  expect(proposals.count).toBe(2);
});

test("the answer of a leader that is none any more still counts, and is not waited for when the connection to it is lost", () => {
  const answered = three();
  answered.proposals.leaderLost("2 b", 500);
  answered.proposals.placed(answered.proposals.takeForwarded(1), 8, 2);
  answered.proposals.applied(8, 2, undefined);
  expect(answered.told).toEqual([[], ["done at 8/2"], []]);
  const { proposals, told } = three();
  proposals.memberLost("c");
  expect(told).toEqual([[], [], []]);
  proposals.memberLost("a");
  expect(told).toEqual([[], ["leadershipLost, unknown"], []]);
});

test("what was handed to the present leader in its present term is not lost by the news that it leads", () => {
  const { proposals, told } = three();
  proposals.leaderLost("1 a", 500);
  expect(told).toEqual([[], [], []]);
  expect(proposals.takeForwarded(1)).toHaveLength(1);
});

test("when its time is over, only what never left this node is known not to be executed", () => {
  const { proposals, told } = three();
  proposals.expire(999);
  expect(told).toEqual([[], [], []]);
  proposals.expire(1000);
  expect(told).toEqual([["timeout, not-executed"], ["timeout, unknown"], ["timeout, unknown"]]);
  expect([proposals.count, proposals.bytes, proposals.hasWaiting]).toEqual([0, 0, false]);
});

test("what came inside a snapshot is decided, and how is not known", () => {
  const { proposals, told } = three();
  proposals.skippedTo(6);
  expect(told).toEqual([[], [], []]);
  proposals.skippedTo(7);
  expect(told).toEqual([[], [], ["resultUnavailable, unknown"]]);
});

test("when the node ends, every caller is told, once", () => {
  const { proposals, told } = three();
  proposals.settleAll("closed", "the node was closed");
  expect(told).toEqual([["closed, not-executed"], ["closed, unknown"], ["closed, unknown"]]);
  proposals.applied(7, 2, undefined);
  proposals.expire(5000);
  expect(told.flat().length).toBe(3);
  expect([proposals.count, proposals.bytes]).toEqual([0, 0]);
});

test("two commands at one index, of two terms: the one that is applied is done, the other was not executed", () => {
  const proposals = new Proposals();
  const [older, newer] = [proposal(), proposal()];
  for (const each of [older, newer]) proposals.add(each.proposal);
  proposals.takeWaiting(2, 1000);
  proposals.placed([older.proposal], 7, 2);
  proposals.placed([newer.proposal], 7, 3);
  proposals.applied(7, 3, undefined);
  expect([older.told, newer.told]).toEqual([["notLeader, not-executed"], ["done at 7/3"]]);
});

test("what is handed on together is of one type, in the order in which it came", () => {
  const proposals = new Proposals();
  const given = (["command", "command", "session", "command"] as const).map((entryType) => ({
    ...proposal().proposal,
    entryType,
  }));
  for (const each of given) proposals.add(each);
  const taken = [1, 2, 3, 4].map(() => proposals.takeWaiting(10, 1000));
  expect(taken).toEqual([[given[0], given[1]], [given[2]], [given[3]], []]);
});

test("what its caller was told of is not put back with the others of its request, and not told again", () => {
  const proposals = new Proposals();
  const [impatient, patient] = [proposal(500), proposal()];
  for (const each of [impatient, patient]) proposals.add(each.proposal);
  proposals.forwarded(1, proposals.takeWaiting(2, 1000), "a", "1 a");
  proposals.expire(500);
  // The leader answers that it does not lead: what is left of the request waits for the next one.
  proposals.putBack(proposals.takeForwarded(1));
  expect(impatient.told).toEqual(["timeout, unknown"]);
  expect(proposals.takeWaiting(2, 1000)).toEqual([patient.proposal]);
  proposals.putBack([patient.proposal]);
  proposals.settleAll("closed", "the node was closed");
  expect([impatient.told, patient.told]).toEqual([["timeout, unknown"], ["closed, not-executed"]]);
  expect([proposals.count, proposals.bytes]).toEqual([0, 0]);
});
