/**
 * What the answers about a set tell of the moments at which its elements were added.
 *
 * - An element that nobody saw may as well not have been added: open operations that add it are left out, and if nothing else
 *   adds it, the open ones that remove it.
 * - An element that one operation adds was added before whoever saw it returned. If nothing removes it, it was added after
 *   whoever missed it was called.
 *
 * The second says when an open operation happened, and of a finished one when it did, more closely than its own call and
 * return: where every element is added once, hardly anything is left to search for.
 */

import type { Operation } from "../history.js";
import { canonicalText } from "../values.js";
import type { Simplified } from "./model.js";

interface Element {
  readonly adds: Operation[];
  removed: boolean;
  /** The earliest return of those who saw it. */
  seenBefore: number;
  /** The latest call of those who missed it. */
  missedAfter: number;
}

export function simplifySet(operations: readonly Operation[]): readonly Simplified[] {
  const elements = elementsOf(operations);
  for (const operation of operations) if (operation.return !== null) noteSightings(operation, elements);
  const simplified: Simplified[] = [];
  for (const original of operations) {
    const operation = simplifyOne(original, elements);
    if (operation !== null) simplified.push({ operation, original });
  }
  return simplified;
}

function elementsOf(operations: readonly Operation[]): ReadonlyMap<string, Element> {
  const elements = new Map<string, Element>();
  for (const operation of operations) {
    if (operation.f === "read") continue;
    const text = canonicalText(operation.input);
    const element = elements.get(text) ?? {
      adds: [],
      removed: false,
      seenBefore: Number.POSITIVE_INFINITY,
      missedAfter: Number.NEGATIVE_INFINITY,
    };
    if (operation.f === "add") element.adds.push(operation);
    if (operation.f === "remove") element.removed = true;
    elements.set(text, element);
  }
  return elements;
}

function noteSightings(operation: Operation, elements: ReadonlyMap<string, Element>): void {
  if (operation.f === "read") {
    const found = new Set((operation.output as readonly unknown[]).map(canonicalText));
    for (const [text, element] of elements) note(element, found.has(text), operation);
  } else if (operation.f === "contains") {
    const element = elements.get(canonicalText(operation.input));
    if (element !== undefined) note(element, operation.output === true, operation);
  }
}

function note(element: Element, seen: boolean, { call, return: end }: Operation): void {
  if (seen) element.seenBefore = Math.min(element.seenBefore, end ?? Number.POSITIVE_INFINITY);
  else element.missedAfter = Math.max(element.missedAfter, call);
}

/** Null: it makes no difference. */
function simplifyOne(operation: Operation, elements: ReadonlyMap<string, Element>): Operation | null {
  const changes = operation.f === "add" || operation.f === "remove";
  const element = changes ? elements.get(canonicalText(operation.input)) : undefined;
  if (element === undefined) return operation.return === null ? null : operation;
  if (operation.return === null && element.seenBefore === Number.POSITIVE_INFINITY) {
    return operation.f === "remove" && element.adds.some((add) => add.return !== null) ? operation : null;
  }
  if (operation.f === "remove" || element.adds.length > 1) return operation;
  const call = element.removed ? operation.call : Math.max(operation.call, element.missedAfter);
  const end = Math.min(operation.return ?? Number.POSITIVE_INFINITY, element.seenBefore);
  // Seen before it was asked for, or missed after it was seen: no order explains that, and the search will say so.
  if (end < call) return { ...operation, return: operation.return ?? operation.call };
  return { ...operation, call, return: end === Number.POSITIVE_INFINITY ? null : end };
}
