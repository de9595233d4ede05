/**
 * gRPC over node:http2, as little of it as the services need: it takes sockets on which HTTP/2 is spoken, and calls the
 * methods in `routes`. Node keeps the HTTP/2 safe (header sizes, invalid frames, rapid resets); this layer limits what
 * calls may hold.
 *
 * Source: "gRPC over HTTP2" (requests, responses, what to do with requests that are not gRPC).
 */
import {
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { ReceiveBudget } from "./frame.js";
import type { CallContext, Method, Routes } from "./router.js";
import { GrpcCode, GrpcError, parseGrpcTimeout } from "./status.js";
import { OpenStream } from "./stream-call.js";
import { type CallHost, refuse, UnaryCall } from "./unary-call.js";

export interface GrpcLimits {
  /** Largest request message. Default 2 MiB: etcd's 1.5 MiB for a request and 512 KiB for what wraps it. */
  readonly maxReceiveBytes: number;
  /** Calls open at one time on one connection. Default 4,096. */
  readonly maxConcurrentStreams: number;
  /** Calls open at one time on all connections; beyond it a call fails with ResourceExhausted. Default 65,536. */
  readonly maxCalls: number;
  /** Bytes of half-received messages on all connections. Default 256 MiB. */
  readonly maxUnfinishedBytes: number;
  /** Bytes that may wait for the client of one streaming call; beyond it the call is reset. Default 16 MiB. */
  readonly maxStreamBufferBytes: number;
}

export const DEFAULT_GRPC_LIMITS: GrpcLimits = {
  maxReceiveBytes: 1.5 * 1024 * 1024 + 512 * 1024,
  maxConcurrentStreams: 4096,
  maxCalls: 65_536,
  maxUnfinishedBytes: 256 * 1024 * 1024,
  maxStreamBufferBytes: 16 * 1024 * 1024,
};

export interface GrpcServerOptions {
  readonly routes: Routes;
  readonly limits?: Partial<GrpcLimits>;
  /** What open streams, and calls that come while the server stops, are told. */
  readonly stopError?: GrpcError;
  /** A handler threw something that is not a GrpcError; the client was told "internal error". */
  readonly onFault?: (path: string, error: unknown) => void;
}

/** Flow control window of a connection: several requests of the largest size may be under way. */
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
const STREAM_WINDOW_BYTES = 1024 * 1024;
/** Silence on a connection after which the client is asked for a sign of life, and how long that may take. */
const IDLE_MS = 60_000;
const PROBE_MS = 20_000;
/** What Node may hold for one connection before it refuses new streams on it, in MB. */
const SESSION_MEMORY_MB = 64;

export class GrpcServer {
  readonly #routes: Routes;
  readonly #limits: GrpcLimits;
  readonly #stopError: GrpcError;
  readonly #http2: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #streams = new Set<OpenStream>();
  readonly #services: ReadonlySet<string>;
  readonly #host: CallHost;
  #calls = 0;
  #stopping = false;

  constructor(options: GrpcServerOptions) {
    this.#routes = options.routes;
    this.#limits = { ...DEFAULT_GRPC_LIMITS, ...options.limits };
    this.#stopError = options.stopError ?? new GrpcError(GrpcCode.UNAVAILABLE, "the server is stopping");
    this.#services = new Set(Array.from(options.routes.keys(), serviceOf));
    const onFault = options.onFault ?? (() => undefined);
    this.#host = {
      maxReceiveBytes: this.#limits.maxReceiveBytes,
      maxStreamBufferBytes: this.#limits.maxStreamBufferBytes,
      budget: new ReceiveBudget(this.#limits.maxUnfinishedBytes),
      fault: onFault,
      callEnded: (call) => {
        this.#calls -= 1;
        if (call instanceof OpenStream) {
          this.#streams.delete(call);
        }
      },
    };
    this.#http2 = createServer({
      settings: { maxConcurrentStreams: this.#limits.maxConcurrentStreams, initialWindowSize: STREAM_WINDOW_BYTES },
      maxSessionMemory: SESSION_MEMORY_MB,
    });
    this.#http2.on("session", (session) => this.#addSession(session));
    this.#http2.on("stream", (stream, headers) => this.#addStream(stream, headers));
    // Whatever goes wrong on a connection ends that connection; there is nobody to tell.
    this.#http2.on("sessionError", ignore);
  }

  /** Calls that are open now. */
  get calls(): number {
    return this.#calls;
  }

  /** Takes over a socket that speaks HTTP/2 from its first byte (which may have been unshifted). */
  adopt(socket: Socket): void {
    this.#http2.emit("connection", socket);
  }

  /** Ends streaming calls, lets unary ones finish for `graceMs`, then closes what is left. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    for (const stream of this.#streams) {
      stream.fail(this.#stopError);
    }
    const sessions = [...this.#sessions];
    const closed = sessions.map((session) => new Promise<void>((resolve) => session.once("close", resolve)));
    for (const session of sessions) {
      session.close();
    }
    const timer = setTimeout(() => {
      for (const session of sessions) {
        session.destroy();
      }
    }, graceMs);
    await Promise.all(closed);
    clearTimeout(timer);
  }

  #addSession(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.on("error", ignore);
    session.once("close", () => this.#sessions.delete(session));
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    session.setTimeout(IDLE_MS, () => probe(session));
    if (this.#stopping) {
      session.close();
    }
  }

  #addStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on("error", ignore);
    if (headers[":method"] !== "POST" || !isGrpc(headers["content-type"])) {
      refuseOther(stream, headers);
      return;
    }
    const path = headers[":path"] ?? "";
    const method = this.#routes.get(path);
    const refusal = this.#refusal(path, method, headers["grpc-timeout"]);
    if (refusal !== null || method === undefined) {
      refuse(stream, refusal ?? unknownMethod(path, this.#services));
      return;
    }
    const timeout = headers["grpc-timeout"];
    const context: CallContext = {
      path,
      metadata: headers,
      timeoutMs: typeof timeout === "string" ? parseGrpcTimeout(timeout) : null,
    };
    this.#calls += 1;
    if (method.kind === "unary") {
      new UnaryCall(stream, this.#host, method.handle, context);
    } else {
      const call = new OpenStream(stream, this.#host, context);
      this.#streams.add(call);
      call.start(method.open);
    }
  }

  #refusal(path: string, method: Method | undefined, timeout: unknown): GrpcError | null {
    if (this.#stopping) {
      return this.#stopError;
    }
    if (method === undefined) {
      return unknownMethod(path, this.#services);
    }
    if (timeout !== undefined && (typeof timeout !== "string" || parseGrpcTimeout(timeout) === null)) {
      return new GrpcError(GrpcCode.INTERNAL, "malformed grpc-timeout: it is at most eight digits and one of H, M, S, m, u, n");
    }
    if (this.#calls >= this.#limits.maxCalls) {
      return new GrpcError(GrpcCode.RESOURCE_EXHAUSTED, "etcdserver: too many requests");
    }
    return null;
  }
}

function unknownMethod(path: string, services: ReadonlySet<string>): GrpcError {
  const slash = path.lastIndexOf("/");
  if (!path.startsWith("/") || slash < 1) {
    return new GrpcError(GrpcCode.UNIMPLEMENTED, `malformed method name: ${JSON.stringify(path.slice(0, 200))}`);
  }
  const service = serviceOf(path).slice(0, 200);
  const method = path.slice(slash + 1, slash + 201);
  return new GrpcError(
    GrpcCode.UNIMPLEMENTED,
    services.has(service) ? `unknown method ${method} for service ${service}` : `unknown service ${service}`,
  );
}

function serviceOf(path: string): string {
  return path.slice(1, path.lastIndexOf("/"));
}

/** "application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8", but not "application/grpc-web". */
function isGrpc(contentType: string | undefined): boolean {
  if (contentType === undefined || !contentType.startsWith("application/grpc")) {
    return false;
  }
  const next = contentType[16];
  return next === undefined || next === "+" || next === ";";
}

/** A request that is not gRPC gets a plain HTTP answer: it has no trailers to read. */
function refuseOther(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const post = headers[":method"] === "POST";
  stream.respond(
    {
      ":status": post ? constants.HTTP_STATUS_UNSUPPORTED_MEDIA_TYPE : constants.HTTP_STATUS_METHOD_NOT_ALLOWED,
      ...(post ? {} : { allow: "POST" }),
    },
    { endStream: true },
  );
  stream.resume();
  if (!stream.readableEnded) {
    stream.close();
  }
}

/** A client that is silent is asked whether it is there; one that does not answer holds its connection no longer. */
function probe(session: ServerHttp2Session): void {
  const deadline = setTimeout(() => session.destroy(), PROBE_MS);
  deadline.unref();
  session.once("close", () => clearTimeout(deadline));
  if (session.destroyed || !session.ping(() => clearTimeout(deadline))) session.destroy();
}

function ignore(): void {}
