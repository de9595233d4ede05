/** Linearizable reads without the log (dissertation section 6.4): ReadIndex, with numbered rounds of heartbeats. */
import type { Index } from "../../core/index.js";
import {
  type AskedRead,
  type Cluster,
  configurationOf,
  type Judge,
  type Leadership,
  leadershipOf,
  ledBy,
  ownLeadership,
  type Server,
  termFacts,
} from "./facts.js";
import { isQuorum, reachedByQuorum } from "./quorum.js";
import { refuse } from "./rules.js";
import type { TracedEvent } from "./trace.js";

/** Counts the round that a quorum has confirmed, whenever that may have changed: what was once confirmed stays so. */
export function confirmRounds(server: Server, leadership: Leadership): void {
  const { id, confirmed, round } = leadership;
  const reached = reachedByQuorum(configurationOf(server), (voter) => (voter === id ? round : (confirmed.get(voter) ?? 0)));
  leadership.confirmedRound = Math.max(leadership.confirmedRound, reached);
}

function ask(cluster: Cluster, server: Server): AskedRead {
  const round = ownLeadership(cluster, server)?.round ?? 0;
  return { term: server.term, round, committed: cluster.committed.lastIndex };
}

export function read(cluster: Cluster, server: Server, id: number): void {
  server.reads.set(id, ask(cluster, server));
}

/** Reads die with their term. What was asked since the turn began may belong to a term that it has yet to tell of. */
export function forgetReads({ turnTerm, reads, readAnswers, readRequests }: Server): void {
  for (const [id, asked] of reads) if (asked.term < turnTerm) reads.delete(id);
  for (const [id, answer] of readAnswers) if (answer.term < turnTerm) readAnswers.delete(id);
  for (const [key, { asked }] of readRequests) if (asked.term < turnTerm) readRequests.delete(key);
}

/** The leader may answer a read that was asked of it like this with `readIndex`. */
function checkConfirmed(leadership: Leadership, asked: AskedRead, readIndex: Index, what: string): void {
  const { id, life, first, commitIndex, confirmedRound } = leadership;
  // A leader that is a quorum by itself, or has become one since, has nobody to ask.
  const alone = isQuorum(configurationOf(life), (voter) => voter === id);
  if (readIndex < first || readIndex > commitIndex)
    refuse("readOwnTerm", `${what}: ${id} says ${readIndex}; its own entries begin at ${first}, it has committed ${commitIndex}`);
  if (!alone && confirmedRound <= asked.round)
    refuse("readRound", `${what} was asked after round ${asked.round} began, and a quorum has confirmed round ${confirmedRound}`);
  checkFresh(asked, readIndex, what);
}

function checkFresh({ committed }: AskedRead, readIndex: Index, what: string): void {
  if (readIndex < committed) refuse("readFresh", `${what} may be answered at ${readIndex}; ${committed} was committed before`);
}

/**
 * A read that nobody was asked about. Time is not seen here, but what it is for is: the leader has led all the while, and
 * nothing was committed that it does not know.
 */
function checkLease(leadership: Leadership | null, asked: AskedRead, readIndex: Index, what: string): void {
  if (leadership === null) refuse("readLease", `${what} is answered from a lease, by one that does not lead`);
  const { id, first, commitIndex, told } = leadership;
  if (readIndex < first || readIndex > commitIndex)
    refuse("readOwnTerm", `${what}: ${id} says ${readIndex}; its own entries begin at ${first}, it has committed ${commitIndex}`);
  if (told.size > 0) refuse("readLease", `${what} is answered from a lease, and ${[...told].join(", ")} was told to campaign`);
  checkFresh(asked, readIndex, what);
}

export function readConfirmed(cluster: Cluster, server: Server, { id, readIndex, lease }: TracedEvent<"readConfirmed">): void {
  const what = `read ${id} on ${server.id}`;
  const asked = server.reads.get(id);
  if (asked === undefined) refuse("readAnswer", `${what} is confirmed, and nobody asked for it`);
  const answer = server.readAnswers.get(id);
  if (lease) {
    checkLease(ownLeadership(cluster, server), asked, readIndex, what);
  } else if (answer === undefined) {
    const leadership = ownLeadership(cluster, server);
    if (leadership === null || asked.term !== server.term)
      refuse("readAnswer", `${what} is confirmed, and no leader has answered it`);
    checkConfirmed(leadership, asked, readIndex, what);
  } else {
    if (!answer.readIndexes.includes(readIndex))
      refuse("readAnswer", `${what} is confirmed at ${readIndex}; the leader said ${answer.readIndexes.join(", ")}`);
    checkFresh(asked, readIndex, what);
    termFacts(cluster, answer.term).leadership?.answers.delete(`${server.id}/${id}`);
  }
  server.reads.delete(id);
  server.readAnswers.delete(id);
}

// ---- A follower's question to the leader ----

export const receiveReadRequest: Judge<"ReadIndexRequest"> = (cluster, server, from, { requestId }) => {
  const key = `${from}/${requestId}`;
  const before = server.readRequests.get(key);
  // What comes twice counts from the first time; what was asked in an earlier term died with it.
  if (before?.asked.term === server.term) before.open += 1;
  else server.readRequests.set(key, { asked: ask(cluster, server), open: 1 });
};

export const sendReadResponse: Judge<"ReadIndexResponse"> = (cluster, server, to, { term, requestId, readIndex }) => {
  const key = `${to}/${requestId}`;
  const request = server.readRequests.get(key);
  if (readIndex !== null) {
    const leadership = ledBy(cluster, term, server);
    if (request?.asked.term !== term)
      refuse("readAnswer", `${server.id} answers read ${requestId} of ${to} in term ${term}, in which it was not asked`);
    checkConfirmed(leadership, request.asked, readIndex, `read ${requestId} of ${to}`);
    leadership.answers.set(key, [...(leadership.answers.get(key) ?? []), readIndex]);
  }
  if (request === undefined) return;
  request.open -= 1;
  if (request.open === 0) server.readRequests.delete(key);
};

export const receiveReadResponse: Judge<"ReadIndexResponse"> = (cluster, server, from, { term, requestId, readIndex }) => {
  if (readIndex === null) return;
  const given = leadershipOf(cluster, term, from).answers.get(`${server.id}/${requestId}`);
  // Anything else is a late copy of an answer that was used: whoever uses it again has no answer.
  if (given?.includes(readIndex) !== true) return;
  const heard = server.readAnswers.get(requestId);
  if (heard?.term === term) heard.readIndexes.push(readIndex);
  else server.readAnswers.set(requestId, { term, readIndexes: [readIndex] });
};
