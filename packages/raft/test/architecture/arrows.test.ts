/**
 * The import arrows of the house. Every rule is shown to fail on a small bad example before it is held against the
 * sources, so that none of them passes for nothing.
 */
import { describe, expect, it } from "vitest";
import { circles, wrongImports } from "./arrows.js";
import { readJson, readSources } from "./house.js";
import { findImports, tokenize } from "./scanner.js";

const sources = readSources();
const dependencies = { raft: dependenciesOf("raft"), quorate: dependenciesOf("quorate") };

function dependenciesOf(name: string): string[] {
  const { dependencies = {} } = readJson(`packages/${name}/package.json`) as { dependencies?: Record<string, string> };
  return Object.keys(dependencies);
}

/** What is wrong with one file that has this text. */
function wrongWith(path: string, text: string): string[] {
  return wrongImports(new Map([[path, text]]), { dependencies: { raft: [], quorate: ["@quorate/raft", "sorted-btree"] } });
}

describe("the scanner", () => {
  const importsIn = (text: string): string[] =>
    findImports(tokenize(text)).map(
      (each) => `${each.kind}${each.typeOnly ? " type" : ""} ${each.specifier ?? "?"} ${each.line}`,
    );

  it("finds every form of import", () => {
    const text = [
      'import "./side-effect.js";',
      'import named from "./default.js";',
      'import * as all from "./namespace.js";',
      'import named, { type A, from as b, "odd name" as c } from "./mixed.js";',
      'import type { A } from "./type.js";',
      'import type from "./default-called-type.js";',
      'import type D, { type E } from "./default-type.js";',
      'import {\n  a,\n  b,\n} from "./lines.js";',
      'export * from "./all.js";',
      'export * as name from "./all-named.js";',
      'export { a as b } from "./some.js";',
      'export type { A } from "./some-types.js";',
      'export type * from "./all-types.js";',
      'const later = await import("./later.js");',
      "const never = import(somewhere);",
      'let typed: typeof import("./in-a-type.js");',
      'import data from "./data.json" with { type: "json" };',
    ].join("\n");
    expect(importsIn(text)).toEqual([
      "import ./side-effect.js 1",
      "import ./default.js 2",
      "import ./namespace.js 3",
      "import ./mixed.js 4",
      "import type ./type.js 5",
      "import ./default-called-type.js 6",
      "import type ./default-type.js 7",
      "import ./lines.js 8",
      "export ./all.js 12",
      "export ./all-named.js 13",
      "export ./some.js 14",
      "export type ./some-types.js 15",
      "export type ./all-types.js 16",
      "dynamic ./later.js 17",
      "dynamic ? 18",
      "dynamic ./in-a-type.js 19",
      "import ./data.json 20",
    ]);
  });

  it("finds none where there is none", () => {
    const text = [
      '// import "./comment.js"',
      '/* import "./comment.js"; */',
      "const text = 'import \"./string.js\"';",
      'const other = "it\\"s import(\\"./escaped.js\\")";',
      'const quote = `import "./template.js" ${f(\'a\')} import("./template.js")`;',
      'const pattern = /import "[/]x.js"/g;',
      "const half = a / b / c; // import('./divided.js')",
      "export const here = 1;",
      'export function from(): string { return "from"; }',
      'export { here as there };\nconst after = "./not-imported.js";',
      "export type Here = { import: string };",
      'loader.import("./member.js");',
      "const url = import.meta.url;",
    ].join("\n");
    expect(importsIn(text)).toEqual([]);
  });

  it("looks inside the holes of templates", () => {
    expect(importsIn('const text = `a ${ { b: `c ${ await import("./nested.js") }` } } d`; import "./after.js"')).toEqual([
      "dynamic ./nested.js 1",
      "import ./after.js 1",
    ]);
  });
});

