/**
 * The small words every other file of the core is written in.
 *
 * Units: time is an integer count of microseconds on a monotonic clock (`Micros`); a term and an index are safe integers
 * (checked wherever they are decoded) that take eight bytes on disk and on the wire. Index 0 and term 0 mean "before the
 * first entry" (Raft, Figure 2: indexes start at 1, terms at 0).
 */

/** A point in time, or a length of time, in whole microseconds of a monotonic clock. */
export type Micros = number;

/** A term number (Raft section 5.1). Terms act as a logical clock; 0 is the term before the first election. */
export type Term = number;

/** The position of an entry in the log (Raft section 5.3). The first entry has index 1; 0 is "nothing". */
export type Index = number;

/**
 * Who a member is, for the algorithm: an opaque string that is never given to another life of the same machine.
 * The runtime makes it of a name and 64 random bits drawn with the data directory (see runtime/identity.ts), so that a
 * node that lost its disk is somebody else (dissertation section 3.8). The core only compares these strings.
 */
export type MemberId = string;

/**
 * What an entry is for. Only commands are shown to the state machine; a session's entry (cluster-time.ts) may hold one, and is
 * opened by the runtime.
 */
export type EntryType = "noop" | "command" | "configuration" | "session";

/** What callers may propose. */
export type ProposedType = Extract<EntryType, "command" | "session">;

/** One entry of the replicated log. Entries are immutable; `data` must not be written to once it is in a log. */
export interface Entry {
  readonly index: Index;
  /** The term in which a leader created the entry. */
  readonly term: Term;
  readonly type: EntryType;
  /** Empty for a no-op; the user's bytes for a command; an encoded `Configuration`; a stamp and a request of a session. */
  readonly data: Uint8Array;
}

/** An entry of which the disk has lost everything but the name; see docs/corruption-repair.md. */
export interface LostEntry {
  readonly index: Index;
  readonly term: Term;
  readonly type: "lost";
}

/** What stands at a place of a damaged log. */
export type LogItem = Entry | LostEntry;

/** The name of an entry: where it stands and who made it. Two logs that agree on a pair agree on all before it. */
export interface LogPosition {
  readonly index: Index;
  readonly term: Term;
}

/**
 * What a server must never forget besides its log (Raft, Figure 2, "persistent state"), and a hint.
 * `currentTerm` and `votedFor` always change together, in one durable write.
 */
export interface HardState {
  readonly currentTerm: Term;
  /** The candidate that got this server's vote in `currentTerm`, or null. */
  readonly votedFor: MemberId | null;
  /** A commit index that was true when this was written. Only a hint: it saves waiting after a restart. */
  readonly commitIndex: Index;
  /** This server may have acknowledged entries that its log does not hold: it must not vote (recovery.ts). Absent: false. */
  readonly recovering?: boolean;
}

/** The four roles (Raft section 5.1; the pre-candidate is dissertation section 9.6). A learner is a follower by role. */
export type Role = "follower" | "preCandidate" | "candidate" | "leader";

export const NO_POSITION: LogPosition = { index: 0, term: 0 };
export const EMPTY_BYTES: Uint8Array = new Uint8Array(0);
