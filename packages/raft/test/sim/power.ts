/** A share of the seeds, so that two processes can run them side by side: clusters that lose power, and nothing else. */
import { expect } from "vitest";
import { drawPlan, type Plan, type RunReport, registers, World } from "../../src/sim/index.js";

const seeds = Number(process.env["POWER_SEEDS"] ?? 60);
export const firstSeed = Number(process.env["POWER_FIRST_SEED"] ?? 1);

export function powerPlan(seed: number): Plan {
  return drawPlan(seed, { nodes: 3, stormMicros: 6_000_000, kinds: ["powerLoss", "blackout", "kill", "isolate"] });
}

export function runPower(seed: number, withoutSync = false): RunReport {
  return new World({ plan: powerPlan(seed), workload: registers, withoutSync }).run();
}

/** What does not happen in every world, but must happen in one of ten. */
const PROMISED = ["tornTail", "logTruncated", "snapshotInstalled", "killed", "blackout", "snapshotTaken", "powerLost"] as const;

/** Runs every second seed. The first thing that is wrong is thrown, with its seed. */
export function runShare(share: 0 | 1): void {
  const total = new Map<string, number>();
  let ran = 0;
  let writes = 0;
  for (let seed = firstSeed + share; seed < firstSeed + seeds; seed += 2) {
    const report = runPower(seed);
    ran += 1;
    writes += report.writes;
    for (const name of PROMISED) total.set(name, (total.get(name) ?? 0) + report.coverage[name]);
  }
  console.log(`${ran} seeds: ${writes} writes, ${[...total].map(([name, count]) => `${name} ${count}`).join(", ")}`);
  // It must have been a storm, or passing says nothing.
  expect(writes).toBeGreaterThanOrEqual(ran * 10);
  for (const [name, count] of total) expect(count, name).toBeGreaterThanOrEqual(Math.floor(ran / 10));
}
