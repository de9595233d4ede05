/**
 * A run is a function of its plan: the same seed gives the same events, in one process and in another. And whoever asks the
 * real clock is caught, because then it is not.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { drawPlan, Finding, Registers, type RunReport, registers, runPlan, type Workload } from "../../src/sim/index.js";

const SEEDS = [1, 2, 3, 4, 5, 6];

function hashOf(seed: number, workload: Workload<Registers> = registers): string {
  const outcome = runPlan(drawPlan(seed, { stormMicros: 4_000_000 }), workload);
  return outcome instanceof Finding ? `${outcome.at}: ${outcome.complaint}` : `${outcome.hash}`;
}

describe("the same seed", () => {
  test("gives the same run twice, and another seed another", () => {
    const hashes = SEEDS.map((seed) => hashOf(seed));
    expect(SEEDS.map((seed) => hashOf(seed))).toEqual(hashes);
    expect(new Set(hashes).size).toBe(SEEDS.length);
  });

  test("gives the same run in another process", () => {
    const script = fileURLToPath(new URL("../../../../scripts/hashes.mjs", import.meta.url));
    const printed = execFileSync(process.execPath, [script, "--seeds", "3"], { encoding: "utf8" });
    const reports = [1, 2, 3].map((seed) => runPlan(drawPlan(seed), registers) as RunReport);
    expect(printed).toBe(reports.map(({ seed, hash, events }) => `${seed} ${hash.toString(16)} ${events}\n`).join(""));
  });
});

describe("a canary that reads the real clock is caught", () => {
  test("in a client: two runs of one seed differ", () => {
    let calls = 0;
    const workload: Workload<Registers> = {
      ...(registers as Workload<Registers>),
      operation(random, view) {
        calls += 1;
        const [now] = process.hrtime();
        // Whatever is done with it changes what happens; here it draws a number more or less.
        for (let draws = (performance.now() * 1000 + now) % 3; draws >= 1; draws -= 1) random.nextUint32();
        return registers.operation(random, view);
      },
    };
    expect(new Set([1, 2, 3, 4, 5].map(() => hashOf(7, workload))).size).toBeGreaterThan(1);
    expect(calls).toBeGreaterThan(10);
  });

  test("in a state machine: its copies differ", () => {
    class Timed extends Registers {
      override apply(entries: Parameters<Registers["apply"]>[0]): readonly Uint8Array[] {
        const answers = super.apply(entries);
        this.values.set(200, Math.floor(performance.now() * 1000));
        return answers;
      }
    }
    const workload = { ...registers, stateMachine: () => new Timed() } as Workload<Registers>;
    expect(hashOf(8, workload)).toMatch(/differs from another node's|another answer/);
  });
});
