/** What registers and keys of a store have in common: an object that holds one value, which is looked at and swapped. */

import type { Operation } from "../history.js";
import { canonicalText, sameContent } from "../values.js";
import { type Footprint, UNSEEN } from "./observation.js";

export interface OneValue {
  readonly value: unknown;
}

/** After a look that found this value; an open one may have found any. */
export function look<State extends OneValue>(state: State, operation: Operation): State | null {
  return operation.return === null || sameContent(state.value, operation.output) ? state : null;
}

/** After a compare-and-swap with the input `[expected, value]`, which the output `false` says was refused. */
export function compareAndSwap(state: OneValue, operation: Operation): OneValue | null {
  const [expected, value] = operation.input as readonly [unknown, unknown];
  const matches = sameContent(state.value, expected);
  if (refused(operation)) return matches ? null : state;
  return matches ? { value } : null;
}

export function lookFootprint(operation: Operation): Footprint {
  return { observes: operation.return === null ? [] : [canonicalText(operation.output)], writes: [], blind: false };
}

export function writeFootprint(value: unknown): Footprint {
  return { observes: [], writes: [canonicalText(value)], blind: false };
}

export function swapFootprint(operation: Operation): Footprint {
  const [expected, value] = operation.input as readonly [unknown, unknown];
  if (refused(operation)) return { observes: [], writes: [], asks: [canonicalText(expected)], blind: true };
  return { observes: [canonicalText(expected)], writes: [canonicalText(value)], blind: false };
}

/** A write of a value (`f` is any but "cas"), or a compare-and-swap, that leaves `UNSEEN` where nobody saw the value. */
export function blurWritten(operation: Operation, isSeen: (value: string) => boolean): Operation {
  if (operation.f !== "cas") return isSeen(canonicalText(operation.input)) ? operation : { ...operation, input: UNSEEN };
  const [expected, value] = operation.input as readonly [unknown, unknown];
  return isSeen(canonicalText(value)) ? operation : { ...operation, input: [expected, UNSEEN] };
}

/** A compare-and-swap that found something else. */
export function refused(operation: Operation): boolean {
  return operation.return !== null && operation.f === "cas" && operation.output === false;
}

/** An open operation whose effect was seen before that moment; what it would have answered stays untold. */
export function closeUntold(operation: Operation, before: number): Operation {
  return { ...operation, output: null, return: before };
}

/** For `Model.alike` of objects to which it does not matter who asks. */
export function sameRequest({ f, input }: Operation): string {
  return `${f} ${canonicalText(input)}`;
}

export function wrongSwap(input: unknown): string | null {
  return Array.isArray(input) && input.length === 2 ? null : "the input of a cas must be [expected, value]";
}
