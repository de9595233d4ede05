/**
 * Mutation testing of the library: `npm run test:mutants`. Plants one seeded bug after the other (table/) in a copy of the
 * package and runs the tiers (tiers.ts) until one notices. The closing line counts the mutants that were killed, and those
 * that fail the run: an easy or medium one of a safety rule that survives, one that does not compile, and a tier that the
 * correct build does not pass.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { endCommands } from "./command.js";
import { ROOT } from "./house.js";
import { judge, type Result, runTier, type TierRun, tierRun } from "./judge.js";
import { hashOfEverything, type Kept, loadKept } from "./kept.js";
import type { Mutant } from "./mutant.js";
import { type Options, readOptions, USAGE } from "./options.js";
import { documentation, mustDie } from "./report.js";
import { type Sandbox, Sandboxes } from "./sandbox.js";
import { MUTANTS } from "./table/index.js";
import { TIERS } from "./tiers.js";

const say = (line: string): void => console.log(line);

function optionsOrExit(): Options {
  try {
    return readOptions(process.argv.slice(2), MUTANTS);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

/**
 * The correct build passes: otherwise a kill would say nothing. Known from an earlier run of the very same sources, or run
 * now, a tier in each copy at a time.
 */
async function checkCorrectBuild(runs: readonly TierRun[], sandboxes: readonly Sandbox[], kept: Kept): Promise<boolean> {
  const nameOf = ({ tier, seeds }: TierRun): string => `${tier.name} ${seeds}`;
  const waiting = runs.filter((run) => !kept.passed.has(nameOf(run)));
  const complaints: string[] = [];
  const work = async (sandbox: Sandbox): Promise<void> => {
    if (waiting.length === 0) return;
    const compiled = await sandbox.compile();
    if (compiled.code !== 0) complaints.push(`the correct build does not compile:\n${compiled.output}`);
    while (complaints.length === 0) {
      const run = waiting.shift();
      if (run === undefined) return;
      const started = process.hrtime.bigint();
      const finished = await runTier(run, sandbox);
      if (finished.code === 0) {
        say(`the correct build passes ${run.tier.name} in ${seconds(Number(process.hrtime.bigint() - started) / 1e9)}`);
        kept.passed.add(nameOf(run));
      } else {
        const reason = finished.late ? "it hung" : run.tier.verdict(finished, sandbox).reason;
        complaints.push(`the correct build does not pass the tier ${run.tier.name}: ${reason}`);
      }
    }
  };
  await Promise.all(sandboxes.map(work));
  kept.save();
  for (const complaint of complaints) say(complaint);
  return complaints.length === 0;
}

function seconds(value: number): string {
  return `${value.toFixed(1)} s`;
}

function lineOf(mutant: Mutant, { fate, seconds: took }: Result): string {
  const what = `${mutant.id} ${mutant.difficulty} ${mutant.kind}`;
  if (fate.kind === "broken") return `${what}: DOES NOT COMPILE: ${fate.reason}`;
  if (fate.kind === "survived")
    return `${what}: ${mustDie(mutant) ? "SURVIVES" : "survives"} (${seconds(took)}): ${mutant.title}`;
  const after = fate.seeds === null ? "" : `, seed ${fate.seeds}`;
  return `${what}: killed by ${fate.tier}${after} (${seconds(took)}): ${fate.reason}`;
}

async function main(): Promise<boolean> {
  const options = optionsOrExit();
  const kept = loadKept(hashOfEverything());
  const sandboxes = new Sandboxes();
  const clean = (): void => {
    endCommands();
    sandboxes.remove();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      clean();
      say(`ended by ${signal}; --resume goes on from here`);
      process.exit(130);
    });
  }
  try {
    return await run(options, kept, sandboxes);
  } finally {
    clean();
  }
}

async function run(options: Options, kept: Kept, sandboxes: Sandboxes): Promise<boolean> {
  const { mutants, tiers, seeds } = options;
  const wholeTiers = tiers.length === TIERS.length && seeds === null;
  if (mutants.length < MUTANTS.length) say(`${mutants.length} of ${MUTANTS.length}: ${mutants.map(({ id }) => id).join(", ")}`);
  // All copies now: what is edited in the working place meanwhile is not in them.
  const copies = Array.from({ length: Math.min(options.workers, mutants.length) }, () => sandboxes.make());
  const runs = tiers.map((tier) => tierRun(tier, seeds));
  if (!(await checkCorrectBuild(runs, copies, kept))) {
    say("0 passed, 1 failed");
    return false;
  }
  const results = new Map<string, Result>();
  for (const { id } of mutants) {
    const known = options.resume && wholeTiers ? kept.results.get(id) : undefined;
    if (known !== undefined) results.set(id, known);
  }
  if (results.size > 0) say(`${results.size} are known from an earlier run`);
  const waiting = mutants.filter(({ id }) => !results.has(id));
  const work = async (sandbox: Sandbox): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const result = await judge(mutant, runs, sandbox);
      results.set(mutant.id, result);
      say(`[${String(results.size).padStart(3)}/${mutants.length}] ${lineOf(mutant, result)}`);
      if (wholeTiers) {
        kept.results.set(mutant.id, result);
        kept.save();
      }
    }
  };
  await Promise.all(copies.map(work));
  return conclude(options, results, wholeTiers);
}

/** Survivors once more, the closing line, and the page if it is wanted. True: nothing failed. */
function conclude({ mutants, tiers, updateDocs }: Options, results: ReadonlyMap<string, Result>, wholeTiers: boolean): boolean {
  const those = (kind: Result["fate"]["kind"]): readonly Mutant[] =>
    mutants.filter(({ id }) => results.get(id)?.fate.kind === kind);
  const killed = those("killed");
  const survivors = those("survived");
  // Where tiers or seeds were left out, a survivor says nothing about the tests.
  const failed = [...those("broken"), ...(wholeTiers ? survivors.filter(mustDie) : [])];
  for (const { id, difficulty, kind, title, survives } of survivors)
    say(`survives: ${id} (${difficulty}, ${kind}): ${title}${survives === undefined ? "" : ` (${survives})`}`);
  const total = [...results.values()].reduce((sum, result) => sum + result.seconds, 0);
  say(`${killed.length} of ${mutants.length} are killed, ${seconds(total / Math.max(1, results.size))} each`);
  if (updateDocs) {
    writeFileSync(join(ROOT, "docs/mutants.md"), documentation(MUTANTS, results, tiers));
    say("docs/mutants.md is written");
  }
  say(`${killed.length} passed, ${failed.length} failed`);
  return failed.length === 0;
}

process.exitCode = (await main()) ? 0 : 1;
