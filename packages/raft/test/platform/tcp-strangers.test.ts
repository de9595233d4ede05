import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { encodeFrameHeader } from "../../src/runtime/wire/frame.js";
import { encodeOpening, encodeRefused, PROTOCOL_VERSIONS } from "../../src/runtime/wire/handshake.js";
import { bytesOf, flipBit, randomBytes, seededRandom } from "../runtime/wire/bytes.js";
import { deadline, Endpoint, helloOf, introduce, RawClient, RawServer, textBytes } from "./tcp-world.js";

const things: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  await Promise.all(things.splice(0).map(async (thing) => thing.close()));
});

async function endpoint(name: string, options: ConstructorParameters<typeof Endpoint>[1] = {}): Promise<Endpoint> {
  const made = new Endpoint(helloOf(name), options);
  things.push(made);
  return await made.start();
}

function client(to: Endpoint): RawClient {
  const made = new RawClient(to.transport.port);
  things.push({ close: () => made.destroy() });
  return made;
}

function frame(payload: Uint8Array): Uint8Array {
  return bytesOf(encodeFrameHeader(payload), payload);
}

/** Two nodes that talk, to see that they still do. */
async function pair(
  options: ConstructorParameters<typeof Endpoint>[1] = {},
): Promise<{ a: Endpoint; b: Endpoint; stillTalking: () => Promise<void> }> {
  const [a, b] = [await endpoint("a", options), await endpoint("b")];
  introduce(a, b);
  await Promise.all([a.connected("b"), b.connected("a")]);
  const stillTalking = async (): Promise<void> => {
    const before = a.received_.length;
    expect(b.say("a", "hello")).toBe(true);
    await a.until("a message", () => a.received_.length > before);
    expect([...a.closings, ...b.closings]).toEqual([]);
  };
  return { a, b, stillTalking };
}

describe("other versions", () => {
  test("a caller with only newer versions is refused in words that it can read", async () => {
    const a = await endpoint("a");
    const caller = client(a);
    caller.socket.write(encodeOpening("main", helloOf("b"), { min: 7, max: 9 }));
    expect(await caller.answer()).toEqual({
      ok: true,
      kind: "refused",
      versions: PROTOCOL_VERSIONS,
      reason: `the caller speaks peer protocol version 7 to 9, this node speaks 1 to ${PROTOCOL_VERSIONS.max}: upgrade this node first`,
    });
    await caller.ended;
    expect(a.warnings).toEqual([
      `a connection from 127.0.0.1 was refused: it speaks peer protocol version 7 to 9, this node speaks 1 to ${PROTOCOL_VERSIONS.max}: upgrade this node first`,
    ]);
    expect(a.received_).toEqual([]);
  });

  test("a refusal by a newer peer is shown as it was said", async () => {
    const words = "the caller speaks peer protocol version 1, this node speaks 7 to 9: upgrade the caller first";
    const server = new RawServer(helloOf("b"), () => undefined, encodeRefused(words, { min: 7, max: 9 }));
    things.push(server);
    await server.listen();
    const a = await endpoint("a");
    a.transport.setPeers([{ name: "b", address: server.address }]);
    await a.until("a refusal", () => a.closings.length > 0);
    expect(a.closings[0]?.reason).toBe(`it refused this node and says: ${words}`);
    expect(a.warnings[0]).toContain(words);
  });
});

