/** Small histories whose verdict can be seen with the naked eye, good and bad of each kind. */
import { describe, expect, test } from "vitest";
import {
  casRegister,
  casRegisterModel,
  checkHistory,
  explain,
  HistoryError,
  type Key,
  type Model,
  type Operation,
  register,
  registerModel,
  versionedRegister,
} from "../../src/check/index.js";
import { judge, operation, type Times } from "./cases.js";

const read = (times: Times, output: unknown, key: Key = null): Operation => operation("read", times, null, output, key);
const write = (times: Times, value: unknown, key: Key = null): Operation => operation("write", times, value, null, key);
const cas = (times: Times, expected: unknown, value: unknown, swapped = true): Operation =>
  operation("cas", times, [expected, value], swapped);

const seen = (times: Times, value: string, revision: number): Operation => read(times, { value, revision });
const put = (times: Times, value: string, revision: number | null): Operation => operation("write", times, value, revision);
const swap = (times: Times, expected: number, value: string, revision: number | null): Operation =>
  operation("cas", times, { expected, value }, revision);

describe("register", () => {
  judge(register, [
    ["nothing happened", "linearizable", []],
    ["a read before any write finds null", "linearizable", [read([0, 1], null)]],
    ["a value out of nowhere", "not", [read([0, 1], 7)]],
    ["read what was written", "linearizable", [write([0, 1], 1), read([2, 3], 1)]],
    ["a stale read", "not", [write([0, 1], 1), write([2, 3], 2), read([4, 5], 1)]],
    ["a read during the write sees the old value", "linearizable", [write([0, 9], 1), read([2, 3], null)]],
    ["a read during the write sees the new value", "linearizable", [write([0, 9], 1), read([2, 3], 1)]],
    ["new, then old, during one write", "not", [write([0, 9], 1), read([1, 2], 1), read([3, 4], null)]],
    ["new and old by readers that overlap", "linearizable", [write([0, 9], 1), read([1, 4], 1), read([3, 5], null)]],
    ["a read of the future", "not", [read([0, 1], 1), write([2, 3], 1)]],
    [
      "two readers disagree on the order of two writes",
      "not",
      [write([0, 9], 1), write([0, 9], 2), read([1, 2], 1), read([3, 4], 2), read([5, 6], 1)],
    ],
    ["operations that touch are concurrent", "linearizable", [write([10, 20], 1), read([20, 30], null)]],
    ["operations that just do not touch are not", "not", [write([10, 20], 1), read([21, 30], null)]],
    ["two moments at the same time", "linearizable", [write([5, 5], 1), read([5, 5], null)]],
    ["an open write is seen later", "linearizable", [write([0, null], 1), read([5, 6], null), read([7, 8], 1)]],
    ["an open write is never seen", "linearizable", [write([0, null], 1), read([5, 6], null), read([70, 80], null)]],
    ["an open write is seen, and then not any more", "not", [write([0, null], 1), read([5, 6], 1), read([7, 8], null)]],
    ["an open write is seen before it was asked for", "not", [write([7, null], 1), read([5, 6], 1)]],
    [
      "an open write hides a finished one, and is hidden by another",
      "linearizable",
      [write([0, 1], 1), write([2, null], 2), read([3, 4], 1), read([5, 6], 2), write([7, 8], 3), read([9, 10], 3)],
    ],
    [
      "an open write comes late, between two others",
      "linearizable",
      [write([0, null], 2), write([1, 2], 1), read([3, 4], 1), read([5, 6], 2), write([7, 8], 1), read([9, 10], 1)],
    ],
    [
      "an open write takes effect twice",
      "not",
      [write([0, null], 2), read([1, 2], 2), write([3, 4], 1), read([5, 6], 1), read([7, 8], 2)],
    ],
    ["an open read says nothing", "linearizable", [write([0, 1], 1), read([2, null], 9), read([3, 4], 1)]],
    ["values are compared by content", "linearizable", [write([0, 1], { a: 1, b: [2] }), read([2, 3], { b: [2], a: 1 })]],
    ["and by all of it", "not", [write([0, 1], { a: 1, b: [2] }), read([2, 3], { b: [3], a: 1 })]],
    ["a text is not a number", "not", [write([0, 1], 1), read([2, 3], "1")]],
    ["writing the initial value again", "linearizable", [write([0, 1], 1), write([2, null], null), read([3, 4], null)]],
    ["nobody wrote the initial value again", "not", [write([0, 1], 1), read([3, 4], null)]],
  ]);

  test("the initial value can be another", () => {
    expect(checkHistory([read([0, 1], 5)], registerModel({ initial: 5 })).verdict).toBe("linearizable");
    expect(checkHistory([read([0, 1], null)], registerModel({ initial: 5 })).verdict).toBe("not");
    expect(checkHistory([cas([0, 1], 5, 6)], casRegisterModel({ initial: 5 })).verdict).toBe("linearizable");
  });
});

