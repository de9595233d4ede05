/**
 * The door of the core. One synchronous class: inputs are method calls, each with the present time; effects are data,
 * taken with `take()` once after a burst of inputs. No I/O, no timers, no promises, nothing random but what it is given:
 * the same inputs give the same outputs, byte for byte.
 *
 * Time passes only in `advance`: the time given with other inputs is a stamp, it fires nothing (design law 8).
 */
import { type ProposeRefusal, proposeCommands, readConfiguration } from "./append.js";
import { advanceCommit, recordApplied, takeCommitted } from "./commit.js";
import type { Configuration, MemberRecord } from "./configuration.js";
import { checkQuorum, countOwnVote, mayCampaign, onElectionTimeout, quorumHeardAt } from "./election.js";
import { receive } from "./handlers.js";
import { broadcastHeartbeat } from "./heartbeat.js";
import { checkIndexes } from "./index-order.js";
import { InvariantViolation } from "./invariants.js";
import { peerRefused, peerRestarted } from "./leader-gone.js";
import { leaseEnd, leaseHolds, readByLease, usesLeases } from "./lease.js";
import { RaftLog } from "./log.js";
import { announceCommitted, changeMembership, type MembershipOutcome, reachable, settleMembership } from "./membership.js";
import type { MembershipChange } from "./membership-change.js";
import type { Message } from "./message.js";
import { checkOptions, type RaftOptions } from "./options.js";
import { releaseHeld, send } from "./outbox.js";
import type { Envelope, Output, PersistBatch, SnapshotMetadata } from "./output.js";
import type { Progress } from "./progress.js";
import { replicationTargets } from "./quorum.js";
import { addRead, confirmReads, forwardRead, startReadRound } from "./read.js";
import { considerLed, followerLost, newRecovery, type RecoveryStatus, recoveryStatus } from "./recovery.js";
import { peerLost, replicate } from "./replication.js";
import { becomeFollower, resetElectionTimer } from "./role.js";
import {
  compact,
  configurationAt,
  pieceRead,
  pieceWritten,
  snapshotInstalled,
  snapshotRejected,
  snapshotTaken,
} from "./snapshot.js";
import {
  type ConfigurationAt,
  configurationOf,
  type Effects,
  emit,
  isListed,
  latestConfiguration,
  lists,
  type RaftState,
} from "./state.js";
import { expireTransfer, forwardTransfer, isTransferring, type TransferRefusal, transferLeadership } from "./transfer.js";
import type { Entry, HardState, Index, LogItem, LogPosition, MemberId, Micros, ProposedType, Role, Term } from "./types.js";

/** What a server starts from: everything a disk gave back. */
export interface RaftStart {
  readonly id: MemberId;
  readonly options?: Partial<RaftOptions>;
  /** 32 random bits a call; draws election timeouts. */
  readonly random: () => number;
  readonly now: Micros;
  readonly hardState: HardState;
  /** The newest snapshot; for a fresh server index 0 and the founding configuration. */
  readonly snapshot: SnapshotMetadata;
  /** The position before the first entry. At most the snapshot's. */
  readonly logStart: LogPosition;
  readonly entries: readonly Entry[];
  /** The snapshot is newer than the log on the disk: the log must be begun anew there too, with the first batch. */
  readonly logReset?: boolean;
  /** The disk lost something: what followed `entries`, if known, and the first of this life's numbers for questions. */
  readonly recovering?: { readonly remaining: readonly LogItem[] | null; readonly firstRequestId: number };
}

export class Raft {
  readonly #state: RaftState;

