/**
 * The driver: it makes one group's core go. It feeds the core what happens, takes what the core asks for, and hands it to
 * the four ports; it holds no protocol rule of its own.
 *
 * A turn: whatever happened since the last one has been fed in (messages, completions, proposals). `#turn` then takes the
 * core's output until there is none: persists, sends, applies, settles; and flushes the network once. So everything that
 * arrives in one turn of the event loop shares one write, one sync and one packet.
 */
import type { ProposeRefusal } from "../core/append.js";
import type { ChangeResponse, Message } from "../core/message.js";
import type { Envelope, Output } from "../core/output.js";
import type { Raft } from "../core/raft.js";
import type { Entry, Index, MemberId, Micros } from "../core/types.js";
import type { GroupLog, GroupLogHandler } from "./log-store.js";
import type { MachineHost } from "./machine-host.js";
import type { NodeEvent } from "./node.js";
import type { Clock, DiskError, TimerHandle } from "./ports.js";
import { notExecuted, type Proposal, type Proposals } from "./proposals.js";
import type { Read, Reads } from "./reads.js";
import { readTimedOut } from "./requests.js";
import type { SnapshotWork } from "./snapshot-work.js";
import type { StateMachine } from "./state-machine.js";
import { type Transfers, type TransferWish, transferRefused } from "./transfers.js";

/** Sends a message to a member. False: it was dropped, nothing of it will arrive. */
export type SendMessage = (to: MemberId, message: Message) => boolean;

export interface DriverParts<Machine extends StateMachine> {
  readonly raft: Raft;
  readonly clock: Clock;
  readonly host: MachineHost<Machine>;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly transfers: Transfers;
  readonly send: SendMessage;
  readonly flush: () => void;
  /** True when bytes were read from the network since it was last asked. */
  readonly takeReadActivity: () => boolean;
  /** Entries were applied. */
  readonly onApplied?: (entries: readonly Entry[]) => void;
  readonly publish: (event: NodeEvent) => void;
  /** The node can't go on. */
  readonly fail: (reason: string) => void;
  /** The leader's answer to a change of the members that was handed to it; or that it never left. */
  readonly changeAnswered: (response: ChangeResponse) => void;
  readonly changeNotSent: (requestId: number) => void;
  /** Above every number that an earlier life of this node can have used. */
  readonly firstRequestId: number;
  readonly heartbeatMicros: Micros;
  readonly electionMicros: Micros;
}

/** Commands handed to the core, or to the leader, in one go. */
const BATCH_COUNT = 4096;
const BATCH_BYTES = 1024 * 1024;
/** Poll phases that are let run before time is told to the core after a pause (design law 8). */
const MAX_POLL_PHASES = 16;
/** Entries applied in one turn before the network is looked at again. */
const APPLIED_PER_TURN = 4096;

export class Driver<Machine extends StateMachine> implements GroupLogHandler {
  readonly #parts: DriverParts<Machine>;
  readonly #raft: Raft;
  readonly #clock: Clock;
  #log: GroupLog | null = null;
  #snapshots: SnapshotWork | null = null;
  #scheduled = false;
  #running = false;
  #stopped = false;
  #timer: TimerHandle | null = null;
  #timerAt: Micros = Number.MAX_SAFE_INTEGER;
  #coreDeadline: Micros | null = null;
  #nextRequestId: number;
  /** The log waits for space; see onError. */
  #outOfSpace = false;
  /** What is proposed can't be handed on now: no connection to the leader, or it does not lead. Until there is news. */
  #blocked = false;
  /** The leader changed in this turn, or stays after all: what waits for one may go. */
  #leaderNews = false;

  /** Called at the end of each turn; for whoever waits for a state of the core. */
  afterTurn: (() => void) | null = null;

  constructor(parts: DriverParts<Machine>) {
    this.#parts = parts;
    this.#raft = parts.raft;
    this.#clock = parts.clock;
    this.#nextRequestId = parts.firstRequestId;
    parts.reads.numberFrom(parts.firstRequestId);
  }

