/**
 * Histories as Jepsen prints them: as EDN, one map an event,
 *
 *     {:process 2, :type :invoke, :f :cas, :value [0 3], :time 123, :index 0}
 *
 * one a line or all in one vector; and as lines of a log, with whatever stands before them, or as a table without anything:
 *
 *     INFO  jepsen.util - 2 :invoke :cas [0 3]
 *
 * - Processes are numbers. Events of others (`:nemesis`) are not about the object, and are passed over.
 * - Events happened in the order in which they stand. `:time` is not looked at: threads note it before they add the event.
 *   The times of the operations are the places of the events, counted from 1; in a log, the lines.
 * - `:fail` says that the operation did not happen; see `failedCas`. `:info` leaves it open, and so does an end of the text.
 * - Where there are several keys, each value is `[key value]`, as jepsen.independent makes them; see `keyed`. Or the
 *   event has a `:key`.
 * - In a log, lines that show no event are passed over.
 */

import { HistoryError, type Key, type Operation } from "../history.js";
import { canonicalText } from "../values.js";
import { readEdnForms, readFirstEdnForm } from "./edn.js";
import { type EventType, type HistoryEvent, type PairingOptions, pairEvents } from "./pairing.js";

export interface JepsenOptions extends PairingOptions {
  /**
   * Whether each value is `[key value]`. By default it is guessed: if that is what every invocation has, and the one of a `cas`
   * has `[key [expected value]]`.
   */
  readonly keyed?: boolean;
}

const TYPES: readonly string[] = ["invoke", "ok", "fail", "info"];

/** Throws a `HistoryError` that names the line. */
export function parseJepsenEdn(text: string, options: JepsenOptions = {}): Operation[] {
  const events: HistoryEvent[] = [];
  let place = 0;
  let lastIndex = Number.NEGATIVE_INFINITY;
  for (const { value, line } of readEdnForms(text)) {
    place += 1;
    const fields = asMap(value, line);
    const index = fields["index"];
    if (typeof index === "number") {
      if (index < lastIndex) throw new HistoryError(`:index is ${index} after ${lastIndex}: events must stand in order`, line);
      lastIndex = index;
    }
    const event = eventOf(fields, line, place);
    if (event !== null) events.push(event);
  }
  return pairEvents(splitKeys(events, options.keyed), options);
}

/** Throws a `HistoryError` that names the line. */
export function parseJepsenLog(text: string, options: JepsenOptions = {}): Operation[] {
  const events: HistoryEvent[] = [];
  for (const [at, content] of text.split("\n").entries()) {
    const event = logEvent(content.trimEnd(), at + 1);
    if (event !== null) events.push(event);
  }
  return pairEvents(splitKeys(events, options.keyed), options);
}

/** Process, type, function, and whatever follows. */
const LOG_EVENT = /(?:^|\s)(\S+)\s+:(invoke|ok|fail|info)\s+:(\S+)(?:\s+(.*))?$/;

function logEvent(content: string, line: number): HistoryEvent | null {
  const [, client = "", type = "", f = "", rest = ""] = LOG_EVENT.exec(content) ?? [];
  if (type === "") {
    if (!/\s:(invoke|ok|fail|info)(\s|$)/.test(content)) return null;
    throw new HistoryError("an event must be: process, :type, :function, value", line);
  }
  if (client.startsWith(":")) return null;
  if (!/^\d+$/.test(client)) throw new HistoryError(`the process is ${client}: it must be a number`, line);
  const value = rest.trim() === "" ? null : readFirstEdnForm(rest, line);
  return { line, process: Number(client), type: type as EventType, f, key: undefined, value, time: line };
}

function asMap(value: unknown, line: number): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  throw new HistoryError("an event must be a map: {:process 0, :type :invoke, :f :read, :value nil}", line);
}

function eventOf(fields: Readonly<Record<string, unknown>>, line: number, place: number): HistoryEvent | null {
  const { process: client, type, f, value = null, key } = fields;
  if (typeof client === "string") return null;
  if (!Number.isSafeInteger(client) || (client as number) < 0) {
    throw new HistoryError(":process must be a number of at least 0, or a name for what is no client", line);
  }
  if (typeof type !== "string" || !TYPES.includes(type))
    throw new HistoryError(":type must be :invoke, :ok, :fail or :info", line);
  if (f !== undefined && typeof f !== "string") throw new HistoryError(":f must be a keyword", line);
  const known = key === undefined ? undefined : asKey(key);
  return { line, process: client as number, type: type as EventType, f, key: known, value, time: place };
}

function asKey(value: unknown): Key {
  return value === null || typeof value === "string" || typeof value === "number" ? value : canonicalText(value);
}

/** Takes the keys out of the values, if they are there. */
function splitKeys(events: readonly HistoryEvent[], keyed: boolean | undefined): readonly HistoryEvent[] {
  if (!(keyed ?? looksKeyed(events))) return events;
  return events.map((event) => {
    // What an end without an answer has for a value may be anything: an error, a timeout.
    if (event.type === "fail" || event.type === "info") return event;
    if (!isPair(event.value)) throw new HistoryError("the value must be [key value], as in the other events", event.line);
    const [key, value] = event.value;
    return { ...event, key: asKey(key), value };
  });
}

function looksKeyed(events: readonly HistoryEvent[]): boolean {
  const invocations = events.filter(({ type }) => type === "invoke");
  return (
    invocations.length > 0 &&
    invocations.every(({ f, key, value }) => {
      return key === undefined && isPair(value) && typeof value[0] !== "object" && (f !== "cas" || isPair(value[1]));
    })
  );
}

function isPair(value: unknown): value is readonly [unknown, unknown] {
  return Array.isArray(value) && value.length === 2;
}
