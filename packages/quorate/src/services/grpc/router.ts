/**
 * The seam between the services and whatever carries their calls: `(path, metadata, request bytes) → reply bytes`, with
 * streams beside it. Nothing here knows HTTP, so another front can be put before the same services.
 */
import type { Reply } from "./frame.js";
import type { GrpcError } from "./status.js";

/** What came with a call besides its message. Names are in lower case. */
export type Metadata = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface CallContext {
  /** "/package.Service/Method" */
  readonly path: string;
  readonly metadata: Metadata;
  /** How long the client still waits, counted from the arrival of the call; null: as long as it takes. */
  readonly timeoutMs: number | null;
}

/** Answers one message with one message. A GrpcError that is thrown, or rejected with, becomes the call's status. */
export type UnaryHandler = (request: Uint8Array, context: CallContext) => Reply | Promise<Reply>;

/** What a streaming method may do with its call. After `end`, `fail` or `ended` nothing has any effect. */
export interface StreamCall {
  readonly context: CallContext;
  /**
   * Sends one message. False: more than a little is waiting to be read by the client; go on when `drained` is called. A
   * client that does not read is cut off once `maxStreamBufferBytes` are waiting for it.
   */
  send(message: Reply): boolean;
  /** Ends the call with status OK. */
  end(): void;
  fail(error: GrpcError): void;
  /** Stops and restarts the flow of the client's messages. */
  pause(): void;
  resume(): void;
}

/** What happens to a streaming call. */
export interface StreamListener {
  message(request: Uint8Array): void;
  /** The client sends nothing more. */
  halfClosed(): void;
  /** `send` may go on. */
  drained(): void;
  /** The call is over, whoever ended it. Called exactly once, last. */
  ended(): void;
}

export type StreamHandler = (call: StreamCall) => StreamListener;

export type Method =
  | { readonly kind: "unary"; readonly handle: UnaryHandler }
  | { readonly kind: "stream"; readonly open: StreamHandler };

/** Methods by path. */
export type Routes = ReadonlyMap<string, Method>;

/** The first value of a name, whether it came once or several times. */
export function metadataValue(metadata: Metadata, name: string): string | undefined {
  const value = metadata[name];
  return typeof value === "string" || value === undefined ? value : value[0];
}
