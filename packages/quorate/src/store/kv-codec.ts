/** The messages of etcdserverpb.KV on the wire: requests in request-codec.ts, answers in response-codec.ts. */
export * from "./request-codec.js";
export * from "./response-codec.js";
