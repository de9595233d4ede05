/**
 * A server that has lost part of what it acknowledged (docs/corruption-repair.md; Alagappan and others, "Protocol-Aware
 * Recovery for Consensus-Based Storage", FAST 2018). Its disk told damage from a torn tail, its term and vote are known, and its
 * log is the part that can be vouched for. Until it is repaired it neither votes nor campaigns: whoever it would help to
 * win might lack a committed entry that nobody but this server and the dead has held. What it acknowledges meanwhile it
 * does hold, so that counts like any other acknowledgement; and who counts an acknowledgement of before the damage
 * counts on somebody who never votes as if the entry had not been there.
 *
 * Three ways lead back, each to a log that lacks nothing which is or may become committed by this server's word:
 * - *copied*: the names of the lost entries are known, and each was found with somebody. A name stands for one entry and for
 *   all before it (Log Matching), so this is the log of before, whoever gave the copies.
 * - *discarded*: a majority says that it does not have the first lost entry, in terms in which no leader of before can
 *   reach it any more: then neither it nor anything after it was or can be committed. Who has lost entries itself never says so.
 * - *led*: the durable log agrees with the present leader's up to where that one's ended when it was asked in this life.
 */
import { extendLog, readConfiguration } from "./append.js";
import type { Configuration } from "./configuration.js";
import type { EntryStatusRequest, EntryStatusResponse } from "./message.js";
import { send } from "./outbox.js";
import { announceProgress, becomeProbe, type Progress } from "./progress.js";
import { quorumValue, replicationTargets } from "./quorum.js";
import { becomeFollower, markHardStateDirty, resetElectionTimer } from "./role.js";
import { configurationOf, emit, type RaftState } from "./state.js";
import type { Entry, Index, LogItem, LogPosition, LostEntry, MemberId, Micros, Term } from "./types.js";

type Status = EntryStatusResponse["status"];

export interface Recovery {
  /** What followed the log before: whole entries and lost ones. Null: not known, or a leader's entries took their place. */
  remaining: LogItem[] | null;
  /** The disk still has lost entries, and what followed them, after the log's end. */
  onDisk: boolean;
  readonly startedAt: Micros;
  /** No acknowledgement of an earlier life was given in a later term than this. */
  readonly promisedTerm: Term;
  readonly firstRequestId: number;
  nextRequestId: number;
  /** What the others last said of the first lost entry, and in which term they were then. */
  readonly answers: Map<MemberId, { readonly status: Status; readonly term: Term }>;
  /** Where the log of the leader of a term ended when it was asked, in this life. */
  goal: LogPosition | null;
  /** How far this log agrees with the log of the leader of a term. */
  agreed: LogPosition;
  askedAt: Micros | null;
}

export function newRecovery(
  { remaining, firstRequestId }: { readonly remaining: readonly LogItem[] | null; readonly firstRequestId: number },
  promisedTerm: Term,
  startedAt: Micros,
): Recovery {
  return {
    startedAt,
    remaining: remaining === null ? null : [...remaining],
    onDisk: remaining !== null,
    promisedTerm,
    firstRequestId,
    nextRequestId: firstRequestId,
    answers: new Map(),
    goal: null,
    agreed: { index: 0, term: 0 },
    askedAt: null,
  };
}

function isLost(item: LogItem): item is LostEntry {
  return item.type === "lost";
}

/** The first entry that is still lost, of those whose names are known. */
export function firstLost({ remaining }: Recovery): LostEntry | null {
  return remaining?.find(isLost) ?? null;
}

// ---- Asking ----

/** No leader was heard for an election timeout: instead of a campaign. */
export function onRecoveryTimeout(state: RaftState, recovery: Recovery): void {
  resetElectionTimer(state);
  const lost = firstLost(recovery);
  // Worth a new term: in it the others can say for good that they do not have the entry.
  if (lost !== null && state.currentTerm <= recovery.promisedTerm && isAbsent(state, recovery, lost, 0))
    becomeFollower(state, state.currentTerm + 1, null, "a lost entry may be discarded in a new term");
  if (lost !== null) emit(state, { type: "recoveryWaits", ...positionOf(lost), answers: answersOf(recovery) });
  askEverybody(state, recovery);
}

function askEverybody(state: RaftState, recovery: Recovery): void {
  const lost = firstLost(recovery);
  const asked = new Set(replicationTargets(configurationOf(state)));
  if (lost !== null) for (const id of replicationTargets(configurationBelow(state, recovery, lost.index))) asked.add(id);
  for (const id of [...asked].sort()) if (id !== state.id) ask(state, recovery, id);
}

/** A leader was heard: it is asked, once a heartbeat, until its log is this one's. */
export function askLeader(state: RaftState, leader: MemberId): void {
  const { recovery } = state;
  if (recovery === null) return;
  if (recovery.askedAt !== null && state.now - recovery.askedAt < state.options.heartbeatIntervalMicros) return;
  ask(state, recovery, leader);
}

