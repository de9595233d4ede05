/**
 * Snapshots (Raft section 7; dissertation chapter 5): what happens to the log when one was taken, how a leader sends one to
 * a follower whose entries are gone, and how a follower takes one over.
 *
 * The bytes are the driver's business. The core decides which piece goes when, and binds every piece to
 * (leader, term, snapshot, offset), so that pieces of two snapshots never mix.
 */
import { announceConfiguration } from "./append.js";
import { advanceCommit } from "./commit.js";
import { invariant } from "./invariants.js";
import type { InstallSnapshot, InstallSnapshotResponse } from "./message.js";
import { send } from "./outbox.js";
import type { SnapshotMetadata } from "./output.js";
import { announceProgress, becomeReplicate, type Progress } from "./progress.js";
import { agreesWithLeader, askLeader, leaderReplaces } from "./recovery.js";
import { heardLeader } from "./role.js";
import { type ConfigurationAt, emit, isListed, latestConfiguration, lists, type RaftState, type Receiving } from "./state.js";
import type { Index, MemberId, Term } from "./types.js";

/** The configuration in force at `index`: what a snapshot at that index must carry. */
export function configurationAt(state: RaftState, index: Index): ConfigurationAt {
  const found = state.configurations.filter((each) => each.index <= index).at(-1);
  invariant(found !== undefined, "every index has a configuration", `index ${index}`);
  return found;
}

/** A snapshot of this node is durable. The log may now be compacted up to it. */
export function snapshotTaken(state: RaftState, metadata: SnapshotMetadata): void {
  invariant(
    metadata.lastIncludedIndex <= state.lastApplied,
    "snapshot <= applied",
    `${metadata.lastIncludedIndex} > ${state.lastApplied}`,
  );
  if (metadata.lastIncludedIndex > state.snapshot.lastIncludedIndex) state.snapshot = metadata;
}

/** Forgets the entries up to `index`, or up to the snapshot if that is lower. Returns the new start of the log. */
export function compact(state: RaftState, index: Index): Index {
  const upTo = Math.min(index, state.snapshot.lastIncludedIndex);
  if (upTo <= state.log.start.index) return state.log.start.index;
  state.log.compactTo(upTo);
  forgetConfigurations(state);
  emit(state, { type: "logCompacted", purgedIndex: upTo });
  return upTo;
}

/** Keeps the newest configuration at or below the start of the log, as the one to fall back to, and all above. */
function forgetConfigurations(state: RaftState): void {
  const base = state.configurations.findLastIndex((each) => each.index <= state.log.start.index);
  if (base > 0) state.configurations.splice(0, base);
}

// ---- The leader's side ----

/** The follower needs entries that are gone. Always returns false: nothing can be appended there now. */
export function startTransfer(state: RaftState, progress: Progress): false {
  const { lastIncludedIndex, lastIncludedTerm } = state.snapshot;
  invariant(lastIncludedIndex >= state.log.start.index, "purged <= snapshot", `${state.log.start.index} > ${lastIncludedIndex}`);
  progress.state = "snapshot";
  progress.probeSentAt = null;
  progress.inflight.length = 0;
  progress.inflightBytes = 0;
  progress.snapshot = { lastIncludedIndex, lastIncludedTerm, offset: 0, waiting: "read", since: state.now };
  announceProgress(state, progress);
  emit(state, { type: "snapshotSending", peer: progress.id, lastIncludedIndex });
  requestPiece(state, progress);
  return false;
}

function requestPiece(state: RaftState, progress: Progress): void {
  const transfer = progress.snapshot;
  if (transfer === null) return;
  transfer.waiting = "read";
  transfer.since = state.now;
  const { lastIncludedIndex, lastIncludedTerm, offset } = transfer;
  state.effects.snapshotReads.push({
    to: progress.id,
    lastIncludedIndex,
    lastIncludedTerm,
    offset,
    maxBytes: state.options.snapshotChunkBytes,
  });
}

/** The driver read a piece, or could not (`data` null: the file is gone or damaged; the transfer begins again, later). */
export function pieceRead(
  state: RaftState,
  to: MemberId,
  lastIncludedIndex: Index,
  offset: number,
  data: Uint8Array | null,
  done: boolean,
): void {
  const progress = state.leadership?.progress.get(to);
  const transfer = progress?.snapshot;
  if (progress === undefined || transfer === undefined || transfer === null) return;
  if (transfer.lastIncludedIndex !== lastIncludedIndex || transfer.offset !== offset || transfer.waiting !== "read") return;
  if (data === null) {
    progress.snapshot = null;
    return;
  }
  transfer.waiting = "answer";
  transfer.since = state.now;
  const { lastIncludedTerm } = transfer;
  send(state, to, { type: "InstallSnapshot", term: state.currentTerm, lastIncludedIndex, lastIncludedTerm, offset, data, done });
}

