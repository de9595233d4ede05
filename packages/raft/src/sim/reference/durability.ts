/** Lives and disks: what a server must have written before it speaks, and what a restart must give back (Raft Figure 2). */
import type { LogPosition } from "../../core/index.js";
import { type Cluster, createServer, type Server, serverOf, show, termFacts } from "./facts.js";
import { addConfiguration, checkSnapshotConfiguration, configurationAt } from "./membership.js";
import { sameConfiguration } from "./quorum.js";
import { beginRepair } from "./repair.js";
import { refuse } from "./rules.js";
import { checkCommitted } from "./snapshot.js";
import { TermLog } from "./term-log.js";
import type { PersistRecord, StartRecord, StopRecord, TracedEvent, TraceEntry } from "./trace.js";

// ---- Batches ----

/** The node hands a batch to its disk: it holds the server's persistent state, but for what was handed before. */
export function persist(cluster: Cluster, server: Server, record: PersistRecord): void {
  const { id, log } = server;
  const { ticket, currentTerm, votedFor, commitIndex, logStart, entries } = record;
  if (ticket <= server.lastTicket) refuse("batchIsState", `${id} gives ticket ${ticket} after ${server.lastTicket}`);
  if (currentTerm !== server.term || votedFor !== server.votedFor || commitIndex > server.commitIndex)
    refuse(
      "batchIsState",
      `${id} writes term ${currentTerm}, vote ${votedFor}, commit ${commitIndex}; it is in ${server.term}, has voted for ${server.votedFor}, has committed ${server.commitIndex}`,
    );
  const recovering = record.recovering === true;
  if (recovering !== (server.repair !== null))
    refuse("batchIsState", `${id} writes that it is ${recovering ? "recovering" : "whole"}, and is not`);
  if (logStart === null ? server.owesLogStart : logStart.index > log.start.index)
    refuse(
      "batchIsState",
      `${id} writes that its log begins after ${logStart?.index ?? "the same position"}; it begins after ${show(log.start)}`,
    );
  const first = entries[0]?.index ?? log.lastIndex + 1;
  const last = first + entries.length - 1;
  // A log that begins anew without its suffix has nothing of what was written before.
  const kept = logStart?.keepSuffix === false ? Math.min(server.handedIndex, logStart.index) : server.handedIndex;
  if (first > kept + 1 || last !== log.lastIndex)
    refuse(
      "batchIsState",
      `${id} writes entries ${first}..${last}; its log ends at ${log.lastIndex}, and up to ${kept} is written`,
    );
  const ends: LogPosition[] = [];
  for (const [place, entry] of entries.entries()) {
    if (entry.index !== first + place || log.termAt(entry.index) !== entry.term)
      refuse("batchIsState", `${id} writes entry ${show(entry)}, where its log has term ${log.termAt(first + place)}`);
    cluster.book.see(entry);
    checkStamp(cluster, server, entry);
    if (entry.type === "configuration" && !server.configurations.some((at) => at.index === entry.index))
      refuse("configurationInLog", `${id} has configuration ${entry.index} in its log, and does not say that it is in force`);
    if (ends.at(-1)?.term === entry.term) ends.pop();
    ends.push({ index: entry.index, term: entry.term });
  }
  server.lastTicket = ticket;
  server.handedIndex = log.lastIndex;
  server.owesLogStart = false;
  server.batches.push({ ticket, term: currentTerm, votedFor, recovering, covers: log.lastIndex, ends });
}

/** A leader writes each of its own entries once, in order. */
function checkStamp(cluster: Cluster, server: Server, { index, term, stamp }: TraceEntry): void {
  const { leadership } = termFacts(cluster, term);
  if (stamp === undefined || leadership?.life !== server) return;
  if (stamp < leadership.stamp)
    refuse("clusterTime", `${server.id} stamps entry ${index} with ${stamp}, after one with ${leadership.stamp}`);
  leadership.stamp = stamp;
}

