/**
 * Every version of every key, in the order they were written: an append-only sequence of records in slabs, buffers of up to
 * 1 MiB outside the JavaScript heap. There is no object for a key or a version, so a million of them cost the garbage
 * collector nothing. A record is 64 bytes of numbers and then the version as etcd would store it (a mvccpb.KeyValue): a range
 * copies that into its answer as it is, and a hash over the history can be taken over the very bytes that etcd hashes.
 *
 *     0  modRevision        f64   the revision that wrote it
 *     8  createRevision     f64   0 for a tombstone
 *    16  version            f64   0 for a tombstone
 *    24  supersededAt       f64   the revision that wrote the key's next record; 0: this is its newest
 *    32  previous           f64   reference of the key's record before this one, or NO_RECORD
 *    40  jump               f64   reference of an older one, for finding in few steps (history.ts)
 *    48  sub                u32   its place among the records of its revision
 *    52  body length        u32
 *    56  depth              u32   how many records the key's chain has up to this one
 *    60  unused             u32
 *    64  body, padded to a multiple of eight
 *
 * A record is never changed but for `supersededAt`, which is set once. Whether compaction has removed it follows from that:
 * see `isDead`. So compacting is one assignment, a frozen view needs nothing but the list of slabs as it was, and giving the
 * memory back can be done later, a slab at a time (tidy.ts).
 *
 * A reference names a record for good: the slab's number times 2^17 plus the place (offset / 8) where it was *first* written.
 * A slab that was tidied moves its records closer together and remembers their references in a sorted list. A reference to a
 * record that is gone is known by not being there.
 */

export const NO_RECORD = -1;
export const HEAD_BYTES = 64;
/** Places in a slab; with eight bytes to a place, the largest offset that a reference can name is 1 MiB. */
const UNITS = 131_072;
export const SLAB_BYTES = UNITS * 8;
/** The first slab is small and each next one twice as large, so that a small store, as simulations have many of, stays small. */
const FIRST_SLAB_BYTES = 65_536;
/** A slab that is closed with more than this part unused is copied to a buffer of its size. */
const WASTE_PART = 8;

export interface Slab {
  /** The numbers that this slab answers for; a merged one has several. */
  readonly firstId: number;
  readonly lastId: number;
  readonly bytes: Uint8Array;
  readonly doubles: Float64Array;
  readonly words: Uint32Array;
  /** Bytes used; grows in the last slab only. */
  used: number;
  /** After tidying: the references of its records, ascending, and where each of them is now (offset / 8). */
  readonly references: Float64Array | null;
  readonly places: Uint32Array | null;
}

function createSlab(
  firstId: number,
  lastId: number,
  buffer: ArrayBuffer,
  references: Float64Array | null,
  places: Uint32Array | null,
): Slab {
  return {
    firstId,
    lastId,
    bytes: new Uint8Array(buffer),
    doubles: new Float64Array(buffer),
    words: new Uint32Array(buffer),
    used: 0,
    references,
    places,
  };
}

/** The slabs as they were at one moment: what a snapshot reads while the store goes on. */
export interface RecordView {
  readonly slabs: readonly Slab[];
  /** Bytes of the last slab that belong to the view. */
  readonly lastUsed: number;
}

export function recordBytes(bodyLength: number): number {
  return HEAD_BYTES + ((bodyLength + 7) & ~7);
}

/** Stands on one record at a time and reads it. Kept and moved rather than made: there are millions. */
export class RecordCursor {
  private slab: Slab;
  /** The record's first place (offset / 8) in the slab. */
  private place = 0;

  constructor() {
    this.slab = EMPTY_SLAB;
  }

  stand(slab: Slab, place: number): void {
    this.slab = slab;
    this.place = place;
  }

  get modRevision(): number {
    return this.slab.doubles[this.place] ?? 0;
  }
  get createRevision(): number {
    return this.slab.doubles[this.place + 1] ?? 0;
  }
  get version(): number {
    return this.slab.doubles[this.place + 2] ?? 0;
  }
  get supersededAt(): number {
    return this.slab.doubles[this.place + 3] ?? 0;
  }
  set supersededAt(revision: number) {
    this.slab.doubles[this.place + 3] = revision;
  }
  get previous(): number {
    return this.slab.doubles[this.place + 4] ?? NO_RECORD;
  }
  get jump(): number {
    return this.slab.doubles[this.place + 5] ?? NO_RECORD;
  }
  get sub(): number {
    return this.slab.words[this.place * 2 + 12] ?? 0;
  }
  get bodyLength(): number {
    return this.slab.words[this.place * 2 + 13] ?? 0;
  }
  get depth(): number {
    return this.slab.words[this.place * 2 + 14] ?? 0;
  }
  get isTombstone(): boolean {
    return this.version === 0;
  }
  /** The slab's bytes; the record's body is `bytes[bodyStart, bodyStart + bodyLength)`, and is never written again. */
  get bytes(): Uint8Array {
    return this.slab.bytes;
  }
  get bodyStart(): number {
    return this.place * 8 + HEAD_BYTES;
  }

  /**
   * Whether a compaction at `compactedRevision` removed it. Of each key the newest record at or below that revision stays,
   * unless it is a tombstone below it (etcd keeps one exactly at the revision, so that a watcher from there sees it).
   */
  isDead(compactedRevision: number): boolean {
    const { supersededAt } = this;
    if (supersededAt !== 0 && supersededAt <= compactedRevision) return true;
    return this.isTombstone && this.modRevision < compactedRevision;
  }
}

const EMPTY_SLAB = createSlab(0, 0, new ArrayBuffer(0), null, null);

/** What a new record says, but for its body. */
export interface RecordHead {
  modRevision: number;
  createRevision: number;
  version: number;
  previous: number;
  jump: number;
  sub: number;
  depth: number;
}

