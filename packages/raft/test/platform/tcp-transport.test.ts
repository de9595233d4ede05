import { once } from "node:events";
import { afterEach, describe, expect, test } from "vitest";
import { createTcpTransport } from "../../src/platform/tcp-transport.js";
import type { Hello } from "../../src/runtime/ports.js";
import { FrameDecoder } from "../../src/runtime/wire/frame.js";
import { deadline, Endpoint, freePort, helloOf, introduce, RawClient, RawServer, turn } from "./tcp-world.js";

const things: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  await Promise.all(things.splice(0).map(async (thing) => thing.close()));
});

async function endpoint(
  name: string,
  options: ConstructorParameters<typeof Endpoint>[1] = {},
  hello: Hello = helloOf(name),
): Promise<Endpoint> {
  const made = new Endpoint(hello, options);
  things.push(made);
  return await made.start();
}

async function rawServer(...given: ConstructorParameters<typeof RawServer>): Promise<RawServer> {
  const made = new RawServer(...given);
  things.push(made);
  return await made.listen();
}

function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

describe("talking", () => {
  test("three nodes talk, each on connections of its own, on both channels", async () => {
    const [a, b, c] = [await endpoint("a"), await endpoint("b"), await endpoint("c")];
    introduce(a, b, c);
    await Promise.all([a.connected("b", "c"), b.connected("a", "c"), c.connected("a", "b")]);
    expect(a.say("b", "from a")).toBe(true);
    expect(c.say("b", "from c", "bulk")).toBe(true);
    await b.until("two messages", () => b.received_.length === 2);
    expect(b.texts.sort()).toEqual(["a: from a", "c: from c"]);
    expect(b.received_.find(({ from }) => from === "c")?.channel).toBe("bulk");
    expect([a, b, c].flatMap((each) => each.warnings)).toEqual([]);
  });

  test("what was said on one connection arrives in order, small and large mixed", async () => {
    const [a, b] = [await endpoint("a"), await endpoint("b")];
    introduce(a, b);
    await a.connected("b");
    const sizes = Array.from({ length: 600 }, (_, place) => (place % 50 === 7 ? 300_000 : place % 9 === 0 ? 20_000 : 1 + place));
    for (const [place, size] of sizes.entries()) {
      expect(a.transport.send("b", "main", filled(size, place & 255))).toBe(true);
      if (place % 60 === 0) {
        a.transport.flush();
        await turn();
      }
    }
    a.transport.flush();
    await b.until("all messages", () => b.received_.length === sizes.length);
    expect(b.received_.map(({ payload }) => payload.length)).toEqual(sizes);
    expect(b.received_.map(({ payload }) => payload.at(-1))).toEqual(sizes.map((_, place) => place & 255));
  });

  test("a frame of the largest size arrives; one byte more is dropped with a warning", async () => {
    const maxFrameBytes = 24 * 1024 * 1024;
    const [a, b] = [await endpoint("a", { maxFrameBytes }), await endpoint("b", { maxFrameBytes })];
    introduce(a, b);
    await a.connected("b");
    expect(a.transport.send("b", "main", new Uint8Array(maxFrameBytes + 1))).toBe(false);
    expect(a.warnings).toEqual([
      `a message of ${maxFrameBytes + 1} bytes for b was dropped: 1 to ${maxFrameBytes} bytes (maxFrameBytes) are possible`,
    ]);
    // It is also larger than the queue of bulk may be, and goes because it is alone.
    expect(a.transport.send("b", "bulk", filled(maxFrameBytes, 9))).toBe(true);
    expect(a.transport.send("b", "bulk", filled(1, 9))).toBe(false);
    a.transport.flush();
    await b.until("the large frame", () => b.received_.length === 1);
    expect(b.received_[0]?.payload.length).toBe(maxFrameBytes);
    expect(b.received_[0]?.payload.every((byte) => byte === 9)).toBe(true);
  });

  test("nothing leaves before flush, and one flush of small frames is one write", async () => {
    const chunks: number[] = [];
    let heard: () => void = () => undefined;
    const server = await rawServer(helloOf("b"), (chunk) => {
      chunks.push(chunk.length);
      heard();
    });
    const a = await endpoint("a");
    a.transport.setPeers([{ name: "b", address: server.address }]);
    await a.connected("b");
    const arrived = new Promise<void>((resolve) => {
      heard = resolve;
    });
    for (let count = 0; count < 200; count += 1) a.transport.send("b", "main", filled(100, count));
    // Whatever had left would arrive while another connection makes its way there and back.
    (await new RawClient(a.transport.port).connected()).socket.destroySoon();
    await turn();
    expect(chunks).toEqual([]);
    a.transport.flush();
    await deadline("the frames", arrived);
    expect(chunks).toEqual([200 * 108]);
  });

  test("reading is noted once", async () => {
    const [a, b] = [await endpoint("a"), await endpoint("b")];
    introduce(a, b);
    await Promise.all([a.connected("b"), b.connected("a")]);
    b.transport.takeReadActivity();
    expect(b.transport.takeReadActivity()).toBe(false);
    a.say("b", "x");
    await b.until("a message", () => b.received_.length === 1);
    expect(b.transport.takeReadActivity()).toBe(true);
    expect(b.transport.takeReadActivity()).toBe(false);
  });

  test("without a connection nothing is taken", async () => {
    const a = await endpoint("a");
    expect(a.say("nobody", "x")).toBe(false);
    a.transport.setPeers([{ name: "b", address: `127.0.0.1:${await freePort()}` }]);
    expect(a.say("b", "x")).toBe(false);
  });
});

