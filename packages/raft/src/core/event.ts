/**
 * The one stream of events. Every transition of the core emits one; logs, metrics, the simulator's checks and the console
 * all read this stream, and none has a second one.
 */
import type { LeaseRefusal } from "./lease.js";
import type { MessageType } from "./message.js";
import type { TransferEnd, TransferRefusal } from "./transfer.js";
import type { Index, MemberId, Role, Term } from "./types.js";

/** Why a message changed nothing. Each is ordinary in a network that delays, repeats and reorders. */
export type IgnoreReason =
  | "staleTerm"
  | "staleResponse"
  | "wrongRole"
  | "notMember"
  | "leaderAlive"
  | "malformed"
  | "belowCommit"
  | "unknownRequest"
  | "notExpected"
  | "beyondLog"
  | "overloaded"
  | "repeated"
  | "notVoter";

export type RaftEvent =
  | { readonly type: "roleChanged"; readonly role: Role; readonly previous: Role; readonly term: Term; readonly reason: string }
  | { readonly type: "termChanged"; readonly term: Term; readonly previous: Term }
  | { readonly type: "leaderChanged"; readonly leader: MemberId | null; readonly term: Term }
  | { readonly type: "electionTimeout"; readonly term: Term }
  | { readonly type: "voteCast"; readonly candidate: MemberId; readonly term: Term }
  | {
      readonly type: "voteRefused";
      readonly candidate: MemberId;
      readonly term: Term;
      readonly reason:
        | "votedForOther"
        | "logNotUpToDate"
        | "staleTerm"
        | "leaderAlive"
        | "justStarted"
        | "leasePromised"
        | "noConfiguration"
        | "recovering";
      readonly preVote: boolean;
    }
  | {
      readonly type: "voteReceived";
      readonly voter: MemberId;
      readonly granted: boolean;
      readonly term: Term;
      readonly preVote: boolean;
    }
  /** Lost entries, and what followed them, are in the log again as they were. */
  | { readonly type: "entriesRestored"; readonly first: Index; readonly last: Index; readonly term: Term }
  | { readonly type: "entriesAppended"; readonly first: Index; readonly last: Index; readonly term: Term }
  | { readonly type: "logTruncated"; readonly from: Index; readonly previousLast: Index }
  | { readonly type: "entriesDurable"; readonly durableIndex: Index }
  | { readonly type: "commitAdvanced"; readonly commitIndex: Index; readonly term: Term }
  | {
      readonly type: "appendRefused";
      readonly peer: MemberId;
      readonly prevLogIndex: Index;
      readonly hintIndex: Index;
      readonly hintTerm: Term;
    }
  | {
      readonly type: "progressChanged";
      readonly peer: MemberId;
      readonly state: "probe" | "replicate" | "snapshot";
      readonly nextIndex: Index;
    }
  | {
      readonly type: "configurationChanged";
      readonly index: Index;
      readonly voters: readonly MemberId[];
      readonly votersOutgoing: readonly MemberId[];
      readonly learners: readonly MemberId[];
    }
  | { readonly type: "configurationCommitted"; readonly index: Index }
  /** This member is none any more, for good: the committed configuration at `index` does not list it. */
  | { readonly type: "memberRemoved"; readonly index: Index }
  /** A learner that is to vote has come as far as the log was when the round began; `done`: it is close enough. */
  | {
      readonly type: "catchUpRound";
      readonly peer: MemberId;
      readonly round: number;
      readonly target: Index;
      readonly tookMicros: number;
      readonly done: boolean;
    }
  /** The leader sends no more to a member that has left; `told`: it knows that it has. */
  | { readonly type: "farewellEnded"; readonly peer: MemberId; readonly told: boolean }
  /** `lease`: without asking anybody. */
  | { readonly type: "readConfirmed"; readonly id: number; readonly readIndex: Index; readonly lease: boolean }
  /** A read could not be answered from the lease, and is asked for by a round of heartbeats. */
  | { readonly type: "leaseRefused"; readonly reason: LeaseRefusal }
  | { readonly type: "quorumLost"; readonly term: Term }
  /** A hint that the leader's process has ended; `held`: a lease that was promised forbids to act on it yet. */
  | { readonly type: "leaderRefused"; readonly leader: MemberId; readonly term: Term; readonly held: boolean }
  /** The proof of it; `hadPromise`: what was promised to its lease is void. */
  | { readonly type: "leaderRestarted"; readonly leader: MemberId; readonly term: Term; readonly hadPromise: boolean }
  | { readonly type: "transferStarted"; readonly target: MemberId; readonly term: Term }
  | { readonly type: "transferEnded"; readonly target: MemberId; readonly term: Term; readonly reason: TransferEnd }
  | {
      readonly type: "transferAnswered";
      readonly from: MemberId;
      readonly requestId: number;
      readonly refusal: TransferRefusal | "failed";
    }
  | { readonly type: "snapshotSending"; readonly peer: MemberId; readonly lastIncludedIndex: Index }
  | { readonly type: "snapshotSent"; readonly peer: MemberId; readonly lastIncludedIndex: Index }
  | {
      readonly type: "snapshotInstalled";
      readonly lastIncludedIndex: Index;
      readonly lastIncludedTerm: Term;
      readonly keptSuffix: boolean;
    }
  | { readonly type: "logCompacted"; readonly purgedIndex: Index }
  | { readonly type: "durableRegressed"; readonly peer: MemberId; readonly matchIndex: Index; readonly durableIndex: Index }
  /** A leader hears that a follower has lost entries that it had acknowledged. */
  | { readonly type: "followerRecovering"; readonly peer: MemberId; readonly matchIndex: Index; readonly durableIndex: Index }
  /** This server has lost this entry, knows no leader, and asks the others; what they said so far. */
  | {
      readonly type: "recoveryWaits";
      readonly index: Index;
      readonly term: Term;
      readonly answers: readonly { readonly member: MemberId; readonly status: "have" | "dontHave" | "haveFaulty" }[];
    }
  /** It is whole again (recovery.ts says how). */
  | { readonly type: "recovered"; readonly how: "copied" | "discarded" | "led"; readonly lastIndex: Index }
  | { readonly type: "messageIgnored"; readonly from: MemberId; readonly message: MessageType; readonly reason: IgnoreReason }
  | { readonly type: "invariantViolated"; readonly invariant: string; readonly detail: string };

export type RaftEventType = RaftEvent["type"];
