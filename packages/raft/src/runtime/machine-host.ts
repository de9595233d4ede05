/**
 * The state machine and what is done to it: applying, and being frozen into a snapshot. It is user code: whatever it throws
 * is caught here, once, and fails the node, because on equal input it would throw on every node.
 *
 * Beside it stands the session table: it changes with the same entries, and is frozen and replaced together with the machine.
 */
import type { SnapshotMetadata } from "../core/output.js";
import type { Entry, Index, Term } from "../core/types.js";
import { type CheckpointOwner, changedRecords, durableStorageOf, recordsOf } from "./durable.js";
import { type SessionReply, type SessionStep, SessionTable } from "./sessions/table.js";
import { freezeSessions } from "./sessions/table-codec.js";
import type { CommittedEntry, DurableStorage, KeptRecord, StateMachine } from "./state-machine.js";

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

/** For a machine that keeps itself on disk: what is in force up to an index, and whose it is. */
export interface DurableContext {
  readonly owner: CheckpointOwner;
  metadataAt(index: Index, term: Term): SnapshotMetadata;
}

export class MachineHost<Machine extends StateMachine> {
  readonly #context: DurableContext | null;
  #machine: Machine;
  #sessions: SessionTable;
  /** Command bytes applied since the last snapshot, and the entry count: what the snapshot policy looks at. */
  bytesSinceSnapshot = 0;
  entriesSinceSnapshot = 0;

  /** `context`: for a machine that keeps itself on disk; such a one has its own storage ask for it. */
  constructor(machine: Machine, sessions: SessionTable = new SessionTable(), context: DurableContext | null = null) {
    this.#machine = machine;
    this.#sessions = sessions;
    this.#context = context;
    if (this.durable !== null) sessions.watchChanges();
  }

  /** The machine's own storage; null: it lives in memory. */
  get durable(): DurableStorage | null {
    return this.#context === null ? null : durableStorageOf(this.#machine);
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
    this.countAnew();
  }

  /** A durable machine's state is replaced where it is, in one transaction with what the node keeps beside it. */
  replaceDurable(metadata: SnapshotMetadata, sessions: SessionTable, lastPiece: () => void): void {
    const { durable } = this;
    if (durable === null || this.#context === null) return;
    const { owner } = this.#context;
    const before = this.#sessions.sessions.keys();
    inTransaction(durable, () => {
      lastPiece();
      return recordsOf(owner, metadata, sessions, before);
    });
    sessions.watchChanges();
    this.replace(this.#machine, sessions);
  }

  apply(entries: readonly Entry[], applied: AppliedCallback): void {
    const { durable } = this;
    const context = this.#context;
    const last = entries.at(-1);
    if (durable === null || context === null || last === undefined) return this.#apply(entries, applied);
    // Nobody is told before the transaction is in force.
    const outcomes: Parameters<AppliedCallback>[] = [];
    inTransaction(durable, () => {
      this.#apply(entries, (...outcome) => outcomes.push(outcome));
      return changedRecords(context.owner, context.metadataAt(last.index, last.term), this.#sessions);
    });
    for (const outcome of outcomes) applied(...outcome);
  }

  #apply(entries: readonly Entry[], applied: AppliedCallback): void {
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

  /** What was applied up to now is taken care of. */
  countAnew(): void {
    this.bytesSinceSnapshot = 0;
    this.entriesSinceSnapshot = 0;
  }

  /** Freezes the sessions and the state, at one index; the pieces are pulled later. */
  freeze(): Iterator<SnapshotPiece> {
    const sessions = freezeSessions(this.#sessions);
    const machine = guard("snapshot", () => this.#machine.snapshot()[Symbol.iterator]());
    return (function* (): Generator<SnapshotPiece> {
      for (let next = sessions.next(); next.done !== true; next = sessions.next()) yield { part: "sessions", bytes: next.value };
      for (let next = machine.next(); next.done !== true; next = machine.next()) yield { part: "machine", bytes: next.value };
    })();
  }
}

/** The machine must have called the body, and must not go on as if it had stored what it has not. */
function inTransaction(durable: DurableStorage, body: () => readonly KeptRecord[]): void {
  let ran = 0;
  guard("transaction", () =>
    durable.transaction(() => {
      ran += 1;
      return body();
    }),
  );
  if (ran !== 1)
    throw new StateMachineFailure(`the state machine ran the body of a transaction ${ran} times: it must run it once`);
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
