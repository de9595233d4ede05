/**
 * A simulated client that writes in a session, as a program would that must not do a thing twice: it keeps its commands until it
 * knows what became of each, and when a node dies or does not answer, it goes on with the same session at another one, and
 * proposes the same commands again, in the same order. Several wait at once. It ends a session now and then, or is away for
 * longer than it lasts.
 *
 * What is owed is in docs/invariants.md, Exactly once. That a command has one place in the order the witness checks for
 * everybody; here, that every answer to it is the same, and that no session expires before its time.
 */
import type { Index, Micros } from "../core/types.js";
import { crc32c } from "../runtime/crc32c.js";
import type { ProposeResult, RaftError, StateMachine } from "../runtime/index.js";
import { type ClientSession, openClientSession } from "../runtime/sessions/client-session.js";
import type { Contact } from "./clients.js";
import type { Coverage } from "./coverage.js";
import type { PlannedSessions } from "./plan.js";
import type { SeededRandom } from "./random.js";
import type { Scheduler } from "./scheduler.js";
import type { WitnessedMachine } from "./witness.js";

/** A command, and who wants to hear what became of it: one of the three is called, once. */
export interface SessionWrite {
  readonly command: Uint8Array;
  readonly done: (result: ProposeResult) => void;
  readonly refused: (error: RaftError | null) => void;
  readonly unknown: () => void;
}

export interface SessionClientOptions<Machine extends StateMachine> {
  readonly plan: PlannedSessions;
  readonly timeoutMs: number;
  readonly scheduler: Scheduler;
  readonly coverage: Coverage;
  readonly random: SeededRandom;
  readonly complain: (text: string) => never;
  /** Whom to ask now; null: nobody is up. */
  readonly contact: () => Contact<Machine> | null;
  /** A node is asked and owes an answer. `gone` is called if it will never give one. The answer counts if the returned says so. */
  readonly expect: (contact: Contact<Machine>, gone: () => void) => () => boolean;
  /** No clock jumps: then it can be told from outside how far cluster time can have come. */
  readonly clocksAreFair: boolean;
}

interface Burst {
  /** Those that are answered go from the front. */
  commands: readonly Asked[];
  /** The number of the first one; null: none has a number yet. */
  from: number | null;
  rounds: number;
  readonly over: () => void;
}

interface Asked extends SessionWrite {
  settled: boolean;
  /** Some attempt may have been executed, as far as anybody has said. */
  inDoubt: boolean;
  /** What it was answered, to be held against what it is answered later. */
  answer: { readonly index: Index; readonly digest: number } | null;
}

type Handle<Machine extends StateMachine> = ClientSession<WitnessedMachine<Machine>>;

const PAUSE_MICROS = 20_000;
/** Then it gives up, and does not know. */
const ROUNDS = 12;
/** A clock may be fast by a twentieth (plan.ts), and a stamp is a whole number. */
const FASTEST_CLOCK = 1.06;

export class SessionClient<Machine extends StateMachine> {
  readonly #options: SessionClientOptions<Machine>;
  #id: Index | null = null;
  #nextSequence = 1;
  #busy = false;
  #resting = false;
  #handle: { readonly at: Contact<Machine>["host"]; readonly session: Handle<Machine> } | null = null;
  /** When the newest use was asked for that is known to have counted. */
  #usedAt: Micros = 0;

  constructor(options: SessionClientOptions<Machine>) {
    this.#options = options;
  }

  /** Some of what it was to write last is not told yet. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Its session is not kept alive any more until it writes again: keeping alive is something that a client does. */
  rest(): void {
    this.#resting = true;
    if (this.#busy) return;
    this.#handle?.session.detach();
    this.#handle = null;
  }

  /** Writes all of them at once; not to be called while it is busy. Calls `over` when each has heard what became of it. */
  write(writes: readonly SessionWrite[], over: () => void): void {
    this.#busy = true;
    this.#resting = false;
    const commands = writes.map((write): Asked => ({ ...write, settled: false, inDoubt: false, answer: null }));
    this.#round({
      commands,
      from: null,
      rounds: ROUNDS,
      over: () => {
        this.#busy = false;
        if (this.#resting) this.rest();
        over();
      },
    });
  }

  #round(burst: Burst): void {
    const { contact, random, plan } = this.#options;
    if (burst.commands.every(({ settled }) => settled)) {
      if (this.#handle !== null && random.chance(plan.closePerMille)) return this.#close(burst.over);
      return burst.over();
    }
    if (burst.rounds === 0) return this.#giveUp(burst);
    burst.rounds -= 1;
    const answered = burst.commands.findIndex(({ settled }) => !settled);
    burst.commands = burst.commands.slice(answered);
    if (burst.from !== null) burst.from += answered;
    const chosen = contact();
    if (chosen === null) return this.#again(burst);
    const next = burst.from ?? this.#nextSequence;
    const known = this.#handle;
    if (this.#id !== null && known?.at === chosen.host && known.session.nextSequence === next)
      return this.#propose(burst, chosen, known.session);
    this.#open(burst, chosen, next);
  }

  #again(burst: Burst): void {
    this.#options.scheduler.schedule(PAUSE_MICROS, () => this.#round(burst));
  }