describe("limits of the queue", () => {
  test("what waits for flush is counted with its headers", async () => {
    const server = await rawServer(helloOf("b"));
    const a = await endpoint("a", { maxQueueBytes: { main: 1080 } });
    a.transport.setPeers([{ name: "b", address: server.address }]);
    await a.connected("b");
    const taken = Array.from({ length: 12 }, () => a.transport.send("b", "main", new Uint8Array(100)));
    expect(taken.filter((each) => each).length).toBe(10);
    expect(taken.indexOf(false)).toBe(10);
    a.transport.flush();
    expect(a.transport.send("b", "main", new Uint8Array(100))).toBe(true);
  });

  test("a peer that stops reading costs its queue and no more, and gets everything once it reads again", async () => {
    const decoder = new FrameDecoder();
    const seen: number[] = [];
    const server = await rawServer(helloOf("b"), (chunk) => {
      for (const payload of decoder.push(chunk)) seen.push(new DataView(payload.buffer).getUint32(0));
    });
    const main = 1024 * 1024;
    const a = await endpoint("a", { maxQueueBytes: { main }, silenceTimeoutMs: 600_000 });
    a.transport.setPeers([{ name: "b", address: server.address }]);
    await a.connected("b");
    const socket = await server.connection(0);
    socket.pause();
    let taken = 0;
    let refusedInARow = 0;
    // The system takes some megabytes on both ends; then only the queue is left.
    for (let tries = 0; tries < 10_000 && refusedInARow < 200; tries += 1) {
      const payload = new Uint8Array(32 * 1024);
      new DataView(payload.buffer).setUint32(0, taken);
      if (a.transport.send("b", "main", payload)) {
        taken += 1;
        refusedInARow = 0;
      } else refusedInARow += 1;
      a.transport.flush();
      await turn();
    }
    expect(refusedInARow).toBe(200);
    // What a socket pair may hold in the system (tcp_wmem and tcp_rmem), and the queue.
    expect(taken * 32 * 1024).toBeLessThan(main + 32 * 1024 * 1024);
    const drained = new Promise<void>((resolve) => {
      socket.on("data", () => {
        if (seen.length === taken) resolve();
      });
    });
    socket.resume();
    await deadline("all frames", drained);
    expect(seen).toEqual(Array.from({ length: taken }, (_, place) => place));
    while (!a.say("b", "again")) await turn();
  });
});

