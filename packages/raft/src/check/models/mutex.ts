/**
 * A mutex, which one owner at a time holds. The owner is the process that asks, or whoever the input names (a text or a number):
 * so a client that comes back as another process can release what it holds.
 *
 * - `acquire`: takes the mutex; the output `false` says that somebody, or the owner itself, holds it and nothing was changed.
 * - `release`: gives it back; the output `false` says that the owner does not hold it and nothing was changed.
 *
 * Any other output means nothing. In the beginning nobody holds it.
 */

import type { Operation } from "../history.js";
import { type Model, type Simplified, unknownFunction } from "./model.js";

export interface MutexState {
  /** As text; null: nobody. */
  readonly owner: string | null;
}

const FUNCTIONS = ["acquire", "release"];
const FREE: MutexState = { owner: null };

export const mutex: Model<MutexState> = {
  name: "mutex",
  init: () => FREE,
  step,
  identity: ({ owner }) => owner ?? "",
  describe: ({ owner }) => (owner === null ? "free" : `held by ${owner}`),
  validate,
  simplify,
  alike: (operation) => `${operation.f} ${ownerOf(operation)}`,
};

function step(state: MutexState, operation: Operation): MutexState | null {
  const owner = ownerOf(operation);
  const possible = operation.f === "acquire" ? state.owner === null : state.owner === owner;
  if (refused(operation)) return possible ? null : state;
  if (!possible) return null;
  return operation.f === "acquire" ? { owner } : FREE;
}

function ownerOf({ process: client, input }: Operation): string {
  return input === null || input === undefined ? `process ${client}` : JSON.stringify(input);
}

function refused({ output, return: end }: Operation): boolean {
  return end !== null && output === false;
}

function validate({ f, input }: Operation): string | null {
  if (!FUNCTIONS.includes(f)) return unknownFunction(f, "mutex", FUNCTIONS);
  if (input === null || input === undefined || typeof input === "string" || typeof input === "number") return null;
  return `the input of ${f === "acquire" ? "an acquire" : "a release"} must name the owner by a text or a number, or be null`;
}

/**
 * An open acquire after which its owner releases nothing would be the last thing that happened: nobody could take the mutex
 * after it. So it can be left out, and so can an open release of an owner that acquires nothing; unless somebody was refused
 * and this may be why.
 */
function simplify(operations: readonly Operation[]): readonly Simplified[] {
  const anyRefused = operations.some(refused);
  const lastRelease = new Map<string, number>();
  const owners = new Set<string>();
  for (const operation of operations) {
    const owner = ownerOf(operation);
    if (operation.f === "acquire") owners.add(owner);
    else {
      const before = lastRelease.get(owner) ?? Number.NEGATIVE_INFINITY;
      lastRelease.set(owner, Math.max(before, operation.return ?? Number.POSITIVE_INFINITY));
    }
  }
  const matters = (operation: Operation): boolean => {
    const owner = ownerOf(operation);
    if (operation.f === "release") return owners.has(owner);
    return anyRefused || (lastRelease.get(owner) ?? Number.NEGATIVE_INFINITY) >= operation.call;
  };
  return operations
    .filter((operation) => operation.return !== null || matters(operation))
    .map((operation) => ({ operation, original: operation }));
}
