/**
 * Traces written by hand, step by step: for what the core does not do yet (changes of membership), and for stories of a few
 * lines. Each step writes the records of nodes that do as Raft says; that they do is what the reference then agrees to.
 */
import type { EntryType, Index, MemberId, Role, Term } from "../../../src/core/index.js";
import type { TraceConfiguration, TraceEntry, TraceMessage, TraceRecord } from "../../../src/sim/reference/index.js";

interface HandNode {
  term: Term;
  role: Role;
  votedFor: MemberId | null;
  log: TraceEntry[];
  commit: Index;
  applied: Index;
  ticket: number;
}

export const voters = (...ids: readonly MemberId[]): TraceConfiguration => ({ voters: ids, votersOutgoing: [], learners: [] });

export class HandTrace {
  readonly records: TraceRecord[] = [];
  readonly #nodes = new Map<MemberId, HandNode>();
  readonly #founding: TraceConfiguration;

  /** `joining`: members that begin without a configuration, until the log brings one. */
  constructor(founding: TraceConfiguration, ids: readonly MemberId[], joining: readonly MemberId[] = []) {
    this.#founding = founding;
    for (const id of [...ids, ...joining]) {
      this.#nodes.set(id, { term: 0, role: "follower", votedFor: null, log: [], commit: 0, applied: 0, ticket: 0 });
      this.start(id, ids.includes(id) ? founding : voters());
    }
  }

