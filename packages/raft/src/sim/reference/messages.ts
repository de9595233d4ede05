/**
 * Which rule judges which message. As it leaves, by what its sender was in the term of the message; as it arrives, by
 * whether it ever left. A missing cell does not compile.
 */
import type { MemberId, MessageType } from "../../core/index.js";
import {
  receivePreVoteResponse,
  receiveRequestPreVote,
  receiveRequestVote,
  receiveTimeoutNow,
  receiveVoteResponse,
  sendPreVoteResponse,
  sendRequestPreVote,
  sendRequestVote,
  sendTimeoutNow,
  sendVoteResponse,
} from "./election.js";
import { type Cluster, type Judge, type Server, termFacts } from "./facts.js";
import { receiveReadRequest, receiveReadResponse, sendReadResponse } from "./read.js";
import { receiveEntryStatusRequest, receiveEntryStatusResponse, sendEntryStatusResponse } from "./repair.js";
import {
  receiveAppendEntries,
  receiveAppendResponse,
  receiveHeartbeat,
  receiveHeartbeatResponse,
  sendAppendEntries,
  sendAppendResponse,
  sendHeartbeat,
  sendHeartbeatResponse,
} from "./replication.js";
import { refuse } from "./rules.js";
import { receiveInstallSnapshot, receiveSnapshotResponse, sendInstallSnapshot, sendSnapshotResponse } from "./snapshot.js";
import type { TraceMessage } from "./trace.js";

type Judges = { readonly [Type in MessageType]: Judge<Type> };

/** A request that promises nothing, or an answer that the asker only believes when it sees for itself. */
const anything = (): void => {};

const sendProposeResponse: Judge<"ProposeResponse"> = (cluster, server, _to, { refusal, firstIndex, entryTerm }) => {
  if (refusal !== null || entryTerm < cluster.oldestTerm) return;
  const { leadership } = termFacts(cluster, entryTerm);
  if (leadership?.id !== server.id || firstIndex < leadership.first || firstIndex > leadership.log.lastIndex)
    refuse("forwarded", `${server.id} says that it appended commands at ${firstIndex}/${entryTerm}, and has not`);
};

const sendChangeResponse: Judge<"ChangeResponse"> = (cluster, server, _to, { refusal, index, entryTerm }) => {
  if (refusal !== null || entryTerm < cluster.oldestTerm) return;
  const { leadership } = termFacts(cluster, entryTerm);
  if (leadership?.id !== server.id || index <= leadership.first || index > leadership.log.lastIndex)
    refuse("forwarded", `${server.id} says that it appended a configuration at ${index}/${entryTerm}, and has not`);
};

const LEAVING: Judges = {
  RequestPreVote: sendRequestPreVote,
  RequestPreVoteResponse: sendPreVoteResponse,
  RequestVote: sendRequestVote,
  RequestVoteResponse: sendVoteResponse,
  AppendEntries: sendAppendEntries,
  AppendEntriesResponse: sendAppendResponse,
  Heartbeat: sendHeartbeat,
  HeartbeatResponse: sendHeartbeatResponse,
  InstallSnapshot: sendInstallSnapshot,
  InstallSnapshotResponse: sendSnapshotResponse,
  ReadIndexRequest: anything,
  ReadIndexResponse: sendReadResponse,
  ProposeRequest: anything,
  ProposeResponse: sendProposeResponse,
  ChangeRequest: anything,
  ChangeResponse: sendChangeResponse,
  TimeoutNow: sendTimeoutNow,
  TransferRequest: anything,
  TransferResponse: anything,
  EntryStatusRequest: anything,
  EntryStatusResponse: sendEntryStatusResponse,
};

const ARRIVING: Judges = {
  RequestPreVote: receiveRequestPreVote,
  RequestPreVoteResponse: receivePreVoteResponse,
  RequestVote: receiveRequestVote,
  RequestVoteResponse: receiveVoteResponse,
  AppendEntries: receiveAppendEntries,
  AppendEntriesResponse: receiveAppendResponse,
  Heartbeat: receiveHeartbeat,
  HeartbeatResponse: receiveHeartbeatResponse,
  InstallSnapshot: receiveInstallSnapshot,
  InstallSnapshotResponse: receiveSnapshotResponse,
  ReadIndexRequest: receiveReadRequest,
  ReadIndexResponse: receiveReadResponse,
  ProposeRequest: anything,
  ProposeResponse: anything,
  ChangeRequest: anything,
  ChangeResponse: anything,
  TimeoutNow: receiveTimeoutNow,
  TransferRequest: anything,
  TransferResponse: anything,
  EntryStatusRequest: receiveEntryStatusRequest,
  EntryStatusResponse: receiveEntryStatusResponse,
};

/**
 * Messages of an earlier term that are not stale by that: their sender may be behind. The others then change nothing, and
 * are not looked at.
 */
const NOT_BOUND: ReadonlySet<MessageType> = new Set([
  "RequestPreVote",
  "RequestPreVoteResponse",
  "ReadIndexRequest",
  "EntryStatusRequest",
]);

/**
 * Messages that may be of a higher term and leave the receiver where it is: a vote may be refused because a leader lives
 * (dissertation 4.2.3), and so may a question for a lost entry be answered in the old one; a question before a campaign
 * changes nothing (9.6), and clients' business is none of Raft's.
 */
const NO_DUTY: ReadonlySet<MessageType> = new Set([
  "RequestPreVote",
  "RequestVote",
  "ReadIndexRequest",
  "ReadIndexResponse",
  "ProposeRequest",
  "ProposeResponse",
  "ChangeRequest",
  "ChangeResponse",
  "TransferRequest",
  "TransferResponse",
  "EntryStatusRequest",
]);

/** It is about a term that every server is beyond: nobody will heed it, and nothing is known of it any more. */
function isForgotten(cluster: Cluster, message: TraceMessage): boolean {
  if (message.type === "ReadIndexRequest") return false;
  const about = message.type === "RequestPreVoteResponse" ? message.proposedTerm : message.term;
  return about < cluster.oldestTerm;
}

export function send(cluster: Cluster, server: Server, to: MemberId, message: TraceMessage): void {
  const { id, term, diskTerm, owedTerm } = server;
  if (message.term > diskTerm)
    refuse("termIsDurable", `${id} sends ${message.type} in term ${message.term}, and ${diskTerm} is durable`);
  if (term < owedTerm) refuse("higherTermDeposes", `${id} has heard of term ${owedTerm}, and speaks on in term ${term}`);
  if (isForgotten(cluster, message)) return;
  const judge = LEAVING[message.type] as (cluster: Cluster, server: Server, peer: MemberId, message: TraceMessage) => void;
  judge(cluster, server, to, message);
}

export function receive(cluster: Cluster, server: Server, from: MemberId, message: TraceMessage): void {
  if (from === server.id) refuse("networkInvents", `${from} hears itself`);
  const { type, term } = message;
  if (type !== "RequestPreVote") server.heardTerm = Math.max(server.heardTerm, term);
  const isPromise = type === "RequestPreVoteResponse" && message.voteGranted;
  if (!NO_DUTY.has(type) && !isPromise) server.owedTerm = Math.max(server.owedTerm, term);
  if (isForgotten(cluster, message) || (term < server.term && !NOT_BOUND.has(type))) return;
  const judge = ARRIVING[type] as (cluster: Cluster, server: Server, peer: MemberId, message: TraceMessage) => void;
  judge(cluster, server, from, message);
}
