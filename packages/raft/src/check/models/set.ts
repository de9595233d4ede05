/**
 * A set.
 *
 * - `add`: the input is the element; the output means nothing.
 * - `remove`: the input is the element; the output means nothing. The element need not be there.
 * - `contains`: the input is the element; the output is true or false.
 * - `read`: the output is the list of all elements, in any order.
 *
 * Elements are plain data, compared by content. The set begins empty.
 */

import type { Operation } from "../history.js";
import { canonicalText } from "../values.js";
import { type Model, type Simplified, unknownFunction } from "./model.js";
import { simplifySet } from "./set-sightings.js";

/**
 * A bit for each element, in the order in which a search first meets them, sixteen in a character: a state must be short, and
 * sets of ten thousand elements are common.
 */
export interface SetState {
  readonly bits: string;
  readonly elements: Elements;
}

/** The elements that one search has met. */
interface Elements {
  readonly numbers: Map<string, number>;
  readonly texts: string[];
  /** What each read found; null: not a set, since an element was in it twice. */
  readonly found: Map<Operation, string | null>;
}

const FUNCTIONS = ["add", "remove", "contains", "read"];
const BITS = 16;

export const set: Model<SetState> = {
  name: "set",
  init: () => ({ bits: "", elements: { numbers: new Map(), texts: [], found: new Map() } }),
  step,
  identity: ({ bits }) => bits,
  describe,
  validate,
  simplify: (operations): readonly Simplified[] => simplifySet(operations),
  alike: ({ f, input }) => (f === "read" ? f : `${f} ${canonicalText(input)}`),
};

function step(state: SetState, operation: Operation): SetState | null {
  const { bits, elements } = state;
  if (operation.f === "read") {
    return operation.return === null || foundBy(operation, elements) === bits ? state : null;
  }
  const number = numberOf(operation.input, elements);
  const there = isSet(bits, number);
  if (operation.f === "contains") return operation.return === null || operation.output === there ? state : null;
  const wanted = operation.f === "add";
  return there === wanted ? state : { bits: flip(bits, number), elements };
}

function numberOf(element: unknown, { numbers, texts }: Elements): number {
  const text = canonicalText(element);
  const known = numbers.get(text);
  if (known !== undefined) return known;
  numbers.set(text, texts.length);
  return texts.push(text) - 1;
}

function foundBy(operation: Operation, elements: Elements): string | null {
  const known = elements.found.get(operation);
  if (known !== undefined) return known;
  const output = operation.output as readonly unknown[];
  const numbers = new Set(output.map((element) => numberOf(element, elements)));
  const found = numbers.size === output.length ? bitsOf(numbers) : null;
  elements.found.set(operation, found);
  return found;
}

function bitsOf(numbers: ReadonlySet<number>): string {
  const codes: number[] = [];
  for (const number of numbers) {
    const place = Math.floor(number / BITS);
    while (codes.length <= place) codes.push(0);
    codes[place] = (codes[place] ?? 0) | (1 << (number % BITS));
  }
  return codes.map((code) => String.fromCharCode(code)).join("");
}

function isSet(bits: string, number: number): boolean {
  // Behind the end there is nothing: charCodeAt says NaN there, of which no bit is set.
  return ((bits.charCodeAt(Math.floor(number / BITS)) >> (number % BITS)) & 1) === 1;
}

/** Without zeros at the end: equal sets have equal texts. */
function flip(bits: string, number: number): string {
  const place = Math.floor(number / BITS);
  const padded = bits.padEnd(place + 1, "\0");
  const code = padded.charCodeAt(place) ^ (1 << (number % BITS));
  const flipped = padded.slice(0, place) + String.fromCharCode(code) + padded.slice(place + 1);
  let length = flipped.length;
  while (length > 0 && flipped.charCodeAt(length - 1) === 0) length -= 1;
  return flipped.slice(0, length);
}

function describe({ bits, elements }: SetState): string {
  return `{${elements.texts.filter((_, number) => isSet(bits, number)).join(", ")}}`;
}

function validate({ f, input, output, return: end }: Operation): string | null {
  if (!FUNCTIONS.includes(f)) return unknownFunction(f, "set", FUNCTIONS);
  if (f === "read") {
    return end === null || Array.isArray(output) ? null : "the output of a read must be the list of all elements";
  }
  if (input === undefined || input === null) return `the input of ${f} is missing: give the element`;
  if (f === "contains" && end !== null && typeof output !== "boolean") return "the output of contains must be true or false";
  return null;
}