describe("connections that end", () => {
  test("a peer that starts again is found again by both sides", async () => {
    const port = await freePort();
    const a = await endpoint("a");
    const first = await endpoint("b", { listen: { host: "127.0.0.1", port } });
    introduce(a, first);
    await Promise.all([a.connected("b"), first.connected("a")]);
    await first.close();
    await a.until("the end", () => !a.open.has("b main") && !a.open.has("b bulk"));
    await a.until("a refusal by the system", () => a.closings.some((each) => each.refused));
    expect(a.closings.find((each) => each.refused)?.reason).toBe("nobody listens there (ECONNREFUSED)");
    expect(a.closings.find((each) => !each.refused)?.reason).toMatch(/closed the connection|ECONNRESET/);
    const second = await endpoint("b", { listen: { host: "127.0.0.1", port } }, helloOf("b", 2));
    introduce(a, second);
    await Promise.all([a.connected("b"), second.connected("a")]);
    a.say("b", "welcome back");
    await second.until("a message", () => second.received_.length === 1);
    expect(a.warnings).toEqual([]);
  });

  test("the pause between tries grows, and ends at once when the peer dials", async () => {
    const port = await freePort();
    const a = await endpoint("a", { minRetryMs: 1, maxRetryMs: 600_000 });
    a.transport.setPeers([{ name: "b", address: `127.0.0.1:${port}` }]);
    // After ten tries the next is half a second away or more, and the one after that a second.
    await a.until("ten tries", () => a.closings.filter((each) => each.link === "b main").length === 10);
    const b = await endpoint("b", { listen: { host: "127.0.0.1", port }, maxRetryMs: 600_000 });
    const triesBefore = a.closings.length;
    b.transport.setPeers([{ name: "a", address: a.address }]);
    await Promise.all([a.connected("b"), b.connected("a")]);
    expect(a.closings.length).toBeLessThanOrEqual(triesBefore + 2);
  });

  test("a peer that ends its half of a connection is dialled anew", async () => {
    const server = await rawServer(helloOf("b"));
    const a = await endpoint("a");
    a.transport.setPeers([{ name: "b", address: server.address }]);
    await a.connected("b");
    (await server.connection(0)).end();
    await a.until("the end", () => a.closings.some((each) => each.link === "b main"));
    expect(a.closings[0]).toEqual({ link: "b main", reason: "it closed the connection", refused: false });
    await server.connection(1);
    await a.connected("b");
  });

  test("a peer that never answers what it is sent is dialled anew: the connection may be dead", async () => {
    const server = await rawServer(helloOf("b"));
    const a = await endpoint("a", { silenceTimeoutMs: 30 });
    a.transport.setPeers([{ name: "b", address: server.address }]);
    await a.connected("b");
    while (a.closings.length < 2) {
      a.say("b", "are you there?");
      await turn();
    }
    expect(a.closings.map((each) => each.link).sort()).toEqual(["b bulk", "b main"]);
    expect(a.closings[0]?.reason).toMatch(/^b has said nothing for \d+ ms while it was sent messages$/);
    await server.connection(1);
    await a.connected("b");
  });

  test("peers that answer, or have nothing to say, are left alone", async () => {
    const [a, b] = [await endpoint("a", { silenceTimeoutMs: 30 }), await endpoint("b", { silenceTimeoutMs: 30 })];
    introduce(a, b);
    await Promise.all([a.connected("b"), b.connected("a")]);
    b.onReceived = () => b.say("a", "yes");
    const until = performance.now() + 150;
    while (performance.now() < until) {
      const before = a.received_.length;
      a.say("b", "there?");
      await a.until("an answer", () => a.received_.length > before);
    }
    // Few messages without an answer say nothing, however long it is quiet.
    b.onReceived = null;
    for (let count = 0; count < 8; count += 1) a.say("b", "news");
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect([...a.closings, ...b.closings]).toEqual([]);
  });

  test("a peer that comes in a new life is dialled anew at once", async () => {
    const server = await rawServer(helloOf("b", 1));
    const a = await endpoint("a");
    a.transport.setPeers([{ name: "b", address: server.address }]);
    await a.connected("b");
    const again = new RawClient(a.transport.port);
    expect(await again.greet(helloOf("b", 2))).toMatchObject({ ok: true, kind: "accepted" });
    await a.until("the end of the old connections", () => a.closings.length === 2);
    expect(a.closings[0]?.reason).toBe("b has started anew");
    await server.connection(1);
    again.destroy();
  });

  test("a second connection of the same peer replaces the first", async () => {
    const a = await endpoint("a");
    const [first, second] = [new RawClient(a.transport.port), new RawClient(a.transport.port)];
    expect(await first.greet(helloOf("b"))).toMatchObject({ ok: true, kind: "accepted", hello: { name: "a" } });
    const bulk = new RawClient(a.transport.port);
    expect(await bulk.greet(helloOf("b"), "bulk")).toMatchObject({ kind: "accepted" });
    expect(await second.greet(helloOf("b", 2))).toMatchObject({ kind: "accepted" });
    await first.ended;
    expect([second.socket.destroyed, bulk.socket.destroyed]).toEqual([false, false]);
    // An older life does not replace a newer one.
    const stale = new RawClient(a.transport.port);
    expect(await stale.greet(helloOf("b"))).toMatchObject({
      kind: "refused",
      reason: "b has started anew since: boot 2 is connected, this is 1",
    });
    expect(second.socket.destroyed).toBe(false);
    for (const each of [second, bulk, stale]) each.destroy();
  });
});

