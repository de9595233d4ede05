/**
 * The state machine and what is done to it: applying, and being frozen into a snapshot. It is user code: whatever it throws
 * is caught here, once, and fails the node, because on equal input it would throw on every node.
 */
import type { Entry, Index, Term } from "../core/types.js";
import type { CommittedEntry, StateMachine } from "./state-machine.js";

export class StateMachineFailure extends Error {
  override readonly name = "StateMachineFailure";
}

/** Called for every entry that was applied, with the machine's result for commands. */
export type AppliedCallback = (index: Index, term: Term, result: Uint8Array | undefined) => void;

export class MachineHost<Machine extends StateMachine> {
  #machine: Machine;
  /** Command bytes applied since the last snapshot, and the entry count: what the snapshot policy looks at. */
  bytesSinceSnapshot = 0;
  entriesSinceSnapshot = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  get machine(): Machine {
    return this.#machine;
  }

  /** Puts a machine in place that was restored from a snapshot. */
  replace(machine: Machine): void {
    this.#machine = machine;
    this.bytesSinceSnapshot = 0;
    this.entriesSinceSnapshot = 0;
  }

  apply(entries: readonly Entry[], applied: AppliedCallback): void {
    const commands: CommittedEntry[] = [];
    for (const entry of entries) {
      this.bytesSinceSnapshot += entry.data.length;
      if (entry.type === "command") commands.push(entry);
    }
    this.entriesSinceSnapshot += entries.length;
    const results = commands.length === 0 ? [] : guard("apply", () => this.#machine.apply(commands));
    if (results.length !== commands.length)
      throw new StateMachineFailure(
        `apply returned ${results.length} results for ${commands.length} commands: it must return one for each`,
      );
    let place = 0;
    for (const entry of entries) {
      if (entry.type === "command") {
        applied(entry.index, entry.term, results[place]);
        place += 1;
      } else {
        applied(entry.index, entry.term, undefined);
      }
    }
  }

  /** Freezes the state; the pieces are pulled later. */
  freeze(): Iterator<Uint8Array> {
    this.bytesSinceSnapshot = 0;
    this.entriesSinceSnapshot = 0;
    return guard("snapshot", () => this.#machine.snapshot()[Symbol.iterator]());
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
