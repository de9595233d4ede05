/** Small histories of every object but the registers whose verdict can be seen with the naked eye, good and bad of each kind. */
import { describe, expect, test } from "vitest";
import {
  checkHistory,
  counter,
  counterModel,
  HistoryError,
  keyValue,
  keyValueModel,
  MODEL_NAMES,
  modelByName,
  multiRegister,
  mutex,
  type Operation,
  queue,
  set,
} from "../../src/check/index.js";
import { judge, operation, type Times } from "./cases.js";

function refuses(model: Parameters<typeof checkHistory>[1], cases: readonly (readonly [string, Operation])[]): void {
  test.each(cases)("says what is wrong with an operation: %s", (message, wrong) => {
    expect(() => checkHistory([wrong], model)).toThrow(HistoryError);
    expect(() => checkHistory([wrong], model)).toThrow(message);
  });
}

describe("key-value", () => {
  const get = (times: Times, value: unknown, key = "a"): Operation => operation("get", times, null, value, key);
  const put = (times: Times, value: unknown, key = "a"): Operation => operation("put", times, value, null, key);
  const append = (times: Times, text: string): Operation => operation("append", times, text, null, "a");
  const remove = (times: Times): Operation => operation("delete", times, null, null, "a");
  const cas = (times: Times, expected: unknown, value: unknown, swapped = true): Operation =>
    operation("cas", times, [expected, value], swapped, "a");

  judge(keyValue, [
    ["no value at first", "linearizable", [get([0, 1], null)]],
    ["a value out of nowhere", "not", [get([0, 1], "x")]],
    ["what was put is got", "linearizable", [put([0, 1], { n: 1 }), get([2, 3], { n: 1 })]],
    ["a stale get", "not", [put([0, 1], "x"), put([2, 3], "y"), get([4, 5], "x")]],
    ["keys have nothing to do with each other", "not", [put([0, 1], "x", "b"), get([2, 3], "x", "a")]],
    ["deleted", "linearizable", [put([0, 1], "x"), remove([2, 3]), get([4, 5], null)]],
    ["deleted, and still there", "not", [put([0, 1], "x"), remove([2, 3]), get([4, 5], "x")]],
    ["an open delete is seen", "linearizable", [put([0, 1], "x"), remove([2, null]), get([4, 5], "x"), get([6, 7], null)]],
    ["and not undone", "not", [put([0, 1], "x"), remove([2, null]), get([4, 5], null), get([6, 7], "x")]],
    ["appended", "linearizable", [append([0, 1], "x"), append([2, 3], "y"), get([4, 5], "xy")]],
    ["appended in the wrong order", "not", [append([0, 1], "x"), append([2, 3], "y"), get([4, 5], "yx")]],
    ["appended at once, in either order", "linearizable", [append([0, 3], "x"), append([0, 3], "y"), get([4, 5], "yx")]],
    [
      "two readers disagree on the order",
      "not",
      [append([0, 3], "x"), append([0, 3], "y"), get([4, 5], "yx"), get([4, 5], "xy")],
    ],
    ["one append is lost", "not", [append([0, 1], "x"), append([2, 3], "y"), get([4, 5], "y")]],
    ["an open append is seen once", "not", [append([0, null], "x"), get([4, 5], "xx")]],
    [
      "an open append comes late",
      "linearizable",
      [append([0, null], "x"), append([1, 2], "y"), get([3, 4], "y"), get([5, 6], "yx")],
    ],
    ["it is seen in what was put there since", "linearizable", [append([0, null], "x"), put([1, 2], "ax"), get([3, 4], "ax")]],
    [
      "a text that two others make together",
      "linearizable",
      [
        append([0, 1], "a"),
        append([2, null], "ab"),
        append([3, 4], "b"),
        get([5, 6], "ab"),
        get([7, 8], "ab"),
        get([9, 10], "abab"),
      ],
    ],
    ["an open append of nothing makes a value", "linearizable", [append([0, null], ""), get([3, 4], ""), get([5, 6], "")]],
    ["which is not undone", "not", [append([0, null], ""), get([3, 4], ""), get([5, 6], null)]],
    ["created, if absent", "linearizable", [cas([0, 1], null, "x"), cas([2, 3], null, "y", false), get([4, 5], "x")]],
    ["created twice", "not", [cas([0, 3], null, "x"), cas([0, 3], null, "y")]],
    ["refused although it would fit", "not", [put([0, 1], "x"), cas([2, 3], "x", "y", false)]],
    [
      "refused because of an open append",
      "linearizable",
      [put([0, 1], "x"), append([2, null], "y"), cas([3, 4], "x", "z", false)],
    ],
    ["swapped by content", "linearizable", [put([0, 1], { a: 1, b: 2 }), cas([2, 3], { b: 2, a: 1 }, "y"), get([4, 5], "y")]],
  ]);

  judge(keyValueModel({ initial: "" }), [
    ["a missing key that reads as an empty text", "linearizable", [get([0, 1], ""), append([2, 3], "x"), get([4, 5], "x")]],
    ["and does so again when it is deleted", "linearizable", [put([0, 1], "x"), remove([2, 3]), get([4, 5], "")]],
    ["is not null then", "not", [get([0, 1], null)]],
  ]);

  refuses(keyValue, [
    ["knows get, put, delete, append, cas", operation("write", [0, 1], 1)],
    ["the input of an append must be a text", operation("append", [0, 1], 1)],
    ["the input of a cas must be", operation("cas", [0, 1], 1)],
    ["the input of a put is missing", operation("put", [0, 1], undefined)],
    ["the output of a get is missing", { ...operation("get", [0, 1], null), output: undefined }],
  ]);
});

