/**
 * The wire form of Protocol Buffers (protobuf.dev, "Encoding"), as little of it as the key-value service needs: varints,
 * length-delimited fields, skipping what is not known. Written by hand because these messages are on the path of every
 * request; the tests hold it to a generated codec.
 *
 * A reader is strict: a field cut short, a length past the end, a varint of more than 64 bits, a known field in another
 * wire type or a group without its end is a ProtobufError. It never reads outside the bytes it was given and never copies.
 */

/** The bytes are not a message of the expected kind. */
export class ProtobufError extends Error {
  override readonly name = "ProtobufError";
}

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
const START_GROUP = 3;
const END_GROUP = 4;
export const FIXED32 = 5;

const TWO_TO_32 = 4_294_967_296;
const LARGEST = Number.MAX_SAFE_INTEGER;
/** Groups inside groups that are skipped before a message counts as hostile. */
const GROUP_DEPTH_LIMIT = 64;

export class WireReader {
  readonly bytes: Uint8Array;
  at: number;
  readonly end: number;
  /** Where the field that `span` last read begins and ends. */
  spanStart = 0;
  spanEnd = 0;
  /** The varint last read: its lower and upper 32 bits, unsigned. */
  private low = 0;
  private high = 0;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** The next field's number times eight plus its wire type; 0 at the end of the message. */
  tag(): number {
    if (this.at === this.end) return 0;
    this.varint();
    if (this.high !== 0 || this.low < 8) throw new ProtobufError("a field has an impossible number");
    return this.low;
  }

  bool(): boolean {
    this.varint();
    return this.low !== 0 || this.high !== 0;
  }

  /** An int32 or an enumeration: the lower 32 bits, signed. */
  int32(): number {
    this.varint();
    return this.low | 0;
  }

  /** An int64. Beyond what a number holds exactly it is read as the largest or smallest safe integer: revisions never get there. */
  int64(): number {
    this.varint();
    if (this.high === 0) return this.low;
    const value = (this.high | 0) * TWO_TO_32 + this.low;
    return Math.max(Math.min(value, LARGEST), -LARGEST);
  }

  int64Exact(): bigint {
    return BigInt.asIntN(64, this.uint64Exact());
  }

  uint64Exact(): bigint {
    this.varint();
    if (this.high === 0) return this.low === 0 ? 0n : BigInt(this.low);
    return (BigInt(this.high) << 32n) | BigInt(this.low);
  }

  /** Reads a length-delimited field into `spanStart` and `spanEnd`. */
  span(): void {
    this.varint();
    const length = this.low;
    if (this.high !== 0 || length > this.end - this.at) throw new ProtobufError("a field is longer than its message");
    this.spanStart = this.at;
    this.at += length;
    this.spanEnd = this.at;
  }

  /** A view, not a copy. */
  view(): Uint8Array {
    this.span();
    return this.bytes.subarray(this.spanStart, this.spanEnd);
  }

  /** Skips an unknown field; a known one that came in a wrong wire type is refused by `expect`. */
  skip(tag: number, depth = 0): void {
    switch (tag & 7) {
      case VARINT:
        this.varint();
        return;
      case FIXED64:
        return this.jump(8);
      case LENGTH_DELIMITED:
        return this.span();
      case FIXED32:
        return this.jump(4);
      case START_GROUP:
        return this.skipGroup(tag, depth);
      default:
        throw new ProtobufError("a field has an impossible wire type");
    }
  }

  /** For the default branch of a decoder that knows the fields up to `knownFields`: skips unknown, refuses ill-typed ones. */
  unknown(tag: number, knownFields: number): void {
    if (tag >>> 3 <= knownFields) throw new ProtobufError(`field ${tag >>> 3} has wire type ${tag & 7}`);
    this.skip(tag);
  }

  private skipGroup(tag: number, depth: number): void {
    if (depth === GROUP_DEPTH_LIMIT) throw new ProtobufError("groups are nested too deeply");
    const endTag = (tag & ~7) | END_GROUP;
    for (let inner = this.tag(); inner !== endTag >>> 0; inner = this.tag()) {
      if (inner === 0) throw new ProtobufError("a group has no end");
      this.skip(inner, depth + 1);
    }
  }

  private jump(length: number): void {
    if (length > this.end - this.at) throw new ProtobufError("the message ends inside a field");
    this.at += length;
  }

  private varint(): void {
    const { bytes, end } = this;
    let at = this.at;
    let byte = at < end ? (bytes[at] ?? 0) : 0;
    if (at < end && byte < 0x80) {
      this.at = at + 1;
      this.low = byte;
      this.high = 0;
      return;
    }
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at === end) throw new ProtobufError("the message ends inside a number");
      byte = bytes[at] ?? 0;
      at += 1;
      const part = byte & 0x7f;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        high = part >>> 4;
      } else if (shift < 63) high |= part << (shift - 32);
      else if (byte > 1) throw new ProtobufError("a number has more than 64 bits");
      else high |= part << 31;
      if (byte < 0x80) {
        this.at = at;
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw new ProtobufError("a number has more than ten bytes");
  }
}

