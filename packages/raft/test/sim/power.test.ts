/**
 * Clusters of real nodes that lose their power, one or all, at any moment: nothing that was promised is ever forgotten. And the
 * same clusters on disks that only pretend to sync, as a build would be that forgot to: they must be caught, and soon.
 */
import { expect, test } from "vitest";
import { World, type WorldCounters } from "../../src/sim/index.js";

const seeds = Number(process.env["POWER_SEEDS"] ?? 60);
const first = Number(process.env["POWER_FIRST_SEED"] ?? 1);

test(`${seeds} clusters lose their power again and again, and nothing else`, { timeout: 1_200_000 }, () => {
  const total: Record<string, number> = {};
  for (let seed = first; seed < first + seeds; seed += 1) {
    const world = new World({ seed });
    world.run();
    for (const [name, count] of Object.entries(world.counters)) total[name] = (total[name] ?? 0) + count;
  }
  // It must have been a storm, or passing says nothing.
  const rare: readonly (keyof WorldCounters)[] = [
    "tornWrites",
    "truncations",
    "snapshotsInstalled",
    "kills",
    "blackouts",
    "snapshotsTaken",
  ];
  for (const [name, count] of Object.entries(total))
    expect(count, name).toBeGreaterThanOrEqual(rare.includes(name as keyof WorldCounters) ? seeds / 10 : seeds);
  console.log(
    `${seeds} seeds from ${first}: ${Object.entries(total)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ")}`,
  );
});

test("without the sync, the loss is found within 20 seeds", () => {
  let caught = 0;
  for (let seed = first; seed < first + 20; seed += 1) {
    try {
      new World({ seed, withoutSync: true }).run();
    } catch {
      caught += 1;
    }
  }
  expect(caught).toBeGreaterThan(0);
  console.log(`caught in ${caught} of 20 seeds`);
});

test("the same seed gives the same events, twice", () => {
  for (const seed of [first, first + 1, first + 2]) {
    const hashes = [0, 1].map(() => {
      const world = new World({ seed });
      world.run();
      return [world.eventHash, world.steps];
    });
    expect(hashes[0]).toEqual(hashes[1]);
  }
});
