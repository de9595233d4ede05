/** The import arrows, checked: each function takes sources and returns what is wrong with them, one line each. */
import { posix } from "node:path";
import { DOORS, type Folder, folderOf, RULES, reachable } from "./house.js";
import { findImports, type Import, tokenize } from "./scanner.js";

export type Sources = ReadonlyMap<string, string>;

export interface Allowed {
  /** npm packages that the sources of a package may import: its dependencies. */
  readonly dependencies: Readonly<Record<string, readonly string[]>>;
}

export function importsOf(sources: Sources): ReadonlyMap<string, readonly Import[]> {
  return new Map([...sources].map(([path, text]) => [path, findImports(tokenize(text))]));
}

/** Imports that no arrow allows. */
export function wrongImports(sources: Sources, allowed: Allowed): string[] {
  const wrong: string[] = [];
  for (const [path, imports] of importsOf(sources)) {
    const folder = folderOf(path);
    if (folder === null) {
      wrong.push(`${path}: no such folder in the house`);
      continue;
    }
    for (const each of imports) {
      const complaint = complain(path, folder, each, allowed);
      if (complaint !== null) wrong.push(`${path}:${each.line}: ${complaint}`);
    }
  }
  return wrong;
}

/**
 * Rings of files that load one another, each told once: `a.ts -> b.ts -> a.ts`. `import type` does not count: it is erased,
 * so nothing is loaded half made, and state and the things it holds may name each other's types.
 */
export function circles(sources: Sources): string[] {
  const imports = importsOf(sources);
  const found: string[] = [];
  const done = new Set<string>();
  const way: string[] = [];
  const visit = (path: string): void => {
    const at = way.indexOf(path);
    if (at !== -1) {
      found.push([...way.slice(at), path].join(" -> "));
      return;
    }
    if (done.has(path)) return;
    way.push(path);
    for (const { specifier, typeOnly } of imports.get(path) ?? []) {
      const target = specifier === null || typeOnly ? null : fileOf(path, specifier);
      if (target !== null && imports.has(target)) visit(target);
    }
    way.pop();
    done.add(path);
  };
  for (const path of imports.keys()) visit(path);
  return found;
}

function complain(path: string, folder: Folder, { specifier, typeOnly }: Import, allowed: Allowed): string | null {
  if (specifier === null) return "an import must name its module, a computed one can't be checked";
  if (specifier.startsWith(".")) return complainOfFile(path, folder, specifier, typeOnly);
  if (specifier.startsWith("node:")) {
    return RULES[folder].node === true ? null : `${folder} knows no platform, but imports ${specifier}`;
  }
  const packageName = folder.split("/")[0] ?? "";
  const door = DOORS.get(specifier);
  if (door !== undefined && packageName !== "raft") return complainOfFolder(folder, door, specifier, typeOnly);
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  if (!(allowed.dependencies[packageName] ?? []).includes(name) || name === "@quorate/raft") {
    return `${specifier} is no dependency of packages/${packageName}`;
  }
  return null;
}

function complainOfFile(path: string, folder: Folder, specifier: string, typeOnly: boolean): string | null {
  if (!specifier.endsWith(".js")) return `a relative import ends in .js, not ${specifier}`;
  const target = fileOf(path, specifier) ?? "";
  const into = folderOf(target);
  if (into === null || target.split("/")[1] !== path.split("/")[1]) {
    return `${specifier} leads out of the package: import it by its name`;
  }
  return complainOfFolder(folder, into, specifier, typeOnly);
}

function complainOfFolder(folder: Folder, into: Folder, specifier: string, typeOnly: boolean): string | null {
  const way = reachable(folder).get(into);
  if (way === undefined) return `${folder} may not import ${into} (${specifier})`;
  if (way === "types" && !typeOnly) return `${folder} may import only types from ${into}: import type (${specifier})`;
  return null;
}

/** The source file that a relative import reaches; null for the name of a package. */
function fileOf(path: string, specifier: string): string | null {
  if (!specifier.startsWith(".")) return null;
  return posix.join(posix.dirname(path), specifier).replace(/\.js$/, ".ts");
}
