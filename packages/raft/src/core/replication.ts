/**
 * AppendEntries, from both sides (Raft section 5.3): sending within each follower's window, the consistency check, and the
 * quick way back to where two logs agree.
 */
import { extendLog, readConfiguration, truncateLog } from "./append.js";
import { advanceCommit, followCommit } from "./commit.js";
import { invariant } from "./invariants.js";
import { promiseLease, usesLeases } from "./lease.js";
import type { AppendEntries, AppendEntriesResponse } from "./message.js";
import { send } from "./outbox.js";
import { announceProgress, becomeProbe, becomeReplicate, type Progress, recordAcknowledged, recordSent } from "./progress.js";
import { agreesWithLeader, askLeader, fillFromLeader, leaderReplaces } from "./recovery.js";
import { heardLeader } from "./role.js";
import { resumeTransfer, startTransfer } from "./snapshot.js";
import { emit, type RaftState } from "./state.js";
import { endTransfer, tellTarget } from "./transfer.js";
import type { Entry, Index, MemberId } from "./types.js";

/** Sends every follower what it may have. Called once a turn, so that a turn's proposals travel together. */
export function replicate(state: RaftState): void {
  for (const progress of state.leadership?.progress.values() ?? []) replicateTo(state, progress);
}

export function replicateTo(state: RaftState, progress: Progress): void {
  if (progress.state === "snapshot") return;
  if (progress.state === "probe") {
    if (progress.probeSentAt === null && (progress.matchIndex < state.log.lastIndex || progress.sentCommit < state.commitIndex))
      sendProbe(state, progress);
    return;
  }
  while (hasRoom(state, progress) && progress.nextIndex <= state.log.lastIndex) {
    if (!sendEntries(state, progress)) return;
  }
  // Nothing left to carry the commit index: tell it by itself, so that followers apply without waiting for a heartbeat.
  if (progress.nextIndex > state.log.lastIndex && progress.sentCommit < Math.min(state.commitIndex, progress.nextIndex - 1))
    sendEmpty(state, progress);
}

function hasRoom(state: RaftState, progress: Progress): boolean {
  return progress.inflight.length < state.options.maxInflightMessages && progress.inflightBytes < state.options.maxInflightBytes;
}

/** One AppendEntries with as many entries as a message may carry. False: the follower needs a snapshot first. */
function sendEntries(state: RaftState, progress: Progress): boolean {
  const { log, options } = state;
  const prevLogIndex = progress.nextIndex - 1;
  const prevLogTerm = log.termAt(prevLogIndex);
  if (prevLogTerm === null) return startTransfer(state, progress);
  const entries = log.slice(progress.nextIndex, options.maxBytesPerMessage, options.maxEntriesPerMessage);
  let bytes = 0;
  for (const entry of entries) bytes += entry.data.length;
  progress.nextIndex += entries.length;
  recordSent(progress, progress.nextIndex - 1, bytes);
  sendAppend(state, progress, prevLogIndex, prevLogTerm, entries);
  return true;
}

/** In probe: one message, with entries, because most often the first guess is right. */
function sendProbe(state: RaftState, progress: Progress): void {
  const { log, options } = state;
  const prevLogIndex = progress.nextIndex - 1;
  const prevLogTerm = log.termAt(prevLogIndex);
  if (prevLogTerm === null) {
    startTransfer(state, progress);
    return;
  }
  progress.probeSentAt = state.now;
  sendAppend(
    state,
    progress,
    prevLogIndex,
    prevLogTerm,
    log.slice(progress.nextIndex, options.maxBytesPerMessage, options.maxEntriesPerMessage),
  );
}

/** No entries: carries the commit index, and shows a follower that misses something that it does. */
function sendEmpty(state: RaftState, progress: Progress): void {
  const prevLogIndex = progress.nextIndex - 1;
  const prevLogTerm = state.log.termAt(prevLogIndex);
  if (prevLogTerm === null) startTransfer(state, progress);
  else sendAppend(state, progress, prevLogIndex, prevLogTerm, []);
}

