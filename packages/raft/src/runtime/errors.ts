/**
 * Every way in which a call to a node can fail, as one closed union told apart by `code`.
 *
 * What a caller must know is not what went wrong but what has become of the request:
 * - `outcome`: "not-executed" (it is certain that it never will be), "executed" (committed, but the result can't be had
 *   here) or "unknown" (it may have been, or may yet be: reading is the only way to know).
 * - `retry`: "now" (after a short pause, here), "elsewhere" (at `leader`, where it is known) or "never" (the same request
 *   will fail again).
 */
import type { MembershipRefusal } from "../core/membership-change.js";

export type RaftErrorCode =
  /** This node does not lead and could not hand the request on. */
  | "notLeader"
  /** The leader was lost after the command was appended: another leader may commit it or not. */
  | "leadershipLost"
  /** The member that should lead is a learner. */
  | "notVoter"
  /** Nobody was named, and there is nobody to hand leadership to. */
  | "noTarget"
  /** Leadership did not move to whom it should. */
  | "transferFailed"
  /** A limit was reached: on what may wait (`maxPendingBytes`, `maxPendingProposals`, `maxPendingReads`, `maxSessionRequests`), or `maxSessions`. */
  | "overloaded"
  /** The command is larger than `maxEntryBytes`. */
  | "tooLarge"
  /** `timeoutMs` went by. */
  | "timeout"
  /** The caller's signal was aborted. */
  | "aborted"
  /** The node is closing or closed. */
  | "closed"
  /** The node found something it can't go on from (a failed sync, a throw of the state machine …). See `status().failure`. */
  | "failed"
  /**
   * A snapshot from the leader covered the index before this node applied it: something was committed there, but whether it was
   * this command can't be told here (the outcome is unknown). Or: in a session, the command was executed before, and its result was
   * too large to be kept (the outcome is executed).
   */
  | "resultUnavailable"
  /** Refusals of a change of the members; each says what to do (core/membership-change.ts). */
  | Exclude<MembershipRefusal, "notLeader">
  /** A change of the members that was accepted has been taken back. */
  | "changeCancelled"
  /** This member was removed from its cluster. */
  | "removed"
  /**
   * The session is over: it was not used for its time, it was closed, or it never was. Nothing takes its place by itself, because
   * what its commands have done is not known any more.
   */
  | "sessionExpired"
  /** An option or an argument is not valid; the message names it, its range and the remedy. */
  | "invalidArgument"
  /** The data directory can't be used: of another cluster or node, of a newer format, damaged, locked, not writable. */
  | "dataDirectory"
  /** The address to listen on can't be had. */
  | "address";

export type Outcome = "not-executed" | "executed" | "unknown";
export type Retry = "now" | "elsewhere" | "never";

export interface LeaderHint {
  readonly name: string;
  readonly address: string;
}

export class RaftError extends Error {
  override readonly name = "RaftError";
  readonly code: RaftErrorCode;
  readonly outcome: Outcome;
  readonly retry: Retry;
  readonly leader: LeaderHint | null;

  constructor(
    code: RaftErrorCode,
    message: string,
    detail: { readonly outcome: Outcome; readonly retry: Retry; readonly leader?: LeaderHint | null; readonly cause?: unknown },
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.outcome = detail.outcome;
    this.retry = detail.retry;
    this.leader = detail.leader ?? null;
  }
}
