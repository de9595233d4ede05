/**
 * Those who talk to this node and are not among its members: a candidate of a newer configuration, a leader that adds this
 * node, somebody who was removed and does not know it. They must be answered all the same (dissertation section 4.1), and
 * a node answers only on connections it dialled itself; so it dials them back, at the address their handshake named.
 *
 * There are never more than `MAX_GUESTS`; the one that was silent for longest goes first, and whoever says nothing for a
 * while goes too.
 */
import type { MemberId, Micros } from "../core/types.js";
import { memberId } from "./member-id.js";
import type { Hello, PeerAddress } from "./ports.js";

export const MAX_GUESTS = 16;

interface Guest extends PeerAddress {
  readonly id: MemberId;
  heardAt: Micros;
}

export class Guests {
  readonly #silenceMicros: Micros;
  /** By name: the longest silent first. */
  readonly #guests = new Map<string, Guest>();

  constructor(silenceMicros: Micros) {
    this.#silenceMicros = silenceMicros;
  }

  /** Somebody shook hands. True: it was not known before. */
  greeted(hello: Hello, now: Micros): boolean {
    if (hello.address === "") return false;
    const id = memberId(hello.name, hello.incarnation);
    const known = this.#guests.get(hello.name);
    this.#guests.delete(hello.name);
    this.#guests.set(hello.name, { id, name: hello.name, address: hello.address, heardAt: now });
    const [eldest] = this.#guests.keys();
    if (this.#guests.size > MAX_GUESTS && eldest !== undefined) this.#guests.delete(eldest);
    return known?.id !== id || known.address !== hello.address;
  }

  heard(name: string, now: Micros): void {
    const guest = this.#guests.get(name);
    if (guest !== undefined) guest.heardAt = now;
  }

  /** Forgets the silent. True: some were. */
  prune(now: Micros): boolean {
    let gone = false;
    for (const [name, { heardAt }] of this.#guests) {
      if (now - heardAt < this.#silenceMicros) continue;
      this.#guests.delete(name);
      gone = true;
    }
    return gone;
  }

  get size(): number {
    return this.#guests.size;
  }

  has(id: MemberId): boolean {
    return [...this.#guests.values()].some((guest) => guest.id === id);
  }

  /** Those to dial besides the members; a member's name or address is the member's. */
  besides(members: readonly PeerAddress[]): readonly PeerAddress[] {
    return [...this.#guests.values()]
      .filter((guest) => members.every(({ name, address }) => name !== guest.name && address !== guest.address))
      .map(({ name, address }) => ({ name, address }));
  }
}
