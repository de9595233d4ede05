/**
 * A queue: what was put in first comes out first.
 *
 * - `enqueue`: the input is the value, not null; the output means nothing.
 * - `dequeue`: the output is the value that was taken out, null if the queue was empty.
 *
 * Values are plain data, compared by content. The queue begins empty.
 */

import type { Operation } from "../history.js";
import { canonicalText } from "../values.js";
import { type Model, unknownFunction } from "./model.js";
import { type Footprint, simplifyByObservation } from "./observation.js";
import { closeUntold, sameRequest } from "./one-value.js";
import { orderEnqueues } from "./queue-order.js";

/** The values from the first to the last, each as a text with an end of line, which no such text contains. */
export interface QueueState {
  readonly lines: string;
}

const FUNCTIONS = ["enqueue", "dequeue"];

export const queue: Model<QueueState> = {
  name: "queue",
  init: () => ({ lines: "" }),
  step,
  identity: ({ lines }) => lines,
  describe: ({ lines }) => `[${lines.trimEnd().replaceAll("\n", ", ")}]`,
  validate,
  simplify: (operations) =>
    orderEnqueues(simplifyByObservation(operations, { isInitial: (value) => value === TAKEN, footprint, close: closeUntold })),
  alike: sameRequest,
};

function step({ lines }: QueueState, operation: Operation): QueueState | null {
  if (operation.f === "enqueue") return { lines: `${lines}${canonicalText(operation.input)}\n` };
  const end = lines.indexOf("\n");
  // An open dequeue took whatever was first.
  if (operation.return === null) return end === -1 ? { lines } : { lines: lines.slice(end + 1) };
  if (operation.output === null) return end === -1 ? { lines } : null;
  const line = `${canonicalText(operation.output)}\n`;
  return lines.startsWith(line) ? { lines: lines.slice(line.length) } : null;
}

function validate({ f, input, output, return: end }: Operation): string | null {
  if (!FUNCTIONS.includes(f)) return unknownFunction(f, "queue", FUNCTIONS);
  if (f === "enqueue" && (input === undefined || input === null)) return "the input of an enqueue must be a value, and not null";
  if (f === "dequeue" && end !== null && output === undefined) {
    return "the output of a dequeue is missing: give the value that was taken out, null where the queue was empty";
  }
  return null;
}

/** What an open dequeue leaves: nobody can see it, but it may have made a difference to everybody. */
const TAKEN = "taken";

function footprint({ f, input, output, return: end }: Operation): Footprint {
  if (f === "enqueue") return { observes: [], writes: [canonicalText(input)], blind: false };
  if (end === null) return { observes: [], writes: [TAKEN], blind: false };
  return { observes: output === null ? [] : [canonicalText(output)], writes: [], blind: false };
}