  /** Opens a session at this node, or finds it again, so that its next command has number `nextSequence`. */
  #open(burst: Burst, contact: Contact<Machine>, nextSequence: number): void {
    const { plan, timeoutMs, expect, coverage, scheduler } = this.#options;
    const id = this.#id;
    const askedAt = scheduler.now();
    const isWanted = expect(contact, () => this.#again(burst));
    const request = {
      expireAfterMs: plan.expireAfterMs,
      keepAlive: plan.keepAlive,
      timeoutMs,
      resume: id === null ? undefined : { id, nextSequence },
    };
    openClientSession(contact.host, request, (error, session) => {
      if (!isWanted()) return;
      if (session === null) {
        if (error?.code === "sessionExpired") this.#expired(burst);
        else this.#again(burst);
        return;
      }
      if (id === null) this.#nextSequence = 1;
      else coverage.note("sessionResumed");
      this.#handle?.session.detach();
      this.#id = session.id;
      this.#usedAt = askedAt;
      this.#handle = { at: contact.host, session };
      this.#propose(burst, contact, session);
    });
  }

  /**
   * All from the first that is not answered, in their order: so each gets the number that it had. One that the session does not
   * take now, because too many wait, has no number, and what comes after it waits for the next round.
   */
  #propose(burst: Burst, contact: Contact<Machine>, session: Handle<Machine>): void {
    const { timeoutMs, expect, scheduler, complain } = this.#options;
    burst.from ??= this.#nextSequence;
    const from = burst.from;
    this.#nextSequence = Math.max(this.#nextSequence, burst.from + burst.commands.length);
    const askedAt = scheduler.now();
    let waitedFor = burst.commands.length;
    let expired = false;
    for (const [place, asked] of burst.commands.entries()) {
      const one = (): void => {
        waitedFor -= 1;
        if (waitedFor > 0) return;
        if (expired) this.#expired(burst);
        else this.#again(burst);
      };
      if (session.nextSequence > from + place)
        complain(`command ${from + place} of session ${session.id} would get the number ${session.nextSequence}`);
      if (session.nextSequence < from + place) {
        one();
        continue;
      }
      const isWanted = expect(contact, () => {
        asked.inDoubt = true;
        one();
      });
      session.propose(asked.command, timeoutMs, (error, result) => {
        if (!isWanted()) return;
        if (error?.code === "sessionExpired") expired = true;
        if (error?.outcome !== "not-executed") asked.inDoubt = true;
        if (result !== null) this.#answered(asked, result, askedAt);
        else if (error?.code === "resultUnavailable" && error.outcome === "executed") this.#notKept(asked);
        one();
      });
    }
  }

  #answered(asked: Asked, result: ProposeResult, askedAt: Micros): void {
    const { complain } = this.#options;
    this.#usedAt = Math.max(this.#usedAt, askedAt);
    const answer = { index: result.index, digest: crc32c(result.result) };
    const before = asked.answer;
    if (before !== null && (before.index !== answer.index || before.digest !== answer.digest))
      complain(`a command of session ${this.#id} was answered at index ${before.index} and again, otherwise, at ${answer.index}`);
    asked.answer = answer;
    if (asked.settled) return;
    asked.settled = true;
    asked.done(result);
  }

  /** It was executed: that is all that will ever be known. */
  #notKept(asked: Asked): void {
    this.#options.coverage.note("sessionResultNotKept");
    if (asked.settled) return;
    asked.settled = true;
    asked.unknown();
  }

  #giveUp({ commands, over }: Burst): void {
    for (const asked of commands) this.#settle(asked);
    over();
  }

  #settle(asked: Asked): void {
    if (asked.settled) return;
    asked.settled = true;
    if (asked.inDoubt) asked.unknown();
    else asked.refused(null);
  }

  /** The session is over, by the word of a node. What was asked in it is known, or will never be. */
  #expired(burst: Burst): void {
    const { coverage, plan, scheduler, clocksAreFair, complain } = this.#options;
    coverage.note("sessionToldExpired");
    const unused = scheduler.now() - this.#usedAt;
    if (clocksAreFair && unused * FASTEST_CLOCK < plan.expireAfterMs * 1000)
      complain(
        `session ${this.#id} has expired ${unused / 1000} ms after it was used; it may be unused for ${plan.expireAfterMs} ms`,
      );
    this.#forget();
    this.#giveUp(burst);
  }

  /** Whatever becomes of it: nobody asks for this session again. */
  #close(over: () => void): void {
    const session = this.#handle?.session;
    this.#forget();
    if (session === undefined) return over();
    session.close(this.#options.timeoutMs, () => undefined);
    over();
  }

  #forget(): void {
    this.#handle?.session.detach();
    this.#id = null;
    this.#handle = null;
  }
}
