/** The numbers that govern the core. Ranges are checked once, at construction; each error names the field and the range. */
import type { Micros } from "./types.js";

export interface RaftOptions {
  /** A leader sends a heartbeat this often. */
  readonly heartbeatIntervalMicros: Micros;
  /** The minimum election timeout; each wait is drawn from [1, 2) times this (Raft section 9.3, dissertation 4.2.3). */
  readonly electionTimeoutMicros: Micros;
  /** Command bytes in one AppendEntries; a single larger entry still travels, alone. */
  readonly maxBytesPerMessage: number;
  /** Entries in one AppendEntries. */
  readonly maxEntriesPerMessage: number;
  /** AppendEntries on their way to one follower. */
  readonly maxInflightMessages: number;
  /** … and the command bytes in them. */
  readonly maxInflightBytes: number;
  /** Bytes of commands appended in this term and not committed; beyond it proposals are refused. */
  readonly maxUncommittedBytes: number;
  /** Largest command. */
  readonly maxEntryBytes: number;
  /** Reads waiting for a confirmation. */
  readonly maxPendingReads: number;
  /** Entries that are committed and not yet applied; beyond it proposals are refused. */
  readonly maxApplyLag: number;
  /** Bytes of one piece of a snapshot. */
  readonly snapshotChunkBytes: number;
  /** Entries, and bytes, given to the state machine and not yet reported as applied. */
  readonly maxUnappliedEntries: number;
  readonly maxUnappliedBytes: number;
  /** By how many thousandths a clock may run faster or slower than true time, at most. Leases are shortened by it. */
  readonly clockDriftPerMille: number;
  /**
   * Whom a leader that hands over without naming anybody prefers: the highest. 0: nobody hands over to this server unless it
   * is named, and it campaigns by itself only when nobody else has led for a long time.
   */
  readonly priority: number;
}

const MEBIBYTE = 1024 * 1024;

export const DEFAULT_OPTIONS: RaftOptions = {
  heartbeatIntervalMicros: 100_000,
  electionTimeoutMicros: 1_000_000,
  maxBytesPerMessage: MEBIBYTE,
  maxEntriesPerMessage: 4096,
  maxInflightMessages: 256,
  maxInflightBytes: 8 * MEBIBYTE,
  maxUncommittedBytes: 64 * MEBIBYTE,
  maxEntryBytes: 2 * MEBIBYTE,
  maxPendingReads: 65_536,
  maxApplyLag: 100_000,
  snapshotChunkBytes: MEBIBYTE / 4,
  maxUnappliedEntries: 4096,
  maxUnappliedBytes: 4 * MEBIBYTE,
  clockDriftPerMille: 100,
  priority: 1,
};

/** Lowest and highest value of each option. */
const RANGES: { readonly [Name in keyof RaftOptions]: readonly [number, number] } = {
  heartbeatIntervalMicros: [1_000, 60_000_000],
  electionTimeoutMicros: [2_000, 600_000_000],
  maxBytesPerMessage: [1, 64 * MEBIBYTE],
  maxEntriesPerMessage: [1, 65_536],
  maxInflightMessages: [1, 4096],
  maxInflightBytes: [1, 1024 * MEBIBYTE],
  maxUncommittedBytes: [1, 4096 * MEBIBYTE],
  maxEntryBytes: [1, 64 * MEBIBYTE],
  maxPendingReads: [1, 1_000_000],
  maxApplyLag: [1, 1_000_000_000],
  snapshotChunkBytes: [1, 2 * MEBIBYTE],
  maxUnappliedEntries: [1, 1_000_000],
  maxUnappliedBytes: [1, 1024 * MEBIBYTE],
  clockDriftPerMille: [0, 500],
  priority: [0, 100],
};

/** Fills in defaults and checks. Throws a RangeError that names the field, the value and the range. */
export function checkOptions(given: Partial<RaftOptions>): RaftOptions {
  const options: RaftOptions = { ...DEFAULT_OPTIONS, ...given };
  for (const name of Object.keys(RANGES) as (keyof RaftOptions)[]) {
    const [low, high] = RANGES[name];
    const value = options[name];
    if (!Number.isSafeInteger(value) || value < low || value > high) {
      throw new RangeError(`${name} is ${value}: it must be a whole number from ${low} to ${high}`);
    }
  }
  if (options.heartbeatIntervalMicros * 2 > options.electionTimeoutMicros) {
    throw new RangeError(
      `heartbeatIntervalMicros is ${options.heartbeatIntervalMicros}: it must be at most half of electionTimeoutMicros (${options.electionTimeoutMicros}), or one late heartbeat starts an election`,
    );
  }
  return options;
}