function ask(state: RaftState, recovery: Recovery, to: MemberId): void {
  recovery.askedAt = state.now;
  const { index, term: entryTerm } = firstLost(recovery) ?? { index: 0, term: 0 };
  const requestId = recovery.nextRequestId;
  recovery.nextRequestId += 1;
  const durableIndex = state.log.durableIndex;
  send(state, to, { type: "EntryStatusRequest", term: state.currentTerm, requestId, durableIndex, index, entryTerm });
}

// ---- Answering ----

/** Somebody asks for an entry that it has lost. `leaderAlive`: a leader is alive, so absence is not this server's to tell. */
export function handleEntryStatusRequest(
  state: RaftState,
  from: MemberId,
  message: EntryStatusRequest,
  leaderAlive: boolean,
): void {
  const { index, entryTerm, requestId } = message;
  const progress = state.leadership?.progress.get(from);
  if (progress !== undefined) {
    progress.lastContact = state.now;
    followerLost(state, progress, message.durableIndex);
  }
  const entry = entryOf(state, { index, term: entryTerm });
  const status = entry !== null ? "have" : canTell(state, index) ? "dontHave" : "haveFaulty";
  if (status === "dontHave" && leaderAlive && state.leadership === null) {
    emit(state, { type: "messageIgnored", from, message: message.type, reason: "leaderAlive" });
    return;
  }
  send(state, from, {
    type: "EntryStatusResponse",
    term: state.currentTerm,
    requestId,
    index,
    entryTerm,
    status,
    leading: state.leadership !== null,
    lastLogIndex: state.log.lastIndex,
    entry,
  });
}

/** The entry of this name: from the log, or from what is whole of a damaged one. A name stands for one entry, whoever has it. */
function entryOf({ log, recovery }: RaftState, { index, term }: LogPosition): Entry | null {
  const entry = log.entryAt(index) ?? recovery?.remaining?.find((item) => item.index === index) ?? null;
  return entry === null || isLost(entry) || entry.term !== term ? null : entry;
}

/** Who may have had it and can't give it, because it is lost here too or compacted, must not say that it is not there. */
function canTell({ log, recovery }: RaftState, index: Index): boolean {
  return recovery === null && index > log.start.index;
}

/** A follower holds less than it has acknowledged: what it held does not count any more. The commitIndex stays, it never falls. */
export function followerLost(state: RaftState, progress: Progress, durableIndex: Index): void {
  if (durableIndex >= progress.matchIndex) return;
  emit(state, { type: "followerRecovering", peer: progress.id, matchIndex: progress.matchIndex, durableIndex });
  progress.matchIndex = durableIndex;
  progress.sentCommit = 0;
  becomeProbe(progress, durableIndex + 1);
  announceProgress(state, progress);
  state.effects.replicate = true;
}

// ---- What the answers are worth ----

export function handleEntryStatusResponse(state: RaftState, from: MemberId, message: EntryStatusResponse): void {
  const { recovery } = state;
  // An answer to an earlier life tells where a leader was then, and entries were acknowledged since.
  if (recovery === null || message.requestId < recovery.firstRequestId || message.requestId >= recovery.nextRequestId) {
    emit(state, { type: "messageIgnored", from, message: message.type, reason: "staleResponse" });
    return;
  }
  if (message.leading && message.term === state.currentTerm && recovery.goal?.term !== message.term)
    recovery.goal = { index: message.lastLogIndex, term: message.term };
  const lost = firstLost(recovery);
  if (lost !== null && message.index === lost.index && message.entryTerm === lost.term) {
    const { entry, status, term } = message;
    // Of an earlier term: whoever said it may have heard of the entry since.
    if (status !== "have" && term === state.currentTerm) recovery.answers.set(from, { status, term });
    else if (entry !== null && fill(recovery, entry)) goOn(state, recovery);
    considerDiscarding(state);
  }
  considerLed(state);
}

/** Puts an entry in the place of the lost one of its name. */
function fill(recovery: Recovery, entry: Entry): boolean {
  const { remaining } = recovery;
  const place = remaining?.findIndex((item) => isLost(item) && item.index === entry.index && item.term === entry.term) ?? -1;
  if (remaining === null || place === -1) return false;
  if (entry.type === "configuration" && readConfiguration(entry) === null) return false;
  remaining[place] = entry;
  recovery.answers.clear();
  return true;
}

/** All found: the log is what it was. Otherwise the next one is asked for. */
function goOn(state: RaftState, recovery: Recovery): void {
  if (firstLost(recovery) === null) restore(state, recovery.remaining ?? [], "copied");
  else askEverybody(state, recovery);
}

