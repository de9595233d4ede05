/**
 * A network in one thread, with the manners of the real transport (platform/tcp-transport.ts): each node dials every peer, once a
 * channel; shakes hands; sends only on what it dialled; a broken connection loses what is under way and is dialled again
 * after a pause. On a connection order is kept, as TCP keeps it; between connections there is none.
 *
 * Weather makes it worse than TCP: single messages of the protocol are lost, doubled or late. Where a link is cut, what was
 * sent stalls; it arrives when the link is whole again, perhaps much later, or is lost with the connection.
 */
import type { Micros } from "../core/types.js";
import type { Channel, PeerAddress, PeerHello, Transport, TransportHandler } from "../runtime/ports.js";
import { PROTOCOL_VERSIONS } from "../runtime/wire/handshake.js";
import type { SeededRandom } from "./random.js";
import type { Scheduler } from "./scheduler.js";
import type { VirtualClock } from "./virtual-clock.js";

export interface NetworkWeather {
  /** One way, in microseconds; now and then ten times as long. */
  readonly delayLow: Micros;
  readonly delayHigh: Micros;
  /** Of a thousand messages of the protocol so many are lost, arrive twice, or come late, after others. */
  readonly lossPerMille: number;
  readonly duplicatePerMille: number;
  readonly reorderPerMille: number;
  /** What may wait for one peer on one channel before `send` refuses. */
  readonly maxQueueBytes: number;
}

export const FAIR_WEATHER: NetworkWeather = {
  delayLow: 50,
  delayHigh: 2000,
  lossPerMille: 0,
  duplicatePerMille: 0,
  reorderPerMille: 0,
  maxQueueBytes: 8 * 1024 * 1024,
};

export interface VirtualNetworkOptions {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly weather?: NetworkWeather;
}

/** What befell a message or a connection on its way. */
export type NetworkIncident = "lost" | "duplicated" | "reordered" | "stalled" | "arrivedLate" | "queueFull" | "reset";

/** A transport that remembers with each payload what it means to the watcher of the network; null: not to be lost alone. */
export interface WatchedTransport<Note> extends Transport {
  sendNoted(peer: string, channel: Channel, payload: Uint8Array, note: Note | null): boolean;
}

interface Parcel<Note> {
  readonly payload: Uint8Array;
  readonly note: Note | null;
}

/** One connection, seen from the node that dialled it. */
interface Connection<Note> {
  readonly from: Endpoint<Note>;
  readonly to: Endpoint<Note>;
  readonly peer: string;
  readonly channel: Channel;
  /** What the one who dialled said of itself. */
  readonly hello: PeerHello;
  open: boolean;
  queue: Parcel<Note>[];
  /** Waiting, or on the way. */
  queuedBytes: number;
  /** Nothing arrives before this: order is kept. */
  lastArrival: Micros;
  /** What a cut holds up, in order. */
  stalled: Parcel<Note>[];
}

const CHANNELS: readonly Channel[] = ["main", "bulk"];
const REDIAL_MICROS = 50_000;

class Endpoint<Note> {
  readonly address: string;
  readonly clock: VirtualClock;
  handler: TransportHandler | null = null;
  /** Dialled connections and attempts, by peer and channel. */
  readonly dialled = new Map<string, Connection<Note>>();
  readonly accepted = new Set<Connection<Note>>();
  /** To be dialled again after a pause, by peer and channel; nothing else dials them meanwhile. */
  readonly pausing = new Set<string>();
  peers: readonly PeerAddress[] = [];
  alive = true;
  readActivity = false;

  constructor(address: string, clock: VirtualClock) {
    this.address = address;
    this.clock = clock;
  }
}

export class VirtualNetwork<Note = never> {
  readonly #options: VirtualNetworkOptions;
  #weather: NetworkWeather;
  /** Who listens, by address. */
  readonly #listening = new Map<string, Endpoint<Note>>();
  /** Ordered pairs of addresses between which nothing passes, with how many cuts there are. */
  readonly #cuts = new Map<string, number>();
  /** … and between which connections are refused, likewise. */
  readonly #refusals = new Map<string, number>();
  /** Payloads that arrived. */
  delivered = 0;
  /** Told of each noted payload as it reaches a node, before the node looks at it. */
  onDelivered: ((from: string, to: string, note: Note) => void) | null = null;
  onIncident: ((what: NetworkIncident, from: string, to: string) => void) | null = null;

  constructor(options: VirtualNetworkOptions) {
    this.#options = options;
    this.#weather = options.weather ?? FAIR_WEATHER;
  }

  setWeather(weather: NetworkWeather): void {
    this.#weather = weather;
  }

