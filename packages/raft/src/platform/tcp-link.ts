/**
 * A link: the connection that this node keeps dialling to one peer for one channel. It is the only kind that is sent on.
 *
 * waiting (for the next try) -> dialling (connecting, then shaking hands) -> open -> waiting … until `stop`.
 */
import { connect, type Socket } from "node:net";
import type { Channel, PeerAddress, PeerHello } from "../runtime/ports.js";
import { FRAME_HEADER_BYTES } from "../runtime/wire/frame.js";
import { decodeAnswer, encodeOpening, HandshakeReader } from "../runtime/wire/handshake.js";
import { connectionErrorText, isRefusal, parseAddress } from "./tcp-address.js";
import { joinFrames } from "./tcp-frames.js";
import { KEEP_ALIVE_DELAY_MS, monotonicMs, type TcpContext } from "./tcp-options.js";

export class TcpLink {
  readonly #context: TcpContext;
  readonly #peer: PeerAddress;
  readonly #channel: Channel;
  #state: "waiting" | "dialling" | "open" | "stopped" = "waiting";
  #socket: Socket | null = null;
  /** The next try while waiting, the end of patience while dialling. */
  #timer: NodeJS.Timeout | null = null;
  #hello: PeerHello | null = null;
  #openedAt = 0;
  /** Tries since a connection last lasted. */
  #tries = 0;
  /** Payloads that wait for `flush`, and their size as frames. */
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;

  constructor(context: TcpContext, peer: PeerAddress, channel: Channel) {
    this.#context = context;
    this.#peer = peer;
    this.#channel = channel;
  }

  /** What the peer said of itself; null while there is no connection. */
  get hello(): PeerHello | null {
    return this.#hello;
  }

  // ---- Dialling ----

