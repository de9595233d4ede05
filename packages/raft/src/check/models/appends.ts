/**
 * What a key that is appended to tells about operations with an unknown outcome. It is observation.ts once more, with texts
 * that stand inside others in place of values: an append is seen in every value from then on, until it is overwritten.
 *
 * - If no value that anybody saw contains the text, the operation can be left out: in any legal order, nobody looked between
 *   it and the next write over it. Of a write over the whole value, the values seen must begin with its text.
 * - If the text cannot come from anything else, whoever saw a value that contains it proves that the operation happened before.
 *   It must not stand in another operation's text, nor come about where one text ends and the next begins.
 * - Values with which none that anybody saw begins are all the same, whatever is appended: `UNSEEN`.
 */

import type { Operation } from "../history.js";
import type { Simplified } from "./model.js";
import { UNSEEN } from "./observation.js";
import { closeUntold, refused } from "./one-value.js";

/** The input of a simplified append. */
export interface SeenAppend {
  readonly text: string;
  /** Whether a value that anybody saw, or asked for, begins so. */
  readonly isSeenSoFar: (value: string) => boolean;
}

interface Item {
  readonly original: Operation;
  operation: Operation;
  /** What it writes or appends; null: nothing, or (a delete) nothing that can be seen. */
  readonly text: string | null;
}

export function simplifyAppends(operations: readonly Operation[], initial: unknown): readonly Simplified[] {
  const items = operations.map((operation): Item => ({ original: operation, operation, text: textOf(operation) }));
  const candidates = items.filter(({ operation }) => operation.return !== null || operation.f !== "get");
  const onlyTexts = operations.every((operation) => writtenValues(operation).every(isText)) && isText(initial);
  if (!onlyTexts) return candidates;
  closeSeen(candidates, typeof initial === "string" ? initial : "");
  return blurUnseen(candidates.some(({ original }) => refused(original)) ? candidates : withoutUnseen(candidates));
}

function writtenValues({ f, input }: Operation): readonly unknown[] {
  if (f === "put") return [input];
  return f === "cas" ? (input as readonly unknown[]) : [];
}

function isText(value: unknown): boolean {
  return typeof value === "string" || value === null;
}

function textOf(operation: Operation): string | null {
  const { f, input } = operation;
  const written = f === "cas" ? (input as readonly unknown[])[1] : input;
  const writes = f === "append" || f === "put" || (f === "cas" && !refused(operation));
  return writes && typeof written === "string" ? written : null;
}

/** The value that a finished operation, or an open one that is assumed to have happened, found. */
function seenBy(item: Item): string | null {
  const { f, input, output } = item.operation;
  const seen = f === "get" ? output : f === "cas" && !refused(item.operation) ? (input as readonly unknown[])[0] : null;
  return typeof seen === "string" ? seen : null;
}

function endOf({ operation }: Item): number {
  return operation.return ?? Number.POSITIVE_INFINITY;
}

function closeSeen(items: readonly Item[], initial: string): void {
  const texts = items.map(({ text }) => text).filter((text) => text !== null);
  let open = items.filter(({ operation, text }) => {
    return operation.return === null && text !== null && comesFromOneAlone(text, [initial, ...texts]);
  });
  const observers = items.filter(({ operation }) => operation.return !== null).sort((left, right) => endOf(left) - endOf(right));
  // It grows while it is walked: an open swap that was seen has itself seen what it replaced.
  for (const observer of observers) {
    if (open.length === 0) return;
    const seen = seenBy(observer);
    if (seen === null) continue;
    open = open.filter((item) => {
      if (!seen.includes(item.text ?? "")) return true;
      item.operation = closeUntold(item.operation, Math.max(item.operation.call, endOf(observer)));
      observers.push(item);
      return false;
    });
  }
}

/** Whether the text, which is one of these, stands in a chain of them only where it stands as itself, and only one writes it. */
function comesFromOneAlone(text: string, texts: readonly string[]): boolean {
  if (texts.filter((other) => other.includes(text)).length !== 1) return false;
  for (let length = 1; length < text.length; length += 1) {
    const beginning = text.slice(0, length);
    if (texts.some((other) => other.endsWith(beginning))) return false;
  }
  return true;
}

function withoutUnseen(items: readonly Item[]): readonly Item[] {
  const kept = new Set(items.filter(({ operation, text }) => operation.return !== null || text === null));
  const seen = [...kept].map(seenBy).filter((text) => text !== null);
  for (let before = -1; before !== kept.size; ) {
    before = kept.size;
    for (const item of items) {
      if (kept.has(item) || !seen.some((value) => mayShow(value, item))) continue;
      kept.add(item);
      const found = seenBy(item);
      if (found !== null) seen.push(found);
    }
  }
  return items.filter((item) => kept.has(item));
}

function blurUnseen(items: readonly Item[]): readonly Simplified[] {
  const seen = items.flatMap(({ operation: { f, input, output, return: end } }) => {
    const value = f === "get" && end !== null ? output : f === "cas" ? (input as readonly unknown[])[0] : null;
    return typeof value === "string" ? [value] : [];
  });
  const sorted = [...new Set(seen)].sort();
  const isSeenSoFar = (value: string): boolean => sorted[firstNotBefore(sorted, value)]?.startsWith(value) ?? false;
  return items.map(({ original, operation, text }) => {
    if (text === null) return { original, operation };
    const { f, input } = operation;
    if (f === "append") return { original, operation: { ...operation, input: { text, isSeenSoFar } satisfies SeenAppend } };
    if (isSeenSoFar(text)) return { original, operation };
    return { original, operation: { ...operation, input: f === "cas" ? [(input as readonly unknown[])[0], UNSEEN] : UNSEEN } };
  });
}

/** Of texts in their order, the place of the first that does not stand before this one. */
function firstNotBefore(sorted: readonly string[], text: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? "") < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether the value may be what somebody found after the operation and before the next one that writes over all of it. */
function mayShow(value: string, { operation, text }: Item): boolean {
  if (text === null) return true;
  return operation.f === "append" ? value.includes(text) : value.startsWith(text);
}
