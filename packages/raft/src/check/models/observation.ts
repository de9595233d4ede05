/**
 * What registers know about operations with an unknown outcome.
 *
 * Where a value is written by one operation only, whoever saw that value proves that the operation took effect, and did so
 * before the observer returned: the open operation has an end after all. And if nobody saw the value, any legal order stays
 * legal without that operation, since what came next was a write, or a look that would have seen it: it can be left out.
 * So a history in which every written value is unique has no open operations left, and is easy to search.
 */

import type { Operation } from "../history.js";
import type { Simplified } from "./model.js";

/** What an operation, if it took effect, had to do with the values of the register. */
export interface Footprint {
  /** The value it found, as a text; null: it did not look, or does not tell. */
  readonly observes: string | null;
  /** The value it left, as a text; null: it left what it found. */
  readonly writes: string | null;
  /** It answered according to what it found, without telling what that was. */
  readonly blind: boolean;
}

export interface ObservationRules {
  readonly initial: string;
  footprint(operation: Operation): Footprint;
  /** An open operation that took effect before `before`, as a finished one. */
  close(operation: Operation, before: number): Operation;
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
  const writers = onlyWriters(items, rules.initial);
  closeObserved(items, writers, rules);
  if (items.some((item) => item.operation.return !== null && item.footprint.blind)) {
    return items.filter((item) => item.operation.return !== null || item.footprint.writes !== null);
  }
  return withoutUnobserved(items, writers);
}

/** Value -> the one operation that wrote it. Values with several possible origins are not in it. */
function onlyWriters(items: readonly Item[], initial: string): ReadonlyMap<string, Item> {
  const writers = new Map<string, Item>();
  const ambiguous = new Set([initial]);
  for (const item of items) {
    const { writes } = item.footprint;
    if (writes === null) continue;
    if (writers.has(writes)) ambiguous.add(writes);
    writers.set(writes, item);
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
    const { observes } = observer.footprint;
    const writer = observes === null ? undefined : writers.get(observes);
    if (writer === undefined || writer.operation.return !== null) continue;
    // Seen before it was asked for: no order explains that, and the search will say so. Its interval stays a legal one.
    const before = Math.max(writer.operation.call, endOf(observer));
    writer.operation = rules.close(writer.operation, before);
    observers.push(writer);
  }
}

function endOf(item: Item): number {
  return item.operation.return ?? Number.POSITIVE_INFINITY;
}

/** Keeps the finished ones, the open ones of ambiguous values, and whatever one that is kept may have observed. */
function withoutUnobserved(items: readonly Item[], writers: ReadonlyMap<string, Item>): readonly Item[] {
  const kept = new Set<Item>();
  for (const item of items) {
    const { writes } = item.footprint;
    if (item.operation.return !== null || (writes !== null && writers.get(writes) !== item)) kept.add(item);
  }
  for (const item of kept) {
    // An open operation that answers according to something untold may need any other: then nothing is left out.
    if (item.footprint.blind) return items.filter((any) => any.operation.return !== null || any.footprint.writes !== null);
    const writer = item.footprint.observes === null ? undefined : writers.get(item.footprint.observes);
    if (writer !== undefined) kept.add(writer);
  }
  return items.filter((item) => kept.has(item));
}
