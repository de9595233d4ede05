/**
 * Linearizable reads without a log entry (ReadIndex, dissertation section 6.4):
 *  1. the leader has committed an entry of its own term, so its commitIndex is the cluster's;
 *  2. commitIndex is noted as the read's index;
 *  3. a round of heartbeats *started after the read came in* is answered by a quorum: no later leader had been elected
 *     by then;
 *  4. the driver waits until the state machine has applied that index.
 * Rounds are numbered by a counter of the leader that never repeats, not by anything a client chose (etcd #20418), and the
 * reads of one turn share a round. Reads die with the term.
 */
import type { ReadIndexRequest, ReadIndexResponse } from "./message.js";
import { send } from "./outbox.js";
import { quorumValue } from "./quorum.js";
import { configurationOf, emit, type PendingRead, type RaftState } from "./state.js";
import type { MemberId } from "./types.js";

/** Takes in a read of this node's (`from` null) or a follower's. The answer comes through `confirmReads`. */
export function addRead(state: RaftState, from: MemberId | null, id: number): "accepted" | "notLeader" | "overloaded" {
  const { leadership } = state;
  if (leadership === null) return "notLeader";
  if (leadership.reads.length >= state.options.maxPendingReads) return "overloaded";
  leadership.reads.push({ from, id, readIndex: null, round: null });
  nameReadIndexes(state);
  return "accepted";
}

/** A read gets its index once an entry of this term is committed; until then it waits. */
export function nameReadIndexes(state: RaftState): void {
  const { leadership } = state;
  if (leadership === null || state.commitIndex < leadership.firstIndexOfTerm) return;
  for (const read of leadership.reads) read.readIndex ??= state.commitIndex;
}

/** Gives a new round to all reads that have an index and no round. True if one was started: heartbeats must go out. */
export function startReadRound(state: RaftState): boolean {
  const { leadership } = state;
  if (leadership === null) return false;
  let started = false;
  // Reads come in order, so those without a round are at the end.
  for (let place = leadership.reads.length - 1; place >= 0; place -= 1) {
    const read = leadership.reads[place];
    if (read === undefined || read.round !== null) break;
    if (read.readIndex === null) continue;
    read.round = state.readRound + 1;
    started = true;
  }
  if (started) state.readRound += 1;
  return started;
}

/** Answers every read whose round a quorum has confirmed. A learner's answer, or a stranger's, counts nothing. */
export function confirmReads(state: RaftState): void {
  const { leadership } = state;
  if (leadership === null || leadership.reads.length === 0) return;
  const confirmed = quorumValue(configurationOf(state), (id) =>
    id === state.id ? state.readRound : (leadership.progress.get(id)?.ackedRound ?? 0),
  );
  let done = 0;
  for (const read of leadership.reads) {
    if (read.round === null || read.round > confirmed) break;
    answerRead(state, read);
    done += 1;
  }
  leadership.reads.splice(0, done);
}

function answerRead(state: RaftState, read: PendingRead): void {
  if (read.readIndex === null) return;
  if (read.from === null) {
    emit(state, { type: "readConfirmed", id: read.id, readIndex: read.readIndex, lease: false });
    state.effects.readsReady.push({ id: read.id, index: read.readIndex });
  } else {
    send(state, read.from, { type: "ReadIndexResponse", term: state.currentTerm, requestId: read.id, readIndex: read.readIndex });
  }
}

/** The leader or the leadership is gone: whoever still waits must ask again. */
export function failReads(state: RaftState): void {
  for (const read of state.leadership?.reads ?? []) {
    if (read.from === null) state.effects.readsFailed.push(read.id);
  }
  if (state.leadership !== null) state.leadership.reads.length = 0;
  state.effects.readsFailed.push(...state.forwardedReads);
  state.forwardedReads.clear();
}

/** A follower asks its leader. */
export function forwardRead(state: RaftState, id: number): "accepted" | "notLeader" | "overloaded" {
  if (state.leaderId === null || state.leaderId === state.id) return "notLeader";
  if (state.forwardedReads.size >= state.options.maxPendingReads) return "overloaded";
  state.forwardedReads.add(id);
  send(state, state.leaderId, { type: "ReadIndexRequest", term: state.currentTerm, requestId: id });
  return "accepted";
}

export function handleReadIndexRequest(state: RaftState, from: MemberId, message: ReadIndexRequest): void {
  if (addRead(state, from, message.requestId) === "accepted") return;
  refuseRead(state, from, message);
}

export function refuseRead(state: RaftState, from: MemberId, message: ReadIndexRequest): void {
  send(state, from, { type: "ReadIndexResponse", term: state.currentTerm, requestId: message.requestId, readIndex: null });
}

/** Counts only from the leader of the current term that was asked (etcd #21375); anything else was given up already. */
export function handleReadIndexResponse(state: RaftState, from: MemberId, message: ReadIndexResponse): void {
  if (from !== state.leaderId || !state.forwardedReads.delete(message.requestId)) {
    emit(state, { type: "messageIgnored", from, message: message.type, reason: "unknownRequest" });
    return;
  }
  if (message.readIndex === null) {
    state.effects.readsFailed.push(message.requestId);
    return;
  }
  emit(state, { type: "readConfirmed", id: message.requestId, readIndex: message.readIndex, lease: false });
  state.effects.readsReady.push({ id: message.requestId, index: message.readIndex });
}
