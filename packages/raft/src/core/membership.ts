/**
 * Changes of the members (Raft section 6; dissertation chapter 4). Joint consensus is the only path by which voters change,
 * for one member as for all of them: C_old,new, in which every decision needs both majorities, then C_new by itself.
 *
 * New voters begin as learners. What was asked for is *staged* in the configuration until they have caught up (in rounds,
 * dissertation section 4.2.1); then the whole change becomes joint at once. All of that is in the log, so a change goes on
 * over changes of the leader: whoever leads takes the next step when the last one is committed.
 *
 * A change is refused until an entry of this term is committed, while another one is not finished, while leadership moves,
 * and when the configuration is not the one that the asker saw. Each refusal has its own name.
 */
import { appendAsLeader } from "./append.js";
import { advanceCommit } from "./commit.js";
import type { Configuration, MemberRecord, StagedChange } from "./configuration.js";
import { encodeConfiguration } from "./configuration-codec.js";
import { changed, joint, leftJoint, type MembershipChange, type MembershipRefusal } from "./membership-change.js";
import type { ChangeRequest } from "./message.js";
import { send } from "./outbox.js";
import type { Progress } from "./progress.js";
import { isJoint, isVoter, quorumValue } from "./quorum.js";
import { confirmReads } from "./read.js";
import { replicate } from "./replication.js";
import { becomeFollower } from "./role.js";
import { type ConfigurationAt, emit, latestConfiguration, lists, type RaftState } from "./state.js";
import { isTransferring, transferLeadership } from "./transfer.js";
import type { Index, MemberId, Term } from "./types.js";

export type MembershipOutcome = { readonly index: Index; readonly term: Term } | { readonly refusal: MembershipRefusal };

/** How many election timeouts a leader goes on telling a removed member that it was removed. */
const FAREWELL_TIMEOUTS = 10;

/** Appends a change, which is in force at once (dissertation section 4.1), or says why not. */
export function changeMembership(state: RaftState, change: MembershipChange, expectedIndex: Index | null): MembershipOutcome {
  const { leadership } = state;
  if (state.role !== "leader" || leadership === null) return { refusal: "notLeader" };
  const latest = latestConfiguration(state);
  if (state.commitIndex < leadership.firstIndexOfTerm) return { refusal: "termNotCommitted" };
  if (latest.index > state.commitIndex || isJoint(latest.configuration)) return { refusal: "changePending" };
  if (isTransferring(state)) return { refusal: "transferring" };
  if (expectedIndex !== null && expectedIndex !== latest.index) return { refusal: "configurationMoved" };
  const next = changed(latest.configuration, change);
  return typeof next === "string" ? { refusal: next } : { index: appendConfiguration(state, next), term: state.currentTerm };
}

/** Another member handed a change on. */
export function handleChangeRequest(state: RaftState, from: MemberId, message: ChangeRequest): void {
  const outcome = changeMembership(state, message.change, message.expectedIndex);
  const { requestId } = message;
  const term = state.currentTerm;
  if ("refusal" in outcome) refuseChange(state, from, message, outcome.refusal);
  else
    send(state, from, { type: "ChangeResponse", term, requestId, index: outcome.index, entryTerm: outcome.term, refusal: null });
}

export function refuseChange(
  state: RaftState,
  from: MemberId,
  { requestId }: ChangeRequest,
  refusal: MembershipRefusal = "notLeader",
): void {
  send(state, from, { type: "ChangeResponse", term: state.currentTerm, requestId, index: 0, entryTerm: 0, refusal });
}

function appendConfiguration(state: RaftState, configuration: Configuration): Index {
  return appendAsLeader(state, [{ type: "configuration", data: encodeConfiguration(configuration) }]);
}

// ---- The leader's part: carrying a change on ----

/** Called once a turn: whatever step of a change is due is taken. */
export function settleMembership(state: RaftState): void {
  const { leadership } = state;
  if (leadership === null) return;
  if (leadership.recount) {
    leadership.recount = false;
    advanceCommit(state);
    confirmReads(state);
  }
  dropDeparted(state);
  if (leadership.leaving) return giveWay(state);
  // The target has, or will have, all of this leader's log: nothing is added to it, the next leader goes on.
  if (isTransferring(state)) return;
  const { index, configuration } = latestConfiguration(state);
  // Nothing follows from a configuration that is not committed, or may not be (pitfalls, rule 27).
  if (index > state.commitIndex || state.commitIndex < leadership.firstIndexOfTerm) return;
  if (isJoint(configuration)) {
    appendConfiguration(state, leftJoint(configuration));
  } else if (!isVoter(configuration, state.id)) {
    giveWay(state);
  } else if (configuration.staged !== null && haveCaughtUp(state, configuration.staged)) {
    const next = joint(configuration, configuration.staged);
    if (isHeard(state, next)) appendConfiguration(state, next);
  }
}

/**
 * Whether quorums of the old and of the new voters answer. A joint configuration that can't be committed can't be taken back
 * either, and nothing is committed until enough of its voters are there.
 */
