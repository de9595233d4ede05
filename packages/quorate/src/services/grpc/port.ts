/**
 * The client port: one TCP port for gRPC (HTTP/2 by prior knowledge) and for plain HTTP/1.1. Which one a connection
 * speaks is seen in its first three bytes: the HTTP/2 preface begins with "PRI", which is no method of HTTP/1.1.
 */
import { createServer as createHttpServer, type Server as HttpServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { GrpcServer } from "./server.js";

export interface ClientPortOptions {
  readonly grpc: GrpcServer;
  readonly http: RequestListener;
  /** Connections open at one time; more are closed at once. Default 1,000. */
  readonly maxConnections?: number;
  /** A connection that has not said what it speaks by then is closed. Default 10,000. */
  readonly firstBytesTimeoutMs?: number;
}

const PREFACE_START = "PRI";

export class ClientPort {
  readonly #grpc: GrpcServer;
  readonly #http: HttpServer;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #firstBytesTimeoutMs: number;

  constructor(options: ClientPortOptions) {
    this.#grpc = options.grpc;
    this.#firstBytesTimeoutMs = options.firstBytesTimeoutMs ?? 10_000;
    this.#http = createHttpServer({ maxHeaderSize: 16 * 1024, requestTimeout: 30_000 }, options.http);
    this.#http.on("clientError", (_error, socket) => socket.destroy());
    this.#server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 }, (socket) =>
      this.#accept(socket),
    );
    this.#server.maxConnections = options.maxConnections ?? 1000;
  }

  /** Listens; rejects with the system's error (EADDRINUSE, EADDRNOTAVAIL, EACCES) when the address can't be had. */
  listen(host: string, port: number): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off("error", reject);
        this.#server.on("error", () => undefined);
        const address = this.#server.address();
        if (address === null || typeof address === "string") {
          reject(new Error("the client port has no address"));
        } else {
          resolve(address);
        }
      });
    });
  }

  /** Accepts nothing more, lets calls under way finish for `graceMs`, then closes every connection. */
  async stop(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#http.closeIdleConnections();
    await this.#grpc.stop(graceMs);
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await closed;
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    // Until a protocol takes over, an error only means that the connection is gone; later each has its own listener.
    socket.on("error", () => socket.destroy());
    socket.setTimeout(this.#firstBytesTimeoutMs, () => socket.destroy());
    let first: Buffer = Buffer.alloc(0);
    const peek = () => {
      const more = socket.read() as Buffer | null;
      if (more === null) {
        return;
      }
      first = first.length === 0 ? more : Buffer.concat([first, more]);
      const start = first.toString("latin1", 0, PREFACE_START.length);
      if (start.length < PREFACE_START.length && PREFACE_START.startsWith(start)) {
        return;
      }
      socket.unshift(first);
      socket.off("readable", peek);
      socket.off("end", endedEarly);
      socket.setTimeout(0);
      socket.removeAllListeners("timeout");
      if (start === PREFACE_START) {
        this.#grpc.adopt(socket);
      } else {
        socket.allowHalfOpen = true;
        this.#http.emit("connection", socket);
        socket.resume();
      }
    };
    const endedEarly = () => socket.destroy();
    socket.on("readable", peek);
    socket.on("end", endedEarly);
  }
}
