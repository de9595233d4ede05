import { describe, expect, test } from "vitest";
import { readEdnForms, readFirstEdnForm } from "../../src/check/formats/edn.js";
import { HistoryError } from "../../src/check/index.js";

const read = (text: string): unknown[] => [...readEdnForms(text)].map(({ value }) => value);

describe("EDN becomes plain data", () => {
  test.each<readonly [string, unknown]>([
    ["nil", null],
    ["true", true],
    ["false", false],
    ["0", 0],
    ["-17", -17],
    ["+5", 5],
    ["7N", 7],
    ["1.5", 1.5],
    ["-1.5e3", -1500],
    ["0x1F", 31],
    ["##Inf", Number.POSITIVE_INFINITY],
    ["##-Inf", Number.NEGATIVE_INFINITY],
    ["##NaN", Number.NaN],
    ["9007199254740993", "9007199254740993"],
    ["9007199254740993N", "9007199254740993"],
    ["1/3", "1/3"],
    ["1.10M", "1.10M"],
    [":timed-out", "timed-out"],
    [":a/b", "a/b"],
    ["sym", "sym"],
    ["-", "-"],
    ['"a \\"b\\" \\\\ \\n \\u00e9"', 'a "b" \\ \n é'],
    ['"two\nlines"', "two\nlines"],
    ["\\a", "a"],
    ["\\newline", "\n"],
    ["\\u00e9", "é"],
    ["\\)", ")"],
    ["#{3 1 2}", [1, 2, 3]],
    ["#{}", []],
    ['{:a 1, "b" [2 (3 nil)]}', { a: 1, b: [2, [3, null]] }],
    ["{1 :one, [1 2] :two, nil :none}", { 1: "one", "[1,2]": "two", null: "none" }],
    ['#inst "1985-04-12"', "1985-04-12"],
    ["#jepsen.history.Op{:index 0, :f :read}", { index: 0, f: "read" }],
    ["#a #b [1]", [1]],
  ])("%s", (text, value) => {
    // Behind another form, so that a vector is not taken for the whole.
    expect(read(`nil ${text}`)).toEqual([null, value]);
  });

  test("a key named __proto__ is a key", () => {
    expect(Object.keys(read("nil {:__proto__ 1}")[1] as object)).toEqual(["__proto__"]);
  });

  test("sets of equal content become equal lists", () => {
    expect(read("nil #{[2] :a 1}")[1]).toEqual(read("nil #{1 [2] :a}")[1]);
  });

  test("one vector or list is what is in it, and comments and discarded forms are nothing", () => {
    expect(read("; a history\n[1 #_ 2 3 ; four\n #_ #_ 5 6 7 #_ 8]\n; the end")).toEqual([1, 3, 7]);
    expect(read("(1,2)")).toEqual([1, 2]);
    expect(read("")).toEqual([]);
    expect(read("#_ [1] {:a #_ :b 2}")).toEqual([{ a: 2 }]);
  });

  test("forms know their lines", () => {
    const lines = [...readEdnForms('[1\n\n{:a\n"x\ny"} ; b\n3 4]')].map(({ line }) => line);
    expect(lines).toEqual([1, 3, 6, 6]);
  });

  test("of a line only the first form counts", () => {
    expect(readFirstEdnForm("[1 2] :timed-out )", 5)).toEqual([1, 2]);
    expect(() => readFirstEdnForm("; nothing", 5)).toThrow("line 5: a value is missing");
  });

  test.each<readonly [string, string]>([
    ["line 2: the [ of this line is never closed", "\n[1\n2"],
    ["line 1: the #{ of this line is never closed", "nil #{1\n2"],
    ["line 2: the string that begins in this line is never closed", 'nil\n"abc\n'],
    ["line 2: ] closes nothing", "nil\n]"],
    ["line 1: ) closes nothing", "nil {:a )}"],
    ["line 1: a map has a key without a value", "nil {:a\n1 :b}"],
    ["line 1: a map has the key a twice", 'nil {:a 1 "a" 2}'],
    ["line 1: 12ab is no number", "nil 12ab"],
    ["line 1: ##x is no number", "nil ##x"],
    ["line 1: a keyword has no name", "nil :"],
    ["line 1: \\q means nothing in a string", 'nil "\\q"'],
    ["line 1: \\u must be followed by four hexadecimal digits", 'nil "\\u12"'],
    ["line 1: \\ab is no character", "nil \\ab"],
    ["line 1: # must be followed", "nil # 1"],
    ["line 1: the tag #a must be followed by a form", "nil #a"],
    ["line 1: #_ discards the form after it, and there is none", "nil #_"],
    ["line 2: there is more after the end of the vector", "[1]\n2"],
    ["line 1: nested more than 200 deep", `nil ${"[".repeat(100_000)}`],
    ["line 1: nested more than 200 deep", `nil ${"[#_".repeat(100_000)}`],
    ["line 1: nested more than 200 deep", `nil ${"#a ".repeat(100_000)}`],
    ["line 1: #_ discards the form after it", `nil ${"#_".repeat(100_000)}`],
  ])("%s", (message, text) => {
    expect(() => read(text)).toThrow(HistoryError);
    expect(() => read(text)).toThrow(message);
  });
});
