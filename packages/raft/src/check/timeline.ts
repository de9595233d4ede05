/**
 * The calls and returns of one group of operations in the order of time, as a doubly linked list out of which an operation can
 * be taken and put back in constant time (Wing and Gong, "Testing and verifying concurrent objects", 1993; as a list: Lowe 2017).
 *
 * What can come next is what is called before the first return in the list. At equal times calls stand before returns, so that
 * operations which only touch are concurrent. Open operations have a call and no return; they stand in a list of their own,
 * because they are to be tried last: they need not have happened, and whether one is needed shows when nothing else fits.
 */

import type { Operation } from "./history.js";
import type { Simplified } from "./models/model.js";

/** Entries are numbers in the order of time. The list begins and ends at this one, which is neither call nor return. */
const ENDS = 0;

/** No entry, or no operation. */
export const NONE = -1;

export class Timeline {
  /** The finished operations in the order of their calls, and then the open ones in the same order. */
  readonly items: readonly Simplified[];
  /** How many are finished. */
  readonly closed: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  /** Of a call: its operation's place in `items`. Of a return, and of the ends: -1. */
  readonly #itemOf: Int32Array;
  readonly #callOf: Int32Array;
  readonly #returnOf: Int32Array;
  readonly #awaited: readonly (readonly number[])[];
  /** Where the list of the open ones begins and ends. */
  readonly #openEnds: number;

  constructor(operations: readonly Simplified[], alike?: (operation: Operation) => string) {
    const byCall = [...operations].sort((left, right) => left.operation.call - right.operation.call);
    const closed = byCall.filter((item) => item.operation.return !== null);
    this.items = [...closed, ...byCall.filter((item) => item.operation.return === null)];
    this.closed = closed.length;
    this.#openEnds = this.items.length + closed.length + 1;
    this.#next = new Int32Array(this.#openEnds + 1);
    this.#previous = new Int32Array(this.#openEnds + 1);
    this.#itemOf = new Int32Array(this.#openEnds + 1).fill(NONE);
    this.#callOf = new Int32Array(this.items.length);
    this.#returnOf = new Int32Array(this.items.length).fill(NONE);
    this.#awaited = this.#awaitedBy(alike);
    this.#link();
  }

  /** The call of the first operation that may come next, or -1. */
  firstCandidate(): number {
    return this.#candidate(this.#after(ENDS));
  }

  /** The call of the one to be tried after that one, or -1. */
  nextCandidate(call: number): number {
    const next = this.#after(call);
    if (this.#isClosed(call)) return this.#candidate(next);
    return next < this.#firstReturn() ? next : NONE;
  }

  /** The operation that is called here. */
  called(call: number): number {
    return this.#itemOf[call] ?? NONE;
  }

  callOf(item: number): number {
    return this.#callOf[item] ?? ENDS;
  }

  operation(item: number): Operation {
    return this.#item(item).operation;
  }

  original(item: number): Operation {
    return this.#item(item).original;
  }

  /** The operations that are taken before this one, beside those that returned before its call. */
  awaited(item: number): readonly number[] {
    return this.#awaited[item] ?? [];
  }

  /** Takes the call and the return of an operation out. */
  lift(item: number): void {
    this.#unlink(this.callOf(item));
    const end = this.#returnOf[item] ?? NONE;
    if (end !== NONE) this.#unlink(end);
  }

  /** Puts them back. Operations are put back in the reverse order of being taken out. */
  unlift(item: number): void {
    const end = this.#returnOf[item] ?? NONE;
    if (end !== NONE) this.#relink(end);
    this.#relink(this.callOf(item));
  }

  #item(item: number): Simplified {
    const found = this.items[item];
    if (found === undefined) throw new RangeError(`no operation ${item}`);
    return found;
  }

  #after(entry: number): number {
    return this.#next[entry] ?? ENDS;
  }

  #isClosed(call: number): boolean {
    return this.called(call) < this.closed;
  }

  /** This entry, if a finished operation is called here; where one returns, the first open one that is called before. */
  #candidate(entry: number): number {
    if (this.called(entry) !== NONE) return entry;
    const open = this.#after(this.#openEnds);
    return open < entry ? open : NONE;
  }

  /** There is one as long as a finished operation is left. */
  #firstReturn(): number {
    let entry = this.#after(ENDS);
    while (this.called(entry) !== NONE) entry = this.#after(entry);
    return entry;
  }

  /** What a model knows to come before, and of open operations that are alike the one that was called before. */
  #awaitedBy(alike: ((operation: Operation) => string) | undefined): readonly (readonly number[])[] {
    const places = new Map(this.items.map(({ original }, item) => [original, item]));
    const last = new Map<string, number>();
    return this.items.map(({ operation, after = [] }, item) => {
      const awaited = after.map((original) => places.get(original)).filter((place) => place !== undefined);
      if (alike !== undefined && operation.return === null) {
        const kind = alike(operation);
        const before = last.get(kind);
        if (before !== undefined) awaited.push(before);
        last.set(kind, item);
      }
      return awaited;
    });
  }

  #link(): void {
    const events: { time: number; item: number; returns: boolean }[] = [];
    for (const [item, { operation }] of this.items.entries()) {
      events.push({ time: operation.call, item, returns: false });
      if (operation.return !== null) events.push({ time: operation.return, item, returns: true });
    }
    events.sort((left, right) => left.time - right.time || Number(left.returns) - Number(right.returns));
    let last = ENDS;
    let lastOpen = this.#openEnds;
    for (const [at, { item, returns }] of events.entries()) {
      const entry = at + 1;
      if (returns) this.#returnOf[item] = entry;
      else {
        this.#callOf[item] = entry;
        this.#itemOf[entry] = item;
      }
      if (item < this.closed) {
        this.#join(last, entry);
        last = entry;
      } else {
        this.#join(lastOpen, entry);
        lastOpen = entry;
      }
    }
    this.#join(last, ENDS);
    this.#join(lastOpen, this.#openEnds);
  }

  #join(left: number, right: number): void {
    this.#next[left] = right;
    this.#previous[right] = left;
  }

  #unlink(entry: number): void {
    this.#join(this.#previous[entry] ?? ENDS, this.#after(entry));
  }

  #relink(entry: number): void {
    this.#next[this.#previous[entry] ?? ENDS] = entry;
    this.#previous[this.#after(entry)] = entry;
  }
}
