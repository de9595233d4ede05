/**
 * Heartbeats (Raft section 5.2): "I still lead", to every member, at an interval and whenever reads want a confirmation.
 * They carry no entries and name no previous entry, so they neither wait for replication nor can be taken for a conflict.
 */
import { followCommit } from "./commit.js";
import { countLeaseAnswer, noteLeaseRound, promiseLease, usesLeases } from "./lease.js";
import type { Heartbeat, HeartbeatResponse } from "./message.js";
import { send } from "./outbox.js";
import type { Progress } from "./progress.js";
import { confirmReads } from "./read.js";
import { askLeader } from "./recovery.js";
import { probeAgain } from "./replication.js";
import { heardLeader } from "./role.js";
import { emit, type RaftState } from "./state.js";
import type { MemberId } from "./types.js";

/** Sends a round and sets the time of the next. */
export function broadcastHeartbeat(state: RaftState): void {
  const { leadership } = state;
  if (leadership === null) return;
  state.heartbeatDeadline = state.now + state.options.heartbeatIntervalMicros;
  noteLeaseRound(state);
  const leases = usesLeases(state);
  for (const progress of leadership.progress.values()) {
    // Never more than the follower is known to hold: it can't check this message against its log (etcd, sendHeartbeat).
    const leaderCommit = Math.min(progress.matchIndex, state.commitIndex);
    progress.sentCommit = Math.max(progress.sentCommit, leaderCommit);
    send(state, progress.id, { type: "Heartbeat", term: state.currentTerm, leaderCommit, readRound: state.readRound, leases });
  }
}

/** From the leader of the current term (handlers.ts has seen to the term). */
export function handleHeartbeat(state: RaftState, from: MemberId, message: Heartbeat): void {
  heardLeader(state, from);
  promiseLease(state, from, message.leases);
  askLeader(state, from);
  if (message.leaderCommit > state.log.lastIndex) {
    // The leader thinks that we hold more than we do. We commit nothing on its word; its alarm is durableRegressed.
    emit(state, { type: "messageIgnored", from, message: message.type, reason: "beyondLog" });
  } else {
    followCommit(state, message.leaderCommit, message.leaderCommit);
  }
  send(state, from, {
    type: "HeartbeatResponse",
    term: state.currentTerm,
    readRound: message.readRound,
    promised: message.leases,
  });
}

export function handleHeartbeatResponse(state: RaftState, progress: Progress, message: HeartbeatResponse): void {
  if (message.readRound > state.readRound) {
    emit(state, { type: "messageIgnored", from: progress.id, message: message.type, reason: "malformed" });
    return;
  }
  progress.ackedRound = Math.max(progress.ackedRound, message.readRound);
  if (message.promised) countLeaseAnswer(state, progress, message.readRound);
  confirmReads(state);
  probeAgain(state, progress);
}
