/**
 * The multi-version key-value store of etcd's semantics, pure: the same code runs in the server, the simulator and a
 * browser. Begin reading at machine.ts (the replicated state machine) and mvcc.ts (the store itself).
 */
export * from "./kv-codec.js";
export { ProtobufError } from "./protobuf.js";
export * from "./protocol.js";
