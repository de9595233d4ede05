/**
 * A backup: one file that holds a state of the cluster, and can be checked without anything else. It is made of frames, each
 * with a checksum that is seeded with that of the frame before it; so the last one speaks for the whole, the order included.
 *
 * Frame: type u8, length u32, crc32c u32 (seeded; over the type and the content), content. The first frame, which begins with the letters
 * `QuorateBackup`, says where the state comes from; then come pieces of a snapshot's portable body (snapshot-body.ts) and the
 * entries after it; the last frame repeats their number and where the state ends. It is filled with zeros so that the file's length
 * leaves 32 when divided by 512: etcdctl saves nothing of another length.
 */
import { ByteReader, ByteWriter, DecodeError } from "../../core/bytes.js";
import type { Entry, LogPosition, Term } from "../../core/types.js";
import { crc32c } from "../crc32c.js";
import { ENTRY_TYPES } from "../storage/record.js";
import { BodyReader } from "../storage/snapshot-body.js";

export const BACKUP_FORMAT = 1;
const MAGIC = "QuorateBackup";
const HEADER_BYTES = 9;
const FrameType = { head: 1, snapshot: 2, entry: 3, end: 4 } as const;
/** More than the largest entry, and than any piece that is written. */
const MAX_FRAME_BYTES = 80 * 1024 * 1024;

export interface BackupHead {
  /** Sixteen bytes: the cluster that it was taken from. */
  readonly clusterId: Uint8Array;
  /** The member that it was taken from. */
  readonly name: string;
  readonly incarnation: bigint;
  /** When it was taken, as whoever took it says; for people. */
  readonly takenAt: string;
  /** Where the snapshot in it ends; index 0: it holds none, and the entries begin at 1. */
  readonly snapshot: LogPosition;
  /** The highest term known of. */
  readonly term: Term;
}

const LENGTH_UNIT = 512;
const LENGTH_REST = 32;

export class BackupWriter {
  #checksum = 0;
  #frames = 0;
  #bytes = 0;

  head(head: BackupHead): Uint8Array {
    const writer = new ByteWriter();
    writer.text(MAGIC);
    writer.u16(BACKUP_FORMAT);
    writer.raw(head.clusterId);
    writer.text(head.name);
    writer.big64(head.incarnation);
    writer.text(head.takenAt);
    writer.u64(head.snapshot.index);
    writer.u64(head.snapshot.term);
    writer.u64(head.term);
    return this.#frame(FrameType.head, writer.finish());
  }

  snapshot(piece: Uint8Array): Uint8Array {
    return this.#frame(FrameType.snapshot, piece);
  }

  entry({ index, term, type, data }: Entry): Uint8Array {
    const writer = new ByteWriter(17 + data.length);
    writer.u64(index);
    writer.u64(term);
    writer.u8(ENTRY_TYPES.indexOf(type));
    writer.raw(data);
    return this.#frame(FrameType.entry, writer.finish());
  }

  end(last: LogPosition): Uint8Array {
    const writer = new ByteWriter();
    writer.u64(this.#frames);
    writer.u64(last.index);
    writer.u64(last.term);
    const length = this.#bytes + HEADER_BYTES + writer.length;
    writer.raw(new Uint8Array((LENGTH_UNIT + LENGTH_REST - (length % LENGTH_UNIT)) % LENGTH_UNIT));
    return this.#frame(FrameType.end, writer.finish());
  }

  #frame(type: number, content: Uint8Array): Uint8Array {
    const writer = new ByteWriter(HEADER_BYTES + content.length);
    writer.u8(type);
    writer.u32(content.length);
    this.#checksum = checksumOf(this.#checksum, type, content);
    writer.u32(this.#checksum);
    writer.raw(content);
    this.#frames += 1;
    this.#bytes += HEADER_BYTES + content.length;
    return writer.finish();
  }
}

function checksumOf(before: number, type: number, content: Uint8Array): number {
  return crc32c(content, 0, content.length, crc32c(Uint8Array.of(type), 0, 1, before));
}

export interface BackupSummary {
  readonly head: BackupHead;
  readonly last: LogPosition;
  /** Of the snapshot's body. */
  readonly snapshotBytes: number;
  readonly entries: number;
  /** Of the whole file. */
  readonly bytes: number;
}

/** What a reader of a backup is told as it comes. */
export interface BackupContent {
  readonly snapshot?: (piece: Uint8Array) => void;
  readonly entry?: (entry: Entry) => void;
}

/** Reads a backup from chunks of any size, and checks all of it. Throws a DecodeError at the first thing that is wrong. */
export class BackupReader {
  readonly #content: BackupContent;
  readonly #body = new BodyReader();
  #pending = new Uint8Array(0);
  #checksum = 0;
  #frames = 0;
  #head: BackupHead | null = null;
  #last: LogPosition = { index: 0, term: 0 };
  #bodyEnded = false;
  #snapshotBytes = 0;
  #entries = 0;
  #bytes = 0;
  #ended = false;

