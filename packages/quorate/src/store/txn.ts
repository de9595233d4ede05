/**
 * Writes and transactions (etcd server/etcdserver/txn). A transaction is planned before it writes anything: all comparisons,
 * those of nested transactions too, are decided against the state before it, and everything that could fail is checked on the
 * branches that were chosen. Then it is executed, and only then is the answer put into bytes: nothing in the answer, not
 * even its size, can stop a transaction halfway.
 */
import { COMPACTED, FUTURE_REVISION, KEY_NOT_FOUND, LEASE_NOT_FOUND, RESPONSE_TOO_LARGE, type StoreFault } from "./faults.js";
import { entryReference, isTombstoneEntry } from "./history.js";
import { compareBytes, isOpenEnd, keyFromBytes } from "./keys.js";
import type { MvccStore } from "./mvcc.js";
import type { WireWriter } from "./protobuf.js";
import {
  type Compare,
  CompareResult,
  CompareTarget,
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "./protocol.js";
import { collect, MAX_SELECTED_KEYS, type Selection, selectRange, writeRecord, writeSelection } from "./range.js";
import { NO_RECORD, RecordCursor } from "./records.js";
import { writeInnerHeader } from "./response-codec.js";

/** Whether a lease exists: a key can only be attached to one that does. */
export type LeaseExists = (lease: bigint) => boolean;

/** What an operation did, not yet put into words; records are named by their references. */
export type Outcome =
  | { readonly kind: "range"; readonly selection: Selection }
  | { readonly kind: "put"; readonly previous: number; readonly revision: number }
  | { readonly kind: "deleteRange"; readonly deleted: number; readonly previous: readonly number[]; readonly revision: number }
  | { readonly kind: "txn"; readonly succeeded: boolean; readonly outcomes: readonly Outcome[] };

/** How many keys the answer may still hold; once it is passed, the answer is given up, never the writes. */
export interface Budget {
  left: number;
  passed: boolean;
}

export function createBudget(keys = MAX_SELECTED_KEYS): Budget {
  return { left: keys, passed: false };
}

/** The branch that was chosen, and the plans of the transactions in it, in their order. */
interface Plan {
  readonly succeeded: boolean;
  readonly ops: readonly RequestOp[];
  readonly nested: readonly Plan[];
}

/** A put by itself or in a transaction; the key was checked, and in a transaction the rest too. */
export function checkPut(store: MvccStore, request: PutRequest, leaseExists: LeaseExists): StoreFault | null {
  if (request.lease !== 0n && !leaseExists(request.lease)) return LEASE_NOT_FOUND;
  return needsKey(request) && store.latest(keyFromBytes(request.key)) === NO_RECORD ? KEY_NOT_FOUND : null;
}

function needsKey(request: PutRequest): boolean {
  return request.ignoreValue || request.ignoreLease;
}

export function executePut(store: MvccStore, request: PutRequest): Outcome {
  const key = keyFromBytes(request.key);
  let { value, lease } = request;
  let previous = NO_RECORD;
  if (needsKey(request) || request.prevKv) previous = store.latest(key);
  if (needsKey(request)) {
    const kept = store.keyValue(previous);
    if (request.ignoreValue) value = kept.value;
    if (request.ignoreLease) lease = kept.lease;
  }
  store.put(key, request.key, value, lease);
  return { kind: "put", previous: request.prevKv ? previous : NO_RECORD, revision: store.revision };
}

export function executeDeleteRange(store: MvccStore, request: DeleteRangeRequest, budget: Budget): Outcome {
  const previous: number[] = [];
  const keys: string[] = [];
  const low = keyFromBytes(request.key);
  const found = (key: string, newest: number): undefined => {
    if (isTombstoneEntry(newest)) return;
    keys.push(key);
    if (!request.prevKv) return;
    if (budget.left === 0) budget.passed = true;
    else {
      budget.left -= 1;
      previous.push(entryReference(newest));
    }
  };
  if (request.rangeEnd.length === 0) {
    const entry = store.index.get(low);
    if (entry !== undefined) found(low, entry.newest);
  } else {
    const open = isOpenEnd(request.rangeEnd);
    const high = open ? store.index.last() : keyFromBytes(request.rangeEnd);
    if (high !== undefined && low <= high) store.index.each(low, high, open, found);
  }
  for (const key of keys) store.delete(key);
  return { kind: "deleteRange", deleted: keys.length, previous, revision: store.revision };
}

/** The request was checked (checkTxnRequest). A fault: nothing was written. */
export function executeTxn(
  store: MvccStore,
  request: TxnRequest,
  leaseExists: LeaseExists,
  budget: Budget,
): Outcome | StoreFault {
  const plan = planTxn(store, request);
  const fault = checkPlan(store, plan, leaseExists);
  return fault ?? executePlan(store, plan, budget);
}

function planTxn(store: MvccStore, request: TxnRequest): Plan {
  const succeeded = request.compare.every((compare) => holds(store, compare));
  const ops = succeeded ? request.success : request.failure;
  const nested: Plan[] = [];
  for (const op of ops) if (op.kind === "txn") nested.push(planTxn(store, op.request));
  return { succeeded, ops, nested };
}

function checkPlan(store: MvccStore, plan: Plan, leaseExists: LeaseExists): StoreFault | null {
  let next = 0;
  for (const op of plan.ops) {
    let fault: StoreFault | null = null;
    if (op.kind === "range") fault = checkRangeInTxn(store, op.request);
    else if (op.kind === "put") fault = checkPutInTxn(store, op.request, leaseExists);
    else if (op.kind === "txn") {
      const nested = plan.nested[next];
      next += 1;
      if (nested !== undefined) fault = checkPlan(store, nested, leaseExists);
    }
    if (fault !== null) return fault;
  }
  return null;
}

/** In a transaction a negative revision is compared as it stands, where a range by itself takes it for "now"; as in etcd. */
function checkRangeInTxn(store: MvccStore, { revision }: RangeRequest): StoreFault | null {
  if (revision === 0) return null;
  if (revision > store.currentRevision) return FUTURE_REVISION;
  return revision < store.compactedRevision ? COMPACTED : null;
}

/** The same as checkPut, in the other order. */
function checkPutInTxn(store: MvccStore, request: PutRequest, leaseExists: LeaseExists): StoreFault | null {
  if (needsKey(request) && store.latest(keyFromBytes(request.key)) === NO_RECORD) return KEY_NOT_FOUND;
  return request.lease !== 0n && !leaseExists(request.lease) ? LEASE_NOT_FOUND : null;
}

function executePlan(store: MvccStore, plan: Plan, budget: Budget): Outcome {
  const outcomes: Outcome[] = [];
  let next = 0;
  for (const op of plan.ops) {
    if (op.kind === "range") {
      const outcome = executeRange(store, op.request, budget);
      if (outcome !== null) outcomes.push(outcome);
    } else if (op.kind === "put") outcomes.push(executePutInTxn(store, op.request));
    else if (op.kind === "deleteRange") outcomes.push(executeDeleteRange(store, op.request, budget));
    else if (op.kind === "txn") {
      const nested = plan.nested[next];
      next += 1;
      if (nested !== undefined) outcomes.push(executePlan(store, nested, budget));
    }
  }
  return { kind: "txn", succeeded: plan.succeeded, outcomes };
}

/** Null: the answer was given up. */
function executeRange(store: MvccStore, request: RangeRequest, budget: Budget): Outcome | null {
  if (budget.passed) return null;
  const selection = selectRange(store, request, budget.left);
  if ("code" in selection) {
    if (selection !== RESPONSE_TOO_LARGE) throw new Error(`a checked range failed: ${selection.message}`);
    budget.passed = true;
    return null;
  }
  budget.left -= selection.references.length;
  return { kind: "range", selection };
}

/**
 * The key that `ignore_value` or `ignore_lease` found when the plan was checked can have been deleted since by a "from key
 * on" of the same transaction, which counts as no overlap (checks.ts). etcd stops the whole server there; here the put then
 * takes what it was given, an empty value and no lease.
 */
function executePutInTxn(store: MvccStore, request: PutRequest): Outcome {
  if (!needsKey(request) || store.latest(keyFromBytes(request.key)) !== NO_RECORD) return executePut(store, request);
  return executePut(store, { ...request, ignoreValue: false, ignoreLease: false });
}

/**
 * A comparison holds when it holds for every key of its range. For a key that does not exist versions, revisions and leases
 * are zero, and a comparison of values never holds.
 */
function holds(store: MvccStore, compare: Compare): boolean {
  const found = collect(store, compare.key, compare.rangeEnd, store.revision, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  if (found === null || found.references.length === 0) {
    return compare.target !== CompareTarget.VALUE && holdsFor(compare.result, differenceFrom(compare, null, store, NO_RECORD));
  }
  const cursor = new RecordCursor();
  return found.references.every((reference) => {
    store.read(reference, cursor);
    return holdsFor(compare.result, differenceFrom(compare, cursor, store, reference));
  });
}

/** Below zero when what is stored is less than what the comparison gives. */
function differenceFrom(compare: Compare, cursor: RecordCursor | null, store: MvccStore, reference: number): number {
  switch (compare.target) {
    case CompareTarget.VERSION:
      return (cursor?.version ?? 0) - compare.number;
    case CompareTarget.CREATE:
      return (cursor?.createRevision ?? 0) - compare.number;
    case CompareTarget.MOD:
      return (cursor?.modRevision ?? 0) - compare.number;
    case CompareTarget.VALUE:
      return cursor === null ? 0 : compareBytes(store.keyValue(reference).value, compare.value);
    case CompareTarget.LEASE: {
      const lease = cursor === null ? 0n : store.keyValue(reference).lease;
      return lease < compare.lease ? -1 : lease === compare.lease ? 0 : 1;
    }
    default:
      return 0;
  }
}

/** A result that is none of etcd's holds, as it does there. */
function holdsFor(result: number, difference: number): boolean {
  switch (result) {
    case CompareResult.EQUAL:
      return difference === 0;
    case CompareResult.GREATER:
      return difference > 0;
    case CompareResult.LESS:
      return difference < 0;
    case CompareResult.NOT_EQUAL:
      return difference !== 0;
    default:
      return true;
  }
}

/** The answer's protobuf without its header. */
export function writeOutcome(store: MvccStore, writer: WireWriter, outcome: Outcome): void {
  const cursor = new RecordCursor();
  switch (outcome.kind) {
    case "range":
      writeSelection(store, writer, outcome.selection);
      return;
    case "put":
      if (outcome.previous === NO_RECORD) return;
      store.read(outcome.previous, cursor);
      writeRecord(writer, 2, cursor);
      return;
    case "deleteRange":
      writer.int64Field(2, outcome.deleted);
      for (const reference of outcome.previous) {
        store.read(reference, cursor);
        writeRecord(writer, 3, cursor);
      }
      return;
    case "txn":
      writer.boolField(2, outcome.succeeded);
      for (const inner of outcome.outcomes) writeInnerOutcome(store, writer, inner);
  }
}

const RESPONSE_OP_FIELD = { range: 1, put: 2, deleteRange: 3, txn: 4 } as const;

/** An answer inside: its header has the revision of that moment; that of a nested transaction is there, but empty. */
function writeInnerOutcome(store: MvccStore, writer: WireWriter, outcome: Outcome): void {
  const op = writer.beginMessage(3);
  const message = writer.beginMessage(RESPONSE_OP_FIELD[outcome.kind]);
  writeInnerHeader(writer, outcome.kind === "txn" ? 0 : outcome.kind === "range" ? outcome.selection.revision : outcome.revision);
  writeOutcome(store, writer, outcome);
  writer.endMessage(message);
  writer.endMessage(op);
}
