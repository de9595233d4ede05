/**
 * Elections (Raft section 5.2 and 5.4.1; dissertation 4.2.3 and 9.6): how a server asks for votes and becomes leader, and
 * how it answers those who ask for its vote.
 *
 * At most one leader a term (Figure 3, Election Safety) rests on three things: a vote is given once a term (here), it is
 * durable before it leaves (outbox.ts), and only voters of the configuration in force are counted (quorum.ts).
 */
import { appendAsLeader } from "./append.js";
import { invariant } from "./invariants.js";
import { boundByLease } from "./lease.js";
import type { RequestPreVote, RequestPreVoteResponse, RequestVote, RequestVoteResponse, TimeoutNow } from "./message.js";
import { send } from "./outbox.js";
import { isVoter, quorumValue, replicationTargets, voteOutcome } from "./quorum.js";
import { onRecoveryTimeout } from "./recovery.js";
import {
  becomeFollower,
  enterTerm,
  markHardStateDirty,
  noteLeaderOfTerm,
  resetElectionTimer,
  setLeader,
  setRole,
} from "./role.js";
import { configurationOf, emit, type RaftState } from "./state.js";
import { newTargets } from "./targets.js";
import { EMPTY_BYTES, type MemberId, type Micros } from "./types.js";

/** The election timer ran out. */
export function onElectionTimeout(state: RaftState): void {
  emit(state, { type: "electionTimeout", term: state.currentTerm });
  setLeader(state, null);
  if (state.recovery !== null) {
    onRecoveryTimeout(state, state.recovery);
    return;
  }
  if (!mayCampaign(state)) {
    resetElectionTimer(state);
    return;
  }
  startPreVote(state, "election timeout");
}

/**
 * A voter may; and so may one that votes no more by a configuration which is not known to be committed: it may hold the only
 * copy of what the others need (dissertation section 4.2.2). It counts its own vote only where it is a voter (quorum.ts).
 */
export function mayCampaign({ configurations, commitIndex, id }: RaftState): boolean {
  const committed = configurations.findLastIndex(({ index }) => index <= commitIndex);
  return configurations.slice(Math.max(0, committed)).some(({ configuration }) => isVoter(configuration, id));
}

/** Asks whether an election could be won, before disturbing anyone with a new term. */
function startPreVote(state: RaftState, reason: string): void {
  setRole(state, "preCandidate", reason);
  resetElectionTimer(state);
  state.campaign = { answers: new Map([[state.id, true]]), leadershipTransfer: false };
  for (const peer of otherVoters(state)) {
    send(state, peer, {
      type: "RequestPreVote",
      term: state.currentTerm,
      proposedTerm: state.currentTerm + 1,
      lastLogIndex: state.log.lastIndex,
      lastLogTerm: state.log.lastTerm,
    });
  }
  countPreVotes(state);
}

/** Starts an election (section 5.2). The requests and one's own vote wait until term and vote are durable. */
export function startElection(state: RaftState, reason: string, leadershipTransfer: boolean): void {
  invariant(state.role !== "leader", "a leader never campaigns", `term ${state.currentTerm}`);
  // Whatever it was asked by: its log may lack what is committed.
  if (state.recovery !== null) return;
  // To campaign is to back oneself.
  invariant(
    leadershipTransfer || boundByLease(state, state.id) === null,
    "a promised lease is kept",
    () => `campaigns at ${state.now}, promised until ${Math.max(state.leasePromise?.until ?? 0, state.silentUntil)}`,
  );
  enterTerm(state, state.currentTerm + 1, state.id);
  setRole(state, "candidate", reason);
  setLeader(state, null);
  resetElectionTimer(state);
  emit(state, { type: "voteCast", candidate: state.id, term: state.currentTerm });
  state.campaign = { answers: new Map(), leadershipTransfer };
  for (const peer of otherVoters(state)) {
    send(state, peer, {
      type: "RequestVote",
      term: state.currentTerm,
      lastLogIndex: state.log.lastIndex,
      lastLogTerm: state.log.lastTerm,
      leadershipTransfer,
    });
  }
}

/**
 * The leader hands over to this server (dissertation section 3.10): it campaigns at once. It does not ask first, for the
 * others still hear the leader and would say no; and it says why it asks, so that they vote all the same.
 */
export function handleTimeoutNow(state: RaftState, from: MemberId, message: TimeoutNow): void {
  const ignore = (reason: "notExpected" | "notVoter"): void =>
    emit(state, { type: "messageIgnored", from, message: message.type, reason });
  if (state.leaderId !== from) return ignore("notExpected");
  // By the newest configuration here, which may be newer than the one by which it was chosen.
  if (!isVoter(configurationOf(state), state.id)) return ignore("notVoter");
  startElection(state, "the leader hands over to it", true);
}

