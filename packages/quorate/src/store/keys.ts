/**
 * Keys as the index holds them. A key is bytes; in the index it is a string with one character, U+0000 to U+00FF, for each
 * byte: V8 keeps such a string in one flat object without pointers, compares it natively, and the order of the characters is
 * the order of the bytes. A typed array for each key would cost a hundred bytes and a slow comparison.
 */

/** An element at a time is given to fromCharCode as an argument, and the stack is finite. */
const PART = 1024;

export function keyFromBytes(bytes: Uint8Array, start = 0, end = bytes.length): string {
  if (end - start <= PART) return characters(bytes, start, end);
  let key = "";
  for (let at = start; at < end; at += PART) key += characters(bytes, at, Math.min(at + PART, end));
  return key;
}

function characters(bytes: Uint8Array, start: number, end: number): string {
  const part = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
  return String.fromCharCode.apply(null, part as unknown as number[]);
}

export function keyToBytes(key: string): Uint8Array {
  const bytes = new Uint8Array(key.length);
  for (let at = 0; at < key.length; at += 1) bytes[at] = key.charCodeAt(at);
  return bytes;
}

export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a === b ? 0 : 1;
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let at = 0; at < shorter; at += 1) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** The end of a range in a request that means: from the key on, without end. */
export function isOpenEnd(rangeEnd: Uint8Array): boolean {
  return rangeEnd.length === 1 && rangeEnd[0] === 0;
}
