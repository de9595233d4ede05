/**
 * The promise ledger (docs/invariants.md): every vote that left a node and every acknowledgement that left is noted; after a restart, what the disk
 * gives back must still honour it. This one check finds whole families of bugs, because it needs no bad luck to follow.
 */
import type { Message } from "../core/message.js";
import type { Raft } from "../core/raft.js";
import type { Index, Term } from "../core/types.js";
import { memberName, type NodeEvent } from "../runtime/index.js";

/** What a node has let others know, and must therefore never forget. */
interface Promises {
  /** The highest term in any message that left. */
  term: Term;
  /** The vote that left, and in which term. */
  vote: { readonly term: Term; readonly candidate: string } | null;
  /** Everything up to here was acknowledged as durable. */
  acknowledged: { readonly index: Index; readonly term: Term };
}

export class PromiseLedger {
  readonly #complain: (text: string) => never;
  readonly #promises = new Map<string, Promises>();

  constructor(complain: (text: string) => never) {
    this.#complain = complain;
  }

  /** Somebody put an empty disk in; the node is another one from now on, and owes nothing. */
  forgotten(name: string): void {
    this.#promises.delete(name);
  }

  /** A message was handed to the network. */
  left(name: string, peer: string, message: Message, raft: Raft | null): void {
    const promises = this.#of(name);
    if (message.term > promises.term) promises.term = message.term;
    switch (message.type) {
      case "RequestVote":
        this.#voted(name, promises, message.term, name);
        break;
      case "RequestVoteResponse":
        if (message.voteGranted) this.#voted(name, promises, message.term, peer);
        break;
      case "AppendEntriesResponse":
        if (message.success) this.#acknowledged(name, promises, message.matchIndex, raft);
        break;
      case "InstallSnapshotResponse":
        if (message.status === "installed") this.#acknowledged(name, promises, message.lastIncludedIndex, raft);
        break;
      default:
        break;
    }
  }

  event(name: string, event: NodeEvent, raft: Raft | null): void {
    if (event.type !== "logTruncated") return;
    // A leader of a later term replaced entries that were acknowledged but never committed: they are not owed any more.
    const promises = this.#of(name);
    const index = event.from - 1;
    if (index < promises.acknowledged.index) promises.acknowledged = { index, term: raft?.termAt(index) ?? 0 };
  }

  /** A node has opened: what it found on its disk must honour what it had promised. Null: it has no log to take part with. */
  opened(name: string, raft: Raft | null): void {
    const { term, vote, acknowledged } = this.#of(name);
    if (raft === null) {
      if (term > 0) this.#complain(`${name} took part in term ${term} and has forgotten that it was ever founded`);
      return;
    }
    if (raft.currentTerm < term)
      this.#complain(`${name} has sent messages of term ${term}, and comes back in term ${raft.currentTerm}`);
    if (vote !== null && raft.currentTerm === vote.term) {
      const votedFor = raft.votedFor === null ? null : memberName(raft.votedFor);
      if (votedFor !== vote.candidate)
        this.#complain(`${name} voted for ${vote.candidate} in term ${vote.term}, and comes back with a vote for ${votedFor}`);
    }
    // It knows that it has lost something: what of it matters, Leader Completeness tells. Votes and terms are owed all the same.
    if (raft.recovering !== null) {
      this.#of(name).acknowledged = { index: raft.lastLogIndex, term: raft.lastLogTerm };
      return;
    }
    if (raft.lastLogIndex < acknowledged.index)
      this.#complain(
        `${name} acknowledged index ${acknowledged.index}, and comes back with a log that ends at ${raft.lastLogIndex}`,
      );
    const there = raft.termAt(acknowledged.index);
    if (there !== null && there !== acknowledged.term)
      this.#complain(
        `${name} acknowledged index ${acknowledged.index} of term ${acknowledged.term}, and comes back with term ${there} there`,
      );
    if (there === null && acknowledged.index > raft.snapshot.lastIncludedIndex)
      this.#complain(`${name} acknowledged index ${acknowledged.index}, and comes back without it`);
  }

  #of(name: string): Promises {
    let promises = this.#promises.get(name);
    if (promises === undefined) {
      promises = { term: 0, vote: null, acknowledged: { index: 0, term: 0 } };
      this.#promises.set(name, promises);
    }
    return promises;
  }

  #voted(name: string, promises: Promises, term: Term, candidate: string): void {
    if (promises.vote !== null && promises.vote.term === term && promises.vote.candidate !== candidate)
      this.#complain(`${name} voted for ${promises.vote.candidate} and for ${candidate} in term ${term}`);
    if (promises.vote === null || term > promises.vote.term) promises.vote = { term, candidate };
  }

  #acknowledged(name: string, promises: Promises, index: Index, raft: Raft | null): void {
    if (raft === null || index <= promises.acknowledged.index) return;
    if (index > raft.durableIndex)
      this.#complain(`${name} acknowledges index ${index}, but only ${raft.durableIndex} is durable there`);
    const term = raft.termAt(index);
    if (term !== null) promises.acknowledged = { index, term };
  }
}