export function persisted(cluster: Cluster, server: Server, ticket: number): void {
  if (ticket > server.lastTicket)
    refuse(
      "durableInOrder",
      `${server.id} hears that batch ${ticket} is durable, and has handed over ${server.lastTicket} at most`,
    );
  while ((server.batches[0]?.ticket ?? ticket + 1) <= ticket) {
    const batch = server.batches.shift();
    if (batch === undefined) break;
    server.durableIndex = Math.max(server.durableIndex, batch.covers);
    server.diskRecovering = batch.recovering;
    if (!batch.recovering) server.repaired = null;
    noteDurable(cluster, server, batch.term, batch.votedFor, batch.ends);
  }
}

function noteDurable(cluster: Cluster, server: Server, term: number, votedFor: string | null, ends: Iterable<LogPosition>): void {
  server.diskTerm = term;
  server.diskVote = votedFor;
  if (votedFor !== null) termFacts(cluster, term).durableVotes.set(server.id, votedFor);
  for (const end of ends) server.everDurable.set(end.term, Math.max(server.everDurable.get(end.term) ?? 0, end.index));
}

/** What the node itself believes to be durable. */
export function entriesDurable(server: Server, { durableIndex }: TracedEvent<"entriesDurable">): void {
  if (durableIndex > server.durableIndex)
    refuse("durableInOrder", `${server.id} takes its log as durable up to ${durableIndex}; it is up to ${server.durableIndex}`);
}

// ---- Lives ----

export function stop(cluster: Cluster, record: StopRecord): void {
  const server = cluster.servers.get(record.node);
  if (server?.up === true) server.up = false;
  else if (server?.known !== true || record.forGood !== true) refuse("oneLife", `${record.node} stops, and does not live`);
  if (record.forGood !== true) return;
  cluster.servers.delete(record.node);
  cluster.gone.add(record.node);
}

export function start(cluster: Cluster, record: StartRecord): void {
  if (cluster.gone.has(record.node))
    refuse("oneLife", `${record.node} starts, and its disk was lost: what comes is somebody else`);
  const server = serverOf(cluster, record.node);
  if (server.up) refuse("oneLife", `${record.node} starts, and lives already`);
  const log = logOf(cluster, record);
  if (server.known) {
    checkHardState(cluster, server, record);
    checkLog(cluster, server, record, log);
    const saidWhole = server.batches.some(({ recovering }) => !recovering);
    if (server.diskRecovering && !saidWhole && record.recovering !== true)
      refuse("restartKeeps", `${record.node} comes back whole, and had not been repaired`);
  } else checkFresh(cluster, record);
  beginLife(cluster, record, log, server);
}

function logOf(cluster: Cluster, { node, logStart, entries, snapshot }: StartRecord): TermLog {
  const log = new TermLog(logStart);
  for (const entry of entries) {
    if (entry.index !== log.lastIndex + 1) refuse("restartKeeps", `the log of ${node} has ${entry.index} after ${log.lastIndex}`);
    const facts = cluster.book.see(entry);
    if (facts !== null && facts.previousTerm !== log.lastTerm)
      refuse(
        "logMatching",
        `the log of ${node} has ${show(entry)} after ${show(log.last)}, and it was made after term ${facts.previousTerm}`,
      );
    log.append(entry.index, entry.term);
  }
  const { lastIncludedIndex, lastIncludedTerm } = snapshot;
  if (log.termAt(lastIncludedIndex) !== lastIncludedTerm)
    refuse("snapshotCommitted", `${node} starts with snapshot ${lastIncludedIndex}/${lastIncludedTerm}, which is not in its log`);
  return log;
}

function checkFresh(cluster: Cluster, record: StartRecord): void {
  const { node, currentTerm, votedFor, commitIndex, snapshot, entries, logStart } = record;
  const { configuration, configurationIndex, lastIncludedIndex } = snapshot;
  const [founding] = cluster.configurations;
  const numbers = [currentTerm, commitIndex, lastIncludedIndex, configurationIndex, entries.length, logStart.index];
  if (votedFor !== null || numbers.some((number) => number !== 0))
    refuse("freshStart", `${node} begins its first life with a past`);
  if (configuration.voters.length === 0) return;
  if (founding === undefined) cluster.configurations.push({ index: 0, configuration });
  else if (founding.index === 0 && !sameConfiguration(founding.configuration, configuration))
    refuse("freshStart", `${node} begins with another founding configuration than the others`);
}

