/**
 * What the records so far say of each node, at face value: where a corruption looks to find a place at which it would break
 * a rule. It judges nothing.
 */
import type { Index, MemberId, Role, Term } from "../../../src/core/index.js";
import type { TraceConfiguration, TraceRecord } from "../../../src/sim/reference/index.js";

export interface NodeView {
  up: boolean;
  lives: number;
  role: Role;
  term: Term;
  votedFor: MemberId | null;
  /** Its log as it was last handed to its disk: terms by index. */
  log: Map<Index, Term>;
  last: Index;
  durable: Index;
  commit: Index;
  applied: Index;
  snapshot: Index;
  logStart: Index;
  ticket: number;
  configuration: TraceConfiguration;
}

const NOBODY: TraceConfiguration = { voters: [], votersOutgoing: [], learners: [] };

export class View {
  readonly nodes = new Map<MemberId, NodeView>();
  /** Who was elected in which term, and where its own entries begin. */
  readonly leaders = new Map<Term, { readonly id: MemberId; readonly first: Index }>();
  founding: TraceConfiguration = NOBODY;

  node(id: MemberId): NodeView {
    let node = this.nodes.get(id);
    if (node === undefined) {
      node = {
        up: false,
        lives: 0,
        role: "follower",
        term: 0,
        votedFor: null,
        log: new Map(),
        last: 0,
        durable: 0,
        commit: 0,
        applied: 0,
        snapshot: 0,
        logStart: 0,
        ticket: 0,
        configuration: NOBODY,
      };
      this.nodes.set(id, node);
    }
    return node;
  }

  /** Another node than these, if there is one. */
  other(...not: readonly MemberId[]): MemberId | null {
    return [...this.nodes.keys()].find((id) => !not.includes(id)) ?? null;
  }

  follow(record: TraceRecord): void {
    const node = this.node(record.node);
    switch (record.type) {
      case "start":
        node.up = true;
        node.lives += 1;
        node.role = "follower";
        node.term = record.currentTerm;
        node.votedFor = record.votedFor;
        node.log = new Map(record.entries.map((entry) => [entry.index, entry.term]));
        node.logStart = record.logStart.index;
        node.last = record.entries.at(-1)?.index ?? record.logStart.index;
        node.snapshot = record.snapshot.lastIncludedIndex;
        node.durable = node.last;
        node.applied = node.snapshot;
        node.commit = Math.max(node.snapshot, Math.min(record.commitIndex, node.last));
        node.configuration = record.snapshot.configuration;
        node.ticket = 0;
        this.founding = record.snapshot.configuration;
        return;
      case "stop":
        node.up = false;
        return;
      case "persist":
        node.ticket = record.ticket;
        for (const entry of record.entries) node.log.set(entry.index, entry.term);
        return;
      case "termChanged":
        node.term = record.term;
        node.votedFor = null;
        return;
      case "roleChanged":
        node.role = record.role;
        if (record.role === "leader") this.leaders.set(record.term, { id: record.node, first: node.last + 1 });
        return;
      case "voteCast":
        node.votedFor = record.candidate;
        return;
      case "entriesAppended":
      case "entriesRestored":
        node.last = record.last;
        return;
      case "logTruncated":
        node.last = record.from - 1;
        node.durable = Math.min(node.durable, node.last);
        for (let index = record.from; index <= record.previousLast; index += 1) node.log.delete(index);
        return;
      case "entriesDurable":
        node.durable = record.durableIndex;
        return;
      case "commitAdvanced":
        node.commit = record.commitIndex;
        return;
      case "apply":
        node.applied = record.entry.index;
        return;
      case "snapshot":
        node.snapshot = record.lastIncludedIndex;
        return;
      case "snapshotInstalled":
        node.commit = record.lastIncludedIndex;
        node.applied = record.lastIncludedIndex;
        node.logStart = record.lastIncludedIndex;
        if (!record.keptSuffix) {
          node.log.clear();
          node.last = record.lastIncludedIndex;
        }
        return;
      case "logCompacted":
        node.logStart = record.purgedIndex;
        return;
      case "configurationChanged":
        node.configuration = { voters: record.voters, votersOutgoing: record.votersOutgoing, learners: record.learners };
        return;
      case "send":
      case "receive":
      case "persisted":
      case "read":
      case "readConfirmed":
      case "recovered":
      case "invariantViolated":
        return;
    }
  }
}
