/**
 * Strangers can make a node say things; they must not make it say many. One warning a key and minute, and at most 256 keys
 * in that minute.
 */
const WINDOW_MS = 60_000;
const MAX_KEYS = 256;

export class WarningLimiter {
  readonly #now: () => number;
  /** When each key was last let through, the oldest first. */
  readonly #last = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether to say it. */
  allow(key: string): boolean {
    const now = this.#now();
    for (const [old, at] of this.#last) {
      if (now - at < WINDOW_MS) break;
      this.#last.delete(old);
    }
    if (this.#last.has(key) || this.#last.size >= MAX_KEYS) return false;
    this.#last.set(key, now);
    return true;
  }
}