describe("peers", () => {
  test("the same list again changes nothing", async () => {
    const [a, b] = [await endpoint("a"), await endpoint("b")];
    introduce(a, b);
    await Promise.all([a.connected("b"), b.connected("a")]);
    for (let count = 0; count < 10; count += 1) introduce(a, b);
    a.say("b", "x");
    await b.until("a message", () => b.received_.length === 1);
    expect(a.openings.length + b.openings.length).toBe(4);
    expect([...a.closings, ...b.closings]).toEqual([]);
  });

  test("a new address is dialled and the old connection closed; a peer that is none any more is left", async () => {
    const [old, moved] = [await rawServer(helloOf("b", 1)), await rawServer(helloOf("b", 2))];
    const a = await endpoint("a");
    a.transport.setPeers([{ name: "b", address: old.address }]);
    await a.connected("b");
    const oldEnd = once(await old.connection(0), "close");
    a.transport.setPeers([{ name: "b", address: moved.address }]);
    expect(a.closings.map((each) => each.link)).toEqual(["b main", "b bulk"]);
    expect(a.say("b", "too early")).toBe(false);
    await deadline("the end of the old connection", oldEnd);
    await a.connected("b");
    const movedEnd = once(await moved.connection(0), "close");
    a.transport.setPeers([]);
    await deadline("the end of the new connection", movedEnd);
    expect(a.open.size).toBe(0);
    expect(a.say("b", "gone")).toBe(false);
  });

  test("peers may be given before the start", async () => {
    const b = await endpoint("b");
    const a = new Endpoint(helloOf("a"));
    things.push(a);
    a.transport.setPeers([{ name: "b", address: b.address }]);
    await a.start();
    await a.connected("b");
  });

  test("an address that is none is a connection that can't be made", async () => {
    const a = await endpoint("a");
    a.transport.setPeers([{ name: "b", address: "nonsense" }]);
    await a.until("two tries", () => a.closings.length >= 4);
    expect(a.closings[0]).toEqual({ link: "b main", reason: 'its address "nonsense" is not host:port', refused: false });
  });
});

describe("refusals", () => {
  test("a node of another cluster is told so, and both sides say it once", async () => {
    const [a, b] = [await endpoint("a"), await endpoint("b", {}, helloOf("b", 1, new Uint8Array(16).fill(2)))];
    a.transport.setPeers([{ name: "b", address: b.address }]);
    await a.until("four refusals", () => a.closings.length >= 4);
    expect(a.closings[0]).toEqual({
      link: "b main",
      reason: "it refused this node and says: a belongs to another cluster",
      refused: false,
    });
    expect(a.openings).toEqual([]);
    expect(a.warnings).toEqual([
      `the connection to b at ${b.address} was given up: it refused this node and says: a belongs to another cluster`,
    ]);
    expect(b.warnings).toEqual(["a connection from 127.0.0.1 was refused: a is refused: a belongs to another cluster"]);
  });

  test("the caller may refuse as well", async () => {
    const b = await rawServer(helloOf("b", 1, new Uint8Array(16).fill(2)));
    const a = await endpoint("a");
    a.transport.setPeers([{ name: "b", address: b.address }]);
    await a.until("a refusal", () => a.closings.length > 0);
    expect(a.closings[0]?.reason).toBe("b belongs to another cluster");
    expect(a.openings).toEqual([]);
  });

  test("another node at a peer's address is not taken for it", async () => {
    const c = await endpoint("c");
    const a = await endpoint("a");
    a.transport.setPeers([{ name: "b", address: c.address }]);
    await a.until("the end", () => a.closings.length > 0);
    expect(a.warnings).toEqual([
      `the connection to b at ${c.address} was given up: it calls itself c: check the addresses of both`,
    ]);
    expect(a.openings).toEqual([]);
  });
});

