/**
 * @quorate/raft/core: the algorithm, pure. Begin reading at raft.ts (the door) and state.ts (Figure 2 of the paper);
 * handlers.ts says what each role does with each message; each other file is one idea.
 */
export { readStamp } from "./cluster-time.js";
export * from "./configuration.js";
export { decodeConfiguration, encodeConfiguration } from "./configuration-codec.js";
export * from "./event.js";
export { TABLE } from "./handlers.js";
export { InvariantViolation } from "./invariants.js";
export { RaftLog } from "./log.js";
export type { MembershipOutcome } from "./membership.js";
export type { MembershipChange, MembershipRefusal } from "./membership-change.js";
export * from "./message.js";
export { checkOptions, DEFAULT_OPTIONS, type RaftOptions } from "./options.js";
export * from "./output.js";
export type { Progress, SnapshotTransfer } from "./progress.js";
export * from "./quorum.js";
export { Raft, type RaftStart } from "./raft.js";
export type { ConfigurationAt } from "./state.js";
export { isTransferring, type TransferEnd, type TransferRefusal } from "./transfer.js";
export * from "./types.js";
