/** Random hostile worlds for the core alone; a failing seed is printed and replays by itself. */
import { describe, expect, it } from "vitest";
import { type Counters, RandomCluster } from "./random-cluster.js";

const seeds = Number(process.env["CORE_SEEDS"] ?? 300);
const first = Number(process.env["CORE_FIRST_SEED"] ?? 1);

describe("the core in random worlds", () => {
  it(`keeps every rule of Figure 3 over ${seeds} seeds, and makes progress when the faults stop`, () => {
    const total: Counters = {
      elections: 0,
      commits: 0,
      crashes: 0,
      truncations: 0,
      snapshotsInstalled: 0,
      readsConfirmed: 0,
      leaseReads: 0,
      transfers: 0,
      steps: 0,
    };
    for (let seed = first; seed < first + seeds; seed += 1) {
      const cluster = new RandomCluster(seed);
      try {
        cluster.run(2000);
      } catch (error) {
        throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
      for (const name of Object.keys(total) as (keyof Counters)[]) total[name] += cluster.counters[name];
    }
    // The worlds must really be bad ones, or passing says nothing.
    for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(seeds / 8);
  });
});
