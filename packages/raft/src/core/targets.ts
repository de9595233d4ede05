/**
 * Whom a leader sends to: every other member of the configuration in force, and for a while those that have left, so that
 * they learn of it. Who counts is decided elsewhere, by the configuration alone (quorum.ts).
 */
import { newProgress, type Progress } from "./progress.js";
import { replicationTargets } from "./quorum.js";
import { configurationOf, latestConfiguration, type RaftState } from "./state.js";
import type { MemberId } from "./types.js";

/** What a new leader knows of the others: nothing. Sorted by id. */
export function newTargets(state: RaftState): Map<MemberId, Progress> {
  return new Map(others(state).map((id) => [id, newProgress(id, state.log.lastIndex, state.now)]));
}

function others(state: RaftState): readonly MemberId[] {
  return replicationTargets(configurationOf(state)).filter((id) => id !== state.id);
}

/** A configuration came into force. Decisions are counted anew by it, because a quorum may have become smaller. */
export function followConfiguration(state: RaftState): void {
  const { leadership } = state;
  if (leadership === null) return;
  leadership.recount = true;
  const targets = newTargets(state);
  const { index, configuration } = latestConfiguration(state);
  for (const [id, progress] of leadership.progress) {
    if (configuration.staged?.promote.includes(id) !== true) progress.catchUp = null;
    if (!targets.has(id)) {
      progress.farewell ??= { index, since: state.now, toldAt: null };
      targets.set(id, progress);
    } else if (progress.farewell === null) {
      targets.set(id, progress);
    }
    // One that comes back after it left begins anew: nothing that was known of it may count (pitfalls, E17).
  }
  leadership.progress = new Map([...targets].sort(([a], [b]) => (a < b ? -1 : 1)));
}