  constructor(content: BackupContent = {}) {
    this.#content = content;
  }

  get head(): BackupHead | null {
    return this.#head;
  }

  push(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    const bytes = this.#pending.length === 0 ? chunk : joined(this.#pending, chunk);
    let at = 0;
    for (;;) {
      if (this.#ended && at < bytes.length) throw new DecodeError("has bytes after its end");
      if (bytes.length - at < HEADER_BYTES) break;
      const reader = new ByteReader(bytes, at);
      const type = reader.u8();
      const length = reader.u32();
      if (this.#frames === 0 && type !== FrameType.head) throw new DecodeError("does not begin like a backup");
      if (length > MAX_FRAME_BYTES) throw new DecodeError(`has a part of ${length} bytes`);
      if (bytes.length - at - HEADER_BYTES < length) break;
      const checksum = reader.u32();
      const content = reader.raw(length);
      this.#checksum = checksumOf(this.#checksum, type, content);
      if (this.#checksum !== checksum)
        throw new DecodeError(`is damaged in the ${HEADER_BYTES + length} bytes of its part ${this.#frames}`);
      this.#take(type, content);
      this.#frames += 1;
      at += HEADER_BYTES + length;
    }
    this.#pending = bytes.slice(at);
  }

  /** To be called after the last chunk. */
  finish(): BackupSummary {
    if (this.#bytes === 0) throw new DecodeError("is empty");
    if (!this.#ended || this.#head === null) throw new DecodeError("ends early");
    return {
      head: this.#head,
      last: this.#last,
      snapshotBytes: this.#snapshotBytes,
      entries: this.#entries,
      bytes: this.#bytes,
    };
  }

  #take(type: number, content: Uint8Array): void {
    const reader = new ByteReader(content);
    if (type === FrameType.head && this.#head === null) return this.#takeHead(reader);
    if (type === FrameType.snapshot && this.#entries === 0) return this.#takeSnapshot(content);
    if (type === FrameType.entry) return this.#takeEntry(reader);
    if (type === FrameType.end) return this.#takeEnd(reader);
    throw new DecodeError(`has a part of type ${type} where none can be`);
  }

  #takeHead(reader: ByteReader): void {
    if (reader.text(64) !== MAGIC) throw new DecodeError("does not begin like a backup");
    const format = reader.u16();
    if (format !== BACKUP_FORMAT)
      throw new DecodeError(
        `has format ${format}, and this version reads ${BACKUP_FORMAT}: use the version that wrote it, or a newer one`,
      );
    this.#head = {
      clusterId: reader.raw(16).slice(),
      name: reader.text(64),
      incarnation: reader.big64(),
      takenAt: reader.text(64),
      snapshot: { index: reader.u64(), term: reader.u64() },
      term: reader.u64(),
    };
    reader.end();
    this.#last = this.#head.snapshot;
  }

  #takeSnapshot(piece: Uint8Array): void {
    this.#snapshotBytes += piece.length;
    this.#body.push(piece);
    this.#content.snapshot?.(piece);
  }

  /** The snapshot is complete, and the one that the head names. */
  #endBody(): void {
    if (this.#bodyEnded) return;
    this.#bodyEnded = true;
    const { snapshot } = this.#head ?? { snapshot: { index: 0, term: 0 } };
    if (snapshot.index === 0 && this.#snapshotBytes === 0) return;
    const { lastIncludedIndex, lastIncludedTerm } = this.#body.finish();
    if (lastIncludedIndex !== snapshot.index || lastIncludedTerm !== snapshot.term)
      throw new DecodeError(`holds a snapshot of index ${lastIncludedIndex}, and names one of ${snapshot.index}`);
  }

  #takeEntry(reader: ByteReader): void {
    this.#endBody();
    const index = reader.u64();
    const term = reader.u64();
    const type = ENTRY_TYPES[reader.u8()];
    const data = reader.raw(reader.remaining).slice();
    if (type === undefined || index !== this.#last.index + 1 || term < this.#last.term)
      throw new DecodeError(`has entry ${index} of term ${term} after ${this.#last.index} of term ${this.#last.term}`);
    this.#last = { index, term };
    this.#entries += 1;
    this.#content.entry?.({ index, term, type, data });
  }

  #takeEnd(reader: ByteReader): void {
    this.#endBody();
    const frames = reader.u64();
    const last = { index: reader.u64(), term: reader.u64() };
    if (reader.raw(reader.remaining).some((byte) => byte !== 0)) throw new DecodeError("has an end of another form");
    if (frames !== this.#frames || last.index !== this.#last.index || last.term !== this.#last.term)
      throw new DecodeError("ends with other numbers than it has parts");
    if (this.#last.term > (this.#head?.term ?? 0)) throw new DecodeError("holds an entry of a term that it does not know");
    this.#ended = true;
  }
}

function joined(before: Uint8Array, after: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(before.length + after.length);
  bytes.set(before);
  bytes.set(after, before.length);
  return bytes;
}
