/**
 * One unary call on an HTTP/2 stream: the hot path of the server.
 *
 * A call costs one object, five listeners that all calls share (they find their call by a property of the stream), and
 * three operations on the stream: headers, the message with the end of data, trailers. There is no timer unless the
 * client sent a deadline, and no promise but the handler's own.
 *
 * The handler runs as soon as the message is complete; it does not wait for the client to half-close. What a client
 * sends after its one message is read and ignored.
 */
import type { ServerHttp2Stream } from "node:http2";
import { encodeFrame, FRAME_HEADER_BYTES, FrameReader, type ReceiveBudget, type Reply } from "./frame.js";
import type { CallContext, UnaryHandler } from "./router.js";
import { encodeGrpcMessage, GrpcCode, GrpcError } from "./status.js";

/** What calls share with the server they belong to. */
export interface CallHost {
  readonly maxReceiveBytes: number;
  readonly maxStreamBufferBytes: number;
  readonly budget: ReceiveBudget;
  /** A handler threw something that is not a GrpcError. */
  fault(path: string, error: unknown): void;
  callEnded(call: object): void;
}

export const RESPONSE_HEADERS = { ":status": 200, "content-type": "application/grpc" } as const;
/** No `date` header: nobody reads it and it would be made anew for every reply. */
export const RESPOND_WITH_TRAILERS = { waitForTrailers: true, sendDate: false };
export const OK_TRAILERS = { "grpc-status": "0" } as const;

interface CallStream extends ServerHttp2Stream {
  quorateCall?: UnaryCall;
}

type Phase = "receiving" | "working" | "answered";

export class UnaryCall {
  readonly #stream: CallStream;
  readonly #host: CallHost;
  readonly #handle: UnaryHandler;
  readonly #context: CallContext;
  #phase: Phase = "receiving";
  #reader: FrameReader | null = null;
  #deadline: NodeJS.Timeout | null = null;

  constructor(stream: ServerHttp2Stream, host: CallHost, handle: UnaryHandler, context: CallContext) {
    this.#stream = stream;
    this.#host = host;
    this.#handle = handle;
    this.#context = context;
    this.#stream.quorateCall = this;
    if (context.timeoutMs !== null) {
      this.#deadline = setTimeout(onDeadline, coarseTimeoutMs(context.timeoutMs), this);
    }
    stream.on("data", onData);
    stream.on("end", onEnd);
    stream.on("wantTrailers", onWantTrailers);
    stream.on("close", onClose);
  }

  received(chunk: Uint8Array): void {
    if (this.#phase !== "receiving") {
      return;
    }
    if (this.#reader === null && isOneWholeMessage(chunk, this.#host.maxReceiveBytes)) {
      this.#dispatch(chunk.subarray(FRAME_HEADER_BYTES));
      return;
    }
    this.#reader ??= new FrameReader(this.#host.maxReceiveBytes, this.#host.budget);
    try {
      this.#reader.push(chunk, (message) => this.#dispatch(message));
    } catch (error) {
      this.#fail(error);
    }
  }

  requestEnded(): void {
    if (this.#phase === "receiving") {
      const cutShort = this.#reader?.midMessage === true;
      this.#fail(new GrpcError(GrpcCode.INTERNAL, cutShort ? "the request message was cut short" : "the request has no message"));
    }
  }

  expired(): void {
    this.#fail(new GrpcError(GrpcCode.DEADLINE_EXCEEDED, "context deadline exceeded"));
  }

  /** The stream is gone, whoever ended it. An answer that still comes is dropped. */
  closed(): void {
    this.#phase = "answered";
    this.#release();
    this.#host.callEnded(this);
  }

