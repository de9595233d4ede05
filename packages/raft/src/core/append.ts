/**
 * How entries get into the log: the leader's own, which it only ever appends (Figure 3, Leader Append-Only), and the ones
 * a follower takes from its leader. Configurations take effect the moment they are appended (dissertation section 4.1).
 */

import { SESSION_HEADER_BYTES, stamped } from "./cluster-time.js";
import type { Configuration } from "./configuration.js";
import { decodeConfiguration } from "./configuration-codec.js";
import { invariant } from "./invariants.js";
import type { ProposeRequest } from "./message.js";
import { send } from "./outbox.js";
import { emit, latestConfiguration, type RaftState } from "./state.js";
import { followConfiguration } from "./targets.js";
import { isTransferring } from "./transfer.js";
import type { Entry, EntryType, Index, MemberId, ProposedType, Term } from "./types.js";

/** Appends in the current term; they are persisted and sent with the next `take`. Returns the first one's index. */
export function appendAsLeader(
  state: RaftState,
  payloads: readonly { readonly type: EntryType; readonly data: Uint8Array }[],
): Index {
  invariant(state.role === "leader" && state.leadership !== null, "only a leader appends its own", state.role);
  const first = state.log.lastIndex + 1;
  const entries = payloads.map(({ type, data }, place): Entry => ({ index: first + place, term: state.currentTerm, type, data }));
  for (const entry of entries) state.leadership.uncommittedBytes += entry.data.length;
  extendLog(state, entries);
  return first;
}

/** Adds entries at the end of the log, and what follows from their being there. Restored: they were there before (recovery.ts). */
export function extendLog(
  state: RaftState,
  entries: readonly Entry[],
  type: "entriesAppended" | "entriesRestored" = "entriesAppended",
): void {
  const first = entries[0];
  if (first === undefined) return;
  state.log.append(entries, state.persistence.nextTicket);
  state.effects.replicate = true;
  emit(state, { type, first: first.index, last: state.log.lastIndex, term: state.currentTerm });
  for (const entry of entries) if (entry.type === "configuration") adoptConfiguration(state, entry);
}

/** Removes a conflicting tail. Never reaches a committed entry (Figure 3, State Machine Safety rests on it). */
export function truncateLog(state: RaftState, from: Index): void {
  invariant(
    from > state.commitIndex,
    "committed entries never change",
    () => `truncate from ${from}, committed ${state.commitIndex}`,
  );
  emit(state, { type: "logTruncated", from, previousLast: state.log.lastIndex });
  state.log.truncateFrom(from);
  state.persistence.unsavedFrom = Math.min(state.persistence.unsavedFrom, from);
  // A configuration that is truncated away was never committed: the one before it is in force again.
  let changed = false;
  while (latestConfiguration(state).index >= from) {
    state.configurations.pop();
    changed = true;
  }
  if (changed) announceConfiguration(state);
}

function adoptConfiguration(state: RaftState, entry: Entry): void {
  const configuration = readConfiguration(entry);
  invariant(configuration !== null, "configurations in the log are valid", `entry ${entry.index}`);
  state.configurations.push({ index: entry.index, configuration });
  announceConfiguration(state);
}

/** The configuration in an entry; null if its bytes are none. Peers' entries are asked before they are appended. */
export function readConfiguration(entry: Entry): Configuration | null {
  return decodeConfiguration(entry.data);
}

export function announceConfiguration(state: RaftState): void {
  const { index, configuration } = latestConfiguration(state);
  const { voters, votersOutgoing, learners } = configuration;
  emit(state, { type: "configurationChanged", index, voters, votersOutgoing, learners });
  followConfiguration(state);
}

/** `transferring`: leadership is being handed over; wait until it has been, or until that is given up. */
export type ProposeRefusal = "notLeader" | "overloaded" | "tooLarge" | "transferring";

/** Appends commands if this server leads and has room for all of them; otherwise nothing is appended. */
export function proposeCommands(
  state: RaftState,
  commands: readonly Uint8Array[],
  type: ProposedType = "command",
): { readonly firstIndex: Index; readonly term: Term } | { readonly refusal: ProposeRefusal } {
  const { leadership, options } = state;
  if (state.role !== "leader" || leadership === null) return { refusal: "notLeader" };
  if (isTransferring(state)) return { refusal: "transferring" };
  const most = options.maxEntryBytes + (type === "session" ? SESSION_HEADER_BYTES : 0);
  let bytes = 0;
  for (const command of commands) {
    if (command.length > most) return { refusal: "tooLarge" };
    bytes += command.length;
  }
  if (state.commitIndex - state.lastApplied > options.maxApplyLag) return { refusal: "overloaded" };
  // A single command larger than the whole allowance still gets in when nothing else waits.
  if (leadership.uncommittedBytes > 0 && leadership.uncommittedBytes + bytes > options.maxUncommittedBytes)
    return { refusal: "overloaded" };
  const firstIndex = appendAsLeader(
    state,
    commands.map((data) => ({ type, data: type === "session" ? stamped(state, leadership, data) : data })),
  );
  return { firstIndex, term: state.currentTerm };
}

/** A follower hands on what its clients proposed. */
export function handleProposeRequest(state: RaftState, from: MemberId, message: ProposeRequest): void {
  const outcome = proposeCommands(state, message.commands, message.entryType);
  const { requestId } = message;
  if ("refusal" in outcome) {
    send(state, from, {
      type: "ProposeResponse",
      term: state.currentTerm,
      requestId,
      firstIndex: 0,
      entryTerm: 0,
      refusal: outcome.refusal,
    });
  } else {
    const { firstIndex, term } = outcome;
    send(state, from, {
      type: "ProposeResponse",
      term: state.currentTerm,
      requestId,
      firstIndex,
      entryTerm: term,
      refusal: null,
    });
  }
}
