/**
 * What each role does with each message: first the term (Raft Figure 2, "Rules for Servers"), then a table with one cell
 * for each role and message. A missing cell does not compile.
 */
import { handleProposeRequest } from "./append.js";
import { isFirstArrival } from "./arrivals.js";
import {
  handleRequestPreVote,
  handleRequestPreVoteResponse,
  handleRequestVote,
  handleRequestVoteResponse,
  handleTimeoutNow,
  ignoresRequestVote,
  refusalToDisturb,
} from "./election.js";
import type { IgnoreReason } from "./event.js";
import { handleHeartbeat, handleHeartbeatResponse } from "./heartbeat.js";
import { handleChangeRequest, refuseChange } from "./membership.js";
import type {
  ChangeRequest,
  ChangeResponse,
  EntryStatusRequest,
  Message,
  MessageType,
  ProposeRequest,
  ProposeResponse,
  TransferRequest,
} from "./message.js";
import { send } from "./outbox.js";
import type { Progress } from "./progress.js";
import { handleReadIndexRequest, handleReadIndexResponse, refuseRead } from "./read.js";
import { handleEntryStatusRequest, handleEntryStatusResponse } from "./recovery.js";
import { handleAppendEntries, handleAppendEntriesResponse } from "./replication.js";
import { becomeFollower } from "./role.js";
import { handleInstallSnapshot, handleInstallSnapshotResponse } from "./snapshot.js";
import { emit, type RaftState } from "./state.js";
import { handleTransferRequest, handleTransferResponse } from "./transfer.js";
import type { MemberId, Role } from "./types.js";

type MessageOf<Type extends MessageType> = Extract<Message, { readonly type: Type }>;
type Cell<Type extends MessageType> = (state: RaftState, from: MemberId, message: MessageOf<Type>) => void;
type Row = { readonly [Type in MessageType]: Cell<Type> };

function ignore(state: RaftState, from: MemberId, message: Message, reason: IgnoreReason): void {
  emit(state, { type: "messageIgnored", from, message: message.type, reason });
}

/** An answer to a question this role does not ask. */
function notAsked(state: RaftState, from: MemberId, message: Message): void {
  ignore(state, from, message, "wrongRole");
}

/** A response for the leader: only from somebody it replicates to, who thereby is known to be alive. */
function fromPeer<M extends Message>(handle: (state: RaftState, progress: Progress, message: M) => void) {
  return (state: RaftState, from: MemberId, message: M): void => {
    const progress = state.leadership?.progress.get(from);
    if (progress === undefined) {
      ignore(state, from, message, "notMember");
      return;
    }
    progress.lastContact = state.now;
    progress.unreachable = false;
    handle(state, progress, message);
  };
}

/** Commands, changes and wishes handed on: whatever is to be done with them is done once. */
function onFirstArrival<M extends ProposeRequest | ChangeRequest | TransferRequest>(
  handle: (state: RaftState, from: MemberId, message: M) => void,
) {
  return (state: RaftState, from: MemberId, message: M): void => {
    if (isFirstArrival(state.arrivals, from, message.requestId)) handle(state, from, message);
    else ignore(state, from, message, "repeated");
  };
}

function refuseProposal(state: RaftState, from: MemberId, message: ProposeRequest): void {
  send(state, from, {
    type: "ProposeResponse",
    term: state.currentTerm,
    requestId: message.requestId,
    firstIndex: 0,
    entryTerm: 0,
    refusal: "notLeader",
  });
}

/** The driver knows its requests; what it does not know it ignores. */
function passToDriver(state: RaftState, _from: MemberId, message: ProposeResponse): void {
  state.effects.proposeResponses.push(message);
}

function passChangeToDriver(state: RaftState, _from: MemberId, message: ChangeResponse): void {
  state.effects.changeResponses.push(message);
}

function answerEntryStatus(state: RaftState, from: MemberId, message: EntryStatusRequest): void {
  const reason = refusalToDisturb(state, from);
  handleEntryStatusRequest(state, from, message, reason === "leaderAlive" || reason === "leasePromised");
}

/** Messages that every role that is not leading treats alike; each row adds its own answers to its own questions. */
const notLeading = {
  RequestPreVote: handleRequestPreVote,
  RequestVote: handleRequestVote,
  AppendEntries: handleAppendEntries,
  Heartbeat: handleHeartbeat,
  InstallSnapshot: handleInstallSnapshot,
  AppendEntriesResponse: notAsked,
  HeartbeatResponse: notAsked,
  InstallSnapshotResponse: notAsked,
  ReadIndexRequest: refuseRead,
  ReadIndexResponse: handleReadIndexResponse,
  ProposeRequest: onFirstArrival(refuseProposal),
  ProposeResponse: passToDriver,
  ChangeRequest: onFirstArrival((state, from, message: ChangeRequest) => refuseChange(state, from, message)),
  ChangeResponse: passChangeToDriver,
  TimeoutNow: notAsked,
  TransferRequest: onFirstArrival(handleTransferRequest),
  TransferResponse: handleTransferResponse,
  EntryStatusRequest: answerEntryStatus,
  EntryStatusResponse: handleEntryStatusResponse,
} satisfies Partial<Row>;

