/**
 * The network of a real node: the Transport port over TCP.
 *
 * Every node dials every peer twice, once a channel, and sends only on what it dialled (tcp-link.ts); what it accepted only
 * brings messages (tcp-listener.ts). Frames and handshake are in runtime/wire, their description in docs/wire-format.md.
 *
 * A sender never learns from a connection that its peer is alive, as nothing comes back on it. So each peer is watched over
 * both directions: see `silenceTimeoutMs`, and `accepted` for a peer that comes back in a new life.
 */
import type { Socket } from "node:net";
import type { Channel, PeerAddress, PeerHello, Transport, TransportHandler } from "../runtime/ports.js";
import { TcpLink } from "./tcp-link.js";
import { checkListening, TcpListener } from "./tcp-listener.js";
import { checkTcpOptions, monotonicMs, type TcpContext, type TcpSettings, type TcpTransportOptions } from "./tcp-options.js";
import { WarningLimiter } from "./tcp-warnings.js";

export type { TcpTransportOptions } from "./tcp-options.js";

export interface TcpTransport extends Transport {
  /** The port that is listened on; null before `listening` and after `close`. */
  readonly port: number | null;
}

/** Throws a RangeError for an option out of its range; does nothing else before `start`. */
export function createTcpTransport(options: TcpTransportOptions): TcpTransport {
  return new Tcp(options);
}

/** So many flushes must have gone unanswered before silence means anything. */
const SILENT_FLUSHES = 8;

interface Peer {
  readonly address: PeerAddress;
  readonly main: TcpLink;
  readonly bulk: TcpLink;
  /** Flushes since the peer was last heard, and the time of the first of them. */
  unansweredFlushes: number;
  unansweredSince: number;
}

class Tcp implements TcpTransport {
  readonly #settings: TcpSettings;
  readonly #listen: TcpTransportOptions["listen"];
  readonly #limiter = new WarningLimiter(monotonicMs);
  readonly #sockets = new Set<Socket>();
  /** What is to be dialled, and once there is a listener, what is. */
  #wanted: readonly PeerAddress[] = [];
  readonly #peers = new Map<string, Peer>();
  #context: TcpContext | null = null;
  #listener: TcpListener | null = null;
  #isListening = false;
  #readActivity = false;
  #closing: (() => void)[] | null = null;
  #isClosed = false;

  constructor(options: TcpTransportOptions) {
    this.#settings = checkTcpOptions(options);
    this.#listen = options.listen;
  }

  get port(): number | null {
    return this.#listener?.port ?? null;
  }

  check(callback: (error: Error | null) => void): void {
    checkListening(this.#listen, callback);
  }

  start(handler: TransportHandler): void {
    if (this.#context !== null || this.#closing !== null) throw new Error("a transport is started once, and not after close");
    const context: TcpContext = {
      settings: this.#settings,
      handler,
      noteRead: () => {
        this.#readActivity = true;
      },
      warn: (key, message) => {
        if (this.#closing === null && this.#limiter.allow(key)) handler.warning(message);
      },
      track: (socket) => this.#track(socket),
    };
    this.#context = context;
    this.#listener = new TcpListener(context, this.#listen, {
      accepted: (hello) => this.#accepted(hello),
      heard: (name) => this.#heard(name),
      isPeer: (name) => this.#peers.has(name),
    });
    this.#listener.start(() => {
      this.#isListening = true;
      handler.listening();
      // Only now: a node that can't be reached itself has nothing to say.
      this.#dialWanted();
    });
  }

  // ---- Peers ----

  setPeers(peers: readonly PeerAddress[]): void {
    this.#wanted = peers.map(({ name, address }) => ({ name, address }));
    this.#dialWanted();
  }

  #dialWanted(): void {
    const context = this.#context;
    if (!this.#isListening || this.#closing !== null || context === null) return;
    const wanted = new Map(this.#wanted.map((peer) => [peer.name, peer]));
    for (const [name, peer] of [...this.#peers]) {
      if (wanted.get(name)?.address === peer.address.address) continue;
      this.#peers.delete(name);
      peer.main.stop(true);
      peer.bulk.stop(true);
    }
    for (const address of wanted.values()) {
      if (this.#peers.has(address.name)) continue;
      const peer: Peer = {
        address,
        main: new TcpLink(context, address, "main"),
        bulk: new TcpLink(context, address, "bulk"),
        unansweredFlushes: 0,
        unansweredSince: 0,
      };
      this.#peers.set(address.name, peer);
      peer.main.dial();
      peer.bulk.dial();
    }
  }

  /** A peer has dialled us: it listens, and it may be in a new life that our connections do not lead to. */
  #accepted(hello: PeerHello): void {
    const peer = this.#peers.get(hello.name);
    if (peer === undefined) return;
    for (const link of [peer.main, peer.bulk]) {
      const known = link.hello;
      const isNewLife = known !== null && (known.incarnation !== hello.incarnation || known.boot < hello.boot);
      if (isNewLife) link.reset(`${hello.name} has started anew`);
      else link.dialNow();
    }
  }

  // ---- Sending ----

  send(peer: string, channel: Channel, payload: Uint8Array): boolean {
    return this.#peers.get(peer)?.[channel].send(payload) ?? false;
  }

  flush(): void {
    for (const peer of this.#peers.values()) {
      if (!peer.main.hasQueued && !peer.bulk.hasQueued) continue;
      peer.main.flush();
      peer.bulk.flush();
      this.#watch(peer);
    }
  }

  takeReadActivity(): boolean {
    const activity = this.#readActivity;
    this.#readActivity = false;
    return activity;
  }

  // ---- Silence ----

  #heard(name: string): void {
    const peer = this.#peers.get(name);
    if (peer !== undefined) peer.unansweredFlushes = 0;
  }

  /** Something was sent to the peer. Told by messages and not by a timer: between peers with nothing to say silence is right. */
  #watch(peer: Peer): void {
    const now = monotonicMs();
    if (peer.unansweredFlushes === 0) peer.unansweredSince = now;
    peer.unansweredFlushes += 1;
    const silence = now - peer.unansweredSince;
    if (peer.unansweredFlushes <= SILENT_FLUSHES || silence < this.#settings.silenceTimeoutMs) return;
    const reason = `${peer.address.name} has said nothing for ${Math.round(silence)} ms while it was sent messages`;
    peer.unansweredFlushes = 0;
    peer.main.reset(reason);
    peer.bulk.reset(reason);
  }

  // ---- Closing ----

  close(callback: () => void): void {
    if (this.#isClosed) return callback();
    if (this.#closing !== null) {
      this.#closing.push(callback);
      return;
    }
    this.#closing = [callback];
    for (const peer of this.#peers.values()) {
      peer.main.stop(false);
      peer.bulk.stop(false);
    }
    this.#peers.clear();
    if (this.#listener === null) return this.#listenerClosed();
    this.#listener.close(() => this.#listenerClosed());
  }

  #listenerClosed(): void {
    this.#listener = null;
    this.#finishClosing();
  }

  #track(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#finishClosing();
    });
  }

  #finishClosing(): void {
    if (this.#closing === null || this.#isClosed || this.#listener !== null || this.#sockets.size > 0) return;
    this.#isClosed = true;
    for (const callback of this.#closing) callback();
  }
}
