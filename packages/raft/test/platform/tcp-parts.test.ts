import { describe, expect, test } from "vitest";
import { connectionErrorText, formatAddress, isRefusal, listenErrorText, parseAddress } from "../../src/platform/tcp-address.js";
import { joinFrames } from "../../src/platform/tcp-frames.js";
import { WarningLimiter } from "../../src/platform/tcp-warnings.js";
import { FrameDecoder } from "../../src/runtime/wire/frame.js";

describe("addresses", () => {
  test("host:port, with brackets around colons", () => {
    expect(parseAddress("localhost:1")).toEqual({ host: "localhost", port: 1 });
    expect(parseAddress("10.0.0.1:65535")).toEqual({ host: "10.0.0.1", port: 65_535 });
    expect(parseAddress("[::1]:2380")).toEqual({ host: "::1", port: 2380 });
    expect(formatAddress({ host: "::1", port: 2380 })).toBe("[::1]:2380");
    for (const none of ["", "a", "a:", ":1", "a:0", "a:65536", "::1:2380", "a b:1", "[::1]", "a:1:2", "[a:1"])
      expect(parseAddress(none)).toBeNull();
  });

  test("errors of the system in words", () => {
    const error = (code: string): Error => Object.assign(new Error(`${code} happened`), { code });
    expect(connectionErrorText(error("ECONNREFUSED"))).toBe("nobody listens there (ECONNREFUSED)");
    expect(connectionErrorText(error("EWHATEVER"))).toBe("EWHATEVER happened");
    expect(connectionErrorText(new Error("plain"))).toBe("plain");
    expect(isRefusal(error("ECONNREFUSED"))).toBe(true);
    expect(isRefusal(error("ETIMEDOUT"))).toBe(false);
    expect(isRefusal(new Error("plain"))).toBe(false);
    // A name with several addresses: refused only if each of them refused.
    expect(isRefusal(new AggregateError([error("ECONNREFUSED"), error("ECONNREFUSED")]))).toBe(true);
    expect(
      isRefusal(Object.assign(new AggregateError([error("ECONNREFUSED"), error("EHOSTUNREACH")]), { code: "ECONNREFUSED" })),
    ).toBe(false);
    const listen = { host: "::", port: 80 };
    for (const code of ["EADDRINUSE", "EADDRNOTAVAIL", "EACCES", "ENOTFOUND", "EWHATEVER"]) {
      const text = listenErrorText(error(code), listen);
      expect(text).toMatch(/^the address \[::\]:80 .+[;,:] .+$/);
      expect(text).not.toContain("\n");
    }
  });
});

describe("joined frames", () => {
  test("small ones become one piece, large payloads stay where they are", () => {
    const large = new Uint8Array(100_000).fill(2);
    const payloads = [
      new Uint8Array(10).fill(1),
      large,
      new Uint8Array(5).fill(3),
      new Uint8Array(16_383).fill(4),
      new Uint8Array(1).fill(5),
    ];
    const pieces = joinFrames(payloads);
    expect(pieces.map((piece) => piece.length)).toEqual([26, 100_000, 24 + 5 + 16_383 + 1]);
    expect(pieces[1]).toBe(large);
    const decoder = new FrameDecoder();
    const found = pieces.flatMap((piece) => decoder.push(piece));
    expect(found.map((payload) => [payload.length, payload[0]])).toEqual(payloads.map((payload) => [payload.length, payload[0]]));
    expect(decoder.isBetweenFrames).toBe(true);
    expect(joinFrames([])).toEqual([]);
  });

  test("a piece does not grow without end", () => {
    const pieces = joinFrames(Array.from({ length: 1000 }, () => new Uint8Array(8000)));
    expect(pieces.length).toBe(8);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(1024 * 1024 + 16_384);
  });
});

describe("warnings", () => {
  test("one a key and minute, and no more than 256 keys", () => {
    let now = 0;
    const limiter = new WarningLimiter(() => now);
    expect([limiter.allow("a"), limiter.allow("a"), limiter.allow("b")]).toEqual([true, false, true]);
    now = 59_999;
    expect(limiter.allow("a")).toBe(false);
    now = 60_000;
    expect([limiter.allow("a"), limiter.allow("a")]).toEqual([true, false]);
    now = 200_000;
    const allowed = Array.from({ length: 1000 }, (_, place) => limiter.allow(`key ${place}`)).filter((each) => each);
    expect(allowed.length).toBe(256);
    now = 260_000;
    expect(limiter.allow("key 999")).toBe(true);
  });
});
