/** The real disk: what it asks of the system, seen from between. */
import fs, { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createDisk } from "../../src/platform/index.js";

let folder = "";
const { open, fsync } = fs;
/** Folders and files that were synced, in order. */
let synced: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "disk-"));
  synced = [];
  const paths = new Map<number, string>();
  fs.open = ((path: string, ...rest: readonly unknown[]) => {
    const done = rest.at(-1) as (error: Error | null, descriptor: number) => void;
    (open as (...given: readonly unknown[]) => void)(path, ...rest.slice(0, -1), (error: Error | null, descriptor: number) => {
      paths.set(descriptor, path);
      done(error, descriptor);
    });
  }) as typeof fs.open;
  fs.fsync = ((descriptor: number, done: (error: Error | null) => void) => {
    synced.push(paths.get(descriptor) ?? "");
    fsync(descriptor, done);
  }) as typeof fs.fsync;
  syncBuiltinESMExports();
});
afterEach(() => {
  fs.open = open;
  fs.fsync = fsync;
  syncBuiltinESMExports();
  rmSync(folder, { recursive: true, force: true });
});

const locked = (directory: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const disk = createDisk(directory);
    disk.lock((error) => (error === null ? disk.unlock(() => resolve()) : reject(error)));
  });

test("a data directory is made durable in the folder that holds it, with all that had to be made above it", async () => {
  await locked(join(folder, "one", "two"));
  expect(synced).toEqual([folder, join(folder, "one")]);
});

test("also one that was there already: whoever made it may have been killed before its name was durable", async () => {
  mkdirSync(join(folder, "data"));
  await locked(join(folder, "data"));
  expect(synced).toEqual([folder]);
});
