/** One node's clock on the scheduler. It dies with the node: after `kill` nothing it was asked for happens any more. */
import type { Micros } from "../core/types.js";
import type { Clock, TimerHandle } from "../runtime/ports.js";
import type { Cancel, Scheduler } from "./scheduler.js";

const NOTHING: Cancel = () => undefined;

export class VirtualClock implements Clock {
  readonly #scheduler: Scheduler;
  #alive = true;
  /** While paused (SIGSTOP, a long collection) everything that falls due waits, in order. */
  #paused = false;
  #waiting: (() => void)[] = [];

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  now(): Micros {
    return this.#scheduler.now();
  }

  setTimer(at: Micros, callback: () => void): TimerHandle {
    const timer = { cancelled: false, cancel: NOTHING };
    timer.cancel = this.#scheduler.schedule(at - this.#scheduler.now(), () => {
      // Looked at again when it runs: it may have been cleared while it waited for a paused node.
      this.#run(() => {
        if (!timer.cancelled) callback();
      });
    });
    return { timer };
  }

  clearTimer(handle: TimerHandle): void {
    const timer = handle.timer as { cancelled: boolean; cancel: Cancel };
    timer.cancelled = true;
    timer.cancel();
  }

  setImmediate(callback: () => void): void {
    this.#scheduler.schedule(0, () => this.#run(callback));
  }

  /** Runs something as this node: not at all when it is dead, later when it is paused. */
  asNode(callback: () => void): void {
    this.#run(callback);
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  kill(): void {
    this.#alive = false;
    this.#waiting = [];
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const callback of waiting) this.#scheduler.schedule(0, () => this.#run(callback));
  }

  #run(callback: () => void): void {
    if (!this.#alive) return;
    if (this.#paused) this.#waiting.push(callback);
    else callback();
  }
}
