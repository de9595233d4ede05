/**
 * One node's clock on the scheduler. It runs at its own rate, may jump ahead (a suspended machine), and stands still for
 * nobody: while the process is paused (SIGSTOP, a long collection) time goes on and everything that falls due waits. It dies
 * with the node: after `kill` nothing it was asked for happens any more.
 *
 * Everything a node does happens inside `asNode`, so `afterRun` sees the node after every one of its steps.
 */
import type { Micros } from "../core/types.js";
import type { Clock, TimerHandle } from "../runtime/ports.js";
import type { Cancel, Scheduler } from "./scheduler.js";

interface Timer {
  readonly at: Micros;
  readonly callback: () => void;
  cleared: boolean;
  cancel: Cancel;
}

const MILLION = 1_000_000;

export class VirtualClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #origin: Micros;
  /** Parts per million by which this clock is fast (or slow, below 0). */
  readonly #drift: number;
  #jumped: Micros = 0;
  #alive = true;
  #paused = false;
  #waiting: (() => void)[] = [];
  readonly #timers = new Set<Timer>();
  /** Called after each of the node's steps. */
  afterRun: (() => void) | null = null;

  constructor(scheduler: Scheduler, driftPerMillion = 0) {
    this.#scheduler = scheduler;
    this.#origin = scheduler.now();
    this.#drift = driftPerMillion;
  }

  now(): Micros {
    const elapsed = this.#scheduler.now() - this.#origin;
    return this.#origin + elapsed + Math.floor((elapsed * this.#drift) / MILLION) + this.#jumped;
  }

  setTimer(at: Micros, callback: () => void): TimerHandle {
    const timer: Timer = { at, callback, cleared: false, cancel: NOTHING };
    this.#timers.add(timer);
    this.#plan(timer);
    return { timer };
  }

  clearTimer(handle: TimerHandle): void {
    const timer = handle.timer as Timer;
    timer.cleared = true;
    timer.cancel();
    this.#timers.delete(timer);
  }

  setImmediate(callback: () => void): void {
    this.#scheduler.schedule(0, () => this.asNode(callback));
  }

  /** Runs something as this node: not at all when it is dead, later when it is paused. */
  asNode(callback: () => void): void {
    if (!this.#alive) return;
    if (this.#paused) {
      this.#waiting.push(callback);
      return;
    }
    callback();
    this.afterRun?.();
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  kill(): void {
    this.#alive = false;
    this.#waiting = [];
    this.#timers.clear();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    // In the order in which they fell due: a timer often comes before what arrived meanwhile, as in Node (design law 8).
    for (const callback of waiting) this.#scheduler.schedule(0, () => this.asNode(callback));
  }

  /** The clock shows `by` more at once, and whatever is due by then fires. */
  jump(by: Micros): void {
    this.#jumped += by;
    for (const timer of this.#timers) {
      timer.cancel();
      this.#plan(timer);
    }
  }

  /** How long, in the time of the world, until this clock shows `at`. */
  #delayUntil(at: Micros): Micros {
    const missing = at - this.now();
    return missing <= 0 ? 0 : Math.ceil((missing * MILLION) / (MILLION + this.#drift));
  }

  #plan(timer: Timer): void {
    timer.cancel = this.#scheduler.schedule(this.#delayUntil(timer.at), () => {
      this.asNode(() => {
        // Looked at when it runs: it may have been cleared while it waited for a paused node.
        if (timer.cleared) return;
        if (this.now() < timer.at) return this.#plan(timer);
        // Once: a jump may have planned it anew while it waited.
        if (this.#timers.delete(timer)) timer.callback();
      });
    });
  }
}

const NOTHING: Cancel = () => undefined;
