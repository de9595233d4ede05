/**
 * Handing leadership over (dissertation section 3.10), the leader's side. The target's side is in election.ts: it campaigns
 * at once, without asking first, and says that the old leader wants it so.
 *
 *  1. From the start on no command is appended: whoever proposes is told to wait (append.ts), so that the target can catch up.
 *  2. When the target's durable log is as long as the leader's it is told, once: TimeoutNow.
 *  3. The leader steps down when the target's campaign reaches it. If that takes longer than an election timeout, or the
 *     target is lost meanwhile, the leader goes on as if nothing had been.
 *
 * Reads go on all the time (ReadIndex asks a quorum, which knows better); reads from a lease end with TimeoutNow, for the
 * rest of the term, because from then on somebody else may be elected at any moment (design law 9).
 */
import type { TransferRequest, TransferResponse } from "./message.js";
import { send } from "./outbox.js";
import type { Progress } from "./progress.js";
import { isJoint, isVoter, replicationTargets } from "./quorum.js";
import { configurationOf, emit, type RaftState } from "./state.js";
import type { MemberId, Micros } from "./types.js";

/** A handing over that is under way. */
export interface Transfer {
  readonly target: MemberId;
  /** When it is given up. */
  readonly endsAt: Micros;
  /** TimeoutNow was sent. */
  told: boolean;
  /** The follower that asked for it, which is told if it comes to nothing. */
  readonly askedBy: { readonly from: MemberId; readonly requestId: number } | null;
}

/** Why no handing over was begun. */
export type TransferRefusal =
  | "notLeader"
  | "transferInProgress"
  /** A joint configuration is in force. */
  | "configurationChanging"
  /** No such member. */
  | "unknownTarget"
  /** A member, but it has no vote. */
  | "notVoter"
  /** The target leads already. */
  | "self"
  /** None was named, and there is no other voter with a priority above 0 that was heard of lately. */
  | "noTarget";

/** Why a handing over ended. `steppedDown`: the leader does not lead any more, most often because the target was elected. */
export type TransferEnd = "steppedDown" | "timedOut" | "targetLost";

/** Leadership is moving: no command and no configuration may be appended now. */
export function isTransferring(state: RaftState): boolean {
  return state.leadership !== null && state.leadership.transfer !== null;
}

/** Begins to hand over to `target`, or to the best voter when it is null. */
export function transferLeadership(
  state: RaftState,
  target: MemberId | null,
  askedBy: Transfer["askedBy"] = null,
): { readonly target: MemberId } | { readonly refusal: TransferRefusal } {
  const { leadership } = state;
  if (leadership === null) return { refusal: "notLeader" };
  if (leadership.transfer !== null) return { refusal: "transferInProgress" };
  const configuration = configurationOf(state);
  if (isJoint(configuration)) return { refusal: "configurationChanging" };
  if (target === state.id) return { refusal: "self" };
  if (target !== null && !replicationTargets(configuration).includes(target)) return { refusal: "unknownTarget" };
  if (target !== null && !isVoter(configuration, target)) return { refusal: "notVoter" };
  const chosen = target ?? bestTarget(state, leadership.progress);
  if (chosen === null) return { refusal: "noTarget" };
  leadership.transfer = {
    target: chosen,
    endsAt: state.now + state.options.electionTimeoutMicros,
    told: false,
    askedBy,
  };
  emit(state, { type: "transferStarted", target: chosen, term: state.currentTerm });
  tellTarget(state);
  return { target: chosen };
}

/** The voter with the highest priority, then the one that is furthest, among those that answer. */
function bestTarget(state: RaftState, followers: ReadonlyMap<MemberId, Progress>): MemberId | null {
  const priorityOf = (id: MemberId): number => state.priorities.get(id) ?? 1;
  let best: Progress | null = null;
  for (const progress of followers.values()) {
    const { id, matchIndex, lastContact, unreachable } = progress;
    if (!isVoter(configurationOf(state), id) || priorityOf(id) === 0) continue;
    // Nothing acknowledged in this term: it may not be there at all.
    if (unreachable || matchIndex === 0 || state.now - lastContact >= state.options.electionTimeoutMicros) continue;
    const ahead = best === null ? 1 : priorityOf(id) - priorityOf(best.id) || matchIndex - best.matchIndex;
    if (ahead > 0) best = progress;
  }
  return best?.id ?? null;
}

/** Tells the target to campaign once all of the leader's log is durable there. Called whenever that may have become true. */
export function tellTarget(state: RaftState): void {
  const { leadership } = state;
  const transfer = leadership?.transfer ?? null;
  if (leadership === null || transfer === null || transfer.told) return;
  const progress = leadership.progress.get(transfer.target);
  if (progress === undefined || progress.matchIndex < state.log.lastIndex) return;
  transfer.told = true;
  leadership.leasesEnded = true;
  send(state, transfer.target, { type: "TimeoutNow", term: state.currentTerm });
}

/** Gives the handing over up, if there is one: commands are appended again. */
export function endTransfer(state: RaftState, reason: TransferEnd): void {
  const { leadership } = state;
  const transfer = leadership?.transfer ?? null;
  if (leadership === null || transfer === null) return;
  leadership.transfer = null;
  emit(state, { type: "transferEnded", target: transfer.target, term: state.currentTerm, reason });
  const { askedBy } = transfer;
  // Whoever asked sees a new leader for itself.
  if (askedBy !== null && reason !== "steppedDown") answerTransfer(state, askedBy.from, askedBy.requestId, "failed");
}

/** Called when time has passed. */
export function expireTransfer(state: RaftState): void {
  const transfer = state.leadership?.transfer ?? null;
  if (transfer !== null && state.now >= transfer.endsAt) endTransfer(state, "timedOut");
}

// ---- Asked by a follower ----

/** Hands the wish on to the leader. False: none is known. The answer is an event; none comes if it is fulfilled. */
export function forwardTransfer(state: RaftState, requestId: number, target: MemberId | null): boolean {
  if (state.leaderId === null || state.leaderId === state.id) return false;
  send(state, state.leaderId, { type: "TransferRequest", term: state.currentTerm, requestId, target });
  return true;
}

export function handleTransferRequest(state: RaftState, from: MemberId, message: TransferRequest): void {
  const { requestId, target } = message;
  const outcome = transferLeadership(state, target, { from, requestId });
  if ("refusal" in outcome) answerTransfer(state, from, requestId, outcome.refusal);
}

export function handleTransferResponse(state: RaftState, from: MemberId, message: TransferResponse): void {
  emit(state, { type: "transferAnswered", from, requestId: message.requestId, refusal: message.refusal });
}

function answerTransfer(state: RaftState, to: MemberId, requestId: number, refusal: TransferResponse["refusal"]): void {
  send(state, to, { type: "TransferResponse", term: state.currentTerm, requestId, refusal });
}
