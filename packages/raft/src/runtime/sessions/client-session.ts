/**
 * A session as its client holds it, callback style: numbers its commands, repeats each until it is answered, says what it no longer
 * waits for, and keeps the session alive while nothing is asked. The table (table.ts) is the other half.
 *
 * A command's request is made once, with the numbers of that moment, and repeated as it is: so every copy of it is judged alike.
 */
import type { Index, Micros } from "../../core/types.js";
import { RaftError } from "../errors.js";
import type { NodeBehind } from "../face.js";
import type { ProposeResult } from "../node.js";
import type { TimerHandle } from "../ports.js";
import { notExecuted } from "../proposals.js";
import { checkTimeout, deadline, invalid, refuseSize } from "../requests.js";
import type { StateMachine } from "../state-machine.js";
import { insist } from "./insist.js";
import { encodeSessionRequest, type SessionRequest } from "./request.js";
import type { SessionReply } from "./table.js";

const DEFAULT_EXPIRE_AFTER_MS = 60_000;
const MAX_EXPIRE_AFTER_MS = 604_800_000;

export type GiveUp = (code: "aborted") => void;

export interface OpenRequest {
  readonly expireAfterMs?: number | undefined;
  /** Goes on with a session instead of opening one. */
  readonly resume?: { readonly id: Index; readonly nextSequence: number } | undefined;
  readonly keepAlive?: boolean | undefined;
  readonly timeoutMs?: number | undefined;
}

/**
 * Opens a session, or finds one again. An opening that is repeated after an unknown outcome may leave a session behind that nobody
 * knows; it expires. Returns how to give up, or null when it was settled at once.
 */
export function openClientSession<Machine extends StateMachine>(
  behind: NodeBehind<Machine>,
  { expireAfterMs = DEFAULT_EXPIRE_AFTER_MS, resume, keepAlive = true, timeoutMs }: OpenRequest,
  settle: (error: RaftError | null, session: ClientSession<Machine> | null) => void,
): GiveUp | null {
  const refusal = checkTimeout(timeoutMs) ?? checkExpiry(expireAfterMs) ?? checkResume(resume);
  if (refusal !== null) {
    settle(refusal, null);
    return null;
  }
  const { maxSessions, maxSessionRequests, maxSessionResultBytes } = behind.options;
  const request: SessionRequest =
    resume === undefined
      ? {
          kind: "open",
          expireAfter: Math.round(expireAfterMs * 1000),
          maxSessions,
          maxRequests: maxSessionRequests,
          maxResultBytes: maxSessionResultBytes,
        }
      : { kind: "keepAlive", session: resume.id };
  const insisted = { request: encodeSessionRequest(request), expiresAt: deadline(behind, timeoutMs), caller: "" };
  return insist(behind, insisted, (error, reply) => {
    if (reply?.type === "opened")
      settle(null, new ClientSession(behind, reply, { nextSequence: resume?.nextSequence ?? 1, keepAlive }));
    else settle(error ?? errorOf(reply, resume?.id ?? 0, false), null);
  });
}

/** What a client holds of a session that is open. */
export class ClientSession<Machine extends StateMachine> {
  readonly id: Index;
  readonly expireAfter: Micros;
  readonly #behind: NodeBehind<Machine>;
  readonly #maxRequests: number;
  #nextSequence: number;
  /** Sequences that are waited for; the lowest is the first. */
  readonly #waiting = new Set<number>();
  /** Why nothing can be asked any more. */
  #over: RaftError | null = null;
  /** Something was asked since the timer was set. */
  #used = true;
  #timer: TimerHandle | null = null;

