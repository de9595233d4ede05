/**
 * Segments: the files of the log. A segment is filled with zeros and synced before it gets its name, its id never returns,
 * and it is only ever written forward; so what stands in it is a batch of its own, or zeros, or damage.
 *
 * Its header says whose it is, where it begins in the order of records, and repeats everything an older segment might be
 * needed for: the whole hard state and the bounds of each group's log. Records that an older segment may hold beyond
 * `firstSequence` do not count; that is how a torn tail is left behind.
 *
 * Header, padded to whole 4 KiB blocks: magic, format u16, length u32, crc32c u32 over the rest, then the fields below.
 */
import { ByteReader, ByteWriter, DecodeError, decoding } from "../../core/bytes.js";
import { type HardState, type LogPosition, NO_POSITION } from "../../core/types.js";
import { hexadecimal } from "../cluster-id.js";
import { crc32c } from "../crc32c.js";
import { readHardState, writeHardState } from "./batch.js";
import { aligned, BLOCK_BYTES } from "./record.js";

export const LOG_FOLDER = "log";
/** The version of everything below the data directory. A directory of a newer one is refused. */
export const FORMAT_VERSION = 2;

const MAGIC = 0x47455351;
const PREFIX_BYTES = 14;
const MAX_HEADER_BYTES = 1024 * 1024;

/** Whose files these are; in every one of them (WAL16). */
export interface Owner {
  /** Sixteen bytes. */
  readonly clusterId: Uint8Array;
  readonly name: string;
  readonly incarnation: bigint;
}

/** What a group's log looked like when the segment was begun. */
export interface GroupBounds {
  readonly hardState: HardState;
  /** The position before the first entry that is still needed. */
  readonly start: LogPosition;
  readonly last: LogPosition;
}

export interface SegmentHeader extends Owner {
  readonly id: number;
  /** Of the file, in bytes: a shorter one has lost its end. */
  readonly size: number;
  readonly firstSequence: number;
  /** Everything up to this record is durable, here and in older segments. */
  readonly durableThrough: number;
  readonly prevChecksum: number;
  readonly groups: ReadonlyMap<number, GroupBounds>;
}

export const EMPTY_BOUNDS: GroupBounds = {
  hardState: { currentTerm: 0, votedFor: null, commitIndex: 0 },
  start: NO_POSITION,
  last: NO_POSITION,
};

export function segmentPath(id: number): string {
  return `${LOG_FOLDER}/${id.toString(16).padStart(16, "0")}.segment`;
}

/** The id in a file's name; null for another file. */
export function segmentId(name: string): number | null {
  const match = /^([0-9a-f]{16})\.segment$/.exec(name);
  const id = match === null ? Number.NaN : Number.parseInt(match[1] ?? "", 16);
  return Number.isSafeInteger(id) ? id : null;
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const body = new ByteWriter();
  body.raw(header.clusterId);
  body.text(header.name);
  body.big64(header.incarnation);
  body.u64(header.id);
  body.u64(header.size);
  body.u64(header.firstSequence);
  body.u64(header.durableThrough);
  body.u32(header.prevChecksum);
  body.u32(header.groups.size);
  for (const [group, { hardState, start, last }] of header.groups) {
    body.u32(group);
    writeHardState(body, hardState);
    for (const { index, term } of [start, last]) {
      body.u64(index);
      body.u64(term);
    }
  }
  const fields = body.finish();
  const writer = new ByteWriter(aligned(PREFIX_BYTES + fields.length, BLOCK_BYTES));
  writer.u32(MAGIC);
  writer.u16(FORMAT_VERSION);
  writer.u32(fields.length);
  writer.u32(crc32c(fields));
  writer.raw(fields);
  writer.raw(new Uint8Array(aligned(writer.length, BLOCK_BYTES) - writer.length));
  return writer.finish();
}

/** The header and its length in the file, or what is wrong with it. */
export function decodeSegmentHeader(
  bytes: Uint8Array,
):
  | { readonly ok: true; readonly value: { readonly header: SegmentHeader; readonly length: number } }
  | { readonly ok: false; readonly reason: string } {
  return decoding(() => {
    const prefix = new ByteReader(bytes);
    if (prefix.u32() !== MAGIC) throw new DecodeError("does not begin like a segment of a log");
    const format = prefix.u16();
    if (format > FORMAT_VERSION)
      throw new DecodeError(`has format ${format}, this version reads up to ${FORMAT_VERSION}: upgrade this node`);
    const length = prefix.u32();
    const crc = prefix.u32();
    if (length > MAX_HEADER_BYTES || length > prefix.remaining) throw new DecodeError("has a header that is cut off");
    if (crc32c(bytes, PREFIX_BYTES, PREFIX_BYTES + length) !== crc) throw new DecodeError("has a damaged header");
    const reader = new ByteReader(bytes, PREFIX_BYTES, PREFIX_BYTES + length);
    const clusterId = reader.raw(16).slice();
    const name = reader.text(64);
    const owner = { clusterId, name, incarnation: reader.big64() };
    const place = {
      id: reader.u64(),
      size: reader.u64(),
      firstSequence: reader.u64(),
      durableThrough: reader.u64(),
      prevChecksum: reader.u32(),
    };
    const groups = new Map<number, GroupBounds>();
    const count = reader.count(40, 1_000_000);
    for (let at = 0; at < count; at += 1) {
      const group = reader.u32();
      const hardState = readHardState(reader);
      groups.set(group, {
        hardState,
        start: { index: reader.u64(), term: reader.u64() },
        last: { index: reader.u64(), term: reader.u64() },
      });
    }
    reader.end();
    return { header: { ...owner, ...place, groups }, length: aligned(PREFIX_BYTES + length, BLOCK_BYTES) };
  });
}

/** Null when the file is this node's; otherwise whose it is, in words. */
export function foreignOwner(owner: Owner, is: Owner): string | null {
  if (hexadecimal(is.clusterId) !== hexadecimal(owner.clusterId))
    return `belongs to cluster ${hexadecimal(is.clusterId)}, this node to ${hexadecimal(owner.clusterId)}`;
  if (is.name !== owner.name) return `belongs to node ${is.name}, this is ${owner.name}`;
  if (is.incarnation !== owner.incarnation)
    return `belongs to another life of node ${owner.name}: files of two data directories were mixed`;
  return null;
}
