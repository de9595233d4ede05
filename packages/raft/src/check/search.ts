/**
 * The search for a legal order of one group of operations: an order that respects time (what returned before another was
 * called comes first) and in which the model gives every answer that was given. Depth first; each step takes one operation
 * that may come next, and the memo refuses configurations that were seen before. The problem is NP-complete, so the search goes
 * in portions: `advance` does some steps and can be called again.
 */

import type { Key, Operation } from "./history.js";
import { LongestOrders } from "./longest.js";
import { DoneSet, Memo, type MemoryBudget } from "./memo.js";
import type { Model, Simplified } from "./models/model.js";
import { NONE, Timeline } from "./timeline.js";

/** `starved`: the memo cannot grow; `advance` goes on where it was, if there is room again. */
export type Progress = "running" | "starved" | "linearizable" | "not";

/** How many operations of a prefix are kept with their states, and how much of a state's text. */
const TRAIL = 60;
const LONGEST_TEXT = 400;

/** An order that is legal as far as it goes, and from which nothing leads further. */
export interface LegalPrefix<State> {
  readonly operations: readonly Operation[];
  /** The state that they leave. */
  readonly state: State;
  /** The same in words. */
  readonly stateText: string;
  /** The last of them, at most sixty, each with the state that it left, in words. */
  readonly trail: readonly { readonly operation: Operation; readonly stateText: string }[];
  /** The finished operations of which one would have to come next, none of which can. */
  readonly stuck: readonly Operation[];
  /** The open ones that could come next, or cannot; none of them helps. */
  readonly open: readonly Operation[];
}

export class Search<State> {
  readonly key: Key;
  readonly #model: Model<State>;
  readonly #timeline: Timeline;
  readonly #done: DoneSet;
  readonly #memo: Memo;
  readonly #longest = new LongestOrders();
  /** By number; see `Memo.numberOfState`. */
  readonly #states: State[] = [];
  /** The operations taken so far, in order, and the state that each one found. */
  readonly #order: Int32Array;
  readonly #before: Int32Array;
  #length = 0;
  #closed = 0;
  #state: number;
  /** The call that is tried next. */
  #candidate: number;
  #steps = 0;

  constructor(model: Model<State>, key: Key, operations: readonly Simplified[], budget: MemoryBudget) {
    this.key = key;
    this.#model = model;
    this.#timeline = new Timeline(operations, model.alike?.bind(model));
    const { items, closed } = this.#timeline;
    this.#done = new DoneSet(closed, items.length - closed);
    this.#memo = new Memo(this.#done, budget);
    this.#order = new Int32Array(items.length);
    this.#before = new Int32Array(items.length);
    this.#state = this.#intern(model.init(key));
    this.#candidate = this.#timeline.firstCandidate();
  }

  /** How many operations were tried so far, and how many were taken back. */
  get steps(): number {
    return this.#steps;
  }

  /** How many different configurations were met. */
  get configurations(): number {
    return this.#memo.size;
  }

  /** What the memo takes of the budget. */
  get bytes(): number {
    return this.#memo.bytes;
  }

  /** Gives the memory back. The search cannot go on after it; its order and its prefixes stay. */
  release(): void {
    this.#memo.release();
  }

