/** The leader's log, and how it comes to the others (Raft section 5.3, Figure 2). */
import type { Index, MemberId } from "../../core/index.js";
import { weighPreVotes } from "./election.js";
import {
  type Cluster,
  checkTerm,
  inboxOf,
  type Judge,
  type Leadership,
  leadershipOf,
  ledBy,
  ownLeadership,
  type Server,
  show,
  type TermFacts,
  termFacts,
} from "./facts.js";
import { addConfiguration, dropConfigurations } from "./membership.js";
import { addRange, covers } from "./ranges.js";
import { confirmRounds } from "./read.js";
import { ownLogOf } from "./repair.js";
import { refuse } from "./rules.js";
import type { MessageOf, TracedEvent } from "./trace.js";

// ---- What happens inside a server ----

export function entriesAppended(
  cluster: Cluster,
  server: Server,
  { first, last, term: said }: TracedEvent<"entriesAppended">,
): void {
  checkTerm(server, said, "appends");
  const { id, term, log } = server;
  const leadership = ownLeadership(cluster, server);
  const rule = leadership === null ? "appendWhatCame" : "leaderAppendOnly";
  if (first !== log.lastIndex + 1 || last < first)
    refuse(rule, `${id} appends ${first}..${last} to a log that ends at ${show(log.last)}`);
  if (leadership !== null) {
    for (let index = first; index <= last; index += 1) cluster.book.make(index, term, index === first ? log.lastTerm : term);
    leadership.log.append(last, term);
    log.append(last, term);
    return;
  }
  const source = sourceOf(cluster, server, first, last);
  if (source === null) refuse(rule, `${id} appends ${first}..${last} in term ${term}, which no leader of that term has sent it`);
  if (!source.log.agrees(log.lastIndex, log.lastTerm))
    refuse(rule, `${id} appends ${first}..${last} after ${show(log.last)}, which ${source.id} has not in its log`);
  log.appendFrom(source.log, last);
  takeConfigurations(cluster, server, first, last);
}

/** Who has lost entries may get them back from anybody: they are in its own log of before. */
export function entriesRestored(
  cluster: Cluster,
  server: Server,
  { first, last, term: said }: TracedEvent<"entriesRestored">,
): void {
  checkTerm(server, said, "restores");
  const { id, log } = server;
  const own = ownLogOf(server, last);
  if (own === null || first !== log.lastIndex + 1 || last < first)
    refuse("repairKeeps", `${id} restores ${first}..${last} after ${show(log.last)}, which was not in its log of before`);
  log.appendFrom(own, last);
  takeConfigurations(cluster, server, first, last);
}

function takeConfigurations(cluster: Cluster, server: Server, first: Index, last: Index): void {
  const { log } = server;
  for (let index = first; index <= last; index += 1) {
    const configuration = cluster.book.find(index, log.termAt(index) ?? 0)?.configuration ?? null;
    if (configuration !== null) addConfiguration(cluster, server, { index, configuration });
  }
}

/** The leader of the server's term, if its entries `first` to `last` have come. */
function sourceOf(cluster: Cluster, server: Server, first: Index, last: Index): Leadership | null {
  return covers(inboxOf(server, server.term).entries, first, last) ? termFacts(cluster, server.term).leadership : null;
}

export function logTruncated(cluster: Cluster, server: Server, { from, previousLast }: TracedEvent<"logTruncated">): void {
  const { id, term, log, commitIndex } = server;
  if (ownLeadership(cluster, server) !== null)
    refuse("leaderAppendOnly", `${id} leads term ${term} and cuts its log from ${from}`);
  if (from <= commitIndex) refuse("committedStays", `${id} cuts its log from ${from}, and has committed ${commitIndex}`);
  const own = log.termAt(from);
  if (previousLast !== log.lastIndex || own === null)
    refuse("truncateConflict", `${id} cuts ${from}..${previousLast} from a log that ends at ${show(log.last)}`);
  if (from <= cluster.committed.lastIndex && cluster.committed.agrees(from, own))
    refuse("committedStays", `${id} cuts its log from ${from}/${own}, which is committed`);
  const source = sourceOf(cluster, server, from, from);
  const theirs = source?.log.termAt(from) ?? null;
  if (source === null || theirs === null || theirs === own || !source.log.agrees(from - 1, log.termAt(from - 1) ?? 0))
    refuse("truncateConflict", `${id} cuts its log from ${from}/${own}, where its leader has sent ${theirs ?? "nothing"}`);
  log.truncate(from);
  dropConfigurations(server, from);
  weighPreVotes(server);
  server.durableIndex = Math.min(server.durableIndex, from - 1);
  server.handedIndex = Math.min(server.handedIndex, from - 1);
  for (const batch of server.batches) batch.covers = Math.min(batch.covers, from - 1);
}

// ---- AppendEntries and heartbeats, leaving and arriving ----

/** Checks that it is what the leader of its term would say; the same when it leaves and when it arrives. */
function checkAppendEntries(cluster: Cluster, from: MemberId, message: MessageOf<"AppendEntries">): void {
  const { term, prevLogIndex, prevLogTerm, entries, leaderCommit } = message;
  const { log, commitIndex } = leadershipOf(cluster, term, from);
  if (!log.agrees(prevLogIndex, prevLogTerm))
    refuse("leadersLog", `${from} sends entries after ${prevLogIndex}/${prevLogTerm}, which is not in its log of term ${term}`);
  let index = prevLogIndex;
  for (const entry of entries) {
    index += 1;
    if (entry.index !== index || index > log.lastIndex || !log.agrees(index, entry.term))
      refuse("leadersLog", `${from} sends ${entry.index}/${entry.term}, which is not in its log of term ${term}`);
    cluster.book.see(entry);
  }
  if (leaderCommit > commitIndex)
    refuse("leaderCommit", `${from} says that it has committed ${leaderCommit} in term ${term}; it has ${commitIndex}`);
}