/** Called when a batch completed: a candidate's own vote counts from the moment it is durable. */
export function countOwnVote(state: RaftState): void {
  if (state.role !== "candidate" || state.campaign === null || state.campaign.answers.has(state.id)) return;
  if (state.persistence.hardStateTicket > state.persistence.completedTicket) return;
  state.campaign.answers.set(state.id, true);
  countVotes(state);
}

function otherVoters(state: RaftState): readonly MemberId[] {
  const configuration = configurationOf(state);
  return replicationTargets(configuration).filter((id) => id !== state.id && isVoter(configuration, id));
}

function countPreVotes(state: RaftState): void {
  if (state.campaign === null) return;
  const outcome = voteOutcome(configurationOf(state), state.campaign.answers);
  if (outcome === "won") startElection(state, "a quorum would vote for it", false);
  else if (outcome === "lost") becomeFollower(state, state.currentTerm, null, "a quorum would not vote for it");
}

function countVotes(state: RaftState): void {
  if (state.campaign === null) return;
  const outcome = voteOutcome(configurationOf(state), state.campaign.answers);
  if (outcome === "won") becomeLeader(state);
  else if (outcome === "lost") becomeFollower(state, state.currentTerm, null, "a quorum refused");
}

/** Won (section 5.2). The no-op makes everything before it committable, and tells reads what is committed (section 8). */
function becomeLeader(state: RaftState): void {
  invariant(state.role === "candidate", "only a candidate becomes leader", state.role);
  noteLeaderOfTerm(state, state.id);
  setRole(state, "leader", "a quorum voted for it");
  setLeader(state, state.id);
  state.leadership = {
    progress: newTargets(state),
    firstIndexOfTerm: state.log.lastIndex + 1,
    reads: [],
    since: state.now,
    uncommittedBytes: 0,
    quorumCheckAt: state.now + state.options.electionTimeoutMicros,
    transfer: null,
    leaving: false,
    leasesEnded: false,
    leaseRounds: [],
    recount: false,
  };
  state.receiving = null;
  state.leaderGone = null;
  // The no-op goes to everyone at once, and says who leads; heartbeats follow at their interval.
  state.heartbeatDeadline = state.now + state.options.heartbeatIntervalMicros;
  appendAsLeader(state, [{ type: "noop", data: EMPTY_BYTES }]);
}

/** When a quorum last answered this leader; null: it does not lead. */
export function quorumHeardAt(state: RaftState): Micros | null {
  const { leadership } = state;
  if (leadership === null) return null;
  return quorumValue(configurationOf(state), (id) =>
    id === state.id ? state.now : (leadership.progress.get(id)?.lastContact ?? 0),
  );
}

/** Check-quorum (dissertation section 6.2): a leader that no quorum answers for an election timeout gives up. */
export function checkQuorum(state: RaftState): void {
  const { leadership } = state;
  const heard = quorumHeardAt(state);
  if (leadership === null || heard === null) return;
  if (state.now - heard >= state.options.electionTimeoutMicros) {
    emit(state, { type: "quorumLost", term: state.currentTerm });
    becomeFollower(state, state.currentTerm, null, "no quorum answers");
    return;
  }
  leadership.quorumCheckAt = heard + state.options.electionTimeoutMicros;
}

/**
 * Leader stickiness (dissertation section 4.2.3): whoever heard a leader within the minimum election timeout, or leads,
 * neither votes nor takes the new term, so a server that was cut off or removed can't depose a leader that works. Not held
 * against the leader itself: if it asks, it does not lead any more.
 */
export function refusalToDisturb(state: RaftState, candidate: MemberId): "leaderAlive" | "justStarted" | "leasePromised" | null {
  if (state.role === "leader") return "leaderAlive";
  const bound = boundByLease(state, candidate);
  if (bound !== null) return bound;
  if (state.leaderId === null || state.leaderId === candidate || state.leaderHeardAt === null) return null;
  return state.now - state.leaderHeardAt < state.options.electionTimeoutMicros ? "leaderAlive" : null;
}

/**
 * Nobody has told it who the members are: an empty directory votes for nobody. Any other votes also for a candidate that its
 * own configuration does not list (dissertation section 4.1).
 */
function hasNoConfiguration(state: RaftState): boolean {
  return configurationOf(state).voters.length === 0;
}

