/**
 * The longest orders that a search got to before it was stuck, kept while it runs: for a history that is not linearizable they
 * are the explanation. Longest is what accounts for the most finished operations, and among these for the fewest open ones: more
 * of them were tried and did not help.
 */

/** How many of the same length are kept. */
const KEPT = 8;

export class LongestOrders {
  #closed = -1;
  #length = -1;
  #best = new Int32Array(16);
  /** How much of the best order still begins the current one: only the rest need be copied. */
  #shared = 0;
  #others: { readonly shared: number; readonly rest: Int32Array }[] = [];

  /** The search has taken back its last operation; `length` are left. */
  shortened(length: number): void {
    if (length < this.#shared) this.#shared = length;
  }

  /** The search is stuck with this order, of which `closed` are finished operations. */
  stuck(order: Int32Array, length: number, closed: number): void {
    if (closed < this.#closed || (closed === this.#closed && length > this.#length)) return;
    if (closed === this.#closed && length === this.#length) {
      if (this.#others.length + 1 < KEPT) {
        this.#others.push({ shared: this.#shared, rest: order.slice(this.#shared, length) });
      }
      return;
    }
    this.#closed = closed;
    this.#length = length;
    if (length > this.#best.length) {
      const larger = new Int32Array(Math.max(length, this.#best.length * 2));
      larger.set(this.#best);
      this.#best = larger;
    }
    this.#best.set(order.subarray(this.#shared, length), this.#shared);
    this.#shared = length;
    this.#others = [];
  }

  /** The first found comes first. */
  orders(): readonly (readonly number[])[] {
    const best = [...this.#best.subarray(0, Math.max(0, this.#length))];
    return [best, ...this.#others.map(({ shared, rest }) => [...best.slice(0, shared), ...rest])];
  }
}
