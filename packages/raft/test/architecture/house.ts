/**
 * The house as data: which folder may import which. Each list names what a folder imports directly; it may also import
 * what stands further up the same way (a chain core, runtime, platform lets platform use core), but a way that is for
 * types stays for types.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";

export const ROOT = new URL("../../../../", import.meta.url);

export const FOLDERS = [
  "raft/core",
  "raft/runtime",
  "raft/platform",
  "raft/check",
  "raft/sim",
  "raft",
  "quorate/store",
  "quorate/services",
  "quorate/client",
  "quorate/cli",
  "quorate",
] as const;

/** A folder of a package's src; a package's name alone is what lies in src itself. */
export type Folder = (typeof FOLDERS)[number];

export interface Rule {
  readonly imports: readonly Folder[];
  /** Only with `import type`. */
  readonly importsTypes?: readonly Folder[];
  /** Whether it may import `node:…`. Those that may not also compile without Node's types and without the DOM's. */
  readonly node?: true;
}

export const RULES: Readonly<Record<Folder, Rule>> = {
  "raft/core": { imports: [] },
  "raft/runtime": { imports: ["raft/core"] },
  "raft/platform": { imports: ["raft/runtime"], node: true },
  raft: { imports: ["raft/platform"] },
  "raft/check": { imports: [] },
  "raft/sim": { imports: ["raft/core", "raft/runtime", "raft/check"] },
  "quorate/store": { imports: [], importsTypes: ["raft/core", "raft/runtime"] },
  "quorate/services": { imports: ["raft", "quorate/store"], node: true },
  "quorate/client": { imports: ["raft", "quorate/store"], node: true },
  "quorate/cli": { imports: ["raft", "raft/sim", "raft/check", "quorate/services", "quorate/client"], node: true },
  quorate: { imports: ["quorate/services", "quorate/client"], node: true },
};

/** The doors of the packages: what an import of this specifier reaches. */
export const DOORS: ReadonlyMap<string, Folder> = new Map<string, Folder>([
  ["@quorate/raft", "raft"],
  ["@quorate/raft/core", "raft/core"],
  ["@quorate/raft/runtime", "raft/runtime"],
  ["@quorate/raft/sim", "raft/sim"],
  ["@quorate/raft/check", "raft/check"],
]);

/** What a folder may import, and whether only the types of it. */
export function reachable(folder: Folder): ReadonlyMap<Folder, "values" | "types"> {
  const reached = new Map<Folder, "values" | "types">([[folder, "values"]]);
  const walk = (from: Folder, typesOnly: boolean): void => {
    const rule = RULES[from];
    const follow = (to: Folder, types: boolean): void => {
      const known = reached.get(to);
      if (known === "values" || (known === "types" && types)) return;
      reached.set(to, types ? "types" : "values");
      walk(to, types);
    };
    for (const to of rule.imports) follow(to, typesOnly);
    for (const to of rule.importsTypes ?? []) follow(to, true);
  };
  walk(folder, false);
  return reached;
}

/** `packages/raft/src/core/log.ts` lies in `raft/core`; null for a folder that the house does not have. */
export function folderOf(path: string): Folder | null {
  const [, name, inside] = /^packages\/([^/]+)\/src\/(?:([^/]+)\/)?/.exec(path) ?? [];
  const folder = inside === undefined ? name : `${name}/${inside}`;
  return FOLDERS.find((each) => each === folder) ?? null;
}

/** Every TypeScript source of the packages: path from the root of the repository, and text. */
export function readSources(): ReadonlyMap<string, string> {
  const sources = new Map<string, string>();
  for (const name of ["raft", "quorate"]) {
    const folder = `packages/${name}/src/`;
    for (const entry of readdirSync(new URL(folder, ROOT), { recursive: true, encoding: "utf8" }).sort()) {
      if (!/\.[cm]?tsx?$/.test(entry)) continue;
      sources.set(folder + entry, readFileSync(new URL(folder + entry, ROOT), "utf8"));
    }
  }
  return sources;
}

export function readJson(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, ROOT), "utf8"));
}

/** A tsconfig: JSON with whole-line comments. */
export function readJsonWithComments(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, ROOT), "utf8").replaceAll(/^\s*\/\/.*$/gm, ""));
}

export function exists(path: string): boolean {
  return existsSync(new URL(path, ROOT));
}
