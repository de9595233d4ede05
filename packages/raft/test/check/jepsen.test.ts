import { describe, expect, test } from "vitest";
import {
  casRegister,
  checkHistory,
  guessFormat,
  HistoryError,
  keyValueModel,
  multiRegister,
  type Operation,
  parseHistory,
  parseJepsenEdn,
  parseJepsenLog,
  register,
} from "../../src/check/index.js";

function verdictOf(text: string, model = casRegister): string {
  return checkHistory(parseHistory(text), model).verdict;
}

const common = { process: 0, key: null };

describe("EDN as Jepsen prints it", () => {
  const events = [
    "{:type :invoke, :f :read, :value nil, :process 0, :time 3291485317, :index 0}",
    "{:type :info, :f :start, :value [:isolated {:n1 #{:n2}}], :process :nemesis, :time 3291485318, :index 1}",
    "{:type :invoke, :f :cas, :value [0 3], :process 1, :time 3291485300, :index 2}",
    "{:type :ok, :f :read, :value 0, :process 0, :time 3291485320, :index 3}",
    '{:type :info, :f :cas, :value [0 3], :process 1, :time 3291485321, :index 4, :error "timeout"}',
    "{:type :invoke, :f :write, :value 1, :process 0, :time 3291485322, :index 5}",
    "{:type :fail, :f :write, :value 1, :process 0, :time 3291485323, :index 6, :error [:refused]}",
    "{:type :invoke, :f :write, :value 2, :process 7, :time 3291485324, :index 7}",
  ];
  const operations: Operation[] = [
    { ...common, f: "read", input: null, output: 0, call: 1, return: 4 },
    { ...common, process: 1, f: "cas", input: [0, 3], output: null, call: 3, return: null },
    { ...common, process: 7, f: "write", input: 2, output: null, call: 8, return: null },
  ];

  test("one map a line, or all in one vector or list", () => {
    expect(parseJepsenEdn(events.join("\n"))).toEqual(operations);
    expect(parseJepsenEdn(`[${events.join("\n ")}]`)).toEqual(operations);
    expect(parseJepsenEdn(`; it begins\n(${events.join(" ")})`)).toEqual(operations);
    expect(parseJepsenEdn(events.map((event) => `#jepsen.history.Op${event}`).join("\n"))).toEqual(operations);
  });

  test("events stand in order, whatever their times say", () => {
    const text = (first: number, second: number): string =>
      `{:process 0 :type :invoke :f :write :value 1 :time ${first}} {:process 0 :type :ok :f :write :value 1 :time ${second}}
       {:process 1 :type :invoke :f :read :value nil :time ${second}} {:process 1 :type :ok :f :read :value nil :time ${second}}`;
    expect(verdictOf(text(10, 10))).toBe("not");
    expect(verdictOf(text(20, 10))).toBe("not");
  });

  test("keys are in pairs with the values, as jepsen.independent makes them", () => {
    const text = `
      {:process 0 :type :invoke :f :write :value [:x 1]} {:process 0 :type :ok :f :write :value [:x 1]}
      {:process 0 :type :invoke :f :cas :value [2 [1 3]]} {:process 0 :type :info :f :cas :value :timeout}
      {:process 1 :type :invoke :f :read :value ["y" nil]} {:process 1 :type :ok :f :read :value ["y" 4]}
      {:process 1 :type :invoke :f :read :value [[1 2] nil]} {:process 1 :type :fail :f :read}`;
    const keyed = [
      { process: 0, f: "write", key: "x", input: 1, output: 1, call: 1, return: 2 },
      { process: 0, f: "cas", key: 2, input: [1, 3], output: null, call: 3, return: null },
      { process: 1, f: "read", key: "y", input: null, output: 4, call: 5, return: 6 },
    ];
    expect(parseJepsenEdn(text, { keyed: true })).toEqual(keyed);
    // The pair [1 2] is a key here, which is nothing to guess.
    expect(parseJepsenEdn(text)[0]).toMatchObject({ key: null, input: ["x", 1] });
    expect(parseJepsenEdn(text.split("\n").slice(0, 4).join("\n"))).toEqual(keyed);
  });

  test("a swap is not taken for a key and a value", () => {
    const text = "{:process 0 :type :invoke :f :cas :value [0 1]} {:process 0 :type :ok :f :cas :value [0 1]}";
    expect(parseJepsenEdn(text)).toMatchObject([{ key: null, input: [0, 1] }]);
    expect(() => parseJepsenEdn(text.replace("[0 1]}", "0}"), { keyed: true })).toThrow("line 1: the value must be [key value]");
  });

  test("or events have a :key", () => {
    const text = `{:process 0, :type :invoke, :f :append, :key "4", :value "x 0 1 y"}
{:process 0, :type :ok, :f :append, :key "4", :value "x 0 1 y"}
{:process 0, :type :invoke, :f :get, :key "4", :value nil}
{:process 0, :type :ok, :f :get, :key "4", :value "x 0 1 y"}
{:process 0, :type :invoke, :f :get, :key "5", :value nil}
{:process 0, :type :ok, :f :get, :key "5", :value ""}`;
    expect(checkHistory(parseHistory(text), keyValueModel({ initial: "" })).verdict).toBe("linearizable");
    expect(checkHistory(parseHistory(text), keyValueModel())).toMatchObject({ verdict: "not", failure: { key: "5" } });
  });

  test("transactions of micro-operations", () => {
    const text = (read: string): string => `[
      {:type :invoke, :f :txn, :value [[:w :x 1] [:w :y 1]], :process 0, :index 0}
      {:type :invoke, :f :txn, :value [[:r :x nil] [:r :y nil]], :process 1, :index 1}
      {:type :ok, :f :txn, :value [[:r :x ${read}] [:r :y ${read}]], :process 1, :index 2}
      {:type :ok, :f :txn, :value [[:w :x 1] [:w :y 1]], :process 0, :index 3}]`;
    for (const read of ["nil", "1"]) expect(checkHistory(parseHistory(text(read)), multiRegister).verdict).toBe("linearizable");
    expect(
      checkHistory(
        parseHistory(text("nil").replace(":y nil]], :process 1, :index 2", ":y 1]], :process 1, :index 2")),
        multiRegister,
      ).verdict,
    ).toBe("not");
  });

  test("what fail says of a cas is for the reader to say", () => {
    const text = (value: number): string => `
      {:process 0 :type :invoke :f :write :value 1} {:process 0 :type :ok :f :write :value 1}
      {:process 0 :type :invoke :f :cas :value [${value} 2]} {:process 0 :type :fail :f :cas :value [${value} 2]}`;
    expect(parseJepsenEdn(text(1))).toHaveLength(1);
    const refused = parseJepsenEdn(text(1), { failedCas: "refused" });
    expect(refused[1]).toMatchObject({ f: "cas", input: [1, 2], output: false, call: 3, return: 4 });
    expect(checkHistory(refused, casRegister).verdict).toBe("not");
    expect(checkHistory(parseJepsenEdn(text(5), { failedCas: "refused" }), casRegister).verdict).toBe("linearizable");
    const write = "{:process 0 :type :invoke :f :write :value 1} {:process 0 :type :fail :f :write :value 1}";
    expect(parseJepsenEdn(write, { failedCas: "refused" })).toEqual([]);
  });

  test.each<readonly [string, string]>([
    ["line 1: an event must be a map", "[1]"],
    ["line 2: an event must be a map", "\n[[:a 1]]"],
    ["line 1: :process must be", "{:type :invoke :f :read}"],
    ["line 1: :process must be", "{:process -1 :type :invoke :f :read}"],
    ["line 1: :type must be", "{:process 0 :type :done :f :read}"],
    ["line 1: :f must be", "{:process 0 :type :invoke :f [1]}"],
    ["line 1: f is missing", "{:process 0 :type :invoke}"],
    ["line 2: process 0 still has the operation of line 1", "{:process 0 :type :invoke :f :a}\n{:process 0 :type :invoke :f :a}"],
    ["line 3: ok for process 0, which has no operation", "\n\n{:process 0 :type :ok :f :read}"],
    [
      "line 2: :index is 3 after 4: events must stand in order",
      "[{:process 0 :type :invoke :f :a :index 4}\n{:process 0 :type :ok :f :a :index 3}]",
    ],
  ])("%s", (message, text) => {
    expect(() => parseJepsenEdn(text)).toThrow(HistoryError);
    expect(() => parseJepsenEdn(text)).toThrow(message);
  });
});

