/**
 * The table of seeded bugs still fits the sources: a refactoring that takes a mutant's text away is noticed at once, not in
 * the long run that plants them (`npm run test:mutants`).
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { edited } from "./program/edit.js";
import { PACKAGE, ROOT } from "./program/house.js";
import { reachedSources } from "./program/imports.js";
import type { Mutant } from "./program/mutant.js";
import { draw } from "./program/options.js";
import { MUTANTS } from "./program/table/index.js";
import { TIERS } from "./program/tiers.js";

const packageFolder = join(ROOT, PACKAGE);
const sourceOf = ({ file }: Mutant): string => readFileSync(join(packageFolder, "src", file), "utf8");

describe("the table of seeded bugs", () => {
  test("each applies to its file, once", () => {
    const complaints: string[] = [];
    for (const mutant of MUTANTS) {
      try {
        edited(mutant, sourceOf(mutant));
      } catch (error) {
        complaints.push(error instanceof Error ? error.message : String(error));
      }
    }
    expect(complaints).toEqual([]);
  });

  test("each has an id and an edit of its own", () => {
    expect(new Set(MUTANTS.map(({ id }) => id)).size).toBe(MUTANTS.length);
    expect(new Set(MUTANTS.map(({ file, find, replace }) => JSON.stringify([file, find, replace]))).size).toBe(MUTANTS.length);
    for (const { id } of MUTANTS) expect(id).toMatch(/^[A-Z]{2}\d\d$/);
  });

  test("it is large enough, and enough of it was written without a look at the tests", () => {
    expect(MUTANTS.length).toBeGreaterThanOrEqual(80);
    expect(MUTANTS.filter(({ fromRuleAlone }) => fromRuleAlone).length).toBeGreaterThanOrEqual(25);
  });

  test("every file that is edited is run by a tier", () => {
    const reached = TIERS.map((tier) =>
      reachedSources(
        tier.entries(packageFolder).map((entry) => join(packageFolder, entry)),
        join(packageFolder, "src"),
      ),
    );
    for (const { id, file } of MUTANTS)
      expect(
        reached.some((files) => files.has(file)),
        `${id} in ${file}`,
      ).toBe(true);
  });

  test("the page lists all of them", () => {
    const page = join(ROOT, "docs/mutants.md");
    expect(existsSync(page)).toBe(true);
    const rows = readFileSync(page, "utf8").matchAll(/^\| ([A-Z]{2}\d\d) \|/gm);
    expect([...rows].map(([, id]) => id)).toEqual(MUTANTS.map(({ id }) => id));
  });
});

describe("an edit", () => {
  const mutant: Mutant = {
    id: "XX01",
    title: "",
    rule: "",
    file: "",
    find: "one",
    replace: "two",
    difficulty: "easy",
    kind: "safety",
    fromRuleAlone: false,
  };

  test("is refused when its text is missing, there twice, or changed into itself", () => {
    expect(edited(mutant, "a one b")).toBe("a two b");
    expect(() => edited(mutant, "a b")).toThrow("not in");
    expect(() => edited(mutant, "one one")).toThrow("more than once");
    expect(() => edited({ ...mutant, replace: "one" }, "one")).toThrow("changes nothing");
  });
});

test("a few are drawn by a number, spread over the table, and all of them in the end", () => {
  const drawn = draw(MUTANTS, 5, 123_456_789);
  expect(drawn.length).toBe(5);
  expect(new Set(drawn).size).toBe(5);
  const all = new Set(Array.from({ length: MUTANTS.length }, (_, number) => draw(MUTANTS, 1, number)).flat());
  expect(all.size).toBe(MUTANTS.length);
});
