/** Replication, commitment and application: single things that must not happen in them. */
import type { TraceEntry } from "../../../src/sim/reference/index.js";
import { at, atMessage, type Corruption, lastOf, nextOf } from "./corruption.js";

const other = (entry: TraceEntry): TraceEntry => ({ ...entry, digest: entry.digest + 1 });

export const REPLICATION: readonly Corruption[] = [
  at(
    "persist",
    "a leader stamps a session's entry with an earlier time than the one before",
    ["clusterTime"],
    (record, { trace, at: place, node }) => {
      const { currentTerm: term } = record;
      const isOwn = (entry: TraceEntry): boolean => entry.term === term && entry.stamp !== undefined;
      const earlier = trace
        .slice(0, place)
        .flatMap((each) => (each.type === "persist" && each.node === record.node ? each.entries.filter(isOwn) : []))
        .at(-1);
      if (node.role !== "leader" || earlier?.stamp === undefined || earlier.stamp === 0) return null;
      const stamp = earlier.stamp - 1;
      const changed = record.entries.findIndex(isOwn);
      if (changed === -1) return null;
      return [{ ...record, entries: record.entries.map((entry, each) => (each === changed ? { ...entry, stamp } : entry)) }];
    },
  ),
  at("entriesAppended", "a leader leaves a gap in its log", ["leaderAppendOnly"], (record, { node }) =>
    node.role === "leader" ? [{ ...record, first: record.first + 1, last: record.last + 1 }] : null,
  ),
  at("entriesAppended", "a leader writes over its own log", ["leaderAppendOnly"], (record, { node }) =>
    node.role === "leader" && record.first > 1 ? [{ ...record, first: record.first - 1 }] : null,
  ),
  at("entriesAppended", "a leader cuts its own log", ["leaderAppendOnly"], (record, { node }) =>
    node.role === "leader"
      ? [record, { type: "logTruncated", node: record.node, from: record.last, previousLast: record.last }]
      : null,
  ),
  at("entriesAppended", "a follower appends more than it was sent", ["appendWhatCame"], (record, { node }) =>
    node.role === "follower" ? [{ ...record, last: record.last + 5 }] : null,
  ),
  at("entriesAppended", "a follower appends what is in its log already", ["appendWhatCame"], (record, { node }) =>
    node.role === "follower" && record.first > 1 ? [{ ...record, first: record.first - 1 }] : null,
  ),
  at("logTruncated", "a follower does not cut off what differs before it appends", ["appendWhatCame"], () => []),
  at("logTruncated", "a follower cuts off too little", ["truncateConflict"], (record) =>
    record.from < record.previousLast ? [{ ...record, from: record.from + 1 }] : null,
  ),
  at("logTruncated", "entries are cut off that do not differ", ["truncateConflict", "committedStays"], (record, { node }) =>
    record.from - 1 > node.commit ? [{ ...record, from: record.from - 1 }] : null,
  ),
  at("logTruncated", "committed entries are cut off", ["committedStays"], (record, { node }) =>
    node.commit > node.logStart ? [{ ...record, from: node.commit }] : null,
  ),
  at(
    "entriesDurable",
    "a follower cuts off what its leader has too",
    ["truncateConflict", "committedStays"],
    (record, { node }) =>
      node.role === "follower" && node.last > node.commit
        ? [record, { type: "logTruncated", node: record.node, from: node.last, previousLast: node.last }]
        : null,
  ),
  atMessage("send", "AppendEntries", "a leader sends an entry with another content", ["logMatching"], (message, record) => {
    const [first, ...rest] = message.entries;
    return first === undefined ? null : [{ ...record, message: { ...message, entries: [other(first), ...rest] } }];
  }),
  atMessage("send", "AppendEntries", "a leader sends an entry with another term", ["leadersLog"], (message, record) => {
    const [first, ...rest] = message.entries;
    return first === undefined
      ? null
      : [{ ...record, message: { ...message, entries: [{ ...first, term: first.term + 1 }, ...rest] } }];
  }),
  atMessage("send", "AppendEntries", "a leader leaves out an entry on the way", ["leadersLog"], (message, record) =>
    message.entries.length > 1 ? [{ ...record, message: { ...message, entries: message.entries.slice(1) } }] : null,
  ),
  atMessage("send", "AppendEntries", "a leader names another term before its entries", ["leadersLog"], (message, record) =>
    message.prevLogIndex > 0 ? [{ ...record, message: { ...message, prevLogTerm: message.prevLogTerm + 1 } }] : null,
  ),
  atMessage(
    "send",
    "AppendEntries",
    "a leader says that more is committed than it has committed",
    ["leaderCommit"],
    (message, record, { node }) => [{ ...record, message: { ...message, leaderCommit: node.commit + 1 } }],
  ),
  atMessage(
    "send",
    "Heartbeat",
    "a heartbeat commits what the follower never acknowledged",
    ["leaderCommit"],
    (message, record, { node }) =>
      message.leaderCommit < node.commit ? [{ ...record, message: { ...message, leaderCommit: node.commit } }] : null,
  ),
  atMessage("send", "AppendEntries", "a message leaves in a term that is not durable", ["termIsDurable"], (message, record) => [
    { ...record, message: { ...message, term: message.term + 1 } },
  ]),
  atMessage(
    "send",
    "HeartbeatResponse",
    "a follower sends entries in the leader's name",
    ["onlyTheLeader"],
    (message, record) => [
      record,
      {
        ...record,
        message: {
          type: "AppendEntries",
          term: message.term,
          prevLogIndex: 0,
          prevLogTerm: 0,
          entries: [],
          leaderCommit: 0,
          leases: false,
        },
      },
    ],
  ),
  atMessage(
    "receive",
    "AppendEntries",
    "an entry arrives that is not the one that was sent",
    ["logMatching"],
    (message, record, { node }) => {
      const [first, ...rest] = message.entries;
      if (first === undefined || message.term < node.term) return null;
      return [{ ...record, message: { ...message, entries: [other(first), ...rest] } }];
    },
  ),
  atMessage(
    "send",
    "AppendEntriesResponse",
    "a follower acknowledges one entry more than it was sent",
    ["ackWhatCame"],
    (message, record, { node }) =>
      message.success && message.matchIndex >= node.logStart
        ? [{ ...record, message: { ...message, matchIndex: message.matchIndex + 1 } }]
        : null,
  ),
  atMessage(
    "send",
    "AppendEntriesResponse",
    "a refusal leaves as an acknowledgement",
    ["ackWhatCame", "ackIsDurable"],
    (message, record, place) => {
      const request = lastOf(
        place,
        record.node,
        (each) => each.type === "receive" && each.from === record.to && each.message.type === "AppendEntries",
      );
      if (message.success || request?.type !== "receive" || request.message.type !== "AppendEntries") return null;
      const { term, prevLogIndex, entries } = request.message;
      if (term !== message.term || prevLogIndex !== message.prevLogIndex) return null;
      return [{ ...record, message: { ...message, success: true, matchIndex: prevLogIndex + entries.length } }];
    },
  ),
  atMessage(
    "receive",
    "AppendEntriesResponse",
    "an acknowledgement arrives for more than was acknowledged",
    ["networkInvents"],
    (message, record, { node }) =>
      message.success && message.term >= node.term
        ? [{ ...record, message: { ...message, matchIndex: message.matchIndex + 100 } }]
        : null,
  ),
];

