/**
 * Reading a range (etcd server/etcdserver/txn/range.go). A read selects references first and is turned into bytes or data
 * afterwards, so that a transaction can go on writing before its answer is put together.
 *
 * `count` is how many keys the range holds, whatever limit and filters say. With a limit, `more` tells that it cut something
 * off. Without an order the limit is applied before sorting by another target than the key, as in etcd; equal elements keep
 * the order of their keys (etcd leaves it open).
 */
import { COMPACTED, FUTURE_REVISION, RESPONSE_TOO_LARGE, type StoreFault } from "./faults.js";
import { entryReference, isTombstoneEntry } from "./history.js";
import { STOP } from "./key-index.js";
import { compareBytes, isOpenEnd, keyFromBytes } from "./keys.js";
import { type MvccStore, valueField } from "./mvcc.js";
import { varintSize, type WireWriter } from "./protobuf.js";
import { type RangeRequest, type RangeResponse, SortOrder, SortTarget } from "./protocol.js";
import { NO_RECORD, RecordCursor } from "./records.js";

/** Keys that the answers to one command or read may hold together: a bound on memory, far above what a client can take. */
export const MAX_SELECTED_KEYS = 1 << 24;

/** What a read found, not yet put into words. Valid until the store is next tidied. */
export interface Selection {
  readonly references: readonly number[];
  readonly count: number;
  readonly more: boolean;
  /** For the header: the current revision, also when an older one was read. */
  readonly revision: number;
  readonly keysOnly: boolean;
}

/** Which revision a request means; the revisions that can't be read are refused. */
export function checkRevision(store: MvccStore, revision: number): StoreFault | null {
  if (revision > store.revision) return FUTURE_REVISION;
  return revision > 0 && revision < store.compactedRevision ? COMPACTED : null;
}

/** The request was checked (checkRangeRequest). `budget` is how many keys may be selected. */
export function selectRange(store: MvccStore, request: RangeRequest, budget = MAX_SELECTED_KEYS): Selection | StoreFault {
  const fault = checkRevision(store, request.revision);
  if (fault !== null) return fault;
  const revision = request.revision > 0 ? request.revision : store.revision;
  const { limit } = request;
  const filtered =
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0;
  const naturalOrder =
    request.sortOrder === SortOrder.NONE || (request.sortTarget === SortTarget.KEY && request.sortOrder === SortOrder.ASCEND);
  const fetch = request.countOnly ? 0 : limit > 0 && naturalOrder && !filtered ? limit + 1 : Number.POSITIVE_INFINITY;
  const found = collect(store, request.key, request.rangeEnd, revision, fetch, budget);
  if (found === null) return RESPONSE_TOO_LARGE;
  let { references } = found;
  if (filtered) references = filter(store, references, request);
  references = sort(store, references, request);
  const more = limit > 0 && references.length > limit;
  if (more) references.length = limit;
  return { references, count: found.count, more, revision: store.revision, keysOnly: request.keysOnly };
}

/** The records of a range at a revision, in key order: the first `fetch` of them, and how many there are. Null: over budget. */
export function collect(
  store: MvccStore,
  key: Uint8Array,
  rangeEnd: Uint8Array,
  revision: number,
  fetch: number,
  budget: number,
): { references: number[]; readonly count: number } | null {
  const references: number[] = [];
  let count = 0;
  const now = revision >= store.revision;
  const low = keyFromBytes(key);
  if (rangeEnd.length === 0) {
    const entry = store.index.get(low);
    const reference = entry === undefined ? NO_RECORD : now ? store.latest(low) : store.at(entry.newest, revision);
    if (reference === NO_RECORD) return { references, count };
    if (fetch > 0) references.push(reference);
    return references.length > budget ? null : { references, count: 1 };
  }
  const open = isOpenEnd(rangeEnd);
  const high = open ? store.index.last() : keyFromBytes(rangeEnd);
  if (high === undefined || low > high) return { references, count };
  let over = false;
  // When every key of the index exists, the tree can count without being walked.
  const countable = now && store.tombstones === 0;
  store.index.each(low, high, open, (_key, newest) => {
    const reference = now ? (isTombstoneEntry(newest) ? NO_RECORD : entryReference(newest)) : store.at(newest, revision);
    if (reference === NO_RECORD) return undefined;
    if (countable && count >= fetch) return STOP;
    count += 1;
    if (count > fetch) return undefined;
    if (references.length === budget) {
      over = true;
      return STOP;
    }
    references.push(reference);
    return undefined;
  });
  if (over) return null;
  return { references, count: countable && count >= fetch ? store.index.count(low, high, open) : count };
}

