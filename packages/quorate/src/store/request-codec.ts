/**
 * Requests of etcdserverpb.KV to and from their protobuf bytes. Decoded byte strings are views of the request, not copies.
 * Where a field comes twice the last one counts, as everywhere in protobuf; in a oneof, the last alternative.
 */
import { ProtobufError, WireReader, WireWriter } from "./protobuf.js";
import {
  type CompactionRequest,
  type Compare,
  CompareTarget,
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  type RequestOp,
  type TxnRequest,
} from "./protocol.js";

/**
 * Transactions inside transactions that are decoded. Each level of a valid one has at least one operation and a level's
 * operations count against those inside it (etcd's max-txn-ops, 128), so no valid transaction is deeper than that.
 */
export const TXN_DEPTH_LIMIT = 160;

const NOTHING: Uint8Array = new Uint8Array(0);

export function decodeRangeRequest(bytes: Uint8Array, start = 0, end = bytes.length): RangeRequest {
  const reader = new WireReader(bytes, start, end);
  let key = NOTHING;
  let rangeEnd = NOTHING;
  let limit = 0;
  let revision = 0;
  let sortOrder = 0;
  let sortTarget = 0;
  let serializable = false;
  let keysOnly = false;
  let countOnly = false;
  let minModRevision = 0;
  let maxModRevision = 0;
  let minCreateRevision = 0;
  let maxCreateRevision = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) key = reader.view();
    else if (tag === 0x12) rangeEnd = reader.view();
    else if (tag === 0x18) limit = reader.int64();
    else if (tag === 0x20) revision = reader.int64();
    else if (tag === 0x28) sortOrder = reader.int32();
    else if (tag === 0x30) sortTarget = reader.int32();
    else if (tag === 0x38) serializable = reader.bool();
    else if (tag === 0x40) keysOnly = reader.bool();
    else if (tag === 0x48) countOnly = reader.bool();
    else if (tag === 0x50) minModRevision = reader.int64();
    else if (tag === 0x58) maxModRevision = reader.int64();
    else if (tag === 0x60) minCreateRevision = reader.int64();
    else if (tag === 0x68) maxCreateRevision = reader.int64();
    else reader.unknown(tag, 13);
  }
  return {
    key,
    rangeEnd,
    limit,
    revision,
    sortOrder,
    sortTarget,
    serializable,
    keysOnly,
    countOnly,
    minModRevision,
    maxModRevision,
    minCreateRevision,
    maxCreateRevision,
  };
}

export function decodePutRequest(bytes: Uint8Array, start = 0, end = bytes.length): PutRequest {
  const reader = new WireReader(bytes, start, end);
  let key = NOTHING;
  let value = NOTHING;
  let lease = 0n;
  let prevKv = false;
  let ignoreValue = false;
  let ignoreLease = false;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) key = reader.view();
    else if (tag === 0x12) value = reader.view();
    else if (tag === 0x18) lease = reader.int64Exact();
    else if (tag === 0x20) prevKv = reader.bool();
    else if (tag === 0x28) ignoreValue = reader.bool();
    else if (tag === 0x30) ignoreLease = reader.bool();
    else reader.unknown(tag, 6);
  }
  return { key, value, lease, prevKv, ignoreValue, ignoreLease };
}

export function decodeDeleteRangeRequest(bytes: Uint8Array, start = 0, end = bytes.length): DeleteRangeRequest {
  const reader = new WireReader(bytes, start, end);
  let key = NOTHING;
  let rangeEnd = NOTHING;
  let prevKv = false;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) key = reader.view();
    else if (tag === 0x12) rangeEnd = reader.view();
    else if (tag === 0x18) prevKv = reader.bool();
    else reader.unknown(tag, 3);
  }
  return { key, rangeEnd, prevKv };
}