  /** The log and the snapshots report to the driver, so they are made after it. */
  start(log: GroupLog, snapshots: SnapshotWork): void {
    this.#log = log;
    this.#snapshots = snapshots;
    this.schedule();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  /** Runs a turn once the present one has read what there is to read. Calling it again changes nothing. */
  schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#clock.setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  // ---- What happens ----

  received(from: MemberId, message: Message): void {
    this.#raft.receive(this.#clock.now(), from, message);
    this.schedule();
  }

  propose(proposal: Proposal): void {
    this.#parts.proposals.add(proposal);
    this.schedule();
  }

  read(read: Read, atLeast: Index | null): void {
    if (atLeast === null) this.#parts.reads.addLinearizable(read);
    else this.#parts.reads.addAtLeast(read, atLeast);
    this.schedule();
  }

  /** The index from which a read may be answered by the lease; null: there is none. See `leaseHolds`. */
  readByLease(): Index | null {
    const index = this.#raft.readByLease(this.#clock.now(), this.#parts.reads.takeNumber());
    if (this.#raft.hasOutput) this.schedule();
    return index;
  }

  /** Whether it still runs, now that the state was looked at. */
  leaseHolds(): boolean {
    const holds = this.#raft.leaseHolds(this.#clock.now());
    if (this.#raft.hasOutput) this.schedule();
    return holds;
  }

  /** Asks for leadership to move: of this node's core, or of the leader. */
  transfer(wish: TransferWish): void {
    const raft = this.#raft;
    const { transfers } = this.#parts;
    const now = this.#clock.now();
    const leader = raft.leaderId;
    if (leader === null) return wish.settle(transferRefused("notLeader"), null);
    if (raft.role === "leader") {
      const outcome = raft.transferLeadership(now, wish.to);
      if (!("refusal" in outcome)) transfers.add(wish, leader, raft.currentTerm, null);
      else if (outcome.refusal === "self") wish.settle(null, leader);
      else wish.settle(transferRefused(outcome.refusal), null);
    } else {
      const requestId = this.#nextRequestId;
      this.#nextRequestId += 1;
      transfers.add(wish, leader, raft.currentTerm, requestId);
      if (!raft.forwardTransfer(now, requestId, wish.to)) transfers.dropped(requestId);
    }
    this.schedule();
  }

  /** The connection to a member is lost. */
  disconnected(member: MemberId): void {
    this.#parts.proposals.memberLost(member);
    this.tell((raft, now) => raft.peerUnreachable(now, member));
  }

  /** A connection to a member is open. */
  connected(member: MemberId): void {
    this.#blocked = false;
    this.tell((raft, now) => raft.peerConnected(now, member));
  }

  /** Anything else that the core is to be told. */
  tell(input: (raft: Raft, now: Micros) => void): void {
    input(this.#raft, this.#clock.now());
    this.schedule();
  }

  /** Who leads, and in which term: the same leader in a later term may have lost what it was asked before. */
  get leadership(): string {
    return `${this.#raft.currentTerm} ${this.#raft.leaderId ?? ""}`;
  }

  newRequestId(): number {
    const requestId = this.#nextRequestId;
    this.#nextRequestId += 1;
    return requestId;
  }

  onDurable(ticket: number): void {
    this.#outOfSpace = false;
    this.#raft.persisted(this.#clock.now(), ticket);
    this.schedule();
  }

  onError(error: DiskError, fatal: boolean): void {
    if (fatal) {
      this.#parts.fail(`the log can't be written: ${error.message}`);
      return;
    }
    if (!this.#outOfSpace)
      this.#parts.publish({ type: "warning", message: `the log can't be written and waits for space: ${error.message}` });
    this.#outOfSpace = true;
    this.tell((raft, now) => raft.stepDown(now, "no space for the log", true));
  }

  // ---- The turn ----

  #turn(): void {
    if (this.#stopped || this.#running) return;
    this.#running = true;
    try {
      this.#proposeWaiting();
      this.#askReads();
      this.#drain();
      this.#parts.flush();
      this.#setTimer();
      this.afterTurn?.();
    } catch (error) {
      this.#parts.fail(error instanceof Error ? error.message : String(error));
    } finally {
      this.#running = false;
    }
  }

  /** Takes output until there is none. Applying is the long part: past a share of it, the rest waits for the next turn. */
  #drain(): void {
    let applied = 0;
    for (;;) {
      const output = this.#raft.take();
      this.#handle(output);
      applied += output.committed.length;
      if (this.#stopped || !this.#raft.hasOutput) break;
      if (applied >= APPLIED_PER_TURN) {
        this.schedule();
        break;
      }
    }
    if (applied > 0) this.#snapshots?.considerTaking();
    if (this.#leaderNews) {
      this.#leaderNews = false;
      this.#blocked = false;
      if (this.#parts.proposals.hasWaiting || this.#parts.reads.hasUnasked) this.schedule();
    }
  }

  #handle(output: Output): void {
    this.#coreDeadline = output.deadline;
    for (const event of output.events) {
      this.#parts.publish(event);
      if (event.type === "invariantViolated") {
        this.#parts.fail(`an invariant is broken (${event.invariant}): ${event.detail}`);
        return;
      }
      if (event.type === "leaderChanged") {
        this.#parts.proposals.leaderLost(this.leadership, this.#clock.now() + this.#parts.electionMicros / 2);
        this.#leaderNews = true;
      }
      if (event.type === "transferEnded") this.#leaderNews = true;
      this.#parts.transfers.happened(event);
    }
    // Sending and the own write run side by side (dissertation 10.2.1), and the others' work begins first; what must wait for
    // the write is not among these messages, the core holds it.
    for (const envelope of output.messages) this.#sendOut(envelope);
    if (output.persist !== null) {
      if (output.messages.length > 0) this.#parts.flush();
      this.#log?.append(output.persist);
    }
    for (const response of output.changeResponses) this.#parts.changeAnswered(response);
    for (const response of output.proposeResponses)
      this.#placed(response.requestId, response.firstIndex, response.entryTerm, response.refusal);
    if (output.committed.length > 0) this.#apply(output.committed);
    for (const read of output.readsReady) this.#parts.reads.confirmed(read.id, read.index);
    for (const id of output.readsFailed) this.#parts.reads.failed(id);
    if (output.readsReady.length > 0) this.#parts.reads.applied(this.#raft.lastApplied);
    for (const request of output.snapshotReads) this.#snapshots?.readPiece(request);
    for (const request of output.snapshotWrites) this.#snapshots?.writePiece(request);
  }

  #sendOut({ to, message }: Envelope): void {
    if (this.#parts.send(to, message)) return;
    if (message.type === "ProposeRequest") {
      // It never left, so it can wait for the next leader or connection.
      this.#blocked = true;
      this.#parts.proposals.putBack(this.#parts.proposals.takeForwarded(message.requestId));
    } else if (message.type === "ChangeRequest") {
      this.#parts.changeNotSent(message.requestId);
    } else if (message.type === "TransferRequest") {
      this.#parts.transfers.dropped(message.requestId);
    } else if (this.#raft.transferTarget === to) {
      // Whoever can't be reached can't take over.
      this.#raft.peerUnreachable(this.#clock.now(), to);
    } else if (message.type === "AppendEntries" && this.#raft.progress.get(to)?.state === "replicate") {
      this.#raft.peerUnreachable(this.#clock.now(), to);
    }
  }

  #apply(entries: readonly Entry[]): void {
    const { host, proposals, reads } = this.#parts;
    host.apply(entries, (index, term, result, reply) => proposals.applied(index, term, result, reply));
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#raft.applied(this.#clock.now(), last.index);
    this.#parts.onApplied?.(entries);
    reads.applied(last.index);
  }

  // ---- Proposals and reads ----

  #proposeWaiting(): void {
    const { proposals } = this.#parts;
    while (!this.#blocked && proposals.hasWaiting && this.#raft.leaderId !== null && !this.#raft.failed) {
      const batch = proposals.takeWaiting(BATCH_COUNT, BATCH_BYTES);
      if (!(this.#raft.role === "leader" ? this.#proposeHere(batch) : this.#forward(batch))) return;
    }
  }

  #proposeHere(batch: readonly Proposal[]): boolean {
    const outcome = this.#raft.propose(
      this.#clock.now(),
      batch.map((proposal) => proposal.command),
      batch[0]?.entryType,
    );
    if (!("refusal" in outcome)) {
      this.#parts.proposals.placed(batch, outcome.firstIndex, outcome.term);
      return true;
    }
    this.#refused(batch, outcome.refusal);
    return !this.#blocked;
  }

  #forward(batch: Proposal[]): boolean {
    const leader = this.#raft.leaderId;
    const requestId = this.newRequestId();
    const commands = batch.map((proposal) => proposal.command);
    if (leader === null || !this.#raft.forward(this.#clock.now(), requestId, commands, batch[0]?.entryType)) {
      this.#parts.proposals.putBack(batch);
      return false;
    }
    this.#parts.proposals.forwarded(requestId, batch, leader, this.leadership);
    // Sent by the next take; if it is dropped there, the batch comes back.
    return true;
  }

  #refused(batch: readonly Proposal[], refusal: ProposeRefusal): void {
    const { proposals } = this.#parts;
    // While leadership moves commands are held, not failed: until there is another leader, or the old one goes on.
    if (refusal === "notLeader" || refusal === "transferring") {
      this.#blocked = true;
      proposals.putBack(batch);
    } else if (refusal === "overloaded") {
      proposals.refuse(
        batch,
        notExecuted("overloaded", "the leader has as much under way, not committed or not applied, as it may; try again shortly"),
      );
    } else {
      proposals.refuse(batch, notExecuted("tooLarge", "the leader refuses a command of this size (maxEntryBytes)"));
    }
  }

  /** The leader's answer to what was forwarded. */
  #placed(requestId: number, firstIndex: Index, entryTerm: number, refusal: ProposeRefusal | null): void {
    const { proposals } = this.#parts;
    const batch = proposals.takeForwarded(requestId);
    if (batch.length === 0) return;
    if (refusal !== null) {
      this.#refused(batch, refusal);
      return;
    }
    proposals.placed(batch, firstIndex, entryTerm);
    // Applied before its place was known (the answer came late): it is decided, but the result is gone.
    const already = Math.min(this.#raft.lastApplied, firstIndex + batch.length - 1);
    if (already >= firstIndex) proposals.skippedTo(already);
  }

  #askReads(): void {
    const { reads } = this.#parts;
    if (!reads.hasUnasked || this.#raft.leaderId === null || this.#raft.failed) return;
    const now = this.#clock.now();
    reads.ask(now, (id) => this.#raft.read(now, id));
  }

  // ---- Time ----

  #setTimer(): void {
    if (this.#stopped) return;
    const { proposals, reads } = this.#parts;
    let at = this.#coreDeadline ?? Number.MAX_SAFE_INTEGER;
    at = Math.min(at, proposals.nextExpiry, reads.nextExpiry, this.#parts.transfers.nextExpiry);
    if (proposals.hasWaiting) at = Math.min(at, this.#clock.now() + this.#parts.heartbeatMicros);
    if (reads.hasAsked || reads.hasUnasked) at = Math.min(at, this.#clock.now() + this.#parts.electionMicros / 2);
    if (this.#timer !== null) {
      // An earlier timer that fires for nothing is cheaper than setting one every turn.
      if (this.#timerAt <= at) return;
      this.#clock.clearTimer(this.#timer);
    }
    this.#timerAt = at;
    this.#timer = at === Number.MAX_SAFE_INTEGER ? null : this.#clock.setTimer(at, () => this.#onTimer(at));
  }

  /** Late is not dead (design law 8): after a pause, what arrived meanwhile is read before time is told to the core. */
  #onTimer(at: Micros): void {
    this.#timer = null;
    this.#timerAt = Number.MAX_SAFE_INTEGER;
    if (this.#stopped) return;
    const late = this.#clock.now() - at;
    if (late <= this.#parts.heartbeatMicros / 2) {
      this.#passTime();
      return;
    }
    this.#parts.publish({ type: "loopLate", byMs: Math.round(late / 1000) });
    if (late >= this.#parts.electionMicros)
      this.tell(
        (raft, now) =>
          raft.role === "leader" && raft.stepDown(now, "this process was paused for longer than an election timeout"),
      );
    this.#pollThenPassTime(MAX_POLL_PHASES);
  }

  #pollThenPassTime(phases: number): void {
    this.#parts.takeReadActivity();
    this.#clock.setImmediate(() => {
      if (this.#stopped) return;
      if (phases > 1 && this.#parts.takeReadActivity()) this.#pollThenPassTime(phases - 1);
      else this.#passTime();
    });
  }

  #passTime(): void {
    const now = this.#clock.now();
    const { proposals, reads } = this.#parts;
    this.#blocked = false;
    proposals.expire(now);
    reads.expire(now, readTimedOut);
    this.#parts.transfers.expire(now);
    reads.retry(now, this.#parts.electionMicros / 2);
    const stalledSince = this.#log?.oldestUnfinishedSince ?? null;
    if (stalledSince !== null && now - stalledSince >= this.#parts.electionMicros) {
      // A disk this slow must not lead, although its network is alive (etcd #15247).
      this.tell(
        (raft, when) =>
          raft.role === "leader" && raft.stepDown(when, "the disk has not finished a write for an election timeout", true),
      );
    }
    this.#raft.advance(now);
    this.#turn();
  }
}
