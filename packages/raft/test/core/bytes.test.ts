/** Binary layouts: written with any room to begin with, read back, and never read past their end. */
import { expect, test } from "vitest";
import { ByteReader, ByteWriter, DecodeError, decoding } from "../../src/core/bytes.js";
import { decodeUtf8, encodeUtf8 } from "../../src/core/utf8.js";

test("a writer that must grow in the middle of any field loses nothing", () => {
  for (let capacity = 0; capacity < 64; capacity += 1) {
    const writer = new ByteWriter(capacity);
    writer.u8(200);
    writer.u16(60_000);
    writer.u32(4_000_000_000);
    writer.u64(Number.MAX_SAFE_INTEGER);
    writer.big64(2n ** 64n - 2n);
    writer.raw(Uint8Array.of(1, 2, 3));
    writer.blob(Uint8Array.of(4, 5));
    writer.text("größe 🙂");
    const reader = new ByteReader(writer.finish());
    expect([reader.u8(), reader.u16(), reader.u32(), reader.u64(), reader.big64()]).toEqual([
      200,
      60_000,
      4_000_000_000,
      Number.MAX_SAFE_INTEGER,
      2n ** 64n - 2n,
    ]);
    expect(Array.from(reader.raw(3))).toEqual([1, 2, 3]);
    expect(Array.from(reader.blob())).toEqual([4, 5]);
    expect(reader.text(40)).toBe("größe 🙂");
    reader.end();
  }
});

test("a reader refuses what is cut off, too large or not what it says", () => {
  const reading = (bytes: number[], read: (reader: ByteReader) => unknown): boolean =>
    decoding(() => read(new ByteReader(Uint8Array.from(bytes)))).ok;
  expect(reading([1, 2, 3], (reader) => reader.u32())).toBe(false);
  expect(reading([0, 0, 0, 0, 0, 0, 0x20, 0], (reader) => reader.u64())).toBe(false);
  expect(reading([255, 255, 255, 255, 255, 255, 0x1f, 0], (reader) => reader.u64())).toBe(true);
  expect(reading([2], (reader) => reader.flag())).toBe(false);
  expect(reading([255, 255, 255, 255, 1], (reader) => reader.blob())).toBe(false);
  expect(reading([2, 0, 0xc3, 0x28], (reader) => reader.text(9))).toBe(false);
  expect(reading([5, 0, 65, 65, 65, 65, 65], (reader) => reader.text(4))).toBe(false);
  expect(reading([9, 0, 0, 0, 1, 2], (reader) => reader.count(1, 100))).toBe(false);
  expect(reading([1], (reader) => reader.end())).toBe(false);
  expect(() =>
    decoding(() => {
      throw new TypeError("a bug");
    }),
  ).toThrow(TypeError);
  expect(new DecodeError("x").name).toBe("DecodeError");
});

test("UTF-8 is the one that the platform knows, and its wrong forms are refused", () => {
  for (const text of ["", "a", "é", "€", "🙂", "\u0000\u07ff\u0800\uffff\u{10000}\u{10ffff}"]) {
    const bytes = encodeUtf8(text);
    expect(Array.from(bytes ?? [])).toEqual(Array.from(new TextEncoder().encode(text)));
    expect(decodeUtf8(bytes ?? new Uint8Array(0))).toBe(text);
  }
  expect(encodeUtf8("\ud800")).toBeNull();
  for (const wrong of [
    [0x80],
    [0xc0, 0x80],
    [0xe0, 0x80, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xe2, 0x82],
    [0xff],
  ]) {
    expect(decodeUtf8(Uint8Array.from(wrong))).toBeNull();
  }
});