export function decodeCompactionRequest(bytes: Uint8Array, start = 0, end = bytes.length): CompactionRequest {
  const reader = new WireReader(bytes, start, end);
  let revision = 0;
  let physical = false;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x08) revision = reader.int64();
    else if (tag === 0x10) physical = reader.bool();
    else reader.unknown(tag, 2);
  }
  return { revision, physical };
}

export function decodeTxnRequest(bytes: Uint8Array, start = 0, end = bytes.length, depth = 0): TxnRequest {
  if (depth > TXN_DEPTH_LIMIT) throw new ProtobufError(`transactions are nested more than ${TXN_DEPTH_LIMIT} deep`);
  const reader = new WireReader(bytes, start, end);
  const compare: Compare[] = [];
  const success: RequestOp[] = [];
  const failure: RequestOp[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) {
      reader.span();
      compare.push(decodeCompare(bytes, reader.spanStart, reader.spanEnd));
    } else if (tag === 0x12) {
      reader.span();
      success.push(decodeRequestOp(bytes, reader.spanStart, reader.spanEnd, depth));
    } else if (tag === 0x1a) {
      reader.span();
      failure.push(decodeRequestOp(bytes, reader.spanStart, reader.spanEnd, depth));
    } else reader.unknown(tag, 3);
  }
  return { compare, success, failure };
}

function decodeRequestOp(bytes: Uint8Array, start: number, end: number, depth: number): RequestOp {
  const reader = new WireReader(bytes, start, end);
  let op: RequestOp = { kind: "empty" };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a && tag !== 0x22) {
      reader.unknown(tag, 4);
      continue;
    }
    reader.span();
    const { spanStart, spanEnd } = reader;
    if (tag === 0x0a) op = { kind: "range", request: decodeRangeRequest(bytes, spanStart, spanEnd) };
    else if (tag === 0x12) op = { kind: "put", request: decodePutRequest(bytes, spanStart, spanEnd) };
    else if (tag === 0x1a) op = { kind: "deleteRange", request: decodeDeleteRangeRequest(bytes, spanStart, spanEnd) };
    else op = { kind: "txn", request: decodeTxnRequest(bytes, spanStart, spanEnd, depth + 1) };
  }
  return op;
}

/** The field of the union that belongs to each target; another one that was set instead counts as left out. */
const UNION_FIELD: { readonly [target: number]: number } = {
  [CompareTarget.VERSION]: 4,
  [CompareTarget.CREATE]: 5,
  [CompareTarget.MOD]: 6,
  [CompareTarget.VALUE]: 7,
  [CompareTarget.LEASE]: 8,
};

function decodeCompare(bytes: Uint8Array, start: number, end: number): Compare {
  const reader = new WireReader(bytes, start, end);
  let result = 0;
  let target = 0;
  let key = NOTHING;
  let rangeEnd = NOTHING;
  let union = 0;
  let number = 0;
  let value = NOTHING;
  let lease = 0n;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x08) result = reader.int32();
    else if (tag === 0x10) target = reader.int32();
    else if (tag === 0x1a) key = reader.view();
    else if (tag === 0x20 || tag === 0x28 || tag === 0x30) number = reader.int64();
    else if (tag === 0x3a) value = reader.view();
    else if (tag === 0x40) lease = reader.int64Exact();
    else if (tag === 0x202) rangeEnd = reader.view();
    else if (tag >>> 3 === 64) throw new ProtobufError(`field 64 has wire type ${tag & 7}`);
    else reader.unknown(tag, 8);
    if (tag >= 0x20 && tag <= 0x40) union = tag >>> 3;
  }
  const given = UNION_FIELD[target] === union;
  return {
    result,
    target,
    key,
    rangeEnd,
    number: given && target <= CompareTarget.MOD ? number : 0,
    value: given && target === CompareTarget.VALUE ? value : NOTHING,
    lease: given && target === CompareTarget.LEASE ? lease : 0n,
  };
}

export function encodeRangeRequest(request: RangeRequest): Uint8Array {
  const writer = new WireWriter(32 + request.key.length + request.rangeEnd.length);
  writeRangeRequest(writer, request);
  return writer.finish();
}

