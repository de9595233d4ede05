/** What becomes of one mutant: it does not compile, a tier kills it, or it survives them all. */
import { join } from "node:path";
import { type Finished, runCommand } from "./command.js";
import { PACKAGE, ROOT } from "./house.js";
import { reachedSources } from "./imports.js";
import type { Mutant } from "./mutant.js";
import type { Sandbox } from "./sandbox.js";
import type { Tier } from "./tiers.js";

export type Fate =
  | { readonly kind: "killed"; readonly tier: string; readonly seeds: number | null; readonly reason: string }
  | { readonly kind: "survived" }
  /** The edit is no program: it proves nothing. */
  | { readonly kind: "broken"; readonly reason: string };

export interface Result {
  readonly id: string;
  readonly fate: Fate;
  readonly seconds: number;
}

export interface TierRun {
  readonly tier: Tier;
  readonly seeds: number;
  /** The sources that it runs; a mutant elsewhere it can't see. */
  readonly reached: ReadonlySet<string>;
}

export function tierRun(tier: Tier, seeds: number | null): TierRun {
  const folder = join(ROOT, PACKAGE);
  const entries = tier.entries(folder).map((entry) => join(folder, entry));
  return {
    tier,
    seeds: tier.seeds === undefined ? 0 : (seeds ?? tier.seeds),
    reached: reachedSources(entries, join(folder, "src")),
  };
}

export function runTier({ tier, seeds }: TierRun, sandbox: Sandbox): Promise<Finished> {
  return runCommand(tier.command(sandbox, seeds), {
    cwd: sandbox.folder,
    // CI: a golden file that is missing fails, and is not written. The heap: a mutant that eats memory ends, not the machine.
    env: { CI: "1", NO_COLOR: "1", NODE_OPTIONS: "--max-old-space-size=1024", ...tier.env?.(seeds) },
    deadlineMs: tier.deadlineMs,
  });
}

export async function judge(mutant: Mutant, runs: readonly TierRun[], sandbox: Sandbox): Promise<Result> {
  const started = process.hrtime.bigint();
  sandbox.plant(mutant);
  const fate = await fateOf(mutant, runs, sandbox);
  sandbox.restore();
  return { id: mutant.id, fate, seconds: Number(process.hrtime.bigint() - started) / 1e9 };
}

async function fateOf(mutant: Mutant, runs: readonly TierRun[], sandbox: Sandbox): Promise<Fate> {
  const compiled = await sandbox.compile();
  if (compiled.code !== 0) return { kind: "broken", reason: compiled.output.trim().split("\n")[0] ?? "it does not compile" };
  for (const run of runs) {
    if (!run.reached.has(mutant.file)) continue;
    const finished = await runTier(run, sandbox);
    if (finished.code === 0) continue;
    const { name } = run.tier;
    if (finished.late)
      return { kind: "killed", tier: name, seeds: null, reason: "it hung: the deadline that only a hang reaches passed" };
    return { kind: "killed", tier: name, ...run.tier.verdict(finished, sandbox) };
  }
  return { kind: "survived" };
}
