/** A disk of plain arrays that answers at once: for tests that look at every byte of a file. */
import {
  type Disk,
  type DiskCallback,
  DiskError,
  type DiskErrorCode,
  type DiskFile,
  type DiskResult,
} from "../../../src/runtime/ports.js";

export interface Operation {
  readonly kind: "open" | "write" | "sync" | "rename" | "remove" | "syncDirectory" | "makeDirectory";
  readonly path: string;
}

export class BytesDisk implements Disk {
  readonly location = "/disk";
  readonly files = new Map<string, Uint8Array>();
  readonly operations: Operation[] = [];
  /** Called before each operation that changes something; a code makes it fail. */
  before: (operation: Operation) => DiskErrorCode | null = () => null;
  #locked = false;

  /** The same files on a new disk. */
  copy(): BytesDisk {
    const other = new BytesDisk();
    for (const [path, bytes] of this.files) other.files.set(path, bytes.slice());
    return other;
  }

  bytesOf(path: string): Uint8Array {
    const bytes = this.files.get(path);
    if (bytes === undefined) throw new Error(`no file ${path}`);
    return bytes;
  }

  #attempt(operation: Operation): DiskError | null {
    this.operations.push(operation);
    const code = this.before(operation);
    return code === null ? null : new DiskError(code, operation.kind, operation.path, "made to fail");
  }

  open(path: string, mode: "read" | "write" | "create", callback: DiskResult<DiskFile>): void {
    if (mode === "create") {
      if (this.files.has(path)) return callback(new DiskError("EEXIST", "open", path, "exists"), null);
      const error = this.#attempt({ kind: "open", path });
      if (error !== null) return callback(error, null);
      this.files.set(path, new Uint8Array(0));
    } else if (!this.files.has(path)) {
      return callback(new DiskError("ENOENT", "open", path, "missing"), null);
    }
    callback(null, this.#file(path));
  }

  #file(opened: string): DiskFile {
    // A renamed file stays open under its new name.
    let content = this.bytesOf(opened);
    const path = (): string => [...this.files].find(([, bytes]) => bytes === content)?.[0] ?? opened;
    return {
      path: opened,
      read: (position, length, callback) => callback(null, content.slice(position, position + length)),
      write: (position, data, callback) => {
        const at = path();
        const error = this.#attempt({ kind: "write", path: at });
        if (error !== null) return callback(error);
        if (content.length < position + data.length) {
          const longer = new Uint8Array(position + data.length);
          longer.set(content);
          content = longer;
          this.files.set(at, longer);
        }
        content.set(data, position);
        callback(null);
      },
      sync: (callback) => callback(this.#attempt({ kind: "sync", path: path() })),
      truncate: (_length, callback) => callback(new DiskError("OTHER", "truncate", opened, "not used")),
      size: (callback) => callback(null, content.length),
      close: (callback) => callback(null),
    };
  }

  list(folder: string, callback: DiskResult<readonly string[]>): void {
    const names = [...this.files.keys()]
      .filter((path) => path.startsWith(`${folder}/`))
      .map((path) => path.slice(folder.length + 1));
    callback(null, names.sort());
  }

  makeDirectory(path: string, callback: DiskCallback): void {
    callback(this.#attempt({ kind: "makeDirectory", path }));
  }

  rename(from: string, to: string, callback: DiskCallback): void {
    const error = this.#attempt({ kind: "rename", path: to });
    if (error !== null) return callback(error);
    this.files.set(to, this.bytesOf(from));
    this.files.delete(from);
    callback(null);
  }

  remove(path: string, callback: DiskCallback): void {
    if (!this.files.has(path)) return callback(new DiskError("ENOENT", "remove", path, "missing"));
    const error = this.#attempt({ kind: "remove", path });
    if (error !== null) return callback(error);
    this.files.delete(path);
    callback(null);
  }

  syncDirectory(path: string, callback: DiskCallback): void {
    callback(this.#attempt({ kind: "syncDirectory", path }));
  }

  lock(callback: DiskCallback): void {
    const held = this.#locked;
    this.#locked = true;
    callback(held ? new DiskError("EEXIST", "lock", this.location, "held") : null);
  }

  unlock(callback: DiskCallback): void {
    this.#locked = false;
    callback(null);
  }
}

/** Damages one byte. */
export function flip(bytes: Uint8Array, at: number, mask = 1): void {
  bytes[at] = (bytes[at] ?? 0) ^ mask;
}

/** The methods of a disk that is a class, to be spread and replaced. */
export function methodsOf(disk: Disk): Disk {
  return {
    location: disk.location,
    open: (...given) => disk.open(...given),
    list: (...given) => disk.list(...given),
    makeDirectory: (...given) => disk.makeDirectory(...given),
    rename: (...given) => disk.rename(...given),
    remove: (...given) => disk.remove(...given),
    syncDirectory: (...given) => disk.syncDirectory(...given),
    lock: (...given) => disk.lock(...given),
    unlock: (...given) => disk.unlock(...given),
  };
}
