/** docs/invariants.md and the code say the same: every invariant of the core has a row, and every row a place that knows it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ROOT } from "./house.js";
import { tokenize } from "./scanner.js";

const PAGE = "docs/invariants.md";
const page = readFileSync(new URL(PAGE, ROOT), "utf8");

interface Row {
  readonly name: string;
  readonly files: readonly string[];
}

function rowsOf(heading: string): readonly Row[] {
  const section = page.split(/^## /m).find((each) => each.startsWith(heading)) ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| ---") && !/^\| (invariant|rule) /.test(line))
    .map((line) => {
      const cells = line.split("|").map((cell) => cell.trim());
      const files = [...(cells[4] ?? "").matchAll(/\(\.\.\/([^)]+)\)/g)].map(([, path = ""]) => path);
      return { name: (cells[1] ?? "").replaceAll("`", ""), files };
    });
}

/** The names in calls of `invariant(…)`, with the files that hold them. */
function namesInCore(): ReadonlyMap<string, ReadonlySet<string>> {
  const names = new Map<string, Set<string>>();
  const folder = "packages/raft/src/core/";
  for (const file of readdirSync(new URL(folder, ROOT))) {
    if (!file.endsWith(".ts")) continue;
    const tokens = tokenize(readFileSync(new URL(folder + file, ROOT), "utf8"));
    tokens.forEach((token, at) => {
      if (token.text !== "invariant" || tokens[at + 1]?.text !== "(" || tokens[at - 1]?.text === "function") return;
      // The second argument: the first comma at the depth of the call.
      let depth = 0;
      for (let next = at + 1; next < tokens.length; next += 1) {
        const text = tokens[next]?.text ?? "";
        if ("([{".includes(text) && text.length === 1) depth += 1;
        if (")]}".includes(text) && text.length === 1) depth -= 1;
        if (depth === 0) return;
        if (depth !== 1 || text !== ",") continue;
        const name = tokens[next + 1]?.text ?? "";
        names.set(name, (names.get(name) ?? new Set()).add(folder + file));
        return;
      }
    });
  }
  return names;
}

test("every invariant of the core has a row that leads to where it is enforced, and every row is true", () => {
  const names = namesInCore();
  expect(names.size).toBeGreaterThan(20);
  const rows = rowsOf("In every node");
  expect(rows.map(({ name }) => name).sort()).toEqual([...names.keys()].sort());
  for (const { name, files } of rows) expect([...files].sort(), name).toEqual([...(names.get(name) ?? [])].sort());
});

test("every rule of the simulator leads to a file that leads back", () => {
  const rows = rowsOf("Over all nodes");
  expect(rows.length).toBeGreaterThan(10);
  for (const { name, files } of rows) {
    expect(files.length, name).toBeGreaterThan(0);
    for (const file of files) {
      expect(existsSync(new URL(file, ROOT)), file).toBe(true);
      const text = readFileSync(new URL(file, ROOT), "utf8");
      expect(text, `${file} names ${PAGE}`).toContain(PAGE);
      expect(text, `${file} names "${name}"`).toContain(name);
    }
  }
});
