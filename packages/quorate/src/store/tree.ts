/**
 * The ordered index: `sorted-btree`, with keys as in keys.ts. The package is CommonJS, and Node, bundlers and test runners
 * disagree on what its default import is; this file is the one place that knows.
 */
import * as sortedBtree from "sorted-btree";
import { compareKeys } from "./keys.js";

/** What the store uses of the tree. */
export interface KeyTree {
  readonly size: number;
  get(key: string): number | undefined;
  set(key: string, value: number): boolean;
  delete(key: string): boolean;
  maxKey(): string | undefined;
  /** In order, from `low` on and up to `high`; ends early when `onFound` returns a `break`. The tree must not change
   * meanwhile. Without `onFound` it only counts, which takes no step for each key. Returns how many, or the break. */
  forRange(
    low: string,
    high: string,
    includeHigh: boolean,
    onFound?: (key: string, value: number) => { readonly break: number } | undefined,
  ): number;
}

type KeyTreeConstructor = new (entries: undefined, compare: (a: string, b: string) => number, maxNodeSize: number) => KeyTree;

/** Larger nodes make scans and loads faster, smaller ones single inserts; measured, 64 is good at both. */
const MAX_NODE_SIZE = 64;

export function createKeyTree(): KeyTree {
  return new Tree(undefined, compareKeys, MAX_NODE_SIZE);
}

const Tree = findConstructor(sortedBtree);

function findConstructor(imported: unknown): KeyTreeConstructor {
  let candidate = imported;
  for (let layer = 0; layer < 3 && typeof candidate === "object" && candidate !== null; layer += 1) {
    candidate = (candidate as { readonly default?: unknown }).default;
  }
  if (typeof candidate !== "function") throw new TypeError("sorted-btree has no default export");
  return candidate as KeyTreeConstructor;
}