function isHeard(state: RaftState, configuration: Configuration): boolean {
  const heard = quorumValue(configuration, (id) =>
    id === state.id ? state.now : (state.leadership?.progress.get(id)?.lastContact ?? 0),
  );
  return state.now - heard < state.options.electionTimeoutMicros;
}

/**
 * It led until the configuration without it was committed, and told the others so (dissertation section 4.2.2). It leads on
 * until somebody has all of its log, which under load takes a moment in which commands wait; that one is told to campaign, so
 * that nobody waits for a timeout. It tries this once.
 */
function giveWay(state: RaftState): void {
  const { leadership } = state;
  if (leadership === null) return;
  if (!leadership.leaving) {
    leadership.leaving = true;
    replicate(state);
    transferLeadership(state, null);
  }
  if (leadership.transfer !== null && !leadership.transfer.told) return;
  becomeFollower(state, state.currentTerm, null, "it is no voter any more");
}

/** Who left was told so (it answered after it was sent the commit of its leaving), or could not be told for long enough. */
function dropDeparted(state: RaftState): void {
  const { leadership, options } = state;
  if (leadership === null) return;
  for (const [id, { farewell, matchIndex, sentCommit, lastContact }] of leadership.progress) {
    if (farewell === null) continue;
    if (farewell.toldAt === null && matchIndex >= farewell.index && sentCommit >= farewell.index) farewell.toldAt = state.now;
    const told = farewell.toldAt !== null && lastContact > farewell.toldAt;
    if (!told && state.now - farewell.since < FAREWELL_TIMEOUTS * options.electionTimeoutMicros) continue;
    leadership.progress = new Map([...leadership.progress].filter(([other]) => other !== id));
    emit(state, { type: "farewellEnded", peer: id, told });
  }
}

/**
 * Catch-up in rounds: a round is as many entries as the log had when it began. A learner is close enough while a round takes
 * it less than an election timeout, so that the entries which came meanwhile do not hold up a commit for longer than a change
 * of the leader would. While a change waits for another learner the rounds go on, because this one may fall behind again.
 */
function haveCaughtUp(state: RaftState, { promote }: StagedChange): boolean {
  let all = true;
  for (const id of promote) {
    const progress = state.leadership?.progress.get(id);
    if (progress === undefined || !hasCaughtUp(state, progress)) all = false;
  }
  return all;
}

function hasCaughtUp(state: RaftState, progress: Progress): boolean {
  const { electionTimeoutMicros } = state.options;
  const { lastIndex } = state.log;
  const { catchUp } = progress;
  const silent = state.now - progress.lastContact >= electionTimeoutMicros;
  if (catchUp === null || (silent && catchUp.done)) {
    progress.catchUp = { round: catchUp?.round ?? 1, target: lastIndex, since: state.now, done: false };
    return false;
  }
  const { round, target } = catchUp;
  const tookMicros = state.now - catchUp.since;
  const inTime = tookMicros < electionTimeoutMicros;
  if (progress.matchIndex < target) {
    if (!inTime) progress.catchUp = { ...catchUp, done: false };
    return catchUp.done && inTime;
  }
  // One that stays close goes through a round with every answer; that is no news.
  if (!catchUp.done || !inTime) emit(state, { type: "catchUpRound", peer: progress.id, round, target, tookMicros, done: inTime });
  progress.catchUp = { round: inTime ? round : round + 1, target: lastIndex, since: state.now, done: inTime };
  return inTime;
}

// ---- Every member's part ----

/**
 * Called once a turn: says which configuration is committed, and whether that leaves this member out. A leader that was left
 * out leads until it has given way, and only then is told.
 */
export function announceCommitted(state: RaftState): void {
  noteCommitted(state);
  if (state.removedAt === null || state.role === "leader") return;
  emit(state, { type: "memberRemoved", index: state.removedAt });
  state.removedAt = null;
}

function noteCommitted(state: RaftState): void {
  const { configurations } = state;
  const at = configurations.findLastIndex(({ index }) => index <= state.commitIndex);
  const committed = configurations[at];
  if (committed === undefined || committed.index <= state.committedConfigurationIndex) return;
  state.committedConfigurationIndex = committed.index;
  emit(state, { type: "configurationCommitted", index: committed.index });
  const listsThis = (each: ConfigurationAt): boolean => lists(each, state.id);
  if (!configurations.slice(at).some(listsThis) && configurations.slice(0, at).some(listsThis)) state.removedAt = committed.index;
}

/**
 * Who must be reached: the members, those that are members until a change is committed, and those that are told they left. One
 * of each name: whoever has it by the newest configuration.
 */
export function reachable(state: RaftState): readonly MemberRecord[] {
  const found = new Map<string, MemberRecord>();
  const committed = state.configurations.findLastIndex(({ index }) => index <= state.commitIndex);
  for (const { configuration } of state.configurations.slice(Math.max(0, committed)))
    for (const member of configuration.members) found.set(member.name, member);
  for (const { id, farewell } of state.leadership?.progress.values() ?? []) {
    if (farewell === null) continue;
    const record = state.configurations.flatMap(({ configuration }) => configuration.members).find((each) => each.id === id);
    if (record !== undefined && !found.has(record.name)) found.set(record.name, record);
  }
  return [...found.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}
