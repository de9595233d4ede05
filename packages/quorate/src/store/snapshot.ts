/**
 * The store's state as a stream of bytes, cut into pieces, and back.
 *
 * Frozen are the list of slabs with the end of the last one, the two revisions and the members' attributes, in one turn; no
 * record among them changes in a way that shows at the frozen compacted revision (records.ts). The pieces are then made one at
 * a time while the store goes on writing, compacting and tidying. Two stores with the same content give the same bytes.
 *
 *     piece     CRC-32C of what follows (4 bytes), the piece's number from 0 (4), then up to 256 KiB of the stream
 *     stream    head, records in the order of their revisions, end
 *     head      "quorate-kv", format (1 byte: 1), current revision (8), compacted revision + 1 (8),
 *               number of members (4), for each: length (4), etcdserverpb.Member as in the `attributes` command
 *     record    1 (a version) or 2 (a tombstone), revision (8), sub (4), length of the body (4), body: mvccpb.KeyValue
 *     end       255, number of records (8)
 *
 * Integers are unsigned, most significant byte first. Records that compaction removed are left out. The index, and with it
 * everything else, follows from the records.
 */
import { decodeAttributes, encodeAttributes, type MemberAttributes } from "./commands.js";
import { crc32c } from "./crc32c.js";
import type { MvccStore } from "./mvcc.js";
import { ProtobufError, WireWriter } from "./protobuf.js";
import type { KeyValue } from "./protocol.js";
import { RecordCursor, type RecordView, recordBytes } from "./records.js";
import { decodeKeyValue } from "./response-codec.js";
import { encodeText } from "./utf8.js";

/** The pieces are not a snapshot of this store, or of a newer version's. */
export class SnapshotError extends Error {
  override readonly name = "SnapshotError";
}

export const PIECE_BYTES = 256 * 1024;
const PIECE_HEAD_BYTES = 8;
const MAGIC = encodeText("quorate-kv");
const FORMAT = 1;
const VERSION_RECORD = 1;
const TOMBSTONE_RECORD = 2;
const END = 255;
const HEAD_BYTES = MAGIC.length + 21;
const RECORD_HEAD_BYTES = 17;
const TWO_TO_32 = 4_294_967_296;

export interface FrozenState {
  readonly records: RecordView;
  readonly currentRevision: number;
  readonly compactedRevision: number;
  readonly members: readonly MemberAttributes[];
}

export function freeze(store: MvccStore, members: Iterable<MemberAttributes>): FrozenState {
  const { currentRevision, compactedRevision } = store;
  return { records: store.records.freeze(), currentRevision, compactedRevision, members: [...members] };
}

/** The pieces, made as they are asked for. */
export function* snapshotPieces(state: FrozenState): Generator<Uint8Array, void, undefined> {
  const cutter = new Cutter();
  cutter.add(encodeHead(state));
  yield* cutter.full();
  const cursor = new RecordCursor();
  const head = new Uint8Array(RECORD_HEAD_BYTES);
  const headView = new DataView(head.buffer);
  const { slabs, lastUsed } = state.records;
  let count = 0;
  for (const [position, slab] of slabs.entries()) {
    const end = position === slabs.length - 1 ? lastUsed : slab.used;
    for (let offset = 0; offset < end; ) {
      cursor.stand(slab, offset / 8);
      offset += recordBytes(cursor.bodyLength);
      if (cursor.isDead(state.compactedRevision)) continue;
      count += 1;
      putRecordHead(headView, cursor);
      cutter.add(head);
      cutter.add(cursor.bytes, cursor.bodyStart, cursor.bodyStart + cursor.bodyLength);
      if (cutter.hasFull) yield* cutter.full();
    }
  }
  const end = new WireWriter(9);
  end.byte(END);
  end.uint64(count);
  cutter.add(end.finish());
  yield* cutter.full();
  yield* cutter.rest();
}

function encodeHead(state: FrozenState): Uint8Array {
  const writer = new WireWriter(256);
  writer.raw(MAGIC);
  writer.byte(FORMAT);
  writer.uint64(state.currentRevision);
  writer.uint64(state.compactedRevision + 1);
  writer.uint32(state.members.length);
  for (const member of state.members) {
    const body = encodeAttributes(member);
    writer.uint32(body.length);
    writer.raw(body);
  }
  return writer.finish();
}

