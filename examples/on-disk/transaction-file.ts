/**
 * A map of keys to values in one file, with transactions: the smallest storage that a state machine can keep itself in. A
 * transaction is one record (length u32, crc32 u32, changes) at the end of the file; one that is cut short by a crash is left out
 * at the next start. Only keys and places are in memory, values are read from the file. When most of the file is
 * old, or another state takes the place of this one, a new file is written beside it, synced, and renamed over it.
 *
 * For a real program take a real database; what it must be able to do is the same: data and the node's records in one transaction.
 */
import { closeSync, fdatasync, fstatSync, fsyncSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";

const HEADER_BYTES = 8;
const CHANGE_BYTES = 8;
const REMOVED = 0xffffffff;
const REWRITE_BYTES = 1024 * 1024;

interface Place {
  readonly at: number;
  readonly length: number;
}

/** A key and its new value, or null: it goes. */
export type Change = readonly [key: string, value: Uint8Array | null];

function readAt(file: number, { at, length }: Place): Buffer {
  const bytes = Buffer.alloc(length);
  if (readSync(file, bytes, 0, length, at) !== length) throw new Error("the file is shorter than it was");
  return bytes;
}

function encode(changes: readonly Change[]): Buffer {
  const parts: Buffer[] = [Buffer.alloc(HEADER_BYTES)];
  for (const [key, value] of changes) {
    const name = Buffer.from(key);
    const head = Buffer.alloc(CHANGE_BYTES);
    head.writeUInt32LE(name.length, 0);
    head.writeUInt32LE(value === null ? REMOVED : value.length, 4);
    parts.push(head, name, Buffer.from(value ?? []));
  }
  const record = Buffer.concat(parts);
  record.writeUInt32LE(record.length - HEADER_BYTES, 0);
  record.writeUInt32LE(crc32(record.subarray(HEADER_BYTES)), 4);
  return record;
}

export class TransactionFile {
  readonly #path: string;
  #file: number;
  #end = 0;
  readonly #places = new Map<string, Place>();

  constructor(path: string) {
    this.#path = path;
    this.#file = openSync(path, "a+");
    const { size } = fstatSync(this.#file);
    for (;;) {
      const header = size - this.#end < HEADER_BYTES ? null : readAt(this.#file, { at: this.#end, length: HEADER_BYTES });
      const length = header?.readUInt32LE(0) ?? 0;
      if (header === null || length > size - this.#end - HEADER_BYTES) break;
      const record = readAt(this.#file, { at: this.#end + HEADER_BYTES, length });
      if (crc32(record) !== header.readUInt32LE(4)) break;
      this.#index(record, this.#end + HEADER_BYTES);
      this.#end += HEADER_BYTES + length;
    }
    // Whatever follows was never finished. It goes, so that nothing stands behind it.
    if (this.#end < size) this.#rewrite(this.frozen());
  }

  #index(record: Buffer, start: number): void {
    for (let at = 0; at < record.length; ) {
      const keyLength = record.readUInt32LE(at);
      const valueLength = record.readUInt32LE(at + 4);
      const key = record.toString("utf8", at + CHANGE_BYTES, at + CHANGE_BYTES + keyLength);
      at += CHANGE_BYTES + keyLength;
      if (valueLength === REMOVED) this.#places.delete(key);
      else this.#places.set(key, { at: start + at, length: valueLength });
      if (valueLength !== REMOVED) at += valueLength;
    }
  }

  get(key: string): Buffer | null {
    const place = this.#places.get(key);
    return place === undefined ? null : readAt(this.#file, place);
  }

  /** All that is there when it is called, whatever comes later. */
  frozen(): Iterable<readonly [string, Buffer]> {
    const places = [...this.#places];
    // The file may be replaced meanwhile; this keeps the old one.
    const file = openSync(this.#path, "r");
    return (function* () {
      try {
        for (const [key, place] of places) yield [key, readAt(file, place)] as const;
      } finally {
        closeSync(file);
      }
    })();
  }

  /** All of them or none. */
  write(changes: readonly Change[]): void {
    const record = encode(changes);
    if (writeSync(this.#file, record) !== record.length) throw new Error("the file took a part of a transaction only");
    this.#index(record.subarray(HEADER_BYTES), this.#end + HEADER_BYTES);
    this.#end += record.length;
  }

  /** All that is there, replaced by this. */
  replace(entries: Iterable<Change>): void {
    this.#rewrite(entries);
  }

  #rewrite(entries: Iterable<Change>): void {
    const aside = `${this.#path}.new`;
    const file = openSync(aside, "w+");
    // One record for all: it is in force when it has the name, and not before.
    const record = encode([...entries]);
    writeSync(file, record);
    fsyncSync(file);
    closeSync(file);
    renameSync(aside, this.#path);
    const folder = openSync(dirname(this.#path), "r");
    fsyncSync(folder);
    closeSync(folder);
    closeSync(this.#file);
    this.#file = openSync(this.#path, "a+");
    this.#places.clear();
    this.#index(record.subarray(HEADER_BYTES), HEADER_BYTES);
    this.#end = record.length;
  }

  /** Everything written before the call survives a loss of power. */
  sync(done: (error: Error | null) => void): void {
    const live = [...this.#places.values()].reduce((sum, { length }) => sum + length, 0);
    if (this.#end > REWRITE_BYTES && this.#end > 4 * live) {
      this.#rewrite(this.frozen());
      return done(null);
    }
    fdatasync(this.#file, done);
  }

  close(): void {
    closeSync(this.#file);
  }
}
