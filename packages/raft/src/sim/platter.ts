/**
 * A disk that forgets and fails: what a node writes is in a cache until it is synced, a loss of power takes from it what
 * chance takes, and operations may be slow, fail, or stop short (storage rules, section 4). The platter outlives the
 * processes; `mount` gives one process its view.
 *
 * Kept apart, as file systems do: the content of a file, durable sector by sector after `sync` (platter-content.ts); and its
 * name, durable after `syncDirectory` of the folder that holds it. At a loss of power, of the changes of names in a folder a
 * beginning is kept, in order. A killed process loses nothing that it had handed over, only what it was still waiting for.
 */
import { type Disk, type DiskCallback, DiskError, type DiskErrorCode, type DiskFile, type DiskResult } from "../runtime/ports.js";
import { Content, type LossMood } from "./platter-content.js";
import type { SeededRandom } from "./random.js";
import type { Scheduler } from "./scheduler.js";

/** A change of names in a folder that is not durable yet: what each name stands for from then on, null for nothing. */
interface NameChange {
  readonly folder: string;
  readonly names: readonly (readonly [path: string, content: Content | null])[];
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

export interface PlatterOptions {
  readonly scheduler: Scheduler;
  /** Draws how long operations take, and what is left of those that fail. */
  readonly random: SeededRandom;
  readonly location: string;
  /** Syncs of the files of these names succeed and make nothing durable: the disk of a build that forgot to sync. */
  readonly ignoresSync?: (path: string) => boolean;
  /** How long a sync takes at most, in microseconds. Default 4,000; one in a hundred takes ten times as long. */
  readonly syncMicros?: number;
}

/** What is wrong with a disk at present. Set by whoever tells the story; counts go down as they strike. */
export interface DiskTrouble {
  failingSyncs: number;
  failingWrites: number;
  failingReads: number;
  shortReads: number;
  /** There is no space: creating and writing fail with ENOSPC. */
  full: boolean;
  /** Every sync takes this much longer, in microseconds. */
  extraSyncMicros: number;
}

const NO_TROUBLE: DiskTrouble = {
  failingSyncs: 0,
  failingWrites: 0,
  failingReads: 0,
  shortReads: 0,
  full: false,
  extraSyncMicros: 0,
};

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
  /** Told of every trouble that struck. */
  onTrouble: ((what: keyof DiskTrouble, path: string) => void) | null = null;
  /** Told of every file that a process removed. */
  onRemoved: ((path: string) => void) | null = null;
  trouble: DiskTrouble = { ...NO_TROUBLE };
  /** Operations asked for so far. */
  operations = 0;

  constructor(options: PlatterOptions) {
    this.#options = options;
  }

