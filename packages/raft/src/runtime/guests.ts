/**
 * Those who talk to this node and are not among its members: a candidate of a newer configuration, a leader that adds this
 * node, somebody who was removed and does not know it; and members that are not where this node believes them to be. They must
 * be answered all the same (dissertation section 4.1), and a node answers only on connections it dialled itself; so it dials
 * them back, at the address they say.
 *
 * There are never more than `MAX_GUESTS`; the one that was silent for longest goes first, and whoever says nothing for a
 * while goes too.
 */
import type { MemberId, Micros } from "../core/types.js";
import { memberId } from "./member-id.js";
import type { Hello, PeerAddress } from "./ports.js";

export const MAX_GUESTS = 16;

export interface Guest extends PeerAddress {
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

  /** Somebody says where it is reached. True: it was not known before. */
  introduced(hello: Hello, address: string, now: Micros): boolean {
    const id = memberId(hello.name, hello.incarnation);
    const known = this.#guests.get(hello.name);
    this.#guests.delete(hello.name);
    this.#guests.set(hello.name, { id, name: hello.name, address, heardAt: now });
    const [eldest] = this.#guests.keys();
    if (this.#guests.size > MAX_GUESTS && eldest !== undefined) this.#guests.delete(eldest);
    return known?.id !== id || known.address !== address;
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

  [Symbol.iterator](): Iterator<Guest> {
    return this.#guests.values();
  }
}

/**
 * Whom to dial: the members, and guests. Each address is dialled once; where several are said to be, it is dialled by the
 * address, which takes whoever answers. So is a guest that has a member's name and is elsewhere, unless the member's
 * connection leads to it. Nobody is looked for at the node's own address.
 */
export function toDial(
  members: readonly PeerAddress[],
  guests: Iterable<Guest>,
  own: PeerAddress,
  connectedAs: (name: string) => MemberId | null,
): readonly PeerAddress[] {
  const dialled = new Map<string, PeerAddress>();
  const names = new Set(members.map(({ name }) => name));
  const add = (name: string, address: string): void => {
    const known = dialled.get(address);
    dialled.set(address, { name: known === undefined || known.name === name ? name : address, address });
  };
  for (const { name, address } of members) if (name === own.name || address !== own.address) add(name, address);
  for (const { id, name, address } of guests) {
    if (address === own.address) continue;
    if (!names.has(name) || dialled.get(address)?.name === name) add(name, address);
    else if (connectedAs(name) !== id) add(address, address);
  }
  return [...dialled.values()];
}
