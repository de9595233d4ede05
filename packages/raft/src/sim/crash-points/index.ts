/**
 * Crash points: what a workload does to a disk is written down (recording-disk.ts), everything that a crash may leave after each
 * effect is made (images.ts), and a new process must find there whatever was promised (run.ts). The workloads are the
 * log, the identity, the snapshots, a node alone, and a member of three.
 */
export { type IdentityCaseOptions, identityCase } from "./identity-case.js";
export { type LogCase, type LogCaseOptions, logCase } from "./log-case.js";
export { type MemberCase, type MemberCaseOptions, memberCase } from "./member-case.js";
export { type NodeCaseOptions, nodeCase } from "./node-case.js";
export { type CrashCase, type CrashPlan, type CrashReport, runCrashPoints } from "./run.js";
export { type SnapshotCaseOptions, snapshotCase } from "./snapshot-case.js";