  /** What a reader of the whole disk would find now, by path. */
  get files(): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.#names].map(([path, content]) => [path, content.all()]));
  }

  get paths(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  /** Something was written that a loss of power may take. */
  get isDirty(): boolean {
    for (const content of this.#names.values()) if (content.isDirty) return true;
    return false;
  }

  /** Changes bytes behind everybody's back, durably: bit rot, a misdirected write. */
  damage(path: string, change: (bytes: Uint8Array) => void): void {
    const content = this.#names.get(path);
    if (content === undefined) throw new Error(`${this.#options.location} has no file ${path}`);
    content.damage(change);
  }

  /** Somebody put an empty disk in. */
  wipe(): void {
    this.kill();
    this.#names = new Map();
    this.#durableNames = new Map();
    this.#changes = [];
    this.#folders = new Set([""]);
  }

  /** Nothing is wrong with the disk any more. */
  repair(): void {
    this.trouble = { ...NO_TROUBLE };
  }

  /** The process is gone; what it had handed over stays in the cache. */
  kill(): void {
    this.#mount += 1;
    this.#lockedBy = 0;
  }

  /** The machine is gone: of what was not synced, chance keeps some. */
  powerLoss(chance: SeededRandom, mood: LossMood = drawMood(chance)): void {
    this.kill();
    for (const folder of this.#folders) {
      const changes = this.#changes.filter((each) => each.folder === folder);
      for (const change of changes.slice(0, chance.below(changes.length + 1))) apply(this.#durableNames, change);
    }
    this.#changes = [];
    const contents = new Set([...this.#names.values(), ...this.#durableNames.values()]);
    for (const content of contents) content.losePower(chance, mood);
    this.#names = new Map(this.#durableNames);
  }

  /** One process's view; completions happen through `asNode`. An earlier view is dead from now on. */
  mount(asNode: (body: () => void) => void = (body) => body()): Disk {
    this.#mount += 1;
    const mount = this.#mount;
    const { location, scheduler, random } = this.#options;

    /** Does something later, if this mount is still alive then. `body` returns an error or nothing. */
    const later = (
      kind: OperationKind,
      path: string,
      body: () => DiskErrorCode | null,
      done: (error: DiskError | null) => void,
      early: DiskErrorCode | null = this.#strike(kind, path),
    ): void => {
      if (mount !== this.#mount) return;
      this.operations += 1;
      scheduler.schedule(this.#latency(kind), () => {
        if (mount !== this.#mount) return;
        const code = early ?? body();
        asNode(() => done(code === null ? null : new DiskError(code, kind, `${location}/${path}`, "on the virtual disk")));
      });
    };
    const change = (path: string, ...names: NameChange["names"]): void => {
      const noted = { folder: folderOf(path), names };
      apply(this.#names, noted);
      this.#changes.push(noted);
    };

    const fileOf = (path: string, content: Content): DiskFile => {
      let busy = false;
      const exclusively = (
        kind: "write" | "sync",
        body: () => DiskErrorCode | null,
        done: DiskCallback,
        early: DiskErrorCode | null,
      ): void => {
        if (busy) throw new Error(`${path}: a ${kind} was asked for while another write or sync is under way`);
        busy = true;
        later(
          kind,
          path,
          body,
          (error) => {
            busy = false;
            done(error);
          },
          early,
        );
      };
      return {
        path,
        read: (position, length, done) => {
          let read: Uint8Array | null = null;
          const wanted = this.#shortened(length, path);
          const body = (): null => {
            read = content.read(position, wanted);
            return null;
          };
          later("read", path, body, (error) => done(error, error === null ? read : null));
        },
        write: (position, data, done) => {
          // In the cache from now on: what a kill leaves there, and what a loss of power may take or not.
          if (mount !== this.#mount) return;
          const code = this.#strike("write", path);
          // Of one that fails, some may be there.
          const written = code === null ? data : data.subarray(0, random.below(data.length + 1));
          if (written.length > 0) content.write(position, written);
          exclusively("write", () => null, done, code);
        },
        sync: (done) => {
          const code = this.#strike("sync", path);
          exclusively(
            "sync",
            () => {
              if (code !== null) content.failSync(random);
              else if (this.#options.ignoresSync?.(this.#nameOf(content)) !== true) content.sync();
              return code;
            },
            done,
            null,
          );
        },
        truncate: (length, done) => {
          const body = (): null => {
            content.truncate(length);
            return null;
          };
          later("truncate", path, body, done);
        },
        size: (done) => {
          later(
            "size",
            path,
            () => null,
            (error) => done(error, error === null ? content.length : null),
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
            if (this.trouble.full) {
              this.onTrouble?.("full", path);
              return "ENOSPC";
            }
            const content = new Content();
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
          const start = path === "" ? 0 : path.length + 1;
          for (const each of this.#names.keys()) if (folderOf(each) === path) names.push(each.slice(start));
          names = names.sort();
          return null;
        };
        later("list", path, body, (error) => done(error, error === null ? names : null));
      },
      makeDirectory: (path, done) => {
        // Made once and for all: the folders of a data directory are never removed, and losing one loses what is in it.
        const body = (): null => {
          this.#folders.add(path);
          return null;
        };
        later("makeDirectory", path, body, done);
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
          this.onRemoved?.(path);
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

  /** A file that was renamed while it was open has its new name. */
  #nameOf(content: Content): string {
    for (const [path, each] of this.#names) if (each === content) return path;
    return "";
  }

  /** Whether trouble strikes this operation, and how. */
  #strike(kind: OperationKind, path: string): DiskErrorCode | null {
    const early = this.before?.(kind, path) ?? null;
    if (early !== null) return early;
    const { trouble } = this;
    const spend = (what: "failingSyncs" | "failingWrites" | "failingReads"): DiskErrorCode | null => {
      if (trouble[what] <= 0) return null;
      trouble[what] -= 1;
      this.onTrouble?.(what, path);
      return "EIO";
    };
    if (kind === "sync") return spend("failingSyncs");
    if (kind === "read") return spend("failingReads");
    if (kind !== "write") return null;
    if (trouble.full) {
      this.onTrouble?.("full", path);
      return "ENOSPC";
    }
    return spend("failingWrites");
  }

  #shortened(length: number, path: string): number {
    if (this.trouble.shortReads <= 0 || length < 2) return length;
    this.trouble.shortReads -= 1;
    this.onTrouble?.("shortReads", path);
    return this.#options.random.below(length);
  }

  #latency(kind: OperationKind): number {
    const { random, syncMicros = 4000 } = this.#options;
    if (kind === "sync" || kind === "syncDirectory") {
      const usual = random.chance(10) ? random.below(syncMicros * 10) : random.between(50, syncMicros);
      return usual + this.trouble.extraSyncMicros;
    }
    return random.between(1, 50);
  }
}

/** A mood for the whole loss, so that "everything is lost", "everything is there" and "cut in the middle" all happen often. */
function drawMood(chance: SeededRandom): LossMood {
  return { keepPerMille: chance.pick([0, 500, 900, 1000]) ?? 500, torn: chance.chance(250), garbles: false };
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
