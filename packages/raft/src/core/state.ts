/**
 * The state of one server, by the names of Raft's Figure 2, and what a complete system adds to it.
 *
 * All of it is in this one plain object. The rooms around it (election, replication, commit, read, snapshot, …) are
 * functions over it; raft.ts is the door.
 */
import type { Arrivals } from "./arrivals.js";
import type { Configuration } from "./configuration.js";
import type { RaftEvent } from "./event.js";
import type { LeasePromise, LeaseRound } from "./lease.js";
import type { RaftLog } from "./log.js";
import type { ChangeResponse, ProposeResponse } from "./message.js";
import type { RaftOptions } from "./options.js";
import type { Outbox } from "./outbox.js";
import type { SnapshotMetadata, SnapshotReadRequest, SnapshotWriteRequest } from "./output.js";
import type { Progress } from "./progress.js";
import type { Recovery } from "./recovery.js";
import type { Transfer } from "./transfer.js";
import type { Index, LogPosition, MemberId, Micros, Role, Term } from "./types.js";

/** A configuration and the log entry that made it (0: the founding one, or unknown before any). */
export interface ConfigurationAt {
  readonly index: Index;
  readonly configuration: Configuration;
}

/** What only a candidate or pre-candidate has: the answers so far. */
export interface Campaign {
  readonly answers: Map<MemberId, boolean>;
  readonly leadershipTransfer: boolean;
}

/** A read that waits for its round of confirmation (dissertation section 6.4). */
export interface PendingRead {
  /** Who asked: this node's driver, or a follower. */
  readonly from: MemberId | null;
  readonly id: number;
  /** commitIndex when the read came in; null until an entry of this term is committed. */
  readIndex: Index | null;
  /** The round that must be confirmed; null until one was started after the read came in. */
  round: number | null;
}

/** What only a leader has (Figure 2: reinitialised after election). */
export interface Leadership {
  /** nextIndex, matchIndex and the rest, for every other member; sorted by id. */
  progress: ReadonlyMap<MemberId, Progress>;
  /** The index of this term's no-op: nothing of this term is before it. */
  readonly firstIndexOfTerm: Index;
  readonly reads: PendingRead[];
  /** When it began; what sessions' entries are stamped with counts from here. */
  readonly since: Micros;
  /** Command bytes of this term that are not committed. */
  uncommittedBytes: number;
  /** When to look whether a quorum still answers. */
  quorumCheckAt: Micros;
  /** Leadership is being handed over. */
  transfer: Transfer | null;
  /** It is no voter any more, and looks for somebody to hand over to. */
  leaving: boolean;
  /** Somebody was told to campaign: no read is answered from a lease for the rest of the term. */
  leasesEnded: boolean;
  /** Rounds of heartbeats that were sent, the oldest first. */
  readonly leaseRounds: LeaseRound[];
  /** The configuration changed: what a quorum has reached must be counted anew. */
  recount: boolean;
}

/** A snapshot that a leader is sending us. */
export interface Receiving {
  readonly from: MemberId;
  readonly term: Term;
  readonly lastIncludedIndex: Index;
  readonly lastIncludedTerm: Term;
  /** All before it is written. */
  offset: number;
  /** A piece was given to the driver and is not written yet. */
  writing: boolean;
  /** The last piece was given to the driver. */
  finishing: boolean;
}

export interface RaftState {
  readonly id: MemberId;
  readonly options: RaftOptions;
  readonly random: () => number;

  /** Latest term this server has seen (persistent). */
  currentTerm: Term;
  /** Candidate that received this server's vote in the current term, or null (persistent). */
  votedFor: MemberId | null;
  /** The entries (persistent). */
  readonly log: RaftLog;

  /** Highest index known to be committed. Never goes back. */
  commitIndex: Index;
  /** Highest index the state machine reported as applied. */
  lastApplied: Index;
  /** Highest index given to the state machine. */
  deliveredIndex: Index;
  /** Command bytes delivered and not yet applied. */
  unappliedBytes: number;