/** Bytes that `varint` takes for a safe integer that is not negative. */
export function varintSize(value: number): number {
  if (value < 128) return 1;
  let size = 1;
  let rest = value;
  while (rest >= TWO_TO_32) {
    rest = Math.floor(rest / 128);
    size += 1;
  }
  while (rest >= 128) {
    rest >>>= 7;
    size += 1;
  }
  return size;
}

/** Writes a varint of a safe integer that is not negative; returns where it ends. */
export function putVarint(bytes: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest >= TWO_TO_32) {
    bytes[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 128) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at] = rest;
  return at + 1;
}

/** Bytes of the varint of a 64-bit integer; a negative one takes ten, as protobuf's int64 does. */
export function exactVarintSize(value: bigint): number {
  const bits = BigInt.asUintN(64, value);
  const high = Number(bits >> 32n);
  if (high === 0) return varintSize(Number(bits));
  return high < 8 ? 5 : 5 + varintSize(high >>> 3);
}

export function putExactVarint(bytes: Uint8Array, start: number, value: bigint): number {
  const bits = BigInt.asUintN(64, value);
  const high = Number(bits >> 32n);
  let low = Number(bits & 0xffff_ffffn);
  if (high === 0) return putVarint(bytes, start, low);
  // Four times seven bits of the lower half, then what is left of it with the first of the upper half.
  for (let place = 0; place < 4; place += 1) {
    bytes[start + place] = (low & 0x7f) | 0x80;
    low >>>= 7;
  }
  const middle = low | ((high & 7) << 4);
  if (high < 8) {
    bytes[start + 4] = middle;
    return start + 5;
  }
  bytes[start + 4] = middle | 0x80;
  return putVarint(bytes, start + 5, high >>> 3);
}

/** The message grew past the writer's limit. */
export class WriterFullError extends Error {
  override readonly name = "WriterFullError";
}

/** One pass into a growing buffer. Zero values are left out, as proto3 does, except by `always…`. */
export class WireWriter {
  private bytes: Uint8Array;
  private at = 0;
  private readonly limit: number;

  constructor(capacity = 64, limit = Number.POSITIVE_INFINITY) {
    this.bytes = new Uint8Array(Math.min(capacity, limit));
    this.limit = limit;
  }

  get length(): number {
    return this.at;
  }

  /** What was written: a view of the writer's buffer, whole when it fits exactly. */
  finish(): Uint8Array {
    return this.at === this.bytes.length ? this.bytes : this.bytes.subarray(0, this.at);
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.at++] = value;
  }

  /** `bytes[start, end)`, just so. */
  raw(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const length = end - start;
    this.reserve(length);
    if (length > 24) this.bytes.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.at);
    else for (let place = 0; place < length; place += 1) this.bytes[this.at + place] = bytes[start + place] ?? 0;
    this.at += length;
  }

  /** Eight bytes, most significant first; for our own formats, not for protobuf. */
  uint64(value: number): void {
    this.uint32(Math.floor(value / TWO_TO_32));
    this.uint32(value % TWO_TO_32);
  }

  uint32(value: number): void {
    this.reserve(4);
    this.bytes[this.at++] = value >>> 24;
    this.bytes[this.at++] = value >>> 16;
    this.bytes[this.at++] = value >>> 8;
    this.bytes[this.at++] = value;
  }

  varint(value: number): void {
    this.reserve(10);
    this.at = value < 0 ? putExactVarint(this.bytes, this.at, BigInt(value)) : putVarint(this.bytes, this.at, value);
  }

  int64Field(field: number, value: number): void {
    if (value === 0) return;
    this.varint(field * 8 + VARINT);
    this.varint(value);
  }

  int64ExactField(field: number, value: bigint): void {
    if (value === 0n) return;
    this.varint(field * 8 + VARINT);
    this.reserve(10);
    this.at = putExactVarint(this.bytes, this.at, value);
  }

  boolField(field: number, value: boolean): void {
    if (value) this.int64Field(field, 1);
  }

  bytesField(field: number, value: Uint8Array): void {
    if (value.length > 0) this.alwaysBytesField(field, value, 0, value.length);
  }

  /** Also when empty: an alternative of a oneof, an element of a repeated field, a message. */
  alwaysBytesField(field: number, value: Uint8Array, start: number, end: number): void {
    this.varint(field * 8 + LENGTH_DELIMITED);
    this.varint(end - start);
    this.raw(value, start, end);
  }

  /** Opens a message field; give what it returns to `endMessage`. The length is put in afterwards. */
  beginMessage(field: number): number {
    this.varint(field * 8 + LENGTH_DELIMITED);
    this.reserve(1);
    this.at += 1;
    return this.at;
  }

  endMessage(start: number): void {
    const length = this.at - start;
    const more = varintSize(length) - 1;
    if (more > 0) {
      this.reserve(more);
      this.bytes.copyWithin(start + more, start, this.at);
      this.at += more;
    }
    putVarint(this.bytes, start - 1, length);
  }

  private reserve(length: number): void {
    const needed = this.at + length;
    if (needed <= this.bytes.length) return;
    if (needed > this.limit) throw new WriterFullError(`the message is larger than ${this.limit} bytes`);
    const larger = new Uint8Array(Math.min(Math.max(needed, this.bytes.length * 2, 64), this.limit));
    larger.set(this.bytes.subarray(0, this.at));
    this.bytes = larger;
  }
}
