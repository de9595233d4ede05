/**
 * Commands that somebody waits for. A proposal is settled by what this node itself applies at the (index, term) where a
 * leader appended it, never by hope: if that very entry is applied, the result is its; if another entry is applied at that
 * index, it was never committed and never will be; if neither is known in time, the outcome is unknown (pitfalls, rule 21).
 */
import type { Index, MemberId, Micros, ProposedType, Term } from "../core/types.js";
import { type LeaderHint, RaftError } from "./errors.js";
import { Lanes } from "./lanes.js";
import type { ProposeResult } from "./node.js";
import type { SessionReply } from "./sessions/table.js";

/** What a session's request came to is told beside the place at which it stands. */
export type SettleProposal = (error: RaftError | null, result: ProposeResult | null, reply?: SessionReply) => void;

export interface Proposal {
  readonly entryType: ProposedType;
  /** In whose name; "" is everybody who gives none. */
  readonly caller: string;
  readonly command: Uint8Array;
  readonly expiresAt: Micros;
  readonly settle: SettleProposal;
  /** `waiting`: for a leader. `forwarded`: handed to the leader, place not known. `placed`: at (index, term). */
  state: "waiting" | "forwarded" | "placed" | "settled";
  index: Index;
  term: Term;
  /** Another proposal at the same index, of another term. */
  next: Proposal | null;
}

/** After these the same node gives no other answer. */
const FINAL: ReadonlySet<string> = new Set(["tooLarge", "closed", "failed"]);
/** Handed to a leader, in one request, whose answer is not here yet. */
interface Forwarded {
  readonly proposals: Proposal[];
  readonly to: MemberId;
  /** Which leader, and in which term. */
  readonly leadership: string;
  /** Its answer is not waited for any longer than this: it does not lead any more. */
  until: Micros;
}

/** Commands, and their bytes. */
export interface Held {
  readonly count: number;
  readonly bytes: number;
}

const NOTHING: Held = { count: 0, bytes: 0 };
const EMPTY = new Uint8Array(0);
const NEVER = Number.MAX_SAFE_INTEGER;

export function notExecuted(
  code: "timeout" | "aborted" | "closed" | "overloaded" | "tooLarge" | "notLeader" | "failed" | "removed",
  message: string,
  leader: LeaderHint | null = null,
): RaftError {
  const retry = code === "removed" ? "elsewhere" : FINAL.has(code) ? (leader === null ? "never" : "elsewhere") : "now";
  return new RaftError(code, message, { outcome: "not-executed", retry, leader });
}

export function unknownOutcome(
  code: "timeout" | "aborted" | "closed" | "failed" | "removed" | "leadershipLost",
  message: string,
  leader: LeaderHint | null = null,
): RaftError {
  return new RaftError(code, message, {
    outcome: "unknown",
    retry: code === "closed" || code === "failed" || code === "removed" ? "elsewhere" : "now",
    leader,
  });
}

export class Proposals {
  /** Not handed to anybody yet. */
  readonly #waiting = new Lanes();
  readonly #forwarded = new Map<number, Forwarded>();
  readonly #placed = new Map<Index, Proposal>();
  #count = 0;
  #bytes = 0;
  /** What callers with a name have here, in any state. */
  readonly #callers = new Map<string, Held>();
  /** No proposal expires before. */
  #nextExpiry: Micros = Number.MAX_SAFE_INTEGER;

  get count(): number {
    return this.#count;
  }
  get bytes(): number {
    return this.#bytes;
  }
  get hasWaiting(): boolean {
    return !this.#waiting.isEmpty;
  }
  get nextExpiry(): Micros {
    return this.#nextExpiry;
  }

  add(proposal: Proposal): void {
    this.#waiting.add(proposal);
    this.#hold(proposal, 1);
    if (proposal.expiresAt < this.#nextExpiry) this.#nextExpiry = proposal.expiresAt;
  }

  /** How much of what is here is this caller's. */
  heldBy(caller: string): Held {
    return this.#callers.get(caller) ?? NOTHING;
  }

  #hold({ caller, command }: Proposal, by: 1 | -1): void {
    this.#count += by;
    this.#bytes += by * command.length;
    if (caller === "") return;
    const { count, bytes } = this.heldBy(caller);
    if (count + by === 0) this.#callers.delete(caller);
    else this.#callers.set(caller, { count: count + by, bytes: bytes + by * command.length });
  }

  /** Those that wait, callers in turn, all of one type, at most `maxBytes` of commands (at least one) and `maxCount`; they are the taker's now. */
  takeWaiting(maxCount: number, maxBytes: number): Proposal[] {
    return this.#waiting.take(maxCount, maxBytes);
  }

  /** It never left this node, or was refused: back to the front of those that wait, unless its caller has been told meanwhile. */
  putBack(proposals: readonly Proposal[]): void {
    const open = proposals.filter(({ state }) => state !== "settled");
    for (const proposal of open) proposal.state = "waiting";
    this.#waiting.putBack(open);
  }

  forwarded(requestId: number, proposals: Proposal[], to: MemberId, leadership: string): void {
    for (const proposal of proposals) proposal.state = "forwarded";
    this.#forwarded.set(requestId, { proposals, to, leadership, until: NEVER });
  }

  /** The proposals of a request that was handed on; forgets the request. */
  takeForwarded(requestId: number): Proposal[] {
    const proposals = this.#forwarded.get(requestId)?.proposals ?? [];
    this.#forwarded.delete(requestId);
    return proposals;
  }

