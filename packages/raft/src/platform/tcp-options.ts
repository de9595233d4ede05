/** What can be set about the TCP transport, its defaults, and what its parts share. */
import type { Socket } from "node:net";
import type { Channel, TransportHandler } from "../runtime/ports.js";
import { DEFAULT_MAX_FRAME_BYTES } from "../runtime/wire/frame.js";

const MEBIBYTE = 1024 * 1024;

export interface TcpTransportOptions {
  /** The address to listen on. Port 0: any free one, see `TcpTransport.port`. */
  readonly listen: { readonly host: string; readonly port: number };
  /** The largest payload, sent or received. Default 80 MiB, at most 1 GiB. The same on all nodes. */
  readonly maxFrameBytes?: number;
  /**
   * How much may wait for one peer on one channel, what the system has not taken yet included. Default 64 MiB on main,
   * 16 MiB on bulk. A payload that is larger than this goes only when nothing else waits.
   */
  readonly maxQueueBytes?: { readonly main?: number; readonly bulk?: number };
  /** From the first packet of a connection to the end of its handshake. Default 5,000. */
  readonly handshakeTimeoutMs?: number;
  /** Pause before a connection is tried again: doubles from the first to the second, less up to half by chance. Default 50. */
  readonly minRetryMs?: number;
  /** Default 2,000. A connection that lasted this long starts again at `minRetryMs`. */
  readonly maxRetryMs?: number;
  /**
   * A peer that was sent things for so long, eight times at least, and said nothing at all in the meantime, is dialled
   * anew: its connections may be dead without the system's knowing (it would find out after minutes). Default 15,000.
   */
  readonly silenceTimeoutMs?: number;
  /** Connections that have not shaken hands yet; beyond it the oldest of them is closed. Default 64. */
  readonly maxUnauthenticated?: number;
  /** Connections from peers, two each. Default 256. */
  readonly maxAccepted?: number;
}

export interface TcpSettings {
  readonly maxFrameBytes: number;
  readonly maxQueueBytes: Readonly<Record<Channel, number>>;
  readonly handshakeTimeoutMs: number;
  readonly minRetryMs: number;
  readonly maxRetryMs: number;
  readonly silenceTimeoutMs: number;
  readonly maxUnauthenticated: number;
  readonly maxAccepted: number;
}

/** Between the parts of one transport. */
export interface TcpContext {
  readonly settings: TcpSettings;
  readonly handler: TransportHandler;
  /** Bytes were read from some connection. */
  noteRead(): void;
  /** Tells a person, unless there was a warning under the same key within the last minute. */
  warn(key: string, message: string): void;
  /** Each socket, so that `close` can wait for the end of it. */
  track(socket: Socket): void;
}

/** Throws a RangeError that names the field, its range and its default. */
export function checkTcpOptions(options: TcpTransportOptions): TcpSettings {
  const number = (name: string, given: number | undefined, standard: number, low: number, high: number): number => {
    const value = given ?? standard;
    if (!Number.isSafeInteger(value) || value < low || value > high)
      throw new RangeError(`${name} is ${value}: it must be a whole number from ${low} to ${high} (default ${standard})`);
    return value;
  };
  const { maxQueueBytes } = options;
  number("listen.port", options.listen.port, 0, 0, 65_535);
  const settings = {
    maxFrameBytes: number("maxFrameBytes", options.maxFrameBytes, DEFAULT_MAX_FRAME_BYTES, 1, 1024 * MEBIBYTE),
    maxQueueBytes: {
      main: number("maxQueueBytes.main", maxQueueBytes?.main, 64 * MEBIBYTE, 1, 4096 * MEBIBYTE),
      bulk: number("maxQueueBytes.bulk", maxQueueBytes?.bulk, 16 * MEBIBYTE, 1, 4096 * MEBIBYTE),
    },
    handshakeTimeoutMs: number("handshakeTimeoutMs", options.handshakeTimeoutMs, 5000, 1, 600_000),
    minRetryMs: number("minRetryMs", options.minRetryMs, 50, 1, 600_000),
    maxRetryMs: number("maxRetryMs", options.maxRetryMs, 2000, 1, 600_000),
    silenceTimeoutMs: number("silenceTimeoutMs", options.silenceTimeoutMs, 15_000, 1, 86_400_000),
    maxUnauthenticated: number("maxUnauthenticated", options.maxUnauthenticated, 64, 1, 65_536),
    maxAccepted: number("maxAccepted", options.maxAccepted, 256, 1, 65_536),
  };
  if (settings.minRetryMs > settings.maxRetryMs)
    throw new RangeError(`minRetryMs is ${settings.minRetryMs}: it must be at most maxRetryMs (${settings.maxRetryMs})`);
  return settings;
}

/** Idle connections are probed by the system from then on. */
export const KEEP_ALIVE_DELAY_MS = 10_000;

/** Milliseconds that never go back. */
export function monotonicMs(): number {
  return performance.now();
}
