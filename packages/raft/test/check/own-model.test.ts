/** A model of one's own needs nothing but the public interface; the docs show this one. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { checkHistory, explain, explainHtml } from "../../src/check/index.js";
import { judge, operation, type Times } from "./cases.js";
import { stack } from "./own-model.js";

const push = (times: Times, value: unknown) => operation("push", times, value);
const pop = (times: Times, value: unknown) => operation("pop", times, null, value);

describe("a stack", () => {
  judge(stack, [
    ["last in, first out", "linearizable", [push([0, 1], 1), push([2, 3], 2), pop([4, 5], 2), pop([6, 7], 1), pop([8, 9], null)]],
    ["first in, first out", "not", [push([0, 1], 1), push([2, 3], 2), pop([4, 5], 1)]],
    ["first in, first out, at once", "linearizable", [push([0, 3], 1), push([2, 3], 2), pop([4, 5], 1), pop([6, 7], 2)]],
    [
      "an open pop took what was on top",
      "linearizable",
      [push([0, 1], 1), push([2, 3], 2), pop([4, null], null), pop([6, 7], 1)],
    ],
    ["an open push came late", "linearizable", [push([0, null], 1), pop([2, 3], null), pop([4, 5], 1)]],
  ]);

  test("may say what comes before what", () => {
    // An open pop of an empty stack changes nothing, but the model insists that it came before the push.
    const [first, second] = [pop([0, null], null), push([0, 5], 1)];
    const insisting: typeof stack = {
      ...stack,
      simplify: (operations) => {
        return operations.map((each) => ({ operation: each, original: each, after: each === second ? [first] : [] }));
      },
    };
    const result = checkHistory([second, first], insisting);
    expect(result).toMatchObject({ verdict: "linearizable", groups: [{ order: [first, second] }] });
  });

  test("is explained without a word from the model", () => {
    const result = checkHistory([push([0, 1], 1), pop([2, 3], 2)], stack);
    expect(explain(result)).toContain("the state is now [1], and one of these must come next");
    expect(explainHtml(result)).toContain("model stack");
  });

  test("stands in the docs as it stands here", () => {
    const source = readFileSync(new URL("./own-model.ts", import.meta.url), "utf8");
    const model = source.slice(source.indexOf("/** Last in")).replace("export const", "const");
    const docs = readFileSync(new URL("../../../../docs/checker.md", import.meta.url), "utf8");
    expect(docs).toContain(model);
  });
});