  /** The leader appended them one after the other from `firstIndex` on. */
  placed(proposals: readonly Proposal[], firstIndex: Index, term: Term): void {
    let index = firstIndex;
    for (const proposal of proposals) {
      if (proposal.state !== "settled") {
        proposal.state = "placed";
        proposal.index = index;
        proposal.term = term;
        proposal.next = this.#placed.get(index) ?? null;
        this.#placed.set(index, proposal);
      }
      index += 1;
    }
  }

  /** An entry was applied here: settles what was proposed at its index. */
  applied(index: Index, term: Term, result: Uint8Array | undefined, reply?: SessionReply): void {
    let proposal: Proposal | null = this.#placed.get(index) ?? null;
    if (proposal === null) return;
    this.#placed.delete(index);
    for (; proposal !== null; proposal = proposal.next) {
      if (proposal.term === term) this.#settle(proposal, null, { result: result ?? EMPTY, index, term }, reply);
      else
        this.#settle(
          proposal,
          notExecuted("notLeader", "the leader was replaced before it could commit this command; it was not executed"),
          null,
        );
    }
  }

  /** A snapshot replaced everything up to `index`: what was proposed there is decided, but how is not known here. */
  skippedTo(index: Index): void {
    for (const [at, first] of this.#placed) {
      if (at > index) continue;
      this.#placed.delete(at);
      for (let proposal: Proposal | null = first; proposal !== null; proposal = proposal.next) {
        this.#settle(
          proposal,
          new RaftError(
            "resultUnavailable",
            `index ${at} came to this node inside a snapshot: whether this command was executed can't be told here`,
            { outcome: "unknown", retry: "now" },
          ),
          null,
        );
      }
    }
  }

  /**
   * Another leads, or nobody. What was handed to the one before, and never placed, may or may not be in its log; but it may still
   * say so (it is most often there, when leadership was handed over), so its answer is waited for until then. What was handed to
   * `leadership`, the present leader in its present term, goes on.
   */
  leaderLost(leadership: string, until: Micros): void {
    for (const forwarded of this.#forwarded.values())
      if (forwarded.leadership !== leadership && forwarded.until === NEVER) {
        forwarded.until = until;
        if (until < this.#nextExpiry) this.#nextExpiry = until;
      }
  }

  /** No answer of this member will come any more: the connection is lost. */
  memberLost(member: MemberId): void {
    this.#loseForwarded(({ to }) => to === member);
  }

  #loseForwarded(isLost: (forwarded: Forwarded) => boolean): void {
    for (const [requestId, forwarded] of this.#forwarded) {
      if (!isLost(forwarded)) continue;
      this.#forwarded.delete(requestId);
      for (const proposal of forwarded.proposals)
        this.#settle(
          proposal,
          unknownOutcome("leadershipLost", "the leader was lost while it had this command; it may still be executed"),
          null,
        );
    }
  }

  refuse(proposals: readonly Proposal[], error: RaftError): void {
    for (const proposal of proposals) this.#settle(proposal, error, null);
  }

  /** Settles one early, because its caller gave up. What has not left this node will not be executed. */
  abandon(proposal: Proposal, code: "timeout" | "aborted"): void {
    const why = code === "timeout" ? "timeoutMs went by" : "the signal was aborted";
    const error =
      proposal.state === "waiting"
        ? notExecuted(code, `${why} before a leader was found; the command was not executed`)
        : unknownOutcome(code, `${why}; the command may still be executed`);
    if (proposal.state === "waiting") this.#waiting.remove(proposal);
    this.#settle(proposal, error, null);
  }

  expire(now: Micros): void {
    if (now < this.#nextExpiry) return;
    this.#loseForwarded(({ until }) => until <= now);
    let earliest = NEVER;
    for (const { until } of this.#forwarded.values()) if (until < earliest) earliest = until;
    const expired: Proposal[] = [];
    const look = (proposal: Proposal): void => {
      if (proposal.state === "settled") return;
      if (proposal.expiresAt <= now) expired.push(proposal);
      else if (proposal.expiresAt < earliest) earliest = proposal.expiresAt;
    };
    this.#each(look);
    this.#nextExpiry = earliest;
    for (const proposal of expired) this.abandon(proposal, "timeout");
    // A request whose answer got lost is forgotten with the last of its proposals.
    for (const [requestId, { proposals }] of this.#forwarded) {
      if (proposals.every((proposal) => proposal.state === "settled")) this.#forwarded.delete(requestId);
    }
  }

  /** Settles everything: the node is closing or has failed. */
  settleAll(code: "closed" | "failed" | "removed", reason: string): void {
    const all: Proposal[] = [];
    this.#each((proposal) => all.push(proposal));
    this.#waiting.clear();
    this.#forwarded.clear();
    this.#placed.clear();
    for (const proposal of all) {
      this.#settle(
        proposal,
        proposal.state === "waiting"
          ? notExecuted(code, `${reason}; the command was not executed`)
          : unknownOutcome(code, `${reason}; the command may still be executed by the others`),
        null,
      );
    }
  }

  #each(look: (proposal: Proposal) => void): void {
    for (const proposal of this.#waiting) look(proposal);
    for (const { proposals } of this.#forwarded.values()) for (const proposal of proposals) look(proposal);
    for (const first of this.#placed.values())
      for (let proposal: Proposal | null = first; proposal !== null; proposal = proposal.next) look(proposal);
  }

  #settle(proposal: Proposal, error: RaftError | null, result: ProposeResult | null, reply?: SessionReply): void {
    if (proposal.state === "settled") return;
    proposal.state = "settled";
    this.#hold(proposal, -1);
    proposal.settle(error, result, reply);
  }
}
