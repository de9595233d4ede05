/**
 * Checksums of what was applied, block by block of the log, so that a leader and its followers notice when their logs are not the
 * same although both believe in them: memory that failed, a bug, a file that was tampered with. A follower tells its leader
 * each block that it has applied as a whole; the leader compares it with its own and says where the two first differ.
 *
 * Blocks begin at fixed indexes, so nothing has to be remembered over restarts and snapshots: who came in the middle of
 * one says nothing of it.
 */
import type { Entry, EntryType, Index } from "../core/types.js";
import { crc32c } from "./crc32c.js";

/** Entries in a block; part of the protocol. */
export const BLOCK_ENTRIES = 256;
/** Blocks that are remembered: a follower may be this far behind and still be compared. */
const REMEMBERED = 64;
const CODES: Readonly<Record<EntryType, number>> = { noop: 0, command: 1, configuration: 2, session: 3 };
const HIGH = 2 ** 32;

export interface AppliedBlock {
  /** The block's last index. */
  readonly through: Index;
  readonly checksum: number;
}

export class AppliedChecksums {
  readonly #blocks = new Map<Index, number>();
  readonly #head = new Uint8Array(9);
  readonly #view = new DataView(this.#head.buffer);
  #next: Index = 0;
  #checksum = 0;

  /** Takes what was applied, in order. Returns the blocks that are complete with it. */
  add(entries: readonly Entry[]): readonly AppliedBlock[] {
    const complete: AppliedBlock[] = [];
    for (const entry of entries) {
      const { index, term, type, data } = entry;
      const place = (index - 1) % BLOCK_ENTRIES;
      if (place === 0) this.#checksum = 0;
      else if (index !== this.#next) continue;
      this.#next = index + 1;
      this.#view.setUint32(0, term % HIGH, true);
      this.#view.setUint32(4, Math.floor(term / HIGH), true);
      this.#head[8] = CODES[type];
      this.#checksum = crc32c(data, 0, data.length, crc32c(this.#head, 0, this.#head.length, this.#checksum));
      if (place !== BLOCK_ENTRIES - 1) continue;
      complete.push({ through: index, checksum: this.#checksum });
      this.#blocks.set(index, this.#checksum);
      for (const oldest of this.#blocks.keys()) if (this.#blocks.size > REMEMBERED) this.#blocks.delete(oldest);
    }
    return complete;
  }

  /** Null where this node has no whole block to compare with. */
  differs({ through, checksum }: AppliedBlock): boolean | null {
    const own = this.#blocks.get(through);
    return own === undefined ? null : own !== checksum;
  }
}
