/**
 * The tools of runtime/offline on the directories of this machine. None of them needs a running node; all but the looking ones need
 * that none runs in the directory, and take its lock to make sure.
 */
import { createClock, createDisk, createRandom, placeOf } from "./platform/index.js";
import {
  type BackupSummary,
  backUpDirectory as backUpOnDisk,
  call,
  type DirectoryBackup,
  lookForRecovery,
  lookingAt,
  type NewCluster,
  type NewClusterMade,
  type RecoveryMade,
  type RecoveryPlan,
  type RecoveryRequest,
  readBackup,
  recoverDirectory as recoverOnDisk,
  restoreBackup,
  runTask,
  type ScannedDirectory,
  scanDirectory,
  type Task,
  writeBackup,
} from "./runtime/index.js";

export {
  type BackupSummary,
  type DirectoryBackup,
  type Finding,
  type RecoveryMade,
  type RecoveryPlan,
  Refusal,
  type ScannedDirectory,
} from "./runtime/index.js";

export type RestoreMade = NewClusterMade & { readonly backup: BackupSummary };

function promised<T>(body: () => Task<T>): Promise<T> {
  return new Promise((done, failed) => {
    runTask(body, (error, result) => {
      if (error !== null) failed(error);
      else done(result as T);
    });
  });
}

/**
 * What a data directory holds, and everything that is wrong with it. `entries`: of which the content is wanted; default none.
 * Changes nothing.
 */
export function inspectDirectory(
  directory: string,
  entries: { readonly from: number; readonly to: number } | null = null,
): Promise<ScannedDirectory> {
  const disk = createDisk(directory);
  const keeps = (index: number): boolean => entries !== null && index >= entries.from && index <= entries.to;
  return promised(() => lookingAt(disk, () => scanDirectory(disk, keeps)));
}

/** Writes a backup of a directory that no node uses into a new file. */
export function backUpDirectory(
  directory: string,
  file: string,
  { uncommitted = false }: { readonly uncommitted?: boolean } = {},
): Promise<DirectoryBackup> {
  const { disk, name } = placeOf(file);
  const takenAt = new Date().toISOString();
  return promised(() => backUpOnDisk(createDisk(directory), disk, name, { uncommitted, takenAt }));
}

/** Writes what comes from elsewhere, a running server's answer, into a new file, and checks it. */
export function writeBackupFile(file: string, parts: AsyncIterable<Uint8Array>): Promise<BackupSummary> {
  const { disk, name } = placeOf(file);
  const iterator = parts[Symbol.asyncIterator]();
  const next = (done: (error: Error | null, part: IteratorResult<Uint8Array> | null) => void): void => {
    iterator.next().then(
      (part) => done(null, part),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), null),
    );
  };
  return promised(() =>
    writeBackup(disk, name, function* (put) {
      for (;;) {
        const part = yield* call<IteratorResult<Uint8Array>>(next);
        if (part.done === true) return;
        yield* put(part.value);
      }
    }),
  );
}

/** Reads a backup as a whole. Throws a Refusal when it is not one, or not whole. */
export function checkBackup(file: string): Promise<BackupSummary> {
  const { disk, name } = placeOf(file);
  return promised(() => readBackup(disk, name));
}

/** Makes a data directory, the only member of a new cluster, out of a backup. */
export function restoreDirectory(file: string, directory: string, cluster: NewCluster): Promise<RestoreMade> {
  const { disk, name } = placeOf(file);
  const ports = { clock: createClock(), random: createRandom() };
  return promised(() => restoreBackup(disk, name, createDisk(directory), ports, cluster));
}

/** What `recoverDirectory` would keep and lose. Changes nothing. */
export function planRecovery(directory: string, request: RecoveryRequest): Promise<RecoveryPlan> {
  return promised(() => lookForRecovery(createDisk(directory), request));
}

/** Makes a new directory, the only member of a new cluster, out of one member of a cluster whose majority is lost. */
export function recoverDirectory(directory: string, into: string, request: RecoveryRequest): Promise<RecoveryMade> {
  const ports = { clock: createClock(), random: createRandom() };
  return promised(() => recoverOnDisk(createDisk(directory), createDisk(into), ports, request));
}
