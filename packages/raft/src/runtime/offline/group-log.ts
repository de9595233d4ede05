/**
 * One group's log as its records leave it, holes and all. The replay of a start (storage/recovery.ts) refuses at the first thing that
 * is wrong; this one goes on, because it is asked what is there.
 */
import { type Entry, type HardState, type Index, type LogPosition, NO_POSITION, type Term } from "../../core/types.js";
import type { Finding } from "./finding.js";

/** An entry, and where it stands. */
export interface FoundEntry extends LogPosition {
  /** Null: only its name can be read. */
  readonly type: Entry["type"] | null;
  readonly bytes: number;
  readonly path: string;
  /** Where its batch begins in the file. */
  readonly at: number;
  /** Null when it was not asked for, or can't be read. */
  readonly data: Uint8Array | null;
}

export class FoundLog {
  hardState: HardState = { currentTerm: 0, votedFor: null, commitIndex: 0 };
  start: LogPosition = NO_POSITION;
  last: LogPosition = NO_POSITION;
  readonly #entries = new Map<Index, FoundEntry>();
  /** Terms that went back, as they came. */
  readonly #contradictions: Finding[] = [];

  /** What a segment's header says of the group: the word of the first one counts, a later one is compared with what was read. */
  bounds(path: string, first: boolean, hardState: HardState, start: LogPosition, last: LogPosition): void {
    if (!first && (last.index !== this.last.index || last.term !== this.last.term)) {
      this.#contradict(
        path,
        `it begins after entry ${last.index} of term ${last.term}, and the log before it ends with ${this.last.index} of term ${this.last.term}`,
      );
      this.#cutFrom(last.index + 1);
    }
    this.#termIs(path, hardState);
    if (first || start.index > this.start.index) this.start = start;
    this.last = last;
  }

  state(path: string, hardState: HardState): void {
    this.#termIs(path, hardState);
  }

  #termIs(path: string, hardState: HardState): void {
    if (hardState.currentTerm < this.hardState.currentTerm)
      this.#contradict(path, `the term goes back from ${this.hardState.currentTerm} to ${hardState.currentTerm}`);
    this.hardState = hardState;
  }

  #contradict(place: string, what: string): void {
    this.#contradictions.push({ degree: "damage", place, what });
  }

  /** An entry replaces what stands at its index and removes all above (WAL8). */
  append(entry: FoundEntry): void {
    if (entry.index <= this.start.index) {
      this.#contradict(entry.path, `entry ${entry.index} stands where the log goes on after ${this.start.index}`);
      return;
    }
    this.#cutFrom(entry.index);
    this.#entries.set(entry.index, entry);
    this.last = { index: entry.index, term: entry.term };
  }

  /** The log begins anew after a snapshot. */
  restart(position: LogPosition, keepSuffix: boolean): void {
    const keeps = keepSuffix && this.last.index >= position.index;
    for (const index of [...this.#entries.keys()]) if (!keeps || index <= position.index) this.#entries.delete(index);
    this.start = position;
    if (!keeps || this.last.index === position.index) this.last = position;
  }

  #cutFrom(index: Index): void {
    for (let at = index; at <= this.last.index; at += 1) this.#entries.delete(at);
  }

  /** Those from the start on, in order; without those that are missing. */
  get entries(): readonly FoundEntry[] {
    const found: FoundEntry[] = [];
    for (let index = this.start.index + 1; index <= this.last.index; index += 1) {
      const entry = this.#entries.get(index);
      if (entry !== undefined) found.push(entry);
    }
    return found;
  }

  /** What contradicts itself, and entries that must be there and of which not even a name is. */
  findings(): readonly Finding[] {
    const findings = [...this.#contradictions];
    let missingFrom: Index | null = null;
    let before: Term = this.start.term;
    const missing = (to: Index): void => {
      if (missingFrom !== null)
        findings.push({ degree: "damage", place: "the log", what: `${entriesText(missingFrom, to)} nowhere` });
      missingFrom = null;
    };
    for (let index = this.start.index + 1; index <= this.last.index; index += 1) {
      const entry = this.#entries.get(index);
      if (entry === undefined) {
        missingFrom ??= index;
        continue;
      }
      missing(index - 1);
      if (entry.term < before)
        findings.push({
          degree: "damage",
          place: entry.path,
          what: `entry ${index} has term ${entry.term}, one before it ${before}`,
        });
      before = entry.term;
    }
    missing(this.last.index);
    if (before > this.hardState.currentTerm)
      findings.push({
        degree: "damage",
        place: "the log",
        what: `an entry of term ${before} stands in a log of term ${this.hardState.currentTerm}`,
      });
    return findings;
  }
}

function entriesText(from: Index, to: Index): string {
  return from === to ? `entry ${from} is` : `entries ${from} to ${to} are`;
}
