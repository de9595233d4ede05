/**
 * Records: what a segment of the log is made of. Each can be verified alone, because damage before it must not make it
 * unreadable; each carries the checksum of the one before it, because a record that is whole may still stand in the wrong
 * place; and each names its segment, so that bytes of another file are never taken for its own (storage rule WAL4).
 *
 * Header, 64 bytes, little endian, 8-byte aligned:
 *
 *   0  magic u32              16  sequence u64       48  group u32
 *   4  headerCrc u32          24  segment id u64     52  prevChecksum u32
 *   8  type u8                32  index u64          56  payloadCrc u32
 *   9  entry type u8          40  term u64           60  place in the batch u32
 *  10  mask u8, then a zero byte
 *  12  payload length u32
 *
 * headerCrc covers bytes 8 to 63. The sequence counts records without a gap over all segments. A payload of which a 512-byte
 * sector would hold nothing but zeros, be it only its last bytes, is stored XORed with a byte, the mask, that leaves none: so a
 * sector of zeros under a record always means that the disk never got it, and a torn write can be told from damage (WAL6b).
 */
import type { EntryType, Index, Term } from "../../core/types.js";
import { crc32c } from "../crc32c.js";

export const RECORD_HEADER_BYTES = 64;
export const SECTOR_BYTES = 512;
export const BLOCK_BYTES = 4096;
const MAGIC = 0x4c455251;

export const RecordType = { batchStart: 1, entry: 2, logStart: 3, batchEnd: 4, lost: 5 } as const;

export const ENTRY_TYPES: readonly EntryType[] = ["noop", "command", "configuration", "session"];
const HIGH = 2 ** 32;

/** What is the same for all records of a batch. */
export interface RecordHeader {
  readonly type: number;
  readonly entryType: EntryType;
  readonly payloadLength: number;
  readonly sequence: number;
  readonly segment: number;
  readonly index: Index;
  readonly term: Term;
  readonly group: number;
  readonly prevChecksum: number;
  readonly payloadCrc: number;
  /** How many records of the same batch stand before it: the batch began with sequence `sequence - place`. */
  readonly place: number;
  /** The checksum of the header itself, which stands for the whole record in the chain. */
  readonly checksum: number;
  readonly mask: number;
}

export function aligned(length: number, to: number): number {
  return Math.ceil(length / to) * to;
}

export function recordBytes(payloadLength: number): number {
  return aligned(RECORD_HEADER_BYTES + payloadLength, 8);
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % HIGH, true);
  view.setUint32(at + 4, Math.floor(value / HIGH), true);
}

function getU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * HIGH + view.getUint32(at, true);
}

/** Writes the records of one batch, one after the other: what is the same for all of them, and the chain. */
export class RecordWriter {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #segment: number;
  readonly #first: number;
  #place = 0;
  #checksum: number;

  /** `bytes` begins at a sector of the file and is zero. */
  constructor(bytes: Uint8Array, segment: number, sequence: number, prevChecksum: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#segment = segment;
    this.#first = sequence;
    this.#checksum = prevChecksum;
  }

  get nextSequence(): number {
    return this.#first + this.#place;
  }

  /** Of the last record: what the next one must name. */
  get checksum(): number {
    return this.#checksum;
  }

