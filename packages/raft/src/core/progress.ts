/**
 * What a leader knows of one follower (Raft Figure 2: nextIndex and matchIndex), and how fast it may send.
 *
 * - `probe`: where the logs agree is not known; one AppendEntries at a time, until one succeeds.
 * - `replicate`: it is known; entries are sent ahead of the acknowledgements, within a window of messages and bytes.
 * - `snapshot`: the entries it needs are compacted away; pieces of a snapshot are sent, one at a time.
 * (The three states are etcd's; the window is dissertation section 10.2.2.)
 */
import { emit, type RaftState } from "./state.js";
import type { Index, MemberId, Micros, Term } from "./types.js";

/** One AppendEntries under way: acknowledged when matchIndex reaches `last`. */
interface Inflight {
  readonly last: Index;
  readonly bytes: number;
}

/** A snapshot on its way. Bound to one snapshot and to the leader's term (the whole progress dies with the term). */
export interface SnapshotTransfer {
  readonly lastIncludedIndex: Index;
  readonly lastIncludedTerm: Term;
  /** Where the next piece begins. */
  offset: number;
  /** Waiting for the driver to read a piece, or for the follower to answer one. */
  waiting: "read" | "answer";
  /** When that began; a transfer that stands still is taken up again. */
  since: Micros;
}

/** A learner on its way to a vote: a round is over when its log reaches `target` (dissertation section 4.2.1). */
export interface CatchUp {
  readonly round: number;
  readonly target: Index;
  readonly since: Micros;
  /** It was close enough at the end of the last round. */
  readonly done: boolean;
}

/** A member that has left: it is sent the log up to the configuration without it, so that it knows. */
export interface Farewell {
  readonly index: Index;
  readonly since: Micros;
  /** When it was first sent that this is committed. */
  toldAt: Micros | null;
}

export interface Progress {
  readonly id: MemberId;
  nextIndex: Index;
  matchIndex: Index;
  state: "probe" | "replicate" | "snapshot";
  /** In probe: when the one probe under way was sent; null when none is. */
  probeSentAt: Micros | null;
  readonly inflight: Inflight[];
  inflightBytes: number;
  /** The highest leaderCommit this follower was told. */
  sentCommit: Index;
  /** When it last answered in this term. */
  lastContact: Micros;
  /** What was sent is lost, or a connection to it broke, and it has not answered since. */
  unreachable: boolean;
  /** When the newest round was sent that it answered in a way that counts for a lease; before any time: none. */
  leaseFrom: Micros;
  /** The newest round of confirmation it answered. */
  ackedRound: number;
  /** Something was acknowledged since the last heartbeat was answered; otherwise an append may have been lost. */
  ackedSinceHeartbeat: boolean;
  snapshot: SnapshotTransfer | null;
  /** Null while nobody waits for it to catch up. */
  catchUp: CatchUp | null;
  /** Not null: no member any more. */
  farewell: Farewell | null;
}

/** A follower as a new leader sees it: everything is unknown, and it counts as just heard (etcd a3afec7). */
export function newProgress(id: MemberId, lastIndex: Index, now: Micros): Progress {
  return {
    id,
    nextIndex: lastIndex + 1,
    matchIndex: 0,
    state: "probe",
    probeSentAt: null,
    inflight: [],
    inflightBytes: 0,
    sentCommit: 0,
    lastContact: now,
    unreachable: false,
    leaseFrom: Number.NEGATIVE_INFINITY,
    ackedRound: 0,
    ackedSinceHeartbeat: false,
    snapshot: null,
    catchUp: null,
    farewell: null,
  };
}

/** Back to asking: whatever was sent ahead may be lost. */
export function becomeProbe(progress: Progress, nextIndex: Index): void {
  progress.state = "probe";
  progress.probeSentAt = null;
  progress.nextIndex = Math.max(nextIndex, progress.matchIndex + 1);
  progress.snapshot = null;
  clearInflight(progress);
}

export function becomeReplicate(progress: Progress): void {
  progress.state = "replicate";
  progress.probeSentAt = null;
  progress.nextIndex = progress.matchIndex + 1;
  progress.snapshot = null;
  clearInflight(progress);
}

export function recordSent(progress: Progress, last: Index, bytes: number): void {
  progress.inflight.push({ last, bytes });
  progress.inflightBytes += bytes;
}

/** Frees what `matchIndex` covers. */
export function recordAcknowledged(progress: Progress, matchIndex: Index): void {
  let done = 0;
  for (const sent of progress.inflight) {
    if (sent.last > matchIndex) break;
    progress.inflightBytes -= sent.bytes;
    done += 1;
  }
  if (done > 0) progress.inflight.splice(0, done);
}

function clearInflight(progress: Progress): void {
  progress.inflight.length = 0;
  progress.inflightBytes = 0;
}

export function announceProgress(state: RaftState, progress: Progress): void {
  emit(state, { type: "progressChanged", peer: progress.id, state: progress.state, nextIndex: progress.nextIndex });
}
