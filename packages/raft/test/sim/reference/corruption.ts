/** The shape of a corruption: one thing in a trace is changed, taken out or put in, so that a rule of Raft is broken. */
import type { MessageOf, RuleName, TraceMessage, TraceRecord } from "../../../src/sim/reference/index.js";
import type { Trace } from "./traces.js";
import type { NodeView, View } from "./view.js";

export interface Place {
  readonly trace: Trace;
  readonly at: number;
  /** Before the record at this place. */
  readonly view: View;
  /** The node of the record, before it. */
  readonly node: NodeView;
}

/** What comes instead of the record at the place; null: this corruption has no place here. */
export type Change = readonly TraceRecord[] | null;

export interface Corruption {
  readonly name: string;
  /** The rules one of which must be named. */
  readonly rules: readonly RuleName[];
  readonly change: (record: TraceRecord, place: Place) => Change;
}

type RecordOf<Type extends TraceRecord["type"]> = Extract<TraceRecord, { readonly type: Type }>;

/** A corruption of one kind of record. */
export function at<Type extends TraceRecord["type"]>(
  type: Type,
  name: string,
  rules: readonly RuleName[],
  change: (record: RecordOf<Type>, place: Place) => Change,
): Corruption {
  return { name, rules, change: (record, place) => (record.type === type ? change(record as RecordOf<Type>, place) : null) };
}

/** A corruption of one kind of message, on its way out (`send`) or in (`receive`). */
export function atMessage<Way extends "send" | "receive", Type extends TraceMessage["type"]>(
  way: Way,
  type: Type,
  name: string,
  rules: readonly RuleName[],
  change: (message: MessageOf<Type>, record: RecordOf<Way>, place: Place) => Change,
): Corruption {
  return {
    name,
    rules,
    change: (record, place) =>
      record.type === way && record.message.type === type
        ? change(record.message as MessageOf<Type>, record as RecordOf<Way>, place)
        : null,
  };
}

/** The next record of the same node, and where it stands. */
export function nextOf(place: Place, node: string): TraceRecord | null {
  for (let next = place.at + 1; next < place.trace.length; next += 1) {
    const record = place.trace[next];
    if (record?.node === node) return record;
  }
  return null;
}

/** The records of the node from here to the end of its turn: up to the next input that it gets. */
export function restOfTurn(place: Place, node: string): TraceRecord[] {
  const rest: TraceRecord[] = [];
  for (const record of place.trace.slice(place.at + 1, place.at + 60)) {
    if (record.node !== node) continue;
    if (["receive", "persisted", "start", "stop", "read", "snapshot"].includes(record.type)) break;
    rest.push(record);
  }
  return rest;
}

/** The newest record before this place that `wanted` accepts, of the node's present life. */
export function lastOf(place: Place, node: string, wanted: (record: TraceRecord) => boolean): TraceRecord | null {
  for (let before = place.at - 1; before >= 0; before -= 1) {
    const record = place.trace[before];
    if (record?.node !== node) continue;
    if (wanted(record)) return record;
    if (record.type === "start") return null;
  }
  return null;
}