function sendAppend(
  state: RaftState,
  progress: Progress,
  prevLogIndex: Index,
  prevLogTerm: number,
  entries: readonly Entry[],
): void {
  progress.sentCommit = Math.min(state.commitIndex, prevLogIndex + entries.length);
  send(state, progress.id, {
    type: "AppendEntries",
    term: state.currentTerm,
    prevLogIndex,
    prevLogTerm,
    entries,
    leaderCommit: state.commitIndex,
    leases: usesLeases(state),
  });
}

/** A heartbeat was answered, so the follower is there: whatever stood still for want of an answer is tried again. */
export function probeAgain(state: RaftState, progress: Progress): void {
  if (progress.state === "snapshot") {
    resumeTransfer(state, progress);
  } else if (progress.state === "probe") {
    // A probe as old as this was answered or lost.
    if (progress.probeSentAt !== null && state.now - progress.probeSentAt >= state.options.heartbeatIntervalMicros)
      progress.probeSentAt = null;
    replicateTo(state, progress);
  } else if (progress.matchIndex < state.log.lastIndex && progress.inflight.length > 0 && !progress.ackedSinceHeartbeat) {
    // Sent, and not a word since the last heartbeat: if it was lost, this makes the follower say so.
    sendEmpty(state, progress);
  }
  progress.ackedSinceHeartbeat = false;
}

/** Entries that a leader could have sent: contiguous, terms not falling and not above its own, configurations readable. */
function isWellFormed(message: AppendEntries): boolean {
  if (message.prevLogTerm > message.term) return false;
  let index = message.prevLogIndex;
  let term = message.prevLogTerm;
  for (const entry of message.entries) {
    if (entry.index !== index + 1 || entry.term < term || entry.term > message.term) return false;
    if (entry.type === "configuration" && readConfiguration(entry) === null) return false;
    index = entry.index;
    term = entry.term;
  }
  return true;
}

/** Raft Figure 2, AppendEntries, steps 2 to 5; from the leader of the current term (handlers.ts has seen to step 1). */
export function handleAppendEntries(state: RaftState, from: MemberId, message: AppendEntries): void {
  heardLeader(state, from);
  promiseLease(state, from, message.leases);
  if (!isWellFormed(message)) {
    emit(state, { type: "messageIgnored", from, message: message.type, reason: "malformed" });
    return;
  }
  askLeader(state, from);
  fillFromLeader(state, message.entries);
  const { log } = state;
  const { prevLogIndex, prevLogTerm } = message;
  // Below the start of our log everything is committed, so it is the same in every log that a leader can have.
  if (prevLogIndex >= log.start.index && !log.matches(prevLogIndex, prevLogTerm)) {
    invariant(
      prevLogIndex > state.commitIndex,
      "leader completeness",
      () => `the leader of term ${message.term} has term ${prevLogTerm} at committed index ${prevLogIndex}`,
    );
    refuse(state, from, message);
    return;
  }
  takeEntries(state, message);
  const matchIndex = prevLogIndex + message.entries.length;
  agreesWithLeader(state, matchIndex);
  followCommit(state, message.leaderCommit, matchIndex);
  send(
    state,
    from,
    {
      type: "AppendEntriesResponse",
      term: state.currentTerm,
      success: true,
      prevLogIndex,
      matchIndex,
      hintIndex: 0,
      hintTerm: 0,
    },
    // Acknowledged when durable: the highest of these entries, which may have been written by an earlier batch.
    log.ticketOf(Math.min(matchIndex, log.lastIndex)),
  );
}

