/** Every model but the registers against histories that are linearizable by construction, and against every permutation. */
import { describe, expect, test } from "vitest";
import { checkHistory, modelByName, type Operation } from "../../src/check/index.js";
import { SeededRandom } from "../../src/sim/random.js";
import { bruteForce, isWitness } from "./brute-force.js";
import { historyOf, mutate } from "./clients.js";
import { OBJECTS, type Played } from "./objects.js";

function history(seed: number, played: Played, operations: number, clients: number, openPerMille: number, few: boolean) {
  return historyOf(new SeededRandom(seed, 3), { operations, clients, openPerMille }, played.simulate(few));
}

function smallHistory(seed: number, played: Played): Operation[] {
  const openPerMille = seed % 9 === 0 ? 400 : seed % 3 === 0 ? 100 : 0;
  const operations = history(seed, played, 4 + (seed % 3), 2 + (seed % 2), openPerMille, seed % 2 === 0);
  return seed % 6 === 0 ? operations : mutate(seed, operations, played.otherAnswer);
}

describe.each(OBJECTS.map((played, at) => ({ ...played, at })))("$name ($at)", (played) => {
  const model = modelByName(played.name);
  const { simplify: _s, alike: _a, ...plain } = model;

  test("small histories get the verdict of every permutation", () => {
    const counts = { linearizable: 0, not: 0, open: 0 };
    for (let seed = 1; seed <= 3000; seed += 1) {
      const operations = smallHistory(seed, played);
      const expected = bruteForce(operations, played.legal) ? "linearizable" : "not";
      counts[expected] += 1;
      if (operations.some((operation) => operation.return === null)) counts.open += 1;
      for (const [how, judge] of [["as it is", model] as const, ["plain", plain] as const]) {
        const { verdict, groups } = checkHistory(operations, judge);
        const order = groups[0]?.order ?? [];
        if (verdict === expected && (verdict === "not" || isWitness(order, operations, played.legal))) continue;
        expect.fail(`seed ${seed}, ${how}: ${verdict} instead of ${expected}: ${JSON.stringify(operations, null, 1)}`);
      }
    }
    console.log(`${played.name}: ${counts.linearizable} linearizable, ${counts.not} not, ${counts.open} with open operations`);
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(200);
  });

  test("long histories of a real one are linearizable, and the order found is one", () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const few = seed % 2 === 0;
      // Which of two equal values it was that came out of a queue is what makes it hard: few clients then.
      const operations = history(seed, played, 300, 2 + (seed % (few ? 3 : 7)), few ? 5 : (seed % 3) * 20, few);
      const { verdict, steps, groups } = checkHistory(operations, model, { maxSteps: 3_000_000 });
      expect(`seed ${seed}: ${verdict}, ${steps} steps`).toBe(`seed ${seed}: linearizable, ${steps} steps`);
      expect(isWitness(groups[0]?.order ?? [], operations, played.legal)).toBe(true);
    }
  });
});
