/** Compaction, and snapshots in the place of the log (Raft section 7, Figure 13). */
import type { Index, LogPosition } from "../../core/index.js";
import { weighPreVotes } from "./election.js";
import { type Cluster, forgetOld, type Judge, leadershipOf, ledBy, type Server, samePosition, show, termFacts } from "./facts.js";
import { addConfiguration, checkSnapshotConfiguration, configurationAt } from "./membership.js";
import { receiveAck } from "./replication.js";
import { refuse } from "./rules.js";
import type { SnapshotRecord, TracedEvent } from "./trace.js";

const endOf = (snapshot: { readonly lastIncludedIndex: Index; readonly lastIncludedTerm: number }): LogPosition => ({
  index: snapshot.lastIncludedIndex,
  term: snapshot.lastIncludedTerm,
});

/** Refuses the end of a snapshot that is not committed. */
export function checkCommitted(cluster: Cluster, end: LogPosition, of: string): void {
  if (end.index > cluster.committed.lastIndex || !cluster.committed.agrees(end.index, end.term))
    refuse("snapshotCommitted", `${of}: ${show(end)} is not committed`);
}

/** A snapshot is durable: one's own, of what was applied, or one that a leader sent. */
export function snapshot(cluster: Cluster, server: Server, record: SnapshotRecord): void {
  const end = endOf(record);
  checkCommitted(cluster, end, server.id);
  if (record.received) {
    if (!server.offered.delete(show(end)))
      refuse("snapshotFromLeader", `${server.id} has snapshot ${show(end)}, and no leader has sent it to the end`);
    server.whole = end;
  } else if (end.index > server.lastApplied)
    refuse("snapshotCommitted", `${server.id} takes a snapshot at ${end.index}, and has applied ${server.lastApplied}`);
  if (end.index <= server.snapshot.index) return;
  checkSnapshotConfiguration(configurationAt(cluster.configurations, end.index), record, server.id);
  server.snapshot = end;
}

/** The snapshot that was received takes the place of the log up to its end, or of the whole log. */
export function snapshotInstalled(cluster: Cluster, server: Server, event: TracedEvent<"snapshotInstalled">): void {
  const { id, log, commitIndex } = server;
  const end = endOf(event);
  if (server.whole === null || !samePosition(server.whole, end) || end.index <= commitIndex)
    refuse(
      "snapshotFromLeader",
      `${id}, which has committed ${commitIndex}, installs ${show(end)}; what was sent is ${server.whole === null ? "nothing" : show(server.whole)}`,
    );
  const agrees = log.termAt(end.index) === end.term;
  if (event.keptSuffix !== agrees)
    refuse(
      "snapshotSuffix",
      `${id} ${event.keptSuffix ? "keeps" : "drops"} the log after ${show(end)}, where its own has term ${log.termAt(end.index)}`,
    );
  server.whole = null;
  const suffix = agrees ? server.configurations.filter((at) => at.index > end.index) : [];
  server.configurations = [];
  for (const at of [configurationAt(cluster.configurations, end.index), ...suffix])
    if (at !== null) addConfiguration(cluster, server, at);
  if (agrees) log.compact(end.index);
  else {
    log.restart(end);
    for (const batch of server.batches) batch.covers = Math.min(batch.covers, end.index);
  }
  server.durableIndex = agrees ? Math.max(server.durableIndex, end.index) : end.index;
  server.handedIndex = agrees ? Math.max(server.handedIndex, end.index) : end.index;
  server.commitIndex = end.index;
  server.lastApplied = Math.max(server.lastApplied, end.index);
  server.owesLogStart = true;
  weighPreVotes(server);
  forgetOld(cluster);
}

export function logCompacted(cluster: Cluster, server: Server, { purgedIndex }: TracedEvent<"logCompacted">): void {
  const { id, log, snapshot: newest } = server;
  if (purgedIndex > newest.index || purgedIndex < log.start.index)
    refuse(
      "compactBelow",
      `${id} compacts its log from ${log.start.index} up to ${purgedIndex}; its snapshot ends at ${newest.index}`,
    );
  log.compact(purgedIndex);
  while ((server.configurations[1]?.index ?? Number.MAX_SAFE_INTEGER) <= purgedIndex) server.configurations.shift();
  for (const [term, index] of server.everDurable) if (index <= purgedIndex) server.everDurable.delete(term);
  for (const { requests } of server.inboxes.values())
    for (const [previous, ends] of requests) if (Math.max(...ends) <= purgedIndex) requests.delete(previous);
  forgetOld(cluster);
}

// ---- Messages ----

export const sendInstallSnapshot: Judge<"InstallSnapshot"> = (cluster, server, _to, message) => {
  ledBy(cluster, message.term, server);
  checkCommitted(cluster, endOf(message), `${server.id} sends a snapshot`);
};

export const receiveInstallSnapshot: Judge<"InstallSnapshot"> = (cluster, server, from, message) => {
  leadershipOf(cluster, message.term, from);
  checkCommitted(cluster, endOf(message), `${from} has sent a snapshot`);
  if (message.done) server.offered.add(show(endOf(message)));
};

export const sendSnapshotResponse: Judge<"InstallSnapshotResponse"> = (cluster, server, _to, message) => {
  if (message.status !== "installed") return;
  const { id, log, durableIndex, commitIndex } = server;
  const end = endOf(message);
  checkCommitted(cluster, end, `${id} acknowledges a snapshot`);
  const inLog = end.index <= Math.min(durableIndex, commitIndex) && log.agrees(end.index, end.term);
  if (end.index > server.snapshot.index && !inLog)
    refuse(
      "snapshotAck",
      `${id} acknowledges snapshot ${show(end)}; it has ${show(server.snapshot)}, and its log is durable up to ${durableIndex}`,
    );
  const { sentAcks } = termFacts(cluster, message.term);
  sentAcks.set(id, Math.max(sentAcks.get(id) ?? 0, end.index));
};

export const receiveSnapshotResponse: Judge<"InstallSnapshotResponse"> = (cluster, server, from, message) => {
  if (message.status === "installed") receiveAck(cluster, server, from, message.term, message.lastIncludedIndex);
};
