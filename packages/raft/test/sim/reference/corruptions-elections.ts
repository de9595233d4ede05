/** Terms, roles, votes: single things that must not happen in them. */
import { at, atMessage, type Corruption, lastOf, nextOf, restOfTurn } from "./corruption.js";
import type { NodeView } from "./view.js";

const livesIn = ({ up, term }: NodeView, wanted: number): boolean => up && term === wanted;

export const ELECTIONS: readonly Corruption[] = [
  at("termChanged", "a term goes back", ["termRises"], (record, { node }) =>
    node.term > 0 ? [{ ...record, term: record.previous - 1 }] : null,
  ),
  at("termChanged", "a term is entered that nobody has told", ["termHasReason"], (record) => [
    { ...record, term: record.term + 7 },
  ]),
  at("roleChanged", "a term is raised without a campaign", ["termHasReason", "campaign"], (record) =>
    record.role === "candidate" ? [] : null,
  ),
  at("roleChanged", "a follower leads without a campaign", ["roleFollows"], (record) =>
    record.role === "preCandidate" && record.previous === "follower" ? [{ ...record, role: "leader" }] : null,
  ),
  at("roleChanged", "a candidate leads before a quorum has voted for it", ["electionQuorum"], (record, { view }) =>
    record.role === "candidate" && view.founding.voters.length > 1
      ? [record, { ...record, role: "leader", previous: "candidate" }]
      : null,
  ),
  at("roleChanged", "a second candidate leads in the same term", ["electionSafety"], (record, { view }) => {
    const leader = view.leaders.get(record.term);
    return record.previous === "candidate" && record.role !== "leader" && leader !== undefined && leader.id !== record.node
      ? [{ ...record, role: "leader" }]
      : null;
  }),
  at("roleChanged", "a candidate campaigns without the promises of a quorum", ["preVote"], (record, { view }) =>
    record.role === "preCandidate" && view.founding.voters.length > 1
      ? [
          record,
          { type: "termChanged", node: record.node, term: record.term + 1, previous: record.term },
          { ...record, role: "candidate", previous: "preCandidate", term: record.term + 1 },
        ]
      : null,
  ),
  at("roleChanged", "a candidate campaigns twice in a term", ["campaign"], (record) =>
    record.role === "candidate"
      ? [record, { ...record, role: "follower", previous: "candidate" }, { ...record, role: "candidate", previous: "follower" }]
      : null,
  ),
  at(
    "voteCast",
    "a vote is given to another than the one that is written",
    ["batchIsState", "voteAnswers", "oneVote", "campaign"],
    (record, { view }) => {
      const other = view.other(record.candidate, record.node);
      return other === null ? null : [{ ...record, candidate: other }];
    },
  ),
  at("voteCast", "two votes are cast in a term", ["oneVote"], (record, { view }) => {
    const other = view.other(record.candidate);
    return other === null ? null : [record, { ...record, candidate: other }];
  }),
  at("voteCast", "a vote is cast for a candidate that did not ask", ["voteAnswers"], (record, { view, trace, at: place }) => {
    const asked = new Set(
      trace.slice(0, place).flatMap((each) => (each.type === "receive" && each.node === record.node ? [each.from] : [])),
    );
    const stranger = [...view.nodes.keys()].find((id) => id !== record.node && !asked.has(id));
    return stranger === undefined ? null : [{ ...record, candidate: stranger }];
  }),
  at("voteCast", "a vote is cast by a leader for itself without a campaign", ["campaign"], (record) =>
    record.candidate === record.node ? null : [{ ...record, candidate: record.node }],
  ),
  at("receive", "a higher term is heard, and the node speaks on in its own", ["higherTermDeposes"], (record, place) => {
    const answers = nextOf(place, record.node)?.type === "send";
    const higher = { type: "RequestVoteResponse", term: place.node.term + 1, voteGranted: false } as const;
    return answers ? [{ ...record, message: higher }] : null;
  }),
  at("start", "a leader that was restarted goes on leading", ["onlyTheLeader"], (record, { view }) => {
    const { node, currentTerm: term } = record;
    const to = view.other(node);
    if (view.leaders.get(term)?.id !== node || to === null) return null;
    return [
      record,
      { type: "send", node, to, message: { type: "Heartbeat", term, leaderCommit: 0, readRound: 0, leases: false } },
    ];
  }),
  at("receive", "a leader hears of a higher term and goes on leading", ["higherTermDeposes"], (record, place) => {
    const { role, term } = place.node;
    if (role !== "leader" || nextOf(place, record.node)?.type !== "receive") return null;
    return [
      { ...record, message: { type: "RequestVoteResponse", term: term + 1, voteGranted: false } },
      { type: "termChanged", node: record.node, term: term + 1, previous: term },
    ];
  }),
  atMessage("receive", "RequestVote", "a vote for a log that is behind", ["upToDate"], (message, record, { node }) => {
    const { term, lastLogIndex, lastLogTerm } = message;
    const ownTerm = node.log.get(node.last) ?? 0;
    const isBehind = lastLogTerm < ownTerm || (lastLogTerm === ownTerm && lastLogIndex < node.last);
    if (!isBehind || term <= node.term) return null;
    return [
      record,
      { type: "termChanged", node: record.node, term, previous: node.term },
      { type: "voteCast", node: record.node, candidate: record.from, term },
    ];
  }),
  atMessage(
    "send",
    "RequestVoteResponse",
    "a vote is told to another candidate than it was given to",
    ["oneVote"],
    (message, record, { view }) => {
      const other = view.other(record.to, record.node);
      return message.voteGranted && other !== null ? [{ ...record, to: other }] : null;
    },
  ),
  atMessage("send", "RequestVoteResponse", "a refused vote is told as granted", ["oneVote"], (message, record) =>
    message.voteGranted ? null : [{ ...record, message: { ...message, voteGranted: true } }],
  ),
  atMessage("send", "RequestVote", "a candidate says without reason that its leader wants it", ["transfer"], (message, record) =>
    message.leadershipTransfer ? null : [{ ...record, message: { ...message, leadershipTransfer: true } }],
  ),
  atMessage(
    "send",
    "TimeoutNow",
    "a member is told to campaign that is behind",
    ["transfer"],
    (_message, record, { view, node }) => {
      const behind = [...view.nodes.keys()].find(
        (id) => id !== record.to && id !== record.node && view.node(id).last < node.last && view.founding.voters.includes(id),
      );
      return behind === undefined ? null : [{ ...record, to: behind }];
    },
  ),
  atMessage(
    "send",
    "TimeoutNow",
    "a member is told to campaign by another than the leader",
    ["onlyTheLeader"],
    (_message, record, { view }) => {
      const other = view.other(record.node, record.to);
      return other === null || !livesIn(view.node(other), view.node(record.node).term) ? null : [{ ...record, node: other }];
    },
  ),
  atMessage(
    "receive",
    "TimeoutNow",
    "a member hears that it should campaign, and nobody said so",
    ["networkInvents"],
    (_message, record, { view, trace, at: place }) => {
      const other = view.other(record.node, record.from);
      const said = trace
        .slice(0, place)
        .some((each) => each.type === "send" && each.message.type === "TimeoutNow" && each.to === other);
      return other === null || said || !livesIn(view.node(other), view.node(record.node).term)
        ? null
        : [{ ...record, node: other }];
    },
  ),
  atMessage("send", "RequestVote", "a candidate shows another log than it has", ["voteRequest"], (message, record) => [
    { ...record, message: { ...message, lastLogIndex: message.lastLogIndex + 1 } },
  ]),
  atMessage("send", "RequestPreVote", "a pre-candidate shows another log than it has", ["preVote"], (message, record) => [
    { ...record, message: { ...message, lastLogTerm: message.lastLogTerm + 1 } },
  ]),
  atMessage("send", "RequestPreVoteResponse", "a promise that nobody asked for", ["preVote", "upToDate"], (message, record) =>
    message.voteGranted ? [{ ...record, message: { ...message, proposedTerm: message.proposedTerm + 1 } }] : null,
  ),
  atMessage("receive", "RequestVoteResponse", "a refusal arrives as a vote", ["networkInvents"], (message, record, { node }) =>
    message.voteGranted || message.term < node.term ? null : [{ ...record, message: { ...message, voteGranted: true } }],
  ),
  atMessage(
    "receive",
    "RequestVoteResponse",
    "the vote that decides never arrives",
    ["electionQuorum"],
    (_message, record, place) => {
      const next = nextOf(place, record.node);
      return next?.type === "roleChanged" && next.role === "leader" ? [] : null;
    },
  ),
  atMessage(
    "receive",
    "RequestPreVoteResponse",
    "the promise that decides never arrives",
    ["preVote"],
    (_message, record, place) => {
      // One that the network delivers twice decides only once.
      const known = lastOf(place, record.node, (each) => JSON.stringify(each) === JSON.stringify(record)) !== null;
      const decides = restOfTurn(place, record.node).some(
        (each) => each.type === "roleChanged" && each.role === "candidate" && each.previous === "preCandidate",
      );
      return decides && !known ? [] : null;
    },
  ),
  atMessage(
    "receive",
    "RequestVote",
    "a request for votes arrives that nobody sent",
    ["networkInvents"],
    (message, record, { node }) =>
      message.term < node.term ? null : [{ ...record, message: { ...message, lastLogTerm: message.lastLogTerm + 1 } }],
  ),
];
