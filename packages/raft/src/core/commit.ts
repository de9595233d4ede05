/**
 * Commitment (Raft section 5.3, 5.4.2). A leader commits by counting only entries of its own term; older ones become
 * committed with them (Figure 8 shows what goes wrong otherwise). Its own disk counts like any other: when it is durable.
 */
import { invariant } from "./invariants.js";
import { quorumValue } from "./quorum.js";
import { nameReadIndexes } from "./read.js";
import { configurationOf, emit, type RaftState } from "./state.js";
import type { Entry, Index } from "./types.js";

/** Called when a matchIndex, the own durable index or the configuration changed. */
export function advanceCommit(state: RaftState): void {
  const { leadership, log } = state;
  if (leadership === null) return;
  const candidate = quorumValue(configurationOf(state), (id) =>
    id === state.id ? log.durableIndex : (leadership.progress.get(id)?.matchIndex ?? 0),
  );
  if (candidate <= state.commitIndex) return;
  if (log.termAt(candidate) !== state.currentTerm) return;
  for (let index = Math.max(state.commitIndex + 1, leadership.firstIndexOfTerm); index <= candidate; index += 1) {
    leadership.uncommittedBytes -= log.entryAt(index)?.data.length ?? 0;
  }
  setCommitIndex(state, candidate);
  nameReadIndexes(state);
}

/** A follower learns of the commit index: min(leaderCommit, index of the last entry known to be the leader's). */
export function followCommit(state: RaftState, leaderCommit: Index, lastVerified: Index): void {
  const commitIndex = Math.min(leaderCommit, lastVerified);
  if (commitIndex > state.commitIndex) setCommitIndex(state, commitIndex);
}

function setCommitIndex(state: RaftState, commitIndex: Index): void {
  invariant(commitIndex > state.commitIndex, "commitIndex never falls", `${state.commitIndex} to ${commitIndex}`);
  invariant(commitIndex <= state.log.lastIndex, "commit <= last", `${commitIndex} > ${state.log.lastIndex}`);
  state.commitIndex = commitIndex;
  state.effects.replicate = true;
  emit(state, { type: "commitAdvanced", commitIndex, term: state.currentTerm });
}

/**
 * The next entries for the state machine: committed, and durable here, so that a snapshot never stands for something this
 * disk does not hold. In order, each once, and no more than the machine may have before it.
 */
export function takeCommitted(state: RaftState): readonly Entry[] {
  const { options, log } = state;
  const upTo = Math.min(state.commitIndex, log.durableIndex);
  const room = options.maxUnappliedEntries - (state.deliveredIndex - state.lastApplied);
  if (upTo <= state.deliveredIndex || room <= 0 || state.unappliedBytes >= options.maxUnappliedBytes) return [];
  const entries = log.slice(state.deliveredIndex + 1, options.maxUnappliedBytes, room, upTo);
  state.deliveredIndex += entries.length;
  for (const entry of entries) state.unappliedBytes += entry.data.length;
  return entries;
}

/** The state machine applied everything up to `index`. */
export function recordApplied(state: RaftState, index: Index): void {
  invariant(index <= state.deliveredIndex, "applied <= delivered", `${index} > ${state.deliveredIndex}`);
  for (let applied = state.lastApplied + 1; applied <= index; applied += 1) {
    state.unappliedBytes -= state.log.entryAt(applied)?.data.length ?? 0;
  }
  if (index > state.lastApplied) state.lastApplied = index;
}