function filter(store: MvccStore, references: readonly number[], request: RangeRequest): number[] {
  const cursor = new RecordCursor();
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  return references.filter((reference) => {
    store.read(reference, cursor);
    const { modRevision, createRevision } = cursor;
    if (maxModRevision !== 0 && modRevision > maxModRevision) return false;
    if (minModRevision !== 0 && modRevision < minModRevision) return false;
    if (maxCreateRevision !== 0 && createRevision > maxCreateRevision) return false;
    return minCreateRevision === 0 || createRevision >= minCreateRevision;
  });
}

function sort(store: MvccStore, references: number[], request: RangeRequest): number[] {
  const { sortTarget } = request;
  const descending = request.sortOrder === SortOrder.DESCEND;
  if (sortTarget === SortTarget.KEY) return descending ? references.reverse() : references;
  const sign = descending ? -1 : 1;
  const cursor = new RecordCursor();
  if (sortTarget === SortTarget.VALUE) {
    const pairs = references.map((reference) => ({ reference, value: store.keyValue(reference).value }));
    return pairs.sort((a, b) => sign * compareBytes(a.value, b.value)).map((pair) => pair.reference);
  }
  const pairs = references.map((reference) => {
    store.read(reference, cursor);
    const { version, createRevision, modRevision } = cursor;
    return {
      reference,
      number: sortTarget === SortTarget.VERSION ? version : sortTarget === SortTarget.CREATE ? createRevision : modRevision,
    };
  });
  return pairs.sort((a, b) => sign * (a.number - b.number)).map((pair) => pair.reference);
}

/** The answer as plain data; keys and values are views (MvccStore.keyValue). */
export function toRangeResponse(store: MvccStore, selection: Selection): RangeResponse {
  const kvs = selection.references.map((reference) => {
    const keyValue = store.keyValue(reference);
    return selection.keysOnly ? { ...keyValue, value: NOTHING } : keyValue;
  });
  return { kvs, more: selection.more, count: selection.count };
}

const NOTHING: Uint8Array = new Uint8Array(0);

/** The answer's protobuf without its header: the stored bytes, copied as they are. */
export function writeSelection(store: MvccStore, writer: WireWriter, selection: Selection): void {
  const cursor = new RecordCursor();
  for (const reference of selection.references) {
    store.read(reference, cursor);
    if (selection.keysOnly) writeWithoutValue(writer, cursor);
    else writeRecord(writer, 2, cursor);
  }
  writer.boolField(3, selection.more);
  writer.int64Field(4, selection.count);
}

export function writeRecord(writer: WireWriter, field: number, cursor: RecordCursor): void {
  writer.alwaysBytesField(field, cursor.bytes, cursor.bodyStart, cursor.bodyStart + cursor.bodyLength);
}

function writeWithoutValue(writer: WireWriter, cursor: RecordCursor): void {
  const [start, end] = valueField(cursor);
  const message = writer.beginMessage(2);
  writer.raw(cursor.bytes, cursor.bodyStart, start);
  writer.raw(cursor.bytes, end, cursor.bodyStart + cursor.bodyLength);
  writer.endMessage(message);
}

/** Bytes that `writeSelection` will about need: lets a writer start large enough. */
export function estimateBytes(store: MvccStore, selection: Selection): number {
  const cursor = new RecordCursor();
  const first = selection.references[0];
  if (first === undefined) return 16;
  store.read(first, cursor);
  const each = selection.keysOnly ? 64 : cursor.bodyLength + 1 + varintSize(cursor.bodyLength);
  // A little more for each: its neighbours' numbers may take a byte more, and growing would copy everything.
  return 16 + Math.min((each + 4) * selection.references.length, 1 << 20);
}