  constructor(
    behind: NodeBehind<Machine>,
    { session, expireAfter, maxRequests }: Extract<SessionReply, { readonly type: "opened" }>,
    { nextSequence, keepAlive }: { readonly nextSequence: number; readonly keepAlive: boolean },
  ) {
    this.#behind = behind;
    this.id = session;
    this.expireAfter = expireAfter;
    this.#maxRequests = maxRequests;
    this.#nextSequence = nextSequence;
    if (!keepAlive) return;
    behind.whenStopped.add(this.#rest);
    this.#setTimer();
  }

  /** The number that the next command gets. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Returns how to give up, or null when it was refused at once. */
  propose(
    command: Uint8Array,
    timeoutMs: number | undefined,
    settle: (error: RaftError | null, result: ProposeResult | null) => void,
  ): GiveUp | null {
    const sequence = this.#nextSequence;
    const [lowestWaiting = sequence] = this.#waiting;
    const refusal =
      this.#over ??
      checkTimeout(timeoutMs) ??
      refuseSize(this.#behind, command) ??
      (sequence - lowestWaiting >= this.#maxRequests
        ? notExecuted(
            "overloaded",
            `${this.#waiting.size} commands of this session wait, the first of them is ${this.#maxRequests} numbers back (maxSessionRequests): try again when it is answered`,
          )
        : null);
    if (refusal !== null) {
      settle(refusal, null);
      return null;
    }
    this.#nextSequence += 1;
    this.#waiting.add(sequence);
    let asked = false;
    const giveUp = this.#ask(
      { kind: "command", session: this.id, sequence, lowestWaiting, command },
      timeoutMs,
      (error, reply) => {
        this.#waiting.delete(sequence);
        // Refused before it went anywhere: the number is free for the next one.
        if (!asked && error?.outcome === "not-executed") this.#nextSequence = sequence;
        if (reply?.type === "result") settle(null, reply);
        else settle(error, null);
      },
    );
    asked = true;
    return giveUp;
  }

  /** Counts as use. */
  keepAlive(timeoutMs: number | undefined, settle: (error: RaftError | null) => void): GiveUp | null {
    return this.#simple("keepAlive", timeoutMs, settle);
  }

  /** Lets go of it: it is not kept alive from here any more. Another client may go on with it, or it expires. */
  detach(): void {
    this.#rest();
  }

  /** Ends it, for whoever holds it. One that is over already is no error. */
  close(timeoutMs: number | undefined, settle: (error: RaftError | null) => void): GiveUp | null {
    if (this.#over !== null) {
      settle(null);
      return null;
    }
    return this.#simple("close", timeoutMs, (error) => {
      this.#end(ended(this.id, "was closed", false));
      settle(error?.code === "sessionExpired" ? null : error);
    });
  }

  #simple(kind: "keepAlive" | "close", timeoutMs: number | undefined, settle: (error: RaftError | null) => void): GiveUp | null {
    const refusal = this.#over ?? checkTimeout(timeoutMs);
    if (refusal === null) return this.#ask({ kind, session: this.id }, timeoutMs, settle);
    settle(refusal);
    return null;
  }

  #ask(
    request: SessionRequest,
    timeoutMs: number | undefined,
    settle: (error: RaftError | null, reply: SessionReply | null) => void,
  ): GiveUp {
    this.#used = true;
    const behind = this.#behind;
    const caller = `session ${this.id}`;
    const insisted = { request: encodeSessionRequest(request), expiresAt: deadline(behind, timeoutMs), caller };
    return insist(behind, insisted, (error, reply, inDoubt) => {
      if (reply?.type === "expired") this.#end(ended(this.id, "has expired", false));
      const failure = error ?? (reply === null || isAnswer(reply) ? null : errorOf(reply, this.id, inDoubt));
      settle(failure, reply);
    });
  }

  // ---- Staying alive ----

  /** Looks four times within the session's time: one message may be lost, and clocks need not agree. */
  #setTimer(): void {
    const { clock } = this.#behind;
    this.#timer = clock.setTimer(clock.now() + Math.max(1000, Math.floor(this.expireAfter / 4)), () => {
      this.#timer = null;
      if (this.#over !== null) return;
      const idle = !this.#used;
      this.#setTimer();
      if (idle) this.keepAlive(Math.max(1, this.expireAfter / 4000), ignore);
      this.#used = false;
    });
  }

  #end(reason: RaftError): void {
    this.#over ??= reason;
    this.#rest();
  }

  readonly #rest = (): void => {
    this.#behind.whenStopped.delete(this.#rest);
    if (this.#timer !== null) this.#behind.clock.clearTimer(this.#timer);
    this.#timer = null;
  };
}

function ignore(): void {}

function isAnswer({ type }: SessionReply): boolean {
  return type === "opened" || type === "result" || type === "closed";
}

/** In words, what a reply that is no answer means for the caller. */
function errorOf(reply: SessionReply | null, session: Index, inDoubt: boolean): RaftError {
  switch (reply?.type) {
    case "expired":
      return ended(session, "has expired, was closed, or never was", inDoubt);
    case "full":
      return notExecuted("overloaded", `${reply.open} sessions are open already (maxSessions): close some, or let them expire`);
    case "resultNotKept":
      return new RaftError(
        "resultUnavailable",
        `the command was executed at index ${reply.index}; its result was too large to be kept (maxSessionResultBytes)`,
        { outcome: "executed", retry: "never" },
      );
    case "forgotten":
      return new RaftError(
        "resultUnavailable",
        `session ${session} has said that it waits for nothing below ${reply.lowestWaiting}; whether this command was executed is not known any more`,
        { outcome: "unknown", retry: "never" },
      );
    default:
      return invalid(`the request makes no sense to session ${session}: its numbers are too far apart`);
  }
}

function ended(session: Index, how: string, inDoubt: boolean): RaftError {
  const command = inDoubt ? "whether this command was executed before is not known" : "the command was not executed";
  return new RaftError("sessionExpired", `session ${session} ${how}: open another one; ${command}`, {
    outcome: inDoubt ? "unknown" : "not-executed",
    retry: "never",
  });
}

function checkExpiry(expireAfterMs: number): RaftError | null {
  if (Number.isFinite(expireAfterMs) && expireAfterMs >= 1 && expireAfterMs <= MAX_EXPIRE_AFTER_MS) return null;
  return invalid(
    `expireAfterMs is ${expireAfterMs}: it must be from 1 to ${MAX_EXPIRE_AFTER_MS} (default ${DEFAULT_EXPIRE_AFTER_MS})`,
  );
}

function checkResume(resume: OpenRequest["resume"]): RaftError | null {
  if (resume === undefined) return null;
  for (const name of ["id", "nextSequence"] as const)
    if (!Number.isSafeInteger(resume[name]) || resume[name] < 1)
      return invalid(`resume: ${name} is ${resume[name]}: it must be a whole number from 1`);
  return null;
}
