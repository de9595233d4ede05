/**
 * Between the core and the Transport port: who is connected, where a message goes, what a payload means.
 *
 * A message is for a member, not for a name: it leaves only on a connection whose handshake showed the very incarnation
 * the configuration lists, and what arrives is from the incarnation that shook hands. So a wiped node that kept its name is
 * a stranger to the protocol (dissertation section 3.8), although it may talk.
 */
import type { AppendEntries, Message } from "../core/message.js";
import type { MemberId } from "../core/types.js";
import { memberId, memberName } from "./member-id.js";
import type { Channel, PeerAddress, PeerHello, Transport } from "./ports.js";
import { encodeMessage, isSpoken } from "./wire/index.js";

/** Where this version puts its one group. */
export const GROUP = 0;

interface Link {
  readonly name: string;
  /** Who was at the other side when we dialled it; null while there is no connection. */
  main: MemberId | null;
  bulk: MemberId | null;
  /** Of the protocol, as agreed on the main connection. */
  version: number;
}

export class Network {
  readonly #transport: Transport;
  readonly #links = new Map<string, Link>();
  /** The same links by who is at the other end of the main connection: what a message is for. */
  readonly #linkTo = new Map<MemberId, Link>();
  #addresses = new Map<string, string>();
  readonly #ownName: string;
  /** The last append that was encoded, until the next flush. */
  #lastAppend: { readonly message: AppendEntries; readonly version: number; readonly bytes: Uint8Array } | null = null;

  constructor(transport: Transport, ownName: string) {
    this.#transport = transport;
    this.#ownName = ownName;
  }

  /** Connects to these, and to nobody else. */
  setPeers(peers: readonly PeerAddress[]): void {
    const others = peers.filter((peer) => peer.name !== this.#ownName);
    this.#addresses = new Map(peers.map((peer) => [peer.name, peer.address]));
    for (const name of this.#links.keys()) if (!this.#addresses.has(name)) this.#links.delete(name);
    this.#index();
    this.#transport.setPeers(others);
  }

  /** Who is at the other end of the connection that was dialled to this name; null while there is none. */
  connectedAs(name: string): MemberId | null {
    return this.#links.get(name)?.main ?? null;
  }

  addressOf(name: string): string | null {
    return this.#addresses.get(name) ?? null;
  }

  opened(peer: string, channel: Channel, hello: PeerHello): MemberId {
    const member = memberId(hello.name, hello.incarnation);
    const link = this.#links.get(peer) ?? { name: peer, main: null, bulk: null, version: 1 };
    link[channel] = member;
    if (channel === "main") link.version = hello.version;
    this.#links.set(peer, link);
    this.#index();
    return member;
  }

  /** Which member was at the other end, if it was a greeted connection. */
  closed(peer: string, channel: Channel): MemberId | null {
    const link = this.#links.get(peer);
    const member = link?.[channel] ?? null;
    if (link !== undefined) link[channel] = null;
    this.#index();
    return member;
  }

  /** Where a message for somebody goes: to whoever shook hands as that, best where it was dialled by its own name. */
  #index(): void {
    this.#linkTo.clear();
    for (const link of this.#links.values()) {
      const { name, main } = link;
      if (main !== null && (memberName(main) === name || !this.#linkTo.has(main))) this.#linkTo.set(main, link);
    }
  }

  /** Whether a message for this member would leave. */
  reaches(id: MemberId): boolean {
    return this.#linkTo.has(id);
  }

  isConnected(name: string): boolean {
    return this.#links.get(name)?.main != null;
  }

  /** Pieces of snapshots go on the second connection, so that they never delay a heartbeat. */
  send(to: MemberId, message: Message): boolean {
    const link = this.#linkTo.get(to);
    if (link === undefined || !isSpoken(message, link.version)) return false;
    return this.#transport.send(
      link.name,
      message.type === "InstallSnapshot" ? "bulk" : "main",
      this.#encode(message, link.version),
    );
  }

  /** Followers that are equally far get the same entries: they are encoded once, and the same bytes go to each. */
  #encode(message: Message, version: number): Uint8Array {
    if (message.type !== "AppendEntries" || message.entries.length === 0) return encodeMessage(GROUP, message, version);
    const last = this.#lastAppend;
    if (last !== null && last.version === version && sameAppend(last.message, message)) return last.bytes;
    const bytes = encodeMessage(GROUP, message, version);
    this.#lastAppend = { message, version, bytes };
    return bytes;
  }

  /** The version of the protocol that was agreed on with the peer. */
  versionOf(name: string): number {
    return this.#links.get(name)?.version ?? 1;
  }

  /** Whether the peer understands what came with this version of the protocol. */
  speaks(name: string, version: number): boolean {
    return this.versionOf(name) >= version;
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
    one.leases === other.leases &&
    one.entries.length === other.entries.length &&
    one.entries[0] === other.entries[0] &&
    one.entries.at(-1) === other.entries.at(-1)
  );
}