describe("compare-and-swap register", () => {
  judge(casRegister, [
    ["a chain of swaps", "linearizable", [write([0, 1], 1), cas([2, 3], 1, 2), cas([4, 5], 2, 3), read([6, 7], 3)]],
    ["two swaps of the same value both succeed", "not", [write([0, 1], 1), cas([2, 5], 1, 2), cas([3, 6], 1, 3)]],
    ["one of two swaps is refused", "linearizable", [write([0, 1], 1), cas([2, 5], 1, 2), cas([3, 6], 1, 3, false)]],
    ["both are refused", "not", [write([0, 1], 1), cas([2, 5], 1, 2, false), cas([3, 6], 1, 3, false)]],
    ["a refused swap has changed something", "not", [write([0, 1], 1), cas([2, 3], 5, 2, false), read([4, 5], 2)]],
    [
      "the loser of a race is refused because of an open write",
      "linearizable",
      [write([0, 1], 1), write([2, null], 9), cas([3, 4], 1, 2, false), read([5, 6], 9)],
    ],
    [
      "refused because of an open write that nobody else saw",
      "linearizable",
      [write([0, 1], 1), write([2, null], 9), cas([3, 4], 1, 2, false), write([5, 6], 3)],
    ],
    [
      "a lost update: the increment of one is overwritten",
      "not",
      [write([0, 1], 0), read([2, 3], 0), read([2, 3], 0), cas([4, 5], 0, 1), cas([6, 7], 0, 1), read([8, 9], 1)],
    ],
    [
      "an open swap is seen through the next one",
      "linearizable",
      [write([0, 1], 1), cas([2, null], 1, 2), cas([4, null], 2, 3), read([5, 6], 3)],
    ],
    ["an open swap without the value it replaces", "not", [write([0, 1], 1), cas([2, null], 7, 2), read([5, 6], 2)]],
    [
      "two swaps are refused because of an open write, which one of them expects",
      "not",
      [write([0, null], 1), cas([1, 2], null, 5, false), cas([3, 4], 1, 6, false)],
    ],
    ["there and back again", "linearizable", [write([0, 1], 1), cas([2, 9], 1, 2), cas([2, 9], 2, 1), read([10, 11], 1)]],
  ]);

  test("a register knows no swaps", () => {
    expect(() => checkHistory([cas([0, 1], 1, 2)], register)).toThrow(HistoryError);
  });
});

