/** CRC-32C against published values and against a bit-by-bit division. */
import { expect, test } from "vitest";
import { crc32c } from "../../src/runtime/crc32c.js";

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

function slowly(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

test("the published values of RFC 3720, appendix B.4", () => {
  expect(crc32c(ascii("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, place) => place))).toBe(0x46dd794e);
  expect(crc32c(new Uint8Array(0))).toBe(0);
});

test("every length and start agrees with a division bit by bit, whole or in two parts", () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, place) => (place * 167 + 13) & 255);
  for (let start = 0; start < 20; start += 1) {
    for (let end = start; end <= 100; end += 1) {
      const whole = crc32c(bytes, start, end);
      expect(whole).toBe(slowly(bytes.subarray(start, end)));
      const middle = (start + end) >> 1;
      expect(crc32c(bytes, middle, end, crc32c(bytes, start, middle))).toBe(whole);
    }
  }
});
