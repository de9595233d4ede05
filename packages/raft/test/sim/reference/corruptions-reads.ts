/** Linearizable reads: single things that must not happen in them. */
import { at, atMessage, type Corruption, restOfTurn } from "./corruption.js";

export const READS: readonly Corruption[] = [
  at(
    "readConfirmed",
    "a read is confirmed at an index before what was committed when it was asked",
    ["readFresh", "readOwnTerm", "readAnswer"],
    (record, { node }) => (node.role === "leader" && record.readIndex > 0 ? [{ ...record, readIndex: 0 }] : null),
  ),
  at("readConfirmed", "a read is confirmed that nobody asked for", ["readAnswer"], (record) => [
    { ...record, id: record.id + 100_000 },
  ]),
  at("readConfirmed", "a follower confirms its read at another index than the leader's", ["readAnswer"], (record, { node }) =>
    node.role === "follower" ? [{ ...record, readIndex: record.readIndex + 1 }] : null,
  ),
  at("readConfirmed", "a leader confirms a read beyond what it has committed", ["readOwnTerm"], (record, { node }) =>
    node.role === "leader" ? [{ ...record, readIndex: node.commit + 1 }] : null,
  ),
  at("readConfirmed", "a read is confirmed in the round that was under way when it was asked", ["readRound"], (record, place) => {
    const id = record.id + 100_000;
    return place.node.role === "leader" && place.view.founding.voters.length > 1 && !record.lease
      ? [
          { type: "read", node: record.node, id },
          { ...record, id },
        ]
      : null;
  }),
  at(
    "read",
    "a leader confirms a read before it has committed an entry of its term",
    ["readOwnTerm"],
    (record, { node, view }) => {
      const leader = view.leaders.get(node.term);
      return node.role === "leader" && leader !== undefined && node.commit < leader.first
        ? [record, { type: "readConfirmed", node: record.node, id: record.id, readIndex: node.commit, lease: false }]
        : null;
    },
  ),
  at("read", "a leader confirms a read without asking anybody", ["readRound"], (record, { node, view }) => {
    const leader = view.leaders.get(node.term);
    return node.role === "leader" && leader !== undefined && node.commit >= leader.first && view.founding.voters.length > 1
      ? [record, { type: "readConfirmed", node: record.node, id: record.id, readIndex: node.commit, lease: false }]
      : null;
  }),
  at("read", "a follower answers a read from a lease", ["readLease"], (record, { node }) =>
    node.role === "follower"
      ? [record, { type: "readConfirmed", node: record.node, id: record.id, readIndex: node.commit, lease: true }]
      : null,
  ),
  atMessage(
    "send",
    "TimeoutNow",
    "a leader that hands over answers a read from its lease",
    ["readLease"],
    ({ term }, record, { node, view }) =>
      node.commit < (view.leaders.get(term)?.first ?? Number.MAX_SAFE_INTEGER)
        ? null
        : [
            record,
            { type: "read", node: record.node, id: 900_000 },
            { type: "readConfirmed", node: record.node, id: 900_000, readIndex: node.commit, lease: true },
          ],
  ),
  at("read", "a follower confirms a read by itself", ["readAnswer"], (record, { node }) =>
    node.role === "follower"
      ? [record, { type: "readConfirmed", node: record.node, id: record.id, readIndex: node.commit, lease: false }]
      : null,
  ),
  atMessage(
    "receive",
    "HeartbeatResponse",
    "the answer that decides a read never arrives",
    ["readRound"],
    (_message, record, place) =>
      restOfTurn(place, record.node).some(
        (each) =>
          (each.type === "readConfirmed" && place.node.role === "leader") ||
          (each.type === "send" && each.message.type === "ReadIndexResponse" && each.message.readIndex !== null),
      )
        ? []
        : null,
  ),
  atMessage(
    "send",
    "HeartbeatResponse",
    "a follower answers a round that it has not heard of",
    ["readRound"],
    (message, record) => [{ ...record, message: { ...message, readRound: message.readRound + 1000 } }],
  ),
  atMessage(
    "receive",
    "HeartbeatResponse",
    "an answer arrives to a later round than was answered",
    ["networkInvents"],
    (message, record, { node }) =>
      message.term < node.term ? null : [{ ...record, message: { ...message, readRound: message.readRound + 1000 } }],
  ),
  atMessage(
    "send",
    "ReadIndexResponse",
    "a leader answers a follower with an older index",
    ["readFresh", "readOwnTerm"],
    (message, record) =>
      message.readIndex === null || message.readIndex === 0 ? null : [{ ...record, message: { ...message, readIndex: 0 } }],
  ),
  atMessage("send", "ReadIndexResponse", "a leader answers a read that nobody asked", ["readAnswer"], (message, record) =>
    message.readIndex === null ? null : [{ ...record, message: { ...message, requestId: message.requestId + 100_000 } }],
  ),
  atMessage(
    "receive",
    "ReadIndexResponse",
    "another index arrives than the leader answered",
    ["readAnswer"],
    (message, record, place) => {
      const { readIndex, requestId } = message;
      const confirms = restOfTurn(place, record.node).some((each) => each.type === "readConfirmed" && each.id === requestId);
      return readIndex === null || !confirms ? null : [{ ...record, message: { ...message, readIndex: readIndex + 1 } }];
    },
  ),
  atMessage(
    "send",
    "ProposeResponse",
    "a leader says that it appended commands where it has not",
    ["forwarded"],
    (message, record) =>
      message.refusal === null ? [{ ...record, message: { ...message, firstIndex: message.firstIndex + 1000 } }] : null,
  ),
];
