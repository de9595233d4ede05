/**
 * The cluster's id: a hash of the sorted founder names, a token, and whether leases are used, so that every founder finds the
 * same one without talking, and two clusters that were founded differently never exchange a message. 128-bit FNV-1a: it tells mistakes
 * apart, it is no secret.
 */

const OFFSET_BASIS = 0x6c62272e07bb014262b821756295c58dn;
const PRIME = 0x0000000001000000000000000000013bn;
const MASK = (1n << 128n) - 1n;

export function clusterIdOf(founderNames: readonly string[], token: string, leases = false): Uint8Array {
  let hash = OFFSET_BASIS;
  const add = (unit: number): void => {
    for (const byte of [unit & 255, unit >> 8]) hash = ((hash ^ BigInt(byte)) * PRIME) & MASK;
  };
  for (const text of [...[...founderNames].sort(), "", token]) {
    for (let at = 0; at < text.length; at += 1) add(text.charCodeAt(at));
    // Between two names: a unit that no text has.
    add(0xffff);
  }
  // A unit that is a name's end, once more: no list of names and token gives the same.
  if (leases) add(0xffff);
  const bytes = new Uint8Array(16);
  for (let at = 15; at >= 0; at -= 1) {
    bytes[at] = Number(hash & 255n);
    hash >>= 8n;
  }
  return bytes;
}

export function hexadecimal(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
