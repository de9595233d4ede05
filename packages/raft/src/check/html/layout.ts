/**
 * Where the operations around a failure stand in a drawing. Time runs from left to right, but only its order is kept: between
 * two events there is as much room as the labels need. Calls stand before returns at the same time, so that operations which
 * touch are seen to overlap, as the checker takes them.
 *
 * Only a window is laid out: the end of the order that was found, what cannot come next, and a little of what is called later.
 * So five thousand operations make no larger a drawing than fifty.
 */

import type { Operation } from "../history.js";
import type { LegalPrefix } from "../search.js";
import { labelText } from "./words.js";

/**
 * `legal`: in the order; `stuck`: one of these must come next, and none can; `unused`: has an unknown outcome, and would not help
 * or make a difference; `later`: called after one of the stuck ones returned.
 */
export type Standing = "legal" | "stuck" | "unused" | "later";

export interface Bar {
  readonly operation: Operation;
  readonly standing: Standing;
  /** Its number in the order, counted from 1; null: it is not in it. */
  readonly number: number | null;
  readonly label: string;
  readonly labelLeft: number;
  readonly left: number;
  /** It was called before everything that is shown. */
  readonly beganBefore: boolean;
  /** Where it returned; of an open one, the end of the drawing. */
  readonly right: number;
  readonly row: number;
  /** Where in the bar it takes effect, if it is in the order. */
  readonly point: number | null;
}

export interface Layout {
  readonly bars: readonly Bar[];
  readonly lanes: readonly { readonly process: number; readonly firstRow: number; readonly rows: number }[];
  readonly rows: number;
  readonly width: number;
  /** Where the order ends. */
  readonly stuckAt: number;
  readonly hidden: Readonly<Record<Standing, number>>;
}

/** A history of no more operations is shown as a whole. */
const SMALL = 40;
/** How many of a larger one. */
const SHOWN: Readonly<Record<Standing, number>> = { legal: 16, stuck: 12, unused: 3, later: 5 };
const LABEL_CHARACTERS = 28;
const CHARACTER_WIDTH = 6.7;
const LABEL_MARGIN = 18;
/** Between two events, and more for each operation that takes effect between them. */
const COLUMN_GAP = 12;
const POINT_GAP = 12;

interface Shown {
  readonly operation: Operation;
  readonly standing: Standing;
  readonly number: number | null;
  readonly label: string;
}

export function layOut<State>(operations: readonly Operation[], prefix: LegalPrefix<State>): Layout {
  const { shown, hidden } = chooseShown(operations, prefix);
  const columns = new Columns(shown);
  const bars = assignRows(shown.map((item) => ({ ...item, ...columns.extent(item) })));
  return { ...bars, width: columns.width, stuckAt: columns.stuckAt, hidden };
}

function chooseShown<State>(
  operations: readonly Operation[],
  { operations: order, stuck, open }: LegalPrefix<State>,
): { shown: readonly Shown[]; hidden: Layout["hidden"] } {
  const placed = new Set([...order, ...stuck, ...open]);
  const rest = operations.filter((operation) => !placed.has(operation));
  const limit = (standing: Standing): number => (operations.length <= SMALL ? SMALL : SHOWN[standing]);
  const first = Math.max(0, order.length - limit("legal"));
  // Those that returned first cannot be got past; the open ones that were called last are the likeliest to be asked about.
  const mustCome = stuck.toSorted((left, right) => endOf(left) - endOf(right));
  const deadline = endOf(mustCome[0]);
  const isUnused = (operation: Operation): boolean => !isClosed(operation) && operation.call <= deadline;
  const unused = [...open, ...rest].filter(isUnused).sort((left, right) => right.call - left.call);
  const later = rest.filter((operation) => !isUnused(operation)).sort((left, right) => left.call - right.call);
  const shown = [
    ...order.slice(first).map((operation, at) => show(operation, "legal", first + at + 1)),
    ...mustCome.slice(0, limit("stuck")).map((operation) => show(operation, "stuck", null)),
    ...unused.slice(0, limit("unused")).map((operation) => show(operation, "unused", null)),
    ...later.slice(0, limit("later")).map((operation) => show(operation, "later", null)),
  ];
  const left = (all: readonly Operation[], standing: Standing): number => Math.max(0, all.length - limit(standing));
  return {
    shown,
    hidden: { legal: first, stuck: left(mustCome, "stuck"), unused: left(unused, "unused"), later: left(later, "later") },
  };
}

function isClosed(operation: Operation): boolean {
  return operation.return !== null;
}

function show(operation: Operation, standing: Standing, number: number | null): Shown {
  const text = labelText(operation, LABEL_CHARACTERS);
  const mark = standing === "stuck" ? "✗ " : number === null ? "" : `${number} · `;
  return { operation, standing, number, label: mark + text };
}

function endOf(operation: Operation | undefined): number {
  return operation?.return ?? Number.POSITIVE_INFINITY;
}

