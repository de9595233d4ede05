/** Stories by hand: what Raft allows although it looks wrong, and what it forbids although it looks right. */
import { describe, expect, it } from "vitest";
import { HandTrace, voters } from "./hand-trace.js";
import { around, judge } from "./traces.js";

const FIVE = ["a", "b", "c", "d", "e"] as const;

function expectAccepted({ records }: HandTrace): void {
  const { refusal, place } = judge(records);
  expect(refusal, around(records, place)).toBeNull();
}

/** The last record is the first that is refused. */
function expectRefused({ records }: HandTrace, rule: string): void {
  const { refusal, place } = judge(records);
  expect(refusal, around(records, place)).toMatch(new RegExp(`^${rule}: `));
  expect(place, refusal ?? "").toBe(records.length - 1);
}

describe("figure 8 of the paper", () => {
  /** a of term 1 leaves an entry on b alone; e of term 2 has another one; a of term 3 brings its old one to b and c. */
  function upToC(): HandTrace {
    const trace = new HandTrace(voters(...FIVE), FIVE);
    trace.elect("a", ["b", "c"]);
    for (const id of ["b", "c", "d", "e"]) trace.replicate("a", id);
    trace.commit("a", 1);
    trace.append("a", "command");
    trace.replicate("a", "b");
    trace.stop("a");
    trace.campaign("e");
    for (const id of ["c", "d"]) trace.ask("e", id);
    for (const id of ["c", "d"]) trace.hearVote("e", id);
    trace.lead("e");
    trace.stop("e");
    trace.start("a");
    trace.campaign("a");
    trace.elect("a", ["b", "c"]);
    for (const id of ["b", "c"]) trace.replicate("a", id, 2);
    return trace;
  }

  it("does not commit the old entry, which a majority has", () => {
    const trace = upToC();
    trace.commit("a", 2);
    const { refusal } = judge(trace.records);
    expect(refusal).toMatch(/^commitOwnTerm: a leads term 3 and commits 2\/1/);
  });

  it("lets a later leader replace the old entry (d)", () => {
    const trace = upToC();
    trace.stop("a");
    trace.start("e");
    trace.campaign("e");
    trace.elect("e", ["c", "d"]);
    for (const id of ["b", "c", "d"]) trace.replicate("e", id);
    trace.commit("e", 3);
    expectAccepted(trace);
  });

  it("commits the old entry with one of the present term, and then nobody without it is elected (e)", () => {
    const trace = upToC();
    for (const id of ["b", "c"]) trace.replicate("a", id);
    trace.commit("a", 3);
    expectAccepted(trace);
    trace.stop("a");
    trace.start("e");
    trace.campaign("e");
    trace.campaign("e");
    expectAccepted(trace);
    trace.ask("e", "c");
    const { refusal } = judge(trace.records);
    expect(refusal).toMatch(/^upToDate: c, whose log ends at 3\/3, votes for e/);
  });
});

describe("old leaders", () => {
  it("may find out that they lead when a later term has its leader, and commit nothing then", () => {
    const trace = new HandTrace(voters(...FIVE), FIVE);
    trace.campaign("a");
    for (const id of ["b", "c"]) trace.ask("a", id);
    trace.campaign("d");
    trace.elect("d", ["b", "e"]);
    for (const id of ["b", "e"]) trace.replicate("d", id);
    trace.commit("d", 1);
    for (const id of ["b", "c"]) trace.hearVote("a", id);
    trace.lead("a");
    expectAccepted(trace);
    trace.add({ type: "commitAdvanced", node: "a", commitIndex: 1, term: 1 });
    expectRefused(trace, "commitQuorum");
  });

  it("may commit what a majority acknowledged, when a later leader is elected that has it", () => {
    const trace = new HandTrace(voters(...FIVE), FIVE);
    trace.elect("a", ["b", "c"]);
    const late = ["b", "c"].map((id) => {
      const { ticket, acknowledgement } = trace.offer("a", id);
      trace.add({ type: "persisted", node: id, ticket }, { type: "send", node: id, to: "a", message: acknowledgement });
      return { id, acknowledgement };
    });
    trace.elect("b", ["d", "e"]);
    for (const { id, acknowledgement } of late) trace.add({ type: "receive", node: "a", from: id, message: acknowledgement });
    trace.commit("a", 1);
    expectAccepted(trace);
  });
});

describe("entries that are cut off and appended again", () => {
  /** c has 2/1 under way to its disk, loses it to a leader of term 2, and gets the same 2/1 again from one of term 3. */
  function again(): { readonly trace: HandTrace; readonly tickets: readonly number[] } {
    const trace = new HandTrace(voters(...FIVE), FIVE);
    trace.elect("a", ["b", "c"]);
    for (const id of ["b", "c", "d", "e"]) trace.replicate("a", id);
    trace.append("a", "command");
    const first = trace.offer("a", "c").ticket;
    trace.elect("d", ["b", "e"]);
    const second = trace.offer("d", "c").ticket;
    trace.campaign("a");
    trace.elect("a", ["b", "e"]);
    return { trace, tickets: [first, second] };
  }

  it("are not durable by what was written the first time", () => {
    const { trace, tickets } = again();
    const [first = 0] = tickets;
    trace.offer("a", "c");
    trace.add({ type: "persisted", node: "c", ticket: first });
    expectAccepted(trace);
    trace.add({ type: "entriesDurable", node: "c", durableIndex: 2 });
    expectRefused(trace, "durableInOrder");
  });
});

describe("a read", () => {
  it("needs no round while the leader is a quorum by itself, and one as soon as a second voter is in the log", () => {
    const trace = new HandTrace(voters("a"), ["a"], ["b"]);
    trace.elect("a", []);
    trace.commit("a", 1);
    trace.add({ type: "read", node: "a", id: 1 }, { type: "readConfirmed", node: "a", id: 1, readIndex: 1, lease: false });
    trace.append("a", "configuration", voters("a", "b"));
    expectAccepted(trace);
    trace.add({ type: "read", node: "a", id: 2 }, { type: "readConfirmed", node: "a", id: 2, readIndex: 1, lease: false });
    expectRefused(trace, "readRound");
  });
});

describe("a member whose disk is lost", () => {
  it("does not come back under its name, and is not waited for", () => {
    const trace = new HandTrace(voters("a", "b", "c"), ["a", "b", "c"]);
    trace.elect("a", ["b"]);
    trace.add({ type: "stop", node: "c", forGood: true });
    trace.replicate("a", "b");
    trace.commit("a", 1);
    expectAccepted(trace);
    trace.start("c");
    expectRefused(trace, "oneLife");
  });
});