/** The follower is alive: a transfer that was given up starts again, one that stands still repeats its piece. */
export function resumeTransfer(state: RaftState, progress: Progress): void {
  if (progress.snapshot === null) startTransfer(state, progress);
  else if (state.now - progress.snapshot.since >= state.options.electionTimeoutMicros) requestPiece(state, progress);
}

export function handleInstallSnapshotResponse(state: RaftState, progress: Progress, message: InstallSnapshotResponse): void {
  if (message.status === "installed") {
    followerHas(state, progress, message.lastIncludedIndex);
    return;
  }
  const transfer = progress.snapshot;
  if (
    transfer === null ||
    transfer.lastIncludedIndex !== message.lastIncludedIndex ||
    transfer.lastIncludedTerm !== message.lastIncludedTerm
  ) {
    emit(state, { type: "messageIgnored", from: progress.id, message: message.type, reason: "staleResponse" });
    return;
  }
  if (message.status === "rejected") {
    progress.snapshot = null;
    return;
  }
  // The answer to the piece before this one, once more; or one to a piece that is being read right now.
  if (transfer.waiting === "read" || message.offset === transfer.offset) {
    emit(state, { type: "messageIgnored", from: progress.id, message: message.type, reason: "staleResponse" });
    return;
  }
  transfer.offset = message.offset;
  requestPiece(state, progress);
}

/** All up to `index` is durable at the follower; true also when it had it before the first piece came. */
function followerHas(state: RaftState, progress: Progress, index: Index): void {
  if (index > state.log.lastIndex) {
    emit(state, { type: "messageIgnored", from: progress.id, message: "InstallSnapshotResponse", reason: "malformed" });
    return;
  }
  const advanced = index > progress.matchIndex;
  if (advanced) progress.matchIndex = index;
  progress.nextIndex = Math.max(progress.nextIndex, progress.matchIndex + 1);
  if (progress.state === "snapshot" && progress.matchIndex >= state.log.start.index) {
    emit(state, { type: "snapshotSent", peer: progress.id, lastIncludedIndex: index });
    becomeReplicate(progress);
    announceProgress(state, progress);
  } else if (progress.state === "snapshot") {
    // The log was compacted further meanwhile: the next heartbeat that is answered begins with the newer snapshot.
    progress.snapshot = null;
  }
  if (advanced) advanceCommit(state);
  state.effects.replicate = true;
}

// ---- The follower's side ----

/** A piece from the leader of the current term. The follower is alive while it receives: the election timer starts again. */
export function handleInstallSnapshot(state: RaftState, from: MemberId, message: InstallSnapshot): void {
  heardLeader(state, from);
  askLeader(state, from);
  const { lastIncludedIndex, lastIncludedTerm } = message;
  if (lastIncludedTerm > message.term || lastIncludedIndex === 0) {
    emit(state, { type: "messageIgnored", from, message: message.type, reason: "malformed" });
    return;
  }
  if (lastIncludedIndex <= state.commitIndex) {
    const known = state.log.termAt(lastIncludedIndex);
    invariant(
      known === null || known === lastIncludedTerm,
      "leader completeness",
      () => `a snapshot has term ${lastIncludedTerm} at committed index ${lastIncludedIndex}, this log ${known}`,
    );
    answer(state, from, message, "installed", 0, state.log.ticketOf(lastIncludedIndex));
    return;
  }
  const receiving = receivingFor(state, from, message);
  if (receiving === null || receiving.offset !== message.offset) {
    if (receiving === null || !(receiving.writing || receiving.finishing))
      answer(state, from, message, "continue", receiving?.offset ?? 0);
    return;
  }
  if (receiving.writing || receiving.finishing) return;
  receiving.writing = true;
  receiving.finishing = message.done;
  state.effects.snapshotWrites.push({
    lastIncludedIndex,
    lastIncludedTerm,
    offset: message.offset,
    data: message.data,
    done: message.done,
  });
}

/** The transfer this piece belongs to; a first piece begins a new one. Null: a later piece of a transfer we don't know. */
function receivingFor(state: RaftState, from: MemberId, message: InstallSnapshot): Receiving | null {
  const { lastIncludedIndex, lastIncludedTerm, term } = message;
  const known = state.receiving;
  if (known !== null && known.from === from && known.term === term && isReceiving(known, lastIncludedIndex, lastIncludedTerm))
    return known;
  if (message.offset !== 0) return null;
  state.receiving = { from, term, lastIncludedIndex, lastIncludedTerm, offset: 0, writing: false, finishing: false };
  return state.receiving;
}

function isReceiving(receiving: Receiving, lastIncludedIndex: Index, lastIncludedTerm: Term): boolean {
  return receiving.lastIncludedIndex === lastIncludedIndex && receiving.lastIncludedTerm === lastIncludedTerm;
}

