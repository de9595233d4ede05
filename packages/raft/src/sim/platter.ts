/**
 * A disk that forgets: what a node writes is in a cache until it is synced, and a loss of power takes from it what chance
 * takes (the model of storage rules section 4). The platter outlives the processes; `mount` gives one process its view.
 *
 * Kept apart, as file systems do: the content of a file, durable sector by sector after `sync`; and its name, durable after
 * `syncDirectory` of the folder that holds it. At a loss of power every sector written since the last sync is kept or lost by
 * itself, and of the changes of names in a folder a beginning is kept, in order. A killed process loses nothing that it had
 * handed over, only what it was still waiting for.
 */
import { type Disk, type DiskCallback, DiskError, type DiskErrorCode, type DiskFile, type DiskResult } from "../runtime/ports.js";
import type { SeededRandom } from "./random.js";
import type { Scheduler } from "./scheduler.js";

export const SECTOR_BYTES = 512;

/** The content of a file, whatever its name. */
interface Content {
  /** What reads see. */
  bytes: Uint8Array;
  /** What is durable. */
  synced: Uint8Array;
  /** Sectors written since the last sync, by number. */
  readonly dirty: Set<number>;
}

/** A change of names in a folder that is not durable yet: what each name stands for from then on, null for nothing. */
interface NameChange {
  readonly folder: string;
  readonly names: readonly (readonly [path: string, content: Content | null])[];
}

export interface PlatterOptions {
  readonly scheduler: Scheduler;
  /** Draws how long operations take. */
  readonly random: SeededRandom;
  readonly location: string;
  /** Syncs of the files of these names succeed and make nothing durable: the disk of a build that forgot to sync. */
  readonly ignoresSync?: (path: string) => boolean;
  /** How long a sync takes at most, in microseconds. Default 4,000; one in a hundred takes ten times as long. */
  readonly syncMicros?: number;
}

export type OperationKind =
  | "open"
  | "read"
  | "write"
  | "sync"
  | "truncate"
  | "size"
  | "close"
  | "list"
  | "makeDirectory"
  | "rename"
  | "remove"
  | "syncDirectory"
  | "lock"
  | "unlock";

export class Platter {
  readonly #options: PlatterOptions;
  /** The names as a process sees them, and as they are durable. */
  #names = new Map<string, Content>();
  #durableNames = new Map<string, Content>();
  #changes: NameChange[] = [];
  #folders = new Set<string>([""]);
  /** Counts mounts: callbacks and calls of an earlier one are dead. */
  #mount = 0;
  #lockedBy = 0;
  /** Called before every operation; a code makes it fail, and nothing of it happens. For directed tests. */
  before: ((kind: OperationKind, path: string) => DiskErrorCode | null) | null = null;
  /** Operations asked for so far. */
  operations = 0;

  constructor(options: PlatterOptions) {
    this.#options = options;
  }

  /** What a reader of the whole disk would find now, by path. */
  get files(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.#names].map(([path, { bytes }]) => [path, bytes]));
  }

