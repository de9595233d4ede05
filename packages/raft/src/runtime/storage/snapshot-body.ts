/**
 * The portable part of a snapshot: what one node writes, sends and another restores, byte for byte the same everywhere. It
 * keeps the boundaries of the pieces that the state machine gave out, and a checksum for each and for their order.
 *
 * Layout: magic u32, version u16, length u32, crc32c u32, then the metadata (last included index and term, index of the
 * configuration, configuration); then each piece: length u32, crc32c u32 (seeded with the checksum before it), bytes; then
 * the end: 0xffffffff u32, the last checksum u32, number of pieces u64. A piece of the session table has the highest bit of
 * its length set, and the seed of its checksum inverted, so that it is never taken for one of the machine's.
 */
import { ByteReader, ByteWriter, DecodeError } from "../../core/bytes.js";
import { decodeConfiguration, encodeConfiguration } from "../../core/configuration-codec.js";
import type { SnapshotMetadata } from "../../core/output.js";
import { crc32c } from "../crc32c.js";
import type { SnapshotPart, SnapshotPiece } from "../machine-host.js";

const MAGIC = 0x534e5351;
const VERSION = 1;
const PREFIX_BYTES = 14;
const PIECE_HEADER_BYTES = 8;
const OF_SESSIONS = 0x80000000;
const END = 0xffffffff;
const END_BYTES = 16;
const MAX_METADATA_BYTES = 256 * 1024;
/** The largest piece that is written or accepted. */
export const MAX_PIECE_BYTES = 16 * 1024 * 1024;

/** Writes a body, part by part. */
export class BodyWriter {
  #checksum = 0;
  #pieces = 0;

  metadata({ lastIncludedIndex, lastIncludedTerm, configuration, configurationIndex }: SnapshotMetadata): Uint8Array {
    const body = new ByteWriter();
    body.u64(lastIncludedIndex);
    body.u64(lastIncludedTerm);
    body.u64(configurationIndex);
    body.blob(encodeConfiguration(configuration));
    const fields = body.finish();
    const writer = new ByteWriter(PREFIX_BYTES + fields.length);
    writer.u32(MAGIC);
    writer.u16(VERSION);
    writer.u32(fields.length);
    this.#checksum = crc32c(fields);
    writer.u32(this.#checksum);
    writer.raw(fields);
    return writer.finish();
  }

  piece(bytes: Uint8Array, part: SnapshotPart = "machine"): Uint8Array {
    if (bytes.length > MAX_PIECE_BYTES)
      throw new RangeError(
        `a piece of a snapshot has ${bytes.length} bytes: at most ${MAX_PIECE_BYTES} are possible, and 1 MiB is advised`,
      );
    this.#checksum = crc32c(bytes, 0, bytes.length, seedOf(part, this.#checksum));
    this.#pieces += 1;
    const writer = new ByteWriter(PIECE_HEADER_BYTES + bytes.length);
    writer.u32(part === "sessions" ? bytes.length + OF_SESSIONS : bytes.length);
    writer.u32(this.#checksum);
    writer.raw(bytes);
    return writer.finish();
  }

  end(): Uint8Array {
    const writer = new ByteWriter(END_BYTES);
    writer.u32(END);
    writer.u32(this.#checksum);
    writer.u64(this.#pieces);
    return writer.finish();
  }
}

function seedOf(part: SnapshotPart, checksum: number): number {
  return part === "sessions" ? ~checksum >>> 0 : checksum;
}

/** Reads a body from chunks of any size, in order. Throws a DecodeError at the first thing that is wrong. */
export class BodyReader {
  #pending = new Uint8Array(0);
  #checksum = 0;
  #pieces = 0;
  #metadata: SnapshotMetadata | null = null;
  #ended = false;

  /** Known once enough of the body was read. */
  get metadata(): SnapshotMetadata | null {
    return this.#metadata;
  }

  /** The pieces that this chunk completes. */
  push(chunk: Uint8Array): readonly SnapshotPiece[] {
    const bytes = new Uint8Array(this.#pending.length + chunk.length);
    bytes.set(this.#pending);
    bytes.set(chunk, this.#pending.length);
    const pieces: SnapshotPiece[] = [];
    let at = 0;
    for (;;) {
      const length = this.#partLength(bytes, at);
      if (length === null || at + length > bytes.length) break;
      const piece = this.#take(new ByteReader(bytes, at, at + length));
      if (piece !== null) pieces.push(piece);
      at += length;
    }
    this.#pending = bytes.slice(at);
    return pieces;
  }

  /** To be called after the last chunk. */
  finish(): SnapshotMetadata {
    if (!this.#ended || this.#metadata === null) throw new DecodeError("ends early");
    if (this.#pending.length > 0) throw new DecodeError("has bytes after its end");
    return this.#metadata;
  }

  /** How long the part at `at` is; null while that can't be told yet. */
  #partLength(bytes: Uint8Array, at: number): number | null {
    const reader = new ByteReader(bytes, at);
    if (this.#ended) {
      if (reader.remaining > 0) throw new DecodeError("has bytes after its end");
      return null;
    }
    if (this.#metadata === null) {
      if (reader.remaining < PREFIX_BYTES) return null;
      if (reader.u32() !== MAGIC) throw new DecodeError("does not begin like a snapshot");
      const version = reader.u16();
      if (version !== VERSION) throw new DecodeError(`has version ${version}, this node reads version ${VERSION}`);
      const length = reader.u32();
      if (length > MAX_METADATA_BYTES) throw new DecodeError("has metadata that is too long");
      return PREFIX_BYTES + length;
    }
    if (reader.remaining < PIECE_HEADER_BYTES) return null;
    const first = reader.u32();
    if (first === END) return END_BYTES;
    const length = first % OF_SESSIONS;
    if (length > MAX_PIECE_BYTES) throw new DecodeError(`has a piece of ${length} bytes`);
    return PIECE_HEADER_BYTES + length;
  }

  #take(reader: ByteReader): SnapshotPiece | null {
    if (this.#metadata === null) {
      this.#metadata = this.#readMetadata(reader);
      return null;
    }
    const first = reader.u32();
    const checksum = reader.u32();
    if (first === END) {
      if (checksum !== this.#checksum || reader.u64() !== this.#pieces) throw new DecodeError("ends with the wrong checksum");
      this.#ended = true;
      return null;
    }
    const part = first >= OF_SESSIONS ? "sessions" : "machine";
    const bytes = reader.raw(first % OF_SESSIONS).slice();
    if (crc32c(bytes, 0, bytes.length, seedOf(part, this.#checksum)) !== checksum)
      throw new DecodeError(`is damaged in piece ${this.#pieces}`);
    this.#checksum = checksum;
    this.#pieces += 1;
    return { part, bytes };
  }

  #readMetadata(reader: ByteReader): SnapshotMetadata {
    reader.raw(10);
    const checksum = reader.u32();
    const fields = reader.raw(reader.remaining);
    if (crc32c(fields) !== checksum) throw new DecodeError("has damaged metadata");
    this.#checksum = checksum;
    const inside = new ByteReader(fields);
    const position = { lastIncludedIndex: inside.u64(), lastIncludedTerm: inside.u64(), configurationIndex: inside.u64() };
    const configuration = decodeConfiguration(inside.blob());
    inside.end();
    if (configuration === null || position.lastIncludedIndex === 0 || position.configurationIndex > position.lastIncludedIndex)
      throw new DecodeError("has metadata that can't be");
    return { ...position, configuration };
  }
}
