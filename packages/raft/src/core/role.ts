/**
 * The transitions between the four roles and between terms (Raft section 5.1, Figure 4), and the election timer. What a role
 * does is elsewhere; here is only what changes when one is entered or left.
 */
import { invariant } from "./invariants.js";
import { failReads } from "./read.js";
import { emit, type RaftState } from "./state.js";
import { endTransfer } from "./transfer.js";
import type { MemberId, Role, Term } from "./types.js";

/** How many election timeouts a server of priority 0 waits longer than the others. */
const LAST_RESORT_TIMEOUTS = 4;

/**
 * A new random wait, from [1, 2) times the election timeout, so that servers seldom campaign together (section 5.2). A
 * server of priority 0 leaves it to the others for much longer, but not for ever: its log may be the only one that can win.
 */
export function resetElectionTimer(state: RaftState): void {
  const { electionTimeoutMicros: base, heartbeatIntervalMicros: short, priority } = state.options;
  const chance = state.random() / 2 ** 32;
  const { leaderGone } = state;
  // Whoever knows that there is nobody to wait for tries again soon: the votes may have been split.
  if (leaderGone !== null && state.now < leaderGone.until && priority > 0)
    state.electionDeadline = Math.max(state.now, leaderGone.from) + short + Math.floor(chance * 2 * short);
  else state.electionDeadline = state.now + base + Math.floor(chance * base);
  if (priority === 0) state.electionDeadline += LAST_RESORT_TIMEOUTS * base;
}

/**
 * Takes a new term and forgets the vote, in one change. The only place where currentTerm rises besides one's own
 * candidacy; it never falls.
 */
export function enterTerm(state: RaftState, term: Term, votedFor: MemberId | null): void {
  invariant(term > state.currentTerm, "currentTerm never falls", `${state.currentTerm} to ${term}`);
  emit(state, { type: "termChanged", term, previous: state.currentTerm });
  state.currentTerm = term;
  state.votedFor = votedFor;
  state.leaderOfTerm = null;
  markHardStateDirty(state);
}

export function markHardStateDirty(state: RaftState): void {
  state.persistence.hardStateDirty = true;
  state.persistence.hardStateTicket = state.persistence.nextTicket;
}

export function setRole(state: RaftState, role: Role, reason: string): void {
  const previous = state.role;
  state.role = role;
  state.campaign = null;
  if (previous === "leader") {
    failReads(state);
    endTransfer(state, "steppedDown");
    state.leadership = null;
  }
  if (previous !== role) emit(state, { type: "roleChanged", role, previous, term: state.currentTerm, reason });
}

export function setLeader(state: RaftState, leader: MemberId | null): void {
  if (state.leaderId === leader) return;
  state.leaderId = leader;
  failReads(state);
  emit(state, { type: "leaderChanged", leader, term: state.currentTerm });
}

/**
 * Follower of `term` (at least the current one). A vote given in the current term stays given: stepping down must not
 * free it. `leader` is null when only the term was heard of.
 */
export function becomeFollower(state: RaftState, term: Term, leader: MemberId | null, reason: string): void {
  const wasFollower = state.role === "follower";
  if (term > state.currentTerm) {
    enterTerm(state, term, null);
    state.receiving = null;
    state.leaderHeardAt = null;
    setLeader(state, null);
  }
  setRole(state, "follower", reason);
  setLeader(state, leader);
  if (!wasFollower) {
    state.leaderHeardAt = null;
    resetElectionTimer(state);
  }
}

/** Election Safety (Figure 3): at most one leader a term. Remembered for the whole term, also while none is followed. */
export function noteLeaderOfTerm(state: RaftState, leader: MemberId): void {
  const known = state.leaderOfTerm;
  invariant(
    known === null || known === leader,
    "election safety",
    () => `term ${state.currentTerm} is led by ${known} and by ${leader}`,
  );
  state.leaderOfTerm = leader;
}

/** The current leader was heard: AppendEntries, Heartbeat or InstallSnapshot of the current term. */
export function heardLeader(state: RaftState, leader: MemberId): void {
  noteLeaderOfTerm(state, leader);
  if (state.role !== "follower") becomeFollower(state, state.currentTerm, leader, "a leader of this term was heard");
  else setLeader(state, leader);
  state.leaderGone = null;
  state.leaderHeardAt = state.now;
  resetElectionTimer(state);
}
