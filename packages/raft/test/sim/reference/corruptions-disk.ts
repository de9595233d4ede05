/** Disks, restarts and snapshots: single things that must not happen in them. */
import type { TraceRecord } from "../../../src/sim/reference/index.js";
import { at, atMessage, type Corruption, lastOf, nextOf, restOfTurn } from "./corruption.js";

export const DISKS: readonly Corruption[] = [
  at("persisted", "a vote leaves before it is durable", ["voteIsDurable", "termIsDurable"], (record, place) =>
    restOfTurn(place, record.node).some(
      (each) => each.type === "send" && each.message.type === "RequestVoteResponse" && each.message.voteGranted,
    )
      ? []
      : null,
  ),
  at("persisted", "a candidate asks for votes before its own is durable", ["voteIsDurable", "termIsDurable"], (record, place) =>
    restOfTurn(place, record.node).some((each) => each.type === "send" && each.message.type === "RequestVote") ? [] : null,
  ),
  at(
    "persisted",
    "an acknowledgement leaves before its entries are durable",
    ["ackIsDurable", "durableInOrder", "termIsDurable"],
    (record, place) => {
      const turn = restOfTurn(place, record.node);
      return turn.some((each) => each.type === "send" && each.message.type === "AppendEntriesResponse" && each.message.success)
        ? []
        : null;
    },
  ),
  at("persisted", "a batch is durable that was never handed over", ["durableInOrder"], (record, { node }) => [
    { ...record, ticket: node.ticket + 1 },
  ]),
  at("entriesDurable", "more is taken as durable than the disk has reported", ["durableInOrder"], (record, { node }) => [
    { ...record, durableIndex: Math.max(node.last, record.durableIndex) + 1 },
  ]),
  at("persist", "a batch forgets the vote", ["batchIsState"], (record) =>
    record.votedFor === null ? null : [{ ...record, votedFor: null }],
  ),
  at("persist", "a batch forgets the new term", ["batchIsState"], (record) =>
    record.currentTerm > 0 ? [{ ...record, currentTerm: record.currentTerm - 1 }] : null,
  ),
  at("persist", "a batch forgets an entry", ["batchIsState"], (record) =>
    record.entries.length > 0 ? [{ ...record, entries: record.entries.slice(0, -1) }] : null,
  ),
  at("persist", "a batch holds another entry", ["logMatching"], (record) => {
    const [first, ...rest] = record.entries;
    return first === undefined ? null : [{ ...record, entries: [{ ...first, digest: first.digest + 1 }, ...rest] }];
  }),
  at("persist", "a batch does not begin the log anew after a snapshot", ["batchIsState"], (record) =>
    record.logStart === null ? null : [{ ...record, logStart: null }],
  ),
  at("start", "a restart forgets the term", ["restartKeeps"], (record) =>
    record.currentTerm > 0 ? [{ ...record, currentTerm: record.currentTerm - 1, votedFor: null }] : null,
  ),
  at("start", "a restart forgets the vote", ["restartKeeps"], (record) =>
    record.votedFor === null ? null : [{ ...record, votedFor: null }],
  ),
  at("start", "a restart comes back with another vote", ["restartKeeps", "restartInventsNothing"], (record, { view }) => {
    const another = view.other(record.votedFor ?? record.node);
    return record.currentTerm === 0 || another === null ? null : [{ ...record, votedFor: another }];
  }),
  at("start", "a restart forgets the last entry", ["restartKeeps"], (record, { node }) =>
    node.durable === record.entries.at(-1)?.index && node.durable > record.snapshot.lastIncludedIndex
      ? [{ ...record, entries: record.entries.slice(0, -1) }]
      : null,
  ),
  at("start", "a restart comes back with nothing", ["restartKeeps"], (record, { view }) =>
    record.currentTerm === 0
      ? null
      : [
          {
            ...record,
            currentTerm: 0,
            votedFor: null,
            commitIndex: 0,
            snapshot: { lastIncludedIndex: 0, lastIncludedTerm: 0, configuration: view.founding, configurationIndex: 0 },
            logStart: { index: 0, term: 0 },
            entries: [],
          },
        ],
  ),
  at("start", "a restart comes back in a term that never was", ["restartInventsNothing"], (record) =>
    record.currentTerm > 0 ? [{ ...record, currentTerm: record.currentTerm + 50, votedFor: null }] : null,
  ),
  at("start", "a restart comes back with another entry", ["logMatching"], (record) => {
    const last = record.entries.at(-1);
    return last === undefined
      ? null
      : [{ ...record, entries: [...record.entries.slice(0, -1), { ...last, digest: last.digest + 1 }] }];
  }),
  at(
    "start",
    "a restart comes back with an entry after one that it was not made after",
    ["logMatching", "snapshotCommitted"],
    (record, { node }) =>
      record.entries.length > 0 && node.lives > 0
        ? [{ ...record, logStart: { ...record.logStart, term: record.logStart.term + 1 } }]
        : null,
  ),
  at("start", "a restart takes more for committed than was", ["restartInventsNothing"], (record, { node }) =>
    node.lives > 0 ? [{ ...record, commitIndex: Math.max(node.commit, record.snapshot.lastIncludedIndex) + 1 }] : null,
  ),
  at("start", "a first life begins with a term", ["freshStart"], (record, { node }) =>
    node.lives === 0 ? [{ ...record, currentTerm: 3 }] : null,
  ),
  at("stop", "a node speaks after its end", ["oneLife"], (record, { view }) => {
    const other = view.other(record.node);
    return other === null
      ? null
      : [
          record,
          {
            type: "send",
            node: record.node,
            to: other,
            message: { type: "HeartbeatResponse", term: 0, readRound: 0, promised: false },
          },
        ];
  }),
  at("stop", "a node starts twice", ["oneLife"], () => []),
];

