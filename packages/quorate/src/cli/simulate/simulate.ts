/**
 * `quorate simulate`: seeds on all cores, until they are done, the time is over, or one finds something. A finding is made
 * small, told as a story, and written down so that it can be played again.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import {
  explainFinding,
  Finding,
  type Plan,
  printTrace,
  runPlan,
  type TraceRecord,
  tellPlan,
  type Workload,
} from "@quorate/raft/sim";
import { CommandFailure, type ExitCode, usage } from "../failure.js";
import { type SimulateSettings, WORKLOADS } from "./settings.js";
import { LONG_RUN, Tally } from "./tally.js";
import type { Outcome, Task } from "./worker.js";

export interface SimulateTerminal {
  readonly print: (line: string) => void;
  /** Replaces the last line on a terminal; null where there is none, then progress is printed now and then. */
  readonly redraw: ((line: string) => void) | null;
  readonly stopRequested: Promise<string>;
}

const REDRAW_MS = 200;
const PRINT_MS = 10_000;

export async function simulateCommand(settings: SimulateSettings, terminal: SimulateTerminal): Promise<ExitCode> {
  if (settings.replay !== null) return replay(settings.replay, settings, terminal);
  const started = performance.now();
  const tally = new Tally();
  const first = `first seed ${settings.firstSeed}`;
  terminal.print(
    `quorate simulate: ${settings.workload}, ${first}, ${settings.jobs} ${settings.jobs === 1 ? "thread" : "threads"}`,
  );
  const finding = await runSeeds(settings, tally, terminal, started);
  terminal.redraw?.("");
  for (const line of tally.summary(performance.now() - started)) terminal.print(line);
  if (settings.coverage) for (const line of tally.coverageLines()) terminal.print(line);
  if (finding !== null) return tellFinding(finding, settings, terminal);
  const missing = tally.missing();
  if (settings.coverage && tally.runs >= LONG_RUN && missing.length > 0) {
    terminal.print(`never seen in ${tally.runs} runs: ${missing.join(", ")}: the simulation does not try what it promises`);
    return 1;
  }
  terminal.print("nothing was found");
  return 0;
}

/** The finding of the lowest seed among those that were found, or null. */
async function runSeeds(
  settings: SimulateSettings,
  tally: Tally,
  terminal: SimulateTerminal,
  started: number,
): Promise<Finding | null> {
  const deadline = settings.minutes === null ? Number.POSITIVE_INFINITY : started + settings.minutes * 60_000;
  const count = settings.seeds ?? Number.POSITIVE_INFINITY;
  let given = 0;
  let stopped = false;
  let finding: Finding | null = null;
  let broken: string | null = null;
  void terminal.stopRequested.then(() => {
    stopped = true;
  });
  const show = shower(terminal, started, () => {
    const ofTime = settings.minutes === null ? 0 : (performance.now() - started) / (settings.minutes * 60_000);
    const ofSeeds = settings.seeds === null ? 0 : tally.runs / settings.seeds;
    return tally.progress(Math.min(1, Math.max(ofTime, ofSeeds)), performance.now() - started);
  });
  const next = (): Task | null => {
    if (stopped || finding !== null || broken !== null || given >= count || performance.now() >= deadline) return null;
    given += 1;
    return { seed: settings.firstSeed + given - 1, nodes: settings.nodes, workload: settings.workload };
  };
  const take = (outcome: Outcome): void => {
    if (outcome.type === "report") tally.add(outcome.report);
    else if (outcome.type === "broken") broken = `seed ${outcome.seed}: ${outcome.message}`;
    else if (finding === null || outcome.plan.seed < finding.plan.seed)
      finding = new Finding(outcome.plan, outcome.at, outcome.complaint);
    show();
  };
  await Promise.all(Array.from({ length: settings.jobs }, () => work(next, take)));
  if (broken !== null) throw new CommandFailure(`the simulator itself failed at ${String(broken)}`);
  return finding;
}

/** One thread, fed a seed at a time until there are no more. */
function work(next: () => Task | null, take: (outcome: Outcome) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./worker.js", import.meta.url));
    const feed = (): void => {
      const task = next();
      if (task === null) void worker.terminate();
      else worker.postMessage(task);
    };
    worker.on("message", (outcome: Outcome) => {
      take(outcome);
      feed();
    });
    worker.on("error", reject);
    worker.on("exit", () => resolve());
    feed();
  });
}

function shower(terminal: SimulateTerminal, started: number, line: () => string): () => void {
  let shownAt = started;
  return () => {
    const now = performance.now();
    if (now - shownAt < (terminal.redraw === null ? PRINT_MS : REDRAW_MS)) return;
    shownAt = now;
    (terminal.redraw ?? terminal.print)(line());
  };
}

// ---- What was found ----

function tellFinding(finding: Finding, settings: SimulateSettings, { print }: SimulateTerminal): ExitCode {
  const workload = WORKLOADS.get(settings.workload);
  if (workload === undefined) throw usage(`there is no workload ${settings.workload}`);
  print("");
  print(`FOUND: ${finding.message}`);
  print("");
  print("making it small …");
  const { plan, story } = explainFinding(finding, workload);
  const { seed } = finding.plan;
  const file = writePlan(plan, settings);
  const trace = writeTrace(plan, settings, workload);
  print("");
  for (const line of story) print(line);
  print("");
  print(`the same run:    quorate simulate --workload ${settings.workload} --seed ${seed}${nodesWord(settings)}`);
  print(`the story above: quorate simulate --workload ${settings.workload} --replay ${file}`);
  print(`every step of it: ${trace}`);
  return 1;
}

function nodesWord({ nodes }: SimulateSettings): string {
  return nodes === null ? "" : ` --nodes ${nodes}`;
}

function writePlan(plan: Plan, { out }: SimulateSettings): string {
  mkdirSync(out, { recursive: true });
  const file = join(out, `seed-${plan.seed}.plan.json`);
  writeFileSync(file, `${JSON.stringify(plan, null, 1)}\n`);
  return file;
}

function writeTrace(plan: Plan, { out }: SimulateSettings, workload: Workload<never>): string {
  const records: TraceRecord[] = [];
  tellPlan(plan, workload, (record) => records.push(record));
  const file = join(out, `seed-${plan.seed}.trace.jsonl`);
  writeFileSync(file, printTrace(records));
  return file;
}

function replay(file: string, settings: SimulateSettings, { print }: SimulateTerminal): ExitCode {
  const workload = WORKLOADS.get(settings.workload);
  const plan = readPlan(file);
  if (workload === undefined) throw usage(`there is no workload ${settings.workload}`);
  const outcome = runPlan(plan, workload);
  if (!(outcome instanceof Finding)) {
    print(`nothing is wrong with the plan in ${file}: ${outcome.events} events, event hash ${outcome.hash.toString(16)}`);
    return 0;
  }
  for (const line of tellPlan(plan, workload).story) print(line);
  return 1;
}

function readPlan(file: string): Plan {
  try {
    const plan: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof plan === "object" && plan !== null && "seed" in plan && "incidents" in plan && "options" in plan)
      return plan as Plan;
  } catch (error) {
    throw usage(`--replay is ${file}: it can't be read as a plan (${error instanceof Error ? error.message : String(error)})`);
  }
  throw usage(`--replay is ${file}: it holds no plan; give a file that quorate simulate has written`);
}
