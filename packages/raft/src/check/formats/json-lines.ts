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

import { HistoryError, type Operation } from "../history.js";
import { type EventType, type HistoryEvent, type PairingOptions, pairEvents, wrongValue } from "./pairing.js";

/** An event whose time may be missing. */
type Event = Omit<HistoryEvent, "time"> & { readonly time: number | undefined };

/** The operations in the order of their invocations. Throws a `HistoryError` that names the line. */
export function parseJsonLines(text: string, options: PairingOptions = {}): Operation[] {
  return pairEvents(readEvents(text), options);
}

function* readEvents(text: string): Generator<HistoryEvent> {
  let timed: boolean | null = null;
  for (const [at, content] of text.split("\n").entries()) {
    if (content.trim() === "") continue;
    const event = readEvent(content, at + 1);
    timed ??= event.time !== undefined;
    if (timed !== (event.time !== undefined)) {
      throw new HistoryError("time must stand in every line or in none", event.line);
    }
    yield { ...event, time: event.time ?? event.line };
  }
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
  const wrong = wrongValue(value);
  if (wrong !== null) throw new HistoryError(`value ${wrong}`, line);
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