export const COMMITMENT: readonly Corruption[] = [
  atMessage(
    "receive",
    "AppendEntriesResponse",
    "the acknowledgement that decides never arrives",
    ["commitQuorum"],
    (_message, record, place) => {
      const next = nextOf(place, record.node);
      return next?.type === "commitAdvanced" ? [] : null;
    },
  ),
  at("commitAdvanced", "a leader commits what no quorum has acknowledged", ["commitQuorum"], (record, { node }) =>
    node.role === "leader" && record.commitIndex < node.last ? [{ ...record, commitIndex: node.last }] : null,
  ),
  at("persisted", "a leader counts itself before its own log is durable", ["commitQuorum", "durableInOrder"], (record, place) =>
    place.node.role === "leader" && nextOf(place, record.node)?.type === "entriesDurable" ? [] : null,
  ),
  at("entriesAppended", "a leader commits entries of an earlier term by counting", ["commitOwnTerm"], (record, { node, view }) =>
    view.leaders.get(node.term)?.first === record.first && node.role === "leader" && node.commit < record.first - 1
      ? [record, { type: "commitAdvanced", node: record.node, commitIndex: record.first - 1, term: node.term }]
      : null,
  ),
  at("commitAdvanced", "a follower commits more than it was told", ["commitAsTold", "stateMachineSafety"], (record, { node }) =>
    node.role === "follower" && record.commitIndex < node.last ? [{ ...record, commitIndex: node.last }] : null,
  ),
  at("commitAdvanced", "a commit index goes back", ["commitRises"], (record, { node }) =>
    node.commit > 0 ? [{ ...record, commitIndex: node.commit - 1 }] : null,
  ),
  at("commitAdvanced", "a commit index beyond the log", ["commitRises"], (record, { node }) => [
    { ...record, commitIndex: node.last + 1 },
  ]),
  at(
    "entriesAppended",
    "a follower commits with what it has appended, and was not told to",
    ["commitAsTold", "stateMachineSafety"],
    (record, place) => {
      const told = place.trace.slice(place.at).find((each) => each.node === record.node && each.type === "commitAdvanced");
      const free = place.node.role === "follower" && (told?.type !== "commitAdvanced" || told.commitIndex < record.last);
      return free
        ? [record, { type: "commitAdvanced", node: record.node, commitIndex: record.last, term: place.node.term }]
        : null;
    },
  ),
  at("apply", "an entry is applied twice", ["applyInOrder"], (record) => [record, record]),
  at("apply", "a command is left out", ["applyInOrder"], (record, place) =>
    record.entry.type === "command" && nextOf(place, record.node)?.type === "apply" ? [] : null,
  ),
  at("apply", "commands are applied in another order", ["applyInOrder"], (record, place) => {
    const next = place.trace[place.at + 1];
    return record.entry.type === "command" && next?.type === "apply" && next.node === record.node ? [next, record] : null;
  }),
  at("apply", "another content is applied than was committed", ["logMatching"], (record) => [
    { ...record, entry: other(record.entry) },
  ]),
  at("apply", "an entry of another term is applied than was committed", ["stateMachineSafety"], (record) => [
    { ...record, entry: { ...record.entry, term: record.entry.term + 1 } },
  ]),
  at("apply", "an entry is applied that is not committed", ["applyCommitted"], (record, { node }) => {
    const term = node.log.get(node.commit + 1);
    return term === undefined
      ? null
      : [record, { ...record, entry: { index: node.commit + 1, term, type: "command", digest: 0 } }];
  }),
];
