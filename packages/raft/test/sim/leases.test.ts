/**
 * Reads from leases under the misfortune that is made for them: the leader is cut off again and again while clients read at every
 * node. Clocks that keep to the bound that the nodes were told: nothing is ever stale. Clocks that do not: the simulator sees it.
 */
import { expect, test } from "vitest";
import { drawPlan, Finding, type Incident, type Plan, type RunReport, registers, runPlan } from "../../src/sim/index.js";

const FIRST = "n0, which is cut off";

/** The first node leads, is cut off, and is made to lead again when it is back. */
function cutOffLeader(seed: number, clocks: "within" | "outside"): Plan {
  const drawn = drawPlan(seed, { nodes: 3, leases: true, clocks, stormMicros: 8_000_000, kinds: [] });
  const election = drawn.options.electionTimeoutMs * 1000;
  const incidents: Incident[] = [];
  for (let at = 2_000_000; at < 7_000_000; at += 8 * election) {
    incidents.push({ at, kind: "isolate", node: 0, deaf: true, mute: true, lasts: 3 * election });
    incidents.push({ at: at + 5 * election, kind: "transfer", node: 1, to: 0, timeout: 2 * election });
  }
  const clients = { ...drawn.clients, count: 10, pauseHigh: 20_000, timeoutMs: 300, restlessPerMille: 1000, leasePerMille: 1000 };
  return { ...drawn, incidents, clients };
}

/** Its clock is as slow as it may be, and those of the others as fast. */
const atTheBound = (plan: Plan): Plan => ({
  ...plan,
  drift: [-1000 * plan.options.clockDriftPerMille, ...[1, 2].map(() => 1000 * plan.options.clockDriftPerMille)],
});

function runs(seeds: number, plan: (seed: number) => Plan): readonly (RunReport | Finding)[] {
  return Array.from({ length: seeds }, (_, place) => runPlan(plan(1 + place), registers));
}

test(`clocks at the very bound: no read at ${FIRST}, is stale`, () => {
  let leaseReads = 0;
  let expired = 0;
  for (const run of runs(8, (seed) => atTheBound(cutOffLeader(seed, "within")))) {
    if (run instanceof Finding) throw run;
    leaseReads += run.coverage.leaseRead;
    expired += run.coverage.leaseExpired;
  }
  expect(leaseReads).toBeGreaterThan(200);
  expect(expired).toBeGreaterThan(0);
});

test("clocks outside of the bound: a stale read is found within eight runs", () => {
  const found = runs(8, (seed) => cutOffLeader(seed, "outside")).filter((run) => run instanceof Finding);
  expect(found.length).toBeGreaterThan(0);
  for (const { complaint } of found)
    expect(complaint).toMatch(/a client that was answered before it began had seen|the reference refuses a step: readFresh/);
});
