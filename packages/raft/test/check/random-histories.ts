/** Histories of simulated registers of the three kinds. */
import type { Operation } from "../../src/check/index.js";
import { SeededRandom } from "../../src/sim/random.js";
import {
  borrowedAnswer,
  type Crowd,
  historyOf,
  mutate,
  type OtherAnswer,
  type Request,
  type SimulatedObject,
} from "./clients.js";

export type Kind = "register" | "cas-register" | "versioned-register";

export interface Shape extends Crowd {
  readonly kind: Kind;
  /** How many different values are written; 0: each value once. Versioned registers always write each value once. */
  readonly values: number;
  /** Of a thousand versioned swaps, how many expect a revision that nobody may have been told yet. Default: 0. */
  readonly guessedPerMille?: number;
}

/** What the register holds, and how it answers. */
interface Simulated {
  value: unknown;
  revision: number;
  /** The revision that a client was told last. */
  told: number;
}

export function randomHistory(seed: number, shape: Shape): Operation[] {
  return historyOf(new SeededRandom(seed, 1), shape, simulatedRegister(shape));
}

function simulatedRegister(shape: Shape): SimulatedObject {
  const versioned = shape.kind === "versioned-register";
  const simulated: Simulated = { value: null, revision: 0, told: 0 };
  let nextValue = 1;
  return {
    ask: (random) => {
      const value = shape.values === 0 || versioned ? nextValue : 1 + random.below(shape.values);
      nextValue += 1;
      return ask(random, shape, simulated, value);
    },
    take: (request) => (versioned ? takeVersioned(simulated, request) : take(simulated, request)),
    told: (_request, output) => {
      if (versioned) simulated.told = revisionTold(output);
    },
    // Other keys of the same store use up revisions too.
    drift: (random) => {
      if (random.chance(300)) simulated.revision += 1;
    },
  };
}

function ask(random: SeededRandom, shape: Shape, simulated: Simulated, value: number): Request {
  const choice = random.below(shape.kind === "register" ? 2 : 3);
  if (choice === 0) return { f: "read", input: null };
  if (shape.kind === "versioned-register") {
    if (choice === 1) return { f: "write", input: `v${value}` };
    const expected = random.chance(shape.guessedPerMille ?? 0) ? revisionTold(simulated.value) : simulated.told;
    return { f: "cas", input: { expected, value: `v${value}` } };
  }
  if (choice === 1) return { f: "write", input: value };
  const guess = random.chance(600) || shape.values === 0 ? simulated.value : 1 + random.below(shape.values);
  return { f: "cas", input: [guess, value] };
}

/** Of a read's answer, or of a write's. */
function revisionTold(answer: unknown): number {
  if (typeof answer === "number") return answer;
  return (answer as { revision: number } | null)?.revision ?? 0;
}

function take(simulated: Simulated, request: Request): unknown {
  if (request.f === "read") return simulated.value;
  if (request.f === "write") {
    simulated.value = request.input;
    return null;
  }
  const [expected, value] = request.input as [unknown, unknown];
  if (simulated.value !== expected) return false;
  simulated.value = value;
  return true;
}

/** A swap that is refused turns into a read, as a recorder makes it. */
function takeVersioned(simulated: Simulated, request: { f: string; input: unknown }): unknown {
  if (request.f === "read") return simulated.value;
  const current = simulated.value as { value: string; revision: number } | null;
  if (request.f === "cas" && (request.input as { expected: number }).expected !== (current?.revision ?? 0)) {
    request.f = "read";
    request.input = null;
    return current;
  }
  const value = request.f === "write" ? (request.input as string) : (request.input as { value: string }).value;
  simulated.revision += 1;
  simulated.value = { value, revision: simulated.revision };
  return simulated.revision;
}

/** The same history with something changed in it, most often so that it is not linearizable any more. */
export function mutateRegister(seed: number, operations: readonly Operation[]): Operation[] {
  return mutate(seed, operations, otherAnswer);
}

const otherAnswer: OtherAnswer = (random, operation, other) => {
  const borrowed = borrowedAnswer(random, operation, other);
  if (borrowed !== undefined) return borrowed;
  if (operation.f === "read") return null;
  if (typeof operation.output === "number") return random.chance(500) ? null : operation.output + 1;
  return undefined;
};
