/**
 * Reads the effects of real processes (fixtures/recorder.ts, or a system call trace: strace.ts) and says where something
 * left a process that its disk did not yet vouch for.
 *
 * It keeps its own picture of every disk: bytes count as durable when an fdatasync that began after their write has
 * succeeded, a file when the folder that names it was synced after the rename. What the durable bytes mean it learns from
 * the log's own reader, so it knows of every moment which term, vote and entries would survive a loss of power. Against that
 * it holds each message as it leaves, each entry as it is applied and each answer as a client gets it.
 */
import type { Message } from "../../src/core/message.js";
import type { HardState } from "../../src/core/types.js";
import { memberName } from "../../src/runtime/member-id.js";
import { GROUP } from "../../src/runtime/network.js";
import { readBatch } from "../../src/runtime/storage/batch.js";
import { aligned, SECTOR_BYTES } from "../../src/runtime/storage/record.js";
import { decodeSegmentHeader, EMPTY_BOUNDS } from "../../src/runtime/storage/segment.js";
import { decodePayload, type Payload } from "../../src/runtime/wire/payload.js";

/** Bytes are in base64, times in microseconds of the machine's monotonic clock. */
export type Effect = { readonly n: number; readonly at: number } & (
  | { readonly k: "life"; readonly name: string }
  | { readonly k: "write"; readonly path: string; readonly position: number; readonly data?: string; readonly zeros?: number }
  | { readonly k: "truncate"; readonly path: string; readonly length: number }
  | { readonly k: "syncBegin"; readonly id: number; readonly path: string }
  | { readonly k: "syncEnd"; readonly id: number; readonly path: string; readonly ok: boolean }
  | { readonly k: "rename"; readonly from: string; readonly to: string }
  | { readonly k: "remove"; readonly path: string }
  | { readonly k: "flush"; readonly sent: readonly { readonly to: string; readonly data: string }[] }
  | { readonly k: "received"; readonly from: string; readonly data: string }
  | { readonly k: "apply"; readonly index: number; readonly term: number }
  | { readonly k: "answer"; readonly index: number; readonly term: number }
);

/** One line each; a last line without its end, cut off by a kill, is left out. */
export function parseEffects(text: string): Effect[] {
  const lines = text.split("\n");
  lines.pop();
  return lines.map((line) => JSON.parse(line) as Effect);
}

/** What was held against the disk; a proof that saw none of a kind proves nothing. */
export interface Seen {
  syncs: number;
  segments: number;
  voteRequests: number;
  votes: number;
  /** Acknowledgements of entries, of more than before in the same term. */
  acknowledgements: number;
  messages: number;
  applied: number;
  answers: number;
}

export interface Judgement {
  readonly complaints: readonly string[];
  readonly seen: Seen;
}

export interface Judging {
  readonly voters: number;
  /** What arrives was recorded as well; without it nothing is said of commits. */
  readonly received: boolean;
}

/** A file as it was written and as it is durable. */
interface File {
  durable: Uint8Array;
  unsynced: { readonly n: number; readonly position: number; readonly bytes: Uint8Array }[];
  /** Its name in the log is durable. */
  named: boolean;
  reading: { segment: number; sequence: number; prevChecksum: number; position: number } | null;
}

type Found = Extract<Effect, { k: "flush" | "received" | "apply" | "answer" }>;

export class ProcessJudge {
  readonly name: string;
  readonly complaints: string[] = [];
  readonly seen: Seen = {
    syncs: 0,
    segments: 0,
    voteRequests: 0,
    votes: 0,
    acknowledgements: 0,
    messages: 0,
    applied: 0,
    answers: 0,
  };
  /** When each entry, named `index/term`, was first durable here. */
  readonly durableSince = new Map<string, number>();
  readonly answers: { readonly at: number; readonly index: number; readonly term: number; readonly n: number }[] = [];
  readonly #judging: Judging;

  #files = new Map<string, File>();
  #renames: { readonly n: number; readonly to: string }[] = [];
  readonly #syncs = new Map<number, number>();

  // What would survive.
  #term = 0;
  readonly #votes = new Map<number, string>();
  #terms = new Map<number, number>();
  #last = 0;

