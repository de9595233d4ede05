/**
 * The ids under which etcd's clients know the members: 64 bits, the incarnation of the member's data directory. A member
 * that was added and has not been heard yet has no directory that anybody knows; until then its id is made of its address,
 * the same on every node.
 */
import type { MemberStatus } from "@quorate/raft";

const UNHEARD = "0000000000000000";
const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;
const MASK = 0xffffffffffffffffn;

/** It was added, and did not start yet. */
export function isUnheard({ incarnation }: MemberStatus): boolean {
  return incarnation === UNHEARD;
}

/** Never zero, which is no id in etcd's messages. */
export function idOf(member: MemberStatus): bigint {
  return isUnheard(member) ? idOfAddress(member.address) : BigInt(`0x${member.incarnation}`);
}

/** FNV-1a of 64 bits. */
export function idOfAddress(address: string): bigint {
  let hash = FNV_OFFSET;
  for (const byte of Buffer.from(address, "utf8")) hash = ((hash ^ BigInt(byte)) * FNV_PRIME) & MASK;
  return hash === 0n ? 1n : hash;
}