describe("set", () => {
  const add = (times: Times, element: unknown): Operation => operation("add", times, element);
  const remove = (times: Times, element: unknown): Operation => operation("remove", times, element);
  const contains = (times: Times, element: unknown, there: boolean): Operation => operation("contains", times, element, there);
  const read = (times: Times, elements: readonly unknown[]): Operation => operation("read", times, null, elements);

  judge(set, [
    ["empty at first", "linearizable", [read([0, 1], []), contains([2, 3], 1, false)]],
    ["added", "linearizable", [add([0, 1], 1), add([2, 3], [2]), read([4, 5], [[2], 1]), contains([6, 7], [2], true)]],
    ["an element out of nowhere", "not", [add([0, 1], 1), read([2, 3], [1, 2])]],
    ["an element is lost", "not", [add([0, 1], 1), add([2, 3], 2), read([4, 5], [2])]],
    ["an element twice", "not", [add([0, 1], 1), add([2, 3], 1), read([4, 5], [1, 1])]],
    ["added twice is there once", "linearizable", [add([0, 1], 1), add([2, 3], 1), read([4, 5], [1])]],
    ["removed", "linearizable", [add([0, 1], 1), remove([2, 3], 1), read([4, 5], []), remove([6, 7], 1)]],
    ["removed, and still there", "not", [add([0, 1], 1), remove([2, 3], 1), contains([4, 5], 1, true)]],
    ["being added: missed, then seen", "linearizable", [add([0, 9], 1), read([1, 2], []), contains([3, 4], 1, true)]],
    ["being added: seen, then missed", "not", [add([0, 9], 1), contains([1, 2], 1, true), read([3, 4], [])]],
    [
      "two readers see two additions in different orders",
      "not",
      [add([0, 9], 1), add([0, 9], 2), read([1, 2], [1]), read([3, 4], [2])],
    ],
    ["two readers at once do", "not", [add([0, 9], 1), add([0, 9], 2), read([1, 4], [1]), read([1, 4], [2])]],
    ["an open addition is never seen", "linearizable", [add([0, null], 1), read([1, 2], []), read([8, 9], [])]],
    ["it is seen late", "linearizable", [add([0, null], 1), read([1, 2], []), read([8, 9], [1])]],
    ["it is seen, and lost", "not", [add([0, null], 1), read([1, 2], [1]), read([8, 9], [])]],
    ["it is seen before it was asked for", "not", [add([5, null], 1), read([1, 2], [1])]],
    ["an open removal", "linearizable", [add([0, 1], 1), remove([2, null], 1), read([3, 4], [1]), read([5, 6], [])]],
    [
      "missed only because it had been removed",
      "linearizable",
      [add([0, null], 1), read([1, 10], [1]), add([2, 3], 2), remove([3, 4], 1), read([5, 6], [2])],
    ],
    [
      "added again by an open addition, long after the first was seen",
      "linearizable",
      [add([0, null], 1), add([1, 2], 1), read([3, 4], [1]), remove([5, 6], 1), read([7, 8], []), read([9, 10], [1])],
    ],
    [
      "an open removal does not remove twice",
      "not",
      [remove([0, null], 1), add([1, 2], 1), read([3, 4], []), add([5, 6], 1), read([7, 8], [])],
    ],
    ["a text is not a number", "not", [add([0, 1], 1), contains([2, 3], "1", true)]],
    [
      "more elements than fit into one character of the state",
      "linearizable",
      [
        ...Array.from({ length: 40 }, (_, at) => add([at, at], at)),
        remove([50, 51], 39),
        read(
          [52, 53],
          Array.from({ length: 39 }, (_, at) => at),
        ),
      ],
    ],
    [
      "of which one is missing",
      "not",
      [
        ...Array.from({ length: 40 }, (_, at) => add([at, at], at)),
        read(
          [52, 53],
          Array.from({ length: 39 }, (_, at) => at),
        ),
      ],
    ],
  ]);

  refuses(set, [
    ["knows add, remove, contains, read", operation("insert", [0, 1], 1)],
    ["the input of add is missing", operation("add", [0, 1], null)],
    ["the output of contains must be true or false", operation("contains", [0, 1], 1, 1)],
    ["the output of a read must be the list", operation("read", [0, 1], null, 1)],
  ]);
});