describe("the rules", () => {
  it.each([
    ["packages/raft/src/core/log.ts", 'import { a } from "./types.js";'],
    ["packages/raft/src/runtime/driver.ts", 'import { Raft } from "../core/raft.js";'],
    ["packages/raft/src/runtime/wire/frame.ts", 'import { Raft } from "../../core/raft.js";'],
    ["packages/raft/src/platform/disk.ts", 'import { open } from "node:fs"; import { DiskError } from "../runtime/ports.js";'],
    ["packages/raft/src/index.ts", 'export { RaftNode } from "./platform/node.js"; export type { A } from "./core/types.js";'],
    ["packages/raft/src/sim/world.ts", 'import { check } from "../check/index.js"; import { Raft } from "../core/index.js";'],
    ["packages/quorate/src/store/tree.ts", 'import BTree from "sorted-btree"; import type { Index } from "@quorate/raft/core";'],
    ["packages/quorate/src/services/kv.ts", 'import { RaftNode } from "@quorate/raft"; import { S } from "../store/index.js";'],
    [
      "packages/quorate/src/cli/main.ts",
      'import { simulate } from "@quorate/raft/sim"; import { s } from "../services/index.js";',
    ],
    ["packages/quorate/src/index.ts", 'export { open } from "./client/index.js"; import { join } from "node:path";'],
  ])("allow what the house allows: %s", (path, text) => {
    expect(wrongWith(path, text)).toEqual([]);
  });

  it.each([
    ["packages/raft/src/core/log.ts", 'import { Driver } from "../runtime/driver.js";', "raft/core may not import raft/runtime"],
    ["packages/raft/src/core/log.ts", 'export type { A } from "../sim/world.js";', "raft/core may not import raft/sim"],
    ["packages/raft/src/core/log.ts", 'import { open } from "node:fs";', "raft/core knows no platform"],
    ["packages/raft/src/core/log.ts", 'import type { Stats } from "node:fs";', "raft/core knows no platform"],
    ["packages/raft/src/runtime/driver.ts", 'const fs = import("node:fs");', "raft/runtime knows no platform"],
    [
      "packages/raft/src/runtime/driver.ts",
      'import { d } from "../platform/disk.js";',
      "raft/runtime may not import raft/platform",
    ],
    ["packages/raft/src/check/history.ts", 'import type { A } from "../core/types.js";', "raft/check may not import raft/core"],
    ["packages/raft/src/sim/world.ts", 'import { d } from "../platform/disk.js";', "raft/sim may not import raft/platform"],
    ["packages/raft/src/platform/disk.ts", 'import { lodash } from "lodash";', "lodash is no dependency"],
    ["packages/raft/src/platform/disk.ts", 'import { open } from "fs";', "fs is no dependency"],
    ["packages/raft/src/platform/disk.ts", 'import { Raft } from "@quorate/raft/core";', "@quorate/raft/core is no dependency"],
    ["packages/raft/src/index.ts", 'export * from "./sim/index.js";', "raft may not import raft/sim"],
    ["packages/raft/src/core/log.ts", 'import "../../../quorate/src/store/tree.js";', "leads out of the package"],
    ["packages/raft/src/core/log.ts", "await import(name);", "must name its module"],
    ["packages/raft/src/core/log.ts", 'import { a } from "./types.ts";', "ends in .js"],
    ["packages/raft/src/extra/log.ts", "", "no such folder"],
    ["packages/quorate/src/store/tree.ts", 'import { utf8 } from "@quorate/raft/core";', "only types from raft/core"],
    ["packages/quorate/src/store/tree.ts", 'import { type Index } from "@quorate/raft/core";', "only types from raft/core"],
    ["packages/quorate/src/store/tree.ts", 'import type { RaftNode } from "@quorate/raft";', "may not import raft "],
    ["packages/quorate/src/store/tree.ts", 'import { hash } from "node:crypto";', "knows no platform"],
    ["packages/quorate/src/store/tree.ts", 'import { s } from "../services/kv.js";', "may not import quorate/services"],
    ["packages/quorate/src/services/kv.ts", 'import { c } from "../client/kv.js";', "may not import quorate/client"],
    ["packages/quorate/src/services/kv.ts", 'import { simulate } from "@quorate/raft/sim";', "may not import raft/sim"],
    ["packages/quorate/src/services/kv.ts", 'import * as grpc from "@grpc/grpc-js";', "@grpc/grpc-js is no dependency"],
    ["packages/quorate/src/services/kv.ts", 'import "@quorate/raft/platform";', "@quorate/raft/platform is no dependency"],
    ["packages/quorate/src/client/kv.ts", 'import { main } from "../cli/main.js";', "may not import quorate/cli"],
    ["packages/quorate/src/client/kv.ts", 'import { open } from "../index.js";', "may not import quorate "],
  ])("refuse what it does not: %s: %s", (path, text, complaint) => {
    expect(wrongWith(path, text)).toEqual([expect.stringContaining(complaint)]);
  });

  it("find a circle and tell it once", () => {
    const ring = new Map([
      ["packages/raft/src/core/a.ts", 'import { b } from "./b.js"; import "./d.js";'],
      ["packages/raft/src/core/b.ts", 'import { type C } from "./c.js"; import "./d.js";'],
      ["packages/raft/src/core/c.ts", 'export * from "./a.js";'],
      ["packages/raft/src/core/d.ts", 'import "./missing.js";'],
    ]);
    expect(circles(ring)).toEqual([
      "packages/raft/src/core/a.ts -> packages/raft/src/core/b.ts -> packages/raft/src/core/c.ts -> packages/raft/src/core/a.ts",
    ]);
    ring.set("packages/raft/src/core/c.ts", 'export type * from "./a.js";');
    expect(circles(ring)).toEqual([]);
  });

  it("find a file that imports itself", () => {
    expect(circles(new Map([["packages/raft/src/core/a.ts", 'import { a } from "./a.js";']]))).toHaveLength(1);
  });
});

describe("the house", () => {
  it("has sources to check", () => {
    expect(sources.size).toBeGreaterThan(30);
    expect([...sources.keys()]).toContain("packages/raft/src/core/raft.ts");
  });

  it("keeps to its arrows", () => {
    expect(wrongImports(sources, { dependencies })).toEqual([]);
  });

  it("has no import circles", () => {
    expect(circles(sources)).toEqual([]);
  });
});
