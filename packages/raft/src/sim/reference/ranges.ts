/** A set of indexes, kept as ranges in rising order that do not touch. There are few: what a leader sends hangs together. */
import type { Index } from "../../core/index.js";

export type Ranges = { first: Index; last: Index }[];

export const createRanges = (): Ranges => [];

export function addRange(ranges: Ranges, first: Index, last: Index): void {
  if (last < first) return;
  let place = ranges.length;
  while (place > 0 && (ranges[place - 1]?.last ?? 0) >= first - 1) place -= 1;
  const joined = { first, last };
  let count = 0;
  for (let next = ranges[place]; next !== undefined && next.first <= last + 1; next = ranges[place + count]) {
    joined.first = Math.min(joined.first, next.first);
    joined.last = Math.max(joined.last, next.last);
    count += 1;
  }
  ranges.splice(place, count, joined);
}

export function covers(ranges: Ranges, first: Index, last: Index): boolean {
  return ranges.some((range) => range.first <= first && last <= range.last);
}
