/**
 * Leases (dissertation section 6.4.1): reads without a message, paid for with a bound on how far clocks may drift apart.
 *
 * A follower that acknowledges a message of a leader that uses leases promises to back nobody else for an election timeout
 * from its receipt. So a leader that heard from a quorum is alone from the moment it *sent* what they answered, for an election
 * timeout on the slowest of their clocks; it counts on less, by the bound on the drift (`clockDriftPerMille`).
 *
 * What can end a promise early is what proves that the lease is over: the leader says that it hands over, or its process is
 * known to be another one. Restarting a follower does not end it; it then keeps still for as long (raft.ts). What ends the
 * lease: time, the loss of leadership, a configuration without leases, and TimeoutNow, for the rest of the term (design law 9).
 */
import type { Progress } from "./progress.js";
import { quorumValue, replicationTargets } from "./quorum.js";
import { configurationOf, emit, type RaftState } from "./state.js";
import type { Index, MemberId, Micros } from "./types.js";

/** A round of heartbeats, and when it was sent. */
export interface LeaseRound {
  readonly round: number;
  readonly sentAt: Micros;
}

/** What a follower has promised: it backs nobody but this leader. */
export interface LeasePromise {
  readonly to: MemberId;
  readonly until: Micros;
}

/** Why a read that may use a lease is answered by a round of heartbeats instead. */
export type LeaseRefusal = "notLeader" | "off" | "handedOver" | "nothingCommitted" | "expired";

/** A leader notes so many rounds in a heartbeat interval, at most; the others count as the one noted before. */
const ROUNDS_AN_INTERVAL = 8;
/** Answers to older rounds prove nothing. */
const MAX_ROUNDS = 256;

// ---- The leader ----

/** Whether this leader asks its followers for promises now. It says so in every heartbeat and every AppendEntries. */
export function usesLeases(state: RaftState): boolean {
  return state.leadership !== null && !state.leadership.leasesEnded && configurationOf(state).leases;
}

/** A round of heartbeats is about to be sent: gives it a number of its own and notes the time. */
export function noteLeaseRound(state: RaftState): void {
  const { leadership, options } = state;
  if (leadership === null || !usesLeases(state)) return;
  const { leaseRounds } = leadership;
  const last = leaseRounds.at(-1);
  if (last !== undefined && state.now - last.sentAt < options.heartbeatIntervalMicros / ROUNDS_AN_INTERVAL) return;
  state.readRound += 1;
  leaseRounds.push({ round: state.readRound, sentAt: state.now });
  if (leaseRounds.length > MAX_ROUNDS) leaseRounds.shift();
}

/**
 * A follower answered a round. It counts if its durable log holds the entry that switched leases on, for by that it knows
 * after a restart that it may have promised something.
 */
export function countLeaseAnswer(state: RaftState, progress: Progress, round: number): void {
  const { leadership } = state;
  if (leadership === null || !usesLeases(state) || progress.matchIndex < leasesSince(state, progress.id)) return;
  const answered = leadership.leaseRounds.findLast((each) => each.round <= round);
  if (answered !== undefined && answered.sentAt > progress.leaseFrom) progress.leaseFrom = answered.sentAt;
}

/** The entry by which this member knows of leases: the oldest configuration from which on they are on and it is a member. */
function leasesSince(state: RaftState, id: MemberId): Index {
  let since = Number.MAX_SAFE_INTEGER;
  for (const { index, configuration } of [...state.configurations].reverse()) {
    if (!configuration.leases || !replicationTargets(configuration).includes(id)) break;
    since = index;
  }
  return since;
}

/** Until when no other leader can be elected, as far as this one knows; before any time when it knows nothing. */
export function leaseEnd(state: RaftState): Micros {
  const { leadership, options } = state;
  if (leadership === null) return Number.NEGATIVE_INFINITY;
  const { electionTimeoutMicros, clockDriftPerMille } = options;
  const from = quorumValue(configurationOf(state), (id) =>
    id === state.id ? state.now : (leadership.progress.get(id)?.leaseFrom ?? Number.NEGATIVE_INFINITY),
  );
  // Its own clock may be slow by the bound, and that of a follower fast.
  return from + Math.floor((electionTimeoutMicros * (1000 - clockDriftPerMille)) / (1000 + clockDriftPerMille));
}

/** Null: a read may be answered now from what is committed here. */
function refusalOfLease(state: RaftState): LeaseRefusal | null {
  const { leadership } = state;
  if (leadership === null) return "notLeader";
  if (!configurationOf(state).leases) return "off";
  if (leadership.leasesEnded) return "handedOver";
  // Until then this leader does not know what is committed (section 6.4, as for every read).
  if (state.commitIndex < leadership.firstIndexOfTerm) return "nothingCommitted";
  return state.now < leaseEnd(state) ? null : "expired";
}

/** The index from which a read may be answered without asking anybody; null: it must be asked for in the usual way. */
export function readByLease(state: RaftState, id: number): Index | null {
  const refusal = refusalOfLease(state);
  if (refusal === null) {
    emit(state, { type: "readConfirmed", id, readIndex: state.commitIndex, lease: true });
    return state.commitIndex;
  }
  if (refusal !== "notLeader" && refusal !== "off") emit(state, { type: "leaseRefused", reason: refusal });
  return null;
}

/** Asked again when the state machine was looked at: the process may have stood still in between. */
export function leaseHolds(state: RaftState): boolean {
  const refusal = refusalOfLease(state);
  if (refusal !== null) emit(state, { type: "leaseRefused", reason: refusal });
  return refusal === null;
}

// ---- The follower ----

/** A message of the current leader came, and is about to be acknowledged. */
export function promiseLease(state: RaftState, leader: MemberId, leases: boolean): void {
  if (leases) state.leasePromise = { to: leader, until: state.now + state.options.electionTimeoutMicros };
}

/**
 * Whether a lease may run that forbids to back this candidate: one that was promised, or one that a life of this node before
 * may have promised. It has nothing to do with terms: whatever was heard since, the promise is kept.
 */
export function boundByLease(state: RaftState, candidate: MemberId): "leasePromised" | "justStarted" | null {
  if (state.now < state.silentUntil) return "justStarted";
  const promise = state.leasePromise;
  return promise !== null && state.now < promise.until && promise.to !== candidate ? "leasePromised" : null;
}