  /** Something was written that a loss of power may take. */
  get isDirty(): boolean {
    for (const { dirty } of this.#names.values()) if (dirty.size > 0) return true;
    return false;
  }

  /** Changes bytes behind everybody's back, durably: bit rot, a misdirected write. */
  damage(path: string, change: (bytes: Uint8Array) => void): void {
    const content = this.#names.get(path);
    if (content === undefined) throw new Error(`${this.#options.location} has no file ${path}`);
    change(content.bytes);
    content.synced = content.bytes.slice();
    content.dirty.clear();
  }

  /** The process is gone; what it had handed over stays in the cache. */
  kill(): void {
    this.#mount += 1;
    this.#lockedBy = 0;
  }

  /** The machine is gone: of what was not synced, chance keeps some. */
  powerLoss(chance: SeededRandom): void {
    this.kill();
    for (const folder of this.#folders) {
      const changes = this.#changes.filter((each) => each.folder === folder);
      for (const change of changes.slice(0, chance.below(changes.length + 1))) apply(this.#durableNames, change);
    }
    this.#changes = [];
    const contents = new Set([...this.#names.values(), ...this.#durableNames.values()]);
    // A mood for the whole loss, so that "everything is lost" and "everything is there" both happen often.
    const keepPerMille = chance.pick([0, 500, 900, 1000]) ?? 500;
    for (const content of contents) loseSectors(content, chance, keepPerMille);
    this.#names = new Map(this.#durableNames);
  }

  /** One process's view. An earlier view is dead from now on. */
  mount(): Disk {
    this.#mount += 1;
    const mount = this.#mount;
    const { location } = this.#options;
    const refuse = (code: DiskErrorCode, kind: string, path: string): DiskError =>
      new DiskError(code, kind, `${location}/${path}`, "on the virtual disk");

    /** Does something later, if this mount is still alive then. `body` returns an error or nothing. */
    const later = (
      kind: OperationKind,
      path: string,
      body: () => DiskErrorCode | null,
      done: (error: DiskError | null) => void,
    ): void => {
      if (mount !== this.#mount) return;
      this.operations += 1;
      const early = this.before?.(kind, path) ?? null;
      this.#options.scheduler.schedule(this.#latency(kind), () => {
        if (mount !== this.#mount) return;
        const code = early ?? body();
        done(code === null ? null : refuse(code, kind, path));
      });
    };
    const change = (path: string, ...names: NameChange["names"]): void => {
      const noted = { folder: folderOf(path), names };
      apply(this.#names, noted);
      this.#changes.push(noted);
    };

    const fileOf = (path: string, content: Content): DiskFile => {
      let busy = false;
      const exclusively = (kind: "write" | "sync", body: () => DiskErrorCode | null, done: DiskCallback): void => {
        if (busy) throw new Error(`${path}: a ${kind} was asked for while another write or sync is under way`);
        busy = true;
        later(kind, path, body, (error) => {
          busy = false;
          done(error);
        });
      };
      return {
        path,
        read: (position, length, done) => {
          let read: Uint8Array | null = null;
          const body = (): null => {
            read = content.bytes.slice(position, position + length);
            return null;
          };
          later("read", path, body, (error) => done(error, error === null ? read : null));
        },
        write: (position, data, done) => {
          // In the cache from now on: what a kill leaves there, and what a loss of power may take or not.
          if (mount !== this.#mount) return;
          const code = this.before?.("write", path) ?? null;
          if (code === null) put(content, position, data);
          exclusively("write", () => code, done);
        },
        sync: (done) => {
          exclusively(
            "sync",
            () => {
              if (this.#options.ignoresSync?.(this.#nameOf(content)) !== true) {
                content.synced = content.bytes.slice();
                content.dirty.clear();
              }
              return null;
            },
            done,
          );
        },
        truncate: (length, done) => {
          later(
            "truncate",
            path,
            () => {
              content.bytes = content.bytes.slice(0, length);
              return null;
            },
            done,
          );
        },
        size: (done) => {
          later(
            "size",
            path,
            () => null,
            (error) => done(error, error === null ? content.bytes.length : null),
          );
        },
        close: (done) => later("close", path, () => null, done),
      };
    };

    return {
      location,
      open: (path, mode, done: DiskResult<DiskFile>) => {
        let file: DiskFile | null = null;
        const body = (): DiskErrorCode | null => {
          const there = this.#names.get(path);
          if (mode === "create") {
            if (there !== undefined) return "EEXIST";
            const content: Content = { bytes: new Uint8Array(0), synced: new Uint8Array(0), dirty: new Set() };
            change(path, [path, content]);
            file = fileOf(path, content);
          } else {
            if (there === undefined) return "ENOENT";
            file = fileOf(path, there);
          }
          return null;
        };
        later("open", path, body, (error) => done(error, error === null ? file : null));
      },
      list: (path, done) => {
        let names: string[] = [];
        const body = (): DiskErrorCode | null => {
          if (!this.#folders.has(path)) return "ENOENT";
          names = [...this.#names.keys()]
            .filter((each) => folderOf(each) === path)
            .map((each) => each.slice(path === "" ? 0 : path.length + 1));
          names.sort();
          return null;
        };
        later("list", path, body, (error) => done(error, error === null ? names : null));
      },
      makeDirectory: (path, done) => {
        // Made once and for all: the folders of a data directory are never removed, and losing one loses what is in it.
        later(
          "makeDirectory",
          path,
          () => {
            this.#folders.add(path);
            return null;
          },
          done,
        );
      },
      rename: (from, to, done) => {
        const body = (): DiskErrorCode | null => {
          const content = this.#names.get(from);
          if (content === undefined) return "ENOENT";
          // The new name appears together with the loss of the old one.
          change(to, [to, content], [from, null]);
          return null;
        };
        later("rename", to, body, done);
      },
      remove: (path, done) => {
        const body = (): DiskErrorCode | null => {
          if (!this.#names.has(path)) return "ENOENT";
          change(path, [path, null]);
          return null;
        };
        later("remove", path, body, done);
      },
      syncDirectory: (path, done) => {
        const body = (): null => {
          for (const each of this.#changes) if (each.folder === path) apply(this.#durableNames, each);
          this.#changes = this.#changes.filter((each) => each.folder !== path);
          return null;
        };
        later("syncDirectory", path, body, done);
      },
      lock: (done) => {
        const body = (): DiskErrorCode | null => {
          if (this.#lockedBy === mount) return "EEXIST";
          this.#lockedBy = mount;
          return null;
        };
        later("lock", "", body, done);
      },
      unlock: (done) => {
        this.#lockedBy = 0;
        later("unlock", "", () => null, done);
      },
    };
  }

  #nameOf(content: Content): string {
    for (const [path, each] of this.#names) if (each === content) return path;
    return "";
  }

  #latency(kind: OperationKind): number {
    const { random, syncMicros = 4000 } = this.#options;
    if (kind === "sync" || kind === "syncDirectory")
      return random.chance(10) ? random.below(syncMicros * 10) : random.between(50, syncMicros);
    return random.between(1, 50);
  }
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function apply(names: Map<string, Content>, change: NameChange): void {
  for (const [path, content] of change.names) {
    if (content === null) names.delete(path);
    else names.set(path, content);
  }
}

function put(content: Content, position: number, data: Uint8Array): void {
  if (content.bytes.length < position + data.length) {
    const longer = new Uint8Array(position + data.length);
    longer.set(content.bytes);
    content.bytes = longer;
  }
  content.bytes.set(data, position);
  const last = Math.floor((position + data.length - 1) / SECTOR_BYTES);
  for (let sector = Math.floor(position / SECTOR_BYTES); sector <= last; sector += 1) content.dirty.add(sector);
}

function loseSectors(content: Content, chance: SeededRandom, keepPerMille: number): void {
  let kept = content.synced;
  const sectors = [...content.dirty].sort((a, b) => a - b);
  for (const sector of sectors) {
    if (!chance.chance(keepPerMille)) continue;
    const from = sector * SECTOR_BYTES;
    const piece = content.bytes.subarray(from, from + SECTOR_BYTES);
    if (kept.length < from + piece.length) {
      const longer = new Uint8Array(from + piece.length);
      longer.set(kept);
      kept = longer;
    } else if (kept === content.synced) {
      kept = kept.slice();
    }
    kept.set(piece, from);
  }
  content.bytes = kept.slice();
  content.synced = kept.slice();
  content.dirty.clear();
}