describe("versioned register", () => {
  judge(versionedRegister, [
    ["absent at first", "linearizable", [read([0, 1], null)]],
    ["read what was written", "linearizable", [put([0, 1], "a", 5), seen([2, 3], "a", 5)]],
    ["the right value with a wrong revision", "not", [put([0, 1], "a", 5), seen([2, 3], "a", 6)]],
    ["a stale read", "not", [put([0, 1], "a", 5), put([2, 3], "b", 6), seen([4, 5], "a", 5)]],
    ["absent after a write", "not", [put([0, 1], "a", 5), read([4, 5], null)]],
    ["revisions against time", "not", [put([0, 1], "a", 6), put([2, 3], "b", 5)]],
    [
      "revisions decide between concurrent writes",
      "not",
      [put([0, 9], "a", 6), put([0, 9], "b", 5), seen([2, 3], "a", 6), seen([4, 5], "b", 5)],
    ],
    ["two writes with one revision", "not", [put([0, 9], "a", 5), put([0, 9], "b", 5)]],
    ["a chain of swaps", "linearizable", [swap([0, 1], 0, "a", 3), swap([2, 3], 3, "b", 8), seen([4, 5], "b", 8)]],
    ["two swaps of one revision both succeed", "not", [put([0, 1], "a", 3), swap([2, 9], 3, "b", 4), swap([2, 9], 3, "c", 5)]],
    ["a swap creates the key twice", "not", [swap([0, 9], 0, "a", 3), swap([0, 9], 0, "b", 4)]],
    [
      "a lost update",
      "not",
      [put([0, 1], "a", 3), seen([2, 3], "a", 3), put([4, 5], "b", 4), swap([6, 7], 3, "c", 5), seen([8, 9], "c", 5)],
    ],
    [
      "an open write is seen with its revision",
      "linearizable",
      [put([0, 1], "a", 3), put([2, null], "b", null), seen([3, 4], "a", 3), seen([5, 6], "b", 4), seen([7, 8], "b", 4)],
    ],
    ["an open write is seen with two revisions", "not", [put([2, null], "b", null), seen([5, 6], "b", 4), seen([7, 8], "b", 5)]],
    [
      "an open write with a revision that was used before",
      "not",
      [put([0, 1], "a", 4), put([2, null], "b", null), seen([5, 6], "b", 4)],
    ],
    ["an open write is never seen", "linearizable", [put([0, 1], "a", 3), put([2, null], "b", null), seen([5, 9], "a", 3)]],
    [
      "an open write was seen, and is lost",
      "not",
      [put([0, 1], "a", 3), put([2, null], "b", null), seen([3, 4], "b", 4), seen([5, 6], "a", 3)],
    ],
    [
      "an open write is what a swap replaced",
      "linearizable",
      [put([0, 1], "a", 3), put([2, null], "b", null), swap([3, 4], 4, "c", 5)],
    ],
    ["a swap replaced a revision that nobody can have written", "not", [put([0, 1], "a", 3), swap([3, 4], 4, "c", 5)]],
    [
      "an open swap of a revision long gone is seen",
      "not",
      [put([0, 1], "a", 3), put([2, 3], "b", 4), swap([4, null], 3, "c", null), seen([5, 6], "c", 9)],
    ],
    [
      "two writes that were not told fit between two that were",
      "linearizable",
      [put([0, 1], "a", 3), put([2, 3], "b", null), put([4, 5], "c", null), put([6, 7], "d", 6)],
    ],
    [
      "two do not fit where there is room for one",
      "not",
      [put([0, 1], "a", 3), put([2, 3], "b", null), put([4, 5], "c", null), put([6, 7], "d", 5)],
    ],
  ]);

  test.each<readonly [string, readonly Operation[]]>([
    ["must be unique", [put([0, 1], "a", 1), put([2, 3], "a", 2)]],
    ["must be a string", [operation("write", [0, 1], 5, 1)]],
    ["{ value: string, revision", [read([0, 1], "a")]],
    ["{ expected: revision or 0", [operation("cas", [0, 1], [1, "a"], 2)]],
    ["its revision", [operation("write", [0, 1], "a", true)]],
    ["knows read, write, cas", [operation("delete", [0, 1], null)]],
  ])("says what is wrong with an operation: %s", (message, history) => {
    expect(() => checkHistory(history, versionedRegister)).toThrow(message);
  });
});

