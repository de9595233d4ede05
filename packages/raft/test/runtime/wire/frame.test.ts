import { describe, expect, test } from "vitest";
import { crc32c } from "../../../src/runtime/crc32c.js";
import { encodeFrameHeader, FRAME_HEADER_BYTES, FrameDecoder } from "../../../src/runtime/wire/frame.js";
import { bytesOf, randomBytes, seededRandom } from "./bytes.js";

function frame(payload: Uint8Array): Uint8Array {
  return bytesOf(encodeFrameHeader(payload), payload);
}

function text(payloads: readonly Uint8Array[]): string[] {
  return payloads.map((payload) => String.fromCharCode(...payload));
}

const letters = (word: string): Uint8Array => Uint8Array.from(word, (letter) => letter.charCodeAt(0));

describe("frames", () => {
  test("a header is length and checksum, little endian", () => {
    // 0xe3069283 is the check value of CRC-32C for "123456789".
    expect(Array.from(encodeFrameHeader(letters("123456789")))).toEqual([9, 0, 0, 0, 0x83, 0x92, 0x06, 0xe3]);
  });

  test("frames come out whole, in order, however the stream is cut", () => {
    const random = seededRandom(1);
    const payloads = Array.from({ length: 40 }, (_, place) =>
      randomBytes(random, place % 7 === 0 ? 1 + (random() % 200_000) : 1 + (random() % 60)),
    );
    const stream = bytesOf(...payloads.map(frame));
    for (const largest of [1, 7, 8, 9, 1000, 65_536, stream.length]) {
      // One byte at a time is enough for the first frames.
      const until = largest === 1 ? 300_000 : stream.length;
      const decoder = new FrameDecoder();
      const found: Uint8Array[] = [];
      for (let at = 0; at < until; ) {
        const end = Math.min(until, at + 1 + (random() % largest));
        found.push(...decoder.push(stream.subarray(at, end)));
        at = end;
      }
      expect(decoder.failure).toBeNull();
      if (until === stream.length) expect(found.length).toBe(payloads.length);
      expect(found.length).toBeGreaterThan(0);
      expect(found.map((payload) => crc32c(payload))).toEqual(payloads.slice(0, found.length).map((payload) => crc32c(payload)));
    }
  });

  test("a payload is a copy that is exactly its own size", () => {
    const chunk = bytesOf(frame(letters("first")), frame(letters("second")), new Uint8Array(100_000));
    const [first, second] = new FrameDecoder().push(chunk);
    chunk.fill(0);
    expect(text([first as Uint8Array, second as Uint8Array])).toEqual(["first", "second"]);
    expect(first?.buffer.byteLength).toBe(5);
    expect(second?.buffer.byteLength).toBe(6);
  });

  test("a length above the limit is refused before anything is allocated for it", () => {
    const decoder = new FrameDecoder(1000);
    const fits = new Uint8Array(1000).fill(7);
    expect(decoder.push(frame(fits))).toEqual([fits]);
    const header = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);
    expect(decoder.push(header)).toEqual([]);
    expect(decoder.failure).toBe("a frame announces 4294967295 bytes, at most 1000 are allowed");
    expect(decoder.bufferedBytes).toBe(0);
  });

  test("one byte above the limit is above it", () => {
    const decoder = new FrameDecoder(1000);
    expect(decoder.push(frame(new Uint8Array(1001)))).toEqual([]);
    expect(decoder.failure).toContain("1001");
  });

  test("an announced length takes no memory until bytes come, and then no more than twice theirs", () => {
    const decoder = new FrameDecoder(80 * 1024 * 1024);
    decoder.push(Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0)); // 64 MiB
    expect(decoder.bufferedBytes).toBeLessThanOrEqual(64 * 1024);
    for (let count = 1; count <= 32; count += 1) {
      decoder.push(new Uint8Array(65_536));
      expect(decoder.bufferedBytes).toBeLessThanOrEqual(2 * count * 65_536);
    }
    expect(decoder.failure).toBeNull();
  });

  test("an empty frame is refused: zeros are not a stream", () => {
    const decoder = new FrameDecoder();
    expect(decoder.push(new Uint8Array(64))).toEqual([]);
    expect(decoder.failure).toContain("announces no bytes");
  });

  test("damage is named, what came before it is kept, and nothing comes after it", () => {
    const damaged = frame(letters("damaged"));
    damaged[FRAME_HEADER_BYTES] = 0;
    const decoder = new FrameDecoder();
    expect(text(decoder.push(bytesOf(frame(letters("good")), damaged, frame(letters("lost")))))).toEqual(["good"]);
    expect(decoder.failure).toContain("a frame of 7 bytes is damaged");
    expect(decoder.push(frame(letters("lost")))).toEqual([]);
  });

  test("whether a stream stops between frames", () => {
    const decoder = new FrameDecoder();
    const bytes = frame(letters("ab"));
    const seen = Array.from(bytes, (byte) => {
      decoder.push(Uint8Array.of(byte));
      return decoder.isBetweenFrames;
    });
    expect(seen).toEqual([...Array.from({ length: bytes.length - 1 }, () => false), true]);
  });

  test("a flipped bit never yields a payload that was not sent, and rubbish never throws", () => {
    const random = seededRandom(2);
    const sent = ["a", "bb", "a somewhat longer payload", "d"];
    const stream = bytesOf(...sent.map((word) => frame(letters(word))));
    for (let bit = 0; bit < stream.length * 8; bit += 1) {
      const flipped = stream.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const decoder = new FrameDecoder(4096);
      const found = text(decoder.push(flipped));
      expect(found).toEqual(sent.slice(0, found.length));
      expect(found.length).toBeLessThan(sent.length);
      // A longer length may still wait for more; then the checksum will tell.
      expect(decoder.failure !== null || !decoder.isBetweenFrames).toBe(true);
    }
    for (let round = 0; round < 3000; round += 1) {
      const decoder = new FrameDecoder(1 << (random() % 24));
      for (let piece = 0; piece < 4; piece += 1) decoder.push(randomBytes(random, random() % 200));
      expect(decoder.bufferedBytes).toBeLessThanOrEqual(64 * 1024);
    }
  });
});
