/** Stories of changing members, by hand; each begins after some campaigns that were lost. */
import type { MemberId } from "../../../src/core/index.js";
import type { TraceConfiguration } from "../../../src/sim/reference/index.js";
import { at, atMessage, type Corruption } from "./corruption.js";
import { HandTrace, voters } from "./hand-trace.js";

const joint = (incoming: readonly MemberId[], outgoing: readonly MemberId[]): TraceConfiguration => ({
  voters: incoming,
  votersOutgoing: outgoing,
  learners: [],
});

/** From a, b, c to a, d, e, through the joint configuration; d and e learn first. */
export function throughJoint(lost: number): HandTrace {
  const trace = new HandTrace(voters("a", "b", "c"), ["a", "b", "c"], ["d", "e"]);
  for (let campaign = 0; campaign < lost; campaign += 1) trace.campaign("a");
  trace.elect("a", ["b"]);
  for (const id of ["b", "c"]) trace.replicate("a", id);
  trace.commit("a", 1);
  const learning = trace.append("a", "configuration", { ...voters("a", "b", "c"), learners: ["d", "e"] });
  for (const id of ["b", "d", "e"]) trace.replicate("a", id);
  trace.commit("a", learning);
  const both = trace.append("a", "configuration", joint(["a", "d", "e"], ["a", "b", "c"]));
  for (const id of ["b", "d"]) trace.replicate("a", id);
  trace.commit("a", both);
  const after = trace.append("a", "configuration", voters("a", "d", "e"));
  trace.replicate("a", "d");
  trace.commit("a", after);
  const command = trace.append("a", "command");
  trace.replicate("a", "e");
  trace.commit("a", command);
  trace.depose("a");
  // The new members elect one of their own; the old ones are not asked.
  trace.elect("e", ["d"]);
  trace.replicate("e", "d");
  trace.commit("e", command + 1);
  return trace;
}

/** A change that is never committed is cut off by the next leader, which knows nothing of it. */
export function rolledBack(lost: number): HandTrace {
  const trace = new HandTrace(voters("a", "b", "c"), ["a", "b", "c", "d"]);
  for (let campaign = 0; campaign < lost; campaign += 1) trace.campaign("a");
  trace.elect("a", ["b"]);
  for (const id of ["b", "c"]) trace.replicate("a", id);
  trace.commit("a", 1);
  trace.append("a", "configuration", voters("a", "b", "c", "d"));
  trace.depose("a");
  trace.elect("c", ["b"]);
  const command = trace.append("c", "command");
  for (const id of ["a", "b"]) trace.replicate("c", id);
  trace.commit("c", command);
  trace.stop("b");
  trace.start("b");
  trace.replicate("c", "a");
  return trace;
}

/** One voter more, and then one less; the leader itself goes in the end, and leads until that is committed. */
export function oneByOne(lost: number): HandTrace {
  const trace = new HandTrace(voters("a"), ["a", "b", "c"]);
  for (let campaign = 0; campaign < lost; campaign += 1) trace.campaign("a");
  trace.elect("a", []);
  trace.commit("a", 1);
  const two = trace.append("a", "configuration", voters("a", "b"));
  trace.replicate("a", "b");
  trace.commit("a", two);
  const three = trace.append("a", "configuration", voters("a", "b", "c"));
  trace.replicate("a", "c");
  trace.commit("a", three);
  const without = trace.append("a", "configuration", voters("b", "c"));
  for (const id of ["b", "c"]) trace.replicate("a", id);
  trace.commit("a", without);
  for (const id of ["b", "c"]) trace.replicate("a", id);
  trace.depose("a");
  trace.elect("b", ["c"]);
  return trace;
}

export const MEMBERSHIP: readonly Corruption[] = [
  at("configurationChanged", "a configuration is in the log and not in force", ["configurationInLog"], () => []),
  at(
    "configurationChanged",
    "another configuration is in force than the one in the log",
    ["configurationInLog", "configurationChange", "logMatching"],
    (record) => [{ ...record, voters: [...record.voters, "z"] }],
  ),
  at(
    "configurationChanged",
    "a configuration that was cut off stays in force",
    ["configurationInLog"],
    (_record, { trace, at: place }) => (trace[place - 1]?.type === "logTruncated" ? [] : null),
  ),
  at(
    "configurationChanged",
    "a second change begins before the first is committed",
    ["configurationChange"],
    (record, { node }) =>
      node.role === "leader"
        ? [
            record,
            { type: "entriesAppended", node: record.node, first: record.index + 1, last: record.index + 1, term: node.term },
            { ...record, index: record.index + 1 },
          ]
        : null,
  ),
  at(
    "entriesAppended",
    "a change begins before an entry of the term is committed",
    ["configurationChange"],
    (record, { node, view }) =>
      view.leaders.get(node.term)?.first === record.first && node.role === "leader"
        ? [
            record,
            { ...record, first: record.last + 1, last: record.last + 1 },
            { type: "configurationChanged", node: record.node, ...node.configuration, index: record.last + 1 },
          ]
        : null,
  ),
  at(
    "configurationChanged",
    "a change to members whose majority need not meet the old one",
    ["configurationChange"],
    (record, { node }) => (node.role === "leader" ? [{ ...record, voters: ["x", "y", "z"], votersOutgoing: [] }] : null),
  ),
  withoutAck(
    "a commit counts only the old half of a joint configuration",
    ({ voters: incoming, votersOutgoing }, from) =>
      votersOutgoing.length > 0 && incoming.includes(from) && !votersOutgoing.includes(from),
  ),
  withoutAck(
    "a commit counts only the new half of a joint configuration",
    ({ voters: incoming, votersOutgoing }, from) => votersOutgoing.includes(from) && !incoming.includes(from),
  ),
  withoutAck("a commit counts learners", ({ voters: counted, learners }, from) => learners.length > 0 && counted.includes(from)),
  withoutAck("a leader that has gone counts itself", ({ voters: counted }, _from, leader) => !counted.includes(leader)),
];

/** An acknowledgement without which no quorum is complete never arrives. */
function withoutAck(
  name: string,
  decides: (configuration: TraceConfiguration, from: MemberId, leader: MemberId) => boolean,
): Corruption {
  return atMessage("receive", "AppendEntriesResponse", name, ["commitQuorum"], (message, record, { node }) =>
    message.matchIndex > node.commit && decides(node.configuration, record.from, record.node) ? [] : null,
  );
}
