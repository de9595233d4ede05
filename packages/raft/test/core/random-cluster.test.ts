/** Random hostile worlds for the core alone; a failing seed is printed and replays by itself. */
import { describe, expect, it } from "vitest";
import { type Counters, RandomCluster, type RandomClusterOptions } from "./random-cluster.js";

const seeds = Number(process.env["CORE_SEEDS"] ?? 300);
const first = Number(process.env["CORE_FIRST_SEED"] ?? 1);

function runAll(count: number, options: RandomClusterOptions): Counters {
  let total: Counters | null = null;
  for (let seed = first; seed < first + count; seed += 1) {
    const cluster = new RandomCluster(seed, options);
    try {
      cluster.run(2000);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
    total ??= { ...cluster.counters };
    if (total !== cluster.counters && seed > first)
      for (const name of Object.keys(total) as (keyof Counters)[]) total[name] += cluster.counters[name];
  }
  if (total === null) throw new Error("no seeds");
  return total;
}

describe("the core in random worlds", () => {
  it(`keeps every rule of Figure 3 over ${seeds} seeds, and makes progress when the faults stop`, () => {
    const { changes, configurationsCommitted, configurationsTruncated, ...total } = runAll(seeds, {});
    // The worlds must really be bad ones, or passing says nothing.
    for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(seeds / 8);
    // Nobody asks for a change; a joint configuration that a world began with is left all the same.
    expect(changes).toBe(0);
    expect(configurationsCommitted + configurationsTruncated).toBeGreaterThan(0);
  });

  it(`keeps them over ${seeds} seeds in which the members change`, () => {
    const total = runAll(seeds, { membership: true, mostlyUp: true, partitions: true });
    for (const [name, count] of Object.entries(total)) expect(count, name).toBeGreaterThan(seeds / 16);
  });
});