function writeRangeRequest(writer: WireWriter, request: RangeRequest): void {
  writer.bytesField(1, request.key);
  writer.bytesField(2, request.rangeEnd);
  writer.int64Field(3, request.limit);
  writer.int64Field(4, request.revision);
  writer.int64Field(5, request.sortOrder);
  writer.int64Field(6, request.sortTarget);
  writer.boolField(7, request.serializable);
  writer.boolField(8, request.keysOnly);
  writer.boolField(9, request.countOnly);
  writer.int64Field(10, request.minModRevision);
  writer.int64Field(11, request.maxModRevision);
  writer.int64Field(12, request.minCreateRevision);
  writer.int64Field(13, request.maxCreateRevision);
}

export function encodePutRequest(request: PutRequest): Uint8Array {
  const writer = new WireWriter(32 + request.key.length + request.value.length);
  writePutRequest(writer, request);
  return writer.finish();
}

function writePutRequest(writer: WireWriter, request: PutRequest): void {
  writer.bytesField(1, request.key);
  writer.bytesField(2, request.value);
  writer.int64ExactField(3, request.lease);
  writer.boolField(4, request.prevKv);
  writer.boolField(5, request.ignoreValue);
  writer.boolField(6, request.ignoreLease);
}

export function encodeDeleteRangeRequest(request: DeleteRangeRequest): Uint8Array {
  const writer = new WireWriter(16 + request.key.length + request.rangeEnd.length);
  writeDeleteRangeRequest(writer, request);
  return writer.finish();
}

function writeDeleteRangeRequest(writer: WireWriter, request: DeleteRangeRequest): void {
  writer.bytesField(1, request.key);
  writer.bytesField(2, request.rangeEnd);
  writer.boolField(3, request.prevKv);
}

export function encodeCompactionRequest(request: CompactionRequest): Uint8Array {
  const writer = new WireWriter(16);
  writer.int64Field(1, request.revision);
  writer.boolField(2, request.physical);
  return writer.finish();
}

export function encodeTxnRequest(request: TxnRequest): Uint8Array {
  const writer = new WireWriter(256);
  writeTxnRequest(writer, request);
  return writer.finish();
}

function writeTxnRequest(writer: WireWriter, request: TxnRequest): void {
  for (const compare of request.compare) {
    const start = writer.beginMessage(1);
    writeCompare(writer, compare);
    writer.endMessage(start);
  }
  for (const op of request.success) writeRequestOp(writer, 2, op);
  for (const op of request.failure) writeRequestOp(writer, 3, op);
}

function writeCompare(writer: WireWriter, compare: Compare): void {
  writer.int64Field(1, compare.result);
  writer.int64Field(2, compare.target);
  writer.bytesField(3, compare.key);
  const field = UNION_FIELD[compare.target];
  if (compare.target === CompareTarget.VALUE) writer.alwaysBytesField(7, compare.value, 0, compare.value.length);
  else if (compare.target === CompareTarget.LEASE) writer.int64ExactField(8, compare.lease);
  else if (field !== undefined) writer.int64Field(field, compare.number);
  writer.bytesField(64, compare.rangeEnd);
}

function writeRequestOp(writer: WireWriter, field: number, op: RequestOp): void {
  const start = writer.beginMessage(field);
  if (op.kind !== "empty") {
    const inner = writer.beginMessage(op.kind === "range" ? 1 : op.kind === "put" ? 2 : op.kind === "deleteRange" ? 3 : 4);
    if (op.kind === "range") writeRangeRequest(writer, op.request);
    else if (op.kind === "put") writePutRequest(writer, op.request);
    else if (op.kind === "deleteRange") writeDeleteRangeRequest(writer, op.request);
    else writeTxnRequest(writer, op.request);
    writer.endMessage(inner);
  }
  writer.endMessage(start);
}