describe("queue", () => {
  const enqueue = (times: Times, value: unknown): Operation => operation("enqueue", times, value);
  const dequeue = (times: Times, value: unknown): Operation => operation("dequeue", times, null, value);

  judge(queue, [
    ["empty at first", "linearizable", [dequeue([0, 1], null)]],
    ["first in, first out", "linearizable", [enqueue([0, 1], 1), enqueue([2, 3], 2), dequeue([4, 5], 1), dequeue([6, 7], 2)]],
    ["last in, first out", "not", [enqueue([0, 1], 1), enqueue([2, 3], 2), dequeue([4, 5], 2), dequeue([6, 7], 1)]],
    [
      "put in at once, in either order",
      "linearizable",
      [enqueue([0, 3], 1), enqueue([0, 3], 2), dequeue([4, 5], 2), dequeue([6, 7], 1)],
    ],
    ["taken out twice", "not", [enqueue([0, 1], 1), dequeue([2, 5], 1), dequeue([3, 6], 1)]],
    [
      "put in twice, taken out twice",
      "linearizable",
      [enqueue([0, 1], 1), enqueue([0, 1], 1), dequeue([2, 5], 1), dequeue([3, 6], 1)],
    ],
    ["out of nowhere", "not", [enqueue([0, 1], 1), dequeue([2, 3], 2)]],
    ["empty although something is in it", "not", [enqueue([0, 1], 1), dequeue([2, 3], null)]],
    ["empty for one of two", "linearizable", [enqueue([0, 1], 1), dequeue([2, 5], null), dequeue([3, 6], 1)]],
    ["taken out before it was put in", "not", [dequeue([0, 1], 1), enqueue([2, 3], 1)]],
    ["taken out while it was put in", "linearizable", [dequeue([0, 2], 1), enqueue([2, 3], 1)]],
    ["what was put in later came out, the other stayed", "not", [enqueue([0, 1], 1), enqueue([2, 3], 2), dequeue([4, 5], 2)]],
    [
      "an open dequeue took it",
      "linearizable",
      [enqueue([0, 1], 1), enqueue([2, 3], 2), dequeue([3, null], null), dequeue([4, 5], 2)],
    ],
    ["it was too late for that", "not", [enqueue([0, 1], 1), enqueue([2, 3], 2), dequeue([4, 5], 2), dequeue([6, null], null)]],
    [
      "one open dequeue takes one value",
      "not",
      [enqueue([0, 1], 1), enqueue([2, 3], 2), dequeue([3, null], null), dequeue([4, 5], null)],
    ],
    [
      "an open enqueue is never seen",
      "linearizable",
      [enqueue([0, null], 1), enqueue([2, 3], 2), dequeue([4, 5], 2), dequeue([6, 7], null)],
    ],
    [
      "an open enqueue comes late",
      "linearizable",
      [enqueue([0, null], 1), enqueue([2, 3], 2), dequeue([4, 5], 2), dequeue([6, 7], 1)],
    ],
    ["it comes once", "not", [enqueue([0, null], 1), dequeue([4, 5], 1), dequeue([6, 7], 1)]],
    [
      "dequeues tell an order of the enqueues in which each two can follow each other, but not all three",
      "not",
      [
        enqueue([0, 5], 1),
        enqueue([4, 9], 2),
        enqueue([6, 12], 3),
        dequeue([13, 14], 3),
        dequeue([15, 16], 2),
        dequeue([17, 18], 1),
      ],
    ],
    ["values by content", "linearizable", [enqueue([0, 1], { a: 1, b: "x\ny" }), dequeue([2, 3], { b: "x\ny", a: 1 })]],
  ]);

  refuses(queue, [
    ["knows enqueue, dequeue", operation("push", [0, 1], 1)],
    ["the input of an enqueue must be a value", operation("enqueue", [0, 1], null)],
    ["the output of a dequeue is missing", { ...operation("dequeue", [0, 1], null), output: undefined }],
  ]);
});

