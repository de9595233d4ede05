/**
 * Simulated clients of a simulated object, which takes each operation at one moment between its call and its return: their
 * histories are linearizable by construction. And small changes to histories, after which they may or may not be.
 */
import type { Key, Operation } from "../../src/check/index.js";
import { SeededRandom } from "../../src/sim/random.js";

export interface Crowd {
  readonly operations: number;
  readonly clients: number;
  /** Of a thousand operations, how many end without an answer. */
  readonly openPerMille: number;
}

export interface Request {
  readonly f: string;
  readonly input: unknown;
  readonly key?: Key;
}

export interface SimulatedObject {
  /** What a client asks for next. */
  ask(random: SeededRandom, client: number): Request;
  /**
   * Carries it out, and gives the answer, or `LATER` if it has to wait. It may turn the request into another one, as a recorder
   * does with refusals.
   */
  take(request: { -readonly [Field in keyof Request]: Request[Field] }, client: number): unknown;
  /** The client was told that. */
  told?(request: Request, output: unknown, client: number): void;
  /** Happens now and then between two operations. */
  drift?(random: SeededRandom): void;
}

export const LATER = Symbol("later");

interface Pending extends Request {
  readonly call: number;
  output: unknown;
  happened: boolean;
}

export function historyOf(random: SeededRandom, crowd: Crowd, object: SimulatedObject): Operation[] {
  const pending = new Map<number, Pending>();
  const processes = Array.from({ length: crowd.clients }, (_, at) => at);
  const operations: Operation[] = [];
  let nextProcess = crowd.clients;
  let time = 0;
  while (operations.length < crowd.operations) {
    const allAsked = operations.length + pending.size >= crowd.operations;
    // Often 0: operations that touch are as frequent as any others.
    time += random.below(3);
    const at = random.below(processes.length);
    const client = processes[at] ?? 0;
    const request = pending.get(client);
    if (request === undefined) {
      if (allAsked) continue;
      pending.set(client, { ...object.ask(random, client), call: time, output: undefined, happened: false });
    } else if (random.chance(crowd.openPerMille)) {
      operations.push(record(client, request, null));
      pending.delete(client);
      processes[at] = nextProcess;
      nextProcess += 1;
    } else if (!request.happened) {
      const output = object.take(request, client);
      if (output === LATER) {
        // Nobody is left who would end the waiting.
        if (allAsked) pending.delete(client);
        if (allAsked) operations.push(record(client, request, null));
        continue;
      }
      request.output = output;
      request.happened = true;
      object.drift?.(random);
    } else {
      operations.push(record(client, request, time));
      object.told?.(request, request.output, client);
      pending.delete(client);
    }
  }
  return operations;
}

function record(client: number, { f, input, key = null, output, call }: Pending, end: number | null): Operation {
  return { process: client, f, key, input, output: end === null ? null : output, call, return: end };
}

/** Another answer to the operation, with that of another one of its kind at hand; null: let it be. */
export type OtherAnswer = (random: SeededRandom, operation: Operation, other: Operation) => unknown;

/** The same history with something changed in it, most often so that it is not linearizable any more. */
export function mutate(seed: number, operations: readonly Operation[], otherAnswer: OtherAnswer): Operation[] {
  const random = new SeededRandom(seed, 2);
  const changed = [...operations];
  for (let times = 1 + random.below(2); times > 0; times -= 1) {
    const at = random.below(changed.length);
    const operation = changed[at];
    const other = changed[random.below(changed.length)];
    if (operation === undefined || other === undefined) continue;
    changed[at] = mutateOne(random, operation, other, otherAnswer);
  }
  return changed;
}

function mutateOne(random: SeededRandom, operation: Operation, other: Operation, otherAnswer: OtherAnswer): Operation {
  const choice = random.below(4);
  if (choice <= 1 && operation.return !== null) {
    const output = otherAnswer(random, operation, other);
    if (output !== undefined) return { ...operation, output };
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

/** The answer of another operation of the same kind, or the opposite answer; undefined: neither can be had. */
export const borrowedAnswer: OtherAnswer = (_random, operation, other) => {
  if (operation.f === other.f && other.return !== null) return other.output;
  return typeof operation.output === "boolean" ? !operation.output : undefined;
};
