/**
 * The rules of Raft's Figure 3 and what follows from them, looked at after every event over all nodes at once
 * (docs/invariants.md).
 *
 * - Election Safety: at most one leader is elected in a term, ever.
 * - Log Matching: an entry with the same index and term is the same entry, after the same entry, in every log.
 * - Leader Completeness: a new leader's log holds every entry that was committed in an earlier term.
 * - State Machine Safety: what is committed at an index is the same on every node, and never changes.
 * - Durable commitment: when a leader commits, the entry is of its own term, and durable on a quorum of its configuration.
 * - Nothing goes back: terms never; within a life commitIndex, lastApplied and the durable log below commitIndex; matchIndex
 *   within one leadership and one life of the follower.
 * - Order of indexes: purged ≤ snapshot ≤ applied ≤ commit ≤ last, match < next.
 * - Silence: who has lost part of its log neither votes nor campaigns nor leads until it is repaired.
 * - Meeting quorums: each quorum of a configuration meets each of the one before it.
 * - One change at a time: a leader appends a configuration only when the one before is committed.
 */
import type { Configuration } from "../core/configuration.js";
import { majority, quorumValue } from "../core/quorum.js";
import type { Raft } from "../core/raft.js";
import type { ConfigurationAt } from "../core/state.js";
import type { Entry, Index, MemberId, Term } from "../core/types.js";
import { crc32c } from "../runtime/crc32c.js";
import { memberName, type NodeEvent } from "../runtime/index.js";

interface KnownEntry {
  readonly digest: number;
  readonly previousTerm: Term;
}

interface Committed {
  readonly term: Term;
  readonly digest: number;
}

/** What a node was like when it was last looked at, within one life. */
interface Look {
  readonly raft: Raft;
  /** Earlier lives whose disk has lost something since, while it is not repaired: what they acknowledged may be counted. */
  lost: readonly Raft[];
  /** Once it is repaired: how far its log must be durable before they do not count any more. */
  wholeFrom: Index | null;
  /** It began this life by taking back what it had acknowledged; leaders hear of it sooner or later. */
  readonly fellBack: boolean;
  term: Term;
  commitIndex: Index;
  lastApplied: Index;
  snapshotIndex: Index;
  /** Whom it voted for, and in which term. */
  votedIn: Term;
  votedFor: MemberId | null;
  leaderTerm: Term;
  /** matchIndex of each follower in this leadership. */
  readonly matchIndex: Map<MemberId, Index>;
  /** What was committed up to here has been compared. */
  checkedUpTo: Index;
  /** The configuration, as the events tell it: a step may commit by one and end with the next. */
  inForce: ConfigurationAt;
}

const NO_DIGEST = -1;

export class RaftRules {
  readonly #complain: (text: string) => never;
  readonly #leaders = new Map<Term, string>();
  readonly #entries = new Map<number, KnownEntry>();
  /** By index - 1. */
  readonly #committed: (Committed | null)[] = [];
  #highestCommitted: Index = 0;
  /** How far was committed in which term, where that was further than ever before. */
  readonly #committedIn = new Map<Term, Index>();
  /**
   * The newest life of each node. A dead one's is kept, because its disk still holds what it held; that of a wiped one too,
   * because what it had acknowledged may be counted by a leader who can't know yet.
   */
  readonly #nodes = new Map<string, Look>();
  /** The same, by id: a member that lost its disk and joined again is another one. */
  readonly #byId = new Map<MemberId, Look>();

  constructor(complain: (text: string) => never) {
    this.#complain = complain;
  }

  get highestCommitted(): Index {
    return this.#highestCommitted;
  }

