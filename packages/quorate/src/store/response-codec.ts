/**
 * Answers of etcdserverpb.KV to and from their protobuf bytes. An answer on the wire is its header (field 1) and then its
 * body; the store makes bodies (`write…Body`), whoever answers a client puts the header before it. The answers inside a
 * transaction's answer have headers of their own, which hold only a revision.
 */
import { ProtobufError, WireReader, WireWriter } from "./protobuf.js";
import type { DeleteRangeResponse, KeyValue, PutResponse, RangeResponse, ResponseOp, TxnResponse } from "./protocol.js";

/** etcdserverpb.ResponseHeader. */
export interface ResponseHeader {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly raftTerm: number;
}

/** An answer and the header it came with. */
export interface Decoded<Response> {
  readonly header: ResponseHeader;
  readonly response: Response;
}

const NO_HEADER: ResponseHeader = { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0 };
const NOTHING: Uint8Array = new Uint8Array(0);
/** Answers to transactions inside answers; as deep as the requests may be (request-codec.ts). */
const DEPTH_LIMIT = 160;

export function writeHeader(writer: WireWriter, header: ResponseHeader): void {
  const start = writer.beginMessage(1);
  writer.int64ExactField(1, header.clusterId);
  writer.int64ExactField(2, header.memberId);
  writer.int64Field(3, header.revision);
  writer.int64Field(4, header.raftTerm);
  writer.endMessage(start);
}

/** The header of an answer inside a transaction's answer: the revision alone. */
export function writeInnerHeader(writer: WireWriter, revision: number): void {
  const start = writer.beginMessage(1);
  writer.int64Field(3, revision);
  writer.endMessage(start);
}

/** mvccpb.KeyValue, fields in order, zeros left out: byte for byte what etcd stores. */
export function writeKeyValue(writer: WireWriter, keyValue: KeyValue): void {
  writer.bytesField(1, keyValue.key);
  writer.int64Field(2, keyValue.createRevision);
  writer.int64Field(3, keyValue.modRevision);
  writer.int64Field(4, keyValue.version);
  writer.bytesField(5, keyValue.value);
  writer.int64ExactField(6, keyValue.lease);
}

function writeKeyValueField(writer: WireWriter, field: number, keyValue: KeyValue): void {
  const start = writer.beginMessage(field);
  writeKeyValue(writer, keyValue);
  writer.endMessage(start);
}

export function writeRangeBody(writer: WireWriter, response: RangeResponse): void {
  for (const keyValue of response.kvs) writeKeyValueField(writer, 2, keyValue);
  writer.boolField(3, response.more);
  writer.int64Field(4, response.count);
}

export function writePutBody(writer: WireWriter, response: PutResponse): void {
  if (response.prevKv !== null) writeKeyValueField(writer, 2, response.prevKv);
}

export function writeDeleteRangeBody(writer: WireWriter, response: DeleteRangeResponse): void {
  writer.int64Field(2, response.deleted);
  for (const keyValue of response.prevKvs) writeKeyValueField(writer, 3, keyValue);
}

/** `revision` goes into the header of every answer inside. */
function writeTxnBody(writer: WireWriter, response: TxnResponse, revision: number): void {
  writer.boolField(2, response.succeeded);
  for (const op of response.responses) {
    const start = writer.beginMessage(3);
    const inner = writer.beginMessage(op.kind === "range" ? 1 : op.kind === "put" ? 2 : op.kind === "deleteRange" ? 3 : 4);
    writeInnerHeader(writer, revision);
    if (op.kind === "range") writeRangeBody(writer, op.response);
    else if (op.kind === "put") writePutBody(writer, op.response);
    else if (op.kind === "deleteRange") writeDeleteRangeBody(writer, op.response);
    else writeTxnBody(writer, op.response, revision);
    writer.endMessage(inner);
    writer.endMessage(start);
  }
}

export function encodeRangeResponse(response: RangeResponse, header: ResponseHeader): Uint8Array {
  const writer = new WireWriter(64);
  writeHeader(writer, header);
  writeRangeBody(writer, response);
  return writer.finish();
}

export function encodePutResponse(response: PutResponse, header: ResponseHeader): Uint8Array {
  const writer = new WireWriter(64);
  writeHeader(writer, header);
  writePutBody(writer, response);
  return writer.finish();
}

export function encodeDeleteRangeResponse(response: DeleteRangeResponse, header: ResponseHeader): Uint8Array {
  const writer = new WireWriter(64);
  writeHeader(writer, header);
  writeDeleteRangeBody(writer, response);
  return writer.finish();
}

/** The answers inside carry `header.revision`. */
export function encodeTxnResponse(response: TxnResponse, header: ResponseHeader): Uint8Array {
  const writer = new WireWriter(128);
  writeHeader(writer, header);
  writeTxnBody(writer, response, header.revision);
  return writer.finish();
}

export function encodeCompactionResponse(_response: Record<string, never>, header: ResponseHeader): Uint8Array {
  const writer = new WireWriter(64);
  writeHeader(writer, header);
  return writer.finish();
}

export function decodeKeyValue(bytes: Uint8Array, start = 0, end = bytes.length): KeyValue {
  const reader = new WireReader(bytes, start, end);
  let key = NOTHING;
  let createRevision = 0;
  let modRevision = 0;
  let version = 0;
  let value = NOTHING;
  let lease = 0n;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) key = reader.view();
    else if (tag === 0x10) createRevision = reader.int64();
    else if (tag === 0x18) modRevision = reader.int64();
    else if (tag === 0x20) version = reader.int64();
    else if (tag === 0x2a) value = reader.view();
    else if (tag === 0x30) lease = reader.int64Exact();
    else reader.unknown(tag, 6);
  }
  return { key, createRevision, modRevision, version, value, lease };
}

