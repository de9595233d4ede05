/**
 * Runs seeds of a simulator that was compiled somewhere, until one fails: `node seeds.js path/to/dist/sim/index.js 60`.
 * Ends with 1 and `killed after N seeds: …` when one does. What is run is the compiled one, so its types are told here.
 */
import { pathToFileURL } from "node:url";

interface Simulator {
  readonly drawPlan: (seed: number) => unknown;
  readonly registers: unknown;
  readonly runPlan: (plan: unknown, workload: unknown) => { readonly complaint?: string };
}

const [path = "", count = ""] = process.argv.slice(2);
// A stack for every error of a disk that is made to fail costs more than the run.
Error.stackTraceLimit = 0;

const { drawPlan, registers, runPlan } = (await import(pathToFileURL(path).href)) as Simulator;

/** What is wrong with the run of a seed; null when nothing is. */
function complaintOf(seed: number): string | null {
  try {
    return runPlan(drawPlan(seed), registers).complaint ?? null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

for (let seed = 1; seed <= Number(count); seed += 1) {
  const complaint = complaintOf(seed);
  if (complaint === null) continue;
  console.log(`killed after ${seed} seeds: ${complaint}`);
  process.exit(1);
}
console.log(`${count} seeds passed`);
