/**
 * Which sources a tier runs at all: the files that can be reached from its entries by relative imports. A tier that never
 * loads the edited file can't tell the mutant from the correct build, so it need not be asked.
 */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const IMPORT = /(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g;

/** Paths below `sources`, of every file there that the entries reach. All paths are absolute. */
export function reachedSources(entries: readonly string[], sources: string): ReadonlySet<string> {
  const seen = new Set<string>();
  const waiting = [...entries];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (seen.has(path)) continue;
    seen.add(path);
    for (const [, specifier] of readFileSync(path, "utf8").matchAll(IMPORT)) {
      if (specifier !== undefined) waiting.push(join(dirname(path), specifier.replace(/\.js$/, ".ts")));
    }
  }
  return new Set([...seen].map((path) => relative(sources, path)).filter((path) => !path.startsWith("..")));
}