  // What it was told.
  #acknowledged = { term: 0, by: new Map<string, number>() };
  #committed = 0;
  /** Of the leader's entries, by index, the term in which they were last sent here. */
  readonly #sentHere = new Map<number, number>();
  /** The same of the entries that it sent to others: they may be on a majority of disks before they are on its own. */
  readonly #sentOut = new Map<number, number>();
  #claimed = { term: 0, matchIndex: 0 };

  constructor(name: string, judging: Judging) {
    this.name = name;
    this.#judging = judging;
  }

  take(effect: Effect): void {
    switch (effect.k) {
      case "life":
        this.#files = new Map();
        this.#renames = [];
        this.#acknowledged = { term: 0, by: new Map() };
        return;
      case "write": {
        const bytes = effect.data === undefined ? new Uint8Array(effect.zeros ?? 0) : Buffer.from(effect.data, "base64");
        this.#file(effect.path).unsynced.push({ n: effect.n, position: effect.position, bytes });
        return;
      }
      case "truncate":
        if (effect.path.endsWith(".segment")) this.#complain(effect, `${effect.path} is cut, and a log is only ever appended to`);
        return;
      case "rename": {
        this.#files.set(effect.to, this.#file(effect.from));
        this.#files.delete(effect.from);
        this.#renames.push({ n: effect.n, to: effect.to });
        return;
      }
      case "remove":
        this.#files.delete(effect.path);
        return;
      case "syncBegin":
        this.#syncs.set(effect.id, effect.n);
        return;
      case "syncEnd":
        if (effect.ok) this.#synced(effect);
        return;
      default:
        this.#told(effect);
    }
  }