export const sendAppendEntries: Judge<"AppendEntries"> = (cluster, server, _to, message) => {
  ledBy(cluster, message.term, server);
  checkAppendEntries(cluster, server.id, message);
};

export const receiveAppendEntries: Judge<"AppendEntries"> = (cluster, server, from, message) => {
  checkAppendEntries(cluster, from, message);
  const { prevLogIndex, entries, leaderCommit } = message;
  const inbox = inboxOf(server, message.term);
  const last = prevLogIndex + entries.length;
  addRange(inbox.entries, prevLogIndex + 1, last);
  inbox.commit = Math.max(inbox.commit, Math.min(leaderCommit, last));
  const ends = inbox.requests.get(prevLogIndex);
  if (ends === undefined) inbox.requests.set(prevLogIndex, [last]);
  else if (!ends.includes(last)) ends.push(last);
};

export const sendHeartbeat: Judge<"Heartbeat"> = (cluster, server, to, message) => {
  const leadership = ledBy(cluster, message.term, server);
  const most = Math.min(leadership.commitIndex, leadership.acknowledged.get(to) ?? 0);
  if (message.leaderCommit > most)
    refuse(
      "leaderCommit",
      `${server.id} tells ${to} that ${message.leaderCommit} is committed; of what ${to} has acknowledged, ${most} is`,
    );
  leadership.round = Math.max(leadership.round, message.readRound);
};

export const receiveHeartbeat: Judge<"Heartbeat"> = (cluster, server, from, message) => {
  const { round, commitIndex } = leadershipOf(cluster, message.term, from);
  if (message.readRound > round || message.leaderCommit > commitIndex)
    refuse("networkInvents", `${server.id} hears a heartbeat of round ${message.readRound} that ${from} never sent`);
  const inbox = inboxOf(server, message.term);
  inbox.commit = Math.max(inbox.commit, message.leaderCommit);
  inbox.round = Math.max(inbox.round, message.readRound);
};

// ---- Acknowledgements ----

export const sendAppendResponse: Judge<"AppendEntriesResponse"> = (cluster, server, _to, message) => {
  const { term, success, prevLogIndex, matchIndex } = message;
  if (!success) return;
  const { id, log } = server;
  const facts = termFacts(cluster, term);
  // What is compacted here is committed and durable; who asked for it is not remembered.
  if (matchIndex > log.start.index) {
    if (server.inboxes.get(term)?.requests.get(prevLogIndex)?.includes(matchIndex) !== true)
      refuse(
        "ackWhatCame",
        `${id} acknowledges ${matchIndex} after ${prevLogIndex} in term ${term}, and was sent no such entries`,
      );
    if (!isDurableAsLed(server, facts, matchIndex))
      refuse(
        "ackIsDurable",
        `${id} acknowledges ${matchIndex} in term ${term}, and its log is durable up to ${server.durableIndex}`,
      );
  }
  facts.sentAcks.set(id, Math.max(facts.sentAcks.get(id) ?? 0, matchIndex));
};

/** In the present term: it is so now. In an earlier one: it was so once, for a later leader may have cut it off meanwhile. */
function isDurableAsLed(server: Server, { term, leadership }: TermFacts, index: Index): boolean {
  const entryTerm = leadership?.log.termAt(index) ?? null;
  if (entryTerm === null) return false;
  if (server.term > term) return (server.everDurable.get(entryTerm) ?? 0) >= index;
  return index <= server.durableIndex && server.log.termAt(index) === entryTerm;
}

export const sendHeartbeatResponse: Judge<"HeartbeatResponse"> = (cluster, server, _to, message) => {
  const { term, readRound } = message;
  // Round 0 is none: so says also who tells an old leader that its term is over.
  const heard = server.inboxes.get(term)?.round ?? 0;
  if (readRound > heard)
    refuse("readRound", `${server.id} answers round ${readRound} of term ${term}, and has heard of round ${heard}`);
  const { sentRounds } = termFacts(cluster, term);
  sentRounds.set(server.id, Math.max(sentRounds.get(server.id) ?? 0, readRound));
};

export const receiveAppendResponse: Judge<"AppendEntriesResponse"> = (cluster, server, from, message) => {
  if (message.success) receiveAck(cluster, server, from, message.term, message.matchIndex);
};

export function receiveAck(cluster: Cluster, server: Server, from: MemberId, term: number, matchIndex: Index): void {
  const { sentAcks, leadership } = termFacts(cluster, term);
  if (matchIndex > (sentAcks.get(from) ?? -1))
    refuse(
      "networkInvents",
      `${server.id} hears that ${from} acknowledges ${matchIndex} in term ${term}, which ${from} never said`,
    );
  if (leadership?.life !== server) return;
  leadership.acknowledged.set(from, Math.max(leadership.acknowledged.get(from) ?? 0, matchIndex));
}

export const receiveHeartbeatResponse: Judge<"HeartbeatResponse"> = (cluster, server, from, message) => {
  const { sentRounds, leadership } = termFacts(cluster, message.term);
  if (message.readRound > (sentRounds.get(from) ?? 0))
    refuse("networkInvents", `${server.id} hears an answer to round ${message.readRound} that ${from} never sent`);
  if (leadership?.life !== server) return;
  leadership.confirmed.set(from, Math.max(leadership.confirmed.get(from) ?? 0, message.readRound));
  confirmRounds(server, leadership);
};
