/**
 * Binary layouts, written and read: little endian, counts and indexes as unsigned 64-bit integers that must be safe, texts
 * and blobs with their length before them. A reader never reads past its end and never believes a length before it has
 * compared it with what is there; whatever does not fit is a `DecodeError`, which decoders catch at their door.
 */
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

const HIGH = 2 ** 32;

// Byte by byte: a DataView for every small message would cost more than the message.

function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

/** The place was checked by whoever asks. */
function get32(bytes: Uint8Array, at: number): number {
  return (byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24)) >>> 0;
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** Makes room. May replace the buffer, so it is called before anything else looks at it. */
  #grow(by: number): number {
    const at = this.#length;
    this.#length += by;
    if (this.#length > this.#bytes.length) {
      const bigger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      bigger.set(this.#bytes.subarray(0, at));
      this.#bytes = bigger;
    }
    return at;
  }

  u8(value: number): void {
    const at = this.#grow(1);
    this.#bytes[at] = value;
  }

  u16(value: number): void {
    const at = this.#grow(2);
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >>> 8;
  }

  u32(value: number): void {
    const at = this.#grow(4);
    put32(this.#bytes, at, value);
  }

  /** A safe integer, not negative. */
  u64(value: number): void {
    const at = this.#grow(8);
    put32(this.#bytes, at, value);
    put32(this.#bytes, at + 4, Math.floor(value / HIGH));
  }

  big64(value: bigint): void {
    const at = this.#grow(8);
    put32(this.#bytes, at, Number(value & 0xffffffffn));
    put32(this.#bytes, at + 4, Number((value >> 32n) & 0xffffffffn));
  }

  raw(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Length in four bytes, then the bytes. */
  blob(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }

  /** Length in two bytes, then UTF-8. Throws a RangeError for a text that has none or is too long. */
  text(text: string): void {
    const bytes = encodeUtf8(text);
    if (bytes === null || bytes.length > 0xffff) throw new RangeError(`a text of ${text.length} characters can't be written`);
    this.u16(bytes.length);
    this.raw(bytes);
  }

  /** What was written; the writer is not to be used afterwards. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#end - at)
      throw new DecodeError(`ends early: ${length} bytes are wanted at ${at}, ${this.#end - at} are there`);
    this.#at = at + length;
    return at;
  }

  u8(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  u16(): number {
    const at = this.#take(2);
    return byteAt(this.#bytes, at) | (byteAt(this.#bytes, at + 1) << 8);
  }

  u32(): number {
    return get32(this.#bytes, this.#take(4));
  }

  u64(): number {
    const at = this.#take(8);
    const high = get32(this.#bytes, at + 4);
    if (high > 0x1fffff) throw new DecodeError(`holds a number at ${at} that is above 2^53`);
    return high * HIGH + get32(this.#bytes, at);
  }

  big64(): bigint {
    const at = this.#take(8);
    return (BigInt(get32(this.#bytes, at + 4)) << 32n) | BigInt(get32(this.#bytes, at));
  }

  /** 0 or 1. */
  flag(): boolean {
    const value = this.u8();
    if (value > 1) throw new DecodeError(`holds ${value} where yes or no is wanted`);
    return value === 1;
  }

  /** A view of the bytes, not a copy. */
  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  blob(): Uint8Array {
    return this.raw(this.u32());
  }

  text(maxBytes: number): string {
    const length = this.u16();
    if (length > maxBytes) throw new DecodeError(`holds a text of ${length} bytes where at most ${maxBytes} are allowed`);
    const text = decodeUtf8(this.raw(length));
    if (text === null) throw new DecodeError("holds a text that is not UTF-8");
    return text;
  }

  /** A count of things that take at least `leastBytes` each; refused when they can't be there. */
  count(leastBytes: number, most: number): number {
    const count = this.u32();
    if (count > most || count * leastBytes > this.remaining) throw new DecodeError(`announces ${count} items, more than fit`);
    return count;
  }

  end(): void {
    if (this.remaining !== 0) throw new DecodeError(`has ${this.remaining} bytes too many`);
  }
}

/** Runs a decoder; a DecodeError becomes the reason, anything else is a bug and goes on. */
export function decoding<T>(
  body: () => T,
): { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string } {
  try {
    return { ok: true, value: body() };
  } catch (error) {
    if (error instanceof DecodeError) return { ok: false, reason: error.message };
    throw error;
  }
}
