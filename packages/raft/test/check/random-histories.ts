/**
 * Histories of clients at a simulated register, which takes each operation at one moment between its call and its return: these
 * are linearizable by construction. And small changes to them, after which they may or may not be.
 */
import type { Operation } from "../../src/check/index.js";
import { SeededRandom } from "../../src/sim/random.js";

export type Kind = "register" | "cas-register" | "versioned-register";

export interface Shape {
  readonly kind: Kind;
  readonly operations: number;
  readonly clients: number;
  /** Of a thousand operations, how many end without an answer. */
  readonly openPerMille: number;
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

interface Pending {
  readonly f: string;
  readonly input: unknown;
  readonly call: number;
  output: unknown;
  happened: boolean;
}

export function randomHistory(seed: number, shape: Shape): Operation[] {
  const random = new SeededRandom(seed, 1);
  const simulated: Simulated = { value: null, revision: 0, told: 0 };
  const pending = new Map<number, Pending>();
  const processes = Array.from({ length: shape.clients }, (_, at) => at);
  const operations: Operation[] = [];
  let nextProcess = shape.clients;
  let nextValue = 1;
  let time = 0;
  while (operations.length < shape.operations) {
    const allAsked = operations.length + pending.size >= shape.operations;
    // Often 0: operations that touch are as frequent as any others.
    time += random.below(3);
    const at = random.below(processes.length);
    const client = processes[at] ?? 0;
    const operation = pending.get(client);
    if (operation === undefined) {
      if (allAsked) continue;
      const value = shape.values === 0 || shape.kind === "versioned-register" ? nextValue : 1 + random.below(shape.values);
      nextValue += 1;
      pending.set(client, { ...ask(random, shape, simulated, value), call: time, output: undefined, happened: false });
    } else if (random.chance(shape.openPerMille)) {
      operations.push(record(client, operation, null));
      pending.delete(client);
      processes[at] = nextProcess;
      nextProcess += 1;
    } else if (!operation.happened) {
      operation.output = take(shape.kind, simulated, operation);
      operation.happened = true;
      // Other keys of the same store use up revisions too.
      if (random.chance(300)) simulated.revision += 1;
    } else {
      operations.push(record(client, operation, time));
      if (shape.kind === "versioned-register") simulated.told = revisionTold(operation.output);
      pending.delete(client);
    }
  }
  return operations;
}

function record(client: number, { f, input, output, call }: Pending, end: number | null): Operation {
  return { process: client, f, key: null, input, output: end === null ? null : output, call, return: end };
}

function ask(random: SeededRandom, shape: Shape, simulated: Simulated, value: number): { f: string; input: unknown } {
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

/** Carries the operation out, and gives the answer. A versioned swap that is refused turns into a read, as a recorder makes it. */
function take(kind: Kind, simulated: Simulated, operation: { f: string; input: unknown }): unknown {
  if (operation.f === "read") return simulated.value;
  if (kind === "versioned-register") return takeVersioned(simulated, operation);
  if (operation.f === "write") {
    simulated.value = operation.input;
    return null;
  }
  const [expected, value] = operation.input as [unknown, unknown];
  if (simulated.value !== expected) return false;
  simulated.value = value;
  return true;
}

function takeVersioned(simulated: Simulated, operation: { f: string; input: unknown }): unknown {
  const current = simulated.value as { value: string; revision: number } | null;
  if (operation.f === "cas" && (operation.input as { expected: number }).expected !== (current?.revision ?? 0)) {
    operation.f = "read";
    operation.input = null;
    return current;
  }
  const value = operation.f === "write" ? (operation.input as string) : (operation.input as { value: string }).value;
  simulated.revision += 1;
  simulated.value = { value, revision: simulated.revision };
  return simulated.revision;
}

/** The same history with something changed in it, most often so that it is not linearizable any more. */
export function mutate(seed: number, operations: readonly Operation[]): Operation[] {
  const random = new SeededRandom(seed, 2);
  const changed = [...operations];
  for (let times = 1 + random.below(2); times > 0; times -= 1) {
    const at = random.below(changed.length);
    const operation = changed[at];
    const other = changed[random.below(changed.length)];
    if (operation === undefined || other === undefined) continue;
    changed[at] = mutateOne(random, operation, other);
  }
  return changed;
}

function mutateOne(random: SeededRandom, operation: Operation, other: Operation): Operation {
  const choice = random.below(4);
  // The answer of another operation of the same kind, or the opposite answer.
  if (choice <= 1 && operation.return !== null) {
    if (operation.f === other.f && other.return !== null) return { ...operation, output: other.output };
    if (typeof operation.output === "boolean") return { ...operation, output: !operation.output };
    if (operation.f === "read") return { ...operation, output: null };
    if (typeof operation.output === "number") return { ...operation, output: random.chance(500) ? null : operation.output + 1 };
  }
  // Another time, with the same duration.
  if (choice === 2) {
    const shift = random.below(21) - 10;
    return { ...operation, call: operation.call + shift, return: operation.return === null ? null : operation.return + shift };
  }
  // An answer that came at once, or never.
  if (operation.return === null) return operation;
  return random.chance(700) ? { ...operation, return: operation.call } : { ...operation, output: null, return: null };
}
