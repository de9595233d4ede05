/** How much work a search is, counted in steps and bytes and not in time; and what happens when it is too much. */
import { describe, expect, test } from "vitest";
import {
  type CheckResult,
  casRegister,
  checkHistory,
  counter,
  explain,
  type Model,
  modelByName,
  type Operation,
  register,
  versionedRegister,
} from "../../src/check/index.js";
import { SeededRandom } from "../../src/sim/random.js";
import { historyOf, type SimulatedObject } from "./clients.js";
import { OBJECTS, type Played, withKeys } from "./objects.js";
import { type Kind, randomHistory } from "./random-histories.js";

const { simplify: _, ...plainRegister } = register;

/** Concurrent writes, all of them of values of their own, and then a read of what nobody wrote: every order must be tried. */
function hopeless(writes: number, key: string): Operation[] {
  const common = { process: 0, key };
  const operations: Operation[] = Array.from({ length: writes }, (_, at) => {
    return { ...common, f: "write", input: at, output: null, call: 0, return: 10 };
  });
  return [...operations, { ...common, f: "read", input: null, output: "nobody wrote this", call: 11, return: 12 }];
}

function wrong(key: string): Operation[] {
  return [{ process: 0, key, f: "read", input: null, output: "nobody wrote this", call: 0, return: 1 }];
}

describe("a linearizable history of 10,000 operations by 8 clients on one key", () => {
  const work = (kind: Kind, openPerMille: number, values: number): number => {
    const operations = randomHistory(7, { kind, operations: 10_000, clients: 8, openPerMille, values });
    const started = performance.now();
    const result =
      kind === "versioned-register"
        ? checkHistory(operations, versionedRegister)
        : checkHistory(operations, kind === "register" ? register : casRegister);
    console.log(`${kind}, ${openPerMille} ‰ open: ${explain(result)}, ${Math.round(performance.now() - started)} ms`);
    expect(result.verdict).toBe("linearizable");
    return result.steps;
  };

  test.each<readonly [Kind, number, number]>([
    ["register", 0, 5],
    ["register", 0, 0],
    ["register", 50, 0],
    ["cas-register", 0, 5],
    ["cas-register", 0, 0],
    ["versioned-register", 0, 0],
    ["versioned-register", 100, 0],
  ])("%s, %i of 1,000 open, %i values: at most 100 steps for each operation", (kind, openPerMille, values) => {
    expect(work(kind, openPerMille, values)).toBeLessThan(100 * 10_000);
  });
});

describe("a linearizable history of 10,000 operations by 8 clients of another object", () => {
  const work = (what: string, model: Model<unknown>, openPerMille: number, object: SimulatedObject): CheckResult<unknown> => {
    const operations = historyOf(new SeededRandom(5, 3), { operations: 10_000, clients: 8, openPerMille }, object);
    const started = performance.now();
    const result = checkHistory(operations, model);
    console.log(`${what}, ${openPerMille} ‰ open: ${explain(result)}, ${Math.round(performance.now() - started)} ms`);
    expect(result.verdict).toBe("linearizable");
    return result;
  };
  const [appended] = OBJECTS;

  test.each([0, 10])("a key-value store with 50 keys, %i of 1,000 open: at most 50 steps for each operation", (open) => {
    const result = work("key-value, 50 keys", modelByName("key-value"), open, withKeys(appended as Played, 50));
    expect(result.groups).toHaveLength(50);
    expect(result.steps).toBeLessThan(50 * 10_000);
  });

  test.each(OBJECTS.map((played, at) => [played.name, at, played] as const))(
    "%s (%i): at most 100 steps for each operation",
    (name, _at, played) => {
      expect(work(name, modelByName(name), 0, played.simulate(false)).steps).toBeLessThan(100 * 10_000);
    },
  );

  test.each(OBJECTS.filter(({ name }) => ["set", "queue", "multi-register"].includes(name)))(
    "$name, 20 of 1,000 open: at most 100 steps for each operation",
    (played) => {
      expect(work(played.name, modelByName(played.name), 20, played.simulate(false)).steps).toBeLessThan(100 * 10_000);
    },
  );
});

