/**
 * A log as Figure 7 of the paper draws it: for each index a term. That is all a log is, because index and term together
 * name an entry and everything before it (Log Matching). Terms never fall along a log, so a few runs describe a long one.
 */
import type { Index, LogPosition, Term } from "../../core/index.js";
import { refuse } from "./rules.js";

interface Run {
  readonly first: Index;
  readonly term: Term;
}

export class TermLog {
  /** The position before the first entry; its term is still known. */
  start: LogPosition;
  lastIndex: Index;
  #runs: Run[] = [];

  constructor(start: LogPosition) {
    this.start = start;
    this.lastIndex = start.index;
  }

  get lastTerm(): Term {
    return this.#runs.at(-1)?.term ?? this.start.term;
  }

  get last(): LogPosition {
    return { index: this.lastIndex, term: this.lastTerm };
  }

  /** For each term in the log, its last entry. */
  *ends(): Generator<LogPosition> {
    for (const [place, { term }] of this.#runs.entries()) {
      yield { index: (this.#runs[place + 1]?.first ?? this.lastIndex + 1) - 1, term };
    }
  }

  /** Null beyond the end, and below the start, where it is forgotten. */
  termAt(index: Index): Term | null {
    if (index > this.lastIndex || index < this.start.index) return null;
    for (let place = this.#runs.length - 1; place >= 0; place -= 1) {
      const run = this.#runs[place];
      if (run !== undefined && run.first <= index) return run.term;
    }
    return this.start.term;
  }

  /** True when the entry `index` is this log's, or so old that it can't be told any more. */
  agrees(index: Index, term: Term): boolean {
    return index < this.start.index || this.termAt(index) === term;
  }

  /** Entries of one term, up to `last`. */
  append(last: Index, term: Term): void {
    if (last <= this.lastIndex) return;
    if (term < this.lastTerm) refuse("logMatching", `term ${term} follows term ${this.lastTerm} at ${this.lastIndex + 1}`);
    if (this.#runs.length === 0 || term !== this.lastTerm) this.#runs.push({ first: this.lastIndex + 1, term });
    this.lastIndex = last;
  }

  /** The next entries of another log, up to `last`. */
  appendFrom(other: TermLog, last: Index): void {
    for (const end of other.ends()) if (end.index > this.lastIndex) this.append(Math.min(end.index, last), end.term);
  }

  truncate(from: Index): void {
    this.lastIndex = from - 1;
    // A run may begin before the start, and goes with the last of its entries.
    while (this.#runs.length > 0 && Math.max(this.#runs.at(-1)?.first ?? 0, this.start.index + 1) >= from) this.#runs.pop();
  }

  /** Forgets what is at or below `index`. */
  compact(index: Index): void {
    this.start = { index, term: this.termAt(index) ?? this.start.term };
    while (this.#runs.length > 0 && (this.#runs[1]?.first ?? this.lastIndex + 1) <= index + 1) this.#runs.shift();
  }

  /** Nothing is left, and the next entry follows `start`. */
  restart(start: LogPosition): void {
    this.start = start;
    this.lastIndex = start.index;
    this.#runs = [];
  }

  copy(): TermLog {
    const copy = new TermLog(this.start);
    copy.lastIndex = this.lastIndex;
    copy.#runs = [...this.#runs];
    return copy;
  }
}
