/** `quorate simulate` as it is used: threads, the sums, a finding told and played again, and words that make no sense. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseTrace } from "@quorate/raft/sim";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Processes } from "../../../raft/test/proof/processes.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

let processes: Processes;
let folder: string;

beforeEach(() => {
  processes = new Processes();
  folder = processes.folder();
});

afterEach(() => processes.endAll());

async function simulate(...words: readonly string[]): Promise<{ code: number | null; out: string; errors: string }> {
  const child = processes.node("quorate simulate", MAIN, ["simulate", "--out", folder, ...words]);
  const { code } = await child.ended;
  return { code, out: child.lines.join("\n"), errors: child.errors };
}

it("runs seeds on several threads, sums up, and shows which rare situations came", async () => {
  const { code, out, errors } = await simulate("--seeds", "4", "--first-seed", "1", "--jobs", "2", "--coverage");
  expect({ code, errors }).toEqual({ code: 0, errors: "" });
  expect(out).toMatch(/^quorate simulate: registers, first seed 1, 2 threads$/m);
  expect(out).toMatch(/^4 seeds, [\d,]+ events \(median [\d,]+ a seed\), [\d,]+ events\/s, [\d,]+ seeds\/h$/m);
  expect(out).toMatch(/^electionWon +[\d,]+ +4 {2}a leader was elected$/m);
  expect(out).toMatch(/^nothing was found$/m);
});

it("a finding is told in at most ten lines, written down, and played again to the same end", async () => {
  const { code, out } = await simulate("--workload", "forgetful-registers", "--seeds", "20", "--first-seed", "1");
  expect(code).toBe(1);
  const [, story = ""] = out.split("making it small …\n\n");
  const lines = (story.split("\n\n")[0] ?? "").split("\n");
  expect(lines.length).toBeLessThanOrEqual(10);
  expect(lines.at(-1)).toMatch(/WRONG: .*(differently|differs)/);
  const [, seed = ""] = /--seed (\d+)/.exec(out) ?? [];
  const file = join(folder, `seed-${seed}.plan.json`);
  expect(existsSync(file)).toBe(true);
  const trace = parseTrace(readFileSync(join(folder, `seed-${seed}.trace.jsonl`), "utf8"));
  expect(trace.length).toBeGreaterThan(100);
  expect(trace[0]).toMatchObject({ type: "start" });

  const again = await simulate("--workload", "forgetful-registers", "--replay", file);
  expect(again.code).toBe(1);
  expect(again.out.split("\n")).toEqual(lines);
  const right = await simulate("--workload", "registers", "--replay", file);
  expect(right).toMatchObject({ code: 0, errors: "" });
  expect(right.out).toMatch(/^nothing is wrong with the plan/);
  expect(Object.keys(JSON.parse(readFileSync(file, "utf8")) as object)).toContain("incidents");
});

it("a file that holds no plan is refused with one sentence", async () => {
  const file = join(folder, "nonsense.json");
  writeFileSync(file, "[1, 2]");
  const { code, out, errors } = await simulate("--replay", file);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(errors).toMatch(
    /^quorate: --replay is .*nonsense.json: it holds no plan; give a file that quorate simulate has written\n$/,
  );
});
