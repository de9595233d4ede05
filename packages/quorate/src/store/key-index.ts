/**
 * The index: for each key its newest record, in order (`sorted-btree`, a B+ tree) and by name (a hash map). Walking down the
 * tree compares with twenty keys in a million, each somewhere else in memory; a put to a key that exists, the most frequent
 * thing there is, needs only the map. Both share one small object for each key, whose number is replaced.
 */
import * as sortedBtree from "sorted-btree";
import { compareKeys } from "./keys.js";

export interface IndexEntry {
  /** The newest record as history.ts writes it down (`indexEntry`): tombstones are below zero. */
  newest: number;
}

/** What is used of the tree. */
interface Tree {
  readonly size: number;
  set(key: string, entry: IndexEntry): boolean;
  delete(key: string): boolean;
  maxKey(): string | undefined;
  forRange(
    low: string,
    high: string,
    includeHigh: boolean,
    onFound?: (key: string, entry: IndexEntry) => { readonly break: number } | undefined,
  ): number;
}

type TreeConstructor = new (entries: undefined, compare: (a: string, b: string) => number, maxNodeSize: number) => Tree;

/** Larger nodes make scans and loads faster, smaller ones single inserts; measured, 64 is good at both. */
const MAX_NODE_SIZE = 64;
/** V8's maps hold at most 2^24 keys; beyond half of that another map is begun. */
const MAP_LIMIT = 1 << 23;

export class KeyIndex {
  private readonly tree: Tree = new BTree(undefined, compareKeys, MAX_NODE_SIZE);
  private readonly maps: Map<string, IndexEntry>[] = [new Map<string, IndexEntry>()];

  get size(): number {
    return this.tree.size;
  }

  get(key: string): IndexEntry | undefined {
    for (const map of this.maps) {
      const entry = map.get(key);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  /** The key must be new. */
  add(key: string, newest: number): void {
    const entry = { newest };
    let map = this.maps.find((each) => each.size < MAP_LIMIT);
    if (map === undefined) {
      map = new Map();
      this.maps.push(map);
    }
    map.set(key, entry);
    this.tree.set(key, entry);
  }

  delete(key: string): void {
    if (this.maps.some((map) => map.delete(key))) this.tree.delete(key);
  }

  /** The largest key. */
  last(): string | undefined {
    return this.tree.maxKey();
  }

  /**
   * In order from `low` on and up to `high`; ends early when `onFound` returns STOP. Keys must not be added or deleted
   * meanwhile.
   */
  each(low: string, high: string, includeHigh: boolean, onFound: (key: string, newest: number) => typeof STOP | undefined): void {
    this.tree.forRange(low, high, includeHigh, (key, entry) => onFound(key, entry.newest));
  }

  /** How many keys there are, tombstones and all, without a step for each. */
  count(low: string, high: string, includeHigh: boolean): number {
    return this.tree.forRange(low, high, includeHigh);
  }
}

export const STOP = { break: 0 } as const;

/**
 * The package is CommonJS, and Node, bundlers and test runners disagree on what its default import is: the module, the
 * class, or a module around the module.
 */
function findConstructor(imported: unknown): TreeConstructor {
  let candidate = imported;
  for (let layer = 0; layer < 3 && typeof candidate === "object" && candidate !== null; layer += 1) {
    candidate = (candidate as { readonly default?: unknown }).default;
  }
  if (typeof candidate !== "function") throw new TypeError("sorted-btree has no default export");
  return candidate as TreeConstructor;
}

const BTree = findConstructor(sortedBtree);
