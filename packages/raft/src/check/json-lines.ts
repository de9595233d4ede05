/**
 * Histories as text: one event a line, each a JSON object.
 *
 *     {"process": 0, "type": "invoke", "f": "write", "key": "a", "value": 1, "time": 10}
 *     {"process": 0, "type": "ok", "f": "write", "key": "a", "value": 1, "time": 20}
 *
 * - `process`: the client, an integer of at least 0. It has one operation at a time.
 * - `type`: `invoke` begins an operation; `ok` ends it; `fail` ends it and says that it did not happen; `info` ends it and says
 *   that the outcome is unknown. So is that of an operation without an end.
 * - `f`: what was asked for, a string. The line that ends an operation may leave it out.
 * - `key`: a string or a number, where the model has keys. The line that ends an operation may leave it out.
 * - `value`: of `invoke` the operation's input, of `ok` its output; null where it is left out.
 * - `time`: on one clock, in nanoseconds, though any unit does. In all lines or in none: then the order of the lines stands.
 *   Times that are so large that JavaScript cannot tell them apart count as the same, which makes operations concurrent.
 *
 * Other fields are ignored, and so are empty lines.
 */

import { HistoryError, type Key, type Operation } from "./history.js";

type EventType = "invoke" | "ok" | "fail" | "info";

interface Event {
  readonly line: number;
  readonly process: number;
  readonly type: EventType;
  readonly f: string | undefined;
  readonly key: Key | undefined;
  readonly value: unknown;
  readonly time: number | undefined;
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
export function parseJsonLines(text: string): Operation[] {
  const operations: (Operation | null)[] = [];
  const open = new Map<number, Invocation>();
  let timed: boolean | null = null;
  for (const [at, content] of text.split("\n").entries()) {
    if (content.trim() === "") continue;
    const event = readEvent(content, at + 1);
    timed ??= event.time !== undefined;
    if (timed !== (event.time !== undefined)) {
      throw new HistoryError("time must stand in every line or in none", event.line);
    }
    const time = event.time ?? event.line;
    if (event.type === "invoke") {
      open.set(event.process, begin(event, time, open.get(event.process), operations.length));
      operations.push(null);
    } else {
      const invocation = open.get(event.process);
      open.delete(event.process);
      const { place, ...operation } = end(event, time, invocation);
      if (event.type !== "fail") operations[place] = operation;
    }
  }
  for (const [client, { f, key, input, call, place }] of open) {
    operations[place] = { process: client, f, key, input, output: null, call, return: null };
  }
  return operations.filter((operation) => operation !== null);
}

/** The opposite. Throws a `HistoryError` where a process has two operations at a time, which this format cannot say. */
export function printJsonLines(operations: readonly Operation[]): string {
  const events: { readonly time: number; readonly line: string }[] = [];
  for (const [client, own] of byProcess(operations)) {
    for (const [at, operation] of own.entries()) {
      const next = own[at + 1];
      const { f, key, input, output, call, return: returned } = operation;
      if (next !== undefined && returned !== null && returned > next.call) {
        throw new HistoryError(`process ${client} has two operations at once, at ${next.call}: give each a process of its own`);
      }
      const event = (type: EventType, value: unknown, time: number): void => {
        const fields = { process: client, type, f, ...(key === null ? {} : { key }), value: value ?? null, time };
        events.push({ time, line: JSON.stringify(fields) });
      };
      event("invoke", input, call);
      if (returned !== null) event("ok", output, returned);
      else if (next !== undefined) event("info", null, next.call);
    }
  }
  // The sort is stable: at equal times each process keeps its own order.
  events.sort((left, right) => left.time - right.time);
  return events.map(({ line }) => `${line}\n`).join("");
}

function byProcess(operations: readonly Operation[]): ReadonlyMap<number, readonly Operation[]> {
  const processes = new Map<number, Operation[]>();
  for (const operation of operations) {
    const own = processes.get(operation.process);
    if (own === undefined) processes.set(operation.process, [operation]);
    else own.push(operation);
  }
  const end = (operation: Operation): number => operation.return ?? Number.POSITIVE_INFINITY;
  for (const own of processes.values()) {
    // One that takes no time stands before one that begins as it ends; an open one after both.
    own.sort((left, right) => left.call - right.call || (end(left) < end(right) ? -1 : Number(end(left) > end(right))));
  }
  return processes;
}

function begin(event: Event, call: number, previous: Invocation | undefined, place: number): Invocation {
  const { line, f, key = null, value: input } = event;
  if (previous !== undefined) {
    const remedy = "end that one first (info, if its outcome is unknown), or use another process";
    throw new HistoryError(`process ${event.process} still has the operation of line ${previous.line}: ${remedy}`, line);
  }
  if (f === undefined) throw new HistoryError("f is missing: say what was asked for", line);
  return { line, f, key, input, call, place };
}

function end(event: Event, time: number, invocation: Invocation | undefined): Operation & { readonly place: number } {
  const { line, type, f, key, value } = event;
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
  const { input, call, place } = invocation;
  const known = type === "ok";
  return {
    process: event.process,
    f: invocation.f,
    key: invocation.key,
    input,
    output: known ? value : null,
    call,
    return: known ? time : null,
    place,
  };
}

function readEvent(content: string, line: number): Event {
  const fields = readObject(content, line);
  const { process: client, type, f, key, value = null, time } = fields;
  if (!Number.isSafeInteger(client) || (client as number) < 0) {
    throw new HistoryError("process must be an integer of at least 0", line);
  }
  if (type !== "invoke" && type !== "ok" && type !== "fail" && type !== "info") {
    throw new HistoryError("type must be invoke, ok, fail or info", line);
  }
  if (f !== undefined && typeof f !== "string") throw new HistoryError("f must be a string", line);
  if (key !== undefined && key !== null && typeof key !== "string" && typeof key !== "number") {
    throw new HistoryError("key must be a string or a number", line);
  }
  if (time !== undefined && !(typeof time === "number" && Number.isFinite(time))) {
    throw new HistoryError("time must be a finite number", line);
  }
  return { line, process: client as number, type, f, key, value, time };
}

function readObject(content: string, line: number): Partial<Record<keyof Event, unknown>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch (error) {
    throw new HistoryError(`not JSON: ${error instanceof Error ? error.message : String(error)}`, line);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new HistoryError("must be a JSON object, one event a line", line);
  }
  return parsed;
}