export class RecordLog {
  /** In the order of revisions; the last one is open. */
  private readonly order: Slab[] = [];
  /** By number; undefined when all its records are gone. */
  private readonly byId: (Slab | undefined)[] = [];
  /** Bytes that the slabs take, and bytes of records in them. */
  capacityBytes = 0;
  usedBytes = 0;

  get slabCount(): number {
    return this.order.length;
  }

  slabAt(position: number): Slab | undefined {
    return this.order[position];
  }

  /** Moves the cursor to a record; false when it is gone or there never was one. */
  find(reference: number, cursor: RecordCursor): boolean {
    if (reference < 0) return false;
    const id = Math.floor(reference / UNITS);
    const slab = this.byId[id];
    if (slab === undefined) return false;
    if (slab.references === null) {
      cursor.stand(slab, reference - id * UNITS);
      return true;
    }
    const position = search(slab.references, reference);
    if (position === -1) return false;
    cursor.stand(slab, slab.places?.[position] ?? 0);
    return true;
  }

  /** Adds a record and stands the cursor on it; the caller fills in the body at once. Returns its reference. */
  append(head: RecordHead, bodyLength: number, cursor: RecordCursor): number {
    const size = recordBytes(bodyLength);
    const slab = this.slabFor(size);
    const place = slab.used / 8;
    slab.doubles[place] = head.modRevision;
    slab.doubles[place + 1] = head.createRevision;
    slab.doubles[place + 2] = head.version;
    slab.doubles[place + 4] = head.previous;
    slab.doubles[place + 5] = head.jump;
    slab.words[place * 2 + 12] = head.sub;
    slab.words[place * 2 + 13] = bodyLength;
    slab.words[place * 2 + 14] = head.depth;
    slab.used += size;
    this.usedBytes += size;
    cursor.stand(slab, place);
    return slab.firstId * UNITS + place;
  }

  freeze(): RecordView {
    return { slabs: this.order.slice(), lastUsed: this.order.at(-1)?.used ?? 0 };
  }

  /** Puts `slab` (null: nothing) in the stead of the slabs at `[first, last]`, none of which is the open one. */
  replace(first: number, last: number, slab: Slab | null): void {
    for (const old of this.order.slice(first, last + 1)) {
      this.capacityBytes -= old.bytes.length;
      this.usedBytes -= old.used;
      for (let id = old.firstId; id <= old.lastId; id += 1) this.byId[id] = slab ?? undefined;
    }
    if (slab === null) this.order.splice(first, last + 1 - first);
    else {
      this.order.splice(first, last + 1 - first, slab);
      this.capacityBytes += slab.bytes.length;
      this.usedBytes += slab.used;
    }
  }

  private slabFor(size: number): Slab {
    const open = this.order.at(-1);
    if (open !== undefined && open.references === null && open.used + size <= open.bytes.length) return open;
    if (open !== undefined) this.close(this.order.length - 1, open);
    const id = this.byId.length;
    const usual = Math.min(FIRST_SLAB_BYTES * 2 ** Math.min(id, 8), SLAB_BYTES);
    const slab = createSlab(id, id, new ArrayBuffer(Math.max(usual, size)), null, null);
    this.order.push(slab);
    this.byId.push(slab);
    this.capacityBytes += slab.bytes.length;
    return slab;
  }

  private close(position: number, open: Slab): void {
    if ((open.bytes.length - open.used) * WASTE_PART <= open.bytes.length) return;
    const trimmed = createSlab(open.firstId, open.lastId, new ArrayBuffer(open.used), open.references, open.places);
    trimmed.bytes.set(open.bytes.subarray(0, open.used));
    trimmed.used = open.used;
    this.replace(position, position, trimmed);
  }
}

function search(references: Float64Array, reference: number): number {
  let low = 0;
  let high = references.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = references[middle] ?? 0;
    if (found === reference) return middle;
    if (found < reference) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/**
 * Walks a slab's records: `visit` is called with the cursor on each, and its reference. `end` is how many bytes of the slab
 * to look at.
 */
export function walkSlab(slab: Slab, end: number, cursor: RecordCursor, visit: (reference: number) => void): void {
  let count = 0;
  for (let offset = 0; offset < end; count += 1) {
    cursor.stand(slab, offset / 8);
    const size = recordBytes(cursor.bodyLength);
    visit(slab.references?.[count] ?? slab.firstId * UNITS + offset / 8);
    offset += size;
  }
}

/** A slab of the records of `slabs` (neighbours, in order) that `keep` wants; null when there are none. */
export function gather(slabs: readonly Slab[], keep: (cursor: RecordCursor) => boolean): Slab | null {
  const cursor = new RecordCursor();
  let bytes = 0;
  let count = 0;
  for (const slab of slabs) {
    walkSlab(slab, slab.used, cursor, () => {
      if (!keep(cursor)) return;
      bytes += recordBytes(cursor.bodyLength);
      count += 1;
    });
  }
  const first = slabs[0];
  const last = slabs.at(-1);
  if (count === 0 || first === undefined || last === undefined) return null;
  const references = new Float64Array(count);
  const places = new Uint32Array(count);
  const gathered = createSlab(first.firstId, last.lastId, new ArrayBuffer(bytes), references, places);
  let next = 0;
  for (const slab of slabs) {
    walkSlab(slab, slab.used, cursor, (reference) => {
      if (!keep(cursor)) return;
      const start = cursor.bodyStart - HEAD_BYTES;
      const size = recordBytes(cursor.bodyLength);
      references[next] = reference;
      places[next] = gathered.used / 8;
      next += 1;
      gathered.bytes.set(slab.bytes.subarray(start, start + size), gathered.used);
      gathered.used += size;
    });
  }
  return gathered;
}