export const TABLE: { readonly [R in Role]: Row } = {
  follower: {
    ...notLeading,
    RequestPreVoteResponse: notAsked,
    RequestVoteResponse: notAsked,
    TimeoutNow: handleTimeoutNow,
  },
  preCandidate: { ...notLeading, RequestPreVoteResponse: handleRequestPreVoteResponse, RequestVoteResponse: notAsked },
  candidate: { ...notLeading, RequestPreVoteResponse: notAsked, RequestVoteResponse: handleRequestVoteResponse },
  leader: {
    RequestPreVote: handleRequestPreVote,
    RequestPreVoteResponse: notAsked,
    RequestVote: handleRequestVote,
    RequestVoteResponse: notAsked,
    // From another leader of this very term: the handlers find the broken invariant (election safety).
    AppendEntries: handleAppendEntries,
    Heartbeat: handleHeartbeat,
    InstallSnapshot: handleInstallSnapshot,
    AppendEntriesResponse: fromPeer(handleAppendEntriesResponse),
    HeartbeatResponse: fromPeer(handleHeartbeatResponse),
    InstallSnapshotResponse: fromPeer(handleInstallSnapshotResponse),
    ReadIndexRequest: handleReadIndexRequest,
    ReadIndexResponse: notAsked,
    ProposeRequest: onFirstArrival(handleProposeRequest),
    ProposeResponse: passToDriver,
    ChangeRequest: onFirstArrival(handleChangeRequest),
    ChangeResponse: passChangeToDriver,
    TimeoutNow: notAsked,
    TransferRequest: onFirstArrival(handleTransferRequest),
    TransferResponse: handleTransferResponse,
    EntryStatusRequest: answerEntryStatus,
    EntryStatusResponse: handleEntryStatusResponse,
  },
};

export function receive(state: RaftState, from: MemberId, message: Message): void {
  if (from === state.id) return ignore(state, from, message, "malformed");
  if (message.term > state.currentTerm && !takeHigherTerm(state, from, message)) return;
  if (message.term < state.currentTerm && answerLowerTerm(state, from, message)) return;
  const cell = TABLE[state.role][message.type] as (state: RaftState, from: MemberId, message: Message) => void;
  cell(state, from, message);
}

/** False: the message must not be looked at any further. */
function takeHigherTerm(state: RaftState, from: MemberId, message: Message): boolean {
  switch (message.type) {
    // Talk about an election that has not begun: no term changes hands, except that a refused asker learns it is behind.
    case "RequestPreVote":
      return true;
    case "RequestPreVoteResponse":
      if (!message.voteGranted) becomeFollower(state, message.term, null, "a peer is in a higher term");
      return true;
    case "RequestVote":
      if (ignoresRequestVote(state, from, message)) return false;
      becomeFollower(state, message.term, null, "asked for a vote in a higher term");
      return true;
    // Clients' business between two servers. The term is learned from the protocol itself, which knows stickiness.
    case "ReadIndexRequest":
    case "ReadIndexResponse":
    case "ProposeRequest":
    case "ProposeResponse":
    case "ChangeRequest":
    case "ChangeResponse":
    case "TransferRequest":
    case "TransferResponse":
      return true;
    // Its term is taken so that what is said of an absent entry is said for good; but not from under a leader that works.
    case "EntryStatusRequest":
      if (refusalToDisturb(state, from) === null)
        becomeFollower(state, message.term, null, "asked for an entry in a higher term");
      return true;
    default:
      becomeFollower(state, message.term, null, "a higher term was heard");
      return true;
  }
}

/** True: the message is from an earlier term and done with; whoever still leads such a term is told of ours. */
function answerLowerTerm(state: RaftState, from: MemberId, message: Message): boolean {
  const term = state.currentTerm;
  switch (message.type) {
    case "AppendEntries":
      send(state, from, {
        type: "AppendEntriesResponse",
        term,
        success: false,
        prevLogIndex: message.prevLogIndex,
        matchIndex: 0,
        hintIndex: 0,
        hintTerm: 0,
      });
      break;
    case "Heartbeat":
      send(state, from, { type: "HeartbeatResponse", term, readRound: 0, promised: false });
      break;
    case "InstallSnapshot": {
      const { lastIncludedIndex, lastIncludedTerm } = message;
      send(state, from, {
        type: "InstallSnapshotResponse",
        term,
        lastIncludedIndex,
        lastIncludedTerm,
        offset: 0,
        status: "rejected",
      });
      break;
    }
    // Answered with a refusal by their own handlers, or not bound to the term at all.
    case "RequestPreVote":
    case "RequestPreVoteResponse":
    case "RequestVote":
    case "ReadIndexRequest":
    case "ProposeRequest":
    case "ProposeResponse":
    case "ChangeRequest":
    case "ChangeResponse":
    case "TransferRequest":
    case "TransferResponse":
    // An entry is the same in every term; and who asks in an old one learns the new one from the answer.
    case "EntryStatusRequest":
    case "EntryStatusResponse":
      return false;
    default:
      break;
  }
  ignore(state, from, message, "staleTerm");
  return true;
}
