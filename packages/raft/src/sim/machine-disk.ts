/**
 * The storage of a simulated machine that keeps itself on disk: whole versions of the state, one for each transaction, of which a
 * kill leaves the newest, and a loss of power any from the last sync on. Transactions are atomic here, because that is what a
 * machine promises to the node; what is tested is what the node makes of it.
 */
import type { Micros } from "../core/types.js";
import type { DurableStorage, KeptRecord } from "../runtime/state-machine.js";
import type { SeededRandom } from "./random.js";

/** The state after a transaction. */
export interface Version {
  readonly records: ReadonlyMap<string, Uint8Array>;
  readonly pieces: readonly Uint8Array[];
}

export class MachineDisk {
  /** The first one is durable. */
  #versions: Version[] = [];
  /** How many versions losses of power have taken. */
  lost = 0;

  get newest(): Version | null {
    return this.#versions.at(-1) ?? null;
  }

  add(version: Version): void {
    this.#versions.push(version);
  }

  synced(version: Version): void {
    const at = this.#versions.indexOf(version);
    if (at > 0) this.#versions.splice(0, at);
  }

  losePower(chance: SeededRandom): void {
    if (this.#versions.length > 0) this.lose(this.#versions.length - chance.between(1, this.#versions.length));
  }

  /** How many versions a loss of power can take. */
  get unsynced(): number {
    return Math.max(0, this.#versions.length - 1);
  }

  /** The newest are gone. */
  lose(count: number): void {
    this.lost += count;
    this.#versions.length -= count;
  }

  /** The same versions on another disk. */
  copy(): MachineDisk {
    const other = new MachineDisk();
    other.#versions = [...this.#versions];
    return other;
  }

  wipe(): void {
    this.#versions = [];
  }
}

/** What a machine must be able to do with its whole state. */
export interface WholeState {
  pieces(): Iterable<Uint8Array>;
  fill(pieces: readonly Uint8Array[]): void;
  beginRestore(): void;
}

export interface MachineDiskTiming {
  /** Calls back after this time, if the node still lives. */
  readonly later: (delay: Micros, body: () => void) => void;
  readonly syncMicros: Micros;
}

/** The storage of one life of a machine. */
export function storageOn(disk: MachineDisk, state: WholeState, { later, syncMicros }: MachineDiskTiming): DurableStorage {
  let records: ReadonlyMap<string, Uint8Array> = new Map();
  return {
    open() {
      const { newest } = disk;
      if (newest === null) return [];
      state.fill(newest.pieces);
      ({ records } = newest);
      return [...records].map(([key, value]): KeptRecord => ({ key, value }));
    },
    transaction(body) {
      const next = new Map(records);
      for (const { key, value } of body()) {
        if (value === null) next.delete(key);
        else next.set(key, value);
      }
      records = next;
      disk.add({ records, pieces: [...state.pieces()] });
    },
    sync(done) {
      const upTo = disk.newest;
      later(syncMicros, () => {
        if (upTo !== null) disk.synced(upTo);
        done(null);
      });
    },
    beginRestore: () => state.beginRestore(),
    close: () => undefined,
  };
}
