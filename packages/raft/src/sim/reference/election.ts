/** Terms, roles and votes (Raft sections 5.1, 5.2, 5.4.1; dissertation 9.6). */
import type { LogPosition } from "../../core/index.js";
import {
  type Cluster,
  checkTerm,
  configurationOf,
  forgetOld,
  inboxOf,
  isUpToDate,
  type Judge,
  leadershipOf,
  ledBy,
  type Server,
  samePosition,
  show,
  type TermFacts,
  termFacts,
} from "./facts.js";
import { isQuorum, isVoter } from "./quorum.js";
import { forgetReads } from "./read.js";
import { checkWhole } from "./repair.js";
import { refuse } from "./rules.js";
import type { MessageOf, TracedEvent } from "./trace.js";

const lastOf = (message: MessageOf<"RequestVote" | "RequestPreVote">): LogPosition => ({
  index: message.lastLogIndex,
  term: message.lastLogTerm,
});

// ---- What happens inside a server ----

export function termChanged(cluster: Cluster, server: Server, { term, previous }: TracedEvent<"termChanged">): void {
  if (previous !== server.term || term <= previous)
    refuse("termRises", `${server.id} goes from term ${previous} to ${term}, and was in ${server.term}`);
  if (term > server.heardTerm) {
    if (term !== previous + 1) refuse("termHasReason", `${server.id} enters term ${term}, which nobody has told it`);
    // Who has lost entries asks for them in a term of its own, and does not campaign in it.
    server.owesCampaign = server.repair === null;
  }
  forgetReads(server);
  server.term = term;
  server.votedFor = null;
  server.termIsNew = true;
  forgetOld(cluster);
}

export function roleChanged(cluster: Cluster, server: Server, event: TracedEvent<"roleChanged">): void {
  const { role, previous, term } = event;
  checkTerm(server, term, `is ${role}`);
  if (role !== "follower") checkWhole(server, `is ${role} in term ${term}`);
  if (previous !== server.role) refuse("roleFollows", `${server.id} says it was ${previous}, and was ${server.role}`);
  const facts = termFacts(cluster, term);
  if (role === "leader") becomeLeader(cluster, server, facts);
  else if (role !== "follower" && previous === "leader") refuse("roleFollows", `leader ${server.id} becomes ${role}`);
  else if (role === "candidate") beginCampaign(server, facts);
  else if (role === "preCandidate") askFirst(server, facts);
  server.role = role;
}

function askFirst({ id, log }: Server, { preCampaigns }: TermFacts): void {
  const ends = preCampaigns.get(id);
  if (ends === undefined) preCampaigns.set(id, [log.last]);
  else if (!ends.some((end) => samePosition(end, log.last))) ends.push(log.last);
}

function beginCampaign(server: Server, facts: TermFacts): void {
  const { id, term } = server;
  if (!server.termIsNew || facts.campaigns.has(id) || facts.votes.has(id))
    refuse("campaign", `${id} begins a campaign in term ${term}, in which it was already`);
  const promises = inboxOf(server, term).promises;
  if (server.role === "follower" && server.inboxes.get(term - 1)?.told === true) facts.told.add(id);
  if (server.role === "preCandidate" && !isQuorum(configurationOf(server), (voter) => voter === id || promises.has(voter)))
    refuse("preVote", `${id} campaigns in term ${term} with the promises of ${[...promises].join(", ") || "nobody"}`);
  facts.campaigns.set(id, server.log.last);
  server.owesCampaign = false;
}

