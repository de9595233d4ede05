/**
 * A register, with and without compare-and-swap.
 *
 * - `read`: the output is the value.
 * - `write`: the input is the value; the output means nothing.
 * - `cas`: the input is `[expected, value]`; the output `false` says that something else was found and nothing was changed,
 *   any other output that the value was swapped.
 *
 * Values are plain data, compared by content. The register begins with null unless told otherwise.
 */

import type { Operation } from "../history.js";
import { canonicalText } from "../values.js";
import { type Model, type ModelOptions, unknownFunction } from "./model.js";
import { type Footprint, simplifyByObservation } from "./observation.js";
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

export type RegisterState = OneValue;

export function registerModel(options: ModelOptions = {}): Model<RegisterState> {
  return buildModel("register", ["read", "write"], options.initial ?? null);
}

export function casRegisterModel(options: ModelOptions = {}): Model<RegisterState> {
  return buildModel("cas-register", ["read", "write", "cas"], options.initial ?? null);
}

/** Reads and writes, beginning with null. */
export const register: Model<RegisterState> = registerModel();

/** Reads, writes and compare-and-swaps, beginning with null. */
export const casRegister: Model<RegisterState> = casRegisterModel();

function buildModel(name: string, functions: readonly string[], initial: unknown): Model<RegisterState> {
  const nothing = canonicalText(initial);
  return {
    name,
    init: () => ({ value: initial }),
    step,
    identity: (state) => canonicalText(state.value),
    describe: (state) => canonicalText(state.value),
    validate: (operation) => validate(operation, name, functions),
    simplify: (operations) =>
      simplifyByObservation(operations, {
        isInitial: (value) => value === nothing,
        footprint,
        close: closeUntold,
        blur: (operation, isSeen) => (operation.f === "read" ? operation : blurWritten(operation, isSeen)),
      }),
    alike: sameRequest,
  };
}

function step(state: RegisterState, operation: Operation): RegisterState | null {
  if (operation.f === "write") return { value: operation.input };
  return operation.f === "read" ? look(state, operation) : compareAndSwap(state, operation);
}

function validate({ f, input, output, return: end }: Operation, name: string, functions: readonly string[]): string | null {
  if (!functions.includes(f)) return unknownFunction(f, name, functions);
  if (f === "write" && input === undefined) return "the input of a write is missing: give the value that is written";
  if (f === "cas") return wrongSwap(input);
  if (f === "read" && end !== null && output === undefined) {
    return "the output of a read is missing: give the value that was read, null for none";
  }
  return null;
}

function footprint(operation: Operation): Footprint {
  if (operation.f === "write") return writeFootprint(operation.input);
  return operation.f === "read" ? lookFootprint(operation) : swapFootprint(operation);
}
