import { describe, expect, test } from "vitest";
import { crc32c } from "../../../src/runtime/crc32c.js";
import type { Hello } from "../../../src/runtime/ports.js";
import {
  decodeAnswer,
  decodeOpening,
  type Envelope,
  encodeAccepted,
  encodeOpening,
  encodeRefused,
  type HandshakeProgress,
  HandshakeReader,
  MAX_HANDSHAKE_BYTES,
  PROTOCOL_VERSIONS,
} from "../../../src/runtime/wire/handshake.js";
import { bytesOf, flipBit, randomBytes, seededRandom } from "./bytes.js";

const HELLO: Hello = {
  clusterId: Uint8Array.from({ length: 16 }, (_, place) => place + 1),
  name: "anna",
  incarnation: 0xfedc_ba98_7654_3210n,
  boot: 7,
  founders: [
    { name: "anna", incarnation: 0xfedc_ba98_7654_3210n },
    { name: "bert", incarnation: 2n },
  ],
};

function read(bytes: Uint8Array): HandshakeProgress {
  return new HandshakeReader().push(bytes);
}

function envelopeOf(bytes: Uint8Array): Envelope {
  const progress = read(bytes);
  if (progress.state !== "whole") throw new Error(`not whole: ${JSON.stringify(progress)}`);
  return progress.envelope;
}

/** An envelope by hand, as another version would write it. */
function envelope(kind: number, min: number, max: number, body: Uint8Array, reserved = 0): Uint8Array {
  const header = Uint8Array.of(
    0x51,
    0x55,
    0x4f,
    0x52,
    min & 255,
    min >> 8,
    max & 255,
    max >> 8,
    kind,
    reserved,
    body.length & 255,
    body.length >> 8,
  );
  const checksum = new Uint8Array(4);
  new DataView(checksum.buffer).setUint32(0, crc32c(bytesOf(header, body)), true);
  return bytesOf(header, body, checksum);
}

describe("the handshake", () => {
  test("an opening on the wire, byte by byte", () => {
    const bytes = encodeOpening("bulk", { ...HELLO, founders: [{ name: "b", incarnation: 2n }] });
    const body = [
      2,
      ...HELLO.clusterId,
      4,
      0,
      97,
      110,
      110,
      97,
      0x10,
      0x32,
      0x54,
      0x76,
      0x98,
      0xba,
      0xdc,
      0xfe,
      7,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
      1,
      0,
      98,
      2,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
    ];
    expect(Array.from(bytes)).toEqual(Array.from(envelope(1, 1, PROTOCOL_VERSIONS.max, Uint8Array.from(body))));
  });

  test("openings and answers come back as they were said", () => {
    for (const channel of ["main", "bulk"] as const) {
      expect(decodeOpening(envelopeOf(encodeOpening(channel, HELLO)))).toEqual({
        ok: true,
        version: PROTOCOL_VERSIONS.max,
        channel,
        hello: { ...HELLO, version: PROTOCOL_VERSIONS.max },
      });
    }
    const other: Hello = {
      clusterId: new Uint8Array(16),
      name: "ü€😀",
      incarnation: 0n,
      boot: Number.MAX_SAFE_INTEGER,
      founders: [],
    };
    for (const version of [1, 2, 3])
      expect(decodeAnswer(envelopeOf(encodeAccepted(version, other)))).toEqual({
        ok: true,
        kind: "accepted",
        version,
        hello: { ...other, version },
      });
    expect(decodeAnswer(envelopeOf(encodeRefused("not now")))).toEqual({
      ok: true,
      kind: "refused",
      versions: PROTOCOL_VERSIONS,
      reason: "not now",
    });
  });

  test("the largest hello fits", () => {
    const founders = Array.from({ length: 15 }, (_, place) => ({
      name: String.fromCharCode(97 + place).repeat(64),
      incarnation: BigInt(place),
    }));
    const bytes = encodeOpening("main", { ...HELLO, name: "n".repeat(64), founders });
    expect(bytes.length).toBeLessThan(MAX_HANDSHAKE_BYTES);
    expect(decodeOpening(envelopeOf(bytes)).ok).toBe(true);
  });

  test("it is found in pieces of any size, and what follows it is given back", () => {
    const bytes = encodeOpening("main", HELLO);
    const followed = bytesOf(bytes, Uint8Array.of(9, 8, 7));
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const reader = new HandshakeReader();
      const first = reader.push(followed.subarray(0, cut));
      if (cut < bytes.length) expect(first).toEqual({ state: "more" });
      const whole = cut < bytes.length ? reader.push(followed.subarray(cut)) : first;
      expect(whole.state).toBe("whole");
      if (whole.state === "whole" && cut < bytes.length) expect(Array.from(whole.rest)).toEqual([9, 8, 7]);
    }
    const slow = new HandshakeReader();
    const states = Array.from(bytes, (byte) => slow.push(Uint8Array.of(byte)).state);
    expect(states.slice(0, -1).every((state) => state === "more")).toBe(true);
    expect(states.at(-1)).toBe("whole");
  });

  test("our own hello is held to the same limits", () => {
    expect(() => encodeOpening("main", { ...HELLO, name: "" })).toThrow(RangeError);
    expect(() => encodeOpening("main", { ...HELLO, name: "x".repeat(65) })).toThrow(RangeError);
    expect(() => encodeOpening("main", { ...HELLO, name: "\ud800" })).toThrow(RangeError);
    expect(() => encodeOpening("main", { ...HELLO, clusterId: new Uint8Array(15) })).toThrow(RangeError);
    expect(() =>
      encodeAccepted(1, { ...HELLO, founders: Array.from({ length: 16 }, () => ({ name: "a", incarnation: 1n })) }),
    ).toThrow(RangeError);
  });
});

