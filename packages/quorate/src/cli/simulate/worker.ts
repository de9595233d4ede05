/** One thread of `quorate simulate`: runs the seeds that it is given, one at a time, and says what came of each. */
import { parentPort } from "node:worker_threads";
import { drawPlan, Finding, type Plan, type RunReport, runPlan } from "@quorate/raft/sim";
import { WORKLOADS } from "./settings.js";

export interface Task {
  readonly seed: number;
  readonly nodes: number | null;
  readonly workload: string;
}

export type Outcome =
  | { readonly type: "report"; readonly report: RunReport }
  | { readonly type: "finding"; readonly plan: Plan; readonly at: number; readonly complaint: string }
  | { readonly type: "broken"; readonly seed: number; readonly message: string };

// A stack for every error of a disk that is made to fail costs more than the run.
Error.stackTraceLimit = 0;

export function runTask({ seed, nodes, workload: name }: Task): Outcome {
  const workload = WORKLOADS.get(name);
  if (workload === undefined) return { type: "broken", seed, message: `there is no workload ${name}` };
  try {
    const outcome = runPlan(drawPlan(seed, nodes === null ? {} : { nodes }), workload);
    if (!(outcome instanceof Finding)) return { type: "report", report: outcome };
    return { type: "finding", plan: outcome.plan, at: outcome.at, complaint: outcome.complaint };
  } catch (error) {
    return { type: "broken", seed, message: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on("message", (task: Task) => parentPort?.postMessage(runTask(task)));
