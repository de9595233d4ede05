/**
 * The simulator as a tool: runs a workload through many seeds, and what it finds it makes small and tells as a story.
 *
 *   const result = simulate({ workload: myWorkload, seeds: 200 });
 *   if (result.failure !== null) throw new Error(result.failure.story.join("\n"));
 */
import type { Micros } from "../core/types.js";
import type { StateMachine } from "../runtime/state-machine.js";
import type { Observer } from "./cluster.js";
import type { Situation } from "./coverage.js";
import { SITUATIONS } from "./coverage.js";
import { drawPlan, type Plan, type PlanLimits } from "./plan.js";
import type { TraceRecord } from "./reference/index.js";
import { shrink } from "./shrink.js";
import { Story } from "./story.js";
import type { Workload } from "./workload.js";
import { Finding, type RunReport, World } from "./world.js";

export interface SimulationOptions<Machine extends StateMachine, State = unknown> extends PlanLimits {
  readonly workload: Workload<Machine, State>;
  /** How many runs. Default 100. */
  readonly seeds?: number;
  /** The first seed, a whole number from 0; the others follow. Default 1. */
  readonly firstSeed?: number;
  /** Called after each run; false ends the simulation early. */
  readonly onRun?: (report: RunReport) => boolean | undefined;
}

export interface SimulationFailure {
  readonly seed: number;
  /** What was wrong, of the run as it was drawn. */
  readonly complaint: string;
  /** The smallest plan that still fails so, and when it does. */
  readonly plan: Plan;
  readonly at: Micros;
  /** At most ten lines, the last one what was wrong. */
  readonly story: readonly string[];
}

export interface SimulationResult {
  readonly runs: number;
  readonly events: number;
  readonly simulatedMicros: Micros;
  /** How often each rare situation came, over all runs. */
  readonly coverage: Readonly<Record<Situation, number>>;
  /** The first thing that was wrong, made small; null when nothing was. */
  readonly failure: SimulationFailure | null;
}

/** Runs seed after seed until one fails or all have passed. Deterministic: the same options give the same result. */
export function simulate<Machine extends StateMachine, State>(options: SimulationOptions<Machine, State>): SimulationResult {
  const { workload, seeds = 100, firstSeed = 1 } = options;
  checkWhole("seeds", seeds, 1);
  checkWhole("firstSeed", firstSeed, 0);
  const coverage = {} as Record<Situation, number>;
  for (const name of Object.keys(SITUATIONS) as Situation[]) coverage[name] = 0;
  const total = { runs: 0, events: 0, simulatedMicros: 0 };
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
    const plan = drawPlan(seed, options);
    const outcome = runPlan(plan, workload);
    if (outcome instanceof Finding) return { ...total, coverage, failure: explainFinding(outcome, workload) };
    total.runs += 1;
    total.events += outcome.events;
    total.simulatedMicros += outcome.simulatedMicros;
    for (const name of Object.keys(SITUATIONS) as Situation[]) coverage[name] += outcome.coverage[name];
    if (options.onRun?.(outcome) === false) break;
  }
  return { ...total, coverage, failure: null };
}

/** Runs one plan; a finding is returned, anything else that is thrown is an error of the simulator's own. */
export function runPlan<Machine extends StateMachine, State>(
  plan: Plan,
  workload: Workload<Machine, State>,
  observers: readonly Observer[] = [],
): RunReport | Finding {
  try {
    return new World({ plan, workload, observers }).run();
  } catch (error) {
    if (error instanceof Finding) return error;
    throw error;
  }
}

/** Makes a finding small and tells it. */
export function explainFinding<Machine extends StateMachine, State>(
  finding: Finding,
  workload: Workload<Machine, State>,
  maxRuns?: number,
): SimulationFailure {
  const fails = (plan: Plan): Finding | null => {
    const outcome = runPlan(plan, workload);
    return outcome instanceof Finding ? outcome : null;
  };
  const { plan } = shrink(finding.plan, finding, fails, maxRuns);
  return { seed: finding.plan.seed, complaint: finding.complaint, ...tellPlan(plan, workload) };
}

/** Plays a failing plan once more and tells what happens; `trace` gets every step (docs/trace-format.md). */
export function tellPlan<Machine extends StateMachine, State>(
  plan: Plan,
  workload: Workload<Machine, State>,
  trace?: (record: TraceRecord) => void,
): { readonly plan: Plan; readonly at: Micros; readonly story: readonly string[] } {
  const story: Story = new Story(() => world.now);
  const world: World<Machine, State> = new World({
    plan,
    workload,
    observers: [story.observer],
    ...(trace === undefined ? {} : { trace }),
    told: (at, text) => story.told(at, text),
  });
  try {
    world.run();
  } catch (error) {
    if (error instanceof Finding) return { plan, at: error.at, story: story.tell(error.at, error.complaint) };
    throw error;
  }
  return { plan, at: world.now, story: [`nothing is wrong with the plan of seed ${plan.seed}`] };
}

function checkWhole(name: string, value: number, lowest: number): void {
  if (!Number.isSafeInteger(value) || value < lowest)
    throw new RangeError(`${name} is ${value}: it must be a whole number from ${lowest} on`);
}
