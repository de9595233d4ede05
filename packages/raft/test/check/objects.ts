/**
 * The objects other than registers: how simulated clients use each, and a reading of its rules for the brute force, which
 * shares nothing with the checker.
 */
import type { SeededRandom } from "../../src/sim/random.js";
import type { Legal } from "./brute-force.js";
import { borrowedAnswer, LATER, type OtherAnswer, type Request, type SimulatedObject } from "./clients.js";

export interface Played {
  readonly name: string;
  /** A new one. With `few` values, many operations write the same. */
  simulate(few: boolean): SimulatedObject;
  readonly legal: Legal;
  readonly otherAnswer: OtherAnswer;
}

/** Draws values: few different ones, or each one once. */
function values(few: boolean): (random: SeededRandom) => number {
  let next = 0;
  return (random) => {
    next += 1;
    return few ? 1 + random.below(2) : next;
  };
}

/** Of few texts, one may be two others together, so that nobody can tell from a value who wrote what. */
const FEW_TEXTS = ["a", "b", "ab", ""];

/** A key whose values are texts, because it is appended to. */
const keyValue: Played = {
  name: "key-value",
  simulate: (few) => {
    const value = values(few);
    let held: string | null = null;
    return {
      ask: (random): Request => {
        const text = few ? (random.pick(FEW_TEXTS) ?? "") : `${value(random)};`;
        const choice = random.below(8);
        if (choice < 3) return { f: "get", input: null };
        if (choice < 5) return { f: "append", input: text };
        if (choice === 5) return { f: "put", input: text };
        return choice === 6 ? { f: "cas", input: [random.chance(700) ? held : "a", text] } : { f: "delete", input: null };
      },
      take: ({ f, input }) => {
        if (f === "get") return held;
        if (f === "cas") {
          const [expected, next] = input as [string | null, string];
          if (held !== expected) return false;
          held = next;
          return true;
        }
        held = f === "delete" ? null : f === "put" ? (input as string) : (held ?? "") + (input as string);
        return null;
      },
    };
  },
  legal: (order) => {
    let pieces: string[] | null = null;
    const whole = (): string | null => pieces?.join("") ?? null;
    for (const { f, input, output, return: end } of order) {
      if (f === "get") {
        if (end !== null && output !== whole()) return false;
      } else if (f === "append") pieces = [...(pieces ?? []), input as string];
      else if (f === "put") pieces = [input as string];
      else if (f === "delete") pieces = null;
      else {
        const [expected, next] = input as [string | null, string];
        const swapped = end === null || output !== false;
        if (swapped !== (whole() === expected)) return false;
        if (swapped) pieces = [next];
      }
    }
    return true;
  },
  otherAnswer: (random, operation, other) => {
    if (operation.f === "get" && random.chance(300)) return typeof other.input === "string" ? other.input : null;
    return borrowedAnswer(random, operation, other);
  },
};

/** A key whose values are anything, because it is never appended to. */
const keyValuePlain: Played = {
  ...keyValue,
  name: "key-value",
  simulate: (few) => {
    const value = values(few);
    let held: unknown = null;
    return {
      ask: (random): Request => {
        const next = [value(random)];
        const choice = random.below(6);
        if (choice < 2) return { f: "get", input: null };
        if (choice < 4) return { f: "put", input: next };
        return choice === 4 ? { f: "cas", input: [held, next] } : { f: "delete", input: null };
      },
      take: ({ f, input }) => {
        if (f === "get") return held;
        if (f === "put") held = input;
        else if (f === "delete") held = null;
        else if (String(held) !== String((input as unknown[])[0])) return false;
        else held = (input as unknown[])[1];
        return null;
      },
    };
  },
  legal: (order) => {
    let held = "null";
    for (const { f, input, output, return: end } of order) {
      if (f === "put") held = JSON.stringify(input);
      else if (f === "delete") held = "null";
      else if (f === "get") {
        if (end !== null && JSON.stringify(output) !== held) return false;
      } else {
        const [expected, next] = (input as unknown[]).map((part) => JSON.stringify(part));
        const swapped = end === null || output !== false;
        if (swapped !== (held === expected)) return false;
        if (swapped) held = next ?? "";
      }
    }
    return true;
  },
  otherAnswer: (random, operation, other) => {
    if (operation.f === "get" && random.chance(500)) return other.f === "put" ? other.input : null;
    return borrowedAnswer(random, operation, other);
  },
};

function inOrder(numbers: readonly number[]): string {
  return numbers.toSorted((left, right) => left - right).join();
}

const set: Played = {
  name: "set",
  simulate: (few) => {
    const value = values(few);
    const elements = new Set<number>();
    let last = 1;
    return {
      ask: (random): Request => {
        const choice = random.below(8);
        if (choice < 3) {
          last = value(random);
          return { f: "add", input: last };
        }
        if (choice < 5) return { f: "read", input: null };
        const element = random.chance(700) ? last : 1 + random.below(last);
        return { f: choice === 5 && few ? "remove" : "contains", input: element };
      },
      take: ({ f, input }) => {
        const element = input as number;
        if (f === "read") return [...elements].reverse();
        if (f === "contains") return elements.has(element);
        if (f === "add") elements.add(element);
        else elements.delete(element);
        return null;
      },
    };
  },
  legal: (order) => {
    let elements: number[] = [];
    for (const { f, input, output, return: end } of order) {
      const rest = elements.filter((element) => element !== input);
      if (f === "add") elements = [...rest, input as number];
      else if (f === "remove") elements = rest;
      else if (end === null) continue;
      else if (f === "contains") {
        if (output !== rest.length < elements.length) return false;
      } else if (inOrder(elements) !== inOrder(output as number[])) return false;
    }
    return true;
  },
  otherAnswer: (random, operation, other) => {
    if (operation.f === "read" && random.chance(500)) return [...(operation.output as number[]), 1];
    return borrowedAnswer(random, operation, other);
  },
};

