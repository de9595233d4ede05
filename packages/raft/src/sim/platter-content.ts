/**
 * The content of one file on a platter: what readers see (the system's cache), and what would survive a loss of power,
 * sector by sector.
 *
 * A sector is clean, or dirty (written since the last sync), or forgotten: written, then a sync failed, and the system calls
 * it clean although the disk never got it ("Can applications recover from fsync failures?", ATC 2020). A later sync says
 * nothing about forgotten sectors; only writing them again does.
 */
import type { SeededRandom } from "./random.js";

export const SECTOR_BYTES = 512;

/** How a loss of power treats what was not synced. */
export interface LossMood {
  /** Of a thousand unsynced sectors so many are kept, each by its own chance. */
  readonly keepPerMille: number;
  /** Instead: the disk wrote in order and stopped at some byte; all before it is kept, nothing after. */
  readonly torn: boolean;
  /** A sector that was being written may hold rubbish. Damage that no log can tell from rot; only where that is wanted. */
  readonly garbles: boolean;
}

export class Content {
  /** Longer than the file: bytes beyond `length` are zero. */
  #cache = new Uint8Array(SECTOR_BYTES);
  #durable = new Uint8Array(0);
  #length = 0;
  #durableLength = 0;
  readonly #dirty = new Set<number>();
  readonly #forgotten = new Set<number>();

  get length(): number {
    return this.#length;
  }

  /** Something was written that a loss of power may take. */
  get isDirty(): boolean {
    return this.#dirty.size > 0 || this.#forgotten.size > 0;
  }

  read(position: number, length: number): Uint8Array {
    return this.#cache.slice(Math.min(position, this.#length), Math.min(position + length, this.#length));
  }

  all(): Uint8Array {
    return this.#cache.slice(0, this.#length);
  }

  write(position: number, data: Uint8Array): void {
    const end = position + data.length;
    if (end > this.#cache.length) this.#cache = longer(this.#cache, end);
    this.#cache.set(data, position);
    if (end > this.#length) this.#length = end;
    const last = Math.floor((end - 1) / SECTOR_BYTES);
    for (let sector = Math.floor(position / SECTOR_BYTES); sector <= last; sector += 1) {
      this.#dirty.add(sector);
      this.#forgotten.delete(sector);
    }
  }

  truncate(length: number): void {
    if (length > this.#cache.length) this.#cache = longer(this.#cache, length);
    if (length < this.#length) this.#cache.fill(0, length, this.#length);
    this.#length = length;
    this.#dirty.add(Math.floor(length / SECTOR_BYTES));
  }

  /** Everything written so far is durable, except what a failed sync made the system forget. */
  sync(): void {
    if (this.#durable.length < this.#length) this.#durable = longer(this.#durable, this.#length + SECTOR_BYTES);
    for (const sector of this.#dirty) this.#keep(sector, this.#cache);
    this.#dirty.clear();
    this.#durableLength = this.#length;
  }

  /** The sync failed: each sector reached the disk or not, and all are called clean. */
  failSync(chance: SeededRandom): void {
    for (const sector of this.#dirty) {
      if (chance.chance(500)) this.#keep(sector, this.#cache);
      else this.#forgotten.add(sector);
    }
    this.#dirty.clear();
  }

  losePower(chance: SeededRandom, mood: LossMood): void {
    if (this.isDirty || this.#durableLength !== this.#length) {
      const sectors = [...this.#dirty].sort((a, b) => a - b);
      let end = this.#durableLength;
      const keep = (sector: number): void => {
        this.#keep(sector, this.#cache);
        end = Math.max(end, Math.min(this.#length, (sector + 1) * SECTOR_BYTES));
      };
      const cut = mood.torn ? chance.below(sectors.length + 1) : -1;
      for (const [place, sector] of sectors.entries()) {
        if (mood.torn ? place < cut : chance.chance(mood.keepPerMille)) keep(sector);
        else if (mood.garbles && chance.chance(200)) this.#garble(sector, chance);
        if (mood.torn && place === cut) end = Math.max(end, this.#tear(sector, chance));
      }
      // The size of a file may be durable before its bytes are: the rest reads as zeros (ALICE, OSDI 2014).
      this.#durableLength = chance.chance(300) ? Math.max(end, this.#length) : end;
    }
    if (this.#durable.length < this.#durableLength) this.#durable = longer(this.#durable, this.#durableLength);
    this.#length = this.#durableLength;
    this.#cache = this.#durable.slice(0, Math.max(SECTOR_BYTES, this.#length));
    this.#dirty.clear();
    this.#forgotten.clear();
  }

  /** Changes bytes behind everybody's back, in the cache and on the disk: rot, a misdirected or a lost write. */
  damage(change: (bytes: Uint8Array) => void): void {
    const bytes = this.#cache.slice(0, this.#length);
    change(bytes);
    this.#cache = longer(bytes, Math.max(SECTOR_BYTES, bytes.length));
    this.#durable = bytes.slice();
    this.#durableLength = this.#length;
    this.#dirty.clear();
    this.#forgotten.clear();
  }

  #keep(sector: number, from: Uint8Array): void {
    const start = sector * SECTOR_BYTES;
    const piece = from.subarray(start, start + SECTOR_BYTES);
    if (this.#durable.length < start + SECTOR_BYTES) this.#durable = longer(this.#durable, start + SECTOR_BYTES);
    this.#durable.set(piece, start);
  }

  /** The beginning of a sector is there, the rest is as it was. Returns where the kept part ends. */
  #tear(sector: number, chance: SeededRandom): number {
    const start = sector * SECTOR_BYTES;
    const kept = chance.below(SECTOR_BYTES);
    const mixed = new Uint8Array(SECTOR_BYTES);
    mixed.set(this.#durable.subarray(start, start + SECTOR_BYTES));
    mixed.set(this.#cache.subarray(start, start + kept));
    this.#keepPiece(start, mixed);
    return Math.min(this.#length, start + kept);
  }

  #garble(sector: number, chance: SeededRandom): void {
    const piece = new Uint8Array(SECTOR_BYTES);
    for (let at = 0; at < SECTOR_BYTES; at += 1) piece[at] = chance.below(256);
    this.#keepPiece(sector * SECTOR_BYTES, piece);
  }

  #keepPiece(start: number, piece: Uint8Array): void {
    if (this.#durable.length < start + SECTOR_BYTES) this.#durable = longer(this.#durable, start + SECTOR_BYTES);
    this.#durable.set(piece, start);
  }
}

/** At least `length` bytes, and half as much again, so that appending stays cheap. */
function longer(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const grown = new Uint8Array(Math.max(length, bytes.length + (bytes.length >> 1)));
  grown.set(bytes);
  return grown;
}
