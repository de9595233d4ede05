/**
 * Signs that the leader's process has ended, from outside of the protocol. A refused connection is only a hint: it may as well be a
 * firewall or a proxy, and the leader lives on. So it shortens the wait before a *pre-vote* round, and lets this follower promise
 * its vote to others although it heard the leader a moment ago; a quorum of followers must have taken the hint before anything
 * comes of it. What was promised to a lease it does not touch.
 *
 * A handshake of the same member in a later life is no hint: its old life has ended, and the lease with it.
 */
import { boundByLease } from "./lease.js";
import { isVoter } from "./quorum.js";
import { configurationOf, emit, type RaftState } from "./state.js";
import type { MemberId, Micros } from "./types.js";

/** The connection to this member was lost, and the system says that nobody listens there any more. */
export function peerRefused(state: RaftState, id: MemberId): void {
  if (state.role !== "follower" || state.leaderId !== id) return;
  const held = boundByLease(state, state.id) !== null;
  emit(state, { type: "leaderRefused", leader: id, term: state.currentTerm, held });
  expectNoMore(state, held ? Math.max(state.leasePromise?.until ?? 0, state.silentUntil) : state.now);
}

/** This member has shaken hands in a later life than before. */
export function peerRestarted(state: RaftState, id: MemberId): void {
  const hadPromise = state.leasePromise?.to === id && state.now < state.leasePromise.until;
  if (state.leasePromise?.to === id) state.leasePromise = null;
  if (state.role !== "follower" || state.leaderId !== id) return;
  emit(state, { type: "leaderRestarted", leader: id, term: state.currentTerm, hadPromise });
  expectNoMore(state, Math.max(state.now, state.silentUntil));
}

/**
 * Nothing more is expected of the leader. The next word of it, or of another, undoes this (role.ts), and so does time: after an
 * election timeout of quick campaigns it was something else.
 */
function expectNoMore(state: RaftState, campaignsFrom: Micros): void {
  state.leaderHeardAt = null;
  state.leaderGone = { from: campaignsFrom, until: campaignsFrom + state.options.electionTimeoutMicros };
  // Priority 0 leaves it to the others, and a learner has no say.
  if (state.options.priority === 0 || !isVoter(configurationOf(state), state.id)) return;
  // Staggered, so that the first has most often won before the second asks.
  const wait = Math.floor((state.random() / 2 ** 32) * state.options.heartbeatIntervalMicros);
  state.electionDeadline = Math.min(state.electionDeadline, campaignsFrom + wait);
}