describe("counter", () => {
  const add = (times: Times, amount: number): Operation => operation("add", times, amount);
  const increment = (times: Times, count: number | null = null): Operation => operation("increment", times, null, count);
  const read = (times: Times, count: number): Operation => operation("read", times, null, count);

  judge(counter, [
    ["nothing at first", "linearizable", [read([0, 1], 0)]],
    ["added up", "linearizable", [add([0, 1], 5), add([2, 3], -2), increment([4, 5]), read([6, 7], 4)]],
    ["one is lost", "not", [add([0, 1], 5), add([2, 3], 5), read([6, 7], 5)]],
    ["being added: before or after", "linearizable", [add([0, 9], 5), read([1, 2], 0), read([3, 4], 5)]],
    ["being added: after, then before", "not", [add([0, 9], 5), read([1, 2], 5), read([3, 4], 0)]],
    ["half of it", "not", [add([0, 9], 4), read([1, 2], 2)]],
    ["some of those at once", "linearizable", [add([0, 9], 1), add([0, 9], 2), add([0, 9], 4), read([1, 2], 5)]],
    ["told the same count twice", "not", [increment([0, 5], 1), increment([0, 5], 1)]],
    ["told different counts", "linearizable", [increment([0, 5], 2), increment([0, 5], 1), read([6, 7], 2)]],
    ["told counts against time", "not", [increment([0, 1], 2), increment([2, 3], 1)]],
    ["an open addition", "linearizable", [add([0, null], 5), read([1, 2], 0), read([3, 4], 5), read([5, 6], 5)]],
    ["twice", "not", [add([0, null], 5), read([1, 2], 5), read([3, 4], 10)]],
    [
      "two of three open ones",
      "linearizable",
      [add([0, null], 5), add([0, null], 5), increment([0, null]), read([3, 4], 10), read([5, 6], 11)],
    ],
    ["which are not enough", "not", [add([0, null], 5), add([0, null], 5), increment([0, null]), read([3, 4], 12)]],
    [
      "one open addition in place of two that are as much",
      "linearizable",
      [add([0, null], 1), add([0, null], 2), add([0, null], 3), read([3, 4], 3), read([5, 6], 4)],
    ],
    ["one of them was called too late", "not", [add([0, null], 5), add([5, null], 5), read([3, 4], 10)]],
  ]);

  test("can begin with another count", () => {
    expect(checkHistory([read([0, 1], 7)], counterModel({ initial: 7 })).verdict).toBe("linearizable");
    expect(() => counterModel({ initial: "7" })).toThrow("a counter begins with an integer");
  });

  refuses(counter, [
    ["knows add, increment, read", operation("inc", [0, 1], 1)],
    ["the input of an add must be an integer", operation("add", [0, 1], 1.5)],
    ["the output of a read must be an integer", operation("read", [0, 1], null, null)],
    ["the output of an increment must be an integer, or null", operation("increment", [0, 1], null, "1")],
  ]);
});