  advance(steps: number): Progress {
    for (const end = this.#steps + steps; ; this.#steps += 1) {
      if (this.#closed === this.#timeline.closed) return "linearizable";
      if (this.#steps >= end) return "running";
      if (!this.#memo.prepare()) return "starved";
      if (this.#candidate === NONE) {
        if (!this.#takeBack()) {
          this.#steps += 1;
          return "not";
        }
      } else if (this.#take(this.#timeline.called(this.#candidate))) {
        this.#candidate = this.#timeline.firstCandidate();
      } else {
        this.#candidate = this.#timeline.nextCandidate(this.#candidate);
      }
    }
  }

  /** The order that was found. Open operations that are not in it never happened, or made no difference. */
  order(): readonly Operation[] {
    return [...this.#order.subarray(0, this.#length)].map((item) => this.#timeline.original(item));
  }

  /** Of a search that ended with "not". */
  longestPrefixes(): readonly LegalPrefix<State>[] {
    return this.#longest.orders().map((order) => this.#describePrefix(order));
  }

  #take(item: number): boolean {
    for (const earlier of this.#timeline.awaited(item)) if (!this.#done.has(this.#placeOf(earlier))) return false;
    const next = this.#model.step(this.#stateOf(this.#state), this.#timeline.operation(item));
    if (next === null || this.#wastesLast(item, next)) return false;
    const state = this.#intern(next);
    const place = this.#placeOf(item);
    this.#done.add(place);
    if (!this.#memo.add(state)) {
      this.#done.remove(place);
      return false;
    }
    this.#order[this.#length] = item;
    this.#before[this.#length] = this.#state;
    this.#length += 1;
    if (item < this.#timeline.closed) this.#closed += 1;
    this.#state = state;
    this.#timeline.lift(item);
    return true;
  }

  /**
   * Whether the operation taken last was an open one that made no difference: without it this one leads to the same state.
   * Then so does every order that goes on from here, and those without it are tried anyway.
   */
  #wastesLast(item: number, next: State): boolean {
    const last = this.#order[this.#length - 1] ?? NONE;
    if (this.#length === 0 || last < this.#timeline.closed || this.#timeline.awaited(item).includes(last)) return false;
    const without = this.#model.step(this.#stateOf(this.#before[this.#length - 1] ?? 0), this.#timeline.operation(item));
    return without !== null && this.#model.identity(without) === this.#model.identity(next);
  }

  /** Nothing can come before the next return: whatever was taken last cannot be right. False if nothing was. */
  #takeBack(): boolean {
    this.#longest.stuck(this.#order, this.#length, this.#closed);
    if (this.#length === 0) return false;
    this.#length -= 1;
    this.#longest.shortened(this.#length);
    const item = this.#order[this.#length] ?? 0;
    this.#state = this.#before[this.#length] ?? 0;
    if (item < this.#timeline.closed) this.#closed -= 1;
    this.#done.remove(this.#placeOf(item));
    this.#timeline.unlift(item);
    this.#candidate = this.#timeline.nextCandidate(this.#timeline.callOf(item));
    return true;
  }

  #placeOf(item: number): number {
    const { closed } = this.#timeline;
    return item < closed ? item : this.#done.firstOpen + item - closed;
  }

  #intern(state: State): number {
    const number = this.#memo.numberOfState(this.#model.identity(state));
    if (number === this.#states.length) this.#states.push(state);
    return number;
  }

  #stateOf(number: number): State {
    // Numbers come from #intern alone, which fills the array.
    return this.#states[number] as State;
  }

  #describePrefix(order: readonly number[]): LegalPrefix<State> {
    const timeline = this.#timeline;
    const operations = order.map((item) => timeline.original(item));
    let state = this.#model.init(this.key);
    const states: State[] = [];
    for (const item of order) {
      // As it stands in the history, if possible: what was left out for the search is worth knowing here.
      const next = this.#model.step(state, timeline.original(item)) ?? this.#model.step(state, timeline.operation(item));
      if (next === null) throw new Error(`the model ${this.#model.name} answers differently when it is asked again`);
      state = next;
      states.push(state);
    }
    for (const item of order) timeline.lift(item);
    const candidates: number[] = [];
    for (let call = timeline.firstCandidate(); call !== NONE; call = timeline.nextCandidate(call)) {
      candidates.push(timeline.called(call));
    }
    for (const item of order.toReversed()) timeline.unlift(item);
    const first = Math.max(0, operations.length - TRAIL);
    const trail = operations.slice(first).map((operation, at) => {
      return { operation, stateText: this.#describe(states[first + at] as State) };
    });
    const stuck = candidates.filter((item) => item < timeline.closed).map((item) => timeline.original(item));
    const open = candidates.filter((item) => item >= timeline.closed).map((item) => timeline.original(item));
    return { operations, state, stateText: this.#describe(state), trail, stuck, open };
  }

  #describe(state: State): string {
    const text = this.#model.describe?.(state) ?? JSON.stringify(state) ?? String(state);
    return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
  }
}
