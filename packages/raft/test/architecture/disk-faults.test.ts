/** The page on faults of the disk and the tests agree: every row is there, and has a test of its name where the page says. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const FOLDER = new URL("../runtime/storage/", import.meta.url);
const page = readFileSync(new URL("../../../../docs/disk-faults.md", import.meta.url), "utf8");

/** For each row, what its last column names. */
const rows = new Map([...page.matchAll(/^\| (D\d+) \|.*\| ([^|]*) \|$/gm)].map(([, row = "", tests = ""]) => [row, tests]));

/** The rows that the names of a file's tests begin with. */
function rowsIn(file: string): ReadonlySet<string> {
  const text = readFileSync(new URL(file, FOLDER), "utf8");
  const names = [...text.matchAll(/\btest\(\s*["`]((?:D\d+ )+)/g)].flatMap(([, row = ""]) => row.trim().split(" "));
  // Rows that are a table of their own in a test (`D13: ["EIO", "write"]`).
  return new Set([...names, ...[...text.matchAll(/\b(D\d+): \[/g)].map(([, row = ""]) => row)]);
}

const FILES: Readonly<Record<string, readonly string[]>> = {
  log: ["log.test.ts", "disk-faults-log.test.ts"],
  files: ["disk-faults-files.test.ts"],
  node: ["disk-faults-node.test.ts"],
  cluster: ["disk-faults-cluster.test.ts"],
};

test("the page has every row once", () => {
  expect([...rows.keys()]).toEqual(Array.from({ length: 33 }, (_, place) => `D${place + 1}`));
});

test("every row has tests exactly where the page says", () => {
  const found = new Map(
    Object.entries(FILES).map(([name, files]) => [name, new Set(files.flatMap((file) => [...rowsIn(file)]))]),
  );
  for (const [row, tests] of rows) {
    const said = (tests.split(";")[0] ?? "").split(",").map((name) => name.trim());
    const there = [...found].filter(([, names]) => names.has(row)).map(([name]) => name);
    expect(there, row).toEqual(said.filter((name) => name in FILES));
    expect(there.length, row).toBeGreaterThan(0);
  }
});

test("no test is for a row that is not on the page, and no file of them is left out", () => {
  const files = Object.values(FILES).flat();
  const there = readdirSync(FOLDER).filter((name) => /^disk-faults-.*\.test\.ts$/.test(name));
  for (const name of there) expect(files).toContain(name);
  for (const row of files.flatMap((file) => [...rowsIn(file)])) expect(rows.has(row), row).toBe(true);
});
