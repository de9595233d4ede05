/**
 * What is replicated in a simulated cluster, and what its clients do with it: the part of a simulation that a user writes to
 * test a state machine of their own.
 */
import type { Key, Model } from "../check/index.js";
import type { Consistency } from "../runtime/node.js";
import type { StateMachine } from "../runtime/state-machine.js";
import type { SeededRandom } from "./random.js";

/** A command that changes the state. `f`, `key`, `input` and what `answer` returns are what the history shows of it. */
export interface WriteOperation {
  /** What is asked, in the words of the model: "write", "cas", "transfer". */
  readonly f: string;
  /** The object it is about, where the model has several. Default null. */
  readonly key?: Key;
  readonly input?: unknown;
  readonly command: Uint8Array;
  /** Makes plain data of what `apply` returned. Default: the output is null. */
  readonly answer?: (result: Uint8Array) => unknown;
}

/** A look at the state, which must not change it. What `query` returns (plain data) is what the history shows. */
export interface ReadOperation<Machine> {
  readonly f: string;
  readonly key?: Key;
  readonly input?: unknown;
  readonly query: (machine: Machine) => unknown;
  /** Default "linearizable". Others are held to what they promise, and are no part of the history. */
  readonly consistency?: Consistency;
}

export type ClientOperation<Machine> = WriteOperation | ReadOperation<Machine>;

export interface ClientView {
  /** Which client acts; from 0. */
  readonly client: number;
  /** Counts all operations of the run: good for values that are never written twice. */
  readonly number: number;
}

export interface Workload<Machine extends StateMachine, State = unknown> {
  readonly name: string;
  /** Makes an empty machine, as the node's option of that name does. */
  readonly stateMachine: () => Machine;
  /** The next thing that a client does; chance comes from `random` alone, so that a seed says it all. */
  readonly operation: (random: SeededRandom, view: ClientView) => ClientOperation<Machine>;
  /** What the answers are held against, with the search checker. Default: only against the log (which needs no model). */
  readonly model?: Model<State>;
  /** What must be true of the machine after every batch it applied, on every node. Null: all is well. */
  readonly invariant?: (machine: Machine) => string | null;
}
