/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), four tables and four bytes a step: for the pieces of snapshots. */

const TABLES = ((): Uint32Array => {
  const tables = new Uint32Array(4 * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let value = byte;
    for (let bit = 0; bit < 8; bit += 1) value = (value & 1) === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
    tables[byte] = value;
  }
  for (let place = 256; place < tables.length; place += 1) {
    const before = tables[place - 256] ?? 0;
    tables[place] = (before >>> 8) ^ (tables[before & 255] ?? 0);
  }
  return tables;
})();

/** The checksum of `bytes[start, end)`, unsigned. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  const table = TABLES as unknown as readonly number[];
  const source = bytes as unknown as readonly number[];
  const pick = (list: readonly number[], place: number): number => list[place] as number;
  let crc = -1;
  let at = start;
  for (const last = end - 4; at <= last; at += 4) {
    crc ^= pick(source, at) | (pick(source, at + 1) << 8) | (pick(source, at + 2) << 16) | (pick(source, at + 3) << 24);
    crc =
      pick(table, 768 + (crc & 255)) ^
      pick(table, 512 + ((crc >>> 8) & 255)) ^
      pick(table, 256 + ((crc >>> 16) & 255)) ^
      pick(table, crc >>> 24);
  }
  for (; at < end; at += 1) crc = (crc >>> 8) ^ pick(table, (crc ^ pick(source, at)) & 255);
  return ~crc >>> 0;
}
