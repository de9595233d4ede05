/**
 * The accepting side: connections that others dialled. They shake hands, and then only bring messages; nothing but the
 * answer to the handshake is ever written to them. Whoever connects is a stranger until then, and costs little.
 */
import { createServer, type Server, type Socket } from "node:net";
import type { Channel, PeerHello } from "../runtime/ports.js";
import { FrameDecoder } from "../runtime/wire/frame.js";
import {
  decodeOpening,
  encodeAccepted,
  encodeRefused,
  type HandshakeProgress,
  HandshakeReader,
  PROTOCOL_VERSIONS,
} from "../runtime/wire/handshake.js";
import { formatAddress, type HostAndPort, listenErrorText } from "./tcp-address.js";
import { KEEP_ALIVE_DELAY_MS, type TcpContext } from "./tcp-options.js";

/** How long a refused caller may take to fetch the reason. */
const REFUSAL_LINGER_MS = 1000;

/** Listens for a moment, to know whether it could. */
export function checkListening(listen: HostAndPort, done: (error: Error | null) => void): void {
  const server = createServer((socket) => socket.destroy());
  server.once("error", (error) => done(new Error(listenErrorText(error, listen), { cause: error })));
  server.listen({ host: listen.host, port: listen.port, exclusive: true }, () => server.close(() => done(null)));
}

export interface ListenerEvents {
  /** A welcome peer has connected; called before anything it sends is delivered. */
  accepted(hello: PeerHello): void;
  /** A payload is about to be delivered. */
  heard(name: string): void;
  /** Whether this name is one of the peers that are dialled. */
  isPeer(name: string): boolean;
}

interface Greeted {
  readonly channel: Channel;
  readonly hello: PeerHello;
  readonly decoder: FrameDecoder;
}

interface Connection {
  readonly socket: Socket;
  /** Without the port, which says nothing. */
  readonly remote: string;
  readonly reader: HandshakeReader;
  timer: NodeJS.Timeout | null;
  state: "handshake" | "refused" | "greeted" | "closed";
  greeted: Greeted | null;
}

export class TcpListener {
  readonly #context: TcpContext;
  readonly #events: ListenerEvents;
  readonly #listen: HostAndPort;
  readonly #server: Server;
  #state: "idle" | "starting" | "listening" | "failed" = "idle";
  #closing: (() => void) | null = null;
  /** Strangers, the oldest first; the refused ones too until they are gone. */
  readonly #pending = new Set<Connection>();
  /** By channel and name: one each. */
  readonly #greeted = new Map<string, Connection>();

