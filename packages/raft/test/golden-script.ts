/** Golden scripts: text with commands and what came of them, which a person can read and a test can run again. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

/** Runs a script: lines before `----` are commands (`#` comments stay); what follows up to an empty line is replaced. */
export function replayScript(script: string, run: (line: string) => string): string {
  const written: string[] = [];
  for (const block of script.split(/\n\n+/)) {
    const commands = (block.split(/^----$/m)[0] ?? "").trim();
    if (commands === "") continue;
    const lines = commands.split("\n");
    const outputs = lines.filter((line) => !line.startsWith("#")).map((line) => run(line));
    const heard = outputs.filter((output) => output !== "ok\n").join("") || "ok\n";
    written.push(outputs.length === 0 ? `${commands}\n` : `${commands}\n----\n${heard}`);
  }
  return written.join("\n");
}

/** A test for each script of a folder: played again, it gives what stands in it. */
export function testScripts(folder: URL, replay: (script: string) => string): void {
  const names = readdirSync(folder).filter((each) => each.endsWith(".txt"));
  for (const name of names.sort((a, b) => (a < b ? -1 : 1))) {
    it(name.replace(/\.txt$/, "").replaceAll("-", " "), async () => {
      const path = fileURLToPath(new URL(name, folder));
      await expect(replay(readFileSync(path, "utf8"))).toMatchFileSnapshot(path);
    });
  }
}