describe("versions", () => {
  test("a caller that speaks only newer versions is told so in words, whatever its body is", () => {
    const opening = decodeOpening(envelopeOf(envelope(1, 7, 9, Uint8Array.of(1, 2, 3))));
    expect(opening).toEqual({
      ok: false,
      reason: "it speaks peer protocol version 7 to 9, this node speaks 1 to 3: upgrade this node first",
      answer: "the caller speaks peer protocol version 7 to 9, this node speaks 1 to 3: upgrade this node first",
    });
  });

  test("a caller that is too old is to be upgraded itself", () => {
    const opening = decodeOpening(envelopeOf(encodeOpening("main", HELLO)), { min: 7, max: 8 });
    expect(opening).toMatchObject({
      ok: false,
      answer: "the caller speaks peer protocol version 1 to 3, this node speaks 7 to 8: upgrade the caller first",
    });
  });

  test("the highest version that both speak is taken", () => {
    const envelope = envelopeOf(encodeOpening("main", HELLO, { min: 1, max: 9 }));
    expect(decodeOpening(envelope)).toMatchObject({ ok: true, version: PROTOCOL_VERSIONS.max });
    expect(decodeOpening(envelope, { min: 1, max: 1 })).toMatchObject({ ok: true, version: 1, hello: { version: 1 } });
    expect(decodeOpening(envelope, { min: 1, max: 3 })).toMatchObject({ ok: true, version: 3 });
  });

  test("a refusal by a newer version can be read", () => {
    const words = Uint8Array.from("too old", (letter) => letter.charCodeAt(0));
    expect(decodeAnswer(envelopeOf(envelope(3, 7, 9, words)))).toEqual({
      ok: true,
      kind: "refused",
      versions: { min: 7, max: 9 },
      reason: "too old",
    });
  });

  test("a version that was not offered is not taken", () => {
    expect(decodeAnswer(envelopeOf(encodeAccepted(9, HELLO)))).toEqual({
      ok: false,
      reason: "it chose version 9, which was not offered",
    });
  });
});

describe("refusals", () => {
  test("the reason is cut to 1 KiB, between characters; half a pair is replaced", () => {
    const answer = decodeAnswer(envelopeOf(encodeRefused("€".repeat(2000))));
    expect(answer).toMatchObject({ kind: "refused", reason: "€".repeat(341) });
    expect(decodeAnswer(envelopeOf(encodeRefused("a\ud800b")))).toMatchObject({ reason: "a\ufffdb" });
  });

  test("a reason can't steer a terminal", () => {
    expect(decodeAnswer(envelopeOf(encodeRefused("a\u001b[2Jb\n\u202ec")))).toMatchObject({ reason: "a [2Jb  c" });
  });

  test("a reason that is no text, or too long, is not believed", () => {
    expect(decodeAnswer(envelopeOf(envelope(3, 1, 1, Uint8Array.of(0xff))))).toMatchObject({ ok: false });
    expect(decodeAnswer(envelopeOf(envelope(3, 1, 1, new Uint8Array(1025).fill(97))))).toMatchObject({ ok: false });
  });
});

