/** The session in docs/checker.md is what happens. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MODEL_NAMES } from "@quorate/raft/check";
import { expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const DOCS = readFileSync(new URL("../../../../docs/checker.md", import.meta.url), "utf8");

function block(begin: string): string {
  const from = DOCS.indexOf(begin) + begin.length;
  return DOCS.slice(from, DOCS.indexOf("```", from));
}

it("the session: the history, the command, what it prints, and the exit code", () => {
  const folder = mkdtempSync(join(tmpdir(), "quorate-docs-"));
  try {
    writeFileSync(join(folder, "history.jsonl"), block("```json\n"));
    const [command = "", ...rest] = block("```\n$ ").trimEnd().split("\n");
    const [code, echo, ...printed] = rest.toReversed();
    expect(echo).toBe("$ echo $?");
    const [program, ...words] = command.split(" ");
    expect(program).toBe("quorate");
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], { cwd: folder, encoding: "utf8" });
    const withoutTime = (text: string): string => text.replace(/checked in \d+\.\d\d s/, "checked in a while");
    expect(withoutTime(stdout)).toBe(withoutTime(`${printed.toReversed().join("\n")}\n`));
    expect({ stderr, status: String(status) }).toEqual({ stderr: "", status: code });
    expect(readFileSync(join(folder, "why.html"), "utf8")).toContain("Not linearizable");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it("every model has its row", () => {
  for (const name of MODEL_NAMES) expect(DOCS).toContain(`| \`${name}\` |`);
});
