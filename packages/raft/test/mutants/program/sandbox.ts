/**
 * A copy of the package in a temporary folder, in which one mutant after the other is planted. Installed packages are
 * linked, all but this repository's own: those must be the copy, or the tests would run what was not edited.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Finished, runCommand } from "./command.js";
import { edited } from "./edit.js";
import { PACKAGE, ROOT } from "./house.js";
import type { Mutant } from "./mutant.js";

/** What the tests and the compiler need besides the package itself. */
const ALSO = ["package.json", "tsconfig.base.json", "tsconfig.node.json", "vitest.config.ts", "scripts/count-reporter.ts"];
/** Of this repository, linked into node_modules by npm. */
const OWN = new Set(["@quorate", "quorate", ".cache", ".vite", ".bin"]);

export interface Sandbox {
  readonly folder: string;
  /** The source file of a mutant has the bug in it afterwards. */
  plant(mutant: Mutant): void;
  /** Every file is as it was copied. */
  restore(): void;
  compile(): Promise<Finished>;
  /** Reads and removes a file that a command has written; null if it has not. */
  take(name: string): string | null;
}

export class Sandboxes {
  readonly #folder = mkdtempSync(join(tmpdir(), "quorate-mutants-"));
  #made = 0;

  make(): Sandbox {
    this.#made += 1;
    const folder = join(this.#folder, `copy-${this.#made}`);
    copyInto(folder);
    return sandboxIn(folder);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function copyInto(folder: string): void {
  mkdirSync(join(folder, "scripts"), { recursive: true });
  for (const name of ALSO) cpSync(join(ROOT, name), join(folder, name));
  for (const name of ["package.json", "tsconfig.json", "src", "test"]) {
    cpSync(join(ROOT, PACKAGE, name), join(folder, PACKAGE, name), {
      recursive: true,
      filter: (path) => !path.endsWith("/dist"),
    });
  }
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, "@quorate"), { recursive: true });
  for (const name of readdirSync(join(ROOT, "node_modules")))
    if (!OWN.has(name)) symlinkSync(join(ROOT, "node_modules", name), join(modules, name));
  symlinkSync(join(folder, PACKAGE), join(modules, "@quorate/raft"));
}

function sandboxIn(folder: string): Sandbox {
  let planted: { readonly path: string; readonly source: string } | null = null;
  const restore = (): void => {
    if (planted !== null) writeFileSync(planted.path, planted.source);
    planted = null;
  };
  return {
    folder,
    restore,
    plant(mutant) {
      restore();
      const path = join(folder, PACKAGE, "src", mutant.file);
      const source = readFileSync(path, "utf8");
      planted = { path, source };
      writeFileSync(path, edited(mutant, source));
    },
    compile: () =>
      runCommand([process.execPath, join(folder, "node_modules/typescript/bin/tsc"), "-b", PACKAGE], {
        cwd: folder,
        env: {},
        deadlineMs: 180_000,
      }),
    take(name) {
      try {
        const path = join(folder, name);
        const text = readFileSync(path, "utf8");
        rmSync(path);
        return text;
      } catch {
        return null;
      }
    },
  };
}
