/**
 * The session table (dissertation section 6.3): what makes a repeated command one command. It stands beside the user's state
 * machine, is changed by nothing but the log, and is in every snapshot at the same index as the state (docs/invariants.md,
 * Exactly once). So it is the same on every node, and a command that two leaders appended, or that one repeats after a
 * restart, meets its first answer wherever it is applied. Duplicates are found here, where entries are applied; a leader that
 * looked for them when it appends could not know what another has appended.
 *
 * Entries are taken in two passes, because a machine applies a whole batch in one call. `begin`, in the order of the log, decides
 * by numbers and time alone: which commands run, which sessions are over. `finish`, in the same order once the machine has
 * answered, keeps results and lets them go. Neither looks at what the other pass still has to do, so it makes no difference where
 * batches begin and end, which is another on every node.
 */
import { readStamp } from "../../core/cluster-time.js";
import type { Entry, Index, Micros, Term } from "../../core/types.js";
import { decodeSessionRequest, type SessionCommand, type SessionLimits } from "./request.js";

/** What became of a request. All but `opened` and `result` change nothing. */
export type SessionReply =
  /** Open, or alive: what the session is. */
  | { readonly type: "opened"; readonly session: Index; readonly expireAfter: Micros; readonly maxRequests: number }
  /** The command was executed at this place; when it was asked for again, that is not this entry's. */
  | { readonly type: "result"; readonly result: Uint8Array; readonly index: Index; readonly term: Term }
  /** Asked for again, and executed then, but its result was too large to be kept. */
  | { readonly type: "resultNotKept"; readonly index: Index }
  /** The client has said that it waits for nothing below `lowestWaiting`; whether it was executed is not known any more. */
  | { readonly type: "forgotten"; readonly lowestWaiting: number }
  /** There is no such session: it has expired, was closed, or never was. Nothing was executed. */
  | { readonly type: "expired" }
  /** As many sessions are open as there may be; none was opened. */
  | { readonly type: "full"; readonly open: number }
  | { readonly type: "closed" }
  /** It makes no sense. */
  | { readonly type: "malformed" };

/** One entry between the two passes. */
export interface SessionStep {
  /** To be shown to the machine; null: nothing runs. */
  readonly command: Uint8Array | null;
  /** To be called once, in the order of the log, with what the machine gave for the command. */
  finish(result: Uint8Array | undefined): SessionReply;
}

/** A command that was executed. */
interface Executed {
  readonly index: Index;
  readonly term: Term;
  /** Null while the machine has not answered, and when the answer was too large to be kept. */
  result: Uint8Array | null;
}

/** One session. The second pass writes `keptBytes` and the results, the first everything else. */
export interface Session {
  readonly id: Index;
  readonly expireAfter: Micros;
  readonly maxRequests: number;
  readonly maxResultBytes: number;
  lastUsed: Micros;
  lowestWaiting: number;
  /** By sequence, none below `lowestWaiting`; so at most `maxRequests`. */
  readonly executed: Map<number, Executed>;
  keptBytes: number;
}

/** What has happened here since the node started; for status and metrics. */
export interface SessionCounts {
  /** Requests that were answered with what was kept. */
  answeredAgain: number;
  /** … of them, by an entry that another leader made than the first. */
  answeredAcrossTerms: number;
  /** Sessions that expired. */
  expired: number;
  /** Sessions that were refused because there were as many as may be. */
  refused: number;
}

const EMPTY = new Uint8Array(0);

export class SessionTable {
  /** By id, which rises with the place in the map. */
  readonly sessions = new Map<Index, Session>();
  /** Cluster time: at the newest stamp, in which term that was, and at that term's beginning. */
  time: Micros = 0;
  term: Term = 0;
  termBegan: Micros = 0;
  readonly counts: SessionCounts = { answeredAgain: 0, answeredAcrossTerms: 0, expired: 0, refused: 0 };
  /** Sessions that were opened, used or ended since `takeChanged`; null: nobody asks. */
  #changed: Set<Index> | null = null;
  /** No session expires before this time; saves looking at all of them for every entry. */
  #nothingExpiresBefore: Micros = Number.MAX_SAFE_INTEGER;

  /** Nothing of sessions was ever in the log. */
  get isPristine(): boolean {
    return this.term === 0;
  }

  /** The first pass; `entry` is a session's. */
  begin(entry: Entry): SessionStep {
    const stamp = readStamp(entry.data);
    if (stamp === null) return answered({ type: "malformed" });
    this.#passTime(entry.term, stamp.ledFor);
    const request = decodeSessionRequest(stamp.request);
    if (request === null) return answered({ type: "malformed" });
    if (request.kind === "open") return this.#open(entry.index, request);
    const session = this.sessions.get(request.session);
    if (session === undefined) return answered({ type: "expired" });
    session.lastUsed = this.time;
    this.#changed?.add(session.id);
    switch (request.kind) {
      case "command":
        return this.#command(entry, session, request);
      case "keepAlive":
        return answered(opened(session));
      case "close":
        this.sessions.delete(session.id);
        return answered({ type: "closed" });
    }
  }

