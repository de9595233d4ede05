/**
 * What is wrong with a request, whatever the store holds: what etcd's front checks before it proposes (server
 * api/v3rpc/key.go). Services call these to refuse early; the state machine calls them again, because what is in the log is
 * not to be trusted more than its writer.
 */
import {
  DUPLICATE_KEY,
  EMPTY_KEY,
  INVALID_SORT_OPTION,
  KEY_NOT_FOUND,
  LEASE_PROVIDED,
  type StoreFault,
  TOO_MANY_OPERATIONS,
  VALUE_PROVIDED,
} from "./faults.js";
import { keyFromBytes } from "./keys.js";
import {
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  SortOrder,
  SortTarget,
  type TxnRequest,
} from "./protocol.js";

/** Comparisons, operations of one branch, each by itself; nested transactions have what is left. etcd's default. */
export const MAX_TXN_OPS = 128;

export function checkRangeRequest(request: RangeRequest): StoreFault | null {
  if (request.key.length === 0) return EMPTY_KEY;
  const { sortOrder, sortTarget } = request;
  const known =
    sortOrder >= SortOrder.NONE &&
    sortOrder <= SortOrder.DESCEND &&
    sortTarget >= SortTarget.KEY &&
    sortTarget <= SortTarget.VALUE;
  return known ? null : INVALID_SORT_OPTION;
}

export function checkPutRequest(request: PutRequest): StoreFault | null {
  if (request.key.length === 0) return EMPTY_KEY;
  if (request.ignoreValue && request.value.length > 0) return VALUE_PROVIDED;
  if (request.ignoreLease && request.lease !== 0n) return LEASE_PROVIDED;
  return null;
}

export function checkDeleteRangeRequest(request: DeleteRangeRequest): StoreFault | null {
  return request.key.length === 0 ? EMPTY_KEY : null;
}

export function checkTxnRequest(request: TxnRequest, maxTxnOps = MAX_TXN_OPS): StoreFault | null {
  return checkOperations(request, maxTxnOps) ?? checkBranch(request.success) ?? checkBranch(request.failure);
}

function checkOperations(request: TxnRequest, maxTxnOps: number): StoreFault | null {
  const operations = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (operations > maxTxnOps) return TOO_MANY_OPERATIONS;
  for (const compare of request.compare) if (compare.key.length === 0) return EMPTY_KEY;
  for (const branch of [request.success, request.failure]) {
    for (const op of branch) {
      const fault = checkOperation(op, maxTxnOps - operations);
      if (fault !== null) return fault;
    }
  }
  return null;
}

function checkOperation(op: RequestOp, maxTxnOps: number): StoreFault | null {
  switch (op.kind) {
    case "range":
      return checkRangeRequest(op.request);
    case "put":
      return checkPutRequest(op.request);
    case "deleteRange":
      return checkDeleteRangeRequest(op.request);
    case "txn":
      return checkOperations(op.request, maxTxnOps);
    case "empty":
      return KEY_NOT_FOUND;
  }
}

function checkBranch(branch: readonly RequestOp[]): StoreFault | null {
  return effectsOf(branch) === null ? DUPLICATE_KEY : null;
}

/** What a branch may write: keys that it puts, ranges that it deletes. */
interface Effects {
  puts: Set<string>;
  deletes: Ranges;
}

/**
 * Null when a branch puts a key twice, or puts a key that it also deletes: then its outcome would hang on the order of
 * operations that claim to happen at once. The branches of a nested transaction exclude each other, so both may put a key.
 *
 * Two things are as etcd does them, though one might expect otherwise, because the same requests must pass: a delete "from
 * key on" (range_end a zero byte) is not seen as overlapping; and the deletes of a nested transaction are held only against
 * puts of transactions after it and of the level around it.
 */
function effectsOf(branch: readonly RequestOp[]): Effects | null {
  const effects: Effects = { puts: new Set(), deletes: new Ranges() };
  for (const op of branch) {
    if (op.kind === "deleteRange") effects.deletes.add(...rangeOf(op.request));
  }
  for (const op of branch) {
    if (op.kind === "txn" && !addNested(effects, op.request)) return null;
  }
  for (const op of branch) {
    if (op.kind !== "put") continue;
    const key = keyFromBytes(op.request.key);
    if (effects.puts.has(key) || effects.deletes.has(key)) return null;
    effects.puts.add(key);
  }
  return effects;
}

function addNested(effects: Effects, request: TxnRequest): boolean {
  const success = effectsOf(request.success);
  const failure = success === null ? null : effectsOf(request.failure);
  if (success === null || failure === null) return false;
  for (const nested of [success, failure]) {
    for (const key of nested.puts) {
      if (effects.puts.has(key) || effects.deletes.has(key)) return false;
    }
  }
  effects.puts = union(effects.puts, union(success.puts, failure.puts));
  effects.deletes = effects.deletes.with(success.deletes).with(failure.deletes);
  return true;
}

/** Puts the smaller one into the larger, so that deep nesting does not copy everything at every level. */
function union(a: Set<string>, b: Set<string>): Set<string> {
  const [larger, smaller] = a.size >= b.size ? [a, b] : [b, a];
  for (const key of smaller) larger.add(key);
  return larger;
}

function rangeOf({ key, rangeEnd }: DeleteRangeRequest): readonly [string, string] {
  const start = keyFromBytes(key);
  return [start, rangeEnd.length === 0 ? `${start}\0` : keyFromBytes(rangeEnd)];
}

/** A set of keys as ranges that do not touch, in order: asking takes a binary search. */
class Ranges {
  private readonly starts: string[] = [];
  private readonly ends: string[] = [];

  /** `end` is not in it. A range that ends where it starts, or before, holds nothing. */
  add(start: string, end: string): void {
    if (end <= start) return;
    // Those that touch the new one are replaced by it.
    const first = countUntil(this.ends, start, false);
    const last = countUntil(this.starts, end, true);
    const from = first < last ? this.starts[first] : undefined;
    const to = first < last ? this.ends[last - 1] : undefined;
    this.starts.splice(first, last - first, from !== undefined && from < start ? from : start);
    this.ends.splice(first, last - first, to !== undefined && to > end ? to : end);
  }

  has(key: string): boolean {
    const place = countUntil(this.starts, key, true) - 1;
    const end = this.ends[place];
    return end !== undefined && key < end;
  }

  /** Both together; one of the two is reused. */
  with(other: Ranges): Ranges {
    const [larger, smaller] = this.starts.length >= other.starts.length ? [this, other] : [other, this];
    smaller.starts.forEach((start, place) => {
      larger.add(start, smaller.ends[place] ?? start);
    });
    return larger;
  }
}

/** How many of the sorted keys are below `key`, or equal to it when `orEqual`. */
function countUntil(keys: readonly string[], key: string, orEqual: boolean): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const each = keys[middle] ?? "";
    if (each < key || (orEqual && each === key)) low = middle + 1;
    else high = middle;
  }
  return low;
}