  /** Nodes that lead at this moment, whatever their terms. */
  leadersNow(isAlive: (name: string) => boolean): number {
    let count = 0;
    for (const [name, { raft }] of this.#nodes) if (raft.role === "leader" && isAlive(name)) count += 1;
    return count;
  }

  /** A node's core begins a life with this log. */
  started(name: string, raft: Raft): void {
    const before = this.#nodes.get(name);
    const look: Look = {
      raft,
      lost: raft.recovering === null || before === undefined ? [] : [...before.lost, before.raft],
      wholeFrom: null,
      fellBack: raft.recovering !== null,
      term: raft.currentTerm,
      commitIndex: raft.commitIndex,
      lastApplied: raft.lastApplied,
      snapshotIndex: raft.snapshot.lastIncludedIndex,
      votedIn: raft.currentTerm,
      votedFor: raft.votedFor,
      leaderTerm: 0,
      matchIndex: new Map(),
      checkedUpTo: 0,
      inForce: { index: raft.configurationIndex, configuration: raft.configuration },
    };
    this.#nodes.set(name, look);
    this.#byId.set(raft.id, look);
    this.#appended(name, raft, raft.logStart.index + 1, raft.lastLogIndex);
    this.#committedUpTo(name, look, raft.commitIndex, raft.currentTerm);
  }

  event(name: string, event: NodeEvent): void {
    const look = this.#nodes.get(name);
    if (look === undefined) return;
    const { raft } = look;
    switch (event.type) {
      case "roleChanged":
        if (event.role !== "follower" && raft.recovering !== null)
          this.#complain(`${name} is ${event.role} in term ${event.term}, and part of its log is lost`);
        if (event.role === "leader") this.#elected(name, raft, event.term);
        break;
      case "entriesAppended":
      case "entriesRestored":
        this.#appended(name, raft, event.first, event.last);
        break;
      case "recovered":
        look.wholeFrom = event.lastIndex;
        break;
      case "voteCast":
        if (raft.recovering !== null) this.#complain(`${name} votes in term ${event.term}, and part of its log is lost`);
        if (look.votedIn === event.term && look.votedFor !== null && look.votedFor !== event.candidate)
          this.#complain(`${name} voted for ${look.votedFor} and for ${event.candidate} in term ${event.term}`);
        look.votedIn = event.term;
        look.votedFor = event.candidate;
        break;
      case "commitAdvanced":
        if (raft.role === "leader" && raft.currentTerm === event.term)
          this.#leaderCommitted(name, raft, look.inForce.configuration, event.commitIndex);
        this.#committedUpTo(name, look, event.commitIndex, event.term);
        break;
      case "configurationChanged":
        this.#configurationChanged(name, look, event.index);
        break;
      case "durableRegressed":
        return this.#complain(
          `${event.peer} acknowledged ${event.matchIndex} to ${name} and now holds ${event.durableIndex} only`,
        );
      case "appliedDiffers":
        return this.#complain(`${name} finds that ${event.name} applied something else from ${event.first} to ${event.last}`);
      case "invariantViolated":
        return this.#complain(`${name} found a broken invariant (${event.invariant}): ${event.detail}`);
      default:
        break;
    }
  }