/** A majority, of both sets in a joint configuration, does not have it, each in a term above `aboveTerm`. */
function isAbsent(state: RaftState, recovery: Recovery, lost: LostEntry, aboveTerm: Term): boolean {
  return (
    quorumValue(configurationBelow(state, recovery, lost.index), (id) => {
      const answer = recovery.answers.get(id);
      return answer?.status === "dontHave" && answer.term > aboveTerm ? 1 : 0;
    }) === 1
  );
}

/**
 * The configuration in force before the lost entry, in the log of before: whoever commits that entry, or one after it, needs a
 * majority of its voters, also when a change of configuration is among what is lost (a change that leaves them behind must be
 * committed by them first).
 */
function configurationBelow(state: RaftState, { remaining }: Recovery, index: Index): Configuration {
  let configuration = configurationOf(state);
  for (const item of remaining ?? []) {
    if (item.index >= index) break;
    if (item.type === "configuration") configuration = readConfiguration(item) ?? configuration;
  }
  return configuration;
}

function considerDiscarding(state: RaftState): void {
  const { recovery } = state;
  const lost = recovery === null ? null : firstLost(recovery);
  if (recovery === null || lost === null || !isAbsent(state, recovery, lost, recovery.promisedTerm)) return;
  restore(state, recovery.remaining?.filter(({ index }) => index < lost.index) ?? [], "discarded");
}

/** In one batch with the word that this server is whole: both are durable, or neither is and the damage is found again. */
function restore(state: RaftState, items: readonly LogItem[], how: "copied" | "discarded"): void {
  const entries = items.filter((item): item is Entry => !isLost(item));
  extendLog(state, entries, "entriesRestored");
  end(state, how);
}

function end(state: RaftState, how: "copied" | "discarded" | "led"): void {
  const { recovery } = state;
  // A lease that was given before the start may still run, and that leases are on may only be known now (design law 9).
  if (recovery !== null && configurationOf(state).leases)
    state.silentUntil = Math.max(state.silentUntil, recovery.startedAt + state.options.electionTimeoutMicros);
  // Entries that were written in the place of the first lost one, or below, have removed what followed it from the disk too.
  if (how !== "copied" && recovery?.onDisk === true) state.persistence.rewrite = true;
  state.recovery = null;
  // Votes wait until it is durable.
  markHardStateDirty(state);
  emit(state, { type: "recovered", how, lastIndex: state.log.lastIndex });
}

// ---- Under a leader ----

/** The leader's entries may hold what is lost. */
export function fillFromLeader(state: RaftState, entries: readonly Entry[]): void {
  const { recovery } = state;
  if (recovery === null || recovery.remaining === null) return;
  let found = false;
  for (const entry of entries) found = fill(recovery, entry) || found;
  if (found && firstLost(recovery) === null) goOn(state, recovery);
}

/**
 * The leader puts something else, or the same anew, in the place of what remained: from now on only its word can end this.
 * `onDisk`: on the disk the lost entries are still there.
 */
export function leaderReplaces(state: RaftState, onDisk = false): void {
  const { recovery } = state;
  if (recovery === null) return;
  recovery.remaining = null;
  recovery.onDisk &&= onDisk;
  recovery.answers.clear();
}

/** The log up to `index` is the leader's of this term. */
export function agreesWithLeader(state: RaftState, index: Index): void {
  const { recovery, currentTerm } = state;
  if (recovery === null) return;
  if (recovery.agreed.term !== currentTerm || recovery.agreed.index < index) recovery.agreed = { index, term: currentTerm };
  considerLed(state);
}

/**
 * The leader was asked in this life, in this term: its log then held everything committed in earlier terms (Leader Completeness),
 * and everything of its own term that this server ever acknowledged.
 */
export function considerLed(state: RaftState): void {
  const { recovery, currentTerm, log } = state;
  const goal = recovery?.goal ?? null;
  if (recovery === null || goal === null || goal.term !== currentTerm || recovery.agreed.term !== currentTerm) return;
  if (Math.min(recovery.agreed.index, log.durableIndex) >= goal.index) end(state, "led");
}

// ---- Looking ----

/** For people: what is still missing, and who said what. */
export interface RecoveryStatus {
  /** The first entry that is lost, if its name is known. */
  readonly lost: LogPosition | null;
  readonly answers: readonly { readonly member: MemberId; readonly status: Status }[];
}

export function recoveryStatus({ recovery }: RaftState): RecoveryStatus | null {
  if (recovery === null) return null;
  const lost = firstLost(recovery);
  return { lost: lost === null ? null : positionOf(lost), answers: answersOf(recovery) };
}

function answersOf({ answers }: Recovery): RecoveryStatus["answers"] {
  return [...answers].map(([member, { status }]) => ({ member, status })).sort((a, b) => (a.member < b.member ? -1 : 1));
}

function positionOf({ index, term }: LogPosition): LogPosition {
  return { index, term };
}
