/**
 * What objects that hold values know about operations with an unknown outcome.
 *
 * Where a value is written by one operation only, whoever saw that value proves that the operation took effect, and did so
 * before the observer returned: the open operation has an end after all. And if nobody saw the value, any legal order stays
 * legal without that operation, since what came next was a write, or a look that would have seen it: it can be left out.
 * So a history in which every written value is unique has no open operations left, and is easy to search.
 *
 * An operation may see and leave several values, each in a place of its own: the text of a value then begins with its place.
 *
 * Values that nobody saw or asked for make no difference to anybody, and an open operation may as well leave any of them: it
 * leaves `UNSEEN`, and so is like all the others that do.
 */

import type { Operation } from "../history.js";
import type { Simplified } from "./model.js";

/** What an operation, if it took effect, had to do with the values of the object. */
export interface Footprint {
  /** The values it found, as texts; none: it did not look, or does not tell. */
  readonly observes: readonly string[];
  /** The values it left, as texts; none: it left what it found. */
  readonly writes: readonly string[];
  /** Other values that its answer depends on: those that it said were not there, or that only it itself saw. */
  readonly asks?: readonly string[];
  /** It answered according to what it found, without telling what that was. */
  readonly blind: boolean;
}

/** Stands for any value that nobody saw. */
export const UNSEEN: unique symbol = Symbol("a value that nobody saw");

export interface ObservationRules {
  /** Whether the value may be found though no operation left it: the one that the object began with. */
  isInitial(value: string): boolean;
  footprint(operation: Operation): Footprint;
  /** An open operation that took effect before `before`, as a finished one. */
  close(operation: Operation, before: number): Operation;
  /** An open operation with `UNSEEN` in the place of values that it leaves and that nobody saw. By default as it is. */
  blur?(operation: Operation, isSeen: (value: string) => boolean): Operation;
}

interface Item {
  readonly original: Operation;
  readonly footprint: Footprint;
  operation: Operation;
}

export function simplifyByObservation(operations: readonly Operation[], rules: ObservationRules): readonly Simplified[] {
  const items: Item[] = operations.map((operation) => ({
    original: operation,
    operation,
    footprint: rules.footprint(operation),
  }));
  const writers = onlyWriters(items, rules);
  closeObserved(items, writers, rules);
  const blind = items.some((item) => item.operation.return !== null && item.footprint.blind);
  return blurUnseen(blind ? items.filter(mayMatter) : withoutUnobserved(items, writers), rules);
}

function blurUnseen(items: readonly Item[], rules: ObservationRules): readonly Simplified[] {
  const seen = new Set<string>();
  for (const { footprint } of items) for (const value of [...footprint.observes, ...(footprint.asks ?? [])]) seen.add(value);
  const isSeen = (value: string): boolean => seen.has(value);
  return items.map(({ original, operation }) => {
    const blurred = operation.return === null ? rules.blur?.(operation, isSeen) : undefined;
    return { original, operation: blurred ?? operation };
  });
}

/** Value -> the one operation that wrote it. Values with several possible origins are not in it. */
function onlyWriters(items: readonly Item[], rules: ObservationRules): ReadonlyMap<string, Item> {
  const writers = new Map<string, Item>();
  const ambiguous = new Set<string>();
  for (const item of items) {
    for (const value of item.footprint.writes) {
      if (rules.isInitial(value) || writers.has(value)) ambiguous.add(value);
      writers.set(value, item);
    }
  }
  for (const value of ambiguous) writers.delete(value);
  return writers;
}

/** Observers in the order of their returns, so that an open operation gets the earliest end that a finished one proves. */
function closeObserved(items: readonly Item[], writers: ReadonlyMap<string, Item>, rules: ObservationRules): void {
  const observers = items.filter((item) => item.operation.return !== null);
  observers.sort((left, right) => endOf(left) - endOf(right));
  // It grows while it is walked: an open swap that was observed has itself observed what it replaced.
  for (const observer of observers) {
    for (const value of observer.footprint.observes) {
      const writer = writers.get(value);
      if (writer === undefined || writer.operation.return !== null) continue;
      // Seen before it was asked for: no order explains that, and the search will say so. Its interval stays a legal one.
      const before = Math.max(writer.operation.call, endOf(observer));
      writer.operation = rules.close(writer.operation, before);
      observers.push(writer);
    }
  }
}

function endOf(item: Item): number {
  return item.operation.return ?? Number.POSITIVE_INFINITY;
}

/** Whether it is finished, or would change something. */
function mayMatter(item: Item): boolean {
  return item.operation.return !== null || item.footprint.writes.length > 0;
}

/** Keeps the finished ones, the open ones of ambiguous values, and whatever one that is kept may have observed. */
function withoutUnobserved(items: readonly Item[], writers: ReadonlyMap<string, Item>): readonly Item[] {
  const kept = new Set<Item>();
  for (const item of items) {
    if (item.operation.return !== null || item.footprint.writes.some((value) => writers.get(value) !== item)) kept.add(item);
  }
  for (const item of kept) {
    // An open operation that answers according to something untold may need any other: then nothing is left out.
    if (item.footprint.blind) return items.filter(mayMatter);
    for (const value of item.footprint.observes) {
      const writer = writers.get(value);
      if (writer !== undefined) kept.add(writer);
    }
  }
  return items.filter((item) => kept.has(item));
}
