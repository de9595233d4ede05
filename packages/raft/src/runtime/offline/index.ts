/** Tools for data directories that no node uses: to look at them, to back them up, and to go on when a majority is lost. */
export { type BackupOptions, backUpDirectory, type DirectoryBackup, readBackup, restoreBackup, writeBackup } from "./backup.js";
export { type BackupHead, BackupReader, type BackupSummary, BackupWriter } from "./backup-file.js";
export { BLOCK_PATH, readBlock } from "./block.js";
export type { NewCluster, NewClusterMade } from "./brought.js";
export { type Degree, type Finding, Refusal, worstOf } from "./finding.js";
export type { FoundEntry } from "./group-log.js";
export {
  lookForRecovery,
  type RecoveryMade,
  type RecoveryPlan,
  type RecoveryRequest,
  recoverDirectory,
} from "./recover.js";
export { type FoundConfiguration, lookingAt, type ScannedDirectory, scanDirectory } from "./scan-directory.js";
export type { FoundSegment } from "./scan-log.js";
export type { FoundSnapshot } from "./scan-snapshots.js";