/** The events of the shown operations in the order of time, and how far from the left each is. */
class Columns {
  readonly #places = new Map<string, number>();
  readonly #lefts: number[] = [];
  readonly #points = new Map<Operation, number>();
  /** Open operations may have been called long ago: the drawing begins with the first call of a finished one. */
  readonly #begin: number;
  readonly width: number;
  readonly stuckAt: number;

  constructor(shown: readonly Shown[]) {
    const closedCalls = shown.filter(({ operation }) => isClosed(operation)).map(({ operation }) => operation.call);
    this.#begin = closedCalls.reduce((earliest, call) => Math.min(earliest, call), Number.POSITIVE_INFINITY);
    if (closedCalls.length === 0) this.#begin = Number.NEGATIVE_INFINITY;
    const events = shown.flatMap(({ operation: { call, return: end } }) => {
      const begin = [Math.max(call, this.#begin), 0] as const;
      return end === null ? [begin] : [begin, [end, 1] as const];
    });
    events.sort(([time, kind], [otherTime, otherKind]) => time - otherTime || kind - otherKind);
    for (const [time, kind] of events) {
      const name = `${time} ${kind}`;
      if (!this.#places.has(name)) this.#places.set(name, this.#places.size);
    }
    const { slots, last } = this.#pointSlots(shown);
    const count = this.#places.size;
    const minimum = this.#returnsByColumn(shown);
    for (let column = 0, left = 0; column <= count; column += 1) {
      const needed = (minimum[column] ?? []).map((item) => (this.#lefts[this.#callColumn(item)] ?? 0) + widthOf(item));
      left = Math.max(left, ...needed);
      this.#lefts.push(left);
      left += COLUMN_GAP + POINT_GAP * (slots.get(column)?.length ?? 0);
    }
    for (const [column, items] of slots) {
      for (const [at, item] of items.entries()) this.#points.set(item.operation, this.#leftOf(column) + POINT_GAP * (at + 0.75));
    }
    // The mark of the end has a place like a point, after all points in its slot.
    this.stuckAt = this.#leftOf(last) + POINT_GAP * ((slots.get(last)?.length ?? 0) + 0.5);
    this.width = Math.max(this.#leftOf(count), this.stuckAt + POINT_GAP);
  }

  extent(item: Shown): Pick<Bar, "left" | "labelLeft" | "right" | "beganBefore" | "point"> {
    const { call, return: end } = item.operation;
    const left = this.#leftOf(this.#callColumn(item));
    const right = end === null ? this.width : this.#leftOf(this.#place(end, 1));
    const beganBefore = call < this.#begin;
    const point = this.#points.get(item.operation) ?? null;
    // A bar that is longer than what is looked at has its label where something happens.
    const labelLeft = beganBefore ? Math.max(left, (point ?? this.stuckAt) - widthOf(item)) : left;
    return { left, labelLeft, right, beganBefore, point };
  }

  /** Each operation of the order takes effect right after the latest call among it and those before it. */
  #pointSlots(shown: readonly Shown[]): { slots: Map<number, Shown[]>; last: number } {
    const slots = new Map<number, Shown[]>();
    let last = 0;
    for (const item of shown) {
      if (item.number === null) continue;
      last = Math.max(last, this.#callColumn(item));
      const items = slots.get(last);
      if (items === undefined) slots.set(last, [item]);
      else items.push(item);
    }
    return { slots, last };
  }

  #returnsByColumn(shown: readonly Shown[]): readonly Shown[][] {
    const columns: Shown[][] = Array.from({ length: this.#places.size + 1 }, () => []);
    for (const item of shown) {
      const { return: end } = item.operation;
      columns[end === null ? this.#places.size : this.#place(end, 1)]?.push(item);
    }
    return columns;
  }

  #callColumn({ operation }: Shown): number {
    return this.#place(Math.max(operation.call, this.#begin), 0);
  }

  #place(time: number, kind: 0 | 1): number {
    return this.#places.get(`${time} ${kind}`) ?? 0;
  }

  #leftOf(column: number): number {
    return this.#lefts[column] ?? 0;
  }
}

function widthOf({ label }: Shown): number {
  return label.length * CHARACTER_WIDTH + LABEL_MARGIN;
}

/** A lane for each process, with as many rows as it has operations at once. */
function assignRows(items: readonly Omit<Bar, "row">[]): Pick<Layout, "bars" | "lanes" | "rows"> {
  const processes = [...new Set(items.map(({ operation }) => operation.process))].sort((left, right) => left - right);
  const lanes: { process: number; firstRow: number; rows: number }[] = [];
  const bars: Bar[] = [];
  let firstRow = 0;
  for (const client of processes) {
    const ends: number[] = [];
    const own = items.filter(({ operation }) => operation.process === client).sort((one, other) => one.left - other.left);
    for (const item of own) {
      let row = ends.findIndex((end) => end <= item.left);
      if (row === -1) row = ends.length;
      ends[row] = item.right;
      bars.push({ ...item, row: firstRow + row });
    }
    lanes.push({ process: client, firstRow, rows: ends.length });
    firstRow += ends.length;
  }
  return { bars, lanes, rows: firstRow };
}
