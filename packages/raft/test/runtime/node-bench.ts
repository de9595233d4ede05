/**
 * A whole node in a glass box: driver, log, snapshots and founding are the real ones, its disk is made of arrays, its clock
 * goes when the test says so, and the test plays its peers. Nothing happens between two lines of a test.
 */
import type { Message } from "../../src/core/index.js";
import type { NodeOptions } from "../../src/runtime/index.js";
import {
  type Clock,
  type CommittedEntry,
  checkNodeOptions,
  type Disk,
  type DiskFile,
  type NodeEvent,
  NodeHost,
  type PeerAddress,
  type PeerHello,
  type RaftNodeOptions,
  type StateMachine,
  type TimerHandle,
  type Transport,
  type TransportHandler,
} from "../../src/runtime/index.js";
import { submitProposal } from "../../src/runtime/requests.js";
import { decodePayload, encodeFoundingNotice, encodeMessage } from "../../src/runtime/wire/index.js";
import type { BytesDisk } from "./storage/bytes-disk.js";

/** Keeps the first byte of every command, in order. */
export class ListMachine implements StateMachine {
  readonly values: number[] = [];

  apply(entries: readonly CommittedEntry[]): readonly Uint8Array[] {
    return entries.map(({ data }) => {
      if (data[0] === POISON) throw new Error("poison");
      this.values.push(data[0] ?? 0);
      return Uint8Array.of(this.values.length);
    });
  }

  /** A piece for every four values, so that it takes several turns. */
  snapshot(): Iterable<Uint8Array> {
    const values = this.values.slice();
    return Array.from({ length: Math.ceil(values.length / 4) }, (_, at) => Uint8Array.from(values.slice(4 * at, 4 * at + 4)));
  }

  restore(piece: Uint8Array): void {
    this.values.push(...piece);
  }
}

/** A command that makes the machine throw. */
export const POISON = 255;

class HandClock implements Clock {
  #now = 1;
  #immediates: (() => void)[] = [];
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>();

  now(): number {
    return this.#now;
  }

  setTimer(at: number, callback: () => void): TimerHandle {
    const timer = { at, callback };
    this.#timers.add(timer);
    return { timer };
  }

  clearTimer({ timer }: TimerHandle): void {
    this.#timers.delete(timer as { readonly at: number; readonly callback: () => void });
  }

  setImmediate(callback: () => void): void {
    this.#immediates.push(callback);
  }

  /** Runs turns until nothing waits for one, or `turns` of them. */
  run(turns = 100_000): void {
    for (let left = turns; left > 0; left -= 1) {
      const next = this.#immediates.shift();
      if (next === undefined) return;
      next();
    }
    if (turns === 100_000) throw new Error("the node does not come to rest");
  }

  /** Time goes on, timer by timer, each on time. */
  advance(millis: number): void {
    const end = this.#now + millis * 1000;
    for (;;) {
      const [next] = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      this.run();
    }
    this.#now = end;
  }

