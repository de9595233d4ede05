/**
 * The four ports: everything that is not deterministic reaches the runtime through these and nothing else.
 *
 * They are callback style. A port completes an operation by calling back, and the callback may come *before the call
 * returns* or any time later, but never twice. No promise is involved, so that a virtual implementation can stop the
 * world between any two effects and replay it from a seed. The real ones are in platform/, the virtual ones in sim/.
 */
import type { Micros } from "../core/types.js";

export interface TimerHandle {
  readonly timer: unknown;
}

export interface Clock {
  /** Monotonic; never goes back, keeps running while the process is paused. */
  now(): Micros;
  /** Calls back once when `now() >= at`, never before the call returns. */
  setTimer(at: Micros, callback: () => void): TimerHandle;
  clearTimer(handle: TimerHandle): void;
  /** Calls back in a later turn of the event loop, after what has arrived on the sockets was read. */
  setImmediate(callback: () => void): void;
}

export interface Random {
  /** 32 random bits as an integer in [0, 2^32). */
  nextUint32(): number;
}

/** Codes that the runtime tells apart; anything else is `OTHER`. */
export type DiskErrorCode = "ENOENT" | "EEXIST" | "ENOSPC" | "EIO" | "EACCES" | "EROFS" | "ENOTDIR" | "OTHER";

export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly code: DiskErrorCode;
  /** The operation, as the system calls it: open, read, write, fdatasync, rename … */
  readonly operation: string;
  readonly path: string;
  constructor(code: DiskErrorCode, operation: string, path: string, detail: string) {
    super(`${operation} ${path}: ${code === "OTHER" ? "" : `${code} `}${detail}`);
    this.code = code;
    this.operation = operation;
    this.path = path;
  }
}

export type DiskCallback = (error: DiskError | null) => void;
export type DiskResult<T> = (error: DiskError | null, result: T | null) => void;

/** An open file. At most one `write` or `sync` is under way at a time; reads may overlap. */
export interface DiskFile {
  readonly path: string;
  /** Up to `length` bytes from `position`; fewer only at the end of the file (the port loops over short reads). */
  read(position: number, length: number, callback: DiskResult<Uint8Array>): void;
  /** All of `data` at `position`; a partial write is continued by the port. May only be in the page cache afterwards. */
  write(position: number, data: Uint8Array, callback: DiskCallback): void;
  /** fdatasync: when it succeeds, everything written to this file before the call is durable. */
  sync(callback: DiskCallback): void;
  truncate(length: number, callback: DiskCallback): void;
  size(callback: DiskResult<number>): void;
  close(callback: DiskCallback): void;
}

/**
 * One node's data directory. Paths are relative to it, with `/`. A name that was created, renamed or removed is durable
 * only after `syncDirectory` of the folder that holds it.
 */
export interface Disk {
  /** Where this is, for messages to people. */
  readonly location: string;
  /** `create` fails with EEXIST; `read` and `write` with ENOENT. */
  open(path: string, mode: "read" | "write" | "create", callback: DiskResult<DiskFile>): void;
  /** Names in a folder, sorted by code unit. */
  list(path: string, callback: DiskResult<readonly string[]>): void;
  /** With all parents; no error when it is there. */
  makeDirectory(path: string, callback: DiskCallback): void;
  rename(from: string, to: string, callback: DiskCallback): void;
  remove(path: string, callback: DiskCallback): void;
  syncDirectory(path: string, callback: DiskCallback): void;
  /** Takes the directory for this process, or says who has it (EEXIST). Held until `unlock` or the end of the process. */
  lock(callback: DiskCallback): void;
  unlock(callback: DiskCallback): void;
}

/** Two connections to each peer: bulk never delays heartbeats. */
export type Channel = "main" | "bulk";

/** Where a peer is to be found. */
export interface PeerAddress {
  /** Unique within a cluster. The address again: whoever answers there, because its name is not known yet. */
  readonly name: string;
  /** host:port */
  readonly address: string;
}

/**
 * What each side says first on a connection (fields and versions in docs/wire-format.md). The transport carries it and
 * shows it to `TransportHandler.greet`; it does not understand it.
 */
export interface Hello {
  /** Sixteen bytes. */
  readonly clusterId: Uint8Array;
  readonly name: string;
  /** host:port on which its peers reach it, so that whoever does not list it can answer it all the same. */
  readonly address: string;
  /** 64 random bits made with the data directory. */
  readonly incarnation: bigint;
  /** How often this node has started; durable before it is said. */
  readonly boot: number;
  /** Founding: the incarnation recorded for each founder's name; empty later. Sorted by name. */
  readonly founders: readonly { readonly name: string; readonly incarnation: bigint }[];
}

/**
 * The network. Each node dials every peer once a channel and sends only on the connections it dialled itself; the
 * accepting side only answers the handshake. So a link can fail in one direction, and there is no tie to break.
 */
export interface Transport {
  /**
   * Asks whether the address can be had, without keeping it. A node asks this before it writes anything, so that one that
   * can't listen leaves its directory as it was. Not there: the answer is yes.
   */
  check?(callback: (error: Error | null) => void): void;
  /** Begins to listen and to answer. Calls `handler.failed` if the address can't be had. */
  start(handler: TransportHandler): void;
  /** The peers to keep connections to; replaces the earlier list. Never contains this node. */
  setPeers(peers: readonly PeerAddress[]): void;
  /**
   * Queues one payload (at most `maxFrameBytes`) for a peer. False: dropped, because there is no connection or its
   * queue is full. Nothing leaves before `flush`. The bytes must not be changed afterwards.
   */
  send(peer: string, channel: Channel, payload: Uint8Array): boolean;
  /** Hands everything queued to the system, one write a connection. Called once at the end of a turn. */
  flush(): void;
  /** True when bytes were read from any connection since the last call: more input may be waiting. */
  takeReadActivity(): boolean;
  close(callback: () => void): void;
}

export interface TransportHandler {
  /** The address is ours and peers can connect. Called once after `start`, unless `failed` is. */
  listening(): void;
  /** Our own hello, asked for at each handshake. */
  hello(): Hello;
  /** A peer's hello. Null: welcome. Otherwise the reason it is refused, sent to it in plain words. */
  greet(hello: Hello, direction: "dialled" | "accepted"): string | null;
  /** A dialled connection is open and greeted: `send` works now. */
  opened(peer: string, channel: Channel, hello: Hello): void;
  /** A dialled connection ended, or could not be made. `refused`: the system said that nobody listens there. */
  closed(peer: string, channel: Channel, reason: string, refused: boolean): void;
  /** A payload arrived on an accepted connection whose hello was welcome. */
  received(hello: Hello, channel: Channel, payload: Uint8Array): void;
  /** Something a person should know: rubbish from a stranger, a newer version, a refusal by a peer. */
  warning(message: string): void;
  /** The transport can't go on (address in use …). */
  failed(error: Error): void;
}

export interface Ports {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly transport: Transport;
}
