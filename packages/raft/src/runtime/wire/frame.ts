/**
 * Frames: how payloads follow each other on a connection once the handshake is done (docs/wire-format.md).
 *
 *     u32 length | u32 crc32c(payload) | payload
 *
 * Little endian. TCP's own checksum has sixteen bits and misses damage often enough to matter at volume (Stone and
 * Partridge, SIGCOMM 2000), so each payload carries one of 32. A stream is broken at the first frame that does not fit:
 * there is no way to find the next one, so the connection is closed and the sender dials anew.
 */
import { crc32c } from "../crc32c.js";

export const FRAME_HEADER_BYTES = 8;

/** Above the largest message the runtime makes: a command of 64 MiB with room for what goes with it. */
export const DEFAULT_MAX_FRAME_BYTES = 80 * 1024 * 1024;

/** Memory for a frame grows with what arrives, beginning here: the announced length alone takes nothing. */
const FIRST_BYTES = 64 * 1024;

/** The eight bytes before a payload, written into `target` at `at`. */
export function writeFrameHeader(payload: Uint8Array, target: Uint8Array, at: number): void {
  writeU32(target, at, payload.length);
  writeU32(target, at + 4, crc32c(payload));
}

export function encodeFrameHeader(payload: Uint8Array): Uint8Array {
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  writeFrameHeader(payload, header, 0);
  return header;
}

/**
 * Takes a stream in pieces of any size and gives back payloads. Every payload is a copy of its own: it pins no piece of the
 * stream, and the stream's buffers may be used again.
 */
export class FrameDecoder {
  readonly #maxFrameBytes: number;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerLength = 0;
  /** The frame under way: null while its header is. */
  #payload: Uint8Array | null = null;
  #payloadLength = 0;
  #expectedLength = 0;
  #expectedChecksum = 0;
  #failure: string | null = null;

  constructor(maxFrameBytes = DEFAULT_MAX_FRAME_BYTES) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Why the stream can't be read on; null as long as it can. */
  get failure(): string | null {
    return this.#failure;
  }

  /** The stream stops between two frames, not inside one. */
  get isBetweenFrames(): boolean {
    return this.#headerLength === 0 && this.#payload === null;
  }

  /** What is held for a frame that is not complete. */
  get bufferedBytes(): number {
    return this.#payload?.length ?? 0;
  }

  /**
   * The payloads that `chunk` completes, in order. Look at `failure` afterwards: once it is set, what came before the fault
   * has been given, and nothing more ever will be.
   */
  push(chunk: Uint8Array): Uint8Array[] {
    const payloads: Uint8Array[] = [];
    let at = 0;
    while (at < chunk.length && this.#failure === null) {
      at = this.#payload === null ? this.#takeHeader(chunk, at) : this.#takePayload(chunk, at, this.#payload, payloads);
    }
    return payloads;
  }

  #takeHeader(chunk: Uint8Array, from: number): number {
    const count = Math.min(FRAME_HEADER_BYTES - this.#headerLength, chunk.length - from);
    this.#header.set(chunk.subarray(from, from + count), this.#headerLength);
    this.#headerLength += count;
    if (this.#headerLength < FRAME_HEADER_BYTES) return from + count;
    this.#headerLength = 0;
    const length = readU32(this.#header, 0);
    if (length === 0) this.#fail("a frame announces no bytes at all; a payload has at least one");
    else if (length > this.#maxFrameBytes)
      this.#fail(`a frame announces ${length} bytes, at most ${this.#maxFrameBytes} are allowed`);
    else {
      this.#expectedLength = length;
      this.#expectedChecksum = readU32(this.#header, 4);
      // Whatever of it is in the chunk fits at once; the rest is given room as it comes.
      this.#payload = new Uint8Array(Math.min(length, Math.max(FIRST_BYTES, chunk.length - from - count)));
      this.#payloadLength = 0;
    }
    return from + count;
  }

  #takePayload(chunk: Uint8Array, from: number, payload: Uint8Array, payloads: Uint8Array[]): number {
    const count = Math.min(this.#expectedLength - this.#payloadLength, chunk.length - from);
    const target = this.#withRoom(payload, this.#payloadLength + count);
    target.set(chunk.subarray(from, from + count), this.#payloadLength);
    this.#payloadLength += count;
    if (this.#payloadLength === this.#expectedLength) {
      const checksum = crc32c(target);
      this.#payload = null;
      if (checksum === this.#expectedChecksum) payloads.push(target);
      else
        this.#fail(
          `a frame of ${this.#expectedLength} bytes is damaged: its checksum is ${hex(checksum)}, its header says ${hex(this.#expectedChecksum)}`,
        );
    }
    return from + count;
  }

  #withRoom(payload: Uint8Array, wanted: number): Uint8Array {
    if (wanted <= payload.length) return payload;
    const larger = new Uint8Array(Math.min(this.#expectedLength, Math.max(wanted, payload.length * 2)));
    larger.set(payload.subarray(0, this.#payloadLength));
    this.#payload = larger;
    return larger;
  }

  #fail(reason: string): void {
    this.#failure = reason;
    this.#payload = null;
  }
}

function writeU32(target: Uint8Array, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
  target[at + 2] = value >>> 16;
  target[at + 3] = value >>> 24;
}

function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