describe("rubbish", () => {
  test("a stranger is known by its first byte, and named where it is a usual one", () => {
    const letters = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    expect(read(letters("X"))).toMatchObject({
      state: "rubbish",
      reason: "it does not speak the peer protocol (it begins with 58)",
    });
    expect(read(letters("GET / HTTP/1.1"))).toMatchObject({ reason: expect.stringContaining("that is HTTP") });
    expect(read(Uint8Array.of(0x16, 3, 1, 2, 0))).toMatchObject({ reason: expect.stringContaining("that is TLS") });
  });

  test("an announced length above 4 KiB is refused at the header", () => {
    const header = Uint8Array.of(0x51, 0x55, 0x4f, 0x52, 1, 0, 1, 0, 1, 0, 0xff, 0xff);
    expect(read(header)).toMatchObject({
      state: "rubbish",
      reason: "its handshake announces 65535 bytes, at most 4080 are allowed",
    });
  });

  test("the body may fill the 4 KiB, and no more", () => {
    expect(read(envelope(1, 1, 1, new Uint8Array(4080))).state).toBe("whole");
    expect(read(envelope(1, 1, 1, new Uint8Array(4081))).state).toBe("rubbish");
  });

  test("ranges that are none, and what is reserved", () => {
    const body = new Uint8Array(1);
    expect(read(envelope(1, 0, 1, body)).state).toBe("rubbish");
    expect(read(envelope(1, 2, 1, body)).state).toBe("rubbish");
    expect(read(envelope(1, 1, 1, body, 1)).state).toBe("rubbish");
  });

  test("an echo is no answer, and an answer is no opening", () => {
    expect(decodeAnswer(envelopeOf(encodeOpening("main", HELLO)))).toMatchObject({
      ok: false,
      reason: expect.stringContaining("echoes"),
    });
    expect(decodeOpening(envelopeOf(encodeAccepted(1, HELLO)))).toMatchObject({ ok: false, answer: null });
    expect(decodeAnswer(envelopeOf(envelope(9, 1, 1, new Uint8Array())))).toMatchObject({ ok: false });
  });

  test.each<[string, (body: Uint8Array) => Uint8Array]>([
    ["an unknown channel", (body) => bytesOf(Uint8Array.of(3), body.subarray(1))],
    ["channel 0", (body) => bytesOf(Uint8Array.of(0), body.subarray(1))],
    ["a byte too many", (body) => bytesOf(body, Uint8Array.of(0))],
    ["a byte too few", (body) => body.subarray(0, -1)],
    ["no body at all", () => new Uint8Array()],
    ["an empty name", (body) => bytesOf(body.subarray(0, 17), Uint8Array.of(0, 0), body.subarray(23))],
    ["a name that is not UTF-8", (body) => bytesOf(body.subarray(0, 19), Uint8Array.of(0xc0, 0x80, 97, 97), body.subarray(23))],
    ["half a surrogate pair", (body) => bytesOf(body.subarray(0, 19), Uint8Array.of(0xed, 0xa0, 0x80, 97), body.subarray(23))],
    ["a boot above 2^53", (body) => bytesOf(body.subarray(0, 31), new Uint8Array(8).fill(0xff), body.subarray(39))],
    ["founders out of order", (body) => bytesOf(body.subarray(0, 40), body.subarray(54), body.subarray(40, 54))],
    ["a founder twice", (body) => bytesOf(body.subarray(0, 40), body.subarray(40, 54), body.subarray(40, 54))],
    [
      "more founders than there can be",
      (body) =>
        bytesOf(
          body.subarray(0, 39),
          Uint8Array.of(16),
          ...Array.from({ length: 16 }, (_, place) => Uint8Array.of(1, 0, 97 + place, 0, 0, 0, 0, 0, 0, 0, 0)),
        ),
    ],
  ])("a body with %s is refused, and the caller is told", (_, change) => {
    const body = envelopeOf(encodeOpening("main", HELLO)).body;
    const opening = decodeOpening(envelopeOf(envelope(1, 1, 1, change(body))));
    expect(opening.ok).toBe(false);
    if (!opening.ok) expect(opening.answer).toContain("can't be understood");
  });

  test("no flipped bit goes unseen", () => {
    const bytes = encodeOpening("main", HELLO);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      // A changed length makes it wait for more, or end early; the checksum is then looked for elsewhere.
      expect(read(flipBit(bytes, bit)).state).not.toBe("whole");
    }
  });

  test("random bodies under a good checksum never throw", () => {
    const random = seededRandom(3);
    const good = envelopeOf(encodeOpening("main", HELLO)).body;
    for (let round = 0; round < 5000; round += 1) {
      const body = round % 2 === 0 ? randomBytes(random, random() % 100) : flipBit(good, random() % (good.length * 8));
      const whole = envelopeOf(envelope(1 + (random() % 3), 1, 1, body));
      decodeOpening(whole);
      decodeAnswer(whole);
    }
  });
});