describe("mutex", () => {
  const acquire = (client: number, times: Times, output: unknown = null, owner: unknown = null): Operation => {
    return { ...operation("acquire", times, owner, output), process: client };
  };
  const release = (client: number, times: Times, output: unknown = null, owner: unknown = null): Operation => {
    return { ...operation("release", times, owner, output), process: client };
  };

  judge(mutex, [
    ["one after the other", "linearizable", [acquire(0, [0, 1]), release(0, [2, 3]), acquire(1, [4, 5])]],
    ["two have it", "not", [acquire(0, [0, 1]), acquire(1, [2, 3])]],
    ["taken while it is given back", "linearizable", [acquire(0, [0, 1]), acquire(1, [2, 5]), release(0, [3, 6])]],
    ["taken before it is given back", "not", [acquire(0, [0, 1]), acquire(1, [2, 3]), release(0, [4, 6])]],
    ["given back by another", "not", [acquire(0, [0, 1]), release(1, [2, 3])]],
    [
      "given back by another process of the same owner",
      "linearizable",
      [acquire(0, [0, 1], null, "x"), release(1, [2, 3], null, "x")],
    ],
    ["given back twice", "not", [acquire(0, [0, 1]), release(0, [2, 3]), release(0, [4, 5])]],
    ["taken twice by one", "not", [acquire(0, [0, 1]), acquire(0, [2, 3])]],
    ["refused while another has it", "linearizable", [acquire(0, [0, 1]), acquire(1, [2, 3], false), release(0, [4, 5])]],
    ["refused while nobody has it", "not", [acquire(0, [0, 1]), release(0, [2, 3]), acquire(1, [4, 5], false)]],
    ["a release is refused to whoever does not have it", "linearizable", [acquire(0, [0, 1]), release(1, [2, 3], false)]],
    ["a release is refused to whoever has it", "not", [acquire(0, [0, 1]), release(0, [2, 3], false)]],
    ["an open acquire did not happen", "linearizable", [acquire(0, [0, null]), acquire(1, [2, 3])]],
    ["an open acquire may be why another is refused", "linearizable", [acquire(0, [0, null]), acquire(1, [2, 3], false)]],
    ["but not for a while only", "not", [acquire(0, [0, null]), acquire(1, [2, 3], false), acquire(1, [4, 5])]],
    [
      "an open acquire happened, since it was given back",
      "linearizable",
      [acquire(0, [0, null]), release(0, [2, 3]), acquire(1, [4, 5])],
    ],
    [
      "another's open acquire, called before, did not happen",
      "linearizable",
      [acquire(0, [0, null]), release(0, [9, null]), acquire(1, [1, null]), release(1, [2, 3])],
    ],
    ["an open release happened", "linearizable", [acquire(0, [0, 1]), release(0, [2, null]), acquire(1, [4, 5])]],
    ["an open release, once", "not", [acquire(0, [0, 1]), release(0, [2, null]), acquire(1, [4, 5]), acquire(2, [6, 7])]],
  ]);

  refuses(mutex, [
    ["knows acquire, release", operation("lock", [0, 1], null)],
    ["must name the owner", operation("release", [0, 1], [1])],
  ]);
});

