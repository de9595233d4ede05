/**
 * A log as it must be after each batch, written from the rules and not from the code under test: an entry replaces what stands
 * at its index and removes all above; a log start removes all up to it, and without `keepSuffix` all above as well.
 */
import type { Entry, HardState, Index, LogPosition, PersistBatch } from "../../core/index.js";
import type { RecoveredGroup } from "../../runtime/log-store.js";

export interface LogState {
  readonly hardState: HardState;
  readonly start: LogPosition;
  /** Everything after the start. */
  readonly entries: readonly Entry[];
}

export const EMPTY_LOG: LogState = {
  hardState: { currentTerm: 0, votedFor: null, commitIndex: 0 },
  start: { index: 0, term: 0 },
  entries: [],
};

export function lastOf({ start, entries }: LogState): LogPosition {
  const last = entries.at(-1);
  return last === undefined ? start : { index: last.index, term: last.term };
}

export function termAt({ start, entries }: LogState, index: Index): number | null {
  return index === start.index ? start.term : (entries[index - start.index - 1]?.term ?? null);
}

export function withBatch(state: LogState, { hardState, logStart, entries }: PersistBatch): LogState {
  let { start } = state;
  let log = state.entries;
  if (logStart !== null) {
    const keeps = logStart.keepSuffix && lastOf(state).index > logStart.position.index;
    start = logStart.position;
    log = keeps ? log.filter(({ index }) => index > start.index) : [];
  }
  const first = entries[0];
  if (first !== undefined) log = [...log.filter(({ index }) => index < first.index), ...entries];
  return { hardState, start, entries: log };
}

/**
 * Which of the states was found; null for none. The log may begin anywhere from the state's start to `released`, up to which
 * entries were given free.
 */
export function matching(
  found: RecoveredGroup,
  states: readonly LogState[],
  low: number,
  high: number,
  released: Index,
): number | null {
  for (let place = high; place >= low; place -= 1) {
    const state = states[place];
    if (state !== undefined && isSame(found, state, released)) return place;
  }
  return null;
}

function isSame(found: RecoveredGroup, state: LogState, released: Index): boolean {
  const { hardState, start, entries } = found;
  const expected = state.hardState;
  if (
    hardState.currentTerm !== expected.currentTerm ||
    hardState.votedFor !== expected.votedFor ||
    hardState.commitIndex !== expected.commitIndex ||
    start.index < state.start.index ||
    start.index > Math.max(state.start.index, released) ||
    start.term !== termAt(state, start.index)
  )
    return false;
  const there = state.entries.slice(start.index - state.start.index);
  return entries.length === there.length && entries.every((entry, place) => isSameEntry(entry, there[place]));
}

export function isSameEntry(one: Entry, other: Entry | undefined): boolean {
  if (other === undefined || one.index !== other.index || one.term !== other.term || one.type !== other.type) return false;
  return isSameBytes(one.data, other.data);
}

export function isSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at += 1) if (one[at] !== other[at]) return false;
  return true;
}

export function describeLog({ hardState, start, entries }: LogState | RecoveredGroup): string {
  const { currentTerm, votedFor, commitIndex } = hardState;
  const runs: string[] = [];
  for (let at = 0; at < entries.length; at += 1) {
    const from = entries[at];
    while (from !== undefined && entries[at + 1]?.term === from.term) at += 1;
    runs.push(`${from?.index ?? 0} to ${entries[at]?.index ?? 0} of term ${from?.term ?? 0}`);
  }
  return `term ${currentTerm}, vote ${votedFor ?? "none"}, commit ${commitIndex}, after ${start.index} of term ${start.term}: ${runs.length === 0 ? "no entries" : runs.join(", ")}`;
}
