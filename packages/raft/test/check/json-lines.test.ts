import { describe, expect, test } from "vitest";
import { HistoryError, type Operation, parseJsonLines, printJsonLines } from "../../src/check/index.js";
import { type Kind, randomHistory } from "./random-histories.js";

function lines(...events: readonly object[]): string {
  return events.map((event) => JSON.stringify(event)).join("\n");
}

const common = { process: 0, f: "write", key: "a", input: 1, output: null, call: 10 };
const invoke = { process: 0, type: "invoke", f: "write", key: "a", value: 1, time: 10 };

describe("reading", () => {
  test("pairs what a process asked with what it was told", () => {
    const text = lines(
      invoke,
      { process: 1, type: "invoke", f: "read", key: "a", time: 11 },
      { process: 0, type: "ok", value: 7, time: 12, index: 99 },
      { process: 1, type: "ok", f: "read", key: "a", value: { x: [1] }, time: 13 },
    );
    expect(parseJsonLines(`${text}\n\n`)).toEqual([
      { ...common, output: 7, return: 12 },
      { process: 1, f: "read", key: "a", input: null, output: { x: [1] }, call: 11, return: 13 },
    ]);
  });

  test("leaves out what did not happen, and leaves open what may have", () => {
    const second = { ...invoke, time: 21 };
    const third = { ...invoke, process: 1, time: 22 };
    expect(
      parseJsonLines(
        lines(
          invoke,
          { process: 0, type: "fail", time: 20 },
          second,
          { process: 0, type: "info", value: "timeout", time: 30 },
          third,
        ),
      ),
    ).toEqual([
      { ...common, call: 21, return: null },
      { ...common, process: 1, call: 22, return: null },
    ]);
  });

  test("what fail says of a cas is for the reader to say", () => {
    const text = lines({ ...invoke, f: "cas", value: [1, 2] }, { process: 0, type: "fail", time: 20 });
    expect(parseJsonLines(text)).toEqual([]);
    expect(parseJsonLines(text, { failedCas: "refused" })).toEqual([
      { ...common, f: "cas", input: [1, 2], output: false, return: 20 },
    ]);
  });

  test("takes the order of lines where there are no times", () => {
    const text = lines({ process: 3, type: "invoke", f: "read" }, { process: 3, type: "ok", value: null });
    expect(parseJsonLines(text)).toEqual([{ process: 3, f: "read", key: null, input: null, output: null, call: 1, return: 2 }]);
  });

  test("takes line ends of either kind, and no lines at all", () => {
    expect(parseJsonLines(`${JSON.stringify(invoke)}\r\n{"process":0,"type":"ok","time":11}\r\n`)).toHaveLength(1);
    expect(parseJsonLines("")).toEqual([]);
  });

  const ok = { process: 0, type: "ok", time: 11 };
  test.each<readonly [string, number, string]>([
    ["not JSON", 2, `${lines(invoke)}\n{"process":`],
    ["must be a JSON object", 1, "[1]"],
    ["must be a JSON object", 1, "null"],
    ["process must be", 1, lines({ ...invoke, process: -1 })],
    ["process must be", 1, lines({ ...invoke, process: "nemesis" })],
    ["type must be", 1, lines({ ...invoke, type: "done" })],
    ["f must be a string", 1, lines({ ...invoke, f: 1 })],
    ["f is missing", 1, lines({ ...invoke, f: undefined })],
    ["key must be", 1, lines({ ...invoke, key: {} })],
    ["value is nested more than 200 deep", 1, lines(invoke).replace('"value":1', `"value":${"[".repeat(300)}${"]".repeat(300)}`)],
    ["value holds 9007199254740992, an integer too large", 1, lines(invoke).replace('"value":1', '"value":[9007199254740993]')],
    ["time must be a finite number", 1, lines({ ...invoke, time: "10" })],
    ["time must stand in every line or in none", 3, `${lines(invoke)}\n\n${lines({ ...ok, time: undefined })}`],
    ["time must stand in every line or in none", 2, lines({ ...invoke, time: undefined }, ok)],
    ["still has the operation of line 1", 2, lines(invoke, invoke)],
    ["its invoke is missing", 1, lines(ok)],
    ["its invoke is missing", 3, lines(invoke, ok, ok)],
    ['f is "read", but "write" in line 1', 2, lines(invoke, { ...ok, f: "read" })],
    ['key is "b", but "a" in line 1', 2, lines(invoke, { ...ok, key: "b" })],
    ["time is before that of line 1", 2, lines(invoke, { ...ok, time: 9 })],
  ])("refuses, and names the line: %s (%i)", (message, line, text) => {
    const error = errorOf(() => parseJsonLines(text));
    expect(error).toBeInstanceOf(HistoryError);
    expect(error.message).toContain(`line ${line}: `);
    expect(error.message).toContain(message);
    expect(error.line).toBe(line);
  });
});

describe("printing", () => {
  test("is what reading undoes", () => {
    const kinds: readonly Kind[] = ["register", "cas-register", "versioned-register"];
    for (let seed = 1; seed <= 150; seed += 1) {
      const kind = kinds[seed % 3] ?? "register";
      const operations = randomHistory(seed, { kind, operations: 40, clients: 4, openPerMille: 100, values: seed % 4 });
      const again = parseJsonLines(printJsonLines(operations));
      expect(sorted(again)).toEqual(sorted(operations));
    }
  });

  test("keeps each process's own order where times are equal", () => {
    const operations: Operation[] = [
      { ...common, call: 10, return: 20 },
      { ...common, input: 2, call: 20, return: 20 },
      { ...common, input: 3, call: 20, return: null },
      { ...common, input: 4, process: 1, call: 15, return: 20 },
    ];
    expect(sorted(parseJsonLines(printJsonLines(operations.toReversed())))).toEqual(sorted(operations));
  });

  test("ends an open operation before the next one of its process", () => {
    const operations: Operation[] = [
      { ...common, return: null },
      { ...common, call: 30, return: 31 },
    ];
    expect(printJsonLines(operations)).toContain('"type":"info"');
    expect(parseJsonLines(printJsonLines(operations))).toEqual(operations);
  });

  test("refuses a process that does two things at once", () => {
    const operations = [
      { ...common, return: 20 },
      { ...common, call: 15, return: 25 },
    ];
    expect(() => printJsonLines(operations)).toThrow("process 0 has two operations at once, at 15");
  });
});

function sorted(operations: readonly Operation[]): Operation[] {
  return operations.toSorted((left, right) => left.process - right.process || left.call - right.call);
}

function errorOf(run: () => unknown): HistoryError {
  try {
    run();
  } catch (error) {
    if (error instanceof HistoryError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
