// A rolling upgrade from another commit to this build, and back: `node scripts/rolling-upgrade.mjs [--from REVISION]`.
// Builds the revision (default: the commit before this one) in a folder beside, and runs packages/quorate/test/proof/upgrade.test.ts.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

/** @type {string} */
let from;
try {
  const { values } = parseArgs({ options: { from: { type: "string" } } });
  from = values.from ?? "HEAD^";
} catch (error) {
  console.error(`rolling-upgrade: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(2);
}

/** @param {string} command @param {readonly string[]} words @param {string} [cwd] */
function run(command, words, cwd) {
  return spawnSync(command, words, { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8", ...(cwd !== undefined && { cwd }) });
}

const resolved = run("git", ["rev-parse", "--verify", "--quiet", `${from}^{commit}`]);
if (resolved.status !== 0) {
  console.log(`skipped: this copy has no commit ${from} to upgrade from`);
  console.log("0 passed, 0 failed");
  process.exit(0);
}
const revision = resolved.stdout.trim();
const folder = mkdtempSync(join(tmpdir(), "quorate-upgrade-"));
const old = join(folder, "old");
try {
  console.log(`builds ${revision.slice(0, 12)}, to upgrade from`);
  const steps = /** @type {const} */ ([
    ["git", ["clone", "--quiet", "--no-checkout", process.cwd(), old], undefined],
    ["git", ["checkout", "--quiet", revision], old],
    ["npm", ["ci", "--no-audit", "--no-fund", "--silent"], old],
    ["npm", ["run", "build", "--silent"], old],
  ]);
  for (const [command, words, cwd] of steps) {
    const { status } = run(command, words, cwd);
    if (status !== 0) throw new Error(`"${command} ${words.join(" ")}" ended with ${status}`);
  }
  const program = join(old, "packages/quorate/dist/cli/main.js");
  if (!existsSync(program)) throw new Error(`${program} was not built`);
  const { status } = spawnSync(
    process.execPath,
    ["node_modules/vitest/vitest.mjs", "run", "packages/quorate/test/proof/upgrade.test.ts"],
    { stdio: "inherit", env: { ...process.env, OLD_PROGRAM: program } },
  );
  process.exitCode = status ?? 1;
} catch (error) {
  console.error(`rolling-upgrade: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
