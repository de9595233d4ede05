/**
 * What is written to a socket: small frames joined into one buffer, so that the system is called once and not once a frame;
 * large payloads as they are, since copying them would cost more than it saves.
 */
import { FRAME_HEADER_BYTES, writeFrameHeader } from "../runtime/wire/frame.js";

/** A payload from this size on is written from where it lies. */
const LARGE_BYTES = 16 * 1024;
/** A joined buffer is closed at this size. */
const JOINED_BYTES = 1024 * 1024;

/** The frames of `payloads`, in order. */
export function joinFrames(payloads: readonly Uint8Array[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let first = 0;
  let bytes = 0;
  const closePiece = (end: number): void => {
    if (bytes === 0) return;
    const piece = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (const payload of payloads.slice(first, end)) {
      writeFrameHeader(payload, piece, at);
      at += FRAME_HEADER_BYTES;
      if (payload.length >= LARGE_BYTES) continue;
      piece.set(payload, at);
      at += payload.length;
    }
    pieces.push(piece);
    first = end;
    bytes = 0;
  };
  payloads.forEach((payload, place) => {
    const isLarge = payload.length >= LARGE_BYTES;
    bytes += FRAME_HEADER_BYTES + (isLarge ? 0 : payload.length);
    // The header of a large payload ends the piece before it.
    if (isLarge || bytes >= JOINED_BYTES) closePiece(place + 1);
    if (isLarge) pieces.push(payload);
  });
  closePiece(payloads.length);
  return pieces;
}
