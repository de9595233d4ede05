/**
 * Clusters of real nodes that lose their power, one or all, at any moment: nothing that was promised is ever forgotten. And the
 * same clusters on disks that only pretend to sync, as a build would be that forgot to: they must be caught, and soon.
 */
import { expect, test } from "vitest";
import { firstSeed, runPower, runShare } from "./power.js";

const HANG_MS = 1_200_000;

test("clusters lose their power again and again, and nothing else", { timeout: HANG_MS }, () => runShare(0));

test("without the sync, the loss is found within 20 seeds", { timeout: HANG_MS }, () => {
  const complaints: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + 20; seed += 1) {
    try {
      runPower(seed, true);
    } catch (error) {
      complaints.push(error instanceof Error ? error.message : String(error));
    }
  }
  expect(complaints.length).toBeGreaterThan(0);
  console.log(`caught in ${complaints.length} of 20 seeds; for one: ${complaints[0]}`);
});

test("the same seed gives the same events, twice", () => {
  for (const seed of [firstSeed, firstSeed + 1, firstSeed + 2]) {
    const [once, again] = [runPower(seed), runPower(seed)];
    expect(once.events).toBeGreaterThan(1000);
    expect(again).toEqual(once);
  }
});