describe("a budget", () => {
  test("of steps: what is not decided within it is unknown", () => {
    const result = checkHistory(hopeless(20, "a"), register, { maxSteps: 5000 });
    expect(result).toMatchObject({ verdict: "unknown", reason: "steps", steps: 5000 });
    expect(result.groups).toMatchObject([{ key: "a", verdict: "undecided", order: [] }]);
    expect(explain(result)).toContain("unknown, out of steps");
  });

  test("of steps: exactly enough is enough, and one less is not", () => {
    for (const operations of [hopeless(5, "a"), hopeless(5, "a").slice(0, 5)]) {
      const { verdict, steps } = checkHistory(operations, register);
      expect(verdict).not.toBe("unknown");
      expect(checkHistory(operations, register, { maxSteps: steps }).verdict).toBe(verdict);
      expect(checkHistory(operations, register, { maxSteps: steps - 1 }).verdict).toBe("unknown");
    }
  });

  test("of memory: it is kept, and what is not decided within it is unknown", () => {
    const maxMemoBytes = 2 ** 20;
    const result = checkHistory(hopeless(24, "a"), register, { maxMemoBytes });
    expect(result).toMatchObject({ verdict: "unknown", reason: "memory" });
    // An entry and its place take some 40 bytes; growing leaves up to three quarters unused.
    expect(result.groups[0]?.configurations).toBeGreaterThan(5000);
    expect(result.groups[0]?.configurations).toBeLessThan(maxMemoBytes / 16);
  });

  test("of memory: whoever has taken most of it gives way, and the rest is decided", () => {
    const easy = (key: string): Operation[] => hopeless(12, key).slice(0, 12);
    const operations = [...hopeless(24, "hard"), ...easy("first"), ...hopeless(10, "second").slice(0, 10)];
    const result = checkHistory(operations, register, { maxMemoBytes: 2 ** 20 });
    expect(result).toMatchObject({ verdict: "unknown", reason: "memory" });
    expect(result.groups.map(({ verdict }) => verdict)).toEqual(["undecided", "linearizable", "linearizable"]);
  });

  test("of memory: a history that is refuted after another was given up is refuted", () => {
    const operations = [...hopeless(24, "hard"), ...hopeless(10, "bad")];
    const result = checkHistory(operations, register, { maxMemoBytes: 2 ** 20 });
    expect(result).toMatchObject({ verdict: "not", failure: { key: "bad" } });
  });

  test("a hard history is unknown within it, and never wrong, whichever budget ends first", () => {
    // Refuted only by going through all sets of 24 additions: far more than is given.
    const hard = Array.from({ length: 24 }, (_, at): Operation => {
      return { process: at, key: null, f: "add", input: 2 ** at, output: null, call: 0, return: 10 };
    });
    const history = [...hard, { ...(hard[0] as Operation), f: "read", input: null, output: 2 ** 24, call: 11, return: 12 }];
    let asked = 0;
    for (const options of [{ maxSteps: 100_000 }, { maxMemoBytes: 2 ** 22 }, { expired: () => asked++ > 5 }]) {
      const result = checkHistory(history, counter, options);
      expect(result.verdict).toBe("unknown");
      expect(result.steps).toBeLessThan(1_000_000);
      expect(result.groups[0]?.order).toEqual([]);
    }
  });

  test("of time, by a callback", () => {
    let asked = 0;
    const expired = (): boolean => {
      asked += 1;
      return asked > 3;
    };
    const result = checkHistory(hopeless(20, "a"), register, { expired });
    expect(result).toMatchObject({ verdict: "unknown", reason: "time" });
    expect(result.steps).toBeGreaterThan(10_000);
  });

  test.each([{ maxSteps: 0 }, { maxSteps: 1.5 }, { maxMemoBytes: 1000 }, { maxMemoBytes: Number.NaN }])(
    "that makes no sense is refused: %o",
    (options) => {
      expect(() => checkHistory([], register, options)).toThrow(RangeError);
    },
  );
});

describe("groups take turns", () => {
  test("so that one that is easily refuted is, whatever stands before it", () => {
    const operations = [...hopeless(24, "hard"), ...hopeless(24, "harder"), ...wrong("easy")];
    const result = checkHistory(operations, register);
    expect(result).toMatchObject({ verdict: "not", failure: { key: "easy" } });
    expect(result.steps).toBeLessThan(50_000);
  });
});

describe("the memo", () => {
  test("makes the work grow with the sets of operations, not with their orders", () => {
    // 12 writes have 479,001,600 orders; of sets and last writes there are 12 * 2^11 and the one at the beginning.
    const result = checkHistory(hopeless(12, "a"), register);
    expect(result.verdict).toBe("not");
    expect(result.groups[0]?.configurations).toBe(12 * 2 ** 11);
  });

  test("counts configurations right over several words of the set", () => {
    // 40 reads one after the other, then 6 writes at once: sets and last writes after the reads.
    const reads = Array.from({ length: 40 }, (_, at): Operation => {
      return { process: 0, key: null, f: "read", input: null, output: null, call: at - 100, return: at - 100 };
    });
    const writes = hopeless(6, "").map((operation): Operation => ({ ...operation, key: null }));
    const result = checkHistory([...reads, ...writes], plainRegister);
    expect(result.verdict).toBe("not");
    expect(result.groups[0]?.configurations).toBe(40 + 6 * 2 ** 5);
    // Of 3 that are open, each must be met as the last one, and each of the others too, after every set of the others; but not
    // with every set of the open ones as well. (What is open can come before the reads only if they find null after it.)
    for (const at of [1, 3, 5]) writes[at] = { ...(writes[at] as Operation), return: null };
    const withOpen = checkHistory([...reads, ...writes], plainRegister);
    expect(withOpen.verdict).toBe("not");
    expect(withOpen.groups[0]?.configurations).toBeGreaterThanOrEqual(40 + 3 * 2 ** 2 + 2 ** 3 * 3);
    expect(withOpen.groups[0]?.configurations).toBeLessThan(40 + 6 * 2 ** 5);
  });

  test("meets no configuration twice, however many differ in the open operations alone", () => {
    // Of 12 open additions of one, 924 sets of six leave the same count.
    const { simplify: _s, alike: _a, ...plainCounter } = counter;
    const common = { process: 0, key: null };
    const adds = Array.from({ length: 12 }, (): Operation => {
      return { ...common, f: "add", input: 1, output: null, call: 0, return: null };
    });
    const read = (output: number): Operation => ({ ...common, f: "read", input: null, output, call: 1, return: 2 });
    for (const [count, verdict] of [
      [12, "linearizable"],
      [6, "linearizable"],
      [13, "not"],
    ] as const) {
      const result = checkHistory([...adds, read(count)], plainCounter);
      expect(result.verdict).toBe(verdict);
      expect(result.groups[0]?.configurations).toBeLessThanOrEqual(2 ** 12);
      // Where the model says that they are alike, only how many there are is left to try.
      const alike = checkHistory([...adds, read(count)], counter);
      expect(alike.verdict).toBe(verdict);
      expect(alike.groups[0]?.configurations).toBeLessThanOrEqual(12 + 1);
    }
  });
});
