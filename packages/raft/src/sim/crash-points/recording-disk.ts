/**
 * A disk that writes down every operation with its bytes. Without a pace it answers at once, so a whole start of a node is
 * one call; with a pace operations take time, and those of different tasks interleave.
 *
 * What a process hands over is in the cache from the call of `write` on. A sync counts when it calls back; a change of
 * names, too. So a crash while an operation is under way is the crash before it, after it, or in the middle of a write.
 */
import {
  type Disk,
  type DiskCallback,
  DiskError,
  type DiskErrorCode,
  type DiskFile,
  type DiskResult,
} from "../../runtime/ports.js";
import { applyEffect, type Content, copyOf, type DiskState, type Effect, EMPTY_IMAGE, folderOf, stateOf } from "./disk-state.js";

/** Calls `complete` when the operation is to be done: at once, or later. */
export type Pace = (operation: string, path: string, complete: () => void) => void;

/** What was promised when so many effects had happened. */
export interface Promised<Ledger> {
  readonly at: number;
  readonly ledger: Ledger;
}

/** A disk's history: where it began, what happened, and what was promised when. */
export interface Recording<Ledger> {
  readonly beginning: DiskState;
  readonly effects: readonly Effect[];
  readonly promises: readonly Promised<Ledger>[];
  /** Operations of every kind that were asked for, reads too. */
  readonly operations: number;
}

export class RecordingDisk<Ledger> implements Recording<Ledger> {
  readonly beginning: DiskState;
  readonly effects: Effect[] = [];
  readonly promises: Promised<Ledger>[] = [];
  operations = 0;
  readonly #state: DiskState;
  readonly #pace: Pace;
  readonly #records: boolean;
  /** Counts processes: what an earlier one still waits for never comes. */
  #process = 0;
  #locked = false;

  /** `records` false: nobody will ask what happened here. */
  constructor(
    beginning: DiskState = stateOf(EMPTY_IMAGE),
    pace: Pace = (_operation, _path, complete) => complete(),
    records = true,
  ) {
    this.beginning = copyOf(beginning);
    this.#state = copyOf(beginning);
    this.#pace = pace;
    this.#records = records;
  }

  /** From now on this is owed, whatever happens. */
  promise(ledger: Ledger): void {
    this.promises.push({ at: this.effects.length, ledger });
  }

  #happen(effect: Effect): void {
    if (this.#records) this.effects.push(effect.kind === "write" ? { ...effect, data: effect.data.slice() } : effect);
    applyEffect(this.#state, effect);
  }

  /** The disk for a new process. The one before it is dead: nothing of it happens any more, what it had handed over stays. */
  mount(): Disk {
    this.#process += 1;
    this.#locked = false;
    const mounted = this.#process;
    const state = this.#state;
    const isAlive = (): boolean => mounted === this.#process;
    /** Does the body when its time has come, and tells how it went. */
    const operate = (operation: string, path: string, body: () => DiskErrorCode | null, done: DiskCallback): void => {
      if (!isAlive()) return;
      this.operations += 1;
      this.#pace(operation, path, () => {
        if (!isAlive()) return;
        const code = body();
        done(code === null ? null : new DiskError(code, operation, path, "on the recording disk"));
      });
    };
    const happen = (effect: Effect): null => {
      this.#happen(effect);
      return null;
    };
    const fileOf = (path: string, content: Content): DiskFile => {
      const { file } = content;
      let busy = false;
      const exclusively = (operation: "write" | "sync", body: () => null, done: DiskCallback): void => {
        if (busy) throw new Error(`${path}: a ${operation} was asked for while another write or sync is under way`);
        busy = true;
        operate(operation, path, body, (error) => {
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
          operate("read", path, body, (error) => done(error, read));
        },
        write: (position, data, done) => {
          if (!isAlive()) return;
          happen({ kind: "write", file, position, data });
          exclusively("write", () => null, done);
        },
        sync: (done) => exclusively("sync", () => happen({ kind: "sync", file }), done),
        truncate: (length, done) => operate("truncate", path, () => happen({ kind: "truncate", file, length }), done),
        size: (done) =>
          operate(
            "size",
            path,
            () => null,
            (error) => done(error, content.bytes.length),
          ),
        close: (done) => operate("close", path, () => null, done),
      };
    };
    const open = (path: string, mode: "read" | "write" | "create", done: DiskResult<DiskFile>): void => {
      let opened: DiskFile | null = null;
      const body = (): DiskErrorCode | null => {
        if (mode === "create") {
          if (state.names.has(path)) return "EEXIST";
          if (!state.folders.has(folderOf(path))) return "ENOENT";
          happen({ kind: "create", path, file: state.nextFile });
        }
        const content = state.names.get(path);
        if (content === undefined) return "ENOENT";
        opened = fileOf(path, content);
        return null;
      };
      operate("open", path, body, (error) => done(error, opened));
    };
    const list = (path: string, done: DiskResult<readonly string[]>): void => {
      let names: readonly string[] | null = null;
      const body = (): DiskErrorCode | null => {
        if (!state.folders.has(path)) return "ENOENT";
        names = [...state.names.keys()]
          .filter((each) => folderOf(each) === path)
          .map((each) => each.slice(path === "" ? 0 : path.length + 1))
          .sort();
        return null;
      };
      operate("list", path, body, (error) => done(error, names));
    };
    const ifThere = (path: string, effect: Effect): DiskErrorCode | null => (state.names.has(path) ? happen(effect) : "ENOENT");
    return {
      location: "the recording disk",
      open,
      list,
      makeDirectory: (path, done) =>
        operate("makeDirectory", path, () => (state.folders.has(path) ? null : happen({ kind: "makeDirectory", path })), done),
      rename: (from, to, done) => operate("rename", to, () => ifThere(from, { kind: "rename", from, to }), done),
      remove: (path, done) => operate("remove", path, () => ifThere(path, { kind: "remove", path }), done),
      syncDirectory: (path, done) => operate("syncDirectory", path, () => happen({ kind: "syncDirectory", path }), done),
      lock: (done) => {
        const body = (): DiskErrorCode | null => {
          const held = this.#locked;
          this.#locked = true;
          return held ? "EEXIST" : null;
        };
        operate("lock", "", body, done);
      },
      unlock: (done) => {
        this.#locked = false;
        operate("unlock", "", () => null, done);
      },
    };
  }
}
