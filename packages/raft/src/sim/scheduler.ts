/**
 * Virtual time. Everything that will happen is in one heap, ordered by time and then by the order in which it was asked
 * for; nothing happens in between. One thread, one order: the same seed gives the same run.
 */
import type { Micros } from "../core/types.js";

interface Planned {
  readonly at: Micros;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

export type Cancel = () => void;

export class Scheduler {
  #heap: Planned[] = [];
  #now: Micros = 0;
  #order = 0;
  /** Steps taken so far. */
  steps = 0;

  now(): Micros {
    return this.#now;
  }

  /** Runs `run` after `delay` (0: after everything already planned for this moment). */
  schedule(delay: Micros, run: () => void): Cancel {
    const planned: Planned = { at: this.#now + Math.max(0, Math.floor(delay)), order: this.#order, run, cancelled: false };
    this.#order += 1;
    this.#push(planned);
    return () => {
      planned.cancelled = true;
    };
  }

  /** Takes the next step. False: nothing is planned. */
  step(): boolean {
    for (;;) {
      const next = this.#pop();
      if (next === undefined) return false;
      if (next.cancelled) continue;
      this.#now = next.at;
      this.steps += 1;
      next.run();
      return true;
    }
  }

  /** Steps until `done` says so, or nothing is planned, or `limit` of virtual time has passed. True: done. */
  runUntil(done: () => boolean, limit: Micros): boolean {
    const end = this.#now + limit;
    while (!done()) {
      const next = this.#heap[0];
      if (next === undefined || next.at > end) {
        this.#now = Math.max(this.#now, next === undefined ? this.#now : end);
        return done();
      }
      this.step();
    }
    return true;
  }

  #before(a: Planned, b: Planned): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order);
  }

  #push(planned: Planned): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(planned);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !this.#before(planned, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = planned;
  }

  #pop(): Planned | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && this.#before(right, left)) child += 1;
      const smaller = heap[child];
      if (smaller === undefined || !this.#before(smaller, last)) break;
      heap[at] = smaller;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}