  constructor(context: TcpContext, listen: HostAndPort, events: ListenerEvents) {
    this.#context = context;
    this.#events = events;
    this.#listen = listen;
    this.#server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS }, (socket) =>
      this.#connected(socket),
    );
  }

  get port(): number | null {
    const address = this.#server.address();
    return typeof address === "object" ? (address?.port ?? null) : null;
  }

  start(listening: () => void): void {
    this.#state = "starting";
    this.#server.on("error", (error) => {
      if (this.#state === "starting") {
        this.#state = "failed";
        if (this.#closing !== null) return this.#closing();
        this.#context.handler.failed(new Error(listenErrorText(error, this.#listen), { cause: error }));
      } else if (this.#closing === null) {
        // One connection could not be accepted (too many open files …); those that are there go on.
        this.#context.warn("accept", `a connection to ${formatAddress(this.#listen)} could not be accepted: ${error.message}`);
      }
    });
    this.#server.once("listening", () => {
      this.#state = "listening";
      if (this.#closing !== null) this.#server.close(this.#closing);
      else listening();
    });
    this.#server.listen({ host: this.#listen.host, port: this.#listen.port, exclusive: true });
  }

  /** Ends all connections; calls back when the address is free. */
  close(done: () => void): void {
    this.#closing = done;
    for (const connection of [...this.#pending, ...this.#greeted.values()]) this.#drop(connection);
    if (this.#state === "listening") this.#server.close(() => done());
    // While it starts, its first event goes on from here: a name that is being looked up can't be called back.
    else if (this.#state !== "starting") done();
  }

  // ---- One connection ----

  #connected(socket: Socket): void {
    this.#context.track(socket);
    if (this.#closing !== null) return void socket.destroy();
    const [oldest] = this.#pending;
    if (this.#pending.size >= this.#context.settings.maxUnauthenticated && oldest !== undefined) this.#drop(oldest);
    const connection: Connection = {
      socket,
      remote: remoteHost(socket),
      reader: new HandshakeReader(),
      timer: null,
      state: "handshake",
      greeted: null,
    };
    this.#pending.add(connection);
    const { handshakeTimeoutMs } = this.#context.settings;
    connection.timer = setTimeout(
      () => this.#turnAway(connection, `it did not shake hands within ${handshakeTimeoutMs} ms`),
      handshakeTimeoutMs,
    );
    socket.on("data", (chunk) => this.#arrived(connection, chunk));
    // What matters is the end that follows.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      if (connection.state === "handshake" && connection.reader.length > 0)
        this.#turnAway(connection, "it left in the middle of the handshake");
      this.#drop(connection);
    });
  }

  #arrived(connection: Connection, chunk: Uint8Array): void {
    if (connection.state === "closed") return;
    this.#context.noteRead();
    if (connection.state === "handshake") this.#shakeHands(connection, connection.reader.push(chunk));
    else if (connection.state === "greeted" && connection.greeted !== null) this.#deliver(connection, connection.greeted, chunk);
  }

  #shakeHands(connection: Connection, progress: HandshakeProgress): void {
    if (progress.state === "more") return;
    if (progress.state === "rubbish") return this.#turnAway(connection, progress.reason);
    const opening = decodeOpening(progress.envelope);
    if (!opening.ok)
      return opening.answer === null
        ? this.#turnAway(connection, opening.reason)
        : this.#refuse(connection, opening.reason, opening.answer);
    if (progress.rest.length > 0) return this.#turnAway(connection, "it went on before its handshake was answered");
    const { hello, channel } = opening;
    const reason = this.#context.handler.greet(hello, "accepted") ?? this.#reasonAgainst(hello, channel);
    if (connection.state === "closed") return;
    if (reason !== null) return this.#refuse(connection, `${hello.name} is refused: ${reason}`, reason);
    let answer: Uint8Array;
    try {
      answer = encodeAccepted(opening.version, this.#context.handler.hello());
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#context.warn("own hello", `this node can't introduce itself to its peers: ${error.message}`);
      return this.#refuse(connection, error.message, UNINTRODUCED);
    }
    this.#welcome(connection, { channel, hello, decoder: new FrameDecoder(this.#context.settings.maxFrameBytes) });
    connection.socket.write(answer);
    this.#events.accepted(hello);
  }

  /** What speaks against a peer that the node itself would welcome. */
  #reasonAgainst(hello: PeerHello, channel: Channel): string | null {
    const before = this.#greeted.get(key(channel, hello.name));
    const earlier = before?.greeted?.hello;
    if (earlier !== undefined) {
      const isStale = earlier.incarnation === hello.incarnation && earlier.boot > hello.boot;
      return isStale ? `${hello.name} has started anew since: boot ${earlier.boot} is connected, this is ${hello.boot}` : null;
    }
    const { maxAccepted } = this.#context.settings;
    if (this.#greeted.size < maxAccepted) return null;
    // Those that this node dials itself come first.
    const other = this.#events.isPeer(hello.name)
      ? [...this.#greeted.values()].find((each) => each.greeted !== null && !this.#events.isPeer(each.greeted.hello.name))
      : undefined;
    if (other === undefined) return `this node has ${maxAccepted} connections from peers, and accepts no more`;
    this.#drop(other);
    return null;
  }

  #welcome(connection: Connection, greeted: Greeted): void {
    const place = key(greeted.channel, greeted.hello.name);
    const before = this.#greeted.get(place);
    if (before !== undefined) this.#drop(before);
    this.#clearTimer(connection);
    this.#pending.delete(connection);
    connection.state = "greeted";
    connection.greeted = greeted;
    this.#greeted.set(place, connection);
  }

  #deliver(connection: Connection, { channel, hello, decoder }: Greeted, chunk: Uint8Array): void {
    const payloads = decoder.push(chunk);
    for (const payload of payloads) {
      if (isClosed(connection)) return;
      this.#events.heard(hello.name);
      this.#context.handler.received(hello, channel, payload);
    }
    if (decoder.failure === null || isClosed(connection)) return;
    this.#context.warn(
      `stream ${connection.remote}`,
      `the connection from ${hello.name} at ${connection.remote} was closed: ${decoder.failure}`,
    );
    this.#drop(connection);
  }

  // ---- Ending ----

  /** Rubbish: no answer, one warning an address and minute. */
  #turnAway(connection: Connection, reason: string): void {
    if (connection.state === "handshake")
      this.#context.warn(`stranger ${connection.remote}`, `a connection from ${connection.remote} was closed: ${reason}`);
    this.#drop(connection);
  }

  /** A node like us that is not welcome: it is told why. */
  #refuse(connection: Connection, reason: string, answer: string): void {
    this.#context.warn(`refused ${connection.remote} ${reason}`, `a connection from ${connection.remote} was refused: ${reason}`);
    this.#clearTimer(connection);
    connection.state = "refused";
    connection.timer = setTimeout(() => this.#drop(connection), REFUSAL_LINGER_MS);
    connection.socket.end(encodeRefused(answer, PROTOCOL_VERSIONS));
  }

  #drop(connection: Connection): void {
    this.#clearTimer(connection);
    this.#pending.delete(connection);
    const { greeted } = connection;
    const place = greeted === null ? null : key(greeted.channel, greeted.hello.name);
    if (place !== null && this.#greeted.get(place) === connection) this.#greeted.delete(place);
    connection.state = "closed";
    connection.socket.destroy();
  }

  #clearTimer(connection: Connection): void {
    if (connection.timer !== null) clearTimeout(connection.timer);
    connection.timer = null;
  }
}

const UNINTRODUCED = "this node can't introduce itself: see its own warnings";

/** Callbacks may have closed it meanwhile. */
function isClosed(connection: Connection): boolean {
  return connection.state === "closed";
}

function key(channel: Channel, name: string): string {
  return `${channel} ${name}`;
}

/** An IPv4 address that came through an IPv6 socket is shown as itself. */
function remoteHost(socket: Socket): string {
  return (socket.remoteAddress ?? "an unknown address").replace(/^::ffff:/, "");
}
