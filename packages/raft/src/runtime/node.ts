/**
 * RaftNode: what a program imports. This file is its face: the types and what they promise; open.ts builds one,
 * driver.ts makes it go.
 */
import type { RaftEvent } from "../core/event.js";
import type { Index, Role, Term } from "../core/types.js";
import type { LeaderHint } from "./errors.js";
import type { StateMachine } from "./state-machine.js";

/** The part of the platform's AbortSignal that is used; written out so that no platform's types are needed here. */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** One founding member. */
export interface Founder {
  /** 1 to 64 bytes; unique in the cluster. */
  readonly name: string;
  /** host:port on which its peers reach it. */
  readonly address: string;
}

export interface RaftNodeOptions<Machine extends StateMachine = StateMachine> {
  /** This node's name: one of the founders', or that of a member that joins later. */
  readonly id: string;
  /** host:port on which peers reach this node. Default: the one in `cluster`; needed where this node is none of the founders. */
  readonly address?: string;
  /**
   * True: this node is no founder, it waits until a leader takes it in (`membership.add`). Default: whether `id` is missing in
   * `cluster`. Needed for a founder that lost its disk, was removed, and comes back under its old name.
   */
  readonly join?: boolean;
  /**
   * The founding members, the same on every node. They must all be up once at the same time before the cluster can
   * elect its first leader; afterwards a majority is enough. Between 1 and 15.
   */
  readonly cluster: readonly Founder[];
  /** Mixed into the cluster's id, so that two clusters of equal names never talk. Default "". At most 256 bytes. */
  readonly clusterToken?: string;
  /** Where the log, the snapshots and the identity live. Made if missing. One process at a time. */
  readonly directory: string;
  /** Makes an empty state machine; called at start and once for each snapshot that is received. */
  readonly stateMachine: () => Machine;
  /** host:port to listen on, if it differs from this node's address in `cluster`. */
  readonly listenAddress?: string;

  /** How often a leader says that it lives. 5 to 60,000, default 100; at most half of electionTimeoutMs. */
  readonly heartbeatIntervalMs?: number;
  /** A follower that hears no leader for a time drawn from [1, 2) of these campaigns. 10 to 600,000, default 1000. */
  readonly electionTimeoutMs?: number;
  /** Largest command. 1 to 64 MiB, default 2 MiB. */
  readonly maxEntryBytes?: number;
  /** Commands proposed here and not yet settled, in bytes; beyond it propose fails with `overloaded`. Default 64 MiB. */
  readonly maxPendingBytes?: number;
  /** … and their number. Default 65,536. */
  readonly maxPendingProposals?: number;
  /** Reads waiting here. Default 65,536. */
  readonly maxPendingReads?: number;
  /** Commands are refused with `overloaded` while the state machine is so many entries behind what is committed, here or at the leader. Default 100,000. */
  readonly maxApplyLag?: number;
  /** Sessions that may be open; counts for those opened through this node. See docs/sessions.md. Default 1,000. */
  readonly maxSessions?: number;
  /** Commands of one session that may wait at once, as far as their numbers go; counts for sessions opened through this node. 1 to 4096, default 64. */
  readonly maxSessionRequests?: number;
  /** Bytes of results kept for one session; counts for sessions opened through this node. At most 8 MiB, default 64 KiB. */
  readonly maxSessionResultBytes?: number;
  /** A snapshot is taken when this many bytes of log were applied since the last one (and at least as many as it held). Default 64 MiB. */
  readonly snapshotLogBytes?: number;
  /** … or this many entries. Default 100,000. */
  readonly snapshotLogEntries?: number;
  /** Entries kept behind a snapshot for followers that are a little late. Default 10,000. */
  readonly trailingEntries?: number;
  /** … and their bytes. A follower that needs more gets a snapshot, however long it was away. Default 64 MiB. */
  readonly maxTrailingBytes?: number;
  /**
   * Whether leaders of this cluster may answer reads from a lease. Decided when the cluster is founded, the same on every
   * founder; a node that was told otherwise belongs to another cluster. Followers of a leader that uses leases back nobody else
   * for an election timeout after they heard from it, also when its process has ended. Default false.
   */
  readonly leases?: boolean;
  /**
   * By how many thousandths the clock of a node may run faster or slower than true time; leases are shortened by it. 0 to 500,
   * default 100. Clocks that drift further apart make reads from leases unsafe, and nothing else.
   */
  readonly clockDriftPerMille?: number;
  /**
   * Whom a leader that hands over without naming anybody prefers: the highest. 0 to 100, default 1. With 0 nobody hands over
   * to this node unless it is named, and it campaigns by itself only after five election timeouts without a leader: late, but
   * not never, because its log may be the only one that can win.
   */
  readonly priority?: number;
  /** Size of a segment of the log, in bytes. 64 KiB to 1 GiB, default 64 MiB. */
  readonly segmentBytes?: number;
}

