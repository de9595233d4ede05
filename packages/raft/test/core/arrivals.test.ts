/** Requests that arrive twice: told apart for as long as they can come, and remembered within bounds. */
import { expect, test } from "vitest";
import { type Arrivals, isFirstArrival } from "../../src/core/arrivals.js";

test("each number of each member counts once, in whatever order they come", () => {
  const arrivals = new Map<string, Arrivals>();
  for (const id of [3, 1, 2, 5, 4]) expect(isFirstArrival(arrivals, "b", id), `${id}`).toBe(true);
  for (const id of [1, 2, 3, 4, 5]) expect(isFirstArrival(arrivals, "b", id), `${id} again`).toBe(false);
  expect(isFirstArrival(arrivals, "c", 3)).toBe(true);
});

test("one that is too old to be told apart counts as repeated", () => {
  const arrivals = new Map<string, Arrivals>();
  expect(isFirstArrival(arrivals, "b", 1000)).toBe(true);
  expect(isFirstArrival(arrivals, "b", 10)).toBe(false);
  expect(isFirstArrival(arrivals, "b", 900)).toBe(true);
});

test("a member that asks for ever, and strangers without end, cost a bounded amount of memory", () => {
  const arrivals = new Map<string, Arrivals>();
  for (let id = 1; id <= 10_000; id += 1) isFirstArrival(arrivals, "b", id);
  expect(arrivals.get("b")?.recent.size).toBeLessThan(1000);
  for (let stranger = 0; stranger < 1000; stranger += 1) isFirstArrival(arrivals, `stranger ${stranger}`, 1);
  expect(arrivals.size).toBeLessThan(100);
  expect(isFirstArrival(arrivals, "stranger 999", 1)).toBe(false);
});
