/**
 * Between the core and the Transport port: who is connected, where a message goes, what a payload means.
 *
 * A message is for a member, not for a name: it leaves only on a connection whose handshake showed the very incarnation
 * the configuration lists, and what arrives is from the incarnation that shook hands. So a wiped node that kept its name is
 * a stranger to the protocol (dissertation section 3.8), although it may talk.
 */
import type { Configuration } from "../core/configuration.js";
import type { AppendEntries, Message } from "../core/message.js";
import type { MemberId } from "../core/types.js";
import { memberId, memberName } from "./member-id.js";
import type { Channel, Hello, PeerAddress, Transport } from "./ports.js";
import { encodeMessage } from "./wire/index.js";

/** Where this version puts its one group. */
export const GROUP = 0;

interface Link {
  /** What the other side said when we dialled it; null while there is no connection. */
  main: Hello | null;
  bulk: Hello | null;
}

export class Network {
  readonly #transport: Transport;
  readonly #links = new Map<string, Link>();
  #addresses = new Map<string, string>();
  readonly #ownName: string;
  /** The last append that was encoded, until the next flush. */
  #lastAppend: { readonly message: AppendEntries; readonly bytes: Uint8Array } | null = null;

  constructor(transport: Transport, ownName: string) {
    this.#transport = transport;
    this.#ownName = ownName;
  }

  /** Connects to these, and to nobody else. */
  setPeers(peers: readonly PeerAddress[]): void {
    const others = peers.filter((peer) => peer.name !== this.#ownName);
    this.#addresses = new Map(peers.map((peer) => [peer.name, peer.address]));
    for (const name of this.#links.keys()) if (!this.#addresses.has(name)) this.#links.delete(name);
    this.#transport.setPeers(others);
  }

  /** The members of a configuration; its addresses are newer than the ones of the options. */
  follow(configuration: Configuration): void {
    this.setPeers(configuration.members.map(({ name, address }) => ({ name, address })));
  }

  addressOf(name: string): string | null {
    return this.#addresses.get(name) ?? null;
  }

  opened(peer: string, channel: Channel, hello: Hello): MemberId {
    const link = this.#links.get(peer) ?? { main: null, bulk: null };
    link[channel] = hello;
    this.#links.set(peer, link);
    return memberId(hello.name, hello.incarnation);
  }

  /** Which member was at the other end, if it was a greeted connection. */
  closed(peer: string, channel: Channel): MemberId | null {
    const link = this.#links.get(peer);
    const hello = link?.[channel] ?? null;
    if (link !== undefined) link[channel] = null;
    return hello === null ? null : memberId(hello.name, hello.incarnation);
  }

  isConnected(name: string): boolean {
    return this.#links.get(name)?.main != null;
  }

  /** The member at the other end of the dialled connection to a name. */
  memberAt(name: string): MemberId | null {
    const hello = this.#links.get(name)?.main;
    return hello == null ? null : memberId(hello.name, hello.incarnation);
  }

  /** Pieces of snapshots go on the second connection, so that they never delay a heartbeat. */
  send(to: MemberId, message: Message): boolean {
    const name = memberName(to);
    if (this.memberAt(name) !== to) return false;
    return this.#transport.send(name, message.type === "InstallSnapshot" ? "bulk" : "main", this.#encode(message));
  }

  /** Followers that are equally far get the same entries: they are encoded once, and the same bytes go to each. */
  #encode(message: Message): Uint8Array {
    if (message.type !== "AppendEntries" || message.entries.length === 0) return encodeMessage(GROUP, message);
    const last = this.#lastAppend;
    if (last !== null && sameAppend(last.message, message)) return last.bytes;
    const bytes = encodeMessage(GROUP, message);
    this.#lastAppend = { message, bytes };
    return bytes;
  }

  sendPayload(name: string, payload: Uint8Array): boolean {
    return this.#transport.send(name, "main", payload);
  }

  flush(): void {
    this.#lastAppend = null;
    this.#transport.flush();
  }
}

/** Entries are immutable and stand in one log, so the first and the last say which they are. */
function sameAppend(one: AppendEntries, other: AppendEntries): boolean {
  return (
    one.term === other.term &&
    one.prevLogIndex === other.prevLogIndex &&
    one.prevLogTerm === other.prevLogTerm &&
    one.leaderCommit === other.leaderCommit &&
    one.entries.length === other.entries.length &&
    one.entries[0] === other.entries[0] &&
    one.entries.at(-1) === other.entries.at(-1)
  );
}
