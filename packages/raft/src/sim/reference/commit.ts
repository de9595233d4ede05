/** What is committed, and what state machines get (Raft sections 5.3, 5.4, Figures 2 and 3). */
import type { Index } from "../../core/index.js";
import { type Cluster, checkTerm, configurationOf, type Leadership, ownLeadership, type Server, termFacts } from "./facts.js";
import { isQuorum } from "./quorum.js";
import { refuse } from "./rules.js";
import type { TracedEvent, TraceEntry } from "./trace.js";

export function commitAdvanced(cluster: Cluster, server: Server, { commitIndex, term }: TracedEvent<"commitAdvanced">): void {
  checkTerm(server, term, "commits");
  const { id, log } = server;
  if (commitIndex < server.commitIndex || commitIndex > log.lastIndex)
    refuse(
      "commitRises",
      `${id} moves its commitIndex from ${server.commitIndex} to ${commitIndex}; its log ends at ${log.lastIndex}`,
    );
  const leadership = ownLeadership(cluster, server);
  // What a snapshot that was installed stands for is committed by that.
  if (commitIndex > server.snapshot.index) {
    if (leadership !== null) commitByCounting(cluster, server, leadership, commitIndex);
    else commitAsTold(cluster, server, commitIndex);
  }
  server.commitIndex = commitIndex;
  if (leadership !== null) leadership.commitIndex = Math.max(leadership.commitIndex, commitIndex);
}

function commitByCounting(cluster: Cluster, server: Server, leadership: Leadership, index: Index): void {
  const { id, term, log } = server;
  if (log.termAt(index) !== term) refuse("commitOwnTerm", `${id} leads term ${term} and commits ${index}/${log.termAt(index)}`);
  const { acknowledged } = leadership;
  const holds = (voter: string): boolean => (voter === id ? server.durableIndex : (acknowledged.get(voter) ?? 0)) >= index;
  if (!isQuorum(configurationOf(server), holds))
    refuse(
      "commitQuorum",
      `${id} commits ${index}, acknowledged by ${JSON.stringify([...acknowledged])}, durable here up to ${server.durableIndex}`,
    );
  // A late commit of an old leader: those that were elected meanwhile must have it all the same.
  for (const later of cluster.newestLed > term ? cluster.terms.values() : [])
    if (later.term > term && later.leadership !== null && !later.leadership.log.agrees(index, term))
      refuse(
        "leaderCompleteness",
        `${id} commits ${index}/${term}, which ${later.leadership.id}, leader of term ${later.term}, has not`,
      );
  noteCommitted(cluster, server, index);
}

/** The leader's log up to `index` is committed: it goes on where the committed log ends, or agrees with it. */
function noteCommitted(cluster: Cluster, server: Server, index: Index): void {
  const { committed } = cluster;
  const { log } = server;
  const common = Math.min(index, committed.lastIndex);
  const known = committed.termAt(common);
  if (known !== null && !log.agrees(common, known))
    refuse("stateMachineSafety", `${server.id} commits ${common}/${log.termAt(common)}, where ${common}/${known} is committed`);
  if (index <= committed.lastIndex) return;
  for (const at of server.configurations)
    if (at.index > committed.lastIndex && at.index <= index) cluster.configurations.push(at);
  committed.appendFrom(log, index);
}

function commitAsTold(cluster: Cluster, server: Server, index: Index): void {
  const { id, term, log } = server;
  const { leadership } = termFacts(cluster, term);
  const allowed = server.inboxes.get(term)?.commit ?? 0;
  if (index > allowed) refuse("commitAsTold", `${id} commits ${index} in term ${term}, and was told of at most ${allowed}`);
  const own = log.termAt(index);
  if (own === null || leadership === null || !leadership.log.agrees(index, own))
    refuse("commitAsTold", `${id} commits ${index}/${own}, which is not what the leader of term ${term} has there`);
  if (index > cluster.committed.lastIndex || !cluster.committed.agrees(index, own))
    refuse(
      "stateMachineSafety",
      `${id} commits ${index}/${own}; ${cluster.committed.termAt(index) ?? "nothing"} is committed there`,
    );
}

export function apply(cluster: Cluster, server: Server, entry: TraceEntry): void {
  const { id } = server;
  const { index, term } = entry;
  if (index > server.commitIndex) refuse("applyCommitted", `${id} applies ${index}, and has committed ${server.commitIndex}`);
  if (index <= server.lastApplied) refuse("applyInOrder", `${id} applies ${index} after ${server.lastApplied}`);
  if (!cluster.committed.agrees(index, term) || !server.log.agrees(index, term))
    refuse("stateMachineSafety", `${id} applies ${index}/${term}; ${cluster.committed.termAt(index)} is committed there`);
  for (let between = server.lastApplied + 1; between < index; between += 1) passOver(cluster, server, between);
  cluster.book.see(entry);
  server.lastApplied = index;
}

/** A state machine may be spared no-ops and configurations, but no command. */
function passOver(cluster: Cluster, server: Server, index: Index): void {
  const term = cluster.committed.termAt(index);
  const facts = term === null ? null : cluster.book.find(index, term);
  if (facts === null) return;
  if (facts.type === "command") refuse("applyInOrder", `${server.id} leaves out the command at ${index}`);
  facts.type ??= "passed over";
}