function decodeHeader(bytes: Uint8Array, start: number, end: number): ResponseHeader {
  const reader = new WireReader(bytes, start, end);
  let clusterId = 0n;
  let memberId = 0n;
  let revision = 0;
  let raftTerm = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x08) clusterId = reader.uint64Exact();
    else if (tag === 0x10) memberId = reader.uint64Exact();
    else if (tag === 0x18) revision = reader.int64();
    else if (tag === 0x20) raftTerm = reader.int64();
    else reader.unknown(tag, 4);
  }
  return { clusterId, memberId, revision, raftTerm };
}

export function decodeRangeResponse(bytes: Uint8Array, start = 0, end = bytes.length): Decoded<RangeResponse> {
  const reader = new WireReader(bytes, start, end);
  let header = NO_HEADER;
  const kvs: KeyValue[] = [];
  let more = false;
  let count = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) header = messageOf(reader, decodeHeader);
    else if (tag === 0x12) kvs.push(messageOf(reader, decodeKeyValue));
    else if (tag === 0x18) more = reader.bool();
    else if (tag === 0x20) count = reader.int64();
    else reader.unknown(tag, 4);
  }
  return { header, response: { kvs, more, count } };
}

export function decodePutResponse(bytes: Uint8Array, start = 0, end = bytes.length): Decoded<PutResponse> {
  const reader = new WireReader(bytes, start, end);
  let header = NO_HEADER;
  let prevKv: KeyValue | null = null;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) header = messageOf(reader, decodeHeader);
    else if (tag === 0x12) prevKv = messageOf(reader, decodeKeyValue);
    else reader.unknown(tag, 2);
  }
  return { header, response: { prevKv } };
}

export function decodeDeleteRangeResponse(bytes: Uint8Array, start = 0, end = bytes.length): Decoded<DeleteRangeResponse> {
  const reader = new WireReader(bytes, start, end);
  let header = NO_HEADER;
  let deleted = 0;
  const prevKvs: KeyValue[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) header = messageOf(reader, decodeHeader);
    else if (tag === 0x10) deleted = reader.int64();
    else if (tag === 0x1a) prevKvs.push(messageOf(reader, decodeKeyValue));
    else reader.unknown(tag, 3);
  }
  return { header, response: { deleted, prevKvs } };
}

/** `innerRevisions`, when given, receives the revision in the header of each answer inside, in the order they are met. */
export function decodeTxnResponse(bytes: Uint8Array, innerRevisions: number[] = []): Decoded<TxnResponse> {
  return decodeTxnAnswer(bytes, 0, bytes.length, 0, innerRevisions);
}

function decodeTxnAnswer(
  bytes: Uint8Array,
  start: number,
  end: number,
  depth: number,
  revisions: number[],
): Decoded<TxnResponse> {
  if (depth > DEPTH_LIMIT) throw new ProtobufError(`answers are nested more than ${DEPTH_LIMIT} deep`);
  const reader = new WireReader(bytes, start, end);
  let header = NO_HEADER;
  let succeeded = false;
  const responses: ResponseOp[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) header = messageOf(reader, decodeHeader);
    else if (tag === 0x10) succeeded = reader.bool();
    else if (tag === 0x1a) {
      reader.span();
      const op = decodeResponseOp(bytes, reader.spanStart, reader.spanEnd, depth, revisions);
      if (op !== null) responses.push(op);
    } else reader.unknown(tag, 3);
  }
  return { header, response: { succeeded, responses } };
}

function decodeResponseOp(bytes: Uint8Array, start: number, end: number, depth: number, revisions: number[]): ResponseOp | null {
  const reader = new WireReader(bytes, start, end);
  let op: ResponseOp | null = null;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a && tag !== 0x22) {
      reader.unknown(tag, 4);
      continue;
    }
    reader.span();
    const { spanStart, spanEnd } = reader;
    const place = revisions.push(0) - 1;
    let header: ResponseHeader;
    if (tag === 0x0a) {
      const decoded = decodeRangeResponse(bytes, spanStart, spanEnd);
      header = decoded.header;
      op = { kind: "range", response: decoded.response };
    } else if (tag === 0x12) {
      const decoded = decodePutResponse(bytes, spanStart, spanEnd);
      header = decoded.header;
      op = { kind: "put", response: decoded.response };
    } else if (tag === 0x1a) {
      const decoded = decodeDeleteRangeResponse(bytes, spanStart, spanEnd);
      header = decoded.header;
      op = { kind: "deleteRange", response: decoded.response };
    } else {
      const decoded = decodeTxnAnswer(bytes, spanStart, spanEnd, depth + 1, revisions);
      header = decoded.header;
      op = { kind: "txn", response: decoded.response };
    }
    revisions[place] = header.revision;
  }
  return op;
}

export function decodeCompactionResponse(bytes: Uint8Array): Decoded<Record<string, never>> {
  const reader = new WireReader(bytes);
  let header = NO_HEADER;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x0a) header = messageOf(reader, decodeHeader);
    else reader.unknown(tag, 1);
  }
  return { header, response: {} };
}

function messageOf<Message>(reader: WireReader, decode: (bytes: Uint8Array, start: number, end: number) => Message): Message {
  reader.span();
  return decode(reader.bytes, reader.spanStart, reader.spanEnd);
}