const queue: Played = {
  name: "queue",
  simulate: (few) => {
    const value = values(few);
    const waiting: number[] = [];
    return {
      ask: (random) => (random.chance(500) ? { f: "enqueue", input: value(random) } : { f: "dequeue", input: null }),
      take: ({ f, input }) => {
        if (f === "dequeue") return waiting.shift() ?? null;
        waiting.push(input as number);
        return null;
      },
    };
  },
  legal: (order) => {
    const line: unknown[] = [];
    let gone = 0;
    for (const { f, input, output, return: end } of order) {
      if (f === "enqueue") line.push(input);
      else {
        const first = gone < line.length ? line[gone] : null;
        if (end !== null && output !== first) return false;
        if (gone < line.length) gone += 1;
      }
    }
    return true;
  },
  otherAnswer: (random, operation, other) => {
    if (operation.f === "dequeue" && random.chance(300)) return other.f === "enqueue" ? other.input : null;
    return borrowedAnswer(random, operation, other);
  },
};

const counter: Played = {
  name: "counter",
  simulate: (few) => {
    let count = 0;
    return {
      ask: (random): Request => {
        const choice = random.below(5);
        if (choice < 2) return { f: "read", input: null };
        return choice === 2 ? { f: "increment", input: null } : { f: "add", input: few ? 1 : random.between(-3, 4) };
      },
      take: ({ f, input }) => {
        if (f !== "read") count += f === "add" ? (input as number) : 1;
        return f === "add" ? null : count;
      },
    };
  },
  legal: (order) => {
    let sum = 0;
    for (const { f, input, output, return: end } of order) {
      if (f === "increment") sum += 1;
      if (f === "add") sum += Number(input);
      if (f !== "add" && end !== null && output !== null && output !== sum) return false;
    }
    return true;
  },
  otherAnswer: (random, operation, other) => {
    if (typeof operation.output === "number" && random.chance(500)) return operation.output + random.between(-1, 1);
    return borrowedAnswer(random, operation, other);
  },
};

/** With few values, whoever finds it held is refused; otherwise he waits. */
const mutex: Played = {
  name: "mutex",
  simulate: (few) => {
    let owner: number | null = null;
    const holders = new Set<number>();
    return {
      ask: (random, client) => {
        const confused = few && random.chance(100);
        return { f: holders.has(client) !== confused ? "release" : "acquire", input: null };
      },
      take: ({ f }, client) => {
        if (f === "release") {
          if (owner !== client) return false;
          owner = null;
          return null;
        }
        if (owner !== null) return few ? false : LATER;
        owner = client;
        return null;
      },
      told: ({ f }, output, client) => {
        if (output === false) return;
        if (f === "acquire") holders.add(client);
        else holders.delete(client);
      },
    };
  },
  legal: (order) => {
    const held: number[] = [];
    for (const { f, process: client, output, return: end } of order) {
      const free = held.length === 0;
      const possible = f === "acquire" ? free : held.includes(client);
      if (possible === (end !== null && output === false)) return false;
      if (possible) {
        if (f === "acquire") held.push(client);
        else held.pop();
      }
    }
    return true;
  },
  otherAnswer: (_random, operation) => (operation.output === false ? null : false),
};

const multiRegister: Played = {
  name: "multi-register",
  simulate: (few) => {
    const value = values(few);
    const registers = new Map<string, number>();
    return {
      ask: (random): Request => {
        const parts = Array.from({ length: 1 + random.below(3) }, () => {
          const key = random.chance(500) ? "x" : "y";
          return random.chance(500) ? ["r", key, null] : ["w", key, value(random)];
        });
        return { f: "txn", input: parts };
      },
      take: ({ input }) =>
        (input as [string, string, number][]).map(([f, key, written]) => {
          if (f === "w") registers.set(key, written);
          return [f, key, registers.get(key) ?? null];
        }),
    };
  },
  legal: (order) => {
    const registers: Record<string, unknown> = {};
    for (const { input, output, return: end } of order) {
      for (const [at, [f, key, written]] of (input as [string, string, unknown][]).entries()) {
        if (f === "w") registers[key] = written;
        else if (end !== null && output !== null) {
          if ((output as unknown[][])[at]?.[2] !== (registers[key] ?? null)) return false;
        }
      }
    }
    return true;
  },
  otherAnswer: (random, operation, other) => {
    const found = ((other.output ?? []) as unknown[][]).map((part) => part[2]);
    return (operation.output as unknown[][]).map(([f, key, value]) => {
      return f === "r" && random.chance(500) ? [f, key, random.pick(found) ?? null] : [f, key, value];
    });
  },
};

/** A store of many keys, each of which is such an object. */
export function withKeys(played: Played, count: number): SimulatedObject {
  const objects = Array.from({ length: count }, () => played.simulate(false));
  const at = (key: unknown): SimulatedObject => objects[Number(key)] ?? played.simulate(false);
  return {
    ask: (random, client) => {
      const key = random.below(count);
      return { ...at(key).ask(random, client), key };
    },
    take: (request, client) => at(request.key).take(request, client),
    told: (request, output, client) => at(request.key).told?.(request, output, client),
  };
}

export const OBJECTS: readonly Played[] = [keyValue, keyValuePlain, set, queue, counter, mutex, multiRegister];