describe("listening and closing", () => {
  test("an address in use is one clear sentence, and close still calls back", async () => {
    const a = await endpoint("a");
    const port = a.transport.port ?? 0;
    const late = await endpoint("late", { listen: { host: "127.0.0.1", port } });
    expect(late.isListening).toBe(false);
    expect(late.error?.message).toBe(
      `the address 127.0.0.1:${port} is in use: another process listens there; stop it, or give this node another address to listen on`,
    );
    await late.close();
    expect(a.isListening).toBe(true);
  });

  test("an address of another machine can't be had", async () => {
    const a = await endpoint("a", { listen: { host: "192.0.2.1", port: 2380 } });
    expect(a.error?.message).toContain("this machine has no such address");
  });

  test("after close the port is free, nobody is called, and nothing is left", async () => {
    /** A closed handle is taken off the list a turn after its end. */
    const resources = async (): Promise<string[]> => {
      for (let count = 0; count < 3; count += 1) await turn();
      return process.getActiveResourcesInfo().filter((each) => each.startsWith("TCP") || each === "GetAddrInfoReqWrap");
    };
    expect(await resources()).toEqual([]);
    const port = await freePort();
    for (let round = 1; round <= 3; round += 1) {
      const a = new Endpoint(helloOf("a", round), { listen: { host: "127.0.0.1", port } });
      const b = await new Endpoint(helloOf("b", round)).start();
      await a.start();
      expect(a.error).toBeNull();
      introduce(a, b);
      a.transport.setPeers([
        { name: "b", address: b.address },
        { name: "gone", address: `127.0.0.1:${await freePort()}` },
      ]);
      const stranger = await new RawClient(port).connected();
      await Promise.all([a.connected("b"), b.connected("a")]);
      a.transport.send("b", "main", new Uint8Array(5_000_000));
      a.transport.flush();
      const events = (): number => a.closings.length + a.warnings.length + a.openings.length;
      const closed = Promise.all([a.close(), a.close()]);
      const seen = events();
      await closed;
      expect(a.transport.port).toBeNull();
      await stranger.ended;
      await b.close();
      await a.close();
      expect(events()).toBe(seen);
    }
    expect(await resources()).toEqual([]);
  });

  test("close before start, and while a name is looked up", async () => {
    const never = createTcpTransport({ listen: { host: "127.0.0.1", port: 0 } });
    await new Promise<void>((resolve) => never.close(resolve));
    expect(() => never.start(new Endpoint(helloOf("x")))).toThrow("not after close");
    const hasty = new Endpoint(helloOf("a"), { listen: { host: "localhost", port: 0 } });
    hasty.transport.start(hasty);
    await hasty.close();
    expect(hasty.isListening).toBe(false);
    expect(hasty.transport.port).toBeNull();
  });

  test("close out of a callback ends the callbacks", async () => {
    const [a, b] = [await endpoint("a"), await endpoint("b")];
    introduce(a, b);
    await a.connected("b");
    let closed: Promise<void> | null = null;
    b.onReceived = () => {
      closed ??= b.close();
    };
    for (let count = 0; count < 5; count += 1) a.transport.send("b", "main", new Uint8Array(10));
    a.transport.flush();
    await b.until("a message", () => b.received_.length > 0);
    await (closed ?? b.close());
    expect(b.received_.length).toBe(1);
  });

  test("options are checked, by name", () => {
    const listen = { host: "127.0.0.1", port: 0 };
    expect(() => createTcpTransport({ listen, maxFrameBytes: 0 })).toThrow(
      "maxFrameBytes is 0: it must be a whole number from 1 to 1073741824 (default 83886080)",
    );
    expect(() => createTcpTransport({ listen, maxQueueBytes: { bulk: 0.5 } })).toThrow("maxQueueBytes.bulk is 0.5");
    expect(() => createTcpTransport({ listen, minRetryMs: 100, maxRetryMs: 50 })).toThrow("at most maxRetryMs (50)");
    expect(() => createTcpTransport({ listen: { host: "127.0.0.1", port: 65_536 } })).toThrow("listen.port is 65536");
  });
});