  /** Looked at after every step of the node. */
  stepped(name: string): void {
    const look = this.#nodes.get(name);
    if (look === undefined || look.raft.failed) return;
    const { raft } = look;
    if (look.wholeFrom !== null && raft.durableIndex >= look.wholeFrom) look.lost = [];
    if (raft.currentTerm < look.term) this.#complain(`the term of ${name} went back from ${look.term} to ${raft.currentTerm}`);
    if (raft.commitIndex < look.commitIndex)
      this.#complain(`commitIndex of ${name} went back from ${look.commitIndex} to ${raft.commitIndex}`);
    if (raft.lastApplied < look.lastApplied)
      this.#complain(`lastApplied of ${name} went back from ${look.lastApplied} to ${raft.lastApplied}`);
    if (raft.snapshot.lastIncludedIndex < look.snapshotIndex)
      this.#complain(`the snapshot of ${name} went back from ${look.snapshotIndex} to ${raft.snapshot.lastIncludedIndex}`);
    look.term = raft.currentTerm;
    look.commitIndex = raft.commitIndex;
    look.lastApplied = raft.lastApplied;
    look.snapshotIndex = raft.snapshot.lastIncludedIndex;
    if (
      raft.logStart.index > raft.snapshot.lastIncludedIndex ||
      raft.snapshot.lastIncludedIndex > raft.lastApplied ||
      raft.lastApplied > raft.commitIndex ||
      raft.commitIndex > raft.lastLogIndex
    ) {
      this.#complain(
        `${name} has purged ${raft.logStart.index}, snapshot ${raft.snapshot.lastIncludedIndex}, applied ${raft.lastApplied}, commit ${raft.commitIndex}, last ${raft.lastLogIndex}: not in order`,
      );
    }
    if (raft.role === "leader") this.#lookAtProgress(name, look);
  }

  /** A follower may have begun another life: what it acknowledged in its last one is judged anew. */
  peerRestarted(name: string, peer: string): void {
    const look = this.#nodes.get(name);
    for (const id of look?.matchIndex.keys() ?? []) if (memberName(id) === peer) look?.matchIndex.delete(id);
  }

  #lookAtProgress(name: string, look: Look): void {
    const { raft, matchIndex } = look;
    if (look.leaderTerm !== raft.currentTerm) {
      look.leaderTerm = raft.currentTerm;
      matchIndex.clear();
    }
    for (const [peer, progress] of raft.progress) {
      if (progress.matchIndex >= progress.nextIndex)
        this.#complain(`${name} has match ${progress.matchIndex} and next ${progress.nextIndex} for ${memberName(peer)}`);
      const fellBack = this.#nodes.get(memberName(peer))?.fellBack ?? false;
      if (progress.matchIndex < (matchIndex.get(peer) ?? 0) && !fellBack)
        this.#complain(
          `matchIndex of ${memberName(peer)} went back from ${matchIndex.get(peer)} to ${progress.matchIndex} at ${name}`,
        );
      if (progress.matchIndex > 0) matchIndex.set(peer, progress.matchIndex);
    }
  }

  #elected(name: string, raft: Raft, term: Term): void {
    const other = this.#leaders.get(term);
    if (other !== undefined) this.#complain(`${name} and ${other} were both elected in term ${term}`);
    this.#leaders.set(term, name);
    // Of earlier terms: a candidate may hear of its votes, and lead a term that is over, when a later leader has long committed.
    let index = 0;
    for (const [committedIn, upTo] of this.#committedIn) if (committedIn < term) index = Math.max(index, upTo);
    const committed = this.#committed[index - 1];
    if (committed === undefined || committed === null || index <= raft.snapshot.lastIncludedIndex) return;
    const there = raft.termAt(index);
    if (there !== committed.term)
      this.#complain(
        `${name} was elected in term ${term} and holds ${there === null ? "nothing" : `term ${there}`} at index ${index}, where term ${committed.term} is committed`,
      );
  }

  #appended(name: string, raft: Raft, first: Index, last: Index): void {
    for (let index = first; index <= last; index += 1) {
      const entry = raft.entryAt(index);
      // Replaced or compacted again before this look.
      if (entry === null) continue;
      const previousTerm = raft.termAt(index - 1);
      const key = entry.term * 2 ** 32 + index;
      const known = this.#entries.get(key);
      const digest = digestOf(entry);
      if (known === undefined) {
        if (previousTerm !== null) this.#entries.set(key, { digest, previousTerm });
      } else if (known.digest !== digest || (previousTerm !== null && known.previousTerm !== previousTerm)) {
        this.#complain(`${name} holds another entry than others at index ${index} of term ${entry.term}`);
      }
    }
  }

  #leaderCommitted(name: string, raft: Raft, configuration: Configuration, index: Index): void {
    const term = raft.termAt(index);
    if (term !== null && term !== raft.currentTerm)
      this.#complain(`${name} leads in term ${raft.currentTerm} and committed index ${index} of term ${term} by counting`);
    const durable = quorumValue(configuration, (id) => this.#durableAt(id, index, term) ?? 0);
    if (durable < index)
      this.#complain(
        `${name} committed index ${index} of term ${term}, which is durable on ${configuration.voters.filter((id) => this.#durableAt(id, index, term) !== null).length} of ${configuration.voters.length} voters only`,
      );
  }

  /** `index` if that entry is durable on the member's disk, as far as it has said so; otherwise null. */
  #durableAt(id: MemberId, index: Index, term: Term | null): Index | null {
    const look = this.#byId.get(id);
    return [look?.raft, ...(look?.lost ?? [])].some((raft) => raft?.id === id && holds(raft, index, term)) ? index : null;
  }

  #committedUpTo(name: string, look: Look, commitIndex: Index, term: Term): void {
    const { raft } = look;
    const from = Math.max(look.checkedUpTo, raft.logStart.index) + 1;
    look.checkedUpTo = Math.max(look.checkedUpTo, commitIndex);
    for (let index = from; index <= commitIndex; index += 1) {
      const entry = raft.entryAt(index);
      const entryTerm = raft.termAt(index);
      if (entryTerm === null) continue;
      const digest = entry === null ? NO_DIGEST : digestOf(entry);
      const known = this.#committed[index - 1] ?? null;
      if (known === null) this.#committed[index - 1] = { term: entryTerm, digest };
      else if (known.term !== entryTerm || (digest !== NO_DIGEST && known.digest !== NO_DIGEST && known.digest !== digest))
        this.#complain(
          `${name} has term ${entryTerm} committed at index ${index}, where term ${known.term} was committed before`,
        );
      else if (known.digest === NO_DIGEST && digest !== NO_DIGEST) this.#committed[index - 1] = { term: entryTerm, digest };
    }
    if (commitIndex > this.#highestCommitted) {
      for (let index = this.#committed.length; index < commitIndex; index += 1) this.#committed[index] = null;
      this.#highestCommitted = commitIndex;
      this.#committedIn.set(term, commitIndex);
    }
  }

  #configurationChanged(name: string, look: Look, index: Index): void {
    const { raft, matchIndex } = look;
    const now = raft.configurationAt(index);
    const before = look.inForce;
    if (now.index !== index) return;
    look.inForce = now;
    // Whoever has left begins anew if it comes back.
    for (const id of matchIndex.keys()) if (!now.configuration.members.some((member) => member.id === id)) matchIndex.delete(id);
    // Truncated back, or skipped over with a snapshot: nothing was put after the one before.
    if (index <= before.index || index <= raft.logStart.index) return;
    if (before.configuration.voters.length > 0 && !quorumsMeet(before.configuration, now.configuration))
      this.#complain(`${name} has a configuration at ${index} whose quorums need not meet those of the one before it`);
    if (raft.role === "leader" && raft.termAt(index) === raft.currentTerm && before.index > raft.commitIndex)
      this.#complain(`${name} has appended a configuration at ${index} while the one at ${before.index} is not committed`);
  }
}

function holds(raft: Raft, index: Index, term: Term | null): boolean {
  return index <= raft.snapshot.lastIncludedIndex || (raft.durableIndex >= index && raft.termAt(index) === term);
}

function digestOf(entry: Entry): number {
  return (crc32c(entry.data) ^ entry.type.length) >>> 0;
}

/** Every quorum of one meets every quorum of the other: they share a set of voters, or one differs by a single voter. */
function quorumsMeet(one: Configuration, other: Configuration): boolean {
  const sets = (configuration: Configuration): readonly (readonly MemberId[])[] =>
    configuration.votersOutgoing.length === 0 ? [configuration.voters] : [configuration.voters, configuration.votersOutgoing];
  return sets(one).some((left) =>
    sets(other).some((right) => {
      const union = new Set([...left, ...right]);
      return majority(left.length) + majority(right.length) > union.size;
    }),
  );
}