  #complain(effect: Effect, what: string): void {
    this.complaints.push(`${this.name}, effect ${effect.n}: ${what}`);
  }

  // ---- The disk ----

  #file(path: string): File {
    let file = this.#files.get(path);
    if (file === undefined) {
      file = { durable: new Uint8Array(0), unsynced: [], named: false, reading: null };
      this.#files.set(path, file);
    }
    return file;
  }

  #synced(effect: Extract<Effect, { k: "syncEnd" }>): void {
    const began = this.#syncs.get(effect.id) ?? 0;
    this.#syncs.delete(effect.id);
    this.seen.syncs += 1;
    if (effect.path === "log") {
      for (const { to } of this.#renames.filter((rename) => rename.n < began)) {
        const file = this.#file(to);
        if (!to.endsWith(".segment") || file.named) continue;
        file.named = true;
        this.#read(effect, file);
      }
      this.#renames = this.#renames.filter((rename) => rename.n > began);
      return;
    }
    const file = this.#file(effect.path);
    for (const { n, position, bytes } of file.unsynced) {
      if (n > began) continue;
      const end = position + bytes.length;
      if (end > file.durable.length) {
        const longer = new Uint8Array(end);
        longer.set(file.durable);
        file.durable = longer;
      }
      file.durable.set(bytes, position);
    }
    file.unsynced = file.unsynced.filter((write) => write.n > began);
    if (file.named) this.#read(effect, file);
  }

  /** Reads on in a segment, as far as it is durable now. */
  #read(effect: Effect, file: File): void {
    if (file.reading === null) {
      const decoded = decodeSegmentHeader(file.durable);
      if (!decoded.ok) return this.#complain(effect, `a segment got its name, and ${decoded.reason}`);
      const { header, length } = decoded.value;
      const { id, firstSequence, prevChecksum } = header;
      file.reading = { segment: id, sequence: firstSequence, prevChecksum, position: length };
      this.seen.segments += 1;
      const { hardState, last } = header.groups.get(GROUP) ?? EMPTY_BOUNDS;
      if (last.index > 0 && this.#terms.get(last.index) !== last.term)
        this.#complain(effect, `a new segment says that entry ${last.index} of term ${last.term} is durable, and it is not`);
      this.#cutAfter(last.index);
      this.#hardState(effect, hardState);
    }
    const { reading } = file;
    while (reading.position < file.durable.length) {
      const found = readBatch(file.durable, reading.position, reading);
      if (!found.ok) return;
      const { batch } = found;
      reading.sequence = batch.nextSequence;
      reading.prevChecksum = batch.checksum;
      reading.position = aligned(reading.position + batch.length, SECTOR_BYTES);
      const state = batch.hardStates.get(GROUP);
      if (state !== undefined) this.#hardState(effect, state);
      for (const step of batch.steps) {
        if (step.kind !== "entry") continue;
        const { index, term } = step.entry;
        this.#cutAfter(index - 1);
        this.#terms.set(index, term);
        this.#last = index;
        const name = `${index}/${term}`;
        if (!this.durableSince.has(name)) this.durableSince.set(name, effect.at);
      }
    }
  }

  #cutAfter(index: number): void {
    for (; this.#last > index; this.#last -= 1) this.#terms.delete(this.#last);
  }

  #hardState(effect: Effect, { currentTerm, votedFor, commitIndex }: HardState): void {
    if (currentTerm < this.#term) this.#complain(effect, `the durable term went back from ${this.#term} to ${currentTerm}`);
    this.#term = Math.max(this.#term, currentTerm);
    if (votedFor !== null) {
      const before = this.#votes.get(currentTerm);
      if (before !== undefined && before !== memberName(votedFor))
        this.#complain(effect, `the vote of term ${currentTerm} changed from ${before} to ${memberName(votedFor)}`);
      this.#votes.set(currentTerm, memberName(votedFor));
    }
    if (this.#judging.received && commitIndex > this.#committedNow())
      this.#complain(effect, `commit index ${commitIndex} is durable, and only ${this.#committed} is known to be committed`);
  }

  // ---- What it is told, and what it tells ----

  #told(effect: Found): void {
    if (effect.k === "received") this.#received(effect.from, decodePayload(Buffer.from(effect.data, "base64")));
    else if (effect.k === "flush") {
      for (const { to, data } of effect.sent) {
        const payload = decodePayload(Buffer.from(data, "base64"));
        if (payload.ok) this.#leaves(effect, to, payload);
        else this.#complain(effect, `what leaves to ${to} can't be read: ${payload.reason}`);
      }
    } else {
      if (effect.k === "apply") this.seen.applied += 1;
      else {
        this.seen.answers += 1;
        this.answers.push(effect);
      }
      if (this.#judging.received && effect.index > this.#committedNow()) {
        const what = effect.k === "apply" ? "is applied" : "is answered for";
        this.#complain(effect, `entry ${effect.index} ${what}, and only ${this.#committed} is known to be committed`);
      }
    }
  }

  #received(from: string, payload: Payload): void {
    if (!payload.ok || payload.kind !== "message") return;
    const { message } = payload;
    if (message.type === "AppendEntries") {
      for (const { index, term } of message.entries) this.#sentHere.set(index, term);
      this.#committed = Math.max(this.#committed, message.leaderCommit);
    } else if (message.type === "Heartbeat") {
      this.#committed = Math.max(this.#committed, message.leaderCommit);
    } else if (message.type === "AppendEntriesResponse" && message.success) {
      if (message.term > this.#acknowledged.term) this.#acknowledged = { term: message.term, by: new Map() };
      if (message.term < this.#acknowledged.term) return;
      const { by } = this.#acknowledged;
      by.set(from, Math.max(by.get(from) ?? 0, message.matchIndex));
    }
  }

  /**
   * What this process can know to be committed: what a leader told it, or, where it leads, the highest entry of its term
   * that is durable on a majority: by the acknowledgements it has, and here by the syncs that are done (Raft section 5.4.2).
   */
  #committedNow(): number {
    const { term, by } = this.#acknowledged;
    const durable = [this.#last, ...by.values()].sort((left, right) => right - left);
    const majority = durable[Math.floor(this.#judging.voters / 2)] ?? 0;
    const termThere = this.#terms.get(majority) ?? this.#sentOut.get(majority);
    if (majority > this.#committed && termThere === term) this.#committed = majority;
    return this.#committed;
  }

  #leaves(effect: Effect, to: string, payload: Extract<Payload, { ok: true }>): void {
    this.seen.messages += 1;
    if (payload.kind !== "message" && payload.kind !== "peerLog") return;
    if (payload.kind === "peerLog") {
      const { lastIndex, lastTerm } = payload.peerLog;
      if (lastIndex > 0 && this.#terms.get(lastIndex) !== lastTerm)
        this.#complain(effect, `tells ${to} that entry ${lastIndex} of term ${lastTerm} is durable, and it is not`);
      return;
    }
    const { message } = payload;
    if (message.term > this.#term)
      this.#complain(effect, `${message.type} of term ${message.term} leaves to ${to}, and the durable term is ${this.#term}`);
    this.#promise(effect, to, message);
  }

  #promise(effect: Effect, to: string, message: Message): void {
    switch (message.type) {
      case "RequestVote":
        this.seen.voteRequests += 1;
        return this.#checkVote(effect, message.term, this.name, `it asks ${to} for a vote`);
      case "RequestVoteResponse":
        if (!message.voteGranted) return;
        this.seen.votes += 1;
        return this.#checkVote(effect, message.term, to, `its vote leaves to ${to}`);
      case "AppendEntriesResponse":
        if (message.success) this.#checkAcknowledgement(effect, to, message.term, message.matchIndex);
        return;
      case "AppendEntries":
      case "Heartbeat":
        if (message.type === "AppendEntries") for (const { index, term } of message.entries) this.#sentOut.set(index, term);
        if (this.#judging.received && message.leaderCommit > this.#committedNow())
          this.#complain(effect, `tells ${to} that ${message.leaderCommit} is committed, and only ${this.#committed} is known`);
        return;
      default:
        return;
    }
  }

  #checkVote(effect: Effect, term: number, candidate: string, what: string): void {
    const durable = this.#votes.get(term);
    if (durable !== candidate)
      this.#complain(effect, `${what} in term ${term}, and the durable vote of that term is ${durable ?? "none"}`);
  }

  #checkAcknowledgement(effect: Effect, to: string, term: number, matchIndex: number): void {
    if (term !== this.#claimed.term) this.#claimed = { term, matchIndex: 0 };
    if (matchIndex > this.#claimed.matchIndex) this.seen.acknowledgements += 1;
    if (matchIndex > this.#last)
      this.#complain(effect, `acknowledges entry ${matchIndex} to ${to}, and the durable log ends at ${this.#last}`);
    for (let index = this.#claimed.matchIndex + 1; index <= Math.min(matchIndex, this.#last); index += 1) {
      const sent = this.#sentHere.get(index);
      if (sent !== undefined && sent !== this.#terms.get(index))
        this.#complain(
          effect,
          `acknowledges entry ${index} of term ${sent} to ${to}, and of term ${this.#terms.get(index)} is what is durable`,
        );
    }
    this.#claimed.matchIndex = Math.max(this.#claimed.matchIndex, matchIndex);
  }
}

/** The whole cluster: each process for itself, and no answer before the entry was durable on a majority of the disks. */
export function judge(
  effectsOf: ReadonlyMap<string, readonly Effect[]>,
): Judgement & { readonly each: ReadonlyMap<string, Seen> } {
  const judges = [...effectsOf].map(([name, effects]) => {
    const one = new ProcessJudge(name, { voters: effectsOf.size, received: true });
    for (const effect of effects) one.take(effect);
    return one;
  });
  const complaints = judges.flatMap((one) => one.complaints);
  const majority = Math.floor(effectsOf.size / 2) + 1;
  for (const one of judges)
    for (const { at, index, term, n } of one.answers) {
      const holders = judges.filter((other) => (other.durableSince.get(`${index}/${term}`) ?? Number.POSITIVE_INFINITY) <= at);
      if (holders.length < majority)
        complaints.push(
          `${one.name}, effect ${n}: the client is told of entry ${index} of term ${term}, which is durable on ${holders.length} of ${effectsOf.size} disks`,
        );
    }
  const sum = (field: keyof Seen): number => judges.reduce((total, one) => total + one.seen[field], 0);
  return {
    complaints,
    seen: {
      syncs: sum("syncs"),
      segments: sum("segments"),
      voteRequests: sum("voteRequests"),
      votes: sum("votes"),
      acknowledgements: sum("acknowledgements"),
      messages: sum("messages"),
      applied: sum("applied"),
      answers: sum("answers"),
    },
    each: new Map(judges.map((one) => [one.name, one.seen])),
  };
}
