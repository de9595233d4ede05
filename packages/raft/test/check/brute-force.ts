/**
 * The second opinion on small histories: every order that time allows, with every choice of open operations, judged by a
 * reading of the rules that shares nothing with the checker: no models, no memo, no simplification.
 */
import type { Operation } from "../../src/check/index.js";

/** Whether the answers fit, if the operations happen one after the other in this order. */
export type Legal = (order: readonly Operation[]) => boolean;

export function bruteForce(operations: readonly Operation[], legal: Legal): boolean {
  const extend = (order: readonly Operation[], rest: readonly Operation[]): boolean => {
    if (rest.every((operation) => operation.return === null)) return true;
    return rest.some((next) => {
      const others = rest.filter((other) => other !== next);
      if (others.some((other) => endsBefore(other, next))) return false;
      const longer = [...order, next];
      return legal(longer) && extend(longer, others);
    });
  };
  return extend([], operations);
}

/** Whether this is a legal order of the history: all that is finished is there, once, in an order that time allows. */
export function isWitness(order: readonly Operation[], operations: readonly Operation[], legal: Legal): boolean {
  const taken = new Set(order);
  if (taken.size !== order.length || order.some((operation) => !operations.includes(operation))) return false;
  if (operations.some((operation) => operation.return !== null && !taken.has(operation))) return false;
  // No operation may end before one that stands earlier in the order begins.
  let latestCall = Number.NEGATIVE_INFINITY;
  for (const operation of order) {
    if (operation.return !== null && operation.return < latestCall) return false;
    latestCall = Math.max(latestCall, operation.call);
  }
  return legal(order);
}

function endsBefore(first: Operation, second: Operation): boolean {
  return first.return !== null && first.return < second.call;
}

/** Registers whose values are numbers, beginning with null. */
export const registerLegal: Legal = (order) => {
  let value: unknown = null;
  for (const { f, input, output, return: end } of order) {
    if (f === "write") value = input;
    else if (f === "read") {
      if (end !== null && output !== value) return false;
    } else {
      const [expected, next] = input as [unknown, unknown];
      const swapped = end === null || output !== false;
      if (swapped !== (value === expected)) return false;
      if (swapped) value = next;
    }
  }
  return true;
};

/**
 * A key with revisions: what each write's revision is, as far as anybody tells, and then whether integers can be found for
 * the others such that they grow.
 */
export const versionedLegal: Legal = (order) => {
  const writes: { value: string | null; revision: number | null }[] = [{ value: null, revision: 0 }];
  const isCurrently = (revision: number): boolean => {
    const current = writes[writes.length - 1] as { revision: number | null };
    current.revision ??= revision;
    return current.revision === revision;
  };
  for (const { f, input, output, return: end } of order) {
    if (f === "read") {
      if (end === null) continue;
      const { value, revision } = (output ?? { value: null, revision: 0 }) as { value: string | null; revision: number };
      if (writes.at(-1)?.value !== value || !isCurrently(revision)) return false;
      continue;
    }
    if (f === "cas" && !isCurrently((input as { expected: number }).expected)) return false;
    const value = f === "write" ? (input as string) : (input as { value: string }).value;
    writes.push({ value, revision: end === null ? null : (output as number | null) });
  }
  let last = -1;
  for (const { revision } of writes) {
    if (revision !== null && revision <= last) return false;
    last = revision ?? last + 1;
  }
  return true;
};
