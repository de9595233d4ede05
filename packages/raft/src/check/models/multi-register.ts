/**
 * Several registers that transactions read and write together.
 *
 * - `txn`: the input is a list of micro-operations, done one after the other at one moment: `["r", key, null]` reads, `["w",
 *   key, value]` writes; `read` and `write` are the same. The output is the same list with what the reads found in the place
 *   of null, or null if the client was not told.
 *
 * Values are plain data, compared by content; a register that was never written holds null. All registers of a history are
 * judged together. If it is known that some never meet in a transaction, give their operations different keys: then they are
 * judged apart.
 */

import type { Operation } from "../history.js";
import { canonicalText, sameContent } from "../values.js";
import { type Model, unknownFunction } from "./model.js";
import { type Footprint, simplifyByObservation, UNSEEN } from "./observation.js";
import { closeUntold, sameRequest } from "./one-value.js";

/** Registers that hold something, by the text of their key. */
export type MultiRegisterState = ReadonlyMap<string, unknown>;

type MicroOperation = readonly [f: string, key: unknown, value?: unknown];

const READS = ["r", "read"];
const WRITES = ["w", "write"];

export const multiRegister: Model<MultiRegisterState> = {
  name: "multi-register",
  init: () => new Map(),
  step,
  identity: textOf,
  describe: textOf,
  validate,
  simplify: (operations) =>
    simplifyByObservation(operations, {
      isInitial: (value) => value.endsWith(" null"),
      footprint,
      close: closeUntold,
      blur,
    }),
  alike: sameRequest,
};

function step(state: MultiRegisterState, operation: Operation): MultiRegisterState | null {
  let after: Map<string, unknown> | null = null;
  for (const [f, key, value = null] of partsOf(operation)) {
    const name = canonicalText(key);
    if (WRITES.includes(f)) {
      after ??= new Map(state);
      if (value === null) after.delete(name);
      else after.set(name, value);
    } else if (isTold(operation) && !sameContent((after ?? state).get(name) ?? null, value)) return null;
  }
  return after ?? state;
}

/** In the order of the keys, since equal states may have been written in different orders. */
function textOf(state: MultiRegisterState): string {
  const fields = [...state].map(([name, value]) => `${name}: ${canonicalText(value)}`);
  return fields.length === 0 ? "nothing written" : fields.sort().join(", ");
}

function isTold({ output, return: end }: Operation): boolean {
  return end !== null && output !== null;
}

/** What was done, with what the reads found, as far as that is known. */
function partsOf(operation: Operation): readonly MicroOperation[] {
  return (isTold(operation) ? operation.output : operation.input) as readonly MicroOperation[];
}

function validate(operation: Operation): string | null {
  const { f, input, output } = operation;
  if (f !== "txn") return unknownFunction(f, "multi-register", ["txn"]);
  const wrong = wrongParts("input", input);
  if (wrong !== null || !isTold(operation)) return wrong;
  return wrongParts("output", output) ?? otherParts(input as readonly MicroOperation[], output as readonly MicroOperation[]);
}

function wrongParts(what: string, value: unknown): string | null {
  const form = `the ${what} of a txn must be a list of ["r", key, value] and ["w", key, value]`;
  if (!Array.isArray(value)) return form;
  const bad = (value as readonly unknown[]).find((part) => {
    if (!Array.isArray(part) || part.length < 2 || part.length > 3) return true;
    const f: unknown = part[0];
    return !(READS.includes(f as string) || (WRITES.includes(f as string) && part.length === 3));
  });
  return bad === undefined ? null : `${form}, but it holds ${JSON.stringify(bad)}`;
}

/** The output must say the same as the input, but for what the reads found. */
function otherParts(input: readonly MicroOperation[], output: readonly MicroOperation[]): string | null {
  const same =
    input.length === output.length &&
    input.every(([f, key, value], at) => {
      const [otherF, otherKey, otherValue] = output[at] ?? [""];
      if (f !== otherF || !sameContent(key, otherKey)) return false;
      return READS.includes(f) || sameContent(value, otherValue);
    });
  return same ? null : "the output of a txn must list the same micro-operations as its input";
}

/** Only what a transaction found before it wrote the register itself, and what it left there in the end, is seen from outside. */
function footprint(operation: Operation): Footprint {
  const left = new Map<string, string>();
  const observes: string[] = [];
  const asks: string[] = [];
  for (const [f, key, value = null] of partsOf(operation)) {
    const name = canonicalText(key);
    const found = held(key, value);
    if (WRITES.includes(f)) left.set(name, found);
    else if (isTold(operation)) (left.has(name) ? asks : observes).push(found);
  }
  return { observes, writes: [...left.values()], asks, blind: false };
}

/** The text of a value in the place of its register. */
function held(key: unknown, value: unknown): string {
  return `${canonicalText(key)} ${canonicalText(value)}`;
}

function blur(operation: Operation, isSeen: (value: string) => boolean): Operation {
  const input = partsOf(operation).map(([f, key, value = null]) => {
    return [f, key, READS.includes(f) || isSeen(held(key, value)) ? value : UNSEEN];
  });
  return { ...operation, input };
}