describe("keys", () => {
  test("are independent", () => {
    const history = [write([0, 1], 1, "a"), write([2, 3], 2, "b"), read([4, 5], 1, "a"), read([6, 7], 2, "b")];
    const result = checkHistory(history, register);
    expect(result.verdict).toBe("linearizable");
    expect(result.groups.map(({ key, operations }) => [key, operations])).toEqual([
      ["a", 2],
      ["b", 2],
    ]);
  });

  test("of different types are different", () => {
    expect(checkHistory([write([0, 1], 1, 1), read([2, 3], null, "1")], register).verdict).toBe("linearizable");
  });

  test("the one at fault is named", () => {
    const result = checkHistory([write([0, 1], 1, "a"), read([4, 5], 1, "a"), read([6, 7], 2, "b")], register);
    expect(result.verdict === "not" && result.failure.key).toBe("b");
  });

  /** A register for each name, which one operation writes together: names cannot be judged one by one. */
  const pairs: Model<Readonly<Record<string, number>>> = {
    name: "pairs",
    init: () => ({}),
    identity: (state) => `${state["a"]} ${state["b"]}`,
    partition: () => null,
    step: (state, { f, key, input, output }) => {
      if (f === "write") return { ...state, ...(input as Record<string, number>) };
      return state[String(key)] === output ? state : null;
    },
  };

  test("a model may judge them together", () => {
    const both = write([0, 9], { a: 1, b: 1 });
    expect(checkHistory([both, read([1, 2], 1, "a"), read([3, 4], 1, "b")], pairs).verdict).toBe("linearizable");
    expect(checkHistory([both, read([1, 2], 1, "a"), read([3, 4], undefined, "b")], pairs).verdict).toBe("not");
  });
});

describe("a history that is not linearizable is explained", () => {
  const history = [write([0, 1], 1), write([2, 3], 2), read([4, 5], 1), write([4, 5], 3), read([6, 7], 3)];

  test("by the longest legal prefixes, and what could not come next", () => {
    const result = checkHistory(history, register);
    if (result.verdict !== "not") throw new Error(result.verdict);
    const [one, two, write3, stale] = [history[0], history[1], history[3], history[2]];
    const trail = [one, two, write3].map((each, at) => ({ operation: each, stateText: String(at + 1) }));
    expect(result.failure).toEqual({
      key: null,
      operations: history,
      prefixes: [{ operations: [one, two, write3], state: { value: 3 }, stateText: "3", trail, stuck: [stale], open: [] }],
    });
  });

  test("with the operations as they stand in the history", () => {
    const open = write([0, null], 1);
    const result = checkHistory([open, read([1, 2], 1), read([3, 4], null)], register);
    if (result.verdict !== "not") throw new Error(result.verdict);
    expect(result.failure.prefixes[0]?.operations[0]).toBe(open);
  });

  test("by all prefixes of that length", () => {
    const result = checkHistory([write([0, 9], 1), write([0, 9], 2), read([10, 11], 3)], register);
    if (result.verdict !== "not") throw new Error(result.verdict);
    expect(result.failure.prefixes.map(({ state }) => state)).toEqual([{ value: 2 }, { value: 1 }]);
    for (const { operations, stuck } of result.failure.prefixes) expect([operations.length, stuck.length]).toEqual([2, 1]);
  });

  test("in words", () => {
    const text = explain(checkHistory(history, register));
    expect(text).toContain("not linearizable");
    expect(text).toContain("legal as far as 3 operations");
    expect(text).toContain("x process 0: read -> 1 [4, 5]");
    expect(explain(checkHistory([], register))).toContain("linearizable: 0 operations");
  });
});

test.each([
  ["call is NaN", write([Number.NaN, 1], 1)],
  ["return is Infinity", write([0, Number.POSITIVE_INFINITY], 1)],
  ["return is before call", write([5, 4], 1)],
])("times that make no sense are refused: %s", (message, wrong) => {
  expect(() => checkHistory([wrong], register)).toThrow(message);
});