export interface ProposeOptions {
  /**
   * In whose name, at most 256 characters. Commands that wait are handed on in turn, one a caller, and a caller with a name may have
   * as much waiting here as is left to all others, so that one who floods the node delays nobody else. Default: none, one lane for all
   * who give none. A session is a caller of its own.
   */
  readonly caller?: string;
  /** Default 5000. The promise settles by then, whatever happens. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignalLike;
}

export interface ProposeResult {
  /** What `apply` returned for this command on this node. */
  readonly result: Uint8Array;
  readonly index: Index;
  readonly term: Term;
}

export interface OpenSessionOptions {
  /**
   * The session expires when it was not used for so long by cluster time, which passes only while there is a leader.
   * 1 to 604,800,000 (a week), default 60,000.
   */
  readonly expireAfterMs?: number;
  /**
   * Goes on with a session, after its client has started again: its id, and the number of the first command whose outcome the
   * client may still ask for. Proposing the same commands again in the same order then gives them the same numbers.
   */
  readonly resume?: { readonly id: Index; readonly nextSequence: number };
  /** Keeps it from expiring while this node and this object live. Default true. */
  readonly keepAlive?: boolean;
  /** How long to try. Default 5000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignalLike;
}

/** A session (dissertation section 6.3): whatever is repeated, by whomever, each of its commands is executed at most once. */
export interface Session {
  readonly id: Index;
  readonly expireAfterMs: number;
  /** The number that the next command gets. For `resume`: write it down, with the command, before you propose. */
  readonly nextSequence: number;
  /**
   * Replicates a command, and repeats it until it is known what became of it or `timeoutMs` went by. Several may wait at once;
   * they are executed in any order. Fails with `sessionExpired` when the session is over.
   */
  propose(command: Uint8Array, options?: ProposeOptions): Promise<ProposeResult>;
  /** Counts as use; for a session that was opened with `keepAlive: false`. */
  keepAlive(options?: ProposeOptions): Promise<void>;
  /** Lets go of it without ending it: it is not kept alive from here any more, and another client may `resume` it. */
  detach(): void;
  /** Ends the session, and frees what is kept for it. */
  close(options?: ProposeOptions): Promise<void>;
}

/**
 * - `linearizable` (default): sees every write that was acknowledged before the read began, anywhere (ReadIndex,
 *   dissertation section 6.4). Works on every node; costs a round of heartbeats, shared by all reads of a turn.
 * - `lease`: the same promise without a message, on a leader that holds a lease: it rests on clocks that drift apart no more than
 *   `clockDriftPerMille` says (dissertation 6.4.1). Wherever there is no lease (on a follower, while leadership moves, in a
 *   cluster that was founded without `leases`) it is `linearizable`.
 * - `{ atLeast: index }`: waits until this node has applied that index. Reads your own writes; no message.
 * - `stale`: what this node has now; `status().leaderHeardMs` says how old that may be.
 */
export type Consistency = "linearizable" | "lease" | "stale" | { readonly atLeast: Index };

export interface ReadOptions {
  readonly consistency?: Consistency;
  /** Default 5000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignalLike;
}

export interface TransferOptions {
  /** The name of the voter that should lead. Default: the best, by priority and then by how far its log goes. */
  readonly to?: string;
  /** Default 5000. The promise settles by then, whatever happens. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignalLike;
}

export interface CloseOptions {
  /** Whether a leader hands over before it goes, which takes at most an election timeout. Default true. */
  readonly handOver?: boolean;
}

export interface PeerStatus {
  readonly name: string;
  readonly address: string;
  readonly connected: boolean;
  /** On the leader: the highest index known to be durable there, and the next one to send. Elsewhere null. */
  readonly matchIndex: Index | null;
  readonly nextIndex: Index | null;
  readonly state: "probe" | "replicate" | "snapshot" | null;
}

/** A member of the newest configuration in the log. */
export interface MemberStatus {
  readonly name: string;
  readonly address: string;
  /** As sixteen hexadecimal digits; drawn with the member's data directory. */
  readonly incarnation: string;
  readonly voter: boolean;
  /** Receives the log and counts in no quorum. */
  readonly learner: boolean;
}

/** A member to be added. It need not run yet: it is taken in when it does. */
export interface NewMember {
  /** 1 to 64 bytes, of no other member. Left out: the one that it says itself. */
  readonly name?: string;
  /** host:port on which its peers reach it. */
  readonly address: string;
  /** Sixteen hexadecimal digits: only the node with this data directory. Default: whichever answers at the address. */
  readonly incarnation?: string;
}

export interface ChangeOptions {
  /** Only if the newest configuration is the one at this index (`status().configuration.index`); otherwise `configurationMoved`. */
  readonly expectedIndex?: Index;
  /** How long to wait for the whole change, catching up included. The change goes on without the waiting. Default 60,000. */
  readonly timeoutMs?: number;
  /**
   * `done` (default): the change is complete. `committed`: its first configuration is, so that it can't be lost any more; new
   * voters still have to be heard, and to catch up.
   */
  readonly waitFor?: "done" | "committed";
  /** Ends the waiting, not the change. */
  readonly signal?: AbortSignalLike;
  readonly onProgress?: (progress: MembershipProgress) => void;
}

export interface MembershipResult {
  /** Of the configuration that was waited for; committed. */
  readonly configurationIndex: Index;
}

export interface MembershipProgress {
  readonly configurationIndex: Index;
  readonly committed: boolean;
  /** Old and new voters decide together. */
  readonly joint: boolean;
  /** Added, and not heard of yet. */
  readonly waitingFor: readonly string[];
  /** New voters on their way; `matchIndex` only on the leader. */
  readonly catchingUp: readonly { readonly name: string; readonly matchIndex: Index | null; readonly lastLogIndex: Index }[];
}

/**
 * Changing the members (dissertation chapter 4). Each call makes one change, of as many members as it names, and resolves when
 * that is committed as a whole; asked of any node. New voters first catch up as learners. One change at a time.
 *
 * Rejects with a RaftError: `changePending`, `termNotCommitted`, `transferring`, `configurationMoved`, `unknownMember`,
 * `alreadyMember`, `memberTwice`, `noVoterLeft`, `tooManyMembers`, `nothingToDo`: not executed. `timeout`, `aborted`,
 * `leadershipLost`: it may go on; `wait` waits for it, `cancel` takes it back. `changeCancelled`: somebody has.
 */
export interface Membership {
  /** Adds voters; with `learner`, members that receive the log and count in no quorum. */
  add(
    members: NewMember | readonly NewMember[],
    options?: ChangeOptions & { readonly learner?: boolean },
  ): Promise<MembershipResult>;
  remove(names: string | readonly string[], options?: ChangeOptions): Promise<MembershipResult>;
  /** Both in one change: those that leave do so in the moment in which the new ones vote. */
  replace(
    change: { readonly remove: readonly string[]; readonly add: readonly NewMember[] },
    options?: ChangeOptions,
  ): Promise<MembershipResult>;
  /** Makes voters of learners, once they have caught up. */
  promote(names: string | readonly string[], options?: ChangeOptions): Promise<MembershipResult>;
  /** Makes learners of voters. */
  demote(names: string | readonly string[], options?: ChangeOptions): Promise<MembershipResult>;
  /** Says at which address a member is reached from now on. */
  readdress(name: string, address: string, options?: ChangeOptions): Promise<MembershipResult>;
  /** Takes back a change that still waits for its new voters; they stay, as learners. `nothingToDo` if there is none. */
  cancel(options?: ChangeOptions): Promise<MembershipResult>;
  /** Waits until no change is under way; resolves at once if none is. */
  wait(options?: ChangeOptions): Promise<MembershipResult>;
}

export interface ConfigurationStatus {
  /** Of the entry that made the newest configuration in this node's log; 0: the founding one, or none. */
  readonly index: Index;
  readonly committed: boolean;
  readonly joint: boolean;
  /** Names, of a change that waits until its new voters have caught up. */
  readonly staged: {
    readonly promote: readonly string[];
    readonly remove: readonly string[];
    readonly demote: readonly string[];
  } | null;
}

export interface SessionStatus {
  /** Sessions in this node's table. */
  readonly open: number;
  /** Since this node started: requests that were answered with a kept result … */
  readonly answeredAgain: number;
  /** … of them those where the repetition was another leader's entry. */
  readonly answeredAcrossTerms: number;
  readonly expired: number;
  /** Sessions that were not opened because of `maxSessions`. */
  readonly refused: number;
}

export interface NodeStatus {
  readonly id: string;
  /** As sixteen hexadecimal digits. */
  readonly incarnation: string;
  /** As thirty-two hexadecimal digits. */
  readonly clusterId: string;
  readonly boot: number;
  /**
   * `founding`: waiting for the other founders. `joining`: no member yet; waits for a leader that takes it in. `removed`: no
   * member any more. `failed`: see `failure`.
   */
  readonly state: "founding" | "joining" | "running" | "removed" | "failed" | "closed";
  readonly failure: string | null;
  readonly role: Role;
  readonly currentTerm: Term;
  readonly leader: LeaderHint | null;
  readonly commitIndex: Index;
  readonly lastApplied: Index;
  readonly lastLogIndex: Index;
  readonly durableIndex: Index;
  readonly snapshotIndex: Index;
  readonly firstLogIndex: Index;
  /**
   * How many milliseconds ago the leader was heard; on the leader, how many ago a quorum last answered it. Null: none is known.
   * What is read as `stale` may be as old, and as what the leader has yet to send.
   */
  readonly leaderHeardMs: number | null;
  /** For how many milliseconds more this leader may answer reads from its lease. Null: it has none. */
  readonly leaseMs: number | null;
  readonly pendingProposals: number;
  readonly pendingReads: number;
  readonly sessions: SessionStatus;
  /** Voters in the newest configuration of the log, by name, sorted. Empty while founding. */
  readonly voters: readonly string[];
  readonly learners: readonly string[];
  readonly peers: readonly PeerStatus[];
  /** All members, this node too, sorted by name. Empty while founding. */
  readonly members: readonly MemberStatus[];
  readonly configuration: ConfigurationStatus;
  /** Part of this node's log is lost, and what it waits for, in words; null: it is whole. Until then it neither votes nor leads. */
  readonly recovering: string | null;
  /** What was found at the start that a person should know: a torn write that was left out, a snapshot that was put aside. */
  readonly warnings: readonly string[];
  readonly log: { readonly syncs: number; readonly batches: number; readonly entries: number; readonly bytes: number };
}

/** What `events()` yields: the core's events, the node's own, and `dropped` where the listener was too slow. */
export type NodeEvent =
  | RaftEvent
  | { readonly type: "dropped"; readonly count: number }
  | { readonly type: "founded"; readonly voters: readonly string[] }
  | { readonly type: "snapshotTaken"; readonly lastIncludedIndex: Index; readonly bytes: number }
  | { readonly type: "snapshotRestored"; readonly lastIncludedIndex: Index }
  | { readonly type: "peerConnected"; readonly name: string; readonly boot: number }
  | { readonly type: "peerDisconnected"; readonly name: string; readonly reason: string }
  | { readonly type: "removed"; readonly reason: string }
  /**
   * This node leads, and a follower has applied something else than it has, first somewhere from `first` to `last`: one of the two
   * is wrong. Said once of each follower.
   */
  | { readonly type: "appliedDiffers"; readonly name: string; readonly first: Index; readonly last: Index }
  | { readonly type: "loopLate"; readonly byMs: number }
  | { readonly type: "warning"; readonly message: string }
  | { readonly type: "failed"; readonly reason: string };

export interface RaftNode<Machine extends StateMachine = StateMachine> extends AsyncDisposable {
  /** Replicates a command; resolves when it is committed and applied here. Any node will do. */
  propose(command: Uint8Array, options?: ProposeOptions): Promise<ProposeResult>;
  /** Opens a session, or goes on with one (`resume`). Fails with `overloaded` when there are `maxSessions`. */
  openSession(options?: OpenSessionOptions): Promise<Session>;
  /** Calls `query` with the state machine at a moment that satisfies the consistency asked for. `query` must not change it. */
  read<T>(query: (machine: Machine) => T, options?: ReadOptions): Promise<T>;
  readonly membership: Membership;
  /**
   * Moves leadership; any node may be asked. Resolves with the name of the new leader, at once if that is who leads already.
   * Commands that are proposed meanwhile wait for the new leader, they do not fail. Rejects with `transferring`
   * (already), `changePending`, `unknownMember`, `notVoter`, `noTarget`, `transferFailed`, `notLeader` (none is known) and with
   * what every call may reject with.
   */
  transferLeadership(options?: TransferOptions): Promise<string>;
  /** Gives up leadership at once, whoever comes next; the cluster waits for an election. Nothing on a node that does not lead. */
  stepDown(): void;
  /**
   * A backup of everything that was acknowledged before it was asked for, as the bytes of a file that `restoreDirectory` takes.
   * `takenAt`: a text for people, at most 64 bytes. Leave the loop early and nothing stays open.
   */
  backup(takenAt?: string): AsyncIterableIterator<Uint8Array>;
  status(): NodeStatus;
  /** A live stream of events from now on. Holds at most 1,024 for a slow listener; beyond that yields one `dropped`. */
  events(): AsyncIterableIterator<NodeEvent>;
  /** Hands over if it leads, settles whatever waits, releases the directory and the port. Safe to call twice. */
  close(options?: CloseOptions): Promise<void>;
}
