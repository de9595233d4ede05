/**
 * @quorate/raft/runtime: the node without a platform. `openHost` opens one on any four ports, callback style; `createFace`
 * puts promises around it. Programs on Node.js import `openRaftNode` from @quorate/raft instead.
 */
export { clusterIdOf, hexadecimal } from "./cluster-id.js";
export { crc32c } from "./crc32c.js";
export * from "./errors.js";
export { createFace } from "./face.js";
export type { FounderRecord, FoundingNotice } from "./founding.js";
export { NodeHost, openHost } from "./host.js";
export type { GroupLog, GroupLogHandler, RecoveredGroup } from "./log-store.js";
export { incarnationText, memberId, memberName } from "./member-id.js";
export type * from "./node.js";
export * from "./offline/index.js";
export { checkAddress, checkName, checkNodeOptions, type NodeOptions } from "./options.js";
export * from "./ports.js";
export { type ClientSession, openClientSession } from "./sessions/client-session.js";
export type { CommittedEntry, DurableStorage, KeptRecord, StateMachine } from "./state-machine.js";
export { LogDamage } from "./storage/recovery.js";
export { type NodeStorage, openStorage, type StorageOptions } from "./storage-binding.js";
export { call, perform, runTask, type Task } from "./task.js";