  #dispatch(request: Uint8Array): void {
    if (this.#phase !== "receiving") {
      return;
    }
    this.#phase = "working";
    let reply: Reply | Promise<Reply>;
    try {
      reply = this.#handle(request, this.#context);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (reply instanceof Promise) {
      reply.then(
        (answer) => this.#answer(answer),
        (error: unknown) => this.#fail(error),
      );
    } else {
      this.#answer(reply);
    }
  }

  #answer(reply: Reply): void {
    const stream = this.#stream;
    if (this.#phase === "answered" || stream.destroyed || stream.closed) {
      return;
    }
    this.#phase = "answered";
    this.#release();
    stream.respond(RESPONSE_HEADERS, RESPOND_WITH_TRAILERS);
    const buffers = encodeFrame(reply);
    const last = buffers.length - 1;
    if (last > 0) {
      stream.cork();
      for (let at = 0; at < last; at++) {
        stream.write(buffers[at]);
      }
      stream.end(buffers[last]);
      stream.uncork();
    } else {
      stream.end(buffers[0]);
    }
  }

  #fail(error: unknown): void {
    if (this.#phase === "answered") {
      return;
    }
    this.#phase = "answered";
    this.#release();
    if (!(error instanceof GrpcError)) {
      this.#host.fault(this.#context.path, error);
    }
    refuse(this.#stream, error instanceof GrpcError ? error : new GrpcError(GrpcCode.INTERNAL, "internal error of the server"));
  }

  #release(): void {
    if (this.#deadline !== null) {
      clearTimeout(this.#deadline);
      this.#deadline = null;
    }
    if (this.#reader !== null) {
      this.#reader.release();
      this.#reader = null;
    }
  }
}

/** Ends a stream on which nothing was answered with a status and no message ("Trailers-Only"). */
export function refuse(stream: ServerHttp2Stream, error: GrpcError): void {
  if (stream.destroyed || stream.closed || stream.headersSent) {
    return;
  }
  stream.respond(
    { ...RESPONSE_HEADERS, "grpc-status": String(error.code), "grpc-message": encodeGrpcMessage(error.message) },
    { endStream: true },
  );
  if (!stream.readableEnded) {
    lingerThenEnd(stream);
  }
}

/** How long a client may take to end its side after it was answered. */
const LINGER_MS = 50;

/**
 * The answer is on its way; what the client still sends is read and dropped. It is told to stop only after a moment: most are
 * about to half-close anyway, and a reset that arrives together with the answer makes some clients lose the answer.
 */
function lingerThenEnd(stream: ServerHttp2Stream): void {
  stream.resume();
  setTimeout(endRequest, LINGER_MS, stream).unref();
}

/**
 * After the answer is complete: a client that has not half-closed is told to stop sending (RST_STREAM with NO_ERROR, as
 * RFC 9113 section 8.1 has it), so that the stream does not stay open for its sake.
 */
export function endRequest(stream: ServerHttp2Stream): void {
  if (!stream.readableEnded && !stream.destroyed) {
    stream.resume();
    stream.close();
  }
}

/**
 * Deadlines of other calls are spread over few distinct lengths, because the timers of one length share a list: up to a
 * tenth is added, and the client, which keeps its own clock, gives up first anyway.
 */
function coarseTimeoutMs(timeoutMs: number): number {
  const step = timeoutMs >= 10_000 ? 1000 : timeoutMs >= 1000 ? 100 : timeoutMs >= 100 ? 10 : 1;
  return Math.min(Math.ceil(timeoutMs / step) * step, 2_147_483_647);
}

function isOneWholeMessage(chunk: Uint8Array, maxReceiveBytes: number): boolean {
  if (chunk.length < FRAME_HEADER_BYTES || chunk[0] !== 0 || chunk.length - FRAME_HEADER_BYTES > maxReceiveBytes) {
    return false;
  }
  const length = ((chunk[1] ?? 0) << 24) | ((chunk[2] ?? 0) << 16) | ((chunk[3] ?? 0) << 8) | (chunk[4] ?? 0);
  return length === chunk.length - FRAME_HEADER_BYTES;
}

function onDeadline(call: UnaryCall): void {
  call.expired();
}

function onData(this: CallStream, chunk: Uint8Array): void {
  this.quorateCall?.received(chunk);
}

function onEnd(this: CallStream): void {
  this.quorateCall?.requestEnded();
}

function onWantTrailers(this: CallStream): void {
  if (this.destroyed || this.closed) {
    return;
  }
  this.sendTrailers(OK_TRAILERS);
  if (!this.readableEnded) {
    lingerThenEnd(this);
  }
}

function onClose(this: CallStream): void {
  this.quorateCall?.closed();
}
