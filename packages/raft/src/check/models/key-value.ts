/**
 * A key-value store, one key at a time: keys are independent of one another.
 *
 * - `get`: the output is the value, null where there is none.
 * - `put`: the input is the value; the output means nothing.
 * - `delete`: afterwards there is no value; input and output mean nothing.
 * - `append`: the input is a text that is put behind the value, or in place of one where there is none; the output means
 *   nothing. The other values of such a key are texts too.
 * - `cas`: the input is `[expected, value]`, where null expects no value; the output `false` says that something else was found
 *   and nothing was changed, any other output that the value was swapped.
 *
 * Values are plain data, compared by content. A key begins without a value, unless told otherwise; what it begins with is also
 * what `delete` leaves. (A store whose missing keys read as "" begins with "".)
 */

import type { Operation } from "../history.js";
import { canonicalText } from "../values.js";
import { type SeenAppend, simplifyAppends } from "./appends.js";
import { type Model, type ModelOptions, type Simplified, unknownFunction } from "./model.js";
import { type Footprint, simplifyByObservation, UNSEEN } from "./observation.js";
import {
  blurWritten,
  closeUntold,
  compareAndSwap,
  look,
  lookFootprint,
  type OneValue,
  sameRequest,
  swapFootprint,
  writeFootprint,
  wrongSwap,
} from "./one-value.js";

export type KeyValueState = OneValue;

const FUNCTIONS = ["get", "put", "delete", "append", "cas"];

export function keyValueModel(options: ModelOptions = {}): Model<KeyValueState> {
  const initial = options.initial ?? null;
  return {
    name: "key-value",
    init: () => ({ value: initial }),
    step: (state, operation) => step(state, operation, initial),
    identity: (state) => canonicalText(state.value),
    describe: (state) => canonicalText(state.value),
    validate,
    simplify: (operations) => simplify(operations, initial),
    alike,
  };
}

/** Keys that begin without a value. */
export const keyValue: Model<KeyValueState> = keyValueModel();

function step(state: KeyValueState, operation: Operation, initial: unknown): KeyValueState | null {
  switch (operation.f) {
    case "get":
      return look(state, operation);
    case "put":
      return { value: operation.input };
    case "delete":
      return { value: initial };
    case "append":
      return append(state, operation.input as string | SeenAppend);
    default:
      return compareAndSwap(state, operation);
  }
}

function append({ value }: KeyValueState, input: string | SeenAppend): KeyValueState | null {
  if (value === UNSEEN) return { value };
  if (value !== null && typeof value !== "string") return null;
  if (typeof input === "string") return { value: (value ?? "") + input };
  const longer = (value ?? "") + input.text;
  return { value: input.isSeenSoFar(longer) ? longer : UNSEEN };
}

function alike(operation: Operation): string {
  const { f, input } = operation;
  if (f === "delete") return f;
  return f === "append" && typeof input !== "string" ? `append ${(input as SeenAppend).text}` : sameRequest(operation);
}

function validate({ f, input, output, return: end }: Operation): string | null {
  if (!FUNCTIONS.includes(f)) return unknownFunction(f, "key-value", FUNCTIONS);
  if (f === "put" && input === undefined) return "the input of a put is missing: give the value that is written";
  if (f === "append" && typeof input !== "string") return "the input of an append must be a text";
  if (f === "cas") return wrongSwap(input);
  if (f === "get" && end !== null && output === undefined) {
    return "the output of a get is missing: give the value that was found, null for none";
  }
  return null;
}

function simplify(operations: readonly Operation[], initial: unknown): readonly Simplified[] {
  if (operations.some(({ f }) => f === "append")) return simplifyAppends(operations, initial);
  const nothing = canonicalText(initial);
  return simplifyByObservation(operations, {
    isInitial: (value) => value === nothing,
    footprint: (operation) => footprint(operation, initial),
    close: closeUntold,
    blur: (operation, isSeen) => {
      return operation.f === "put" || operation.f === "cas" ? blurWritten(operation, isSeen) : operation;
    },
  });
}

function footprint(operation: Operation, initial: unknown): Footprint {
  if (operation.f === "get") return lookFootprint(operation);
  if (operation.f === "put") return writeFootprint(operation.input);
  return operation.f === "delete" ? writeFootprint(initial) : swapFootprint(operation);
}
