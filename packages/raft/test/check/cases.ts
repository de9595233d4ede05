/** Histories written by hand, with the verdict that can be seen with the naked eye. */
import { expect, test } from "vitest";
import { checkHistory, type Key, type Model, type Operation } from "../../src/check/index.js";

export type Times = readonly [call: number, end: number | null];

export type Case = readonly [what: string, verdict: "linearizable" | "not", history: readonly Operation[]];

export function operation(f: string, times: Times, input: unknown, output: unknown = null, key: Key = null): Operation {
  return { process: 0, f, key, input, output, call: times[0], return: times[1] };
}

/** Runs each case as it stands, without what the model knows about open operations, and turned around. */
export function judge<State>(model: Model<State>, cases: readonly Case[]): void {
  const { simplify: _s, alike: _a, ...plain } = model;
  test.each(cases)("%s: %s", (_what, verdict, history) => {
    expect(checkHistory(history, model).verdict).toBe(verdict);
    expect(checkHistory(history, plain).verdict).toBe(verdict);
    expect(checkHistory(history.toReversed(), model).verdict).toBe(verdict);
  });
}
