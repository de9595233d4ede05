/**
 * The multi-version key-value store of etcd's semantics, pure: the same code runs in the server, the simulator and a
 * browser. Begin reading at machine.ts (the replicated state machine) and mvcc.ts (the store itself).
 */
export {
  checkDeleteRangeRequest,
  checkPutRequest,
  checkRangeRequest,
  checkTxnRequest,
  MAX_TXN_OPS,
} from "./checks.js";
export {
  CLIENT_URL_LIMIT_BYTES,
  CLIENT_URLS_LIMIT,
  CommandKind,
  decodeAttributes,
  encodeAttributes,
  encodeCommand,
  type MemberAttributes,
  NAME_LIMIT_BYTES,
} from "./commands.js";
export * from "./faults.js";
export * from "./kv-codec.js";
export { KvMachine, type KvMachineOptions, MEMBERS_LIMIT, type RangeResult } from "./machine.js";
export { LENGTH_DELIMITED, ProtobufError, VARINT, WireReader, WireWriter } from "./protobuf.js";
export * from "./protocol.js";
export { type CommandResult, decodeResult, encodeFault, encodeResponseWithHeader, type ResponseOrigin } from "./results.js";
export { PIECE_BYTES, SnapshotError } from "./snapshot.js";