  dial(): void {
    if (this.#state !== "waiting") return;
    this.#clearTimer();
    this.#state = "dialling";
    const target = parseAddress(this.#peer.address);
    if (target === null) return this.#end(`its address "${this.#peer.address}" is not host:port`);
    const { handshakeTimeoutMs } = this.#context.settings;
    const socket = connect({ ...target, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS });
    this.#socket = socket;
    this.#context.track(socket);
    const isCurrent = (): boolean => this.#socket === socket;
    const reader = new HandshakeReader();
    socket.on("connect", () => {
      if (isCurrent()) this.#sayHello(socket);
    });
    socket.on("data", (chunk) => {
      if (!isCurrent()) return;
      this.#context.noteRead();
      this.#heard(reader, chunk);
    });
    socket.on("error", (error) => {
      if (isCurrent()) this.#end(connectionErrorText(error), isRefusal(error));
    });
    socket.on("close", () => {
      if (isCurrent()) this.#end("it closed the connection");
    });
    this.#timer = setTimeout(() => this.#end(`it did not shake hands within ${handshakeTimeoutMs} ms`), handshakeTimeoutMs);
  }

  /** The peer was heard of: whoever dials us also listens, so there is no reason to wait for the next try. */
  dialNow(): void {
    if (this.#state === "waiting") this.dial();
  }

  #sayHello(socket: Socket): void {
    let opening: Uint8Array;
    try {
      opening = encodeOpening(this.#channel, this.#context.handler.hello());
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#context.warn("own hello", `this node can't introduce itself to its peers: ${error.message}`);
      return this.#end(error.message);
    }
    socket.write(opening);
  }

  #heard(reader: HandshakeReader, chunk: Uint8Array): void {
    if (this.#state === "open") return this.#fault("it sent something on a connection that only carries messages to it");
    const progress = reader.push(chunk);
    if (progress.state === "more") return;
    if (progress.state === "rubbish") return this.#fault(progress.reason);
    if (progress.rest.length > 0) return this.#fault("it sent more than an answer");
    const answer = decodeAnswer(progress.envelope);
    if (!answer.ok) return this.#fault(answer.reason);
    if (answer.kind === "refused") return this.#fault(`it refused this node and says: ${answer.reason}`);
    const { hello } = answer;
    const { name, address } = this.#peer;
    if (hello.name !== name && name !== address) return this.#fault(`it calls itself ${hello.name}: check the addresses of both`);
    const refusal = this.#context.handler.greet(hello, "dialled");
    if (refusal !== null) return this.#fault(refusal);
    if (this.#state === "dialling") this.#open(hello);
  }

  #open(hello: PeerHello): void {
    this.#clearTimer();
    this.#state = "open";
    this.#hello = hello;
    this.#openedAt = monotonicMs();
    this.#context.handler.opened(this.#peer.name, this.#channel, hello);
  }

  // ---- Sending ----

  /** False: it was dropped. Beyond the limit only what is alone may wait, so that no payload is too large for ever. */
  send(payload: Uint8Array): boolean {
    const { settings } = this.#context;
    if (this.#state !== "open" || this.#socket === null) return false;
    if (payload.length === 0 || payload.length > settings.maxFrameBytes) {
      this.#context.warn(
        `size ${this.#peer.name}`,
        `a message of ${payload.length} bytes for ${this.#peer.name} was dropped: 1 to ${settings.maxFrameBytes} bytes (maxFrameBytes) are possible`,
      );
      return false;
    }
    const waiting = this.#queuedBytes + this.#socket.writableLength;
    const bytes = FRAME_HEADER_BYTES + payload.length;
    if (waiting > 0 && waiting + bytes > settings.maxQueueBytes[this.#channel]) return false;
    this.#queue.push(payload);
    this.#queuedBytes += bytes;
    return true;
  }

  get hasQueued(): boolean {
    return this.#queue.length > 0;
  }

  /** Hands the queue to the system with one call, or to the socket if the system has not taken all of the last one yet. */
  flush(): void {
    if (this.#queue.length === 0 || this.#socket === null) return;
    const pieces = joinFrames(this.#queue);
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#socket.cork();
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.uncork();
  }

  // ---- Ending ----

  /** Gives up a connection that is thought to be dead, and dials again. Reported later, like any other end. */
  reset(reason: string): void {
    if (this.#state === "open") this.#socket?.destroy(new Error(reason));
  }

  /** For good. `closed` is called if the connection was open and `report` is true. */
  stop(report: boolean): void {
    const wasOpen = this.#state === "open";
    this.#drop();
    this.#state = "stopped";
    if (wasOpen && report)
      this.#context.handler.closed(this.#peer.name, this.#channel, "it is no longer a peer at that address", false);
  }

  /** An end that a person should know of. */
  #fault(reason: string): void {
    const { name, address } = this.#peer;
    this.#context.warn(`peer ${name} ${reason}`, `the connection to ${name} at ${address} was given up: ${reason}`);
    this.#end(reason);
  }

  #end(reason: string, refused = false): void {
    if (this.#state !== "dialling" && this.#state !== "open") return;
    const { minRetryMs, maxRetryMs } = this.#context.settings;
    const lasted = this.#state === "open" && monotonicMs() - this.#openedAt >= maxRetryMs;
    if (lasted) this.#tries = 0;
    this.#drop();
    this.#state = "waiting";
    // Half of the pause is chance, so that nodes which lost each other in one moment don't meet again in one. After a connection
    // that lasted the first try is at once: if it is refused, the peer's process has ended, and that is worth knowing soon.
    const pause = lasted ? 0 : Math.min(maxRetryMs, minRetryMs * 2 ** Math.min(this.#tries, 30)) * (0.5 + Math.random() / 2);
    this.#tries += 1;
    this.#timer = setTimeout(() => this.dial(), pause);
    this.#context.handler.closed(this.#peer.name, this.#channel, reason, refused);
  }

  #drop(): void {
    const socket = this.#socket;
    this.#clearTimer();
    this.#socket = null;
    this.#hello = null;
    this.#queue = [];
    this.#queuedBytes = 0;
    socket?.destroy();
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
