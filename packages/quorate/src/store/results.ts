/**
 * What applying a command gives, as bytes: it travels from the member that applied it to the service that asked, perhaps on
 * another member, which puts a header of its own before it.
 *
 *     done      0x10, revision (8 bytes, most significant first), the answer's protobuf without its header
 *     refused   0x11, length of the code's name (1 byte), the code's name (ASCII), the message (UTF-8)
 *
 * `revision` is the store's revision after the command, for the header's `revision`.
 */
import type { FaultCode, StoreFault } from "./faults.js";
import { ProtobufError, WireWriter } from "./protobuf.js";
import { type ResponseHeader, writeHeader } from "./response-codec.js";
import { decodeText, encodeText } from "./utf8.js";

const DONE = 0x10;
const REFUSED = 0x11;
const DONE_HEAD_BYTES = 9;

const CODES: readonly FaultCode[] = ["InvalidArgument", "OutOfRange", "NotFound", "ResourceExhausted", "Internal"];

/** `body` is the answer without its header: views into the result. */
export type CommandResult =
  | { readonly ok: true; readonly revision: number; readonly body: Uint8Array }
  | { readonly ok: false; readonly fault: StoreFault };

/** The header's fields that the store does not know. A whole ResponseHeader will do; its revision is not looked at. */
export type ResponseOrigin = Omit<ResponseHeader, "revision">;

/** Starts the writer of a done result; the body is written after it. */
export function beginDone(revision: number, capacity = 0, limit = Number.POSITIVE_INFINITY): WireWriter {
  const writer = new WireWriter(DONE_HEAD_BYTES + capacity, limit);
  writer.byte(DONE);
  writer.uint64(revision);
  return writer;
}

export function encodeFault(fault: StoreFault): Uint8Array {
  const code = encodeText(fault.code);
  const writer = new WireWriter(2 + code.length + fault.message.length);
  writer.byte(REFUSED);
  writer.byte(code.length);
  writer.raw(code);
  writer.raw(encodeText(fault.message));
  return writer.finish();
}

/** Throws a ProtobufError when the bytes are no result. */
export function decodeResult(result: Uint8Array): CommandResult {
  if (result[0] === DONE && result.length >= DONE_HEAD_BYTES) {
    const view = new DataView(result.buffer, result.byteOffset, result.byteLength);
    const revision = view.getUint32(1) * 4_294_967_296 + view.getUint32(5);
    if (!Number.isSafeInteger(revision)) throw new ProtobufError("a result's revision is too large");
    return { ok: true, revision, body: result.subarray(DONE_HEAD_BYTES) };
  }
  if (result[0] === REFUSED) {
    const end = 2 + (result[1] ?? 0);
    const name = decodeText(result.subarray(2, end));
    const message = decodeText(result.subarray(end));
    const code = CODES.find((each) => each === name);
    if (code !== undefined && message !== null) return { ok: false, fault: { code, message } };
  }
  throw new ProtobufError("these bytes are no result of a command");
}

/** The whole answer for the client: the header with the result's revision, then the body as it is. */
export function encodeResponseWithHeader(
  origin: ResponseOrigin,
  result: { readonly revision: number; readonly body: Uint8Array },
): Uint8Array {
  const writer = new WireWriter(48 + result.body.length);
  writeHeader(writer, {
    clusterId: origin.clusterId,
    memberId: origin.memberId,
    revision: result.revision,
    raftTerm: origin.raftTerm,
  });
  writer.raw(result.body);
  return writer.finish();
}
