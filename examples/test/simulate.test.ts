/** The simulate example: a state machine that is right passes; one that forgets is caught, told in a few lines, and played again. */
import { Finding, runPlan, simulate } from "@quorate/raft/sim";
import { expect, test } from "vitest";
import { tickets } from "../simulate/tickets.js";

test("a right state machine passes, through storms that did happen", () => {
  const { runs, failure, coverage } = simulate({ workload: tickets(false), seeds: 12, firstSeed: 500, stormMicros: 4_000_000 });
  expect(failure?.story ?? []).toEqual([]);
  expect(runs).toBe(12);
  for (const situation of ["electionWon", "snapshotInstalled", "powerLost", "killed"] as const)
    expect(coverage[situation], situation).toBeGreaterThan(0);
});

test("one that forgets something in its snapshots is caught, shrunk to a story of at most ten lines, and replayed", () => {
  const workload = tickets(true);
  const { failure } = simulate({ workload, seeds: 30, stormMicros: 4_000_000 });
  if (failure === null) return expect.fail("the forgetful machine was not caught");
  console.log(failure.story.join("\n"));
  expect(failure.story.length).toBeLessThanOrEqual(10);
  expect(failure.story.at(-1)).toMatch(/differ|another answer|two customers/);
  const again = runPlan(failure.plan, workload);
  expect(again).toBeInstanceOf(Finding);
  expect(again).toMatchObject({ at: failure.at });
  // The plan is plain data: it survives being written down.
  expect(runPlan(JSON.parse(JSON.stringify(failure.plan)) as typeof failure.plan, workload)).toMatchObject({ at: failure.at });
});
