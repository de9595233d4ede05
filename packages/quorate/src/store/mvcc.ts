/**
 * The multi-version store: keys to histories, and one revision that every write raises. Its rules are etcd's.
 *
 * A store begins at revision 1. A put, a deletion that deletes something, or a transaction that does either raises it by one;
 * all that one command writes has the same revision and is told apart by `sub`, 0 upwards. A key's `version` counts its puts
 * since it was last created, `createRevision` is the revision of the first of them. A deleted key has a tombstone until it is
 * compacted. Any revision from the compacted one to the current one can be read.
 *
 * A command is: writes, and then `commit`. Nothing here fails: requests are checked before (checks.ts, txn.ts).
 *
 * Growth. Each version takes its bytes, some 30 more of encoding and 64 of numbers, until it is compacted *and* its slab was
 * tidied (tidy.ts); each key some 60 bytes of index besides, until its tombstone is. Nothing is deleted by itself: who runs
 * the store watches `sizeInBytes` against a quota and compacts. A request is at most as large as the services let through.
 */
import { entryReference, findAt, indexEntry, isTombstoneEntry, linkAfter } from "./history.js";
import { type IndexEntry, KeyIndex } from "./key-index.js";
import { keyFromBytes } from "./keys.js";
import { exactVarintSize, putExactVarint, putVarint, varintSize, WireReader } from "./protobuf.js";
import type { KeyValue } from "./protocol.js";
import { NO_RECORD, RecordCursor, type RecordHead, RecordLog } from "./records.js";
import { decodeKeyValue } from "./response-codec.js";
import { Tidying } from "./tidy.js";

export class MvccStore {
  readonly records = new RecordLog();
  readonly index = new KeyIndex();
  readonly tidying: Tidying;
  /** The revision of the last command that wrote. */
  currentRevision = 1;
  /** -1 before the first compaction, as in etcd: 0 can be compacted, once. */
  compactedRevision = -1;
  /** Newest records in the index that are tombstones. */
  tombstones = 0;
  /** Records that the command under way has written. */
  private changes = 0;

  private readonly head: RecordHead = {
    modRevision: 0,
    createRevision: 0,
    version: 0,
    previous: NO_RECORD,
    jump: NO_RECORD,
    sub: 0,
    depth: 1,
  };
  private readonly cursor = new RecordCursor();
  private readonly probe = new RecordCursor();

  constructor() {
    this.tidying = new Tidying(this.records, this.index, () => {
      this.tombstones -= 1;
    });
  }

  /** What a read within the command under way calls the current revision: its own, once it has written. */
  get revision(): number {
    return this.changes === 0 ? this.currentRevision : this.currentRevision + 1;
  }

  /** Bytes taken from the system for records, and bytes of them in use. */
  get sizeInBytes(): number {
    return this.records.capacityBytes;
  }
  get sizeInUseInBytes(): number {
    return this.records.usedBytes;
  }

  /** Ends a command: what it wrote becomes the current revision. */
  commit(): void {
    if (this.changes > 0) this.currentRevision += 1;
    this.changes = 0;
  }

  /** The newest record of a key that exists now; NO_RECORD when it does not. */
  latest(key: string): number {
    const entry = this.index.get(key);
    return entry === undefined || isTombstoneEntry(entry.newest) ? NO_RECORD : entryReference(entry.newest);
  }

  /** The record that a key had at a revision, by its newest one in the index; NO_RECORD when the key did not exist then. */
  at(newest: number, revision: number): number {
    const reference = findAt(this.records, entryReference(newest), revision, this.cursor, this.probe);
    return reference === NO_RECORD || this.cursor.isTombstone ? NO_RECORD : reference;
  }

  /** Writes a version of a key. The bytes are copied; `value` may be a view of a record of this store. */
  put(key: string, keyBytes: Uint8Array, value: Uint8Array, lease: bigint): void {
    const { head, cursor } = this;
    const entry = this.begin(key);
    const exists = entry !== undefined && !isTombstoneEntry(entry.newest) && this.records.find(entry.newest, cursor);
    head.version = exists ? cursor.version + 1 : 1;
    head.createRevision = exists ? cursor.createRevision : head.modRevision;
    const reference = this.records.append(head, keyValueSize(keyBytes.length, value.length, lease, head), cursor);
    this.enter(key, entry, reference, false);
    putKeyValue(cursor.bytes, cursor.bodyStart, keyBytes, value, lease, head);
  }

