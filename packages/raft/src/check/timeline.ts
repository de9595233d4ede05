/**
 * The calls and returns of one group of operations in the order of time, as a doubly linked list out of which an operation can
 * be taken and put back in constant time (Wing and Gong, "Testing and verifying concurrent objects", 1993; as a list: Lowe 2017).
 *
 * What can come next is what is called before the first return in the list. At equal times calls stand before returns, so that
 * operations which only touch are concurrent. Open operations have a call and no return.
 */

import type { Operation } from "./history.js";
import type { Simplified } from "./models/model.js";

/** Entries are numbers; the list begins and ends at this one, which is neither call nor return. */
export const ENDS = 0;

const NONE = -1;

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

  constructor(operations: readonly Simplified[]) {
    const byCall = [...operations].sort((left, right) => left.operation.call - right.operation.call);
    const closed = byCall.filter((item) => item.operation.return !== null);
    this.items = [...closed, ...byCall.filter((item) => item.operation.return === null)];
    this.closed = closed.length;
    const count = this.items.length + closed.length + 1;
    this.#next = new Int32Array(count);
    this.#previous = new Int32Array(count);
    this.#itemOf = new Int32Array(count).fill(NONE);
    this.#callOf = new Int32Array(this.items.length);
    this.#returnOf = new Int32Array(this.items.length).fill(NONE);
    this.#link();
  }

  next(entry: number): number {
    return this.#next[entry] ?? ENDS;
  }

  /** The operation that is called here, or -1. */
  called(entry: number): number {
    return this.#itemOf[entry] ?? NONE;
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

  #link(): void {
    const events: { time: number; item: number; returns: boolean }[] = [];
    for (const [item, { operation }] of this.items.entries()) {
      events.push({ time: operation.call, item, returns: false });
      if (operation.return !== null) events.push({ time: operation.return, item, returns: true });
    }
    events.sort((left, right) => left.time - right.time || Number(left.returns) - Number(right.returns));
    for (const [at, { item, returns }] of events.entries()) {
      const entry = at + 1;
      this.#next[at] = entry;
      this.#previous[entry] = at;
      if (returns) this.#returnOf[item] = entry;
      else {
        this.#callOf[item] = entry;
        this.#itemOf[entry] = item;
      }
    }
    this.#next[events.length] = ENDS;
    this.#previous[ENDS] = events.length;
  }

  #unlink(entry: number): void {
    const next = this.#next[entry] ?? ENDS;
    const previous = this.#previous[entry] ?? ENDS;
    this.#next[previous] = next;
    this.#previous[next] = previous;
  }

  #relink(entry: number): void {
    this.#next[this.#previous[entry] ?? ENDS] = entry;
    this.#previous[this.#next[entry] ?? ENDS] = entry;
  }
}