  #node(id: MemberId): HandNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  add(...records: readonly TraceRecord[]): void {
    this.records.push(...records);
  }

  /** A life begins, with all that was handed to the disk. */
  start(id: MemberId, founding = this.#founding): void {
    const node = this.#node(id);
    node.role = "follower";
    node.commit = 0;
    node.applied = 0;
    node.ticket = 0;
    this.add({
      type: "start",
      node: id,
      currentTerm: node.term,
      votedFor: node.votedFor,
      commitIndex: 0,
      snapshot: { lastIncludedIndex: 0, lastIncludedTerm: 0, configuration: founding, configurationIndex: 0 },
      logStart: { index: 0, term: 0 },
      entries: [...node.log],
    });
  }

  stop(id: MemberId): void {
    this.add({ type: "stop", node: id });
  }

  /** Hands over what changed; returns the ticket. */
  handOver(id: MemberId, entries: readonly TraceEntry[] = []): number {
    const node = this.#node(id);
    node.ticket += 1;
    const { ticket, term, votedFor, commit } = node;
    const hardState = { currentTerm: term, votedFor, commitIndex: commit };
    this.add({ type: "persist", node: id, ticket, ...hardState, logStart: null, entries });
    return ticket;
  }

  /** Hands over what changed, and is told that it is durable. */
  persist(id: MemberId, entries: readonly TraceEntry[] = []): void {
    this.add({ type: "persisted", node: id, ticket: this.handOver(id, entries) });
  }

  deliver(from: MemberId, to: MemberId, message: TraceMessage): void {
    this.add({ type: "send", node: from, to, message }, { type: "receive", node: to, from, message });
  }

  // ---- Elections ----

  #enter(id: MemberId, term: Term): void {
    const node = this.#node(id);
    if (node.term === term) return;
    this.add({ type: "termChanged", node: id, term, previous: node.term });
    node.term = term;
    node.votedFor = null;
    if (node.role === "leader") this.#becomes(id, "follower");
  }

  /** Begins a term of its own, and has the means to lead it. */
  campaign(id: MemberId): void {
    const node = this.#node(id);
    this.#enter(id, node.term + 1);
    this.#becomes(id, "candidate");
    this.add({ type: "voteCast", node: id, candidate: id, term: node.term });
    node.votedFor = id;
    this.persist(id);
  }

  /** The candidate asks, and is given the vote; it has not heard so yet. */
  ask(id: MemberId, voter: MemberId): void {
    const { term, log } = this.#node(id);
    const last = log.at(-1);
    const request = { lastLogIndex: last?.index ?? 0, lastLogTerm: last?.term ?? 0, leadershipTransfer: false };
    this.deliver(id, voter, { type: "RequestVote", term, ...request });
    this.#enter(voter, term);
    this.add({ type: "voteCast", node: voter, candidate: id, term });
    this.#node(voter).votedFor = id;
    this.persist(voter);
    this.add({ type: "send", node: voter, to: id, message: { type: "RequestVoteResponse", term, voteGranted: true } });
  }

  hearVote(id: MemberId, from: MemberId): void {
    const { term } = this.#node(id);
    this.add({ type: "receive", node: id, from, message: { type: "RequestVoteResponse", term, voteGranted: true } });
  }

  /** The candidate leads, and appends its no-op. */
  lead(id: MemberId): void {
    this.#becomes(id, "leader");
    this.append(id, "noop");
  }

  elect(id: MemberId, by: readonly MemberId[]): void {
    this.campaign(id);
    for (const voter of by) {
      this.ask(id, voter);
      this.hearVote(id, voter);
    }
    this.lead(id);
  }

  depose(id: MemberId): void {
    this.#becomes(id, "follower");
  }

  #becomes(id: MemberId, role: Role): void {
    const node = this.#node(id);
    this.add({ type: "roleChanged", node: id, role, previous: node.role, term: node.term, reason: "by hand" });
    node.role = role;
  }

  // ---- The log ----

  /** The leader appends an entry of its own. */
  append(id: MemberId, type: EntryType, configuration?: TraceConfiguration): Index {
    const { log, term } = this.#node(id);
    const index = (log.at(-1)?.index ?? 0) + 1;
    const plain = { index, term, type, digest: 1000 * term + index };
    const entry: TraceEntry = configuration === undefined ? plain : { ...plain, configuration };
    log.push(entry);
    this.add({ type: "entriesAppended", node: id, first: index, last: index, term });
    this.#announce(id, [entry]);
    this.persist(id, [entry]);
    return index;
  }

  #announce(id: MemberId, entries: readonly TraceEntry[]): void {
    for (const { index, configuration } of entries)
      if (configuration !== undefined) this.add({ type: "configurationChanged", node: id, index, ...configuration });
  }

  /** The leader sends its log from where the follower's agrees, and hears that it is durable there. */
  replicate(id: MemberId, to: MemberId, upTo?: Index): void {
    const { ticket, acknowledgement } = this.offer(id, to, upTo);
    this.add({ type: "persisted", node: to, ticket });
    this.deliver(to, id, acknowledgement);
  }

  /** The leader sends its log, up to an index; the follower takes it, and hands it to its disk. */
  offer(id: MemberId, to: MemberId, upTo?: Index): { readonly ticket: number; readonly acknowledgement: TraceMessage } {
    const leader = this.#node(id);
    const follower = this.#node(to);
    const offered = leader.log.slice(0, upTo);
    const differs = offered.findIndex((entry, place) => follower.log[place]?.term !== entry.term);
    const prevLogIndex = differs === -1 ? offered.length : differs;
    const prevLogTerm = offered[prevLogIndex - 1]?.term ?? 0;
    const entries = offered.slice(prevLogIndex);
    const { term, commit } = leader;
    this.deliver(id, to, {
      type: "AppendEntries",
      term,
      prevLogIndex,
      prevLogTerm,
      entries,
      leaderCommit: commit,
      leases: false,
    });
    this.#enter(to, term);
    const first = entries[0];
    const last = entries.at(-1);
    if (first !== undefined && last !== undefined) {
      if (follower.log.length > prevLogIndex) this.#truncate(to, prevLogIndex);
      this.add({ type: "entriesAppended", node: to, first: first.index, last: last.index, term });
      this.#announce(to, entries);
      follower.log.push(...entries);
    }
    const matchIndex = prevLogIndex + entries.length;
    this.commit(to, Math.min(commit, matchIndex));
    const answer = { success: true, prevLogIndex, matchIndex, hintIndex: 0, hintTerm: 0 };
    return { ticket: this.handOver(to, entries), acknowledgement: { type: "AppendEntriesResponse", term, ...answer } };
  }

  #truncate(id: MemberId, keep: number): void {
    const { log } = this.#node(id);
    const gone = log.slice(keep);
    this.add({ type: "logTruncated", node: id, from: keep + 1, previousLast: log.length });
    log.splice(keep);
    if (!gone.some((entry) => entry.configuration !== undefined)) return;
    const before = log.findLast((entry) => entry.configuration !== undefined);
    const configuration = before?.configuration ?? this.#founding;
    this.add({ type: "configurationChanged", node: id, index: before?.index ?? 0, ...configuration });
  }

  /** Commits, and applies what is committed. */
  commit(id: MemberId, index: Index): void {
    const node = this.#node(id);
    if (index <= node.commit) return;
    this.add({ type: "commitAdvanced", node: id, commitIndex: index, term: node.term });
    node.commit = index;
    for (const entry of node.log.slice(node.applied, index)) this.add({ type: "apply", node: id, entry });
    node.applied = index;
  }
}
