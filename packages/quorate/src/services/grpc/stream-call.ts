/**
 * One streaming call on an HTTP/2 stream: any number of messages in both directions (server streaming is the case in
 * which the client sends one). Both directions have a brake: `pause` stops reading, and `send` says when enough waits.
 */
import type { ServerHttp2Stream } from "node:http2";
import { encodeFrame, FrameReader, type Reply } from "./frame.js";
import type { CallContext, StreamCall, StreamHandler, StreamListener } from "./router.js";
import { encodeGrpcMessage, GrpcCode, GrpcError } from "./status.js";
import { type CallHost, endRequest, RESPOND_WITH_TRAILERS, RESPONSE_HEADERS, refuse } from "./unary-call.js";

export class OpenStream implements StreamCall {
  readonly context: CallContext;
  readonly #stream: ServerHttp2Stream;
  readonly #host: CallHost;
  readonly #reader: FrameReader;
  #listener: StreamListener | null = null;
  #status: GrpcError | null = null;
  /** Nothing more may be sent: `end` or `fail` was called, or the stream is gone. */
  #over = false;
  #deadline: NodeJS.Timeout | null = null;

  constructor(stream: ServerHttp2Stream, host: CallHost, context: CallContext) {
    this.context = context;
    this.#stream = stream;
    this.#host = host;
    this.#reader = new FrameReader(host.maxReceiveBytes, host.budget);
  }

  /** Separate from the constructor, because the handler may use the call at once. */
  start(open: StreamHandler): void {
    const { timeoutMs } = this.context;
    if (timeoutMs !== null) {
      const expire = () => this.fail(new GrpcError(GrpcCode.DEADLINE_EXCEEDED, "context deadline exceeded"));
      this.#deadline = setTimeout(expire, Math.min(timeoutMs, 2_147_483_647));
    }
    this.#stream.on("close", () => this.#closed());
    this.#stream.on("drain", () => this.#guarded((listener) => listener.drained()));
    this.#stream.on("wantTrailers", () => this.#sendTrailers());
    try {
      this.#listener = open(this);
    } catch (error) {
      this.#fault(error);
      return;
    }
    this.#stream.on("data", (chunk: Uint8Array) => this.#received(chunk));
    this.#stream.on("end", () => this.#halfClosed());
  }

  send(message: Reply): boolean {
    if (this.#over || this.#stream.destroyed || this.#stream.closed) {
      return false;
    }
    if (!this.#stream.headersSent) {
      this.#stream.respond(RESPONSE_HEADERS, RESPOND_WITH_TRAILERS);
    }
    let flowing = true;
    for (const buffer of encodeFrame(message)) {
      flowing = this.#stream.write(buffer);
    }
    if (this.#stream.writableLength > this.#host.maxStreamBufferBytes) {
      // The status could only be sent after everything that the client does not read: it learns by the reset.
      this.#over = true;
      this.#stream.close(ENHANCE_YOUR_CALM);
      return false;
    }
    return flowing;
  }

  end(): void {
    this.#finish(null);
  }

  fail(error: GrpcError): void {
    this.#finish(error);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  #finish(status: GrpcError | null): void {
    if (this.#over || this.#stream.destroyed || this.#stream.closed) {
      return;
    }
    this.#over = true;
    this.#status = status;
    if (!this.#stream.headersSent) {
      if (status !== null) {
        refuse(this.#stream, status);
        return;
      }
      this.#stream.respond(RESPONSE_HEADERS, RESPOND_WITH_TRAILERS);
    }
    this.#stream.end();
  }

  #sendTrailers(): void {
    if (this.#stream.destroyed || this.#stream.closed) {
      return;
    }
    const status = this.#status;
    this.#stream.sendTrailers(
      status === null
        ? { "grpc-status": "0" }
        : { "grpc-status": String(status.code), "grpc-message": encodeGrpcMessage(status.message) },
    );
    // The trailers leave in the next turn, and the reset must not overtake them.
    setImmediate(endRequest, this.#stream);
  }

  #received(chunk: Uint8Array): void {
    if (this.#over) {
      return;
    }
    try {
      this.#reader.push(chunk, (message) => {
        if (!this.#over) {
          this.#listener?.message(message);
        }
      });
    } catch (error) {
      this.#fault(error);
    }
  }

  #halfClosed(): void {
    if (this.#over) {
      return;
    }
    if (this.#reader.midMessage) {
      this.fail(new GrpcError(GrpcCode.INTERNAL, "the request message was cut short"));
    } else {
      this.#guarded((listener) => listener.halfClosed());
    }
  }

  #guarded(action: (listener: StreamListener) => void): void {
    if (this.#over || this.#listener === null) {
      return;
    }
    try {
      action(this.#listener);
    } catch (error) {
      this.#fault(error);
    }
  }

  #fault(error: unknown): void {
    if (error instanceof GrpcError) {
      this.fail(error);
    } else {
      this.#host.fault(this.context.path, error);
      this.fail(new GrpcError(GrpcCode.INTERNAL, "internal error of the server"));
    }
  }

  #closed(): void {
    this.#over = true;
    if (this.#deadline !== null) {
      clearTimeout(this.#deadline);
    }
    this.#reader.release();
    this.#host.callEnded(this);
    const listener = this.#listener;
    this.#listener = null;
    try {
      listener?.ended();
    } catch (error) {
      this.#host.fault(this.context.path, error);
    }
  }
}

/** RFC 9113 section 7: the peer behaves in a way that generates too much load. */
const ENHANCE_YOUR_CALM = 0xb;