  /** Writes a tombstone of a key that exists. */
  delete(key: string): void {
    const { head, cursor } = this;
    const entry = this.begin(key);
    head.version = 0;
    head.createRevision = 0;
    const reference = this.records.append(head, 1 + varintSize(key.length) + key.length, cursor);
    this.enter(key, entry, reference, true);
    const { bytes, bodyStart } = cursor;
    bytes[bodyStart] = 0x0a;
    const start = putVarint(bytes, bodyStart + 1, key.length);
    for (let at = 0; at < key.length; at += 1) bytes[start + at] = key.charCodeAt(at);
  }

  /** Adds a record from a snapshot; records come in the order of their revisions, and the body is as `put` or `delete` made it. */
  restore(modRevision: number, sub: number, keyValue: KeyValue, body: Uint8Array): void {
    const { head, cursor } = this;
    const key = keyFromBytes(keyValue.key);
    const entry = this.index.get(key);
    head.modRevision = modRevision;
    head.sub = sub;
    linkAfter(this.records, entry === undefined ? NO_RECORD : entryReference(entry.newest), head, cursor);
    head.version = keyValue.version;
    head.createRevision = keyValue.createRevision;
    const reference = this.records.append(head, body.length, cursor);
    cursor.bytes.set(body, cursor.bodyStart);
    this.enter(key, entry, reference, keyValue.version === 0);
  }

  /** All below `revision` can no longer be read. The caller has checked that it is above the last one and not in the future. */
  compact(revision: number): void {
    this.compactedRevision = revision;
    this.tidying.start(revision);
  }

  /** Stands the cursor on a record that exists. */
  read(reference: number, cursor: RecordCursor): void {
    if (!this.records.find(reference, cursor)) throw new Error(`record ${reference} is not there`);
  }

  /** A version as plain data. Key and value are views of memory that never changes; copy them to keep them long. */
  keyValue(reference: number): KeyValue {
    this.read(reference, this.cursor);
    const { bytes, bodyStart, bodyLength } = this.cursor;
    return decodeKeyValue(bytes, bodyStart, bodyStart + bodyLength);
  }

  /** Fills in what every record of the command under way has; the rest is the caller's. */
  private begin(key: string): IndexEntry | undefined {
    const { head } = this;
    const entry = this.index.get(key);
    head.modRevision = this.currentRevision + 1;
    head.sub = this.changes;
    this.changes += 1;
    linkAfter(this.records, entry === undefined ? NO_RECORD : entryReference(entry.newest), head, this.cursor);
    return entry;
  }

  private enter(key: string, entry: IndexEntry | undefined, reference: number, tombstone: boolean): void {
    const newest = indexEntry(reference, tombstone);
    if (tombstone) this.tombstones += 1;
    if (entry === undefined) this.index.add(key, newest);
    else {
      if (isTombstoneEntry(entry.newest)) this.tombstones -= 1;
      entry.newest = newest;
    }
  }
}

function keyValueSize(keyLength: number, valueLength: number, lease: bigint, head: RecordHead): number {
  let size =
    4 +
    varintSize(keyLength) +
    keyLength +
    varintSize(head.createRevision) +
    varintSize(head.modRevision) +
    varintSize(head.version);
  if (valueLength > 0) size += 1 + varintSize(valueLength) + valueLength;
  if (lease !== 0n) size += 1 + exactVarintSize(lease);
  return size;
}

/** The mvccpb.KeyValue of a put, as `writeKeyValue` of the codec would write it. */
function putKeyValue(
  bytes: Uint8Array,
  start: number,
  key: Uint8Array,
  value: Uint8Array,
  lease: bigint,
  head: RecordHead,
): void {
  let at = start;
  bytes[at] = 0x0a;
  at = putVarint(bytes, at + 1, key.length);
  bytes.set(key, at);
  at += key.length;
  bytes[at] = 0x10;
  at = putVarint(bytes, at + 1, head.createRevision);
  bytes[at] = 0x18;
  at = putVarint(bytes, at + 1, head.modRevision);
  bytes[at] = 0x20;
  at = putVarint(bytes, at + 1, head.version);
  if (value.length > 0) {
    bytes[at] = 0x2a;
    at = putVarint(bytes, at + 1, value.length);
    bytes.set(value, at);
    at += value.length;
  }
  if (lease !== 0n) {
    bytes[at] = 0x30;
    putExactVarint(bytes, at + 1, lease);
  }
}

/** Where the value is in a record's body, its tag included: `[start, end)` of the cursor's bytes. Empty at the body's end if none. */
export function valueField(cursor: RecordCursor): readonly [number, number] {
  const end = cursor.bodyStart + cursor.bodyLength;
  const reader = new WireReader(cursor.bytes, cursor.bodyStart, end);
  for (let start = reader.at, tag = reader.tag(); tag !== 0; start = reader.at, tag = reader.tag()) {
    reader.skip(tag);
    if (tag === 0x2a) return [start, reader.at];
  }
  return [end, end];
}
