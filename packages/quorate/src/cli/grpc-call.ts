/**
 * gRPC calls over node:http2, as much of it as asking a server how it is, or for a backup, needs: no TLS, no compression, one
 * connection for each endpoint.
 *
 * Source: "gRPC over HTTP2" (request headers, Length-Prefixed-Message, trailers).
 */
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import { FrameReader, ReceiveBudget } from "../services/grpc/frame.js";
import { decodeGrpcMessage } from "../services/grpc/status.js";

const FRAME_HEADER_BYTES = 5;
/** No answer that is asked for here is near this. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const CLOSED = "the connection was closed without an answer";

/** The call brought no answer; the message says why, in words that fit behind "unreachable: host:port: ". */
export class CallFailure extends Error {
  override readonly name = "CallFailure";
}

export class GrpcChannel {
  readonly #session: ClientHttp2Session;
  readonly #timeoutMs: number;
  #broken: Error | null = null;

  private constructor(session: ClientHttp2Session, timeoutMs: number) {
    this.#session = session;
    this.#timeoutMs = timeoutMs;
    session.on("error", (error: Error) => {
      this.#broken ??= error;
    });
  }

  /** `timeoutMs` holds for the connecting and for each call. */
  static open(endpoint: string, timeoutMs: number): Promise<GrpcChannel> {
    return new Promise((resolve, reject) => {
      const session = connect(`http://${endpoint}`);
      const channel = new GrpcChannel(session, timeoutMs);
      const timer = setTimeout(() => {
        reject(new CallFailure(`no connection within ${timeoutMs} ms`));
        session.destroy();
      }, timeoutMs);
      session.once("connect", () => {
        clearTimeout(timer);
        resolve(channel);
      });
      session.once("error", (error: Error) => {
        clearTimeout(timer);
        reject(new CallFailure(describeBreak(error)));
      });
    });
  }

  /** Sends one message to a method and returns the one that answers. */
  call(path: string, request: Uint8Array): Promise<Uint8Array> {
    if (this.#session.destroyed) return Promise.reject(new CallFailure(describeBreak(this.#broken ?? new Error(CLOSED))));
    return new Promise((resolve, reject) => {
      const fail = (message: string): void => {
        clearTimeout(timer);
        stream.destroy();
        reject(new CallFailure(message));
      };
      const stream = this.#session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        "grpc-timeout": `${this.#timeoutMs}m`,
        "user-agent": "quorate-status",
      });
      const timer = setTimeout(() => fail(`no answer within ${this.#timeoutMs} ms`), this.#timeoutMs);
      const chunks: Buffer[] = [];
      let bytes = 0;
      let headers: IncomingHttpHeaders = {};
      let trailers: IncomingHttpHeaders = {};
      stream.on("response", (received) => {
        headers = received;
      });
      stream.on("trailers", (received: IncomingHttpHeaders) => {
        trailers = received;
      });
      stream.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_ANSWER_BYTES) fail(`answers with more than ${MAX_ANSWER_BYTES} bytes; is it a server of this kind?`);
        else chunks.push(chunk);
      });
      stream.on("error", (error: Error) => fail(describeBreak(this.#broken ?? error)));
      stream.on("close", () => {
        clearTimeout(timer);
        try {
          resolve(readAnswer(headers, trailers, Buffer.concat(chunks)));
        } catch (error) {
          reject(this.#broken === null ? error : new CallFailure(describeBreak(this.#broken)));
        }
      });
      stream.end(frame(request));
    });
  }

  /** Sends one message to a method and gives those that answer, as they come; a slow reader slows the server down. */
  async *stream(path: string, request: Uint8Array): AsyncGenerator<Uint8Array> {
    const stream = this.#session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      "user-agent": "quorate",
    });
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    stream.on("response", (received) => {
      headers = received;
    });
    stream.on("trailers", (received: IncomingHttpHeaders) => {
      trailers = received;
    });
    // Silence, not slowness: each piece that comes begins the time anew.
    stream.setTimeout(this.#timeoutMs, () => stream.destroy(new Error(`nothing came for ${this.#timeoutMs} ms`)));
    stream.end(frame(request));
    const messages: Uint8Array[] = [];
    const reader = new FrameReader(MAX_ANSWER_BYTES, new ReceiveBudget(MAX_ANSWER_BYTES));
    try {
      for await (const chunk of stream) {
        reader.push(chunk as Buffer, (message) => messages.push(Uint8Array.from(message)));
        yield* messages.splice(0);
      }
    } catch (error) {
      throw new CallFailure(describeBreak(this.#broken ?? (error instanceof Error ? error : new Error(String(error)))));
    }
    checkStatus(headers, trailers);
    if (reader.midMessage) throw new CallFailure("the answer was cut short");
  }

  close(): void {
    this.#session.destroy();
  }
}

function frame(message: Uint8Array): Buffer {
  const framed = Buffer.alloc(FRAME_HEADER_BYTES + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, FRAME_HEADER_BYTES);
  return framed;
}

/** Throws when the call did not end with OK. */
function checkStatus(headers: IncomingHttpHeaders, trailers: IncomingHttpHeaders): void {
  const status = headers[":status"];
  if (status === undefined) throw new CallFailure(CLOSED);
  const code = trailers["grpc-status"] ?? headers["grpc-status"];
  if (code === undefined) throw new CallFailure(`does not speak gRPC (HTTP status ${String(status)}); is it the client port?`);
  if (code !== "0") {
    const text = String(trailers["grpc-message"] ?? headers["grpc-message"] ?? "no reason given");
    throw new CallFailure(`refuses: ${decodeGrpcMessage(text)} (gRPC code ${String(code)})`);
  }
}

function readAnswer(headers: IncomingHttpHeaders, trailers: IncomingHttpHeaders, body: Buffer): Uint8Array {
  checkStatus(headers, trailers);
  if (body.length < FRAME_HEADER_BYTES || body[0] !== 0 || body.readUInt32BE(1) !== body.length - FRAME_HEADER_BYTES) {
    throw new CallFailure("answers with something that is not one whole gRPC message");
  }
  return body.subarray(FRAME_HEADER_BYTES);
}

const BREAKS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there; is the node running?",
  ECONNRESET: "the connection was reset",
  ENOTFOUND: "the host is unknown",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the host",
  ETIMEDOUT: "the connection could not be made in time",
  ERR_HTTP2_ERROR: "does not speak HTTP/2; is it the client port?",
  ERR_HTTP2_STREAM_CANCEL: CLOSED,
};

/** Why a connection brought nothing, in a reader's words. */
export function describeBreak(error: Error): string {
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return BREAKS[code] ?? error.message;
}
