/**
 * The messages of the protocol: Raft's three RPCs as pairs of one-way messages, and the few that a complete system adds.
 *
 * Every message carries the term of its sender at the moment the message was made, never the one at the moment it leaves.
 * The sender itself is not in the message: a connection's handshake says who is there.
 * Indexes and terms are safe integers; a decoder has already refused anything else, but the core still treats every
 * field as untrusted in meaning (it may be stale, duplicated, reordered or make no sense) and never throws on one.
 */
import type { MembershipChange, MembershipRefusal } from "./membership-change.js";
import type { TransferRefusal } from "./transfer.js";
import type { Entry, Index, MemberId, ProposedType, Term } from "./types.js";

/** Would you vote for me in `proposedTerm`? Changes nothing on either side (dissertation section 9.6). */
export interface RequestPreVote {
  readonly type: "RequestPreVote";
  /** The sender's currentTerm. */
  readonly term: Term;
  /** The term it would campaign in: `term + 1`. */
  readonly proposedTerm: Term;
  readonly lastLogIndex: Index;
  readonly lastLogTerm: Term;
}

export interface RequestPreVoteResponse {
  readonly type: "RequestPreVoteResponse";
  /** The responder's currentTerm. A refused pre-candidate adopts it when it is higher. */
  readonly term: Term;
  /** Which question this answers. */
  readonly proposedTerm: Term;
  readonly voteGranted: boolean;
}

/** Raft section 5.2 and 5.4.1, Figure 2. */
export interface RequestVote {
  readonly type: "RequestVote";
  readonly term: Term;
  readonly lastLogIndex: Index;
  readonly lastLogTerm: Term;
  /** True when the old leader asked for this election, so that those who still hear it may answer (dissertation 4.2.3). */
  readonly leadershipTransfer: boolean;
}

export interface RequestVoteResponse {
  readonly type: "RequestVoteResponse";
  readonly term: Term;
  readonly voteGranted: boolean;
}

/** Raft section 5.3, Figure 2. Without entries it probes the log or carries the commit index. */
export interface AppendEntries {
  readonly type: "AppendEntries";
  readonly term: Term;
  readonly prevLogIndex: Index;
  readonly prevLogTerm: Term;
  /** Contiguous, the first at `prevLogIndex + 1`. */
  readonly entries: readonly Entry[];
  readonly leaderCommit: Index;
  /** The leader uses leases: whoever acknowledges this backs nobody else for an election timeout. */
  readonly leases: boolean;
}

export interface AppendEntriesResponse {
  readonly type: "AppendEntriesResponse";
  readonly term: Term;
  readonly success: boolean;
  /** The `prevLogIndex` of the request that this answers. */
  readonly prevLogIndex: Index;
  /** On success: `prevLogIndex` plus the number of entries; all up to it is durable here. Otherwise 0. */
  readonly matchIndex: Index;
  /**
   * On refusal, where to look next: the highest index at or below `prevLogIndex` whose term here is at most the
   * request's `prevLogTerm` (Raft section 5.3, last paragraphs; the form is etcd's), and that term. Otherwise 0.
   */
  readonly hintIndex: Index;
  readonly hintTerm: Term;
}

/** "I still lead." Its own small message, so that many groups' can share one frame and so that it never waits for entries. */
export interface Heartbeat {
  readonly type: "Heartbeat";
  readonly term: Term;
  /** min(commitIndex, matchIndex of the receiver): never more than what it is known to hold. */
  readonly leaderCommit: Index;
  /** Number of the newest round of confirmation; a counter of the leader that never repeats in a term. 0: none yet. */
  readonly readRound: number;
  /** As in AppendEntries. */
  readonly leases: boolean;
}

export interface HeartbeatResponse {
  readonly type: "HeartbeatResponse";
  readonly term: Term;
  readonly readRound: number;
  /** It backs nobody else for an election timeout: only such answers count for a lease. A peer of version 1 promises nothing. */
  readonly promised: boolean;
}

/** A piece of a snapshot (Raft section 7, Figure 13). Bound to (leader, term, snapshot, offset). */
export interface InstallSnapshot {
  readonly type: "InstallSnapshot";
  readonly term: Term;
  readonly lastIncludedIndex: Index;
  readonly lastIncludedTerm: Term;
  /** Where `data` stands in the snapshot's bytes. */
  readonly offset: number;
  readonly data: Uint8Array;
  readonly done: boolean;
}

export interface InstallSnapshotResponse {
  readonly type: "InstallSnapshotResponse";
  readonly term: Term;
  readonly lastIncludedIndex: Index;
  readonly lastIncludedTerm: Term;
  /** The offset wanted next (`continue`); otherwise 0. */
  readonly offset: number;
  /**
   * `continue`: send from `offset`. `installed`: all up to lastIncludedIndex is durable here (also the answer when it
   * already was). `rejected`: the bytes were not a valid snapshot; begin again.
   */
  readonly status: "continue" | "installed" | "rejected";
}

