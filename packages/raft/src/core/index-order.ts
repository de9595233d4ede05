/** The order of the indexes of Figure 2, checked as a whole. Single steps are guarded where they happen. */
import { invariant } from "./invariants.js";
import type { RaftState } from "./state.js";

/**
 * The relations between indexes that hold whenever nobody is inside the core. Cheap (a few comparisons and one pass over
 * the peers), so they are checked after every burst of inputs, in production too.
 */
export function checkIndexes(state: RaftState): void {
  const { log } = state;
  invariant(
    log.start.index <= state.snapshot.lastIncludedIndex,
    "purged <= snapshot",
    () => `${log.start.index} > ${state.snapshot.lastIncludedIndex}`,
  );
  invariant(
    state.snapshot.lastIncludedIndex <= state.lastApplied,
    "snapshot <= applied",
    () => `${state.snapshot.lastIncludedIndex} > ${state.lastApplied}`,
  );
  invariant(
    state.lastApplied <= state.deliveredIndex,
    "applied <= delivered",
    () => `${state.lastApplied} > ${state.deliveredIndex}`,
  );
  invariant(
    state.deliveredIndex <= state.commitIndex,
    "delivered <= commit",
    () => `${state.deliveredIndex} > ${state.commitIndex}`,
  );
  invariant(
    state.deliveredIndex <= log.durableIndex,
    "only durable entries are applied",
    () => `${state.deliveredIndex} > ${log.durableIndex}`,
  );
  invariant(state.commitIndex <= log.lastIndex, "commit <= last", () => `${state.commitIndex} > ${log.lastIndex}`);
  invariant(log.durableIndex <= log.lastIndex, "durable <= last", () => `${log.durableIndex} > ${log.lastIndex}`);
  invariant(log.lastTerm <= state.currentTerm, "no entry is from the future", () => `${log.lastTerm} > ${state.currentTerm}`);
  if (state.leadership === null) return;
  for (const progress of state.leadership.progress.values()) {
    invariant(
      progress.matchIndex < progress.nextIndex,
      "match < next",
      () => `${progress.id}: ${progress.matchIndex}, ${progress.nextIndex}`,
    );
    invariant(progress.nextIndex <= log.lastIndex + 1, "next <= last + 1", () => `${progress.id}: ${progress.nextIndex}`);
  }
}
