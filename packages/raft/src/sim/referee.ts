/**
 * The referee: it sees every event, every message that leaves and every answer to a client, and says at once when one of
 * Raft's promises is broken.
 *
 * - Election safety: one leader a term, ever (Raft figure 3).
 * - State machine safety: all nodes apply the same command at the same index; what a client was told stays.
 * - The promise ledger: every vote that left and every acknowledgement that left is noted; after a restart, what the disk
 *   gives back must still honour it. This one check finds whole families of bugs, because it needs no bad luck to follow.
 * - Terms, commit and applied indexes never go back within a life, terms never at all.
 * - A linearizable read sees every write that was acknowledged before it was asked for.
 * - A write that was "not executed" was not executed.
 */
import type { Index, MemberId, Term } from "../core/types.js";
import { memberName, type NodeEvent, type NodeHost, type ProposeResult, type Transport } from "../runtime/index.js";
import { decodePayload } from "../runtime/wire/index.js";
import type { RecordMachine } from "./record-machine.js";

/** What a node has let others know, and must therefore never forget. */
interface Promises {
  /** The highest term in any message that left. */
  term: Term;
  /** The vote that left, and in which term. */
  vote: { readonly term: Term; readonly candidate: MemberId } | null;
  /** Everything up to here was acknowledged as durable; null term: not known any more (compacted). */
  acknowledged: { readonly index: Index; readonly term: Term };
}

type Host = NodeHost<RecordMachine>;

export class Referee {
  /** The first thing that was wrong. */
  complaint: string | null = null;
  readonly #leaders = new Map<Term, string>();
  readonly #promises = new Map<string, Promises>();
  /** The operation that a client was told is at an index. */
  readonly #operationAt = new Map<Index, number>();
  /** Operations whose success a client was told of, with their place. */
  readonly #acknowledged = new Map<number, Index>();
  readonly #notExecuted = new Set<number>();
  readonly #asked = new Set<number>();
  /** The one order in which operations were applied, by whoever was first. */
  readonly #order: number[] = [];
  readonly #placeOf = new Map<number, number>();
  /** How much of each node's operations was compared with that order. */
  readonly #checkedUpTo = new Map<string, number>();
  newestAcknowledged: Index = 0;
  lastWriteSucceeded = false;

  complain(complaint: string): never {
    this.complaint ??= complaint;
    throw new Error(complaint);
  }