function putRecordHead(head: DataView, cursor: RecordCursor): void {
  const revision = cursor.modRevision;
  head.setUint8(0, cursor.isTombstone ? TOMBSTONE_RECORD : VERSION_RECORD);
  head.setUint32(1, Math.floor(revision / TWO_TO_32));
  head.setUint32(5, revision % TWO_TO_32);
  head.setUint32(9, cursor.sub);
  head.setUint32(13, cursor.bodyLength);
}

/** Cuts a stream into pieces. */
class Cutter {
  private readonly done: Uint8Array[] = [];
  private piece = new Uint8Array(PIECE_BYTES);
  private at = PIECE_HEAD_BYTES;
  private sequence = 0;

  get hasFull(): boolean {
    return this.done.length > 0;
  }

  add(bytes: Uint8Array, start = 0, end = bytes.length): void {
    for (let from = start; from < end; ) {
      const part = Math.min(end - from, PIECE_BYTES - this.at);
      this.piece.set(bytes.subarray(from, from + part), this.at);
      this.at += part;
      from += part;
      if (this.at === PIECE_BYTES) this.close();
    }
  }

  *full(): Generator<Uint8Array, void, undefined> {
    yield* this.done.splice(0);
  }

  *rest(): Generator<Uint8Array, void, undefined> {
    if (this.at > PIECE_HEAD_BYTES) this.close();
    yield* this.full();
  }

  private close(): void {
    const piece = this.piece.subarray(0, this.at);
    const view = new DataView(piece.buffer);
    view.setUint32(4, this.sequence);
    view.setUint32(0, crc32c(piece, 4));
    this.sequence += 1;
    this.done.push(piece);
    this.piece = new Uint8Array(PIECE_BYTES);
    this.at = PIECE_HEAD_BYTES;
  }
}

/** Fills a fresh store from pieces; on any error the store is of no use and is thrown away. */
export class SnapshotReader {
  private readonly store: MvccStore;
  private readonly publish: (member: MemberAttributes) => void;
  private expected = 0;
  /** The part of the stream that was not read yet is `buffer[start, end)`. */
  private buffer = new Uint8Array(PIECE_BYTES * 2);
  private view = new DataView(this.buffer.buffer);
  private start = 0;
  private end = 0;
  private stage: "head" | "records" | "ended" = "head";
  private count = 0;
  private lastRevision = 0;
  private lastSub = 0;

  constructor(store: MvccStore, publish: (member: MemberAttributes) => void) {
    this.store = store;
    this.publish = publish;
  }

  /** Throws a SnapshotError. */
  feed(piece: Uint8Array, last: boolean): void {
    this.take(piece);
    if (this.stage === "head") this.readHead();
    while (this.stage === "records" && this.readRecord());
    if (this.stage === "ended" && this.start !== this.end) throw new SnapshotError("the snapshot has bytes after its end");
    if (last && this.stage !== "ended") throw new SnapshotError("the snapshot is incomplete: pieces are missing at its end");
  }

  private take(piece: Uint8Array): void {
    if (piece.length <= PIECE_HEAD_BYTES) throw new SnapshotError("a piece of the snapshot is empty");
    const head = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
    if (head.getUint32(0) !== crc32c(piece, 4))
      throw new SnapshotError(`piece ${this.expected} of the snapshot is damaged: its checksum differs`);
    if (head.getUint32(4) !== this.expected)
      throw new SnapshotError(`piece ${this.expected} of the snapshot is missing or out of order`);
    this.expected += 1;
    const body = piece.subarray(PIECE_HEAD_BYTES);
    this.makeRoom(body.length);
    this.buffer.set(body, this.end);
    this.end += body.length;
  }

  private makeRoom(length: number): void {
    if (this.end + length <= this.buffer.length) return;
    const left = this.end - this.start;
    if (left + length > this.buffer.length) {
      const larger = new Uint8Array((left + length) * 2);
      larger.set(this.buffer.subarray(this.start, this.end));
      this.buffer = larger;
      this.view = new DataView(larger.buffer);
    } else this.buffer.copyWithin(0, this.start, this.end);
    this.start = 0;
    this.end = left;
  }

