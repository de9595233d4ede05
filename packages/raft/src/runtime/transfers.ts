/**
 * Wishes that leadership should move, and what becomes of them. The core tells by events: a new leader fulfils them, a
 * refusal or the end of the handing over ends them; after `timeoutMs` nobody knows.
 */
import type { RaftEvent } from "../core/event.js";
import type { MemberId, Micros, Term } from "../core/types.js";
import { RaftError, type RaftErrorCode } from "./errors.js";
import { memberName } from "./member-id.js";

export interface TransferWish {
  /** Null: the best. */
  readonly to: MemberId | null;
  readonly expiresAt: Micros;
  /** With the new leader, or with the reason why there is none. */
  readonly settle: (error: RaftError | null, leader: MemberId | null) => void;
}

interface Pending extends TransferWish {
  /** Who led when it was wished, in which term. */
  readonly from: MemberId;
  readonly term: Term;
  /** Null: this node led. */
  readonly requestId: number | null;
}

type Refusal = Extract<RaftEvent, { type: "transferAnswered" }>["refusal"];

/** Each with what the caller should know. */
const REFUSALS: { readonly [Name in Exclude<Refusal, "self">]: readonly [RaftErrorCode, string] } = {
  notLeader: ["notLeader", "no leader is known that could hand over"],
  transferInProgress: ["transferring", "leadership is being handed over already: wait for its end"],
  configurationChanging: ["changePending", "a change of the members is under way: wait for its end"],
  unknownTarget: ["unknownMember", "the member that should lead is not one of the cluster's: see status().members"],
  notVoter: ["notVoter", "the member that should lead is a learner: promote it first"],
  noTarget: ["noTarget", "there is no other voter with a priority above 0 that has answered lately: name one"],
  failed: ["transferFailed", "the member that should lead did not take over in time; the old leader goes on"],
};

export function transferRefused(refusal: Exclude<Refusal, "self">): RaftError {
  const [code, message] = REFUSALS[refusal];
  const retry = code === "unknownMember" || code === "notVoter" ? "never" : "now";
  return new RaftError(code, message, { outcome: "not-executed", retry });
}

export class Transfers {
  #pending: Pending[] = [];

  get count(): number {
    return this.#pending.length;
  }

  get nextExpiry(): Micros {
    return this.#pending.reduce((earliest, { expiresAt }) => Math.min(earliest, expiresAt), Number.MAX_SAFE_INTEGER);
  }

  add(wish: TransferWish, from: MemberId, term: Term, requestId: number | null): void {
    this.#pending.push({ ...wish, from, term, requestId });
  }

  /** A wish that was never asked for: the request could not leave. */
  dropped(requestId: number): void {
    this.#end((pending) => pending.requestId === requestId, "notLeader");
  }

  /** What the core tells may settle some of them. */
  happened(event: RaftEvent): void {
    if (this.#pending.length === 0) return;
    if (event.type === "leaderChanged") this.#leaderChanged(event.leader, event.term);
    else if (event.type === "transferEnded" && event.reason !== "steppedDown")
      this.#end((pending) => pending.requestId === null, "failed");
    else if (event.type === "transferAnswered") this.#answered(event.requestId, event.refusal);
  }

  #leaderChanged(leader: MemberId | null, term: Term): void {
    if (leader === null) return;
    for (const pending of this.#take((each) => term > each.term || leader !== each.from)) {
      if (leader === (pending.to ?? leader) && leader !== pending.from) pending.settle(null, leader);
      else
        pending.settle(
          new RaftError("transferFailed", `${memberName(leader)} was elected instead`, { outcome: "not-executed", retry: "now" }),
          null,
        );
    }
  }

  #answered(requestId: number, refusal: Refusal): void {
    if (refusal === "self") for (const { settle, from } of this.#take((each) => each.requestId === requestId)) settle(null, from);
    else this.#end((pending) => pending.requestId === requestId, refusal);
  }

  expire(now: Micros): void {
    for (const { settle } of this.#take((pending) => pending.expiresAt <= now))
      settle(
        new RaftError("timeout", "timeoutMs went by; leadership may still move", { outcome: "unknown", retry: "now" }),
        null,
      );
  }

  /** The caller gave up. */
  abandon(wish: TransferWish): void {
    for (const { settle } of this.#take((pending) => pending.settle === wish.settle))
      settle(
        new RaftError("aborted", "the signal was aborted; leadership may still move", { outcome: "unknown", retry: "now" }),
        null,
      );
  }

  settleAll(code: "closed" | "failed" | "removed", reason: string): void {
    for (const { settle } of this.#take(() => true))
      settle(new RaftError(code, reason, { outcome: "unknown", retry: "elsewhere" }), null);
  }

  #end(which: (pending: Pending) => boolean, refusal: Exclude<Refusal, "self">): void {
    for (const { settle } of this.#take(which)) settle(transferRefused(refusal), null);
  }

  #take(which: (pending: Pending) => boolean): readonly Pending[] {
    const taken = this.#pending.filter(which);
    if (taken.length > 0) this.#pending = this.#pending.filter((each) => !taken.includes(each));
    return taken;
  }
}