  /** Time never goes back: a new term begins where the last stamp left it. */
  #passTime(term: Term, ledFor: Micros): void {
    if (term > this.term) {
      this.term = term;
      this.termBegan = this.time;
    }
    this.time = Math.max(this.time, Math.min(this.termBegan + ledFor, Number.MAX_SAFE_INTEGER));
    if (this.time <= this.#nothingExpiresBefore) return;
    for (const session of this.sessions.values()) {
      if (this.time <= expiryOf(session)) continue;
      this.sessions.delete(session.id);
      this.#changed?.add(session.id);
      this.counts.expired += 1;
    }
    this.#lookForNextExpiry();
  }

  #lookForNextExpiry(): void {
    this.#nothingExpiresBefore = Number.MAX_SAFE_INTEGER;
    for (const session of this.sessions.values()) this.#expiresAt(expiryOf(session));
  }

  #expiresAt(time: Micros): void {
    this.#nothingExpiresBefore = Math.min(this.#nothingExpiresBefore, time);
  }

  #open(id: Index, { expireAfter, maxSessions, maxRequests, maxResultBytes }: SessionLimits): SessionStep {
    const open = this.sessions.size;
    if (open >= maxSessions) {
      this.counts.refused += 1;
      return answered({ type: "full", open });
    }
    const session: Session = {
      id,
      expireAfter,
      maxRequests,
      maxResultBytes,
      lastUsed: this.time,
      lowestWaiting: 1,
      executed: new Map(),
      keptBytes: 0,
    };
    this.sessions.set(id, session);
    this.#changed?.add(id);
    this.#expiresAt(expiryOf(session));
    return answered(opened(session));
  }

  #command({ index, term }: Entry, session: Session, request: SessionCommand): SessionStep {
    const { sequence, lowestWaiting, command } = request;
    const { executed } = session;
    // By the request's own numbers, so that every copy of it is judged alike, and nothing is kept for it.
    if (sequence < Math.max(1, lowestWaiting) || sequence - lowestWaiting >= session.maxRequests)
      return answered({ type: "malformed" });
    const freed = forget(session, lowestWaiting);
    const before = executed.get(sequence);
    if (before !== undefined) {
      this.counts.answeredAgain += 1;
      if (before.term !== term) this.counts.answeredAcrossTerms += 1;
      return after(session, freed, () =>
        before.result === null
          ? { type: "resultNotKept", index: before.index }
          : { type: "result", result: before.result, index: before.index, term: before.term },
      );
    }
    if (sequence < session.lowestWaiting) {
      const forgotten = { type: "forgotten", lowestWaiting: session.lowestWaiting } as const;
      return after(session, freed, () => forgotten);
    }
    const now: Executed = { index, term, result: null };
    executed.set(sequence, now);
    return {
      command,
      finish(given) {
        release(session, freed);
        const result = given ?? EMPTY;
        if (session.keptBytes + result.length <= session.maxResultBytes) {
          session.keptBytes += result.length;
          now.result = ownBytes(result);
        }
        return { type: "result", result, index, term };
      },
    };
  }

  /** Notes from now on which sessions change. */
  watchChanges(): void {
    this.#changed ??= new Set();
  }

  /** Those that changed since the last call, or since they are noted. */
  takeChanged(): Index[] {
    const changed = [...(this.#changed ?? [])];
    this.#changed?.clear();
    return changed;
  }

  /** A table that was restored is complete. */
  restored(): void {
    this.#lookForNextExpiry();
  }
}

function expiryOf({ lastUsed, expireAfter }: Session): Micros {
  return lastUsed + expireAfter;
}

function opened({ id, expireAfter, maxRequests }: Session): SessionReply {
  return { type: "opened", session: id, expireAfter, maxRequests };
}

function answered(reply: SessionReply): SessionStep {
  return { command: null, finish: () => reply };
}

function after(session: Session, freed: readonly Executed[], reply: () => SessionReply): SessionStep {
  return {
    command: null,
    finish() {
      release(session, freed);
      return reply();
    },
  };
}

/** The client waits for nothing below any more. Returns what was kept for it. */
function forget(session: Session, lowestWaiting: number): Executed[] {
  const { executed } = session;
  const freed: Executed[] = [];
  if (lowestWaiting <= session.lowestWaiting) return freed;
  const drop = (sequence: number): void => {
    const gone = executed.get(sequence);
    if (gone === undefined) return;
    executed.delete(sequence);
    freed.push(gone);
  };
  // One by one from below, or, where the client has jumped ahead, whatever is there.
  if (lowestWaiting - session.lowestWaiting <= executed.size)
    for (let sequence = session.lowestWaiting; sequence < lowestWaiting; sequence += 1) drop(sequence);
  else for (const sequence of [...executed.keys()]) if (sequence < lowestWaiting) drop(sequence);
  session.lowestWaiting = lowestWaiting;
  return freed;
}

/** A view would keep alive all that it is a part of. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice();
}

function release(session: Session, freed: readonly Executed[]): void {
  for (const { result } of freed) session.keptBytes -= result?.length ?? 0;
}
