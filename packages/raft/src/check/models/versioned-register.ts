/**
 * One key of a store that numbers its changes, as etcd does: every write gets a revision, larger than that of any write before
 * it, and a read returns it with the value. Other keys draw from the same numbers, so a key's own revisions have gaps.
 *
 * - `read`: the output is `{ value, revision }`, or null where the key was never written.
 * - `write`: the input is the value; the output its revision, or null if the client was not told.
 * - `cas`: the input is `{ expected, value }`, where `expected` is the revision that must be the current one, and 0 means that
 *   the key must not exist; the output is the new revision, or null if the client was not told. It is a swap that took effect:
 *   record a refused one as a `read` of what the answer showed, or, if it showed nothing, leave it out.
 *
 * No two writes of a key may write the same value: then a value tells which write it came from. Values are strings.
 */

import { HistoryError, type Operation } from "../history.js";
import { type Model, type Simplified, unknownFunction } from "./model.js";
import { type Footprint, simplifyByObservation } from "./observation.js";

/** A value and the revision of the write that it came from. */
export interface Versioned {
  readonly value: string;
  readonly revision: number;
}

export interface VersionedSwap {
  readonly expected: number;
  readonly value: string;
}

export interface VersionedState {
  /** Null: the key does not exist. */
  readonly value: string | null;
  /** The revision, or where nobody has told it, the smallest that it can be. */
  readonly revision: number;
  readonly known: boolean;
}

export const versionedRegister: Model<VersionedState> = {
  name: "versioned-register",
  init: () => ({ value: null, revision: 0, known: true }),
  step,
  identity: ({ value, revision, known }) => (value === null ? "" : `${known ? "=" : ">"}${revision} ${value}`),
  validate,
  simplify,
};

function step(state: VersionedState, operation: Operation): VersionedState | null {
  if (operation.f === "read") return operation.return === null ? state : found(state, operation.output as Versioned | null);
  const told = operation.return === null ? null : (operation.output as number | null);
  if (operation.f === "write") return written(state, operation.input as string, told);
  const { expected, value } = operation.input as VersionedSwap;
  return mayHaveRevision(state, expected) ? written({ ...state, revision: expected }, value, told) : null;
}

function found(state: VersionedState, output: Versioned | null): VersionedState | null {
  if (output === null) return state.value === null ? state : null;
  if (output.value !== state.value || !mayHaveRevision(state, output.revision)) return null;
  return state.known ? state : { value: state.value, revision: output.revision, known: true };
}

function mayHaveRevision(state: VersionedState, revision: number): boolean {
  return state.known ? revision === state.revision : revision >= state.revision;
}

function written(before: VersionedState, value: string, revision: number | null): VersionedState | null {
  if (revision === null) return { value, revision: before.revision + 1, known: false };
  return revision > before.revision ? { value, revision, known: true } : null;
}

function validate({ f, input, output, return: end }: Operation): string | null {
  if (f === "read") {
    if (end === null || output === null || isVersioned(output)) return null;
    return "the output of a read must be { value: string, revision: integer of at least 1 }, or null where nothing was found";
  }
  if (f !== "write" && f !== "cas") return unknownFunction(f, "versioned-register", ["read", "write", "cas"]);
  if (f === "write" && typeof input !== "string") return "the input of a write must be a string";
  if (f === "cas" && !isSwap(input)) return "the input of a cas must be { expected: revision or 0, value: string }";
  if (end !== null && output !== null && !isRevision(output)) {
    return `the output of a ${f} must be its revision, an integer of at least 1, or null if it was not told`;
  }
  return null;
}

function isRevision(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function isVersioned(output: unknown): output is Versioned {
  if (typeof output !== "object" || output === null) return false;
  const { value, revision } = output as Partial<Record<keyof Versioned, unknown>>;
  return typeof value === "string" && isRevision(revision);
}

function isSwap(input: unknown): input is VersionedSwap {
  if (typeof input !== "object" || input === null) return false;
  const { expected, value } = input as Partial<Record<keyof VersionedSwap, unknown>>;
  return typeof value === "string" && (expected === 0 || isRevision(expected));
}

/** Values stand with a mark before them, so that none is mistaken for the key that does not exist. */
const ABSENT = "absent";

function simplify(operations: readonly Operation[]): readonly Simplified[] {
  const { revisions, values } = whatWasTold(operations);
  return simplifyByObservation(operations, {
    isInitial: (value) => value === ABSENT,
    footprint: (operation) => footprint(operation, values),
    close: (operation, before) => {
      const value = operation.f === "write" ? (operation.input as string) : (operation.input as VersionedSwap).value;
      return { ...operation, output: revisions.get(value) ?? null, return: before };
    },
  });
}

/** Which value has which revision, according to the answers. Where they contradict each other, the search finds out. */
function whatWasTold(operations: readonly Operation[]): {
  readonly revisions: ReadonlyMap<string, number>;
  readonly values: ReadonlyMap<number, string>;
} {
  const revisions = new Map<string, number>();
  const values = new Map<number, string>();
  const written = new Set<string>();
  const note = (value: string, revision: number): void => {
    revisions.set(value, revision);
    values.set(revision, value);
  };
  for (const operation of operations) {
    const { f, input, output, return: end } = operation;
    if (f === "read") {
      if (end !== null && output !== null) note((output as Versioned).value, (output as Versioned).revision);
      continue;
    }
    const value = f === "write" ? (input as string) : (input as VersionedSwap).value;
    if (written.has(value)) throw new HistoryError(`two operations write ${JSON.stringify(value)}: every value must be unique`);
    written.add(value);
    if (end !== null && output !== null) note(value, output as number);
  }
  return { revisions, values };
}

function footprint(operation: Operation, values: ReadonlyMap<number, string>): Footprint {
  const { f, input, output, return: end } = operation;
  if (f === "write") return { observes: [], writes: [`=${input as string}`], blind: false };
  if (f === "read") {
    if (end === null) return { observes: [], writes: [], blind: false };
    return { observes: [output === null ? ABSENT : `=${(output as Versioned).value}`], writes: [], blind: false };
  }
  const { expected, value } = input as VersionedSwap;
  const replaced = values.get(expected);
  if (expected === 0) return { observes: [ABSENT], writes: [`=${value}`], blind: false };
  return {
    observes: replaced === undefined ? [] : [`=${replaced}`],
    writes: [`=${value}`],
    blind: replaced === undefined,
  };
}
