/**
 * The state of the abstract cluster: Figure 2 of the paper for every server, and ledgers of what may still follow.
 *
 * A message is judged by what its sender was in the *term of the message*, for it may leave, and arrive, when the sender is
 * long elsewhere: so votes, logs of leaders, acknowledgements and rounds are kept by term (`TermFacts`). What a server may
 * do because of what it has received is kept by server and term (`Inbox`), for the time of one life.
 */
import type { Index, LogPosition, MemberId, Role, Term } from "../../core/index.js";
import { EntryBook } from "./entry-book.js";
import { createRanges, type Ranges } from "./ranges.js";
import type { Repair } from "./repair.js";
import { refuse } from "./rules.js";
import { TermLog } from "./term-log.js";
import type { MessageOf, TraceConfiguration, TraceMessage } from "./trace.js";

export interface ConfigurationAt {
  /** The index of its entry; 0 for the founding one. */
  readonly index: Index;
  readonly configuration: TraceConfiguration;
}

/** What a life of a server has received in one term, and may act on. */
export interface Inbox {
  /** Candidates that asked for a vote, with the end of their logs. */
  readonly candidates: Map<MemberId, LogPosition>;
  /** Who asked for a promise, with the end of its log, and whether that was ever good enough since. */
  readonly preCandidates: Map<MemberId, { readonly last: LogPosition; good: boolean }>;
  /** Who has voted for it, and who has promised to. */
  readonly votes: Set<MemberId>;
  readonly promises: Set<MemberId>;
  /** The indexes of the leader's entries that came. */
  readonly entries: Ranges;
  /** For each prevLogIndex, where the requests with it ended. */
  readonly requests: Map<Index, Index[]>;
  /** The highest commit index that a message allows. */
  commit: Index;
  /** The newest round that it heard of; 0: none. */
  round: number;
  /** The leader told it to campaign. */
  told: boolean;
}

/** The leader of a term, as the others see it: what it says in this term stays true when it has moved on. */
export interface Leadership {
  readonly id: MemberId;
  /** The life of the server that was elected: another one does not lead. */
  readonly life: Server;
  /** The index of its first own entry. */
  readonly first: Index;
  /** Its log: as it was at the election, and what it appended since. */
  readonly log: TermLog;
  commitIndex: Index;
  /** The newest stamp of its own session entries. */
  stamp: number;
  /** How far each follower's acknowledgements that it received go. */
  readonly acknowledged: Map<MemberId, Index>;
  /** The newest round of heartbeats that was sent; the newest that each follower's answers confirm, and a quorum's. */
  round: number;
  readonly confirmed: Map<MemberId, number>;
  confirmedRound: number;
  /** Its answers to reads of others: asker/requestId, until they are used. Two, if a question came twice. */
  readonly answers: Map<string, readonly Index[]>;
  /** Whom it told to campaign. */
  readonly told: Set<MemberId>;
}

/** How things stood when a read was asked. */
export interface AskedRead {
  readonly term: Term;
  /** The newest round of the leader that was asked. */
  readonly round: number;
  /** The highest index that was committed anywhere. */
  readonly committed: Index;
}

export interface TermFacts {
  readonly term: Term;
  /** Who voted for whom; of these votes, the durable ones; and those whose message left. */
  readonly votes: Map<MemberId, MemberId>;
  readonly durableVotes: Map<MemberId, MemberId>;
  readonly sentVotes: Set<MemberId>;
  /** Candidates, with the ends of their logs; and those that asked for votes. */
  readonly campaigns: Map<MemberId, LogPosition>;
  readonly asked: Set<MemberId>;
  /** Of the candidates, those that the leader of the term before told to campaign. */
  readonly told: Set<MemberId>;
  /** Pre-candidates of this term, with the ends their logs had; promises to vote in this term that left: voter>candidate. */
  readonly preCampaigns: Map<MemberId, LogPosition[]>;
  readonly sentPromises: Set<string>;
  leadership: Leadership | null;
  /** The most that each server has acknowledged, and the newest round it has answered. */
  readonly sentAcks: Map<MemberId, Index>;
  readonly sentRounds: Map<MemberId, number>;
}

export interface Batch {
  /** The server says in it that part of its log is lost. */
  readonly recovering: boolean;
  readonly ticket: number;
  readonly term: Term;
  readonly votedFor: MemberId | null;
  /** Once it is durable the log is, up to here; less when entries are cut off meanwhile. */
  covers: Index;
  /** The last entry of each term in it. */
  readonly ends: readonly LogPosition[];
}

