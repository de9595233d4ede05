/**
 * A network in one thread, with the manners of the real transport (platform/tcp-transport.ts): each node dials every peer, once a
 * channel; shakes hands; sends only on what it dialled; a broken connection loses what is under way and is dialled again
 * after a pause. On a connection order is kept, as TCP keeps it; between connections there is none.
 */
import type { Micros } from "../core/types.js";
import type { Channel, Hello, PeerAddress, Transport, TransportHandler } from "../runtime/ports.js";
import type { SeededRandom } from "./random.js";
import type { Scheduler } from "./scheduler.js";
import type { VirtualClock } from "./virtual-clock.js";

export interface VirtualNetworkOptions {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  /** One way, in microseconds. Default 50 to 2,000. */
  readonly delay?: { readonly low: Micros; readonly high: Micros };
  /** What may wait for one peer on one channel before `send` refuses. Default 8 MiB. */
  readonly maxQueueBytes?: number;
}

/** One connection, seen from the node that dialled it. */
interface Connection {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly peer: string;
  readonly channel: Channel;
  open: boolean;
  queue: Uint8Array[];
  queuedBytes: number;
  /** Nothing arrives before this: order is kept. */
  lastArrival: Micros;
}

const CHANNELS: readonly Channel[] = ["main", "bulk"];
const REDIAL_MICROS = 50_000;

class Endpoint {
  readonly address: string;
  readonly clock: VirtualClock;
  handler: TransportHandler | null = null;
  /** Dialled connections and attempts, by peer and channel. */
  readonly dialled = new Map<string, Connection>();
  readonly accepted = new Set<Connection>();
  peers: readonly PeerAddress[] = [];
  alive = true;
  readActivity = false;

  constructor(address: string, clock: VirtualClock) {
    this.address = address;
    this.clock = clock;
  }
}

export class VirtualNetwork {
  readonly #options: VirtualNetworkOptions;
  /** Who listens, by address. */
  readonly #listening = new Map<string, Endpoint>();
  /** Ordered pairs of addresses between which nothing passes. */
  readonly #blocked = new Set<string>();
  /** Payloads that arrived. */
  delivered = 0;

  constructor(options: VirtualNetworkOptions) {
    this.#options = options;
  }

  /** A transport for one life of a node. */
  attach(address: string, clock: VirtualClock): Transport {
    const endpoint = new Endpoint(address, clock);
    return {
      start: (handler) => {
        endpoint.handler = handler;
        this.#later(endpoint, 1, () => {
          this.#listening.set(address, endpoint);
          handler.listening();
          this.#dialAll(endpoint);
        });
      },
      setPeers: (peers) => {
        endpoint.peers = peers;
        for (const connection of [...endpoint.dialled.values()]) {
          if (!peers.some((peer) => peer.name === connection.peer)) this.#break(connection, "the peer was removed");
        }
        if (this.#listening.get(address) === endpoint) this.#dialAll(endpoint);
      },
      send: (peer, channel, payload) => {
        const connection = endpoint.dialled.get(`${peer} ${channel}`);
        if (connection === undefined || !connection.open) return false;
        if (
          connection.queuedBytes > 0 &&
          connection.queuedBytes + payload.length > (this.#options.maxQueueBytes ?? 8 * 1024 * 1024)
        )
          return false;
        connection.queue.push(payload);
        connection.queuedBytes += payload.length;
        return true;
      },
      flush: () => {
        for (const connection of endpoint.dialled.values()) this.#flush(connection);
      },
      takeReadActivity: () => {
        const was = endpoint.readActivity;
        endpoint.readActivity = false;
        return was;
      },
      close: (done) => {
        this.#end(endpoint);
        this.#later(endpoint, 1, done);
      },
    };
  }

  /** The process at this address is gone; its peers notice after a while. */
  crash(address: string): void {
    const endpoint = this.#listening.get(address);
    if (endpoint !== undefined) this.#end(endpoint);
  }

  /** Nothing passes from one address to the other any more, until `heal`. Connections break when they are used. */
  block(from: string, to: string): void {
    this.#blocked.add(`${from} ${to}`);
  }

  heal(): void {
    this.#blocked.clear();
  }