  /** A transport for one life of a node. */
  attach(address: string, clock: VirtualClock): WatchedTransport<Note> {
    const endpoint = new Endpoint<Note>(address, clock);
    const sendNoted = (peer: string, channel: Channel, payload: Uint8Array, note: Note | null): boolean => {
      const connection = endpoint.dialled.get(keyOf(peer, channel));
      if (connection === undefined || !connection.open) return false;
      if (connection.queuedBytes > 0 && connection.queuedBytes + payload.length > this.#weather.maxQueueBytes) {
        this.onIncident?.("queueFull", address, connection.to.address);
        return false;
      }
      connection.queue.push({ payload, note });
      connection.queuedBytes += payload.length;
      return true;
    };
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
      send: (peer, channel, payload) => sendNoted(peer, channel, payload, null),
      sendNoted,
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

  /** Nothing passes from one address to the other any more. Returns how to mend it; several cuts need each their own. */
  cut(from: string, to: string): () => void {
    return hold(this.#cuts, `${from} ${to}`, () => this.#releaseStalled(from, to));
  }

  /**
   * What one address dials at the other is refused, as by a firewall, and what is open is broken; the process there lives, and what
   * it dials itself is none the worse. Returns how to mend it.
   */
  refuse(from: string, to: string): () => void {
    const mend = hold(this.#refusals, `${from} ${to}`, () => undefined);
    for (const connection of [...(this.#listening.get(from)?.dialled.values() ?? [])])
      if (connection.to.address === to) this.#break(connection, "the connection was reset");
    return mend;
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(`${from} ${to}`);
  }

  /** Breaks every connection between two addresses; what is under way is lost. */
  reset(one: string, other: string): void {
    for (const [from, to] of [
      [one, other],
      [other, one],
    ] as const) {
      const endpoint = this.#listening.get(from);
      for (const connection of [...(endpoint?.dialled.values() ?? [])]) {
        if (connection.to.address !== to) continue;
        this.onIncident?.("reset", from, to);
        this.#break(connection, "the connection was reset");
      }
    }
  }

  #delay(): Micros {
    const { random } = this.#options;
    const { delayLow, delayHigh } = this.#weather;
    const usual = random.between(delayLow, delayHigh);
    return random.chance(10) ? usual * 10 : usual;
  }

  #later(endpoint: Endpoint<Note>, delay: Micros, body: () => void): void {
    this.#options.scheduler.schedule(delay, () => endpoint.clock.asNode(body));
  }

  // ---- Dialling ----

  #dialAll(endpoint: Endpoint<Note>): void {
    for (const peer of endpoint.peers) for (const channel of CHANNELS) this.#dial(endpoint, peer, channel);
  }

  #dial(from: Endpoint<Note>, peer: PeerAddress, channel: Channel): void {
    const key = keyOf(peer.name, channel);
    if (!from.alive || from.dialled.has(key) || from.pausing.has(key)) return;
    const to = this.#listening.get(peer.address);
    const again = (reason: string, refused: boolean): void =>
      this.#redial(from, peer.name, channel, () => from.handler?.closed(peer.name, channel, reason, refused));
    if (to === undefined || !to.alive || this.#refusals.has(`${from.address} ${peer.address}`))
      return again("nobody listens there", true);
    if (this.isCut(from.address, peer.address) || this.isCut(peer.address, from.address)) return again("no answer", false);
    const own = from.handler?.hello();
    if (own === undefined) return;
    const hello: PeerHello = { ...own, version: PROTOCOL_VERSIONS.max };
    const connection: Connection<Note> = {
      from,
      to,
      peer: peer.name,
      channel,
      hello,
      open: false,
      queue: [],
      queuedBytes: 0,
      lastArrival: 0,
      stalled: [],
    };
    from.dialled.set(key, connection);
    // There, the answer, and back: both sides have looked at each other's hello.
    this.#later(to, this.#delay(), () => {
      const refusal = to.handler?.greet(hello, "accepted") ?? null;
      const said = to.handler?.hello();
      const answer = said === undefined ? undefined : { ...said, version: PROTOCOL_VERSIONS.max };
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

  /** Says after a while that it is closed, and dials again after a pause, if it is still a peer then. */
  #redial(from: Endpoint<Note>, peer: string, channel: Channel, closed: () => void): void {
    const key = keyOf(peer, channel);
    from.pausing.add(key);
    this.#later(from, this.#delay(), () => {
      if (from.alive) closed();
      this.#later(from, REDIAL_MICROS + this.#delay(), () => {
        from.pausing.delete(key);
        const address = from.peers.find((each) => each.name === peer);
        if (address !== undefined) this.#dial(from, address, channel);
      });
    });
  }

  #answered(
    connection: Connection<Note>,
    key: string,
    refusal: string | null,
    hello: PeerHello | undefined,
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

  #flush(connection: Connection<Note>): void {
    if (!connection.open || connection.queue.length === 0) return;
    const { scheduler } = this.#options;
    const parcels = connection.queue;
    let bytes = 0;
    for (const { payload } of parcels) bytes += payload.length;
    connection.queue = [];
    const arrival = Math.max(connection.lastArrival, scheduler.now() + this.#delay());
    connection.lastArrival = arrival;
    this.#later(connection.to, arrival - scheduler.now(), () => {
      connection.queuedBytes -= bytes;
      if (this.#isGone(connection)) return;
      if (connection.stalled.length > 0 || this.isCut(connection.from.address, connection.to.address))
        return this.#stall(connection, parcels);
      for (const parcel of parcels) this.#arrive(connection, parcel);
    });
  }

  #isGone(connection: Connection<Note>): boolean {
    return !connection.open || !connection.to.alive || !connection.to.accepted.has(connection);
  }

  /** One message of the protocol may be lost, doubled or late on its way; anything else arrives. */
  #arrive(connection: Connection<Note>, parcel: Parcel<Note>): void {
    const { lossPerMille, duplicatePerMille, reorderPerMille } = this.#weather;
    if (parcel.note !== null && lossPerMille + duplicatePerMille + reorderPerMille > 0) {
      const { random } = this.#options;
      const tell = (what: NetworkIncident): void => this.onIncident?.(what, connection.from.address, connection.to.address);
      const later = (): void =>
        this.#later(connection.to, this.#delay() * random.between(1, 20), () => {
          if (!this.#isGone(connection)) this.#deliver(connection, parcel);
        });
      if (random.chance(lossPerMille)) return tell("lost");
      if (random.chance(duplicatePerMille)) {
        tell("duplicated");
        later();
      }
      if (random.chance(reorderPerMille)) {
        tell("reordered");
        return later();
      }
    }
    this.#deliver(connection, parcel);
  }

  #deliver({ from, to, channel, hello }: Connection<Note>, { payload, note }: Parcel<Note>): void {
    if (!to.alive) return;
    this.delivered += 1;
    to.readActivity = true;
    if (note !== null) this.onDelivered?.(from.address, to.address, note);
    // A copy, as a socket makes one: nobody can change what was sent.
    to.handler?.received(hello, channel, payload.slice());
  }

  /** Held up by a cut. The connection breaks after a while, unless the cut is mended before; then it all arrives, late. */
  #stall(connection: Connection<Note>, parcels: readonly Parcel<Note>[]): void {
    const first = connection.stalled.length === 0;
    connection.stalled.push(...parcels);
    if (!first) return;
    this.onIncident?.("stalled", connection.from.address, connection.to.address);
    const patience = this.#options.random.between(20_000, 2_000_000);
    this.#options.scheduler.schedule(patience, () => {
      if (connection.stalled.length > 0 && connection.open) this.#break(connection, "the connection was lost");
    });
  }

  #releaseStalled(from: string, to: string): void {
    for (const connection of this.#listening.get(from)?.dialled.values() ?? []) {
      if (connection.to.address !== to || connection.stalled.length === 0) continue;
      const parcels = connection.stalled;
      this.onIncident?.("arrivedLate", from, to);
      this.#later(connection.to, this.#delay(), () => {
        connection.stalled = [];
        if (this.#isGone(connection)) return;
        for (const parcel of parcels) this.#arrive(connection, parcel);
      });
    }
  }

  // ---- Ending ----

  /** Both sides forget the connection; the one that dialled it hears of it, and dials again. */
  #break(connection: Connection<Note>, reason: string): void {
    const { from, to, peer, channel } = connection;
    const key = keyOf(peer, channel);
    const wasOpen = connection.open;
    connection.open = false;
    connection.stalled = [];
    to.accepted.delete(connection);
    if (from.dialled.get(key) !== connection) return;
    from.dialled.delete(key);
    if (!from.alive) return;
    this.#redial(from, peer, channel, () => {
      if (wasOpen) from.handler?.closed(peer, channel, reason, false);
    });
  }

  #end(endpoint: Endpoint<Note>): void {
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

/** Counts one more who wants it so. Returns how to take that back, once; `released` when nobody wants it any more. */
function hold(counts: Map<string, number>, pair: string, released: () => void): () => void {
  counts.set(pair, (counts.get(pair) ?? 0) + 1);
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    const left = (counts.get(pair) ?? 1) - 1;
    if (left > 0) counts.set(pair, left);
    else counts.delete(pair);
    if (left === 0) released();
  };
}

function keyOf(peer: string, channel: Channel): string {
  return `${peer} ${channel}`;
}
