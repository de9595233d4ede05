/**
 * What is known from earlier runs, kept under a hash of everything that it depends on: that the correct build passes a
 * tier, and what became of each mutant. A changed source, test or tier forgets it all.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PACKAGE, ROOT } from "./house.js";
import type { Result } from "./judge.js";

export interface Kept {
  /** Names of tiers, with their seeds, that the correct build has passed. */
  readonly passed: Set<string>;
  readonly results: Map<string, Result>;
  save(): void;
}

const PATH = join(ROOT, "node_modules/.cache/mutants.json");

export function loadKept(hash: string): Kept {
  let stored: { readonly hash?: string; readonly passed?: readonly string[]; readonly results?: readonly Result[] } = {};
  try {
    stored = JSON.parse(readFileSync(PATH, "utf8")) as typeof stored;
  } catch {
    // Nothing is kept yet.
  }
  const valid = stored.hash === hash;
  const passed = new Set(valid ? stored.passed : []);
  const results = new Map((valid ? (stored.results ?? []) : []).map((result) => [result.id, result]));
  return {
    passed,
    results,
    save() {
      mkdirSync(dirname(PATH), { recursive: true });
      writeFileSync(PATH, JSON.stringify({ hash, passed: [...passed], results: [...results.values()] }));
    },
  };
}

/** Of the sources, the tests, this program with its table, and the version of Node.js. */
export function hashOfEverything(): string {
  const hash = createHash("sha256").update(process.version);
  const folders = [`${PACKAGE}/src`, `${PACKAGE}/test`];
  const files = folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.split("/").includes("dist"))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  for (const path of [...files, join(ROOT, "vitest.config.ts"), join(ROOT, "package-lock.json")].sort())
    hash.update(`\0${path.slice(ROOT.length)}\0`).update(readFileSync(path));
  return hash.digest("hex");
}
