/**
 * What a session's entry asks for, behind the leader's stamp (core/cluster-time.ts). Everything that decides what becomes of a
 * request is in the request: limits that were read from a node's own options would not be the same on every node.
 *
 * Layout: kind u8, then
 *   1 open        expireAfter u64 (microseconds), maxSessions u32, maxRequests u32, maxResultBytes u32
 *   2 command     session u64, sequence u64, lowestWaiting u64, the command
 *   3 keep alive  session u64
 *   4 close       session u64
 */
import { ByteReader, ByteWriter, DecodeError, decoding } from "../../core/bytes.js";
import type { Index, Micros } from "../../core/types.js";

/** What a session may keep, and how many there may be; said by whoever opens one, kept in the table. */
export interface SessionLimits {
  /** A session that is not used for so long, by cluster time, expires. */
  readonly expireAfter: Micros;
  /** Sessions that may be open once this one is. */
  readonly maxSessions: number;
  /** A request may be at most so far above the lowest that is still waited for: results kept are at most so many. */
  readonly maxRequests: number;
  /** Bytes of results kept for one session. A result that would go beyond is not kept, only that it was given. */
  readonly maxResultBytes: number;
}

export interface SessionCommand {
  readonly kind: "command";
  readonly session: Index;
  /** Numbers the session's commands from 1, each once; a repetition has the same number. */
  readonly sequence: number;
  /** The client waits for nothing below: results of lower numbers may go. */
  readonly lowestWaiting: number;
  readonly command: Uint8Array;
}

export type SessionRequest =
  | ({ readonly kind: "open" } & SessionLimits)
  | SessionCommand
  | { readonly kind: "keepAlive" | "close"; readonly session: Index };

const KINDS = ["open", "command", "keepAlive", "close"] as const satisfies readonly SessionRequest["kind"][];
const COMMAND_HEADER_BYTES = 25;

export function encodeSessionRequest(request: SessionRequest): Uint8Array {
  const writer = new ByteWriter(COMMAND_HEADER_BYTES + (request.kind === "command" ? request.command.length : 0));
  writer.u8(KINDS.indexOf(request.kind) + 1);
  if (request.kind === "open") {
    writer.u64(request.expireAfter);
    writer.u32(request.maxSessions);
    writer.u32(request.maxRequests);
    writer.u32(request.maxResultBytes);
    return writer.finish();
  }
  writer.u64(request.session);
  if (request.kind === "command") {
    writer.u64(request.sequence);
    writer.u64(request.lowestWaiting);
    writer.raw(request.command);
  }
  return writer.finish();
}

/** Null: it is none, and asks for nothing. The command is a view of the bytes. */
export function decodeSessionRequest(bytes: Uint8Array): SessionRequest | null {
  const decoded = decoding(() => read(new ByteReader(bytes)));
  return decoded.ok ? decoded.value : null;
}

function read(reader: ByteReader): SessionRequest {
  const kind = KINDS[reader.u8() - 1];
  switch (kind) {
    case "open": {
      const limits = {
        expireAfter: reader.u64(),
        maxSessions: reader.u32(),
        maxRequests: reader.u32(),
        maxResultBytes: reader.u32(),
      };
      reader.end();
      return { kind, ...limits };
    }
    case "command": {
      const numbers = { session: reader.u64(), sequence: reader.u64(), lowestWaiting: reader.u64() };
      return { kind, ...numbers, command: reader.raw(reader.remaining) };
    }
    case "keepAlive":
    case "close": {
      const session = reader.u64();
      reader.end();
      return { kind, session };
    }
    default:
      throw new DecodeError("is of an unknown kind");
  }
}