  private readHead(): void {
    if (this.end - this.start < HEAD_BYTES) return;
    for (const [place, letter] of MAGIC.entries()) {
      if (this.buffer[this.start + place] !== letter) throw new SnapshotError("this is no snapshot of a key-value store");
    }
    let at = this.start + MAGIC.length;
    const format = this.view.getUint8(at);
    if (format !== FORMAT)
      throw new SnapshotError(
        `the snapshot has format ${format}; this version reads ${FORMAT}: use the version that wrote it, or a newer one`,
      );
    const currentRevision = this.uint64(at + 1);
    const compactedRevision = this.uint64(at + 9) - 1;
    if (currentRevision < 1 || compactedRevision > currentRevision)
      throw new SnapshotError("the snapshot's revisions contradict each other");
    const members = this.view.getUint32(at + 17);
    at += 21;
    const found: MemberAttributes[] = [];
    for (let member = 0; member < members; member += 1) {
      if (this.end - at < 4) return;
      const length = this.view.getUint32(at);
      if (this.end - at - 4 < length) return;
      found.push(protobufOf(() => decodeAttributes(this.buffer.slice(at + 4, at + 4 + length))));
      at += 4 + length;
    }
    for (const member of found) this.publish(member);
    this.store.currentRevision = currentRevision;
    this.store.compactedRevision = compactedRevision;
    this.start = at;
    this.stage = "records";
  }

  /** False when more bytes are needed, or none any more. */
  private readRecord(): boolean {
    const { start } = this;
    const left = this.end - start;
    if (left === 0) return false;
    const kind = this.buffer[start];
    if (kind === END) return this.readEnd(left);
    if (kind !== VERSION_RECORD && kind !== TOMBSTONE_RECORD)
      throw new SnapshotError(`the snapshot has a record of unknown kind ${kind}`);
    if (left < RECORD_HEAD_BYTES) return false;
    const bodyStart = start + RECORD_HEAD_BYTES;
    const bodyEnd = bodyStart + this.view.getUint32(start + 13);
    if (bodyEnd > this.end) return false;
    this.restoreRecord(kind === TOMBSTONE_RECORD, this.uint64(start + 1), this.view.getUint32(start + 9), bodyStart, bodyEnd);
    this.start = bodyEnd;
    return true;
  }

  private restoreRecord(tombstone: boolean, revision: number, sub: number, bodyStart: number, bodyEnd: number): void {
    const keyValue = protobufOf(() => decodeKeyValue(this.buffer, bodyStart, bodyEnd));
    const later = revision > this.lastRevision || (revision === this.lastRevision && sub > this.lastSub);
    if (!later || revision > this.store.currentRevision)
      throw new SnapshotError(`the snapshot's records are out of order at revision ${revision}`);
    if (!isSensible(keyValue, revision, tombstone))
      throw new SnapshotError(`the snapshot's record of revision ${revision} contradicts itself`);
    this.store.restore(revision, sub, keyValue, this.buffer.subarray(bodyStart, bodyEnd));
    this.lastRevision = revision;
    this.lastSub = sub;
    this.count += 1;
  }

  private readEnd(left: number): boolean {
    if (left < 9) return false;
    if (this.uint64(this.start + 1) !== this.count)
      throw new SnapshotError("the snapshot has another number of records than it says");
    this.start += 9;
    this.stage = "ended";
    return false;
  }

  private uint64(at: number): number {
    const value = this.view.getUint32(at) * TWO_TO_32 + this.view.getUint32(at + 4);
    if (!Number.isSafeInteger(value)) throw new SnapshotError("the snapshot has a number that is too large");
    return value;
  }
}

function isSensible(keyValue: KeyValue, revision: number, tombstone: boolean): boolean {
  const { key, createRevision, modRevision, version, value, lease } = keyValue;
  if (key.length === 0) return false;
  if (tombstone) return createRevision === 0 && modRevision === 0 && version === 0 && value.length === 0 && lease === 0n;
  return modRevision === revision && version >= 1 && createRevision >= 1 && createRevision <= modRevision;
}

function protobufOf<Message>(decode: () => Message): Message {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ProtobufError) throw new SnapshotError(`the snapshot is damaged: ${error.message}`);
    throw error;
  }
}
