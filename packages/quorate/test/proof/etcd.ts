/** The `etcd3` npm client, told to do exactly what it is asked and nothing behind our back. */
import { Etcd3, type IOptions, type IRangeResponse } from "etcd3";
import type { Found } from "./history.js";

type Policy = NonNullable<NonNullable<IOptions["faultHandling"]>["global"]>;

/**
 * By default the client asks again by itself after an error; a write could then happen twice, or a swap that succeeded be
 * reported as refused by itself. Here a call is one call.
 */
const ONCE: Policy = {
  _altReturn: undefined as never,
  onSuccess: () => ({ dispose() {} }),
  onFailure: () => ({ dispose() {} }),
  execute: async (call, signal) => call({ signal: signal ?? new AbortController().signal }),
};

export function connect(endpoints: readonly string[], deadlineMs: number): Etcd3 {
  return new Etcd3({
    hosts: endpoints.map((endpoint) => `http://${endpoint}`),
    faultHandling: { host: () => ONCE, global: ONCE },
    grpcOptions: {
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.min_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 300,
    },
    defaultCallOptions: (context) => (context.isStream ? {} : { deadline: Date.now() + deadlineMs }),
  });
}

/** What a range over one key found. */
export function found(response: IRangeResponse | undefined): Found | null {
  const pair = response?.kvs[0];
  return pair === undefined ? null : { value: pair.value.toString(), revision: Number(pair.mod_revision) };
}

/**
 * True when it is certain that the request never reached a server: no connection could be made for it. Everything else that
 * can go wrong leaves the outcome open.
 */
export function wasNeverSent(error: unknown): boolean {
  const text = error instanceof Error ? error.message : String(error);
  return /No connection established|ECONNREFUSED|Name resolution failed/.test(text);
}