export interface Server {
  readonly id: MemberId;
  /** Whether it has ever started, and whether it lives. */
  known: boolean;
  up: boolean;
  // ---- Figure 2 ----
  term: Term;
  votedFor: MemberId | null;
  role: Role;
  log: TermLog;
  commitIndex: Index;
  lastApplied: Index;
  /** Those in its log, and the one before; the last is in force. */
  configurations: ConfigurationAt[];
  /** The newest snapshot on its disk. */
  snapshot: LogPosition;
  // ---- Its disk ----
  diskTerm: Term;
  diskVote: MemberId | null;
  /** Its log is durable up to here, and handed to the disk up to there. */
  durableIndex: Index;
  handedIndex: Index;
  batches: Batch[];
  lastTicket: number;
  /** Part of its log is lost, and not repaired yet; and whether its disk says so. */
  repair: Repair | null;
  diskRecovering: boolean;
  /** It was repaired in this life, and that is not durable yet: a crash may undo it. */
  repaired: Repair | null;
  /** Whether it had what it was asked for; by asker/requestId. */
  readonly asked: Map<string, boolean>;
  /** The highest entry of each term that was ever durable here. */
  everDurable: Map<Term, Index>;
  // ---- What this life may do, and what it owes before its turn ends ----
  heardTerm: Term;
  /** The highest term that it must be in before it says anything. */
  owedTerm: Term;
  inboxes: Map<Term, Inbox>;
  /** The snapshots that a leader sent to the end, and the one that was made whole of them. */
  offered: Set<string>;
  whole: LogPosition | null;
  /** Reads that were asked here; answers of a leader to them; questions of others, and how many answers these may get. */
  reads: Map<number, AskedRead>;
  readAnswers: Map<number, { readonly term: Term; readonly readIndexes: Index[] }>;
  readRequests: Map<string, { readonly asked: AskedRead; open: number }>;
  /** The configuration that the node has said is in force. */
  announced: Index;
  /** The term in which its turn began. */
  turnTerm: Term;
  /** It has entered its term in this turn; by itself; a snapshot took the place of its log. */
  termIsNew: boolean;
  owesCampaign: boolean;
  owesLogStart: boolean;
}

export interface Cluster {
  readonly servers: Map<MemberId, Server>;
  readonly terms: Map<Term, TermFacts>;
  /** Members whose disk is gone. */
  readonly gone: Set<MemberId>;
  /** Terms below this one are forgotten: every server is beyond them. */
  oldestTerm: Term;
  /** The most that was committed in a forgotten term. */
  oldestCommit: Index;
  /** The newest term that was ever led. */
  newestLed: Term;
  readonly book: EntryBook;
  /** What is committed, and its configurations. */
  readonly committed: TermLog;
  readonly configurations: ConfigurationAt[];
}

/** Judges a message as it leaves `server` for a peer, or arrives at it from one. */
export type Judge<Type extends TraceMessage["type"]> = (
  cluster: Cluster,
  server: Server,
  peer: MemberId,
  message: MessageOf<Type>,
) => void;

const NOTHING: LogPosition = { index: 0, term: 0 };
const NOBODY: TraceConfiguration = { voters: [], votersOutgoing: [], learners: [] };

export function createCluster(): Cluster {
  return {
    servers: new Map(),
    terms: new Map(),
    gone: new Set(),
    oldestTerm: 0,
    oldestCommit: 0,
    newestLed: 0,
    book: new EntryBook(),
    committed: new TermLog(NOTHING),
    configurations: [],
  };
}

export function createServer(id: MemberId): Server {
  return {
    id,
    known: false,
    up: false,
    term: 0,
    votedFor: null,
    role: "follower",
    log: new TermLog(NOTHING),
    commitIndex: 0,
    lastApplied: 0,
    configurations: [{ index: 0, configuration: NOBODY }],
    snapshot: NOTHING,
    diskTerm: 0,
    diskVote: null,
    durableIndex: 0,
    handedIndex: 0,
    batches: [],
    lastTicket: 0,
    repair: null,
    diskRecovering: false,
    repaired: null,
    asked: new Map(),
    everDurable: new Map(),
    heardTerm: 0,
    owedTerm: 0,
    inboxes: new Map(),
    offered: new Set(),
    whole: null,
    reads: new Map(),
    readAnswers: new Map(),
    readRequests: new Map(),
    announced: 0,
    turnTerm: 0,
    termIsNew: false,
    owesCampaign: false,
    owesLogStart: false,
  };
}