  /** Throws a RangeError for an option out of range and an InvariantViolation for a start that can't be. */
  constructor(start: RaftStart) {
    this.#state = createState(start);
    checkIndexes(this.#state);
  }

  // ---- Inputs ----

  /** Time has passed: fires what is due. The only input that does. */
  advance(now: Micros): void {
    this.#enter(now, (state) => {
      if (state.role === "leader") {
        if (state.leadership !== null && now >= state.leadership.quorumCheckAt) checkQuorum(state);
        expireTransfer(state);
        if (state.role === "leader" && now >= state.heartbeatDeadline) broadcastHeartbeat(state);
      } else if (now >= state.electionDeadline) {
        onElectionTimeout(state);
      }
    });
  }

  /** A message arrived. Never throws, whatever the message says. */
  receive(now: Micros, from: MemberId, message: Message): void {
    this.#enter(now, (state) => receive(state, from, message));
  }

  /** Appends commands, all or none, if this server leads. They are committed, or not, later: watch (index, term). */
  propose(
    now: Micros,
    commands: readonly Uint8Array[],
    type: ProposedType = "command",
  ): { readonly firstIndex: Index; readonly term: Term } | { readonly refusal: ProposeRefusal } {
    return this.#enter(now, (state) => proposeCommands(state, commands, type)) ?? { refusal: "notLeader" };
  }

  /** Hands commands to the leader. False: none is known, nothing was sent. The answer comes in `proposeResponses`. */
  forward(now: Micros, requestId: number, commands: readonly Uint8Array[], entryType: ProposedType = "command"): boolean {
    return (
      this.#enter(now, (state) => {
        if (state.leaderId === null || state.leaderId === state.id) return false;
        send(state, state.leaderId, { type: "ProposeRequest", term: state.currentTerm, requestId, entryType, commands });
        return true;
      }) ?? false
    );
  }

  /** Asks for a linearizable read; `id` must be new. Ends up in `readsReady` or `readsFailed` unless it is refused here. */
  read(now: Micros, id: number): "accepted" | "notLeader" | "overloaded" {
    return (
      this.#enter(now, (state) => (state.role === "leader" ? addRead(state, null, id) : forwardRead(state, id))) ?? "notLeader"
    );
  }

  /**
   * A linearizable read without a message, if this server leads and holds a lease: the index at or after which the state
   * answers it. Null: ask with `read`. Ask `leaseHolds` again when the state was looked at.
   */
  readByLease(now: Micros, id: number): Index | null {
    return this.#enter(now, (state) => readByLease(state, id));
  }

  /** Whether the lease still runs, so that what was read meanwhile may be answered. */
  leaseHolds(now: Micros): boolean {
    return this.#enter(now, leaseHolds) ?? false;
  }

  /**
   * Changes the members, if this server leads. In force at once, committed later: watch configurationCommitted. A change with
   * new voters goes on by itself until they vote. `expectedIndex`: only if the newest configuration is the one at that index.
   */
  changeMembership(now: Micros, change: MembershipChange, expectedIndex: Index | null = null): MembershipOutcome {
    return this.#enter(now, (state) => changeMembership(state, change, expectedIndex)) ?? { refusal: "notLeader" };
  }

  /** Hands a change to the leader. False: none is known, nothing was sent. The answer comes in `changeResponses`. */
  forwardChange(now: Micros, requestId: number, change: MembershipChange, expectedIndex: Index | null): boolean {
    return (
      this.#enter(now, (state) => {
        if (state.leaderId === null || state.leaderId === state.id) return false;
        send(state, state.leaderId, { type: "ChangeRequest", term: state.currentTerm, requestId, change, expectedIndex });
        return true;
      }) ?? false
    );
  }

  /** Every batch up to `ticket` is durable. Tickets complete in order; one that is repeated changes nothing. */
  persisted(now: Micros, ticket: number): void {
    this.#enter(now, (state) => {
      const { persistence } = state;
      if (ticket <= persistence.completedTicket || ticket >= persistence.nextTicket) return;
      persistence.completedTicket = ticket;
      if (state.log.completed(ticket)) emit(state, { type: "entriesDurable", durableIndex: state.log.durableIndex });
      releaseHeld(state);
      considerLed(state);
      countOwnVote(state);
      advanceCommit(state);
    });
  }

  /** The state machine applied every delivered entry up to `index`. */
  applied(now: Micros, index: Index): void {
    this.#enter(now, (state) => recordApplied(state, index));
  }

  /** Campaigns without waiting for the timer, if this server is a voter that follows nobody. */
  campaign(now: Micros): void {
    this.#enter(now, (state) => {
      if (state.role === "follower" && state.leaderId === null && mayCampaign(state)) onElectionTimeout(state);
    });
  }

  /**
   * Begins to hand leadership over to `target`, or to the best voter when it is null. What comes of it is told by the events
   * `leaderChanged` and `transferEnded`; until then `propose` answers "transferring".
   */
  transferLeadership(
    now: Micros,
    target: MemberId | null,
  ): { readonly target: MemberId } | { readonly refusal: TransferRefusal } {
    return this.#enter(now, (state) => transferLeadership(state, target)) ?? { refusal: "notLeader" };
  }

  /** Hands such a wish to the leader. False: none is known. A refusal comes as the event `transferAnswered`. */
  forwardTransfer(now: Micros, requestId: number, target: MemberId | null): boolean {
    return this.#enter(now, (state) => forwardTransfer(state, requestId, target)) ?? false;
  }

  /**
   * Gives up leadership, or a campaign; the driver's answer to a stalled disk or a late loop. `handsOver`: if a voter has all of
   * the log it is told to campaign, so that the others need not wait for a timeout.
   */
  stepDown(now: Micros, reason: string, handsOver = false): void {
    this.#enter(now, (state) => {
      if (handsOver && state.role === "leader") transferLeadership(state, null);
      if (state.role !== "follower") becomeFollower(state, state.currentTerm, null, reason);
    });
  }

  /** What was under way to this member is lost, or may be. */
  peerUnreachable(now: Micros, id: MemberId): void {
    this.#enter(now, (state) => peerLost(state, id));
  }

  /** The connection to this member was lost and another one is refused: nobody listens there any more. A hint, no proof. */
  peerRefused(now: Micros, id: MemberId): void {
    this.#enter(now, (state) => peerRefused(state, id));
  }

  /** This member has shaken hands in a later life than before: the earlier one has ended. */
  peerRestarted(now: Micros, id: MemberId): void {
    this.#enter(now, (state) => peerRestarted(state, id));
  }

  /** A connection to this member is open: what waits for it can go at once. */
  peerConnected(now: Micros, id: MemberId): void {
    this.#enter(now, (state) => {
      const progress = state.leadership?.progress.get(id);
      if (progress === undefined) return;
      progress.probeSentAt = null;
      state.effects.replicate = true;
    });
  }

  /**
   * What a member says of itself when it connects: its log, and its priority. A log that is shorter than what it acknowledged
   * means that its disk went back in time.
   */
  peerLog(now: Micros, id: MemberId, durableIndex: Index, recovering: boolean, priority = 1): void {
    this.#enter(now, (state) => {
      // Only of members, so that strangers do not add up.
      for (const known of state.priorities.keys())
        if (!replicationTargets(configurationOf(state)).includes(known)) state.priorities.delete(known);
      if (replicationTargets(configurationOf(state)).includes(id)) state.priorities.set(id, priority);
      const progress = state.leadership?.progress.get(id);
      if (progress === undefined || durableIndex >= progress.matchIndex) return;
      if (recovering) followerLost(state, progress, durableIndex);
      else emit(state, { type: "durableRegressed", peer: id, matchIndex: progress.matchIndex, durableIndex });
    });
  }

  /** A snapshot of this node's own is durable. */
  snapshotTaken(now: Micros, metadata: SnapshotMetadata): void {
    this.#enter(now, (state) => snapshotTaken(state, metadata));
  }

  /** Forgets entries up to `index`, at most up to the snapshot. Returns where the log now starts. */
  compact(now: Micros, index: Index): LogPosition {
    this.#enter(now, (state) => compact(state, index));
    return this.#state.log.start;
  }

  /** Answer to a SnapshotReadRequest. `data` null: it can't be read. */
  snapshotChunkRead(
    now: Micros,
    to: MemberId,
    lastIncludedIndex: Index,
    offset: number,
    data: Uint8Array | null,
    done: boolean,
  ): void {
    this.#enter(now, (state) => pieceRead(state, to, lastIncludedIndex, offset, data, done));
  }

  /** Answer to a SnapshotWriteRequest that was not the last: the next piece begins at `nextOffset`. */
  snapshotChunkWritten(now: Micros, lastIncludedIndex: Index, lastIncludedTerm: Term, nextOffset: number): void {
    this.#enter(now, (state) => pieceWritten(state, lastIncludedIndex, lastIncludedTerm, nextOffset));
  }

  /** Answer to the last SnapshotWriteRequest: it is whole, valid and durable. True: it is in force, swap the state machine. */
  snapshotInstalled(now: Micros, metadata: SnapshotMetadata): boolean {
    return this.#enter(now, (state) => snapshotInstalled(state, metadata)) ?? false;
  }

  /** Answer to a SnapshotWriteRequest whose bytes are not valid or could not be written. */
  snapshotRejected(now: Micros, lastIncludedIndex: Index, lastIncludedTerm: Term): void {
    this.#enter(now, (state) => snapshotRejected(state, lastIncludedIndex, lastIncludedTerm));
  }

  // ---- Output ----

  /** Everything to be done now. Each effect is given once. */
  take(): Output {
    const state = this.#state;
    const gathered = this.#enter(state.now, gather);
    const { effects } = state;
    if (gathered === null) {
      const { events } = effects;
      state.effects = noEffects();
      state.outbox.ready = [];
      return { ...EMPTY_OUTPUT, events };
    }
    const messages = state.outbox.ready.length === 0 ? NO_MESSAGES : state.outbox.ready;
    if (messages.length > 0) state.outbox.ready = [];
    const output: Output = {
      persist: gathered.persist,
      messages,
      committed: gathered.committed,
      readsReady: effects.readsReady,
      readsFailed: effects.readsFailed,
      proposeResponses: effects.proposeResponses,
      changeResponses: effects.changeResponses,
      snapshotReads: effects.snapshotReads,
      snapshotWrites: effects.snapshotWrites,
      events: effects.events,
      deadline: deadlineOf(state),
    };
    state.effects = noEffects();
    return output;
  }

  // ---- Looking ----

  get id(): MemberId {
    return this.#state.id;
  }
  get currentTerm(): Term {
    return this.#state.currentTerm;
  }
  get votedFor(): MemberId | null {
    return this.#state.votedFor;
  }
  get role(): Role {
    return this.#state.role;
  }
  get leaderId(): MemberId | null {
    return this.#state.leaderId;
  }
  get commitIndex(): Index {
    return this.#state.commitIndex;
  }
  get lastApplied(): Index {
    return this.#state.lastApplied;
  }
  get lastLogIndex(): Index {
    return this.#state.log.lastIndex;
  }
  get lastLogTerm(): Term {
    return this.#state.log.lastTerm;
  }
  get durableIndex(): Index {
    return this.#state.log.durableIndex;
  }
  get logStart(): LogPosition {
    return this.#state.log.start;
  }
  get snapshot(): SnapshotMetadata {
    return this.#state.snapshot;
  }
  /** The configuration in force. */
  get configuration(): Configuration {
    return configurationOf(this.#state);
  }
  /** The index of the entry that made the configuration in force. */
  get configurationIndex(): Index {
    return latestConfiguration(this.#state).index;
  }
  /** Whether a configuration that this log still knows lists this server. */
  get wasMember(): boolean {
    return isListed(this.#state);
  }
  /** Whether a configuration that this log still knows, and that is committed as far as this server knows, lists it. */
  get wasCommittedMember(): boolean {
    const { configurations, commitIndex, id } = this.#state;
    return configurations.some((each) => each.index <= commitIndex && lists(each, id));
  }
  /** Who must be reached: the members, those that are members until a change is committed, and those that are told that they left. */
  get reachable(): readonly MemberRecord[] {
    return reachable(this.#state);
  }
  /** The configuration in force at `index`, which a snapshot at that index must carry. */
  configurationAt(index: Index): ConfigurationAt {
    return configurationAt(this.#state, index);
  }
  /** When the leader was last heard; null: none is known. On a leader: when a quorum last answered it. */
  get leaderHeardAt(): Micros | null {
    const { leaderId, leaderHeardAt } = this.#state;
    return quorumHeardAt(this.#state) ?? (leaderId === null ? null : leaderHeardAt);
  }
  /** Until when reads may be answered from the lease, unless it ends before; null: there is none. */
  get leaseUntil(): Micros | null {
    const state = this.#state;
    const end = usesLeases(state) ? leaseEnd(state) : Number.NEGATIVE_INFINITY;
    return end > state.now ? end : null;
  }
  /** Leadership is being handed over. */
  get transferring(): boolean {
    return isTransferring(this.#state);
  }
  /** … and to whom. */
  get transferTarget(): MemberId | null {
    return this.#state.leadership?.transfer?.target ?? null;
  }
  /** What was lost and is not repaired yet; null: this server is whole. */
  get recovering(): RecoveryStatus | null {
    return recoveryStatus(this.#state);
  }
  get failed(): boolean {
    return this.#state.failed;
  }
  termAt(index: Index): Term | null {
    return this.#state.log.termAt(index);
  }
  entryAt(index: Index): Entry | null {
    return this.#state.log.entryAt(index);
  }
  /** nextIndex, matchIndex and the rest, while leading; otherwise empty. */
  get progress(): ReadonlyMap<MemberId, Readonly<Progress>> {
    return this.#state.leadership?.progress ?? NO_PROGRESS;
  }
  /** True when `take` would give something besides a deadline. */
  get hasOutput(): boolean {
    const { effects, outbox, persistence, log } = this.#state;
    return (
      outbox.ready.length > 0 ||
      effects.events.length > 0 ||
      effects.replicate ||
      persistence.hardStateDirty ||
      persistence.unsavedFrom <= log.lastIndex ||
      effects.readsReady.length > 0 ||
      effects.readsFailed.length > 0 ||
      effects.proposeResponses.length > 0 ||
      effects.changeResponses.length > 0 ||
      effects.snapshotReads.length > 0 ||
      effects.snapshotWrites.length > 0 ||
      (Math.min(this.#state.commitIndex, log.durableIndex) > this.#state.deliveredIndex && this.#state.unappliedBytes === 0)
    );
  }

  /** Runs one input. A broken invariant ends everything: one event, and nothing more, ever (design law 3). */
  #enter<T>(now: Micros, body: (state: RaftState) => T): T | null {
    const state = this.#state;
    if (state.failed) return null;
    if (now > state.now) state.now = now;
    try {
      return body(state);
    } catch (error) {
      if (!(error instanceof InvariantViolation)) throw error;
      state.failed = true;
      state.outbox.held = [];
      emit(state, { type: "invariantViolated", invariant: error.invariant, detail: error.detail });
      return null;
    }
  }
}

const NO_PROGRESS: ReadonlyMap<MemberId, Progress> = new Map();

const NO_MESSAGES: readonly Envelope[] = [];

const EMPTY_OUTPUT: Output = {
  persist: null,
  messages: [],
  committed: [],
  readsReady: [],
  readsFailed: [],
  proposeResponses: [],
  changeResponses: [],
  snapshotReads: [],
  snapshotWrites: [],
  events: [],
  deadline: null,
};

function noEffects(): Effects {
  return {
    events: [],
    readsReady: [],
    readsFailed: [],
    proposeResponses: [],
    changeResponses: [],
    snapshotReads: [],
    snapshotWrites: [],
    replicate: false,
  };
}

/** What a turn leaves to be done, in the order of what follows from what. */
function gather(state: RaftState): { readonly persist: PersistBatch | null; readonly committed: readonly Entry[] } {
  settleMembership(state);
  if (startReadRound(state)) {
    broadcastHeartbeat(state);
    confirmReads(state);
  }
  if (state.effects.replicate) {
    state.effects.replicate = false;
    replicate(state);
  }
  const persist = takeBatch(state);
  const committed = takeCommitted(state);
  announceCommitted(state);
  checkIndexes(state);
  return { persist, committed };
}

/** Everything that must become durable with this turn, as one batch; null when there is nothing. */
function takeBatch(state: RaftState): PersistBatch | null {
  const { persistence, log } = state;
  if (persistence.rewrite) {
    persistence.rewrite = false;
    persistence.logStart = { position: log.start, keepSuffix: false };
    persistence.unsavedFrom = log.firstIndex;
  }
  const hasEntries = persistence.unsavedFrom <= log.lastIndex;
  if (!persistence.hardStateDirty && !hasEntries && persistence.logStart === null) return null;
  const { currentTerm, votedFor, commitIndex } = state;
  const hardState: HardState = { currentTerm, votedFor, commitIndex };
  const batch: PersistBatch = {
    ticket: persistence.nextTicket,
    hardState: state.recovery === null ? hardState : { ...hardState, recovering: true },
    hardStateChanged: persistence.hardStateDirty,
    logStart: persistence.logStart,
    entries: hasEntries ? log.slice(persistence.unsavedFrom, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER) : [],
  };
  persistence.nextTicket += 1;
  persistence.hardStateDirty = false;
  persistence.logStart = null;
  persistence.unsavedFrom = log.lastIndex + 1;
  return batch;
}

function deadlineOf(state: RaftState): Micros {
  const { leadership } = state;
  if (leadership === null) return state.electionDeadline;
  return Math.min(state.heartbeatDeadline, leadership.quorumCheckAt, leadership.transfer?.endsAt ?? state.heartbeatDeadline);
}

function createState(start: RaftStart): RaftState {
  const { hardState, snapshot } = start;
  const log = new RaftLog(start.logStart, start.entries);
  const options = checkOptions(start.options ?? {});
  const configurations = configurationsIn(start);
  // Everything in a snapshot is committed; the hint is only believed as far as the log reaches.
  const commitIndex = Math.max(snapshot.lastIncludedIndex, Math.min(hardState.commitIndex, log.lastIndex));
  const state: RaftState = {
    id: start.id,
    options,
    random: start.random,
    currentTerm: hardState.currentTerm,
    votedFor: hardState.votedFor,
    log,
    commitIndex,
    lastApplied: snapshot.lastIncludedIndex,
    deliveredIndex: snapshot.lastIncludedIndex,
    unappliedBytes: 0,
    role: "follower",
    leaderId: null,
    leaderOfTerm: null,
    campaign: null,
    leadership: null,
    configurations,
    committedConfigurationIndex: configurations.findLast(({ index }) => index <= commitIndex)?.index ?? 0,
    removedAt: null,
    snapshot,
    receiving: null,
    forwardedReads: new Set(),
    arrivals: new Map(),
    priorities: new Map(),
    now: start.now,
    electionDeadline: start.now,
    heartbeatDeadline: start.now,
    leaderHeardAt: null,
    leaderGone: null,
    leasePromise: null,
    silentUntil: start.now,
    readRound: 0,
    recovery: start.recovering === undefined ? null : newRecovery(start.recovering, hardState.currentTerm, start.now),
    outbox: { ready: [], held: [] },
    persistence: {
      nextTicket: 1,
      completedTicket: 0,
      hardStateDirty: false,
      hardStateTicket: 0,
      unsavedFrom: log.lastIndex + 1,
      logStart: start.logReset === true ? { position: start.logStart, keepSuffix: false } : null,
      rewrite: false,
    },
    effects: noEffects(),
    failed: false,
  };
  // Restart forgets what was heard (design law 9): a lease may still run that was given before.
  if (state.currentTerm > 0 && configurationOf(state).leases) state.silentUntil = start.now + options.electionTimeoutMicros;
  resetElectionTimer(state);
  return state;
}

/** The snapshot's configuration and every one in the log above it, committed or not (dissertation section 4.1). */
function configurationsIn(start: RaftStart): ConfigurationAt[] {
  const { snapshot } = start;
  const found: ConfigurationAt[] = [{ index: snapshot.configurationIndex, configuration: snapshot.configuration }];
  for (const entry of start.entries) {
    if (entry.type !== "configuration" || entry.index <= snapshot.lastIncludedIndex) continue;
    const configuration = readConfiguration(entry);
    if (configuration === null) throw new InvariantViolation("configurations in the log are valid", `entry ${entry.index}`);
    found.push({ index: entry.index, configuration });
  }
  return found;
}