  /** The process stood still: then its timers come first, all late, and no turn has run yet. */
  pause(millis: number): void {
    this.#now += millis * 1000;
    for (const timer of [...this.#timers]) {
      if (timer.at > this.#now) continue;
      this.#timers.delete(timer);
      timer.callback();
    }
  }
}

/** What the node said to whom; and whether something came from the network since it last asked. */
class PlayedTransport implements Transport {
  handler: TransportHandler | null = null;
  activity = false;
  readonly sent: { readonly peer: string; readonly message: Message }[] = [];
  /** Who was told that it is no member. */
  readonly told: { readonly peer: string; readonly configurationIndex: number }[] = [];
  peers: readonly PeerAddress[] = [];
  closed = false;

  start(handler: TransportHandler): void {
    this.handler = handler;
    handler.listening();
  }
  setPeers(peers: readonly PeerAddress[]): void {
    this.peers = peers;
  }
  send(peer: string, _channel: string, payload: Uint8Array): boolean {
    const decoded = decodePayload(payload);
    if (decoded.ok && decoded.kind === "message") this.sent.push({ peer, message: decoded.message });
    if (decoded.ok && decoded.kind === "notAMember") this.told.push({ peer, configurationIndex: decoded.configurationIndex });
    return true;
  }
  flush(): void {}
  takeReadActivity(): boolean {
    const { activity } = this;
    this.activity = false;
    return activity;
  }
  close(callback: () => void): void {
    this.closed = true;
    callback();
  }
}

/** A disk whose syncs wait while `holds` is set. */
class HeldDisk {
  holds = false;
  readonly #waiting: (() => void)[] = [];

  over(disk: BytesDisk): Disk {
    const file = (inner: DiskFile): DiskFile => ({
      path: inner.path,
      read: (position, length, callback) => inner.read(position, length, callback),
      write: (position, data, callback) => inner.write(position, data, callback),
      sync: (callback) => {
        if (this.holds) this.#waiting.push(() => inner.sync(callback));
        else inner.sync(callback);
      },
      truncate: (length, callback) => inner.truncate(length, callback),
      size: (callback) => inner.size(callback),
      close: (callback) => inner.close(callback),
    });
    return {
      location: disk.location,
      open: (path, mode, callback) =>
        disk.open(path, mode, (error, opened) => callback(error, opened === null ? null : file(opened))),
      list: (path, callback) => disk.list(path, callback),
      makeDirectory: (path, callback) => disk.makeDirectory(path, callback),
      rename: (from, to, callback) => disk.rename(from, to, callback),
      remove: (path, callback) => disk.remove(path, callback),
      syncDirectory: (path, callback) => disk.syncDirectory(path, callback),
      lock: (callback) => disk.lock(callback),
      unlock: (callback) => disk.unlock(callback),
    };
  }

  release(): void {
    this.holds = false;
    for (const each of this.#waiting.splice(0)) each();
  }
}

export class NodeBench {
  readonly clock = new HandClock();
  readonly transport = new PlayedTransport();
  readonly syncs = new HeldDisk();
  readonly events: NodeEvent[] = [];
  readonly host: NodeHost<ListMachine>;
  readonly options: NodeOptions;

  /** Opens node `a` of these founders; throws what keeps it from opening. */
  constructor(disk: BytesDisk, founders: readonly string[] = ["a"], given: Partial<RaftNodeOptions<ListMachine>> = {}) {
    this.options = checkNodeOptions({
      id: "a",
      cluster: founders.map((name) => ({ name, address: `${name}:1` })),
      directory: "a",
      stateMachine: () => new ListMachine(),
      segmentBytes: 65_536,
      ...given,
    });
    const newMachine = given.stateMachine ?? (() => new ListMachine());
    const random = { nextUint32: () => 7 };
    this.host = new NodeHost(
      this.options,
      { clock: this.clock, random, disk: this.syncs.over(disk), transport: this.transport },
      newMachine,
    );
    this.host.onEvent = (event) => this.events.push(event);
    let failure: Error | null = null;
    this.host.open((error) => {
      failure = error;
    });
    this.clock.run();
    if (failure !== null) throw failure as Error;
  }

  get values(): readonly number[] {
    return this.host.running?.host.machine.values ?? [];
  }

  get role(): string {
    return this.host.status().role;
  }

  /** The other founders come, and agree with what `a` has recorded. */
  found(): void {
    const others = this.options.cluster.filter(({ name }) => name !== "a");
    for (const { name } of others) this.connect(name);
    const { founders } = this.host.hello();
    for (const { name } of others)
      this.handler.received(this.#hello(name), "main", encodeFoundingNotice({ records: founders, founded: true }));
    this.clock.run();
  }

  connect(name: string): void {
    for (const channel of ["main", "bulk"] as const) this.handler.opened(name, channel, this.#hello(name));
    this.clock.run();
  }

  get handler(): TransportHandler {
    if (this.transport.handler === null) throw new Error("the node does not listen");
    return this.transport.handler;
  }

  #hello(name: string): PeerHello {
    const { clusterId } = this.host.hello();
    return { clusterId, name, incarnation: BigInt(name.charCodeAt(0)), boot: 1, founders: [], version: 3 };
  }

  /** A peer says something; the node has not had its turn when this returns. */
  tell(name: string, message: Message): void {
    this.transport.activity = true;
    this.handler.received(this.#hello(name), "main", encodeMessage(0, message));
  }

  hears(name: string, message: Message): void {
    this.tell(name, message);
    this.clock.run();
  }

  /** What was said of one kind since the last look; the rest is forgotten. */
  said(type: Message["type"]): readonly Message[] {
    return this.transport.sent.splice(0).flatMap(({ message }) => (message.type === type ? [message] : []));
  }

  /** `a` leads, also where it needs the votes of others. */
  lead(): void {
    for (let waits = 0; waits < 100 && this.role !== "leader"; waits += 1) {
      this.clock.advance(100);
      const { currentTerm: term } = this.host.status();
      if (this.role === "preCandidate")
        this.hears("b", { type: "RequestPreVoteResponse", term, proposedTerm: term + 1, voteGranted: true });
      if (this.role === "candidate")
        this.hears("b", { type: "RequestVoteResponse", term: this.host.status().currentTerm, voteGranted: true });
    }
    if (this.role !== "leader") throw new Error(`it is ${this.role}`);
  }

  /** Proposes without a turn; what the caller is told is added to `told`. */
  propose(value: number, told: string[] = [], then: () => void = () => undefined, bytes = 1): void {
    const command = new Uint8Array(bytes);
    command[0] = value;
    submitProposal(this.host, command, undefined, (error, result) => {
      told.push(error === null ? `done ${result?.index}` : `${error.code}, ${error.outcome}`);
      then();
    });
  }

  close(): void {
    let closed = false;
    this.host.close(() => {
      closed = true;
    });
    this.clock.run();
    if (!closed) throw new Error("the node does not close");
  }
}