function answer(
  state: RaftState,
  to: MemberId,
  about: { readonly lastIncludedIndex: Index; readonly lastIncludedTerm: Term },
  status: InstallSnapshotResponse["status"],
  offset: number,
  ticket = 0,
): void {
  const { lastIncludedIndex, lastIncludedTerm } = about;
  send(
    state,
    to,
    { type: "InstallSnapshotResponse", term: state.currentTerm, lastIncludedIndex, lastIncludedTerm, offset, status },
    ticket,
  );
}

/** The driver wrote a piece; the next one begins at `offset`. */
export function pieceWritten(state: RaftState, lastIncludedIndex: Index, lastIncludedTerm: Term, offset: number): void {
  const { receiving } = state;
  if (
    receiving === null ||
    !isReceiving(receiving, lastIncludedIndex, lastIncludedTerm) ||
    !receiving.writing ||
    receiving.finishing
  )
    return;
  receiving.writing = false;
  receiving.offset = offset;
  answer(state, receiving.from, receiving, "continue", offset);
}

/** The bytes were not a valid snapshot, or could not be written. Nothing has changed here. */
export function snapshotRejected(state: RaftState, lastIncludedIndex: Index, lastIncludedTerm: Term): void {
  const { receiving } = state;
  if (receiving === null || !isReceiving(receiving, lastIncludedIndex, lastIncludedTerm)) return;
  state.receiving = null;
  answer(state, receiving.from, receiving, "rejected", 0);
}

/**
 * A received snapshot is validated and durable. True: it is in force, and the driver swaps its state machine for the one
 * restored from it. False: this server has come further by itself; the driver keeps what it has.
 * A suffix of the log that follows the snapshot's last entry is kept, otherwise the whole log goes (section 7).
 */
export function snapshotInstalled(state: RaftState, metadata: SnapshotMetadata): boolean {
  const { lastIncludedIndex, lastIncludedTerm } = metadata;
  const { receiving, log } = state;
  const from = receiving !== null && isReceiving(receiving, lastIncludedIndex, lastIncludedTerm) ? receiving.from : null;
  state.receiving = null;
  if (lastIncludedIndex <= state.commitIndex || state.role === "leader") return false;
  invariant(lastIncludedTerm <= state.currentTerm, "no entry is from the future", `${lastIncludedTerm} > ${state.currentTerm}`);

  const position = { index: lastIncludedIndex, term: lastIncludedTerm };
  const keepSuffix = log.matches(lastIncludedIndex, lastIncludedTerm);
  leaderReplaces(state, keepSuffix);
  log.restart(position, keepSuffix);
  state.persistence.logStart = { position, keepSuffix };
  state.persistence.unsavedFrom = keepSuffix
    ? Math.max(state.persistence.unsavedFrom, lastIncludedIndex + 1)
    : lastIncludedIndex + 1;
  state.snapshot = metadata;
  state.commitIndex = lastIncludedIndex;
  state.lastApplied = lastIncludedIndex;
  state.deliveredIndex = lastIncludedIndex;
  state.unappliedBytes = 0;
  emit(state, { type: "snapshotInstalled", lastIncludedIndex, lastIncludedTerm, keptSuffix: keepSuffix });
  adoptSnapshotConfiguration(state, metadata, keepSuffix);
  emit(state, { type: "commitAdvanced", commitIndex: lastIncludedIndex, term: state.currentTerm });
  // What is committed is in every log that leads, now or later.
  agreesWithLeader(state, lastIncludedIndex);
  if (from !== null) answer(state, from, metadata, "installed", 0, state.persistence.nextTicket);
  return true;
}

/** The snapshot's configuration becomes the base; configurations in the kept suffix stay above it, all others go. */
function adoptSnapshotConfiguration(state: RaftState, metadata: SnapshotMetadata, keepSuffix: boolean): void {
  const before = latestConfiguration(state);
  const wasListed = state.configurations.filter((each) => lists(each, state.id));
  const above = keepSuffix ? state.configurations.filter((each) => each.index > metadata.lastIncludedIndex) : [];
  state.configurations = [{ index: metadata.configurationIndex, configuration: metadata.configuration }, ...above];
  // The entry that left it out is in no log that it will see: the snapshot is all that says it (membership.ts).
  if (!isListed(state) && wasListed.some((each) => hasLeft(state, each, metadata))) state.removedAt = metadata.configurationIndex;
  if (latestConfiguration(state).index !== before.index || latestConfiguration(state).configuration !== before.configuration)
    announceConfiguration(state);
}

/**
 * Whether a member that `listing` lists, and the snapshot's configuration does not, has left. A listing that is not known to be
 * committed may never be: then a member whose name is still there is only waiting to be taken in under it.
 */
function hasLeft(state: RaftState, { index, configuration }: ConfigurationAt, snapshot: SnapshotMetadata): boolean {
  if (index <= state.committedConfigurationIndex) return true;
  if (index > snapshot.lastIncludedIndex) return false;
  const name = configuration.members.find(({ id }) => id === state.id)?.name;
  return !snapshot.configuration.members.some((member) => member.name === name);
}
