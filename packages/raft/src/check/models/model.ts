/**
 * A model says what an object does when nothing happens at the same time: where it begins, and what each operation does to it.
 * The checker asks whether the answers of a concurrent history could have come from such an object.
 */

import type { Key, Operation } from "../history.js";

export interface Model<State> {
  readonly name: string;

  /** The state of the object of that key before the first operation. */
  init(key: Key): State;

  /**
   * The state after the operation, or null where the object, being in `state`, would not have answered so. Leaves `state` as
   * it is, and depends on nothing but its two arguments. An operation whose `return` is null may have any answer that fits.
   */
  step(state: State, operation: Operation): State | null;

  /** The same for equal states, and only for these. It is asked for at every step: keep it short. */
  identity(state: State): string | number;

  /** What is wrong with the form of an operation, with the remedy, or null. Asked once for each operation, before any step. */
  validate?(operation: Operation): string | null;

  /**
   * The operations that are judged together; by default those of the same key. Groups must be independent of one another:
   * a history is linearizable exactly when each of its groups is.
   */
  partition?(operation: Operation): Key;

  /**
   * The same question put more easily: the operations of one group, without those that cannot make a difference, and with what
   * others reveal about open ones filled in. The verdict must be the same. Open operations are what makes a search hard, since
   * each may happen anywhere after its call; this is where a model's own knowledge rules most of that out.
   */
  simplify?(operations: readonly Operation[]): readonly Simplified[];

  /**
   * The same text for open operations that do the same to every state: of those the search takes the one that was called first,
   * since whatever a later one could do at some moment, that one can. By default no two are alike. Ten retries of one request
   * then cost as much as ten, and not as much as the thousand sets of them.
   */
  alike?(operation: Operation): string;

  /** A state in words, for an explanation. By default as JSON. */
  describe?(state: State): string;
}

export interface ModelOptions {
  /** The value before the first write. Default: the model's own. */
  readonly initial?: unknown;
}

export function unknownFunction(f: string, model: string, known: readonly string[]): string {
  return `f is ${JSON.stringify(f)}; the model ${model} knows ${known.join(", ")}`;
}

export interface Simplified {
  /** What is searched. */
  readonly operation: Operation;
  /** What is reported: as it stands in the history. */
  readonly original: Operation;
  /** Operations of the history that come before this one in every legal order, beyond what time says. */
  readonly after?: readonly Operation[];
}
