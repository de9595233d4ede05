/**
 * Reads that wait: first for a leader, then for its confirmation of a read index, then for this node to have applied that
 * index. All linearizable reads of one turn share one question to the core, under one number. A question that got lost is
 * asked again under a new number (reads change nothing, so asking twice is safe; a number is never used twice).
 */
import type { Index, Micros } from "../core/types.js";
import type { RaftError } from "./errors.js";

export interface Read {
  readonly expiresAt: Micros;
  /** Called with null when the state machine may be looked at now, otherwise with the reason why not. */
  readonly settle: (error: RaftError | null) => void;
  settled: boolean;
}

interface Question {
  readonly reads: Read[];
  readonly askedAt: Micros;
}

interface Waiting {
  readonly index: Index;
  readonly reads: Read[];
}

export class Reads {
  /** Linearizable, and not yet asked for. */
  #unasked: Read[] = [];
  readonly #asked = new Map<number, Question>();
  /** Confirmed, or asked for with `atLeast`: waiting until `index` is applied. */
  #waiting: Waiting[] = [];
  /** Set before the first question; see `numberFrom`. */
  #nextId = 0;
  #count = 0;
  #nextExpiry: Micros = Number.MAX_SAFE_INTEGER;

  get count(): number {
    return this.#count;
  }
  get hasUnasked(): boolean {
    return this.#unasked.length > 0;
  }
  get nextExpiry(): Micros {
    return this.#nextExpiry;
  }
  get hasAsked(): boolean {
    return this.#asked.size > 0;
  }

  addLinearizable(read: Read): void {
    this.#admit(read);
    this.#unasked.push(read);
  }

  addAtLeast(read: Read, index: Index): void {
    this.#admit(read);
    this.#waiting.push({ index, reads: [read] });
  }

  #admit(read: Read): void {
    this.#count += 1;
    if (read.expiresAt < this.#nextExpiry) this.#nextExpiry = read.expiresAt;
  }

  /**
   * The numbers of this life begin here, above those of every life before: an answer to a question of an earlier life may
   * come late, and must not be taken for the answer to a question of this one.
   */
  numberFrom(first: number): void {
    this.#nextId = first;
  }

  /** A number for a question that is asked outside of `ask`. */
  takeNumber(): number {
    const id = this.#nextId;
    this.#nextId += 1;
    return id;
  }

  /** Asks for all that are unasked, with one new number. */
  ask(now: Micros, question: (id: number) => "accepted" | "notLeader" | "overloaded"): void {
    this.#unasked = this.#unasked.filter((read) => !read.settled);
    if (this.#unasked.length === 0) return;
    const id = this.takeNumber();
    if (question(id) !== "accepted") return;
    this.#asked.set(id, { reads: this.#unasked, askedAt: now });
    this.#unasked = [];
  }

  confirmed(id: number, index: Index): void {
    const question = this.#asked.get(id);
    if (question === undefined) return;
    this.#asked.delete(id);
    this.#waiting.push({ index, reads: question.reads });
  }

  /** The core gave the question up: it is asked again as soon as there is a leader. */
  failed(id: number): void {
    const question = this.#asked.get(id);
    if (question === undefined) return;
    this.#asked.delete(id);
    this.#unasked.push(...question.reads);
  }

  /** Questions older than `age` are taken as lost. True if there is something to ask again. */
  retry(now: Micros, age: Micros): boolean {
    let again = false;
    for (const [id, question] of this.#asked) {
      if (now - question.askedAt < age) continue;
      this.#asked.delete(id);
      this.#unasked.push(...question.reads);
      again = true;
    }
    return again;
  }

  /** Everything up to `index` is applied: answers those that waited for it. */
  applied(index: Index): void {
    if (this.#waiting.length === 0) return;
    const ready = this.#waiting.filter((each) => each.index <= index);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter((each) => each.index > index);
    for (const { reads } of ready) for (const read of reads) this.#settle(read, null);
  }

  expire(now: Micros, error: () => RaftError): void {
    if (now < this.#nextExpiry) return;
    let earliest = Number.MAX_SAFE_INTEGER;
    const expired: Read[] = [];
    this.#each((read) => {
      if (read.settled) return;
      if (read.expiresAt <= now) expired.push(read);
      else if (read.expiresAt < earliest) earliest = read.expiresAt;
    });
    this.#nextExpiry = earliest;
    for (const read of expired) this.abandon(read, error());
    this.#unasked = this.#unasked.filter((read) => !read.settled);
    this.#waiting = this.#waiting.filter((each) => each.reads.some((read) => !read.settled));
  }

  abandon(read: Read, error: RaftError): void {
    this.#settle(read, error);
  }

  settleAll(error: () => RaftError): void {
    const all: Read[] = [];
    this.#each((read) => all.push(read));
    this.#unasked = [];
    this.#asked.clear();
    this.#waiting = [];
    for (const read of all) this.#settle(read, error());
  }

  #each(look: (read: Read) => void): void {
    for (const read of this.#unasked) look(read);
    for (const { reads } of this.#asked.values()) for (const read of reads) look(read);
    for (const { reads } of this.#waiting) for (const read of reads) look(read);
  }

  #settle(read: Read, error: RaftError | null): void {
    if (read.settled) return;
    read.settled = true;
    this.#count -= 1;
    read.settle(error);
  }
}
