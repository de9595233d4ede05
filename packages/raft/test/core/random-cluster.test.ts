/** Random hostile worlds for the core alone; a failing seed is printed and replays by itself. */
import { describe, expect, it } from "vitest";
import { type Counters, RandomCluster, type RandomClusterOptions } from "./random-cluster.js";

const seeds = Number(process.env["CORE_SEEDS"] ?? 300);
const first = Number(process.env["CORE_FIRST_SEED"] ?? 1);

function runAll(count: number, options: (seed: number) => RandomClusterOptions): Counters {
  let total: Counters | null = null;
  for (let seed = first; seed < first + count; seed += 1) {
    const cluster = new RandomCluster(seed, options(seed));
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

const SPARED = ["damages", "copied", "discarded", "led", "stuck"] as const;
const MEMBERSHIP = ["changes", "configurationsCommitted", "configurationsTruncated"] as const;

/** The worlds must really be bad ones, or passing says nothing. */
function expectMany(total: Counters, least: number, except: readonly (keyof Counters)[]): void {
  for (const [name, count] of Object.entries(total) as [keyof Counters, number][])
    if (!except.includes(name)) expect(count, name).toBeGreaterThan(least);
}

describe("the core in random worlds", () => {
  it(`keeps every rule of Figure 3 over ${seeds} seeds, and makes progress when the faults stop`, () => {
    const total = runAll(seeds, () => ({}));
    expectMany(total, seeds / 8, [...SPARED, ...MEMBERSHIP]);
    // Nobody asks for a change; a joint configuration that a world began with is left all the same.
    expect(total.changes).toBe(0);
    expect(total.configurationsCommitted + total.configurationsTruncated).toBeGreaterThan(0);
  });

  it(`keeps them over ${seeds} seeds in which the members change`, () => {
    const total = runAll(seeds, () => ({ membership: true, mostlyUp: true, partitions: true }));
    expectMany(total, seeds / 16, SPARED);
  });

  it(`keeps them over ${seeds} seeds with disks that lose entries, after which every node is whole again`, () => {
    const total = runAll(seeds, (seed) => ({ damages: true, partitions: seed % 2 === 0, mostlyUp: seed % 3 !== 0 }));
    for (const name of ["damages", "copied", "led"] as const) expect(total[name], name).toBeGreaterThan(seeds / 8);
    // Rare: a majority that can be reached, and none of which leads.
    expect(total.discarded, "discarded").toBeGreaterThan(seeds / 300);
    expect(total.stuck).toBe(0);
  });

  it(`keeps them over ${seeds} seeds in which the members change while disks lose entries`, () => {
    const total = runAll(seeds, () => ({ membership: true, mostlyUp: true, partitions: true, damages: true }));
    for (const name of ["damages", "copied", "led", "changes"] as const) expect(total[name], name).toBeGreaterThan(seeds / 16);
    expect(total.stuck).toBeLessThan(seeds / 30);
  });
});