  /** Breaks every connection between two addresses; what is under way is lost. */
  reset(one: string, other: string): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ]) {
      const endpoint = this.#listening.get(from ?? "");
      for (const connection of [...(endpoint?.dialled.values() ?? [])])
        if (connection.to.address === to) this.#break(connection, "the connection was reset");
    }
  }

  #delay(): Micros {
    const { low, high } = this.#options.delay ?? { low: 50, high: 2000 };
    return this.#options.random.between(low, high);
  }

  #later(endpoint: Endpoint, delay: Micros, body: () => void): void {
    this.#options.scheduler.schedule(delay, () => endpoint.clock.asNode(body));
  }

  #isBlocked(from: string, to: string): boolean {
    return this.#blocked.has(`${from} ${to}`);
  }

  // ---- Dialling ----

  #dialAll(endpoint: Endpoint): void {
    for (const peer of endpoint.peers) for (const channel of CHANNELS) this.#dial(endpoint, peer, channel);
  }

  #dial(from: Endpoint, peer: PeerAddress, channel: Channel): void {
    const key = `${peer.name} ${channel}`;
    if (!from.alive || from.dialled.has(key) || !from.peers.some((each) => each.name === peer.name)) return;
    const to = this.#listening.get(peer.address);
    const again = (reason: string, refused: boolean): void => {
      this.#later(from, this.#delay(), () => {
        if (!from.alive) return;
        from.handler?.closed(peer.name, channel, reason, refused);
        this.#later(from, REDIAL_MICROS + this.#delay(), () => this.#dial(from, peer, channel));
      });
    };
    if (to === undefined || !to.alive) return again("nobody listens there", true);
    if (this.#isBlocked(from.address, peer.address) || this.#isBlocked(peer.address, from.address))
      return again("no answer", false);
    const connection: Connection = { from, to, peer: peer.name, channel, open: false, queue: [], queuedBytes: 0, lastArrival: 0 };
    from.dialled.set(key, connection);
    const hello = from.handler?.hello();
    if (hello === undefined) return;
    // There, the answer, and back: both sides have looked at each other's hello.
    this.#later(to, this.#delay(), () => {
      const refusal = to.handler?.greet(hello, "accepted") ?? null;
      const answer = to.handler?.hello();
      if (refusal === null && to.alive) to.accepted.add(connection);
      this.#later(from, this.#delay(), () => this.#answered(connection, key, refusal, answer, again));
    });
    // A peer that dies meanwhile never answers.
    this.#later(from, 10 * REDIAL_MICROS, () => {
      if (!connection.open && from.dialled.get(key) === connection) {
        from.dialled.delete(key);
        again("no answer", false);
      }
    });
  }

  #answered(
    connection: Connection,
    key: string,
    refusal: string | null,
    hello: Hello | undefined,
    again: (reason: string, refused: boolean) => void,
  ): void {
    const { from, to, peer, channel } = connection;
    if (!from.alive || from.dialled.get(key) !== connection) return;
    const own = refusal === null && hello !== undefined ? (from.handler?.greet(hello, "dialled") ?? null) : null;
    if (!to.alive || refusal !== null || own !== null || hello === undefined) {
      from.dialled.delete(key);
      to.accepted.delete(connection);
      if (refusal !== null || own !== null) from.handler?.warning(`${peer}: ${refusal ?? own ?? ""}`);
      again(refusal ?? own ?? "the connection was closed", false);
      return;
    }
    connection.open = true;
    from.handler?.opened(peer, channel, hello);
  }

  // ---- Sending ----

  #flush(connection: Connection): void {
    if (!connection.open || connection.queue.length === 0) return;
    const { from, to } = connection;
    const payloads = connection.queue;
    const bytes = connection.queuedBytes;
    connection.queue = [];
    const { scheduler } = this.#options;
    const arrival = Math.max(connection.lastArrival, scheduler.now() + this.#delay());
    connection.lastArrival = arrival;
    const hello = from.handler?.hello();
    if (hello === undefined) return;
    this.#later(to, arrival - scheduler.now(), () => {
      connection.queuedBytes -= bytes;
      if (!connection.open || !to.alive || !to.accepted.has(connection)) return;
      if (this.#isBlocked(from.address, to.address)) {
        this.#break(connection, "the connection was lost");
        return;
      }
      for (const payload of payloads) {
        this.delivered += 1;
        to.readActivity = true;
        // A copy, as a socket makes one: nobody can change what was sent.
        to.handler?.received(hello, connection.channel, payload.slice());
      }
    });
  }

  // ---- Ending ----

  /** Both sides forget the connection; the one that dialled it hears of it, and dials again. */
  #break(connection: Connection, reason: string): void {
    const { from, to, peer, channel } = connection;
    const key = `${peer} ${channel}`;
    const wasOpen = connection.open;
    connection.open = false;
    to.accepted.delete(connection);
    if (from.dialled.get(key) !== connection) return;
    from.dialled.delete(key);
    if (!from.alive) return;
    this.#later(from, this.#delay(), () => {
      if (!from.alive) return;
      if (wasOpen) from.handler?.closed(peer, channel, reason, false);
      const address = from.peers.find((each) => each.name === peer);
      if (address !== undefined) this.#later(from, REDIAL_MICROS + this.#delay(), () => this.#dial(from, address, channel));
    });
  }

  #end(endpoint: Endpoint): void {
    if (!endpoint.alive) return;
    endpoint.alive = false;
    if (this.#listening.get(endpoint.address) === endpoint) this.#listening.delete(endpoint.address);
    for (const connection of endpoint.dialled.values()) {
      connection.open = false;
      connection.to.accepted.delete(connection);
    }
    endpoint.dialled.clear();
    for (const connection of [...endpoint.accepted]) this.#break(connection, "the connection was closed by the peer");
  }
}