/** Changes nothing here: no term, no vote, and no timer of one that waits for a leader. */
export function handleRequestPreVote(state: RaftState, from: MemberId, message: RequestPreVote): void {
  const refuse = (
    reason: "staleTerm" | "leaderAlive" | "justStarted" | "leasePromised" | "noConfiguration" | "logNotUpToDate" | "recovering",
  ): void => {
    emit(state, { type: "voteRefused", candidate: from, term: message.proposedTerm, reason, preVote: true });
    respond(false);
  };
  const respond = (voteGranted: boolean): void =>
    send(state, from, {
      type: "RequestPreVoteResponse",
      term: state.currentTerm,
      proposedTerm: message.proposedTerm,
      voteGranted,
    });
  // A lower term is answered too: the asker must learn of the higher one, or two servers can wait for each other for ever.
  if (message.proposedTerm <= state.currentTerm) return refuse("staleTerm");
  const disturbing = refusalToDisturb(state, from);
  if (disturbing !== null) return refuse(disturbing);
  if (state.recovery !== null) return refuse("recovering");
  if (hasNoConfiguration(state)) return refuse("noConfiguration");
  if (!state.log.isUpToDate(message.lastLogIndex, message.lastLogTerm)) return refuse("logNotUpToDate");
  respond(true);
  // When all know that the leader is gone, whoever asks first goes first.
  if (state.leaderGone !== null) resetElectionTimer(state);
}

export function handleRequestPreVoteResponse(state: RaftState, from: MemberId, message: RequestPreVoteResponse): void {
  if (state.role !== "preCandidate" || state.campaign === null || message.proposedTerm !== state.currentTerm + 1) {
    emit(state, { type: "messageIgnored", from, message: message.type, reason: "staleResponse" });
    return;
  }
  emit(state, { type: "voteReceived", voter: from, granted: message.voteGranted, term: message.proposedTerm, preVote: true });
  state.campaign.answers.set(from, message.voteGranted);
  countPreVotes(state);
}

/** True when a request of a higher term must be left unanswered because a leader is alive; the reason is an event. */
export function ignoresRequestVote(state: RaftState, from: MemberId, message: RequestVote): boolean {
  if (message.leadershipTransfer || message.term <= state.currentTerm) return false;
  const reason = refusalToDisturb(state, from);
  if (reason === null) return false;
  emit(state, { type: "voteRefused", candidate: from, term: message.term, reason, preVote: false });
  return true;
}

/** Raft Figure 2, RequestVote. A higher term has already been taken (handlers.ts). */
export function handleRequestVote(state: RaftState, from: MemberId, message: RequestVote): void {
  const refuse = (
    reason: "staleTerm" | "votedForOther" | "noConfiguration" | "logNotUpToDate" | "leasePromised" | "justStarted" | "recovering",
  ): void => {
    emit(state, { type: "voteRefused", candidate: from, term: message.term, reason, preVote: false });
    send(state, from, { type: "RequestVoteResponse", term: state.currentTerm, voteGranted: false });
  };
  if (message.term < state.currentTerm) return refuse("staleTerm");
  // Its own log can't tell whether the candidate's holds everything that this server helped to commit.
  if (state.recovery !== null) return refuse("recovering");
  // The term may have been taken from another message; what was promised to a lease holds all the same.
  const bound = message.leadershipTransfer ? null : boundByLease(state, from);
  if (bound !== null) return refuse(bound);
  if (hasNoConfiguration(state)) return refuse("noConfiguration");
  // Asked again by the one we voted for: the first answer was lost, so it is given again.
  if (state.votedFor !== null && state.votedFor !== from) return refuse("votedForOther");
  if (!state.log.isUpToDate(message.lastLogIndex, message.lastLogTerm)) return refuse("logNotUpToDate");
  // A pre-candidate has not voted yet; it gives up its own plan. A candidate or leader has voted for itself.
  if (state.role === "preCandidate") becomeFollower(state, state.currentTerm, null, "voted for another");
  invariant(state.role === "follower", "only a follower votes", state.role);
  if (state.votedFor === null) {
    state.votedFor = from;
    markHardStateDirty(state);
    emit(state, { type: "voteCast", candidate: from, term: state.currentTerm });
  }
  resetElectionTimer(state);
  send(state, from, { type: "RequestVoteResponse", term: state.currentTerm, voteGranted: true });
}

/** A response of the current term: counted if we still ask, once for each voter. */
export function handleRequestVoteResponse(state: RaftState, from: MemberId, message: RequestVoteResponse): void {
  if (state.role !== "candidate" || state.campaign === null) {
    emit(state, { type: "messageIgnored", from, message: message.type, reason: "staleResponse" });
    return;
  }
  emit(state, { type: "voteReceived", voter: from, granted: message.voteGranted, term: message.term, preVote: false });
  // A grant stands: a repeated or later refusal of the same voter does not take it back.
  if (state.campaign.answers.get(from) !== true) state.campaign.answers.set(from, message.voteGranted);
  countVotes(state);
}
