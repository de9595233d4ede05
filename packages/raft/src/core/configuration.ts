/**
 * Who the members are. A configuration lives in the log (dissertation chapter 4): a server uses the newest one in its
 * own log, committed or not, and falls back to the one before when that entry is truncated away.
 *
 * The type has the joint form from the first day (C_old,new: `votersOutgoing` not empty), in which every decision needs a
 * majority of both sets. Learners receive the log and count in no quorum.
 */
import type { MemberId } from "./types.js";

/** What is known of one member besides its part in quorums. */
export interface MemberRecord {
  readonly id: MemberId;
  /** The name a person gave it; unique within a configuration. 1 to 64 bytes of UTF-8. */
  readonly name: string;
  /** Where its peers reach it: host:port. */
  readonly address: string;
}

/**
 * A change that was asked for and waits until its new voters have caught up; then all of it takes effect at once. It is part
 * of the configuration, so whoever leads next carries it on.
 */
export interface StagedChange {
  /** Learners that become voters. Sorted, never empty. */
  readonly promote: readonly MemberId[];
  /** Voters that leave then. Sorted. */
  readonly remove: readonly MemberId[];
  /** Voters that become learners then. Sorted. */
  readonly demote: readonly MemberId[];
}

export interface Configuration {
  /** The voters; in joint form those of C_new. Sorted, without repetition. */
  readonly voters: readonly MemberId[];
  /** The voters of C_old while the configuration is joint, otherwise empty. Sorted. */
  readonly votersOutgoing: readonly MemberId[];
  /** Receive entries, vote only if asked, count nowhere. Sorted. */
  readonly learners: readonly MemberId[];
  /** One record for each id above, sorted by id. */
  readonly members: readonly MemberRecord[];
  /** Whether leaders may answer reads from a lease. Off by default; see design law 9. */
  readonly leases: boolean;
  /** Null when no change waits; always null while the configuration is joint. */
  readonly staged: StagedChange | null;
}

/** What a member knows before anybody has told it who the members are: it votes for nobody and campaigns never. */
export const NO_CONFIGURATION: Configuration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  members: [],
  leases: false,
  staged: null,
};
