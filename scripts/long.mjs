// The longer runs of tests that also run short: `node scripts/long.mjs power --seeds 1000`,
// `node scripts/long.mjs crash --seeds 5`, `node scripts/long.mjs kill --kills 200`, `node scripts/long.mjs members --rounds 3`.
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

/** @type {Record<string, { files: string[], options: Record<string, string>, defaults: Record<string, string> }>} */
const RUNS = {
  power: {
    files: ["packages/raft/test/sim/power.test.ts", "packages/raft/test/sim/power-more.test.ts"],
    options: { seeds: "POWER_SEEDS", "first-seed": "POWER_FIRST_SEED" },
    defaults: { POWER_SEEDS: "1000" },
  },
  crash: {
    files: ["packages/raft/test/sim/crash-points"],
    options: { seeds: "CRASH_SEEDS", "first-seed": "CRASH_FIRST_SEED" },
    defaults: { CRASH_SEEDS: "1" },
  },
  members: {
    files: ["packages/quorate/test/proof/replace.test.ts"],
    options: { rounds: "ROUNDS" },
    defaults: { ROUNDS: "1", GAP: "1" },
  },
  kill: { files: ["packages/quorate/test/proof/kill.test.ts"], options: { kills: "KILLS" }, defaults: { KILLS: "200" } },
};

const [name, ...rest] = process.argv.slice(2);
const run = name !== undefined && Object.hasOwn(RUNS, name) ? RUNS[name] : undefined;
if (run === undefined) {
  console.error(`long: "${name ?? ""}" is none of ${Object.keys(RUNS).join(", ")}`);
  process.exit(2);
}
const environment = { ...run.defaults };
try {
  const { values } = parseArgs({
    args: rest,
    options: Object.fromEntries(Object.keys(run.options).map((option) => [option, { type: "string" }])),
  });
  for (const [option, variable] of Object.entries(run.options)) {
    const value = values[option];
    if (value === undefined) continue;
    if (typeof value !== "string" || !/^[1-9]\d{0,8}$/.test(value))
      throw new Error(`--${option} is "${value}": give a whole number from 1 on`);
    environment[variable] = value;
  }
} catch (error) {
  console.error(`long: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}
const { status } = spawnSync(process.execPath, ["node_modules/vitest/vitest.mjs", "run", ...run.files], {
  stdio: "inherit",
  env: { ...process.env, ...environment },
});
process.exit(status ?? 1);
