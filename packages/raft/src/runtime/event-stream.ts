/**
 * Events for those who listen. A listener that is too slow loses events and is told how many; it never blocks the node,
 * and never makes it hold more than `LIMIT` events (hashicorp/raft's observers, and pitfall G17, say why).
 */
import type { NodeEvent } from "./node.js";

const LIMIT = 1024;

interface Listener {
  readonly waiting: NodeEvent[];
  dropped: number;
  /** Resolves the `next()` that waits, if one does. */
  wake: ((result: IteratorResult<NodeEvent>) => void) | null;
}

export class EventStream {
  readonly #listeners = new Set<Listener>();
  #closed = false;

  get hasListeners(): boolean {
    return this.#listeners.size > 0;
  }

  publish(event: NodeEvent): void {
    for (const listener of this.#listeners) {
      if (listener.wake !== null) {
        const wake = listener.wake;
        listener.wake = null;
        wake({ done: false, value: event });
      } else if (listener.waiting.length < LIMIT) {
        listener.waiting.push(event);
      } else {
        listener.dropped += 1;
      }
    }
  }

  /** A new listener, from now on. Ends when the stream is closed, after what it still holds. */
  listen(): AsyncIterableIterator<NodeEvent> {
    const listener: Listener = { waiting: [], dropped: 0, wake: null };
    if (!this.#closed) this.#listeners.add(listener);
    const finish = (): IteratorResult<NodeEvent> => {
      this.#listeners.delete(listener);
      listener.wake?.({ done: true, value: undefined });
      listener.wake = null;
      return { done: true, value: undefined };
    };
    return {
      next: () => this.#next(listener),
      return: () => Promise.resolve(finish()),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  close(): void {
    this.#closed = true;
    for (const listener of this.#listeners) {
      listener.wake?.({ done: true, value: undefined });
      listener.wake = null;
    }
    this.#listeners.clear();
  }

  #next(listener: Listener): Promise<IteratorResult<NodeEvent>> {
    const event = listener.waiting.shift();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    if (listener.dropped > 0) {
      const count = listener.dropped;
      listener.dropped = 0;
      return Promise.resolve({ done: false, value: { type: "dropped", count } });
    }
    if (this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      listener.wake = resolve;
    });
  }
}
