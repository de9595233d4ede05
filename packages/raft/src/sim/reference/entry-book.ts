/**
 * Every entry that a leader has ever made, by its name: index and term. An entry is made when its leader appends it; what
 * it holds may be seen only later (in a batch, a message, an application), and from then on it is the same everywhere.
 */
import type { EntryType, Index, Term } from "../../core/index.js";
import { sameConfiguration } from "./quorum.js";
import { refuse } from "./rules.js";
import type { TraceConfiguration, TraceEntry } from "./trace.js";

export interface EntryFacts {
  readonly term: Term;
  /** The term of the entry before: with it the name stands for a whole log. */
  readonly previousTerm: Term;
  /** Null: not seen yet; "passed over": not shown to a state machine, so neither a command nor a session's. */
  type: EntryType | "passed over" | null;
  digest: number | null;
  configuration: TraceConfiguration | null;
}

export class EntryBook {
  /** What is at or below it, every server has compacted, and it is forgotten here too. */
  horizon: Index = 0;
  readonly #entries = new Map<Index, EntryFacts[]>();

  /** How many indexes it has entries for. */
  get size(): number {
    return this.#entries.size;
  }

  /** The leader of `term` appends an entry. */
  make(index: Index, term: Term, previousTerm: Term): void {
    const there = this.#entries.get(index);
    const facts: EntryFacts = { term, previousTerm, type: null, digest: null, configuration: null };
    if (there === undefined) this.#entries.set(index, [facts]);
    else if (there.some((each) => each.term === term)) refuse("leaderAppendOnly", `${index}/${term} is made twice`);
    else there.push(facts);
  }

  /** Null only for what is forgotten. */
  find(index: Index, term: Term): EntryFacts | null {
    if (index <= this.horizon) return null;
    const facts = this.#entries.get(index)?.find((each) => each.term === term);
    return facts ?? refuse("logMatching", `no leader made an entry ${index}/${term}`);
  }

  /** An entry is seen with what it holds: it is what it was whenever it was seen before. */
  see(entry: TraceEntry): EntryFacts | null {
    const facts = this.find(entry.index, entry.term);
    if (facts === null) return null;
    const { type, digest, configuration = null } = entry;
    const other = (what: string): never =>
      refuse("logMatching", `entry ${entry.index}/${entry.term} is seen with another ${what}`);
    if (facts.type === "passed over" && (type === "command" || type === "session"))
      refuse("applyInOrder", `${type} ${entry.index} was passed over by a state machine`);
    if (facts.type !== null && facts.type !== "passed over" && facts.type !== type) other("type");
    if (facts.digest !== null && facts.digest !== digest) other("content");
    const known = facts.configuration;
    if (known !== null && (configuration === null || !sameConfiguration(known, configuration))) other("configuration");
    facts.type = type;
    facts.digest = digest;
    facts.configuration = configuration;
    return facts;
  }

  forget(horizon: Index): void {
    for (let index = this.horizon + 1; index <= horizon; index += 1) this.#entries.delete(index);
    this.horizon = horizon;
  }
}
