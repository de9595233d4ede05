/**
 * The log (Raft section 5.3), the part of it that is in memory: every entry after `start`, the position at which it was
 * last compacted. The write-ahead log keeps the same on disk.
 *
 * Log Matching (Figure 3): if two logs hold an entry with the same index and term, they are equal up to it. What this file
 * contributes: entries are contiguous, their terms never decrease, and an entry is replaced only together with all above.
 *
 * The log also knows what is durable. Each entry remembers the ticket of the batch that last wrote it, kept as runs; an
 * entry appended again after a truncation gets the new ticket, so a late completion for the old one confirms nothing.
 */
import { invariant } from "./invariants.js";
import type { Entry, Index, LogPosition, Term } from "./types.js";

/** Entries up to `last` (and above the run before) were written by batch `ticket`. */
interface TicketRun {
  last: Index;
  readonly ticket: number;
}

export class RaftLog {
  #start: LogPosition;
  #entries: Entry[];
  /** Runs of what is not durable yet; tickets rise with the index. */
  #runs: TicketRun[] = [];
  #durableIndex: Index;

  /** `entries` must follow `start` without a gap. They are taken as durable. */
  constructor(start: LogPosition, entries: readonly Entry[]) {
    this.#start = start;
    this.#entries = [];
    let previous = start;
    for (const entry of entries) {
      invariant(entry.index === previous.index + 1, "log is contiguous", `entry ${entry.index} after ${previous.index}`);
      invariant(
        entry.term >= previous.term,
        "terms never decrease",
        `term ${entry.term} at ${entry.index} after ${previous.term}`,
      );
      this.#entries.push(entry);
      previous = entry;
    }
    this.#durableIndex = previous.index;
  }

  /** The position before the first entry; everything up to it is in a snapshot. Its term is known. */
  get start(): LogPosition {
    return this.#start;
  }

  get firstIndex(): Index {
    return this.#start.index + 1;
  }

  get lastIndex(): Index {
    return this.#start.index + this.#entries.length;
  }

  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? this.#start.term;
  }

  /** The highest index up to which every entry's batch has completed. Truncation to i lowers it to at most i at once. */
  get durableIndex(): Index {
    return this.#durableIndex;
  }

  /** The term of the entry at `index`; null when the log does not reach there, or not any more. */
  termAt(index: Index): Term | null {
    if (index === this.#start.index) return this.#start.term;
    return this.#entries[index - this.#start.index - 1]?.term ?? null;
  }

  entryAt(index: Index): Entry | null {
    return this.#entries[index - this.#start.index - 1] ?? null;
  }

  /** Raft Figure 2, AppendEntries step 2: is there an entry at `index` with this term? */
  matches(index: Index, term: Term): boolean {
    return this.termAt(index) === term;
  }

  /** Raft section 5.4.1: the other log is at least as up-to-date; last terms decide first, then lengths. */
  isUpToDate(lastLogIndex: Index, lastLogTerm: Term): boolean {
    return lastLogTerm > this.lastTerm || (lastLogTerm === this.lastTerm && lastLogIndex >= this.lastIndex);
  }

  /**
   * The highest index at or below `index` whose term is at most `term`: where two logs that disagree at `index` may agree
   * again. Terms never decrease along a log, so it is found by halving. Never below `start`.
   */
  lastIndexWithTermAtMost(index: Index, term: Term): Index {
    let low = this.#start.index;
    let high = Math.min(index, this.lastIndex);
    while (low < high) {
      const middle = high - Math.floor((high - low) / 2);
      if ((this.termAt(middle) ?? 0) <= term) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Entries from `from` on, at least one if there is one, then as many as fit into `maxBytes` of data and `maxEntries`. */
  slice(from: Index, maxBytes: number, maxEntries: number, upTo: Index = this.lastIndex): Entry[] {
    const begin = from - this.#start.index - 1;
    const limit = Math.min(upTo - this.#start.index, begin + maxEntries);
    let end = begin;
    let bytes = 0;
    while (end < limit) {
      bytes += this.#entries[end]?.data.length ?? 0;
      if (bytes > maxBytes && end > begin) break;
      end += 1;
    }
    return this.#entries.slice(begin, end);
  }

  /** Adds entries after the last one; they become durable when batch `ticket` completes. */
  append(entries: readonly Entry[], ticket: number): void {
    for (const entry of entries) {
      invariant(entry.index === this.lastIndex + 1, "log is contiguous", `entry ${entry.index} after ${this.lastIndex}`);
      invariant(entry.term >= this.lastTerm, "terms never decrease", `term ${entry.term} after ${this.lastTerm}`);
      this.#entries.push(entry);
    }
    const run = this.#runs.at(-1);
    if (run !== undefined && run.ticket === ticket) run.last = this.lastIndex;
    else if (entries.length > 0) this.#runs.push({ last: this.lastIndex, ticket });
  }

  /** Removes the entry at `index` and all above it. */
  truncateFrom(index: Index): void {
    invariant(index > this.#start.index, "compacted entries are never truncated", `from ${index}, start ${this.#start.index}`);
    const last = index - 1;
    this.#entries.length = Math.min(this.#entries.length, last - this.#start.index);
    this.#durableIndex = Math.min(this.#durableIndex, last);
    while (this.#runs.length > 0 && (this.#runs.at(-2)?.last ?? this.#durableIndex) >= last) this.#runs.pop();
    const run = this.#runs.at(-1);
    if (run !== undefined) run.last = Math.min(run.last, last);
  }

  /** Batches up to `ticket` are durable. Returns true when the durable index moved. */
  completed(ticket: number): boolean {
    const before = this.#durableIndex;
    let done = 0;
    for (const run of this.#runs) {
      if (run.ticket > ticket) break;
      this.#durableIndex = run.last;
      done += 1;
    }
    if (done > 0) this.#runs.splice(0, done);
    return this.#durableIndex > before;
  }

  /** The ticket that must complete before the entry at `index` is durable; 0 when it already is. */
  ticketOf(index: Index): number {
    if (index <= this.#durableIndex) return 0;
    return this.#runs.find((run) => run.last >= index)?.ticket ?? 0;
  }

  /** Forgets the entries up to `index`, which a durable snapshot covers. */
  compactTo(index: Index): void {
    const term = this.termAt(index);
    invariant(
      term !== null && index <= this.#durableIndex,
      "only durable entries are compacted",
      `to ${index} of ${this.#durableIndex}`,
    );
    this.#entries.splice(0, index - this.#start.index);
    this.#start = { index, term: term ?? 0 };
  }

  /** Begins anew after an installed snapshot. The snapshot is durable, so everything up to `position` counts as such. */
  restart(position: LogPosition, keepSuffix: boolean): void {
    if (keepSuffix) {
      this.#entries.splice(0, position.index - this.#start.index);
      this.#runs = this.#runs.filter((run) => run.last > position.index);
      this.#durableIndex = Math.max(this.#durableIndex, position.index);
    } else {
      this.#entries = [];
      this.#runs = [];
      this.#durableIndex = position.index;
    }
    this.#start = position;
  }
}