describe("rubbish from strangers", () => {
  test("random bytes, cut and damaged handshakes: one warning, and the good peer does not notice", async () => {
    const { a, stillTalking } = await pair({ handshakeTimeoutMs: 60_000 });
    const random = seededRandom(11);
    const opening = encodeOpening("main", helloOf("z"));
    for (let round = 0; round < 120; round += 1) {
      const stranger = await client(a).connected();
      const kind = round % 4;
      if (kind === 0) stranger.socket.end(randomBytes(random, 1 + (random() % 5000)));
      else if (kind === 1) stranger.socket.end(opening.subarray(0, 1 + (random() % (opening.length - 1))));
      else if (kind === 2) stranger.socket.end(flipBit(opening, random() % (opening.length * 8)));
      else stranger.socket.end(textBytes("GET /metrics HTTP/1.1\r\n\r\n"));
      await stranger.ended;
      if (round % 20 === 0) await stillTalking();
    }
    await stillTalking();
    expect(a.warnings.length).toBe(1);
    expect(a.warnings[0]).toMatch(/^a connection from 127\.0\.0\.1 was closed: it /);
    expect(a.texts.every((each) => each === "b: hello")).toBe(true);
  });

  test("a stranger that only looks whether the port is open is not worth a word", async () => {
    const { a, stillTalking } = await pair();
    const stranger = await client(a).connected();
    stranger.socket.end();
    await stranger.ended;
    await stillTalking();
    expect(a.warnings).toEqual([]);
  });

  test("damaged streams of greeted peers: nothing is delivered that was not sent", async () => {
    const { a, stillTalking } = await pair({ maxFrameBytes: 1024 * 1024 });
    const random = seededRandom(12);
    const sent = ["one", "two two", "three three three"].map(textBytes);
    const stream = bytesOf(...sent.map(frame));
    for (let round = 0; round < 150; round += 1) {
      const name = `z${round}`;
      const peer = client(a);
      expect(await peer.greet(helloOf(name))).toMatchObject({ kind: "accepted" });
      const kind = round % 3;
      if (kind === 0) peer.socket.end(flipBit(stream, random() % (stream.length * 8)));
      else if (kind === 1) peer.socket.end(bytesOf(stream, Uint8Array.of(0xff, 0xff, 0xff, 0x7f), randomBytes(random, 100)));
      else peer.socket.end(stream.subarray(0, random() % stream.length));
      await peer.ended;
      const found = a.received_.filter(({ from }) => from === name).map(({ payload }) => String.fromCharCode(...payload));
      expect(found).toEqual(["one", "two two", "three three three"].slice(0, found.length));
      if (kind !== 1) expect(found.length).toBeLessThan(3);
      if (round % 30 === 0) await stillTalking();
    }
    await stillTalking();
    // One address, one warning.
    expect(a.warnings.length).toBe(1);
    expect(a.warnings[0]).toMatch(/^the connection from z\d+ at 127\.0\.0\.1 was closed: a frame /);
  });

  test("a giant length costs nothing but the connection", async () => {
    const { a, stillTalking } = await pair();
    const peer = client(a);
    await peer.greet(helloOf("z"));
    const before = process.memoryUsage().arrayBuffers;
    peer.socket.write(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4));
    await peer.ended;
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
    expect(a.warnings).toEqual([
      "the connection from z at 127.0.0.1 was closed: a frame announces 4294967295 bytes, at most 83886080 are allowed",
    ]);
    await stillTalking();
  });

  test("whoever goes on before the answer is turned away", async () => {
    const a = await endpoint("a");
    const hasty = client(a);
    hasty.socket.write(bytesOf(encodeOpening("main", helloOf("z")), frame(textBytes("x"))));
    await hasty.ended;
    expect(hasty.bytes.length).toBe(0);
    expect(a.received_).toEqual([]);
    expect(a.warnings).toEqual(["a connection from 127.0.0.1 was closed: it went on before its handshake was answered"]);
  });

  test("who says nothing, or stops in the middle, is not waited for", async () => {
    const { a, stillTalking } = await pair({ handshakeTimeoutMs: 40 });
    const [silent, slow] = [client(a), client(a)];
    slow.socket.write(encodeOpening("main", helloOf("z")).subarray(0, 20));
    await Promise.all([silent.ended, slow.ended]);
    expect(a.warnings).toEqual(["a connection from 127.0.0.1 was closed: it did not shake hands within 40 ms"]);
    await stillTalking();
  });
});

