/**
 * What the dequeues tell of the order of the enqueues. First in, first out: if one value had been taken out before another was
 * asked for, it was also put in before it; and what was taken out was put in before whatever stayed. Without this, a search
 * guesses the order of two concurrent enqueues and learns only when the values come out, perhaps thousands of operations
 * later, that it guessed wrong.
 *
 * It holds for values that are enqueued once and dequeued once; others are left as they are.
 */

import type { Operation } from "../history.js";
import { canonicalText } from "../values.js";
import type { Simplified } from "./model.js";

/** A value's way through the queue. */
interface Passage {
  readonly enqueue: Simplified;
  /** Null: nobody was told that it was taken out. */
  readonly dequeue: Operation | null;
}

export function orderEnqueues(simplified: readonly Simplified[]): readonly Simplified[] {
  const passages = passagesOf(simplified);
  const taken = passages.filter((passage): passage is Passage & { dequeue: Operation } => passage.dequeue !== null);
  taken.sort((left, right) => endOf(left.dequeue) - endOf(right.dequeue));
  const latestCalls = runningMaximum(taken.map(({ dequeue }) => dequeue.call));
  // An open dequeue may have taken anything out, so that what nobody was told of did not certainly stay.
  const allTold = simplified.every(({ operation }) => operation.f === "enqueue" || operation.return !== null);
  const after = new Map<Simplified, readonly Operation[]>();
  for (const { enqueue, dequeue } of passages) {
    if (dequeue === null && !allTold) continue;
    const count = dequeue === null ? taken.length : firstNotBefore(taken, dequeue.call);
    const latestCall = latestCalls[count - 1];
    if (latestCall === undefined) continue;
    // Of these, whatever came out before another one was asked for is before that one already.
    const nearest = taken.slice(firstNotBefore(taken, latestCall), count);
    const untimed = nearest.filter((passage) => endOf(passage.enqueue.operation) >= enqueue.operation.call);
    if (untimed.length > 0) {
      after.set(
        enqueue,
        untimed.map((passage) => passage.enqueue.original),
      );
    }
  }
  return simplified.map((item) => ({ ...item, after: after.get(item) ?? [] }));
}

/** Of the values that are enqueued once, by a finished operation, and dequeued at most once. */
function passagesOf(simplified: readonly Simplified[]): readonly Passage[] {
  const enqueues = new Map<string, Simplified[]>();
  const dequeues = new Map<string, Operation[]>();
  for (const item of simplified) {
    const { f, input, output, return: end } = item.operation;
    if (f === "enqueue") push(enqueues, canonicalText(input), item);
    else if (end !== null && output !== null) push(dequeues, canonicalText(output), item.operation);
  }
  const passages: Passage[] = [];
  for (const [value, [enqueue, ...more]] of enqueues) {
    const [dequeue = null, ...again] = dequeues.get(value) ?? [];
    if (enqueue === undefined || more.length > 0 || again.length > 0 || enqueue.operation.return === null) continue;
    passages.push({ enqueue, dequeue });
  }
  return passages;
}

function push<Item>(lists: Map<string, Item[]>, value: string, item: Item): void {
  const list = lists.get(value);
  if (list === undefined) lists.set(value, [item]);
  else list.push(item);
}

function endOf(operation: Operation): number {
  return operation.return ?? Number.POSITIVE_INFINITY;
}

function runningMaximum(values: readonly number[]): readonly number[] {
  let largest = Number.NEGATIVE_INFINITY;
  return values.map((value) => {
    largest = Math.max(largest, value);
    return largest;
  });
}

/** The place of the first value, in the order of the dequeues' returns, that came out at this time or later. */
function firstNotBefore(taken: readonly { readonly dequeue: Operation }[], time: number): number {
  let low = 0;
  let high = taken.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const passage = taken[middle];
    if (passage !== undefined && endOf(passage.dequeue) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