  /** Returns where the next record may begin. */
  write(at: number, type: number, group: number, index: Index, term: Term, entryType: EntryType, payload: Uint8Array): number {
    const bytes = this.#bytes;
    const view = this.#view;
    const start = at + RECORD_HEADER_BYTES;
    const end = start + payload.length;
    bytes.set(payload, start);
    const mask = maskZeroSectors(bytes, start, end);
    view.setUint32(at, MAGIC, true);
    bytes[at + 8] = type;
    bytes[at + 9] = ENTRY_TYPES.indexOf(entryType);
    bytes[at + 10] = mask;
    view.setUint32(at + 12, payload.length, true);
    setU64(view, at + 16, this.#first + this.#place);
    setU64(view, at + 24, this.#segment);
    setU64(view, at + 32, index);
    setU64(view, at + 40, term);
    view.setUint32(at + 48, group, true);
    view.setUint32(at + 52, this.#checksum, true);
    view.setUint32(at + 56, crc32c(bytes, start, end), true);
    view.setUint32(at + 60, this.#place, true);
    this.#checksum = crc32c(bytes, at + 8, start);
    view.setUint32(at + 4, this.#checksum, true);
    this.#place += 1;
    return at + recordBytes(payload.length);
  }
}

/**
 * Masks the bytes if all that a sector holds of them is zero: what stands behind them may be zero too. The sector where they
 * begin is none of these, as the header's last bytes stand in it. Returns the mask, 0 for none.
 */
function maskZeroSectors(bytes: Uint8Array, start: number, end: number): number {
  let hasZeroSector = false;
  /** Bytes that would turn a sector into zeros: those of which it is made entirely. */
  const taken = new Set<number>();
  for (let sector = aligned(start, SECTOR_BYTES); sector < end; sector += SECTOR_BYTES) {
    const only = uniformByte(bytes, sector, Math.min(sector + SECTOR_BYTES, end));
    if (only === 0) hasZeroSector = true;
    if (only !== null) taken.add(only);
  }
  if (!hasZeroSector) return 0;
  let mask = 1;
  while (taken.has(mask) && mask < 255) mask += 1;
  for (let at = start; at < end; at += 1) bytes[at] = (bytes[at] ?? 0) ^ mask;
  return mask;
}

/** The byte that is repeated from `start` to `end`, or null. */
function uniformByte(bytes: Uint8Array, start: number, end: number): number | null {
  const only = bytes[start] ?? 0;
  for (let at = start + 1; at < end; at += 1) if (bytes[at] !== only) return null;
  return only;
}

/** The header at `at`, if its own checksum holds and its numbers can be. Says nothing about the payload. */
export function readHeader(bytes: Uint8Array, view: DataView, at: number): RecordHeader | null {
  if (at + RECORD_HEADER_BYTES > bytes.length || view.getUint32(at, true) !== MAGIC) return null;
  const checksum = view.getUint32(at + 4, true);
  if (crc32c(bytes, at + 8, at + RECORD_HEADER_BYTES) !== checksum) return null;
  const entryType = ENTRY_TYPES[bytes[at + 9] ?? 255];
  const header = {
    type: bytes[at + 8] ?? 0,
    mask: bytes[at + 10] ?? 0,
    payloadLength: view.getUint32(at + 12, true),
    sequence: getU64(view, at + 16),
    segment: getU64(view, at + 24),
    index: getU64(view, at + 32),
    term: getU64(view, at + 40),
    group: view.getUint32(at + 48, true),
    prevChecksum: view.getUint32(at + 52, true),
    payloadCrc: view.getUint32(at + 56, true),
    place: view.getUint32(at + 60, true),
    checksum,
  };
  if (
    entryType === undefined ||
    !Number.isSafeInteger(header.sequence) ||
    !Number.isSafeInteger(header.index) ||
    !Number.isSafeInteger(header.term)
  )
    return null;
  return { ...header, entryType };
}

/** The payload, unmasked, as a copy. Null when it is cut off or its checksum does not hold. */
export function readPayload(bytes: Uint8Array, at: number, header: RecordHeader): Uint8Array | null {
  const start = at + RECORD_HEADER_BYTES;
  const end = start + header.payloadLength;
  if (end > bytes.length || crc32c(bytes, start, end) !== header.payloadCrc) return null;
  const payload = bytes.slice(start, end);
  if (header.mask !== 0)
    for (let place = 0; place < payload.length; place += 1) payload[place] = (payload[place] ?? 0) ^ header.mask;
  return payload;
}

export function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (bytes[at] !== 0) return false;
  return true;
}
