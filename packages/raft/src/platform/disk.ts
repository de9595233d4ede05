/**
 * The real disk: a data directory on Node's file system. Writes go to the page cache at once, on the calling thread, which
 * is what a copy of memory costs; syncs go through the thread pool, so that a slow disk never holds up heartbeats
 * (measured: docs/benchmarks.md). The sync is always called on the descriptor that wrote.
 */
import * as fs from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type Disk, DiskError, type DiskErrorCode, type DiskFile } from "../runtime/ports.js";
import { type DirectoryLock, lockDirectory } from "./directory-lock.js";

const KNOWN: ReadonlySet<string> = new Set([
  "ENOENT",
  "EEXIST",
  "ENOSPC",
  "EIO",
  "EACCES",
  "EROFS",
  "ENOTDIR",
] satisfies DiskErrorCode[]);

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or directory",
  EEXIST: "it is there already",
  ENOSPC: "no space is left on the disk; make some, it is tried again",
  EIO: "the disk reports an error",
  EACCES: "permission denied; give this user the right to write there, or choose another directory",
  EROFS: "the file system is read-only; mount it writable, or choose another directory",
  ENOTDIR: "a part of the path is a file; choose another directory",
};

/** Up to this size a write to the page cache is not worth a trip through the thread pool. */
const SYNCHRONOUS_WRITE_BYTES = 1024 * 1024;

function diskError(error: NodeJS.ErrnoException, operation: string, path: string): DiskError {
  const given = error.code === "EPERM" ? "EACCES" : error.code === "EDQUOT" ? "ENOSPC" : (error.code ?? "");
  const code = KNOWN.has(given) ? (given as DiskErrorCode) : "OTHER";
  return new DiskError(code, operation, path, WORDS[given] ?? error.message);
}

class RealFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  read(position: number, length: number, callback: (error: DiskError | null, bytes: Uint8Array | null) => void): void {
    const bytes = new Uint8Array(length);
    const step = (at: number): void => {
      fs.read(this.#descriptor, bytes, at, length - at, position + at, (error, count) => {
        if (error !== null) callback(diskError(error, "read", this.path), null);
        else if (count === 0) callback(null, bytes.subarray(0, at));
        else if (at + count < length) step(at + count);
        else callback(null, bytes);
      });
    };
    if (length === 0) callback(null, bytes);
    else step(0);
  }

  write(position: number, data: Uint8Array, callback: (error: DiskError | null) => void): void {
    if (data.length <= SYNCHRONOUS_WRITE_BYTES) {
      try {
        for (let at = 0; at < data.length; ) at += fs.writeSync(this.#descriptor, data, at, data.length - at, position + at);
      } catch (error) {
        callback(diskError(error as NodeJS.ErrnoException, "write", this.path));
        return;
      }
      callback(null);
      return;
    }
    const step = (at: number): void => {
      fs.write(this.#descriptor, data, at, data.length - at, position + at, (error, count) => {
        if (error !== null) callback(diskError(error, "write", this.path));
        else if (at + count < data.length) step(at + count);
        else callback(null);
      });
    };
    step(0);
  }

  sync(callback: (error: DiskError | null) => void): void {
    fs.fdatasync(this.#descriptor, (error) => callback(error === null ? null : diskError(error, "fdatasync", this.path)));
  }

  truncate(length: number, callback: (error: DiskError | null) => void): void {
    fs.ftruncate(this.#descriptor, length, (error) => callback(error === null ? null : diskError(error, "ftruncate", this.path)));
  }

  size(callback: (error: DiskError | null, size: number | null) => void): void {
    fs.fstat(this.#descriptor, (error, stats) =>
      error === null ? callback(null, stats.size) : callback(diskError(error, "fstat", this.path), null),
    );
  }

  close(callback: (error: DiskError | null) => void): void {
    fs.close(this.#descriptor, (error) => callback(error == null ? null : diskError(error, "close", this.path)));
  }
}

const FLAGS = { read: "r", write: "r+", create: "wx+" } as const;

export function createDisk(directory: string): Disk {
  // A process may change its working directory; its data does not move with it.
  const location = resolve(directory);
  let lock: DirectoryLock | null = null;
  const at = (path: string): string => join(location, path);
  const simply =
    (operation: string, path: string, callback: (error: DiskError | null) => void) =>
    (error: NodeJS.ErrnoException | null): void =>
      callback(error === null ? null : diskError(error, operation, at(path)));
  return {
    location,
    open(path, mode, callback) {
      fs.open(at(path), FLAGS[mode], 0o600, (error, descriptor) => {
        if (error !== null) callback(diskError(error, "open", at(path)), null);
        else callback(null, new RealFile(at(path), descriptor));
      });
    },
    list(path, callback) {
      fs.readdir(at(path), (error, names) =>
        error === null ? callback(null, names.sort()) : callback(diskError(error, "list", at(path)), null),
      );
    },
    makeDirectory(path, callback) {
      makeDurably(at(path), (error) => simply("mkdir", path, callback)(error));
    },
    rename(from, to, callback) {
      fs.rename(at(from), at(to), simply("rename", to, callback));
    },
    remove(path, callback) {
      fs.unlink(at(path), simply("unlink", path, callback));
    },
    syncDirectory(path, callback) {
      syncFolder(at(path), simply("fsync", path, callback));
    },
    lock(callback) {
      makeDurably(location, (error) => {
        if (error?.code === "ENOENT")
          return callback(new DiskError("ENOENT", "mkdir", location, "no folder can be made there; choose another directory"));
        if (error !== null) return callback(diskError(error, "mkdir", location));
        lockDirectory(location).then(
          (taken) => {
            lock = taken;
            callback(
              taken === null
                ? new DiskError(
                    "EEXIST",
                    "lock",
                    location,
                    "another process uses this data directory: stop it first, or choose another directory",
                  )
                : null,
            );
          },
          (failure: NodeJS.ErrnoException) => callback(diskError(failure, "lock", location)),
        );
      });
    },
    unlock(callback) {
      const held = lock;
      lock = null;
      if (held === null) callback(null);
      else held.release(() => callback(null));
    },
  };
}

function syncFolder(path: string, done: (error: NodeJS.ErrnoException | null) => void): void {
  fs.open(path, "r", (error, descriptor) => {
    if (error !== null) return done(error);
    fs.fsync(descriptor, (syncError) => fs.close(descriptor, (closeError) => done(syncError ?? closeError ?? null)));
  });
}

/** With all its parents, each durable in the folder that holds it. */
function makeDurably(path: string, done: (error: NodeJS.ErrnoException | null) => void, parentIsThere = false): void {
  fs.mkdir(path, { mode: 0o700 }, (error) => {
    if (error === null) return syncFolder(dirname(path), done);
    if (error.code === "EEXIST") {
      return fs.stat(path, (failure, stats) => {
        if (failure !== null) return done(failure);
        if (!stats.isDirectory()) return done(Object.assign(new Error("not a directory"), { code: "ENOTDIR" }));
        // Whoever made it may have been killed before its name was durable. Where the folder above can't be synced at all (no
        // right to read it, a read-only file system), it is an old name.
        syncFolder(dirname(path), (unsynced) => done(unsynced?.code === "EIO" ? unsynced : null));
      });
    }
    // Some folders (/proc) say that there is no such file although the parent is there: asking once more changes nothing.
    if (error.code !== "ENOENT" || parentIsThere || dirname(path) === path) return done(error);
    makeDurably(dirname(path), (parentError) => (parentError === null ? makeDurably(path, done, true) : done(parentError)));
  });
}