export function serverOf(cluster: Cluster, id: MemberId): Server {
  let server = cluster.servers.get(id);
  if (server === undefined) {
    server = createServer(id);
    cluster.servers.set(id, server);
  }
  return server;
}

export function termFacts(cluster: Cluster, term: Term): TermFacts {
  let facts = cluster.terms.get(term);
  if (facts === undefined) {
    facts = {
      term,
      votes: new Map(),
      durableVotes: new Map(),
      sentVotes: new Set(),
      campaigns: new Map(),
      asked: new Set(),
      told: new Set(),
      preCampaigns: new Map(),
      sentPromises: new Set(),
      leadership: null,
      sentAcks: new Map(),
      sentRounds: new Map(),
    };
    cluster.terms.set(term, facts);
  }
  return facts;
}

export function inboxOf(server: Server, term: Term): Inbox {
  let inbox = server.inboxes.get(term);
  if (inbox === undefined) {
    inbox = {
      candidates: new Map(),
      preCandidates: new Map(),
      votes: new Set(),
      promises: new Set(),
      entries: createRanges(),
      requests: new Map(),
      commit: 0,
      round: 0,
      told: false,
    };
    server.inboxes.set(term, inbox);
  }
  return inbox;
}

/** The leadership of this member in this term; anybody else's messages in a leader's name are refused. */
export function leadershipOf(cluster: Cluster, term: Term, id: MemberId): Leadership {
  const { leadership } = termFacts(cluster, term);
  if (leadership?.id !== id)
    refuse("onlyTheLeader", `${id} speaks as leader of term ${term}, which ${leadership?.id ?? "nobody"} leads`);
  return leadership;
}

/** The same for a message that leaves: what another life of the sender was elected to is over. */
export function ledBy(cluster: Cluster, term: Term, server: Server): Leadership {
  const leadership = leadershipOf(cluster, term, server.id);
  if (leadership.life !== server)
    refuse("onlyTheLeader", `${server.id} speaks as leader of term ${term}, and was elected in an earlier life`);
  return leadership;
}

/** The leadership that a server holds now, or null. */
export function ownLeadership(cluster: Cluster, server: Server): Leadership | null {
  if (server.role !== "leader") return null;
  const { leadership } = termFacts(cluster, server.term);
  return leadership?.life === server ? leadership : null;
}

export function configurationOf(server: Server): TraceConfiguration {
  return server.configurations.at(-1)?.configuration ?? NOBODY;
}

/** Of two logs, the one whose last entry has the later term, or of equal terms the longer one (Raft 5.4.1). */
export function isUpToDate(candidate: LogPosition, voter: LogPosition): boolean {
  return candidate.term > voter.term || (candidate.term === voter.term && candidate.index >= voter.index);
}

/** What a server does, it does in its present term. */
export function checkTerm(server: Server, term: Term, what: string): void {
  if (term !== server.term) refuse("termRises", `${server.id} ${what} in term ${term}, and is in ${server.term}`);
}

export const samePosition = (left: LogPosition, right: LogPosition): boolean =>
  left.index === right.index && left.term === right.term;

export const show = ({ index, term }: LogPosition): string => `${index}/${term}`;

/** Forgets what every server has compacted, and the terms that every server is beyond for good. */
export function forgetOld(cluster: Cluster): void {
  const servers = [...cluster.servers.values()];
  const horizon = Math.min(cluster.committed.lastIndex, ...servers.map(({ log }) => log.start.index));
  if (horizon > cluster.book.horizon) {
    cluster.book.forget(horizon);
    cluster.committed.compact(horizon);
    while ((cluster.configurations[1]?.index ?? Number.MAX_SAFE_INTEGER) <= horizon) cluster.configurations.shift();
  }
  const oldest = Math.min(...servers.map(({ diskTerm }) => diskTerm));
  if (oldest <= cluster.oldestTerm) return;
  cluster.oldestTerm = oldest;
  for (const { term, leadership } of cluster.terms.values()) {
    if (term >= oldest) continue;
    cluster.oldestCommit = Math.max(cluster.oldestCommit, leadership?.commitIndex ?? 0);
    cluster.terms.delete(term);
    for (const { inboxes } of servers) inboxes.delete(term);
  }
}