function becomeLeader(cluster: Cluster, server: Server, facts: TermFacts): void {
  const { id, term, log } = server;
  if (server.role !== "candidate" || !facts.campaigns.has(id))
    refuse("roleFollows", `${id} leads term ${term} without a campaign`);
  if (facts.leadership !== null) refuse("electionSafety", `${facts.leadership.id} and ${id} both lead term ${term}`);
  const { votes } = inboxOf(server, term);
  const ownVote = server.diskTerm === term && server.diskVote === id;
  if (!isQuorum(configurationOf(server), (voter) => (voter === id ? ownVote : votes.has(voter))))
    refuse("electionQuorum", `${id} leads term ${term} with the votes of ${[...votes].join(", ") || "nobody"}`);
  let committed = cluster.oldestCommit;
  for (const earlier of cluster.terms.values())
    if (earlier.term < term) committed = Math.max(committed, earlier.leadership?.commitIndex ?? 0);
  const committedTerm = cluster.committed.termAt(committed);
  if (committedTerm !== null && !log.agrees(committed, committedTerm))
    refuse(
      "leaderCompleteness",
      `${id} leads term ${term}, and ${committed}/${committedTerm}, which is committed, is not in its log`,
    );
  cluster.newestLed = Math.max(cluster.newestLed, term);
  facts.leadership = {
    id,
    life: server,
    first: log.lastIndex + 1,
    log: log.copy(),
    commitIndex: server.commitIndex,
    stamp: 0,
    acknowledged: new Map(),
    round: 0,
    confirmed: new Map(),
    confirmedRound: 0,
    answers: new Map(),
    told: new Set(),
  };
}

export function voteCast(cluster: Cluster, server: Server, { candidate, term }: TracedEvent<"voteCast">): void {
  checkTerm(server, term, "votes");
  const facts = termFacts(cluster, term);
  const before = facts.votes.get(server.id);
  if (before === candidate) return;
  checkWhole(server, `votes for ${candidate} in term ${term}`);
  if (before !== undefined) refuse("oneVote", `${server.id} votes for ${before} and for ${candidate} in term ${term}`);
  if (candidate === server.id) {
    if (!facts.campaigns.has(server.id)) refuse("campaign", `${server.id} votes for itself in term ${term} without a campaign`);
  } else {
    const last = inboxOf(server, term).candidates.get(candidate);
    if (last === undefined) refuse("voteAnswers", `${server.id} votes for ${candidate}, which has not asked it in term ${term}`);
    if (!isUpToDate(last, server.log.last))
      refuse(
        "upToDate",
        `${server.id}, whose log ends at ${show(server.log.last)}, votes for ${candidate}, whose log ends at ${show(last)}`,
      );
  }
  facts.votes.set(server.id, candidate);
  server.votedFor = candidate;
}

// ---- Messages on their way out ----

export const sendRequestPreVote: Judge<"RequestPreVote"> = (cluster, server, _to, message) => {
  const { preCampaigns } = termFacts(cluster, message.term);
  const logs = preCampaigns.get(server.id) ?? [];
  const last = lastOf(message);
  const known = logs.some((end) => samePosition(end, last));
  // One that waits may ask again, without another word, after a snapshot has moved the end of its log.
  const asksAgain = server.role === "preCandidate" && server.term === message.term && samePosition(server.log.last, last);
  if (!known && asksAgain) preCampaigns.set(server.id, [...logs, last]);
  if (message.proposedTerm !== message.term + 1 || !(known || asksAgain))
    refuse("preVote", `${server.id} asks for promises in term ${message.proposedTerm} with ${show(last)}, as it never was`);
};

export const sendPreVoteResponse: Judge<"RequestPreVoteResponse"> = (cluster, server, to, message) => {
  if (!message.voteGranted) return;
  checkWhole(server, `promises ${to} its vote in term ${message.proposedTerm}`);
  const request = server.inboxes.get(message.proposedTerm)?.preCandidates.get(to);
  if (request === undefined)
    refuse("preVote", `${server.id} promises ${to} its vote in term ${message.proposedTerm}, and was not asked`);
  if (!request.good)
    refuse("upToDate", `${server.id} promises its vote to ${to}, whose log ends at ${show(request.last)}, before its own`);
  termFacts(cluster, message.proposedTerm).sentPromises.add(`${server.id}>${to}`);
};

export const sendRequestVote: Judge<"RequestVote"> = (cluster, server, _to, message) => {
  const facts = termFacts(cluster, message.term);
  const end = facts.campaigns.get(server.id);
  if (end === undefined || !samePosition(end, lastOf(message)))
    refuse(
      "voteRequest",
      `${server.id} asks for votes in term ${message.term} with ${show(lastOf(message))}, as it did not campaign`,
    );
  if (facts.durableVotes.get(server.id) !== server.id)
    refuse("voteIsDurable", `${server.id} asks for votes in term ${message.term} before its own is durable`);
  if (message.leadershipTransfer && !facts.told.has(server.id))
    refuse(
      "transfer",
      `${server.id} says in term ${message.term} that the leader wants it to campaign, and no leader has told it to`,
    );
  facts.asked.add(server.id);
};

