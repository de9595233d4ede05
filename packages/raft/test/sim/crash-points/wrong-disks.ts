/**
 * Disks for builds with a mistake: each stands between the code and the true disk and leaves out, or puts off, what such a
 * build would. The crash points must find every one of them.
 */
import type { Disk, DiskCallback, DiskFile } from "../../../src/runtime/ports.js";

type Wrap = (disk: Disk) => Disk;

function withFiles(disk: Disk, file: (file: DiskFile) => DiskFile): Disk {
  return {
    ...disk,
    open: (path, mode, done) => disk.open(path, mode, (error, opened) => done(error, opened === null ? null : file(opened))),
  };
}

/** The mistake is made in one folder only: "" is the identity's, "log" and "snapshots" the others'. */
const isIn = (folder: string, path: string): boolean => (folder === "" ? !path.includes("/") : path.startsWith(`${folder}/`));

/** Takes as long as an operation takes, and does nothing. */
const nothing =
  (file: DiskFile) =>
  (done: DiskCallback): void =>
    file.size((error) => done(error));

/** What is written to files that have no name yet is never synced: they are named too early. */
export const namesBeforeItSyncs =
  (folder: string): Wrap =>
  (disk) => {
    const isNamed = new Set<DiskFile>();
    const open: { path: string; file: DiskFile }[] = [];
    const wrapped = withFiles(disk, (file) => {
      if (!isIn(folder, file.path) || !file.path.endsWith(".tmp")) return file;
      open.push({ path: file.path, file });
      return { ...file, sync: (done) => (isNamed.has(file) ? file.sync(done) : nothing(file)(done)) };
    });
    return {
      ...wrapped,
      rename: (from, to, done) => {
        for (const { path, file } of open.filter((each) => each.path === from)) if (path === from) isNamed.add(file);
        disk.rename(from, to, done);
      },
    };
  };

/** Batches are written and never synced; segments are begun as they should be. */
export const doesNotSyncBatches: Wrap = (disk) => {
  const named = new Set<DiskFile>();
  let unnamed: DiskFile[] = [];
  const wrapped = withFiles(disk, (file) => {
    unnamed.push(file);
    return { ...file, sync: (done) => (named.has(file) ? nothing(file)(done) : file.sync(done)) };
  });
  return {
    ...wrapped,
    rename: (from, to, done) => {
      if (to.endsWith(".segment")) for (const file of unnamed) named.add(file);
      unnamed = [];
      disk.rename(from, to, done);
    },
  };
};

export const doesNotSyncFolder =
  (folder: string): Wrap =>
  (disk) => ({
    ...disk,
    syncDirectory: (path, done) => (path === folder ? disk.list(path, (error) => done(error)) : disk.syncDirectory(path, done)),
  });

/** Says at once that it has synced, and does it then; what is asked for meanwhile waits. */
export const answersBeforeItSyncs: Wrap = (disk) =>
  withFiles(disk, (file) => {
    let busy = false;
    let waiting: (() => void)[] = [];
    const whenIdle = (body: () => void): void => {
      if (busy) waiting.push(body);
      else body();
    };
    const sync = (done: DiskCallback): void => {
      busy = true;
      file.sync(() => {
        busy = false;
        const next = waiting;
        waiting = [];
        for (const body of next) whenIdle(body);
      });
      done(null);
    };
    return {
      ...file,
      write: (position, data, done) => {
        const copy = data.slice();
        whenIdle(() => file.write(position, copy, done));
      },
      sync: (done) => whenIdle(() => sync(done)),
      close: (done) => whenIdle(() => file.close(done)),
    };
  });
