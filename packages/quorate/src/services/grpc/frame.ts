/**
 * gRPC messages inside the DATA of an HTTP/2 stream: one byte that says whether the message is compressed, four bytes of
 * length (big endian), then the message. A chunk of DATA has no relation to these frames: it may end in the middle of
 * one and may hold several.
 *
 * Source: "gRPC over HTTP2", Length-Prefixed-Message.
 */
import { GrpcCode, GrpcError } from "./status.js";

export const FRAME_HEADER_BYTES = 5;

/** An answer: one message, whole or in pieces that follow each other, so that nobody must join them first. */
export type Reply = Uint8Array | readonly Uint8Array[];

/** Above this size a reply is handed to the stream in its pieces instead of being copied into one buffer. */
const JOIN_LIMIT_BYTES = 16 * 1024;

/** A message as the buffers to write: one for nearly every message, so that it leaves in a single write. */
export function encodeFrame(reply: Reply): readonly Uint8Array[] {
  const pieces = reply instanceof Uint8Array ? [reply] : reply;
  let length = 0;
  for (const piece of pieces) {
    length += piece.length;
  }
  const joined = length <= JOIN_LIMIT_BYTES;
  const first = Buffer.allocUnsafe(joined ? FRAME_HEADER_BYTES + length : FRAME_HEADER_BYTES);
  first[0] = 0;
  first.writeUInt32BE(length, 1);
  if (!joined) {
    return [first, ...pieces];
  }
  let at = FRAME_HEADER_BYTES;
  for (const piece of pieces) {
    first.set(piece, at);
    at += piece.length;
  }
  return [first];
}

/** Bytes held in half-received messages by all calls of a server; a limit on them is a limit on memory. */
export class ReceiveBudget {
  readonly limitBytes: number;
  usedBytes = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  take(bytes: number): void {
    if (this.usedBytes + bytes > this.limitBytes) {
      throw new GrpcError(
        GrpcCode.RESOURCE_EXHAUSTED,
        `the server holds ${this.limitBytes} bytes of unfinished requests, its limit; try again later`,
      );
    }
    this.usedBytes += bytes;
  }

  giveBack(bytes: number): void {
    this.usedBytes -= bytes;
  }
}

/** Where a frame that arrives in parts begins to be collected. Grows with what has come, not with what was announced. */
const FIRST_CAPACITY_BYTES = 4096;
const EMPTY = new Uint8Array(0);

/**
 * Cuts chunks into messages. A message that arrives whole inside one chunk is a view of that chunk and is not copied.
 * Throws a GrpcError for a compressed or oversized message; the call is over then.
 */
export class FrameReader {
  readonly #maxMessageBytes: number;
  readonly #budget: ReceiveBudget;
  #held: Uint8Array = EMPTY;
  #heldBytes = 0;

  constructor(maxMessageBytes: number, budget: ReceiveBudget) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#budget = budget;
  }

  /** True in the middle of a message: the end of the stream here means that it was cut short. */
  get midMessage(): boolean {
    return this.#heldBytes > 0;
  }

  /** Takes a chunk and gives every message that is complete now to `onMessage`, in order. */
  push(chunk: Uint8Array, onMessage: (message: Uint8Array) => void): void {
    let rest = chunk;
    if (this.#heldBytes > 0) {
      rest = this.#complete(chunk, onMessage);
    }
    while (rest.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + this.#checkedLength(rest);
      if (rest.length < end) {
        break;
      }
      onMessage(rest.subarray(FRAME_HEADER_BYTES, end));
      rest = rest.subarray(end);
    }
    this.#hold(rest);
  }

  /** Lets go of what is held. To be called once when the call ends. */
  release(): void {
    this.#budget.giveBack(this.#held.length);
    this.#held = EMPTY;
    this.#heldBytes = 0;
  }

  /** Adds to the message that was begun as much as it lacks; returns what is left of the chunk. */
  #complete(chunk: Uint8Array, onMessage: (message: Uint8Array) => void): Uint8Array {
    let rest = chunk;
    if (this.#heldBytes < FRAME_HEADER_BYTES) {
      const lacking = Math.min(FRAME_HEADER_BYTES - this.#heldBytes, rest.length);
      this.#hold(rest.subarray(0, lacking));
      rest = rest.subarray(lacking);
      if (this.#heldBytes < FRAME_HEADER_BYTES) {
        return rest;
      }
    }
    const end = FRAME_HEADER_BYTES + this.#checkedLength(this.#held);
    const lacking = Math.min(end - this.#heldBytes, rest.length);
    this.#hold(rest.subarray(0, lacking));
    if (this.#heldBytes === end) {
      const message = this.#held.subarray(FRAME_HEADER_BYTES, end);
      this.release();
      onMessage(message);
    }
    return rest.subarray(lacking);
  }

  #checkedLength(frame: Uint8Array): number {
    const flag = frame[0] ?? 0;
    if (flag === 1) {
      throw new GrpcError(
        GrpcCode.UNIMPLEMENTED,
        "compressed messages are not supported: send them uncompressed (grpc-encoding identity)",
      );
    }
    if (flag !== 0) {
      throw new GrpcError(GrpcCode.INTERNAL, `not a gRPC message: its first byte is ${flag}, which is neither 0 nor 1`);
    }
    const length = ((frame[1] ?? 0) << 24) | ((frame[2] ?? 0) << 16) | ((frame[3] ?? 0) << 8) | (frame[4] ?? 0);
    if (length >>> 0 > this.#maxMessageBytes) {
      throw new GrpcError(
        GrpcCode.RESOURCE_EXHAUSTED,
        `grpc: received message larger than max (${length >>> 0} vs. ${this.#maxMessageBytes})`,
      );
    }
    return length;
  }

  #hold(bytes: Uint8Array): void {
    if (bytes.length === 0) {
      return;
    }
    const needed = this.#heldBytes + bytes.length;
    if (needed > this.#held.length) {
      const largest = FRAME_HEADER_BYTES + this.#maxMessageBytes;
      const capacity = Math.min(Math.max(needed, this.#held.length * 2, FIRST_CAPACITY_BYTES), Math.max(largest, needed));
      this.#budget.take(capacity - this.#held.length);
      const grown = new Uint8Array(capacity);
      grown.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = grown;
    }
    this.#held.set(bytes, this.#heldBytes);
    this.#heldBytes = needed;
  }
}
