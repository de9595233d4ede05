/** What the tests of the TCP transport are made of: endpoints that note what happens, and strangers that write bytes by hand. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createTcpTransport, type TcpTransport, type TcpTransportOptions } from "../../src/platform/tcp-transport.js";
import type { Channel, Hello, TransportHandler } from "../../src/runtime/ports.js";
import {
  type Answer,
  decodeAnswer,
  decodeOpening,
  encodeAccepted,
  encodeOpening,
  HandshakeReader,
} from "../../src/runtime/wire/handshake.js";

const DEADLINE_MS = 20_000;

export const CLUSTER = new Uint8Array(16).fill(1);

export function helloOf(name: string, boot = 1, clusterId = CLUSTER): Hello {
  return { clusterId, name, address: `${name}:1`, incarnation: BigInt(name.charCodeAt(0)), boot, founders: [] };
}

export interface Received {
  readonly from: string;
  readonly channel: Channel;
  readonly payload: Uint8Array;
}

/** A transport with a handler that remembers. `until` waits for something to become true after an event. */
export class Endpoint implements TransportHandler {
  readonly transport: TcpTransport;
  readonly self: Hello;
  readonly received_: Received[] = [];
  readonly warnings: string[] = [];
  readonly openings: string[] = [];
  readonly closings: { readonly link: string; readonly reason: string; readonly refused: boolean }[] = [];
  readonly open = new Set<string>();
  isListening = false;
  error: Error | null = null;
  /** Called for each payload before it is noted. */
  onReceived: ((from: string, payload: Uint8Array) => void) | null = null;
  readonly #checks = new Set<() => void>();

  constructor(self: Hello, options: Partial<TcpTransportOptions> = {}) {
    this.self = self;
    this.transport = createTcpTransport({ listen: { host: "127.0.0.1", port: 0 }, minRetryMs: 5, maxRetryMs: 50, ...options });
  }

  get address(): string {
    return `127.0.0.1:${this.transport.port}`;
  }

  async start(): Promise<this> {
    this.transport.start(this);
    await this.until("listening", () => this.isListening || this.error !== null);
    return this;
  }

  /** Sends and flushes; true when it was taken. */
  say(peer: string, text: string, channel: Channel = "main"): boolean {
    const taken = this.transport.send(peer, channel, textBytes(text));
    this.transport.flush();
    return taken;
  }

  get texts(): string[] {
    return this.received_.map(({ from, payload }) => `${from}: ${String.fromCharCode(...payload)}`);
  }

  until(what: string, condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#checks.delete(check);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#checks.delete(check);
        reject(
          new Error(
            `${this.self.name} waited in vain for: ${what}. Open: ${[...this.open]}; closed: ${JSON.stringify(this.closings.slice(-3))}; warnings: ${this.warnings.slice(-3)}`,
          ),
        );
      }, DEADLINE_MS);
      this.#checks.add(check);
      check();
    });
  }

  connected(...peers: string[]): Promise<void> {
    return this.until(`connections to ${peers}`, () =>
      peers.every((peer) => this.open.has(`${peer} main`) && this.open.has(`${peer} bulk`)),
    );
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.transport.close(resolve));
  }

  #happened(): void {
    for (const check of [...this.#checks]) check();
  }

  // ---- TransportHandler ----

  listening(): void {
    this.isListening = true;
    this.#happened();
  }
  hello(): Hello {
    return this.self;
  }
  greet(hello: Hello): string | null {
    return hello.clusterId[0] === this.self.clusterId[0] ? null : `${hello.name} belongs to another cluster`;
  }
  opened(peer: string, channel: Channel): void {
    this.openings.push(`${peer} ${channel}`);
    this.open.add(`${peer} ${channel}`);
    this.#happened();
  }
  closed(peer: string, channel: Channel, reason: string, refused: boolean): void {
    this.open.delete(`${peer} ${channel}`);
    this.closings.push({ link: `${peer} ${channel}`, reason, refused });
    this.#happened();
  }
  received(hello: Hello, channel: Channel, payload: Uint8Array): void {
    this.onReceived?.(hello.name, payload);
    this.received_.push({ from: hello.name, channel, payload });
    this.#happened();
  }
  warning(message: string): void {
    this.warnings.push(message);
    this.#happened();
  }
  failed(error: Error): void {
    this.error = error;
    this.#happened();
  }
}

export function textBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

/** Everyone knows everyone. */
export function introduce(...endpoints: readonly Endpoint[]): void {
  for (const endpoint of endpoints) {
    endpoint.transport.setPeers(
      endpoints.filter((other) => other !== endpoint).map((other) => ({ name: other.self.name, address: other.address })),
    );
  }
}

/** A connection whose bytes are written by hand. */
export class RawClient {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  readonly ended: Promise<unknown>;

  constructor(port: number | null) {
    this.socket = connect({ host: "127.0.0.1", port: port ?? 0, noDelay: true });
    this.socket.on("error", () => undefined);
    this.socket.on("data", (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
    });
    this.ended = deadline("the end of a connection", once(this.socket, "close"));
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  async connected(): Promise<this> {
    if (this.socket.connecting) await deadline("a connection", once(this.socket, "connect"));
    return this;
  }

  /** Says hello and waits for the answer. */
  async greet(hello: Hello, channel: Channel = "main"): Promise<Answer> {
    this.socket.write(encodeOpening(channel, hello));
    return await this.answer();
  }

  async answer(): Promise<Answer> {
    for (;;) {
      const progress = new HandshakeReader().push(this.#bytes);
      if (progress.state === "whole") return decodeAnswer(progress.envelope);
      await deadline(
        "an answer",
        Promise.race([
          once(this.socket, "data"),
          once(this.socket, "close").then(() => Promise.reject(new Error("closed without an answer"))),
        ]),
      );
    }
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** A peer that shakes hands properly, and leaves the rest to the test. */
export class RawServer {
  readonly server: Server;
  /** Greeted connections on main, the oldest first. */
  readonly sockets: Socket[] = [];
  readonly #all = new Set<Socket>();
  #waiting: (() => void)[] = [];

  /** `onData` sees what comes after the handshake on main. An `answer` replaces the proper one. */
  constructor(self: Hello, onData: (chunk: Buffer, socket: Socket) => void = () => undefined, answer?: Uint8Array) {
    this.server = createServer((socket) => {
      this.#all.add(socket);
      const reader = new HandshakeReader();
      let greeted: Channel | null = null;
      socket.on("error", () => undefined);
      socket.on("data", (chunk) => {
        if (greeted !== null) {
          if (greeted === "main") onData(chunk, socket);
          return;
        }
        const progress = reader.push(chunk);
        if (progress.state !== "whole") return;
        const opening = decodeOpening(progress.envelope);
        if (!opening.ok) throw new Error(opening.reason);
        greeted = opening.channel;
        socket.write(answer ?? encodeAccepted(1, self));
        if (greeted !== "main") return;
        this.sockets.push(socket);
        for (const resolve of this.#waiting.splice(0)) resolve();
      });
    });
  }

  async listen(): Promise<this> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return this;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The main connection number `place`, as soon as it is there. */
  async connection(place: number): Promise<Socket> {
    for (;;) {
      const socket = this.sockets[place];
      if (socket !== undefined) return socket;
      await deadline(`connection ${place}`, new Promise<void>((resolve) => this.#waiting.push(resolve)));
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#all) socket.destroy();
    const closed = once(this.server, "close");
    this.server.close();
    await closed;
  }
}

export function deadline<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), DEADLINE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A turn of the event loop in which what is ready on sockets is read. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
