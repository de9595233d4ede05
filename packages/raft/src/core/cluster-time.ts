/**
 * Cluster time: the clock by which sessions expire (dissertation section 6.3). No clock on a wall has a say in it. A session's
 * entry begins with a stamp: the microseconds for which its leader had led when it appended the entry, by that leader's
 * monotonic clock. Whoever applies the log adds up: within a term time is what the stamps say, and in a new term it goes on from
 * where the last stamp of the terms before had brought it. So it never goes back, whoever leads, every node that applies the
 * same entries reads the same time, and it stands still while nobody leads.
 *
 * What stands behind the stamp is the runtime's business.
 */
import { ByteReader, ByteWriter } from "./bytes.js";
import type { Leadership, RaftState } from "./state.js";
import type { Micros } from "./types.js";

const STAMP_BYTES = 8;
/** What a request of a session may hold besides a command of the largest size, at most. */
export const SESSION_HEADER_BYTES = 64;

/** A request with the leader's stamp in front. */
export function stamped(state: RaftState, leadership: Leadership, request: Uint8Array): Uint8Array {
  const writer = new ByteWriter(STAMP_BYTES + request.length);
  writer.u64(state.now - leadership.since);
  writer.raw(request);
  return writer.finish();
}

/** The stamp of a session's entry and what follows it. Null: there is none; no leader of this kind made it. */
export function readStamp(data: Uint8Array): { readonly ledFor: Micros; readonly request: Uint8Array } | null {
  if (data.length < STAMP_BYTES) return null;
  const reader = new ByteReader(data);
  // Written as a safe integer; what is not one can only come from a peer that makes no sense.
  const low = reader.u32();
  const high = reader.u32();
  if (high > 0x1fffff) return null;
  return { ledFor: high * 2 ** 32 + low, request: data.subarray(STAMP_BYTES) };
}
