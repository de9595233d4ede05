/**
 * The state machine and what is done to it: applying, and being frozen into a snapshot. It is user code: whatever it throws
 * is caught here, once, and fails the node, because on equal input it would throw on every node.
 *
 * Beside it stands the session table: it changes with the same entries, and is frozen and replaced together with the machine.
 */
import type { Entry, Index, Term } from "../core/types.js";
import { type SessionReply, type SessionStep, SessionTable } from "./sessions/table.js";
import { freezeSessions } from "./sessions/table-codec.js";
import type { CommittedEntry, StateMachine } from "./state-machine.js";

export class StateMachineFailure extends Error {
  override readonly name = "StateMachineFailure";
}

/** Called for every entry that was applied, with the machine's result for commands, or what became of a session's request. */
export type AppliedCallback = (index: Index, term: Term, result: Uint8Array | undefined, reply: SessionReply | undefined) => void;

/** Whose a piece of a snapshot is. Those of the sessions come first. */
export type SnapshotPart = "sessions" | "machine";

export interface SnapshotPiece {
  readonly part: SnapshotPart;
  readonly bytes: Uint8Array;
}

export class MachineHost<Machine extends StateMachine> {
  #machine: Machine;
  #sessions: SessionTable;
  /** Command bytes applied since the last snapshot, and the entry count: what the snapshot policy looks at. */
  bytesSinceSnapshot = 0;
  entriesSinceSnapshot = 0;

  constructor(machine: Machine, sessions: SessionTable = new SessionTable()) {
    this.#machine = machine;
    this.#sessions = sessions;
  }

  get sessions(): SessionTable {
    return this.#sessions;
  }

  get machine(): Machine {
    return this.#machine;
  }

  /** Puts a machine in place that was restored from a snapshot. */
  replace(machine: Machine, sessions: SessionTable): void {
    this.#machine = machine;
    Object.assign(sessions.counts, this.#sessions.counts);
    this.#sessions = sessions;
    this.bytesSinceSnapshot = 0;
    this.entriesSinceSnapshot = 0;
  }

  apply(entries: readonly Entry[], applied: AppliedCallback): void {
    const commands: CommittedEntry[] = [];
    let steps: Map<Index, SessionStep> | null = null;
    for (const entry of entries) {
      this.bytesSinceSnapshot += entry.data.length;
      if (entry.type === "command") commands.push(entry);
      if (entry.type !== "session") continue;
      const step = this.#sessions.begin(entry);
      steps ??= new Map();
      steps.set(entry.index, step);
      if (step.command !== null) commands.push({ index: entry.index, term: entry.term, data: step.command });
    }
    this.entriesSinceSnapshot += entries.length;
    const results = commands.length === 0 ? [] : guard("apply", () => this.#machine.apply(commands));
    if (results.length !== commands.length)
      throw new StateMachineFailure(
        `apply returned ${results.length} results for ${commands.length} commands: it must return one for each`,
      );
    let place = 0;
    for (const entry of entries) {
      const step = steps?.get(entry.index);
      const ran = step === undefined ? entry.type === "command" : step.command !== null;
      const result = ran ? results[place] : undefined;
      if (ran) place += 1;
      applied(entry.index, entry.term, result, step?.finish(result));
    }
  }

  /** Freezes the sessions and the state, at one index; the pieces are pulled later. */
  freeze(): Iterator<SnapshotPiece> {
    this.bytesSinceSnapshot = 0;
    this.entriesSinceSnapshot = 0;
    const sessions = freezeSessions(this.#sessions);
    const machine = guard("snapshot", () => this.#machine.snapshot()[Symbol.iterator]());
    return (function* (): Generator<SnapshotPiece> {
      for (let next = sessions.next(); next.done !== true; next = sessions.next()) yield { part: "sessions", bytes: next.value };
      for (let next = machine.next(); next.done !== true; next = machine.next()) yield { part: "machine", bytes: next.value };
    })();
  }
}

export function guard<T>(what: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof StateMachineFailure) throw error;
    throw new StateMachineFailure(
      `the state machine threw in ${what}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