describe("lines of a log", () => {
  const log = [
    "INFO  jepsen.core - Running test",
    "INFO  jepsen.util - 0\t:invoke\t:read\tnil",
    "INFO  jepsen.util - 1\t:invoke\t:cas\t[1 2]",
    "INFO  jepsen.util - :nemesis\t:info\t:start\tnil",
    "INFO  jepsen.util - 0\t:ok\t:read\t1",
    "INFO  jepsen.util - 1\t:info\t:cas\t:timed-out",
    "",
    "2026-01-01 INFO [2026-01-01 10:00:00,123] jepsen worker 2 - jepsen.util 2 :invoke :write 3 ",
    '2 :ok :write 3 "with an error" {',
    "12\t:invoke\t:read\tnil\r",
  ].join("\n");

  test("with whatever stands before them", () => {
    expect(parseJepsenLog(log)).toEqual([
      { ...common, f: "read", input: null, output: 1, call: 2, return: 5 },
      { ...common, process: 1, f: "cas", input: [1, 2], output: null, call: 3, return: null },
      { ...common, process: 2, f: "write", input: 3, output: 3, call: 8, return: 9 },
      { ...common, process: 12, f: "read", input: null, output: null, call: 10, return: null },
    ]);
  });

  test("keyed values", () => {
    expect(parseJepsenLog("0 :invoke :read [5 nil]\n0 :ok :read [5 1]")).toMatchObject([{ key: 5, input: null, output: 1 }]);
    expect(parseJepsenLog("0 :invoke :read [5 nil]\n0 :ok :read [5 1]", { keyed: false })).toMatchObject([{ key: null }]);
  });

  test.each<readonly [string, string]>([
    ["line 2: an event must be: process, :type, :function, value", "x\n0 :invoke read nil"],
    ["line 1: the process is worker: it must be a number", "worker :invoke :read nil"],
    ["line 1: the [ of this line is never closed", "0 :invoke :cas [1"],
    ["line 2: f is", "0 :invoke :read nil\n0 :ok :write 1"],
    ["line 2: key is 6, but 5 in line 1", "0 :invoke :read [5 nil]\n0 :ok :read [6 1]"],
  ])("%s", (message, text) => {
    expect(() => parseJepsenLog(text)).toThrow(HistoryError);
    expect(() => parseJepsenLog(text)).toThrow(message);
  });
});

