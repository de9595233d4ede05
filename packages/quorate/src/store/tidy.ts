/**
 * Giving memory back after a compaction. Compacting only sets a revision (records.ts says why that is enough); this goes over
 * the slabs behind it, one a step, so that no command waits for it:
 *
 * - a key whose newest record is a tombstone that compaction removed leaves the index;
 * - a slab without live records is dropped; one with few is rewritten with those alone, together with the one before it when
 *   both are small, so that long-lived keys among much traffic do not leave a trail of near-empty slabs.
 *
 * What a client can see does not depend on how far this has come, so a step may be taken at any time, or never. A rewritten
 * slab is a new one: a frozen view keeps reading the old.
 */
import { indexEntry } from "./history.js";
import type { KeyIndex } from "./key-index.js";
import { keyFromBytes } from "./keys.js";
import { WireReader } from "./protobuf.js";
import { gather, RecordCursor, type RecordLog, recordBytes, SLAB_BYTES, type Slab, walkSlab } from "./records.js";

export class Tidying {
  private readonly records: RecordLog;
  private readonly index: KeyIndex;
  /** Called when a tombstone left the index. */
  private readonly forgotten: () => void;
  private readonly cursor = new RecordCursor();
  /** The compacted revision that this round works for. */
  private round = -1;
  /** The newest compaction; another round follows when it is above this one's. */
  private wanted = -1;
  /** The next slab; past the last one when the round is done. */
  private position = Number.POSITIVE_INFINITY;

  constructor(records: RecordLog, index: KeyIndex, forgotten: () => void) {
    this.records = records;
    this.index = index;
    this.forgotten = forgotten;
  }

  /** Whether steps are left to take. */
  get busy(): boolean {
    return this.round < this.wanted || this.position < this.records.slabCount;
  }

  /** A round under way is finished first: starting over at each of many compactions would never reach the newer slabs. */
  start(compactedRevision: number): void {
    this.wanted = compactedRevision;
  }

  /** Looks at one slab, at most 1 MiB or one record: some tenths of a millisecond. */
  step(): void {
    if (this.position >= this.records.slabCount) {
      if (this.round >= this.wanted) return;
      this.round = this.wanted;
      this.position = 0;
    }
    const { position } = this;
    const slab = this.records.slabAt(position);
    this.position += 1;
    if (slab === undefined) return;
    const live = this.survey(slab);
    const open = position === this.records.slabCount - 1;
    if (open || live * 2 > slab.used) return;
    this.rewrite(position, slab, live);
  }

  /** Counts the bytes of live records, and takes keys that are gone out of the index. */
  private survey(slab: Slab): number {
    const { cursor, round } = this;
    let live = 0;
    walkSlab(slab, slab.used, cursor, (reference) => {
      if (!cursor.isDead(round)) live += recordBytes(cursor.bodyLength);
      else if (cursor.isTombstone && cursor.supersededAt === 0) this.forget(reference);
    });
    return live;
  }

  private forget(reference: number): void {
    const { cursor } = this;
    const reader = new WireReader(cursor.bytes, cursor.bodyStart, cursor.bodyStart + cursor.bodyLength);
    reader.tag();
    reader.span();
    const key = keyFromBytes(cursor.bytes, reader.spanStart, reader.spanEnd);
    if (this.index.get(key)?.newest !== indexEntry(reference, true)) return;
    this.index.delete(key);
    this.forgotten();
  }

  private rewrite(position: number, slab: Slab, live: number): void {
    const before = this.records.slabAt(position - 1);
    const merged = before !== undefined && live > 0 && before.references !== null && before.used + live <= SLAB_BYTES / 2;
    const slabs = merged ? [before, slab] : [slab];
    const first = merged ? position - 1 : position;
    const gathered = gather(slabs, (cursor) => !cursor.isDead(this.round));
    this.records.replace(first, position, gathered);
    // What followed moved up.
    this.position = gathered === null ? first : first + 1;
  }
}
