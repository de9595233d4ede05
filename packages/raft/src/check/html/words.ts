/** Operations in the words of a page: short enough to stand in a bar, and safe to stand in HTML. */

import type { Operation } from "../history.js";
import { canonicalText, sameContent } from "../values.js";

/** For text and for attributes in double quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export function shorten(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text;
}

/**
 * What was asked and answered: `cas [1,2] → false`. An answer that only repeats the question, or says nothing, is left out; of a
 * transaction the answer holds the question.
 */
export function callText(operation: Operation): string {
  const { f, input, output, return: end } = operation;
  const asksNothing = input === null || input === undefined;
  const asked = asksNothing ? f : `${f} ${canonicalText(input)}`;
  if (end === null) return `${asked} → ?`;
  if (f === "txn" && Array.isArray(output)) return `${f} ${canonicalText(output)}`;
  if (output === undefined || (!asksNothing && (output === null || output === true || sameContent(input, output)))) return asked;
  return `${asked} → ${canonicalText(output)}`;
}

/** The same for a label: without the quotes of short names, and not longer than a label can be. */
export function labelText(operation: Operation, longest: number): string {
  return shorten(callText(operation).replace(/"([A-Za-z_][\w-]*)"/g, "$1"), longest);
}

export function timesText({ call, return: end }: Operation): string {
  return end === null ? `from ${call}, outcome unknown` : `${call} to ${end}`;
}
