/**
 * The identity of a member: its name and 64 random bits made with its data directory, joined as `name#0123456789abcdef`.
 * A node that lost its disk comes back with other bits, so nobody takes it for the one that voted and acknowledged
 * (dissertation section 3.8). Names may hold any character, so the last `#` is the one that counts.
 */
import type { MemberId } from "../core/types.js";

export function memberId(name: string, incarnation: bigint): MemberId {
  return `${name}#${incarnationText(incarnation)}`;
}

/** Sixteen hexadecimal digits. */
export function incarnationText(incarnation: bigint): string {
  return incarnation.toString(16).padStart(16, "0");
}

export function memberName(id: MemberId): string {
  return id.slice(0, Math.max(0, id.lastIndexOf("#")));
}
