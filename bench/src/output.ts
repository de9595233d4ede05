/** Where the results go: two files that are kept, and docs/benchmarks.md when asked. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BenchFailure } from "./failure.js";
import type { Results } from "./report.js";

const DOCUMENT = new URL("../../docs/benchmarks.md", import.meta.url);
const BEGIN = "<!-- last run: begin -->";
const END = "<!-- last run: end -->";

/** Writes the tables and every single measurement; returns the names of the files. */
export function writeResults(directory: string, results: Results, text: string): string[] {
  mkdirSync(directory, { recursive: true });
  const name = results.facts.startedAt.replaceAll(/[:.]/g, "-");
  const files = [join(directory, `${name}.md`), join(directory, `${name}.json`)] as const;
  writeFileSync(files[0], text);
  writeFileSync(files[1], `${JSON.stringify(results, null, 2)}\n`);
  return [...files];
}

/** Puts the tables between the two marks of docs/benchmarks.md. */
export function updateDocument(text: string): void {
  const old = readFileSync(DOCUMENT, "utf8");
  const begin = old.indexOf(BEGIN);
  const end = old.indexOf(END);
  if (begin < 0 || end < begin) throw new BenchFailure(`docs/benchmarks.md has lost its marks: put "${BEGIN}" and "${END}" back`);
  writeFileSync(DOCUMENT, `${old.slice(0, begin + BEGIN.length)}\n\n${text}\n${old.slice(end)}`);
}