/** The term is one that was durable or on its way to the disk, and the vote the one that was cast in it. */
function checkHardState(cluster: Cluster, server: Server, record: StartRecord): void {
  const { id, diskTerm, term, snapshot } = server;
  const { currentTerm, votedFor, commitIndex } = record;
  if (currentTerm < diskTerm) refuse("restartKeeps", `${id} comes back in term ${currentTerm}, and ${diskTerm} was durable`);
  if (currentTerm > term) refuse("restartInventsNothing", `${id} comes back in term ${currentTerm}, and was only in ${term}`);
  const facts = termFacts(cluster, currentTerm);
  const durable = facts.durableVotes.get(id);
  if (durable !== undefined && votedFor !== durable)
    refuse(
      "restartKeeps",
      `${id} comes back with a vote for ${votedFor ?? "nobody"} in term ${currentTerm}; that for ${durable} was durable`,
    );
  if (votedFor !== null && votedFor !== facts.votes.get(id))
    refuse("restartInventsNothing", `${id} comes back with a vote for ${votedFor} in term ${currentTerm}, which it has not cast`);
  const most = Math.max(server.commitIndex, snapshot.index, record.snapshot.lastIncludedIndex);
  if (commitIndex > most)
    refuse("restartInventsNothing", `${id} comes back with commit ${commitIndex}, and had committed ${most}`);
}

/** What was durable is there, unless a snapshot stands in its place, or contradicts it: then the whole log had to go. */
function checkLog(cluster: Cluster, server: Server, { snapshot, logStart, recovering }: StartRecord, log: TermLog): void {
  const end = { index: snapshot.lastIncludedIndex, term: snapshot.lastIncludedTerm };
  checkCommitted(cluster, logStart, `${server.id} starts with a log after ${show(logStart)}`);
  checkCommitted(cluster, end, `${server.id} starts with a snapshot`);
  if (end.index > 0) checkSnapshotConfiguration(configurationAt(cluster.configurations, end.index), snapshot, server.id);
  const { durableIndex } = server;
  // Its disk has lost something, and it knows.
  if (durableIndex <= end.index || recovering === true) return;
  if (end.index >= server.log.start.index && server.log.termAt(end.index) !== end.term) return;
  const durableTerm = server.log.termAt(durableIndex);
  if (durableTerm !== null && log.termAt(durableIndex) !== durableTerm)
    refuse(
      "restartKeeps",
      `${server.id} comes back with a log that ends at ${show(log.last)}, and ${durableIndex}/${durableTerm} was durable`,
    );
}

function beginLife(cluster: Cluster, record: StartRecord, log: TermLog, before: Server): void {
  const { currentTerm, votedFor, snapshot, entries } = record;
  // What was cast and begun in memory alone never happened.
  for (const facts of cluster.terms.values()) {
    if (facts.term < currentTerm || (facts.term === currentTerm && votedFor !== null)) continue;
    facts.votes.delete(record.node);
    facts.campaigns.delete(record.node);
  }
  const at: LogPosition = { index: snapshot.lastIncludedIndex, term: snapshot.lastIncludedTerm };
  const server: Server = {
    ...createServer(record.node),
    known: true,
    up: true,
    term: currentTerm,
    turnTerm: currentTerm,
    votedFor,
    log,
    // The hint was true when it was written; it is believed as far as the log reaches.
    commitIndex: Math.max(at.index, Math.min(record.commitIndex, log.lastIndex)),
    lastApplied: at.index,
    configurations: [],
    snapshot: at,
    durableIndex: log.lastIndex,
    handedIndex: log.lastIndex,
    repair: record.recovering === true ? beginRepair(before, currentTerm) : null,
    diskRecovering: record.recovering === true,
  };
  cluster.servers.set(record.node, server);
  addConfiguration(cluster, server, { index: snapshot.configurationIndex, configuration: snapshot.configuration });
  for (const { index, configuration } of entries)
    if (configuration !== undefined && index > at.index) addConfiguration(cluster, server, { index, configuration });
  server.announced = server.configurations.at(-1)?.index ?? 0;
  noteDurable(cluster, server, currentTerm, votedFor, log.ends());
}