/** A follower's question for a linearizable read (dissertation section 6.4). */
export interface ReadIndexRequest {
  readonly type: "ReadIndexRequest";
  readonly term: Term;
  /** Rises with each question of the asking node, also over restarts: an answer to an earlier life's is none to this one's. */
  readonly requestId: number;
}

export interface ReadIndexResponse {
  readonly type: "ReadIndexResponse";
  readonly term: Term;
  readonly requestId: number;
  /** The state at or after this index answers the read; null: refused, ask again or elsewhere. */
  readonly readIndex: Index | null;
}

/** Commands that a follower hands to the leader, once. */
export interface ProposeRequest {
  readonly type: "ProposeRequest";
  readonly term: Term;
  /** Rises with each request, also over restarts: one that arrives twice is carried out once. */
  readonly requestId: number;
  /** What they are to become. Requests of sessions are stamped by the leader, by its own clock. */
  readonly entryType: ProposedType;
  readonly commands: readonly Uint8Array[];
}

export interface ProposeResponse {
  readonly type: "ProposeResponse";
  readonly term: Term;
  readonly requestId: number;
  /** Where the first command was appended; the others follow. 0 when refused. */
  readonly firstIndex: Index;
  /** The term in which they were appended. The sender settles from its own apply of exactly this (index, term). */
  readonly entryTerm: Term;
  /** Why nothing was appended, or null. `transferring`: ask again when the leader has changed. */
  readonly refusal: "notLeader" | "overloaded" | "tooLarge" | "transferring" | null;
}

/** "Campaign now": from the leader to the member it hands over to, once (dissertation section 3.10). */
export interface TimeoutNow {
  readonly type: "TimeoutNow";
  readonly term: Term;
}

/** A follower hands on the wish that leadership should move. */
export interface TransferRequest {
  readonly type: "TransferRequest";
  readonly term: Term;
  /** Rises with each request, also over restarts: one that arrives twice is carried out once. */
  readonly requestId: number;
  /** Null: the best voter. */
  readonly target: MemberId | null;
}

/** Only when nothing comes of it: of the rest a new leader is the sign. */
export interface TransferResponse {
  readonly type: "TransferResponse";
  readonly term: Term;
  readonly requestId: number;
  /** Why it was not begun; `failed`: it was, and the target did not take over in time. */
  readonly refusal: TransferRefusal | "failed";
}

/** A change of the members that another member hands to the leader, once (membership.ts). */
export interface ChangeRequest {
  readonly type: "ChangeRequest";
  readonly term: Term;
  /** As in ProposeRequest: one that arrives twice is carried out once. */
  readonly requestId: number;
  readonly change: MembershipChange;
  /** Only if the newest configuration is the one at that index; null: whichever it is. */
  readonly expectedIndex: Index | null;
}

export interface ChangeResponse {
  readonly type: "ChangeResponse";
  readonly term: Term;
  readonly requestId: number;
  /** Where the configuration was appended, and in which term; 0 when refused. */
  readonly index: Index;
  readonly entryTerm: Term;
  readonly refusal: MembershipRefusal | null;
}

/** From a server that has lost entries: do you have this one? (recovery.ts; FAST 2018.) Index 0: only the leader is meant. */
export interface EntryStatusRequest {
  readonly type: "EntryStatusRequest";
  readonly term: Term;
  /** Rises with each question of the asking server, also over restarts. */
  readonly requestId: number;
  /** How far the asking server's log goes, durably: it holds nothing above that it may have acknowledged. */
  readonly durableIndex: Index;
  readonly index: Index;
  readonly entryTerm: Term;
}

export interface EntryStatusResponse {
  readonly type: "EntryStatusResponse";
  readonly term: Term;
  readonly requestId: number;
  /** The name that was asked for. */
  readonly index: Index;
  readonly entryTerm: Term;
  /** `haveFaulty`: it may have been here, and can't be given: it is lost here too, or compacted. */
  readonly status: "have" | "dontHave" | "haveFaulty";
  /** Whether the sender leads the message's term, and where its log ends. */
  readonly leading: boolean;
  readonly lastLogIndex: Index;
  /** With `have`, otherwise null. */
  readonly entry: Entry | null;
}

export type Message =
  | RequestPreVote
  | RequestPreVoteResponse
  | RequestVote
  | RequestVoteResponse
  | AppendEntries
  | AppendEntriesResponse
  | Heartbeat
  | HeartbeatResponse
  | InstallSnapshot
  | InstallSnapshotResponse
  | ReadIndexRequest
  | ReadIndexResponse
  | ProposeRequest
  | ProposeResponse
  | ChangeRequest
  | ChangeResponse
  | TimeoutNow
  | TransferRequest
  | TransferResponse
  | EntryStatusRequest
  | EntryStatusResponse;

export type MessageType = Message["type"];