describe("multi-register", () => {
  type Part = readonly [string, unknown, unknown?];
  const txn = (times: Times, ...parts: readonly Part[]): Operation => {
    const input = parts.map(([f, key, value = null]) => [f, key, f === "r" ? null : value]);
    return operation("txn", times, input, times[1] === null ? null : parts.map(([f, key, value = null]) => [f, key, value]));
  };

  judge(multiRegister, [
    ["nothing at first", "linearizable", [txn([0, 1], ["r", "x"], ["r", "y"])]],
    [
      "written together, read together",
      "linearizable",
      [txn([0, 1], ["w", "x", 1], ["w", "y", 1]), txn([2, 3], ["r", "y", 1], ["r", "x", 1])],
    ],
    ["half of a transaction", "not", [txn([0, 9], ["w", "x", 1], ["w", "y", 1]), txn([2, 3], ["r", "x", 1], ["r", "y"])]],
    [
      "write skew",
      "not",
      [
        txn([0, 1], ["w", "x", 0], ["w", "y", 0]),
        txn([2, 5], ["r", "x", 0], ["w", "y", 1]),
        txn([2, 5], ["r", "y", 0], ["w", "x", 1]),
      ],
    ],
    [
      "a long fork: two readers see two writes in different orders",
      "not",
      [
        txn([0, 9], ["w", "x", 1]),
        txn([0, 9], ["w", "y", 1]),
        txn([1, 2], ["r", "x", 1], ["r", "y"]),
        txn([1, 2], ["r", "x"], ["r", "y", 1]),
      ],
    ],
    ["its own writes", "linearizable", [txn([0, 1], ["r", "x"], ["w", "x", 1], ["r", "x", 1], ["w", "x", 2])]],
    ["not its own writes", "not", [txn([0, 1], ["w", "x", 1], ["r", "x"])]],
    [
      "what a transaction wrote in between is never seen",
      "not",
      [txn([0, 5], ["w", "x", 1], ["w", "x", 2]), txn([1, 2], ["r", "x", 1])],
    ],
    [
      "an open transaction is seen as a whole",
      "linearizable",
      [txn([0, null], ["w", "x", 1], ["w", "y", 1]), txn([2, 3], ["r", "x", 1], ["r", "y", 1])],
    ],
    [
      "an open transaction is seen by half",
      "not",
      [txn([0, null], ["w", "x", 1], ["w", "y", 1]), txn([2, 3], ["r", "x", 1]), txn([4, 5], ["r", "y"])],
    ],
    ["an open transaction is never seen", "linearizable", [txn([0, null], ["w", "x", 1]), txn([4, 5], ["r", "x"])]],
    [
      "what it wrote is partly overwritten",
      "linearizable",
      [txn([0, null], ["w", "x", 1], ["w", "y", 1]), txn([2, 3], ["w", "x", 2]), txn([4, 5], ["r", "x", 2], ["r", "y", 1])],
    ],
    ["keys are told apart by content", "not", [txn([0, 1], ["w", 1, "a"]), txn([2, 3], ["r", "1", "a"])]],
    [
      "long names of the functions",
      "linearizable",
      [
        operation(
          "txn",
          [0, 1],
          [
            ["write", "x", 1],
            ["read", "x", null],
          ],
          [
            ["write", "x", 1],
            ["read", "x", 1],
          ],
        ),
      ],
    ],
    [
      "an answer that was not told",
      "linearizable",
      [
        operation(
          "txn",
          [0, 1],
          [
            ["r", "x", null],
            ["w", "x", 1],
          ],
          null,
        ),
        txn([2, 3], ["r", "x", 1]),
      ],
    ],
  ]);

  refuses(multiRegister, [
    ["knows txn", operation("read", [0, 1], "x")],
    ["the input of a txn must be a list", operation("txn", [0, 1], 5)],
    ['but it holds ["append","x",1]', operation("txn", [0, 1], [["append", "x", 1]])],
    ['but it holds ["w","x"]', operation("txn", [0, 1], [["w", "x"]])],
    ["the output of a txn must be a list", operation("txn", [0, 1], [], 5)],
    ["the output of a txn must list the same", operation("txn", [0, 1], [["r", "x", null]], [["r", "y", 1]])],
  ]);
});

describe("models by name", () => {
  test.each(MODEL_NAMES)("%s", (name) => {
    const model = modelByName(name);
    expect(model.name).toBe(name);
    expect(checkHistory([], model)).toMatchObject({ verdict: "linearizable", model: name });
    expect(() => checkHistory([operation("no such thing", [0, 1], null)], model)).toThrow(`the model ${name} knows`);
  });

  test("there is no other, and not all can begin as one likes", () => {
    expect(() => modelByName("stack")).toThrow('there is no model "stack"; there are register, cas-register');
    expect(() => modelByName("queue", { initial: 1 })).toThrow("a queue always begins empty");
    expect(modelByName("key-value", { initial: "" }).init(null)).toEqual({ value: "" });
  });
});