/** Steps 3 and 4: cut only where an entry really conflicts, append only what is not there yet. */
function takeEntries(state: RaftState, message: AppendEntries): void {
  const { log } = state;
  for (let place = 0; place < message.entries.length; place += 1) {
    const entry = message.entries[place];
    if (entry === undefined || entry.index <= log.start.index) continue;
    if (entry.index <= log.lastIndex) {
      if (log.matches(entry.index, entry.term)) continue;
      invariant(
        entry.index > state.commitIndex,
        "leader completeness",
        () => `the leader of term ${message.term} has term ${entry.term} at committed index ${entry.index}`,
      );
      leaderReplaces(state);
      truncateLog(state, entry.index);
    }
    leaderReplaces(state);
    extendLog(state, message.entries.slice(place));
    return;
  }
}

/** No entry at prevLogIndex with that term: says where to look next, skipping whole terms (section 5.3, end). */
function refuse(state: RaftState, from: MemberId, message: AppendEntries): void {
  const { log } = state;
  const hintIndex = log.lastIndexWithTermAtMost(message.prevLogIndex - 1, message.prevLogTerm);
  const hintTerm = log.termAt(hintIndex) ?? 0;
  emit(state, { type: "appendRefused", peer: from, prevLogIndex: message.prevLogIndex, hintIndex, hintTerm });
  send(state, from, {
    type: "AppendEntriesResponse",
    term: state.currentTerm,
    success: false,
    prevLogIndex: message.prevLogIndex,
    matchIndex: 0,
    hintIndex,
    hintTerm,
  });
}

/** A leader hears from a follower, in the current term. */
export function handleAppendEntriesResponse(state: RaftState, progress: Progress, message: AppendEntriesResponse): void {
  if (message.success) accepted(state, progress, message);
  else refused(state, progress, message);
}

function accepted(state: RaftState, progress: Progress, message: AppendEntriesResponse): void {
  if (message.matchIndex > state.log.lastIndex) {
    emit(state, { type: "messageIgnored", from: progress.id, message: message.type, reason: "malformed" });
    return;
  }
  progress.ackedSinceHeartbeat = true;
  const advanced = message.matchIndex > progress.matchIndex;
  if (advanced) {
    progress.matchIndex = message.matchIndex;
    progress.nextIndex = Math.max(progress.nextIndex, progress.matchIndex + 1);
  }
  recordAcknowledged(progress, message.matchIndex);
  if (progress.state === "probe" || (progress.state === "snapshot" && progress.matchIndex >= state.log.start.index)) {
    becomeReplicate(progress);
    announceProgress(state, progress);
  }
  if (advanced) advanceCommit(state);
  tellTarget(state);
  state.effects.replicate = true;
}

/** The way back: both sides skip every term that the other can't have. Never below what is known to match. */
function refused(state: RaftState, progress: Progress, message: AppendEntriesResponse): void {
  const { log } = state;
  const stale =
    progress.state === "snapshot" ||
    message.prevLogIndex <= progress.matchIndex ||
    message.hintIndex >= message.prevLogIndex ||
    (progress.state === "probe" && message.prevLogIndex !== progress.nextIndex - 1);
  if (stale) {
    emit(state, { type: "messageIgnored", from: progress.id, message: message.type, reason: "staleResponse" });
    return;
  }
  const agreed = log.lastIndexWithTermAtMost(message.hintIndex, message.hintTerm);
  // The hint lies before our log: only a snapshot helps. nextIndex at the start makes the next send find that out.
  const nextIndex = message.hintIndex < log.start.index ? message.hintIndex + 1 : agreed + 1;
  becomeProbe(progress, Math.min(nextIndex, message.prevLogIndex));
  announceProgress(state, progress);
  replicateTo(state, progress);
}

/** The transport lost what was under way to this member. */
export function peerLost(state: RaftState, id: MemberId): void {
  const progress = state.leadership?.progress.get(id);
  if (progress === undefined) return;
  progress.unreachable = true;
  if (state.leadership?.transfer?.target === id) endTransfer(state, "targetLost");
  if (progress.state === "snapshot") return;
  becomeProbe(progress, progress.matchIndex + 1);
  announceProgress(state, progress);
  state.effects.replicate = true;
}