export const SNAPSHOTS: readonly Corruption[] = [
  at("snapshot", "a snapshot holds more than was applied", ["snapshotCommitted"], (record, { node }) =>
    record.received ? null : [{ ...record, lastIncludedIndex: node.applied + 1 }],
  ),
  at("snapshot", "a snapshot ends in another term", ["snapshotCommitted"], (record) => [
    { ...record, lastIncludedTerm: record.lastIncludedTerm + 1 },
  ]),
  at("snapshot", "a snapshot has another configuration", ["snapshotCommitted"], (record, { node }) =>
    record.lastIncludedIndex > node.snapshot
      ? [{ ...record, configuration: { voters: ["z"], votersOutgoing: [], learners: [] } }]
      : null,
  ),
  at("snapshot", "a received snapshot was never sent to the end", ["snapshotFromLeader", "snapshotCommitted"], (record) =>
    record.received ? null : [{ ...record, received: true }],
  ),
  at(
    "snapshotInstalled",
    "a snapshot keeps a log that it must drop, or drops one that it must keep",
    ["snapshotSuffix"],
    (record) => [{ ...record, keptSuffix: !record.keptSuffix }],
  ),
  at("snapshotInstalled", "another snapshot is installed than was received", ["snapshotFromLeader"], (record) => [
    { ...record, lastIncludedIndex: record.lastIncludedIndex + 1 },
  ]),
  at("logCompacted", "the log is compacted beyond the snapshot", ["compactBelow"], (record, { node }) => [
    { ...record, purgedIndex: node.snapshot + 1 },
  ]),
  atMessage(
    "receive",
    "InstallSnapshot",
    "the last piece of a snapshot never arrives",
    ["snapshotFromLeader"],
    (message, record, place) => {
      const isWhole = (each: TraceRecord): boolean =>
        each.type === "receive" && each.message.type === "InstallSnapshot" && each.message.done;
      const before = lastOf(place, record.node, isWhole);
      return message.done && before === null && nextOf(place, record.node)?.type === "snapshot" ? [] : null;
    },
  ),
  atMessage(
    "send",
    "InstallSnapshot",
    "a snapshot is sent that ends at another entry",
    ["snapshotCommitted"],
    (message, record) => [{ ...record, message: { ...message, lastIncludedTerm: message.lastIncludedTerm + 1 } }],
  ),
  atMessage(
    "send",
    "InstallSnapshotResponse",
    "a snapshot is acknowledged before it is whole",
    ["snapshotAck"],
    (message, record, { node }) =>
      message.status === "continue" && message.lastIncludedIndex > Math.max(node.last, node.snapshot)
        ? [{ ...record, message: { ...message, status: "installed" } }]
        : null,
  ),
];
