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
import { canonicalText, sameContent } from "../values.js";
import type { Model, Simplified } from "./model.js";
import { type Footprint, simplifyByObservation } from "./observation.js";

export interface RegisterState {
  readonly value: unknown;
}

export interface RegisterOptions {
  /** The value before the first write. Default: null. */
  readonly initial?: unknown;
}

export function registerModel(options: RegisterOptions = {}): Model<RegisterState> {
  return buildModel("register", ["read", "write"], options.initial ?? null);
}

export function casRegisterModel(options: RegisterOptions = {}): Model<RegisterState> {
  return buildModel("cas-register", ["read", "write", "cas"], options.initial ?? null);
}

/** Reads and writes, beginning with null. */
export const register: Model<RegisterState> = registerModel();

/** Reads, writes and compare-and-swaps, beginning with null. */
export const casRegister: Model<RegisterState> = casRegisterModel();

function buildModel(name: string, functions: readonly string[], initial: unknown): Model<RegisterState> {
  return {
    name,
    init: () => ({ value: initial }),
    step,
    identity: (state) => canonicalText(state.value),
    validate: (operation) => validate(operation, name, functions),
    simplify: (operations) => simplify(operations, initial),
  };
}

function step(state: RegisterState, operation: Operation): RegisterState | null {
  if (operation.f === "write") return { value: operation.input };
  if (operation.f === "read") {
    return operation.return === null || sameContent(state.value, operation.output) ? state : null;
  }
  const [expected, value] = operation.input as readonly [unknown, unknown];
  const matches = sameContent(state.value, expected);
  if (refused(operation)) return matches ? null : state;
  return matches ? { value } : null;
}

function refused(operation: Operation): boolean {
  return operation.return !== null && operation.f === "cas" && operation.output === false;
}

function validate(operation: Operation, name: string, functions: readonly string[]): string | null {
  const { f, input, output } = operation;
  if (!functions.includes(f)) return `f is ${JSON.stringify(f)}; a ${name} knows ${functions.join(", ")}`;
  if (f === "write" && input === undefined) return "the input of a write is missing: give the value that is written";
  if (f === "cas" && !(Array.isArray(input) && input.length === 2)) return "the input of a cas must be [expected, value]";
  if (f === "read" && operation.return !== null && output === undefined) {
    return "the output of a read is missing: give the value that was read, null for none";
  }
  return null;
}

function simplify(operations: readonly Operation[], initial: unknown): readonly Simplified[] {
  return simplifyByObservation(operations, {
    initial: canonicalText(initial),
    footprint,
    close: (operation, before) => ({ ...operation, output: null, return: before }),
  });
}

function footprint(operation: Operation): Footprint {
  if (operation.f === "write") return { observes: null, writes: canonicalText(operation.input), blind: false };
  if (operation.f === "read") {
    return { observes: operation.return === null ? null : canonicalText(operation.output), writes: null, blind: false };
  }
  if (refused(operation)) return { observes: null, writes: null, blind: true };
  const [expected, value] = operation.input as readonly [unknown, unknown];
  return { observes: canonicalText(expected), writes: canonicalText(value), blind: false };
}
