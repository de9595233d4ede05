/**
 * The verdict on a history. Groups of operations (by default: of one key) are independent of one another, so each is searched on
 * its own; and since any of them may be hopelessly hard while another is quickly refuted, they take turns. Out of budget, the
 * verdict is "unknown" and never a guess.
 */

import { describeOperation, HistoryError, type Key, type Operation } from "./history.js";
import { MemoryBudget } from "./memo.js";
import type { Model, Simplified } from "./models/model.js";
import { type LegalPrefix, Search } from "./search.js";

export interface CheckOptions {
  /**
   * Steps in all, over all groups: a step looks at one operation that may come next, and costs well below a microsecond with a
   * simple model. At least 1. Default: 100 million.
   */
  readonly maxSteps?: number;
  /**
   * Bytes that all memos may take together. What else is kept grows with the length of the history alone. At least 1 MiB.
   * Default: 512 MiB.
   */
  readonly maxMemoBytes?: number;
  /** Asked from time to time, about once in ten thousand steps: true ends the check. For a limit in time. Default: never. */
  readonly expired?: () => boolean;
}

/** `undecided`: the budget ran out, or another group was refuted first. */
export type GroupVerdict = "linearizable" | "not" | "undecided";

export interface GroupResult {
  readonly key: Key;
  readonly operations: number;
  readonly verdict: GroupVerdict;
  readonly steps: number;
  readonly configurations: number;
  /** The order found; empty without one. Open operations that are not in it never happened, or made no difference. */
  readonly order: readonly Operation[];
}

export interface Failure<State> {
  /** The group that has no legal order. */
  readonly key: Key;
  /** All of it, as it stands in the history. */
  readonly operations: readonly Operation[];
  /** The longest ones that there are of a part of it, at most eight; there is always one, if only the empty one. */
  readonly prefixes: readonly LegalPrefix<State>[];
}

export type CheckResult<State> = {
  /** The model's name. */
  readonly model: string;
  readonly steps: number;
  readonly groups: readonly GroupResult[];
} & (
  | { readonly verdict: "linearizable" }
  | { readonly verdict: "not"; readonly failure: Failure<State> }
  | { readonly verdict: "unknown"; readonly reason: "steps" | "memory" | "time" }
);

const DEFAULT_MAX_STEPS = 100_000_000;
const DEFAULT_MAX_MEMO_BYTES = 512 * 2 ** 20;
const SMALLEST_MEMO_BYTES = 2 ** 20;
const STEPS_A_TURN = 10_000;

/** Whether the answers in the history could have come from the object that the model describes. */
export function checkHistory<State>(
  operations: readonly Operation[],
  model: Model<State>,
  options: CheckOptions = {},
): CheckResult<State> {
  const { maxSteps, maxMemoBytes, expired } = readOptions(options);
  const budget = new MemoryBudget(maxMemoBytes);
  const groups = [...groupOperations(operations, model)].map(([key, members]) => new Group(model, key, members, budget));
  let running = groups;
  let left = maxSteps;
  let starved = false;
  while (running.length > 0) {
    for (const group of running) {
      if (expired()) return conclude(model, groups, "time");
      if (left <= 0) return conclude(model, groups, "steps");
      left -= group.takeTurn(Math.min(left, STEPS_A_TURN));
      if (group.state === "not") return conclude(model, groups, null);
      if (group.state === "starved") {
        starved = true;
        largest(groups).giveUp();
      }
    }
    running = running.filter((group) => group.state === "running" || group.state === "starved");
  }
  return conclude(model, groups, starved ? "memory" : null);
}

class Group<State> {
  readonly search: Search<State>;
  readonly operations: readonly Operation[];
  state: "running" | "starved" | "linearizable" | "not" | "abandoned" = "running";

  constructor(model: Model<State>, key: Key, operations: readonly Operation[], budget: MemoryBudget) {
    this.operations = operations;
    const simplified: readonly Simplified[] =
      model.simplify?.(operations) ?? operations.map((operation) => ({ operation, original: operation }));
    this.search = new Search(model, key, simplified, budget);
  }

  /** Returns the steps that were taken. */
  takeTurn(steps: number): number {
    if (this.state === "abandoned") return 0;
    const before = this.search.steps;
    this.state = this.search.advance(steps);
    if (this.state === "linearizable" || this.state === "not") this.search.release();
    return this.search.steps - before;
  }

  /** For want of memory. What it held is free for the others. */
  giveUp(): void {
    this.state = "abandoned";
    this.search.release();
  }

  result(): GroupResult {
    const { key, steps, configurations } = this.search;
    const verdict = this.state === "linearizable" || this.state === "not" ? this.state : "undecided";
    const order = verdict === "linearizable" ? this.search.order() : [];
    return { key, operations: this.operations.length, verdict, steps, configurations, order };
  }
}

function groupOperations<State>(operations: readonly Operation[], model: Model<State>): Map<Key, Operation[]> {
  const groups = new Map<Key, Operation[]>();
  for (const operation of operations) {
    const wrong = wrongTimes(operation) ?? model.validate?.(operation) ?? null;
    if (wrong !== null) throw new HistoryError(`${wrong} (${describeOperation(operation)})`);
    const key = model.partition === undefined ? operation.key : model.partition(operation);
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [operation]);
    else members.push(operation);
  }
  return groups;
}

function wrongTimes({ call, return: end }: Operation): string | null {
  if (!Number.isFinite(call)) return `call is ${call}: give a finite time`;
  if (end === null) return null;
  if (!Number.isFinite(end)) return `return is ${end}: give a finite time, or null for an unknown outcome`;
  return end < call ? "return is before call: both times must come from one clock that does not go back" : null;
}

/** The one with the most memory. There is one: whoever starves is running. */
function largest<State>(groups: readonly Group<State>[]): Group<State> {
  return groups.reduce((most, group) => (group.search.bytes > most.search.bytes ? group : most));
}

function conclude<State>(
  model: Model<State>,
  groups: readonly Group<State>[],
  reason: "steps" | "memory" | "time" | null,
): CheckResult<State> {
  const results = groups.map((group) => group.result());
  const common = { model: model.name, steps: results.reduce((sum, result) => sum + result.steps, 0), groups: results };
  const refuted = groups.find((group) => group.state === "not");
  if (refuted !== undefined) {
    const { operations } = refuted;
    const failure = { key: refuted.search.key, operations, prefixes: refuted.search.longestPrefixes() };
    return { ...common, verdict: "not", failure };
  }
  return reason === null ? { ...common, verdict: "linearizable" } : { ...common, verdict: "unknown", reason };
}

function readOptions(options: CheckOptions): Required<CheckOptions> {
  const { maxSteps = DEFAULT_MAX_STEPS, maxMemoBytes = DEFAULT_MAX_MEMO_BYTES, expired = () => false } = options;
  if (!Number.isSafeInteger(maxSteps) || maxSteps < 1) {
    throw new RangeError(`maxSteps is ${maxSteps}: give an integer of at least 1`);
  }
  if (!Number.isSafeInteger(maxMemoBytes) || maxMemoBytes < SMALLEST_MEMO_BYTES) {
    throw new RangeError(`maxMemoBytes is ${maxMemoBytes}: give an integer of at least ${SMALLEST_MEMO_BYTES}`);
  }
  return { maxSteps, maxMemoBytes, expired };
}
