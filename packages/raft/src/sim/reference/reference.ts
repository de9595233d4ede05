/**
 * The reference: what Raft is, in one place and in plain words, kept apart from the core on purpose. It was written from the
 * paper ("In Search of an Understandable Consensus Algorithm", extended version) and Ongaro's dissertation, and judges the
 * core from outside: it is shown step by step what the nodes of a cluster did (trace.ts), and accepts or refuses each step.
 *
 * **Raft, as this folder states it.** Some servers keep copies of one log. Each entry is named by its index and by the term
 * of the leader that made it, and that name stands for the entry and everything before it.
 *
 * - *Time is cut into terms* (election.ts). A server's term only rises. In each term a server gives at most one vote, to a
 *   candidate whose log is not behind its own, and never forgets it; whoever has the votes of a quorum leads that term, alone.
 * - *The leader makes the log* (replication.ts). It only appends. The others take its entries where the entry before agrees, and
 *   cut off what differs from there on; what they acknowledge is durable, and is as the leader has it.
 * - *What a quorum holds is committed* (commit.ts): the leader counts acknowledgements for entries of its own term, and what stands
 *   before them is committed with them. The vote rule puts everything that is committed into the log of every later leader;
 *   so nothing committed is ever lost, and all state machines get the same commands in the same order.
 * - *Nothing durable is forgotten* (durability.ts): a server may stop at any moment, and comes back with what its disk had reported.
 * - *Who counts is in the log too* (membership.ts, quorum.ts): the newest configuration is in force as soon as it is appended.
 * - *A disk may lose what it held* (repair.ts): then its server is silent about who should lead until it has got everything back
 *   that it may have helped to commit.
 * - *A snapshot stands for the committed log before it* (snapshot.ts), and takes its place for those that are far behind.
 * - *Reads need no entry* (read.ts): a leader that hears from a quorum after it was asked still led when it was asked.
 *
 * rules.ts has every rule in a sentence, with the section it comes from; facts.ts is the state: Figure 2 for each server, and what
 * each term has seen. From the trace only the contents of messages and batches are taken, and the node's word for what it did;
 * whether it *could* do that is worked out here: who has which votes, what a quorum holds, which configuration is in force.
 *
 * What it can't see: time. So it knows nothing of timeouts, leases and liveness; and within one turn of a node, whose
 * events come out together, it may take a message for heard that the node heard a moment later.
 */
import { apply, commitAdvanced } from "./commit.js";
import { entriesDurable, persist, persisted, start, stop } from "./durability.js";
import { roleChanged, termChanged, voteCast } from "./election.js";
import { type Cluster, createCluster, type Server, termFacts } from "./facts.js";
import { configurationChanged } from "./membership.js";
import { receive, send } from "./messages.js";
import { read, readConfirmed } from "./read.js";
import { recovered } from "./repair.js";
import { entriesAppended, entriesRestored, logTruncated } from "./replication.js";
import { Refusal, refuse } from "./rules.js";
import { logCompacted, snapshot, snapshotInstalled } from "./snapshot.js";
import type { EventRecord, TraceRecord } from "./trace.js";

export class Reference {
  readonly #cluster = createCluster();
  #accepted = 0;
  #refusal: string | null = null;

  /** How many records were accepted. */
  get accepted(): number {
    return this.#accepted;
  }

  /** How much it remembers: entries and terms. What every server has compacted, and left behind, is not among it. */
  get remembered(): { readonly entries: number; readonly terms: number } {
    return { entries: this.#cluster.book.size, terms: this.#cluster.terms.size };
  }

  /** Null: the step is Raft's. Otherwise why it is not, with the rule and where it stands; from then on nothing else is said. */
  accept(record: TraceRecord): string | null {
    if (this.#refusal !== null) return this.#refusal;
    try {
      follow(this.#cluster, record);
      this.#accepted += 1;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#refusal = error.message;
    }
    return this.#refusal;
  }
}

function follow(cluster: Cluster, record: TraceRecord): void {
  if (record.type === "start") return start(cluster, record);
  if (record.type === "stop") return stop(cluster, record);
  const server = cluster.servers.get(record.node);
  if (server?.up !== true) refuse("oneLife", `${record.node} has a record of ${record.type}, and does not live`);
  switch (record.type) {
    case "send":
      settle(cluster, server);
      return send(cluster, server, record.to, record.message);
    case "receive":
      settle(cluster, server);
      return receive(cluster, server, record.from, record.message);
    case "persist":
      settle(cluster, server);
      return persist(cluster, server, record);
    case "persisted":
      settle(cluster, server);
      return persisted(cluster, server, record.ticket);
    case "snapshot":
      settle(cluster, server);
      return snapshot(cluster, server, record);
    case "read":
      settle(cluster, server);
      return read(cluster, server, record.id);
    case "apply":
      settle(cluster, server);
      return apply(cluster, server, record.entry);
    default:
      return happened(cluster, server, record);
  }
}

function happened(cluster: Cluster, server: Server, event: EventRecord): void {
  switch (event.type) {
    case "termChanged":
      return termChanged(cluster, server, event);
    case "roleChanged":
      return roleChanged(cluster, server, event);
    case "voteCast":
      return voteCast(cluster, server, event);
    case "entriesAppended":
      return entriesAppended(cluster, server, event);
    case "entriesRestored":
      return entriesRestored(cluster, server, event);
    case "logTruncated":
      return logTruncated(cluster, server, event);
    case "entriesDurable":
      return entriesDurable(server, event);
    case "commitAdvanced":
      return commitAdvanced(cluster, server, event);
    case "configurationChanged":
      return configurationChanged(cluster, server, event);
    case "readConfirmed":
      return readConfirmed(cluster, server, event);
    case "snapshotInstalled":
      return snapshotInstalled(cluster, server, event);
    case "logCompacted":
      return logCompacted(cluster, server, event);
    case "recovered":
      return recovered(cluster, server, event);
    case "invariantViolated":
      return refuse("ownAlarm", `${server.id}: ${event.invariant}: ${event.detail}`);
  }
}

/** The events of a turn are over: what they began must be complete. */
function settle(cluster: Cluster, server: Server): void {
  const { id, term, role, configurations } = server;
  const newest = configurations.at(-1)?.index ?? 0;
  if (server.announced !== newest)
    refuse("configurationInLog", `${id} has configuration ${newest} in its log, and says that ${server.announced} is in force`);
  if (!server.termIsNew) return;
  server.termIsNew = false;
  server.turnTerm = term;
  if (server.owesCampaign) refuse("termHasReason", `${id} raises its term to ${term} and does not campaign`);
  const facts = termFacts(cluster, term);
  if ((role === "leader" && facts.leadership?.life !== server) || (role === "candidate" && !facts.campaigns.has(id)))
    refuse("higherTermDeposes", `${id} enters term ${term} and is still ${role}`);
}
