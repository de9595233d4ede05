/** The reason for a verdict, as text for the end of a test or a terminal. */

import type { CheckResult } from "./check.js";
import { describeOperation } from "./history.js";
import type { LegalPrefix } from "./search.js";

/** How much of the end of a legal prefix is shown, and of what is undecided. */
const SHOWN = 10;

/** One line for a history that is linearizable or undecided; for one that is not, how far it could be explained. */
export function explain<State>(result: CheckResult<State>): string {
  const operations = result.groups.reduce((sum, group) => sum + group.operations, 0);
  const groups = result.groups.length === 1 ? "" : ` in ${result.groups.length} groups`;
  const size = `${operations} operations${groups}, ${result.steps} steps`;
  if (result.verdict === "linearizable") return `linearizable: ${size}`;
  if (result.verdict === "unknown") {
    const undecided = result.groups.filter(({ verdict, key }) => verdict === "undecided" && key !== null);
    const keys = undecided.slice(0, SHOWN).map(({ key }) => JSON.stringify(key));
    const more = undecided.length > SHOWN ? ` and ${undecided.length - SHOWN} more` : "";
    return `unknown, out of ${result.reason}: ${size}${keys.length === 0 ? "" : `; undecided: ${keys.join(", ")}${more}`}`;
  }
  const { key, prefixes } = result.failure;
  const subject = key === null ? "" : ` (${JSON.stringify(key)})`;
  return [`not linearizable${subject}: ${size}`, ...prefixes.map(explainPrefix)].join("\n");
}

function explainPrefix<State>({ operations, stateText, stuck, open }: LegalPrefix<State>): string {
  const hidden = Math.max(0, operations.length - SHOWN);
  return [
    `legal as far as ${operations.length} operations:`,
    ...(hidden === 0 ? [] : [`  ... ${hidden} before`]),
    ...operations.slice(hidden).map((operation) => `  ${describeOperation(operation)}`),
    `  the state is now ${stateText}, and one of these must come next, but none can:`,
    ...stuck.map((operation) => `  x ${describeOperation(operation)}`),
    ...(open.length === 0 ? [] : [`  nor do ${open.length} with an unknown outcome help`]),
  ].join("\n");
}
