/**
 * What the package and compiler files promise: the library has no dependencies, versions are exact, nothing runs at
 * installation, the lock file names no addresses, and the compiler's projects follow the import arrows.
 */
import { describe, expect, it } from "vitest";
import { exists, FOLDERS, type Folder, RULES, reachable, readJson, readJsonWithComments } from "./house.js";

interface Manifest {
  readonly name: string;
  readonly engines?: Readonly<Record<string, string>>;
  readonly sideEffects?: boolean;
  readonly exports?: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly allowScripts?: Readonly<Record<string, boolean>>;
}

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly integrity?: string;
  readonly optional?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
}

interface Project {
  readonly extends?: string;
  readonly compilerOptions?: { readonly types?: readonly string[]; readonly lib?: readonly string[] };
  readonly references?: readonly { readonly path: string }[];
}

const MANIFESTS = [
  "package.json",
  "packages/raft/package.json",
  "packages/quorate/package.json",
  "bench/package.json",
  "examples/package.json",
];

const manifest = (path: string): Manifest => readJson(path) as Manifest;
const lock = readJson("package-lock.json") as { readonly packages: Readonly<Record<string, Locked>> };

describe("packages", () => {
  it("@quorate/raft depends on nothing", () => {
    const { dependencies, peerDependencies, optionalDependencies } = manifest("packages/raft/package.json");
    expect({ ...dependencies, ...peerDependencies, ...optionalDependencies }).toEqual({});
  });

  it.each(MANIFESTS)("%s pins exact versions", (path) => {
    const { dependencies, devDependencies, optionalDependencies } = manifest(path);
    const loose = Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
    );
    expect(loose).toEqual([]);
  });

  it.each(["raft", "quorate"])("%s exports what exists, source first", (name) => {
    const { exports = {}, engines, sideEffects } = manifest(`packages/${name}/package.json`);
    expect({ engines, sideEffects }).toEqual({ engines: { node: ">=20.19" }, sideEffects: false });
    for (const [door, target] of Object.entries(exports)) {
      if (typeof target === "string") continue;
      // The first condition that fits wins, so the order is part of the meaning.
      expect(Object.keys(target), door).toEqual(["quorate-source", "types", "default"]);
      const source = target["quorate-source"] ?? "";
      expect(exists(`packages/${name}/${source.slice(2)}`), `${door}: ${source}`).toBe(true);
      expect(target["types"], door).toBe(source.replace("./src/", "./dist/").replace(/\.ts$/, ".d.ts"));
      expect(target["default"], door).toBe(source.replace("./src/", "./dist/").replace(/\.ts$/, ".js"));
    }
  });

  it("no package of ours runs anything when it is installed", () => {
    for (const path of MANIFESTS) {
      const scripts = Object.keys(manifest(path).scripts ?? {});
      expect(scripts.filter((name) => /^(pre|post)?(install|prepare)$/.test(name))).toEqual([]);
    }
  });

  it("the lock file names versions and digests, no addresses", () => {
    const entries = Object.entries(lock.packages).filter(([path]) => path.startsWith("node_modules/"));
    expect(entries.length).toBeGreaterThan(50);
    for (const [path, { link, resolved, integrity, optional, dev }] of entries) {
      // A development tool's binary for another platform: its digest is not known where this file was made.
      const elsewhere = optional === true && dev === true && integrity === undefined;
      if (elsewhere)
        expect({ path, resolved }).toEqual({
          path: expect.stringMatching(/\/@(biomejs|oxlint|oxlint-tsgolint)\//),
          resolved: undefined,
        });
      else if (link === true) expect(resolved, path).toMatch(/^(packages\/[a-z]+|bench|examples)$/);
      else expect({ resolved, digest: integrity?.slice(0, 7) }, path).toEqual({ resolved: undefined, digest: "sha512-" });
    }
  });

  it("nothing that is shipped has an install script, and none that is only for development may run it", () => {
    const { allowScripts = {} } = manifest("package.json");
    expect(Object.values(allowScripts).filter((allowed) => allowed)).toEqual([]);
    for (const [path, { hasInstallScript, dev }] of Object.entries(lock.packages)) {
      if (hasInstallScript !== true) continue;
      const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
      expect({ name, dev, allowed: allowScripts[name] }).toEqual({ name, dev: true, allowed: false });
    }
  });
});

describe("compiler projects", () => {
  const projectPath = (folder: Folder): string => {
    const [name, inside] = folder.split("/");
    return inside === undefined ? `packages/${name}/tsconfig.json` : `packages/${name}/src/${inside}/tsconfig.json`;
  };
  const project = (folder: Folder): Project => readJsonWithComments(projectPath(folder)) as Project;
  const byDirectory = new Map(FOLDERS.map((folder) => [new URL(`file:///${projectPath(folder)}`).pathname, folder]));

  it("the base knows neither Node nor the DOM", () => {
    const { compilerOptions } = readJsonWithComments("tsconfig.base.json") as Project;
    expect(compilerOptions).toMatchObject({ types: [], lib: ["ES2023", "ESNext.Disposable"] });
  });

  it.each(FOLDERS)("%s compiles with no more than it may know", (folder) => {
    const { extends: base, compilerOptions } = project(folder);
    const knowsNode = RULES[folder].node === true || folder === "raft";
    expect(base).toMatch(knowsNode ? /\/tsconfig\.node\.json$/ : /\/tsconfig\.base\.json$/);
    expect({ types: compilerOptions?.types, lib: compilerOptions?.lib }).toEqual({ types: undefined, lib: undefined });
  });

  it.each(FOLDERS)("%s refers only to what it may import", (folder) => {
    const directory = new URL(`file:///${projectPath(folder)}`);
    const roots: readonly Folder[] = ["raft", "quorate"];
    for (const { path } of project(folder).references ?? []) {
      const target = byDirectory.get(new URL(`${path}/tsconfig.json`, directory).pathname);
      expect(target, path).toBeDefined();
      // The root project of a package also builds the folders that nothing in it imports.
      if (target === undefined || (roots.includes(folder) && target.startsWith(`${folder}/`))) continue;
      expect([...reachable(folder).keys()], `${folder} -> ${path}`).toContain(target);
    }
  });
});
