/** Reads that wait: each question has a number of its own, and nobody looks before the index is applied (dissertation 6.4). */
import { expect, test } from "vitest";
import { notExecuted } from "../../src/runtime/proposals.js";
import { type Read, Reads } from "../../src/runtime/reads.js";

function read(expiresAt = 1000): { readonly read: Read; readonly told: string[] } {
  const told: string[] = [];
  return { told, read: { expiresAt, settled: false, settle: (error) => told.push(error?.code ?? "look") } };
}

/** Asks, and gives back the numbers that were asked under. */
function ask(reads: Reads, now: number, answer: "accepted" | "notLeader" = "accepted"): readonly number[] {
  const numbers: number[] = [];
  reads.ask(now, (id) => {
    numbers.push(id);
    return answer;
  });
  return numbers;
}

test("the reads of a turn share one question, and see the state once its index is applied, not before", () => {
  const reads = new Reads();
  const [one, two] = [read(), read()];
  for (const each of [one, two]) reads.addLinearizable(each.read);
  const [id = 0] = ask(reads, 0);
  reads.confirmed(id, 5);
  reads.applied(4);
  expect([one.told, two.told]).toEqual([[], []]);
  reads.applied(5);
  expect([one.told, two.told]).toEqual([["look"], ["look"]]);
  expect(reads.count).toBe(0);
});

test("a question that is asked again gets a new number: the late answer to the first one confirms nothing", () => {
  const reads = new Reads();
  const { read: waiting, told } = read();
  reads.addLinearizable(waiting);
  const [first = 0] = ask(reads, 0);
  expect(reads.retry(499, 500)).toBe(false);
  expect(reads.retry(500, 500)).toBe(true);
  const [second = 0] = ask(reads, 500);
  expect(second).toBeGreaterThan(first);
  reads.confirmed(first, 1);
  reads.applied(9);
  expect(told).toEqual([]);
  reads.failed(second);
  const [third = 0] = ask(reads, 600);
  expect(third).toBeGreaterThan(second);
  reads.confirmed(third, 9);
  reads.applied(9);
  expect(told).toEqual(["look"]);
});

test("while there is no leader it stays unasked; when its time is over it is told, and never after", () => {
  const reads = new Reads();
  const { read: waiting, told } = read();
  reads.addLinearizable(waiting);
  ask(reads, 0, "notLeader");
  expect([reads.hasUnasked, reads.hasAsked]).toEqual([true, false]);
  const late = (): ReturnType<typeof notExecuted> => notExecuted("timeout", "too late");
  reads.expire(999, late);
  expect(told).toEqual([]);
  reads.expire(1000, late);
  reads.settleAll(late);
  expect(told).toEqual(["timeout"]);
  expect([reads.count, reads.hasUnasked]).toEqual([0, false]);
});

test("a read of an index waits for it", () => {
  const reads = new Reads();
  const { read: waiting, told } = read();
  reads.addAtLeast(waiting, 3);
  reads.applied(2);
  expect(told).toEqual([]);
  reads.applied(3);
  expect(told).toEqual(["look"]);
});