  role: Role;
  /** Whom this server follows in the current term, once it has heard from it. A leader: itself. */
  leaderId: MemberId | null;
  /** Who was seen to lead currentTerm, kept until the term ends: a second one would be proof of a broken rule. */
  leaderOfTerm: MemberId | null;
  campaign: Campaign | null;
  leadership: Leadership | null;

  /** Newest last; never empty. The first is the newest one that is compacted away or founding. */
  configurations: ConfigurationAt[];
  /** The newest configuration that was announced as committed. */
  committedConfigurationIndex: Index;
  /** A committed configuration has left this member out, and the driver was not told yet. */
  removedAt: Index | null;
  /** The newest snapshot on this node's disk; index 0: none. */
  snapshot: SnapshotMetadata;
  receiving: Receiving | null;
  /** Reads asked of the leader by this follower, by id. */
  readonly forwardedReads: Set<number>;
  /** Which requests of other members have arrived; kept over terms. */
  readonly arrivals: Map<MemberId, Arrivals>;
  /** What members said of their priority when they connected. */
  readonly priorities: Map<MemberId, number>;

  now: Micros;
  /** When an election begins unless a leader is heard; unused while leading. */
  electionDeadline: Micros;
  /** When the next heartbeat is due; only while leading. */
  heartbeatDeadline: Micros;
  /** When the current leader was last heard; null: not in this life of the process, or not since it stepped down. */
  leaderHeardAt: Micros | null;
  /** The leader's process seems to have ended: from then on, until then, campaigns follow each other quickly (leader-gone.ts). */
  leaderGone: { readonly from: Micros; readonly until: Micros } | null;
  /** What this follower has promised to a leader that uses leases. */
  leasePromise: LeasePromise | null;
  /** Until when no vote is given after a start, because a lease given before it may still run (design law 9). */
  silentUntil: Micros;
  /** Counts rounds of confirmation; never repeats in a life of the process. */
  readRound: number;

  /** Part of what this server acknowledged is lost; null: nothing is. */
  recovery: Recovery | null;

  readonly outbox: Outbox;
  readonly persistence: Persistence;
  effects: Effects;
  /** Set once an invariant was found broken; nothing happens any more. */
  failed: boolean;
}

/** Law 2: what must be written, and how far writing has come. */
export interface Persistence {
  /** The ticket that the next batch will get. */
  nextTicket: number;
  /** Batches up to this ticket are durable. */
  completedTicket: number;
  /** term or vote changed since the last batch. */
  hardStateDirty: boolean;
  /** The ticket with which the present term and vote become durable. */
  hardStateTicket: number;
  /** First entry that no batch has carried yet. */
  unsavedFrom: Index;
  /** The log began anew after a snapshot since the last batch. */
  logStart: { readonly position: LogPosition; readonly keepSuffix: boolean } | null;
  /** The next batch holds the whole log, in place of whatever the disk has: it has more, of which nothing must be left. */
  rewrite: boolean;
}

/** What has accumulated for the next `take`. */
export interface Effects {
  events: RaftEvent[];
  readsReady: { readonly id: number; readonly index: Index }[];
  readsFailed: number[];
  proposeResponses: ProposeResponse[];
  changeResponses: ChangeResponse[];
  snapshotReads: SnapshotReadRequest[];
  snapshotWrites: SnapshotWriteRequest[];
  /** Peers that may have something to send to. */
  replicate: boolean;
}

/** The configuration in force: the newest in the log, committed or not (dissertation section 4.1). */
export function configurationOf(state: RaftState): Configuration {
  return latestConfiguration(state).configuration;
}

export function latestConfiguration(state: RaftState): ConfigurationAt {
  const newest = state.configurations.at(-1);
  if (newest === undefined) throw new Error("the stack of configurations is never empty");
  return newest;
}

/** Whether a configuration that this log still knows lists this server. */
export function isListed({ configurations, id }: RaftState): boolean {
  return configurations.some((each) => lists(each, id));
}

export function lists({ configuration }: ConfigurationAt, id: MemberId): boolean {
  return configuration.members.some((member) => member.id === id);
}

export function emit(state: RaftState, event: RaftEvent): void {
  state.effects.events.push(event);
}