describe("rubbish from where a peer should be", () => {
  async function answering(bytes: (opening: Uint8Array) => Uint8Array | null): Promise<Endpoint> {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (chunk) => {
        const answer = bytes(chunk);
        if (answer === null) socket.destroy();
        else socket.write(answer);
      });
      open.push(socket);
    });
    const open: { destroy(): void }[] = [];
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    things.push({
      close: () => {
        for (const socket of open) socket.destroy();
        server.close();
      },
    });
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error("no address");
    const a = await endpoint("a", { handshakeTimeoutMs: 100 });
    a.transport.setPeers([{ name: "b", address: `127.0.0.1:${address.port}` }]);
    await a.until("an end", () => a.closings.length >= 2);
    expect(a.openings).toEqual([]);
    return a;
  }

  test("random bytes", async () => {
    const random = seededRandom(13);
    const a = await answering(() => randomBytes(random, 100));
    expect(a.closings[0]?.reason).toContain("does not speak the peer protocol");
  });

  test("an echo", async () => {
    const a = await answering((opening) => opening);
    expect(a.closings[0]?.reason).toContain("echoes");
    expect(a.warnings.length).toBe(1);
  });

  test("nothing at all", async () => {
    const a = await answering(() => new Uint8Array());
    expect(a.closings[0]?.reason).toBe("it did not shake hands within 100 ms");
  });

  test("an end", async () => {
    const a = await answering(() => null);
    expect(a.closings[0]?.reason).toMatch(/closed the connection|reset/);
  });

  test("a peer that talks back on a connection that is not for it", async () => {
    const server = new RawServer(helloOf("b"), (_, socket) => socket.write("what?"));
    things.push(server);
    await server.listen();
    const a = await endpoint("a");
    a.transport.setPeers([{ name: "b", address: server.address }]);
    await a.connected("b");
    a.say("b", "x");
    await a.until("the end", () => a.closings.length > 0);
    expect(a.closings[0]).toEqual({
      link: "b main",
      reason: "it sent something on a connection that only carries messages to it",
      refused: false,
    });
  });
});

describe("limits on connections", () => {
  test("of strangers, the oldest goes; a peer always gets in", async () => {
    const a = await endpoint("a", { maxUnauthenticated: 3 });
    const strangers: RawClient[] = [];
    for (let count = 0; count < 5; count += 1) strangers.push(await client(a).connected());
    await deadline("the end of the oldest two", Promise.all([strangers[0]?.ended, strangers[1]?.ended]));
    const peer = client(a);
    expect(await peer.greet(helloOf("b"))).toMatchObject({ kind: "accepted" });
    await strangers[2]?.ended;
    expect(strangers.slice(3).map(({ socket }) => socket.destroyed)).toEqual([false, false]);
    expect(a.warnings).toEqual([]);
  });

  test("of greeted ones there are so many; those that are dialled themselves come first", async () => {
    const b = await endpoint("b");
    const a = await endpoint("a", { maxAccepted: 2 });
    a.transport.setPeers([{ name: "b", address: b.address }]);
    const [first, second, third] = [client(a), client(a), client(a)];
    expect(await first.greet(helloOf("x"))).toMatchObject({ kind: "accepted" });
    expect(await second.greet(helloOf("y"))).toMatchObject({ kind: "accepted" });
    expect(await third.greet(helloOf("z"))).toMatchObject({
      kind: "refused",
      reason: "this node has 2 connections from peers, and accepts no more",
    });
    // The same peer again takes no further place.
    const again = client(a);
    expect(await again.greet(helloOf("y"))).toMatchObject({ kind: "accepted" });
    b.transport.setPeers([{ name: "a", address: a.address }]);
    await b.connected("a");
    await Promise.all([first.ended, again.ended]);
    const late = client(a);
    expect(await late.greet(helloOf("x"))).toMatchObject({ kind: "refused" });
  });
});
