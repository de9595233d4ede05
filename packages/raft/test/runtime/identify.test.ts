/** Whom a leader takes in under a name that was added before anybody had heard it. */
import { expect, test } from "vitest";
import { type Configuration, encodeConfiguration, type MembershipChange, type Raft } from "../../src/core/index.js";
import { MembershipWork, placeholderId } from "../../src/runtime/membership.js";
import { becomeLeader, settle, startCore } from "../core/one-core.js";
import { StillClock } from "./storage/log-bench.js";

const record = (id: string, name: string) => ({ id, name, address: `${name}:7000` });
const membersChange = (part: Partial<Extract<MembershipChange, { kind: "members" }>>): MembershipChange => ({
  kind: "members",
  add: [],
  addLearners: [],
  promote: [],
  demote: [],
  remove: [],
  ...part,
});

/** The only voter, which leads, with the learner c of incarnation 1. */
function alone(connected: () => string | null) {
  const configuration: Configuration = {
    voters: ["a"],
    votersOutgoing: [],
    learners: ["c#0000000000000001"],
    members: [record("a", "a"), record("c#0000000000000001", "c")],
    leases: false,
    staged: null,
  };
  const raft: Raft = startCore({
    hardState: { currentTerm: 1, votedFor: "a", commitIndex: 0 },
    entries: [{ index: 1, term: 1, type: "configuration", data: encodeConfiguration(configuration) }],
  });
  becomeLeader(raft);
  settle(raft);
  const warnings: string[] = [];
  const work = new MembershipWork({
    raft,
    clock: new StillClock(),
    tell: (input) => input(raft, 0),
    newRequestId: () => 1,
    leadership: () => "a in 2",
    leader: () => null,
    warn: (message) => warnings.push(message),
    connectedAs: ({ name }) => (name === "c" ? connected() : null),
  });
  const change = (wanted: MembershipChange): void => {
    expect(raft.changeMembership(0, wanted, null)).toHaveProperty("index");
    settle(raft);
    work.consider();
    settle(raft);
  };
  const learners = () => raft.configuration.learners;
  return { raft, work, warnings, change, learners };
}

test("what a member said of its past before it was one is forgotten: after it left it is not taken in again as new", () => {
  let at: string = "c#0000000000000001";
  const { work, warnings, change, learners, raft } = alone(() => at);
  work.heardPast(at, false);
  work.consider();
  change(membersChange({ remove: [at] }));
  change(membersChange({ addLearners: [record(placeholderId("c"), "c")] }));
  expect(learners()).toEqual([placeholderId("c")]);

  work.heardPast(at, true);
  settle(raft);
  expect(learners()).toEqual([placeholderId("c")]);
  expect(warnings).toEqual([
    "c at c:7000 can't join: its directory holds the log of an earlier membership; delete it, and start the node again",
  ]);

  at = "c#0000000000000002";
  work.heardPast(at, false);
  settle(raft);
  expect(learners()).toEqual([at]);
});