describe("the format is guessed", () => {
  test.each([
    ['{"process": 0, "type": "invoke", "f": "read"}', "jsonl"],
    ['\n{\n"process": 0}', "jsonl"],
    ["{:process 0, :type :invoke}", "edn"],
    ["{ :process 0, :type :invoke}", "edn"],
    ["[{:process 0, :type :invoke}]", "edn"],
    ["({:process 0})", "edn"],
    ["; a comment\n[]", "edn"],
    ["[]", "edn"],
    ["#jepsen.history.Op{:index 0}", "edn"],
    ["INFO  jepsen.util - 0\t:invoke\t:read\tnil", "jepsen-log"],
    ["a line\n0 :invoke :read nil", "jepsen-log"],
    ["[main] INFO jepsen.util - 0 :invoke :read nil", "jepsen-log"],
    ["", null],
    ["a,b,c\n1,2,3", null],
  ])("%j: %s", (text, format) => {
    expect(guessFormat(text)).toBe(format);
  });

  test("and what looks like none is refused, unless it is named", () => {
    expect(() => parseHistory("nothing")).toThrow("this looks like none of the formats jsonl, edn, jepsen-log");
    expect(parseHistory("nothing", { format: "jepsen-log" })).toEqual([]);
    expect(() => parseHistory("nothing", { format: "jsonl" })).toThrow("line 1: not JSON");
  });

  test("every format says the same", () => {
    const edn = "{:process 0 :type :invoke :f :write :value 1}\n{:process 0 :type :ok :f :write :value 1}";
    const log = "0 :invoke :write 1\n0 :ok :write 1";
    const jsonl = '{"process":0,"type":"invoke","f":"write","value":1}\n{"process":0,"type":"ok","f":"write","value":1}';
    const operations = parseHistory(edn);
    expect(parseHistory(log)).toEqual(operations);
    expect(parseHistory(jsonl)).toEqual(operations);
    expect(checkHistory(operations, register).verdict).toBe("linearizable");
  });
});
