/**
 * A counter.
 *
 * - `add`: the input is the amount, an integer that may be negative; the output means nothing.
 * - `increment`: adds one; the output is the new count, or null if the client was not told.
 * - `read`: the output is the count.
 *
 * It begins with 0 unless told otherwise.
 */

import { HistoryError, type Operation } from "../history.js";
import { type Model, type ModelOptions, type Simplified, unknownFunction } from "./model.js";

export interface CounterState {
  readonly count: number;
}

const FUNCTIONS = ["add", "increment", "read"];

export function counterModel(options: ModelOptions = {}): Model<CounterState> {
  const { initial = 0 } = options;
  if (!isCount(initial)) throw new HistoryError(`a counter begins with an integer, not with ${JSON.stringify(initial)}`);
  return {
    name: "counter",
    init: () => ({ count: initial }),
    step,
    identity: ({ count }) => count,
    describe: ({ count }) => String(count),
    validate,
    simplify,
    // Three increments are alike, and so are they and an `add` of 1.
    alike: (operation) => (operation.f === "read" ? "read" : String(amountOf(operation))),
  };
}

/** Begins with 0. */
export const counter: Model<CounterState> = counterModel();

function step(state: CounterState, operation: Operation): CounterState | null {
  const told = toldBy(operation);
  const count = operation.f === "read" ? state.count : state.count + amountOf(operation);
  if (told !== null && told !== count) return null;
  return operation.f === "read" ? state : { count };
}

function amountOf({ f, input }: Operation): number {
  return f === "increment" ? 1 : (input as number);
}

/** The count that the client was told. */
function toldBy({ f, output, return: end }: Operation): number | null {
  return end === null || f === "add" ? null : (output as number | null);
}

function validate({ f, input, output, return: end }: Operation): string | null {
  if (!FUNCTIONS.includes(f)) return unknownFunction(f, "counter", FUNCTIONS);
  if (f === "add") return isCount(input) ? null : "the input of an add must be an integer";
  if (end === null || isCount(output)) return null;
  if (f === "read") return "the output of a read must be an integer";
  return output === null ? null : "the output of an increment must be an integer, or null if it was not told";
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

/** An open operation matters only if it changes the count, and if anybody was told one. */
function simplify(operations: readonly Operation[]): readonly Simplified[] {
  const told = operations.some((operation) => toldBy(operation) !== null);
  const matters = (operation: Operation): boolean => told && operation.f !== "read" && amountOf(operation) !== 0;
  return operations
    .filter((operation) => operation.return !== null || matters(operation))
    .map((operation) => ({ operation, original: operation }));
}
