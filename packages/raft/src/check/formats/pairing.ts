/**
 * Events, as recorders write them down, made into operations: what a process asked for, and what it was told. Every format
 * ends here, so that all have the same rules: a process has one operation at a time, and an event that does not fit is an
 * error that names its line.
 */

import { HistoryError, type Key, type Operation } from "../history.js";

export type EventType = "invoke" | "ok" | "fail" | "info";

export interface HistoryEvent {
  /** Where it stands in the text, for messages. */
  readonly line: number;
  readonly process: number;
  /**
   * `invoke` begins an operation; `ok` ends it; `fail` ends it and says that it did not happen; `info` ends it and says that the
   * outcome is unknown. So is that of an operation without an end.
   */
  readonly type: EventType;
  /** May be missing where an operation ends. */
  readonly f: string | undefined;
  /** May be missing where an operation ends; missing where it begins: null. */
  readonly key: Key | undefined;
  /** Of `invoke` the input, of `ok` the output. */
  readonly value: unknown;
  readonly time: number;
}

export interface PairingOptions {
  /**
   * What `fail` says of a `cas`. `not-done`: it did not happen, whatever the reason, and is left out. `refused`: it was carried
   * out, found another value than it expected, and changed nothing; it counts as an answer of false. Default: `not-done`, which
   * is true of every failure; only who knows the client that recorded the history can say that all are refusals.
   */
  readonly failedCas?: "not-done" | "refused";
}

interface Invocation {
  readonly line: number;
  readonly f: string;
  readonly key: Key;
  readonly input: unknown;
  readonly call: number;
  /** Where its operation stands in the list: the order of the invocations. */
  readonly place: number;
}

/** The operations in the order of their invocations. Throws a `HistoryError` that names the line. */
export function pairEvents(events: Iterable<HistoryEvent>, options: PairingOptions = {}): Operation[] {
  const operations: (Operation | null)[] = [];
  const open = new Map<number, Invocation>();
  for (const event of events) {
    if (event.type === "invoke") {
      open.set(event.process, begin(event, open.get(event.process), operations.length));
      operations.push(null);
    } else {
      const invocation = open.get(event.process);
      open.delete(event.process);
      const { place, ...operation } = end(event, invocation, options);
      if (event.type !== "fail" || operation.return !== null) operations[place] = operation;
    }
  }
  for (const [client, { f, key, input, call, place }] of open) {
    operations[place] = { process: client, f, key, input, output: null, call, return: null };
  }
  return operations.filter((operation) => operation !== null);
}

function begin(event: HistoryEvent, previous: Invocation | undefined, place: number): Invocation {
  const { line, f, key = null, value: input, time: call } = event;
  if (previous !== undefined) {
    const remedy = "end that one first (info, if its outcome is unknown), or use another process";
    throw new HistoryError(`process ${event.process} still has the operation of line ${previous.line}: ${remedy}`, line);
  }
  if (f === undefined) throw new HistoryError("f is missing: say what was asked for", line);
  return { line, f, key, input, call, place };
}

function end(
  event: HistoryEvent,
  invocation: Invocation | undefined,
  options: PairingOptions,
): Operation & { readonly place: number } {
  const { line, type, f, key, value, time } = event;
  if (invocation === undefined) {
    throw new HistoryError(`${type} for process ${event.process}, which has no operation: its invoke is missing`, line);
  }
  if (f !== undefined && f !== invocation.f) {
    throw new HistoryError(`f is ${JSON.stringify(f)}, but ${JSON.stringify(invocation.f)} in line ${invocation.line}`, line);
  }
  if (key !== undefined && key !== invocation.key) {
    const before = JSON.stringify(invocation.key);
    throw new HistoryError(`key is ${JSON.stringify(key)}, but ${before} in line ${invocation.line}`, line);
  }
  if (time < invocation.call) throw new HistoryError(`time is before that of line ${invocation.line}, where this began`, line);
  const { f: asked, key: object, input, call, place } = invocation;
  const refusal = type === "fail" && asked === "cas" && options.failedCas === "refused";
  const known = type === "ok" || refusal;
  return {
    process: event.process,
    f: asked,
    key: object,
    input,
    output: refusal ? false : known ? value : null,
    call,
    return: known ? time : null,
    place,
  };
}

/** Deeper than anything that a person or a program would record; what goes on beyond it would exhaust the stack. */
export const DEEPEST = 200;

/** What keeps a value from being compared by its content, with the remedy; null: nothing. */
export function wrongValue(value: unknown, depth = 0): string | null {
  if (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)) {
    return `holds ${value}, an integer too large to be told from its neighbours: write it as a text`;
  }
  if (typeof value !== "object" || value === null) return null;
  if (depth >= DEEPEST) return `is nested more than ${DEEPEST} deep`;
  for (const part of Object.values(value)) {
    const wrong = wrongValue(part, depth + 1);
    if (wrong !== null) return wrong;
  }
  return null;
}