  #promisesOf(name: string): Promises {
    let promises = this.#promises.get(name);
    if (promises === undefined) {
      promises = { term: 0, vote: null, acknowledged: { index: 0, term: 0 } };
      this.#promises.set(name, promises);
    }
    return promises;
  }

  // ---- What leaves ----

  /** Looks at every message on its way out. */
  watchTransport(name: string, transport: Transport, hostNow: () => Host | null): Transport {
    return {
      start: (handler) => transport.start(handler),
      setPeers: (peers) => transport.setPeers(peers),
      send: (peer, channel, payload) => {
        const sent = transport.send(peer, channel, payload);
        if (sent) this.#left(name, peer, payload, hostNow());
        return sent;
      },
      flush: () => transport.flush(),
      takeReadActivity: () => transport.takeReadActivity(),
      close: (callback) => transport.close(callback),
    };
  }

  #left(name: string, peer: string, payload: Uint8Array, host: Host | null): void {
    const decoded = decodePayload(payload);
    if (!decoded.ok) this.complain(`${name} sent a payload that can't be read: ${decoded.reason}`);
    if (decoded.kind !== "message") return;
    const { message } = decoded;
    const promises = this.#promisesOf(name);
    if (message.term > promises.term) promises.term = message.term;
    if (message.type === "RequestVote") this.#voted(name, message.term, `${name}`);
    if (message.type === "RequestVoteResponse" && message.voteGranted) this.#voted(name, message.term, peer);
    if (message.type === "AppendEntriesResponse" && message.success) this.#promised(name, message.matchIndex, host);
    if (message.type === "InstallSnapshotResponse" && message.status === "installed")
      this.#promised(name, message.lastIncludedIndex, host);
  }

  #voted(name: string, term: Term, candidate: string): void {
    const promises = this.#promisesOf(name);
    if (promises.vote !== null && promises.vote.term === term && promises.vote.candidate !== candidate) {
      this.complain(`${name} voted for ${promises.vote.candidate} and for ${candidate} in term ${term}`);
    }
    if (promises.vote === null || term > promises.vote.term) promises.vote = { term, candidate };
  }

  #promised(name: string, index: Index, host: Host | null): void {
    const promises = this.#promisesOf(name);
    const raft = host?.running?.raft;
    if (raft === undefined || index <= promises.acknowledged.index) return;
    if (index > raft.durableIndex)
      this.complain(`${name} acknowledges index ${index}, but only ${raft.durableIndex} is durable there`);
    const term = raft.termAt(index);
    if (term !== null) promises.acknowledged = { index, term };
  }

  // ---- Events ----

  event(name: string, host: Host, event: NodeEvent): void {
    if (event.type === "roleChanged" && event.role === "leader") {
      const other = this.#leaders.get(event.term);
      if (other !== undefined) this.complain(`${name} and ${other} both lead in term ${event.term}`);
      this.#leaders.set(event.term, name);
    }
    // A leader of a later term replaced entries that were acknowledged but never committed: they are not owed any more.
    if (event.type === "logTruncated") {
      const promises = this.#promisesOf(name);
      const before = event.from - 1;
      if (before < promises.acknowledged.index)
        promises.acknowledged = { index: before, term: host.running?.raft.termAt(before) ?? 0 };
    }
    if (event.type === "termChanged" && event.term < event.previous)
      this.complain(`the term of ${name} went back from ${event.previous} to ${event.term}`);
    this.#lookAtApplied(name, host);
  }

  /** Compares what the node has applied since the last look with what others applied. */
  #lookAtApplied(name: string, host: Host): void {
    const machine = host.running?.host.machine;
    if (machine === undefined) return;
    const from = this.#checkedUpTo.get(name) ?? 0;
    const { operations } = machine;
    for (let place = from; place < operations.length; place += 1) {
      const operation = operations[place] ?? 0;
      const known = this.#order[place];
      if (known === undefined) {
        if (!this.#asked.has(operation)) this.complain(`${name} applied operation ${operation}, which nobody asked for`);
        if (this.#placeOf.has(operation)) this.complain(`${name} applied operation ${operation} twice`);
        if (this.#notExecuted.has(operation))
          this.complain(`${name} applied operation ${operation}, and a client was told that it was not executed`);
        this.#order.push(operation);
        this.#placeOf.set(operation, place);
      } else if (known !== operation) {
        this.complain(`${name} applied operation ${operation} in place ${place}, another node ${known}`);
      }
    }
    this.#checkedUpTo.set(name, operations.length);
  }

  /** A node has opened: what it found on its disk must honour what it had promised. */
  opened(name: string, host: Host): void {
    this.#checkedUpTo.set(name, 0);
    const { term, vote, acknowledged } = this.#promisesOf(name);
    const raft = host.running?.raft;
    if (raft === undefined) {
      if (term > 0) this.complain(`${name} took part in term ${term} and has forgotten that it was ever founded`);
      return;
    }
    if (raft.currentTerm < term)
      this.complain(`${name} has sent messages of term ${term}, and comes back in term ${raft.currentTerm}`);
    if (vote !== null && raft.currentTerm === vote.term) {
      const votedFor = raft.votedFor === null ? null : memberName(raft.votedFor);
      if (votedFor !== vote.candidate)
        this.complain(`${name} voted for ${vote.candidate} in term ${term}, and comes back with a vote for ${votedFor}`);
    }
    if (raft.lastLogIndex < acknowledged.index)
      this.complain(
        `${name} acknowledged index ${acknowledged.index}, and comes back with a log that ends at ${raft.lastLogIndex}`,
      );
    const there = raft.termAt(acknowledged.index);
    if (there !== null && there !== acknowledged.term)
      this.complain(
        `${name} acknowledged index ${acknowledged.index} of term ${acknowledged.term}, and comes back with term ${there} there`,
      );
    if (there === null && acknowledged.index > raft.snapshot.lastIncludedIndex)
      this.complain(`${name} acknowledged index ${acknowledged.index}, and comes back without it`);
  }

  stopped(name: string, host: Host): void {
    this.#lookAtApplied(name, host);
    this.#checkedUpTo.set(name, 0);
  }

  // ---- Clients ----

  asked(operation: number): void {
    this.#asked.add(operation);
    this.lastWriteSucceeded = false;
  }

  acknowledged(operation: number, result: ProposeResult): void {
    this.#acknowledged.set(operation, result.index);
    const other = this.#operationAt.get(result.index);
    if (other !== undefined && other !== operation)
      this.complain(`operations ${other} and ${operation} were both acknowledged at index ${result.index}`);
    this.#operationAt.set(result.index, operation);
    this.newestAcknowledged = Math.max(this.newestAcknowledged, result.index);
    this.lastWriteSucceeded = true;
  }

  notExecuted(operation: number): void {
    this.#notExecuted.add(operation);
    if (this.#placeOf.has(operation)) this.complain(`operation ${operation} was executed, and a client was told that it was not`);
  }

  wasRead(newestBefore: Index, machine: RecordMachine): void {
    if (machine.appliedIndex < newestBefore)
      this.complain(
        `a read saw the state at index ${machine.appliedIndex}, and a write at ${newestBefore} had been acknowledged before it`,
      );
  }

  // ---- The end ----

  allEqual(hosts: readonly (Host | null)[]): boolean {
    const machines = hosts.map((host) => host?.running?.host.machine ?? null);
    const [first] = machines;
    if (first === null || first === undefined) return false;
    return (
      machines.every((machine) => machine !== null && machine.appliedIndex === first.appliedIndex) &&
      first.appliedIndex >= this.newestAcknowledged
    );
  }

  /** Every acknowledged operation is there, on every node, once; and all nodes have come the same way. */
  checkEverything(hosts: readonly (Host | null)[]): void {
    const chains = new Set<number>();
    for (const host of hosts) {
      const machine = host?.running?.host.machine;
      if (host === null || machine === undefined) this.complain("a node is down in the calm");
      this.#checkedUpTo.set(host.options.id, 0);
      this.#lookAtApplied(host.options.id, host);
      chains.add(machine.chain);
      const there = new Set(machine.operations);
      if (there.size !== machine.operations.length) this.complain(`${host.options.id} holds an operation twice`);
      for (const [operation, index] of this.#acknowledged) {
        if (!there.has(operation))
          this.complain(`operation ${operation} was acknowledged at index ${index} and is lost on ${host.options.id}`);
      }
    }
    if (chains.size !== 1) this.complain("nodes have applied the same number of operations and have different states");
  }
}