/** The leader tells a member to campaign. */
export const sendTimeoutNow: Judge<"TimeoutNow"> = (cluster, server, to, { term }) => {
  const leadership = ledBy(cluster, term, server);
  const { log, acknowledged, told } = leadership;
  if (!isVoter(configurationOf(server), to))
    refuse("transfer", `${server.id} tells ${to} to campaign in term ${term}, which is no voter`);
  if ((acknowledged.get(to) ?? 0) < log.lastIndex)
    refuse(
      "transfer",
      `${server.id} tells ${to} to campaign in term ${term}, which has acknowledged ${acknowledged.get(to) ?? 0} of ${log.lastIndex}`,
    );
  told.add(to);
};

export const sendVoteResponse: Judge<"RequestVoteResponse"> = (cluster, server, to, message) => {
  if (!message.voteGranted) return;
  checkWhole(server, `gives ${to} its vote in term ${message.term}`);
  const facts = termFacts(cluster, message.term);
  const cast = facts.votes.get(server.id);
  if (cast !== to)
    refuse("oneVote", `${server.id} tells ${to} that it has its vote in term ${message.term}; ${cast ?? "nobody"} has`);
  if (facts.durableVotes.get(server.id) !== to)
    refuse("voteIsDurable", `${server.id} grants ${to} its vote in term ${message.term} before it is durable`);
  facts.sentVotes.add(server.id);
};

// ---- Messages that arrive ----

export const receiveTimeoutNow: Judge<"TimeoutNow"> = (cluster, server, from, { term }) => {
  if (!leadershipOf(cluster, term, from).told.has(server.id))
    refuse("networkInvents", `${server.id} hears that it should campaign in term ${term}, which ${from} never said`);
  inboxOf(server, term).told = true;
};

export const receiveRequestPreVote: Judge<"RequestPreVote"> = (cluster, server, from, message) => {
  const logs = termFacts(cluster, message.term).preCampaigns.get(from) ?? [];
  const last = lastOf(message);
  if (message.proposedTerm !== message.term + 1 || !logs.some((end) => samePosition(end, last)))
    refuse("networkInvents", `${server.id} hears a RequestPreVote with ${show(last)} that ${from} never sent`);
  const { preCandidates } = inboxOf(server, message.proposedTerm);
  const good = isUpToDate(last, server.log.last) || preCandidates.get(from)?.good === true;
  preCandidates.set(from, { last, good });
};

/** The log of the voter has changed: what was not good enough may be so now. */
export function weighPreVotes(server: Server): void {
  for (const { preCandidates } of server.inboxes.values())
    for (const request of preCandidates.values()) request.good ||= isUpToDate(request.last, server.log.last);
}

export const receivePreVoteResponse: Judge<"RequestPreVoteResponse"> = (cluster, server, from, message) => {
  if (!message.voteGranted || message.proposedTerm <= server.term) return;
  if (!termFacts(cluster, message.proposedTerm).sentPromises.has(`${from}>${server.id}`))
    refuse("networkInvents", `${server.id} hears a promise for term ${message.proposedTerm} that ${from} never sent`);
  inboxOf(server, message.proposedTerm).promises.add(from);
};

export const receiveRequestVote: Judge<"RequestVote"> = (cluster, server, from, message) => {
  const { asked, campaigns } = termFacts(cluster, message.term);
  const end = asked.has(from) ? campaigns.get(from) : undefined;
  if (end === undefined || !samePosition(end, lastOf(message)))
    refuse("networkInvents", `${server.id} hears a RequestVote with ${show(lastOf(message))} that ${from} never sent`);
  inboxOf(server, message.term).candidates.set(from, end);
};

export const receiveVoteResponse: Judge<"RequestVoteResponse"> = (cluster, server, from, message) => {
  if (!message.voteGranted) return;
  const facts = termFacts(cluster, message.term);
  if (!facts.sentVotes.has(from) || facts.votes.get(from) !== server.id)
    refuse("networkInvents", `${server.id} hears a vote in term ${message.term} that ${from} never sent it`);
  inboxOf(server, message.term).votes.add(from);
};
