/** A share of the seeds, so that two processes can run them side by side. */
import { expect } from "vitest";
import { World, type WorldCounters } from "../../src/sim/index.js";

const seeds = Number(process.env["POWER_SEEDS"] ?? 60);
export const firstSeed = Number(process.env["POWER_FIRST_SEED"] ?? 1);

/** What does not happen in every world, but must happen in one of ten. */
const RARE: readonly (keyof WorldCounters)[] = [
  "tornWrites",
  "truncations",
  "snapshotsInstalled",
  "kills",
  "blackouts",
  "snapshotsTaken",
];

/** Runs every second seed. The first thing that is wrong is thrown, with its seed. */
export function runShare(share: 0 | 1): void {
  const total = new Map<string, number>();
  let ran = 0;
  for (let seed = firstSeed + share; seed < firstSeed + seeds; seed += 2) {
    const world = new World({ seed });
    world.run();
    ran += 1;
    for (const [name, count] of Object.entries<number>({ ...world.counters })) total.set(name, (total.get(name) ?? 0) + count);
  }
  console.log(`${ran} seeds: ${[...total].map(([name, count]) => `${name} ${count}`).join(", ")}`);
  // It must have been a storm, or passing says nothing.
  for (const [name, count] of total)
    expect(count, name).toBeGreaterThanOrEqual(RARE.some((rare) => rare === name) ? Math.floor(ran / 10) : ran);
}
