/**
 * Batches: what one write and one sync make durable. A batch begins with a record that says how long it is, what was durable
 * before it, and the whole hard state of each group it touches; then come its entries; and it ends with a record that names
 * every one of them again and repeats the hard state, in another 4 KiB block than the first, so that one bad block never
 * takes both the entry and its name, or both copies of a vote (storage rules WAL5 and WAL20).
 *
 * A batch begins at a sector, so that writing it touches no sector that holds an earlier one.
 */
import { ByteReader, ByteWriter, DecodeError, decoding } from "../../core/bytes.js";
import type { PersistBatch } from "../../core/output.js";
import { EMPTY_BYTES, type Entry, type HardState, type LogItem, type LogPosition } from "../../core/types.js";
import {
  aligned,
  BLOCK_BYTES,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  RecordType,
  RecordWriter,
  readHeader,
  readPayload,
  recordBytes,
  SECTOR_BYTES,
} from "./record.js";

/** What one group wants to have written. */
export interface GroupWrite {
  readonly group: number;
  readonly batch: Pick<PersistBatch, "hardState" | "logStart"> & { readonly entries: readonly LogItem[] };
}

/** Where in the order of records a batch stands. */
export interface BatchPlace {
  readonly segment: number;
  readonly sequence: number;
  /** Everything up to this sequence was synced before the batch was written. */
  readonly durableThrough: number;
  readonly prevChecksum: number;
}

export interface WrittenBatch {
  /** From the first byte of the batch to the last of its records. */
  readonly length: number;
  readonly nextSequence: number;
  readonly checksum: number;
}

/** One step of a batch, in order. */
export type BatchStep =
  | { readonly kind: "entry"; readonly group: number; readonly entry: Entry }
  | { readonly kind: "logStart"; readonly group: number; readonly position: LogPosition; readonly keepSuffix: boolean }
  /** An entry of which only the name is left. */
  | { readonly kind: "lost"; readonly group: number; readonly position: LogPosition };

export interface ReadBatch {
  readonly durableThrough: number;
  readonly hardStates: ReadonlyMap<number, HardState>;
  readonly steps: readonly BatchStep[];
  readonly length: number;
  readonly nextSequence: number;
  readonly checksum: number;
}

/** Bytes of a batch start without its hard states: mark, record count, length. */
const START_BYTES = 8 + 4 + 4;
const NAME_BYTES = 21;
/** The last byte of a batch. Not zero: a batch whose end is zeros was never written to its end (recovery.ts). */
const END = 0x7f;
export const MAX_VOTED_FOR_BYTES = 128;
/**
 * The highest bit of the commit index: entries are lost, and this member must be repaired before it votes. A version that does
 * not know it takes the number for one that can't be, and refuses the directory; that is as it must be.
 */
const RECOVERING = 2 ** 31;

function writeHardStates(writer: ByteWriter, writes: readonly GroupWrite[]): void {
  // The last write of a group tells its hard state after the batch.
  const newest = new Map(writes.map(({ group, batch }) => [group, batch.hardState]));
  writer.u16(newest.size);
  for (const [group, hardState] of newest) {
    writer.u32(group);
    writeHardState(writer, hardState);
  }
}

export function writeHardState(writer: ByteWriter, { currentTerm, votedFor, commitIndex, recovering }: HardState): void {
  writer.u64(currentTerm);
  writer.u32(commitIndex % 2 ** 32);
  writer.u32(Math.floor(commitIndex / 2 ** 32) + (recovering === true ? RECOVERING : 0));
  writer.text(votedFor ?? "");
}

export function readHardState(reader: ByteReader): HardState {
  const currentTerm = reader.u64();
  const low = reader.u32();
  const high = reader.u32();
  const recovering = high >= RECOVERING;
  const commitIndex = (high % RECOVERING) * 2 ** 32 + low;
  if (!Number.isSafeInteger(commitIndex)) throw new DecodeError("holds an index above 2^53");
  const votedFor = reader.text(MAX_VOTED_FOR_BYTES);
  const state = { currentTerm, commitIndex, votedFor: votedFor === "" ? null : votedFor };
  return recovering ? { ...state, recovering } : state;
}

export function readHardStates(reader: ByteReader): ReadonlyMap<number, HardState> {
  const count = reader.u16();
  const states = new Map<number, HardState>();
  for (let place = 0; place < count; place += 1) states.set(reader.u32(), readHardState(reader));
  return states;
}

function recordsOf(writes: readonly GroupWrite[]): number {
  return writes.reduce((sum, { batch }) => sum + batch.entries.length + (batch.logStart === null ? 0 : 1), 0);
}

/** An upper bound of what the batch will take. */
export function batchBytes(writes: readonly GroupWrite[]): number {
  const states = 2 + writes.length * (4 + 18 + MAX_VOTED_FOR_BYTES);
  const bytes = recordBytes(START_BYTES + states) + BLOCK_BYTES + recordsLength(writes);
  return aligned(bytes + recordBytes(4 + states + recordsOf(writes) * NAME_BYTES + 1), SECTOR_BYTES);
}

/** Where the last record of a batch goes: in another block than the first. */
function endPosition(batchStart: number, at: number): number {
  const nextBlock = (Math.floor(batchStart / BLOCK_BYTES) + 1) * BLOCK_BYTES;
  return Math.max(at, nextBlock);
}

/**
 * Writes a batch to the beginning of `bytes`, which is zero and has `batchBytes` of room. `position` is where it will stand
 * in its segment (a multiple of a sector): blocks are counted from there.
 */
export function encodeBatch(bytes: Uint8Array, position: number, place: BatchPlace, writes: readonly GroupWrite[]): WrittenBatch {
  const states = new ByteWriter();
  writeHardStates(states, writes);
  const hardStates = states.finish();
  const count = recordsOf(writes);
  const startLength = recordBytes(START_BYTES + hardStates.length);
  const end = endPosition(position, position + startLength + recordsLength(writes)) - position;
  const endLength = 4 + hardStates.length + count * NAME_BYTES + 1;
  const length = end + recordBytes(endLength);

  const start = new ByteWriter(START_BYTES + hardStates.length);
  start.u64(place.durableThrough);
  start.u32(count);
  start.u32(length);
  start.raw(hardStates);
  const names = new ByteWriter(endLength);
  names.u32(count);
  names.raw(hardStates);

  const records = new RecordWriter(bytes, place.segment, place.sequence, place.prevChecksum);
  let at = records.write(0, RecordType.batchStart, 0, 0, 0, "noop", start.finish());
  for (const { group, batch } of writes) {
    if (batch.logStart !== null) {
      const { position: from, keepSuffix } = batch.logStart;
      at = records.write(at, RecordType.logStart, group, from.index, from.term, "noop", Uint8Array.of(keepSuffix ? 1 : 0));
      writeName(names, RecordType.logStart, group, from);
    }
    for (const entry of batch.entries) {
      const { index, term } = entry;
      if (entry.type === "lost") {
        at = records.write(at, RecordType.lost, group, index, term, "noop", EMPTY_BYTES);
        writeName(names, RecordType.lost, group, entry);
      } else {
        at = records.write(at, RecordType.entry, group, index, term, entry.type, entry.data);
        writeName(names, RecordType.entry, group, entry);
      }
    }
  }
  names.u8(END);
  records.write(end, RecordType.batchEnd, 0, 0, 0, "noop", names.finish());
  return { length, nextSequence: records.nextSequence, checksum: records.checksum };
}

/** What stands between the first record of a batch and its last. */
function recordsLength(writes: readonly GroupWrite[]): number {
  let bytes = 0;
  for (const { batch } of writes) {
    if (batch.logStart !== null) bytes += recordBytes(1);
    for (const entry of batch.entries) bytes += recordBytes(entry.type === "lost" ? 0 : entry.data.length);
  }
  return bytes;
}

function writeName(writer: ByteWriter, type: number, group: number, { index, term }: LogPosition): void {
  writer.u8(type);
  writer.u32(group);
  writer.u64(index);
  writer.u64(term);
}

/** A record that is missing, cut off or not what belongs there. */
export interface BadRecord {
  readonly at: number;
  /** How far it reaches as far as is known: its header's end when the header can't be read. */
  readonly end: number;
  readonly what: string;
}

export type BatchReading = { readonly ok: true; readonly batch: ReadBatch } | { readonly ok: false; readonly bad: BadRecord };

/** Reads the batch that must begin at `position` of a segment's bytes. */
export function readBatch(
  bytes: Uint8Array,
  position: number,
  /** `prevChecksum` null: the record before it can't be read. */
  expected: { readonly segment: number; readonly sequence: number; readonly prevChecksum: number | null },
): BatchReading {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = position;
  let sequence = expected.sequence;
  let checksum: number | null = expected.prevChecksum;
  let bad: BadRecord | null = null;

  const next = (types: readonly number[]): { readonly header: RecordHeader; readonly payload: Uint8Array } | null => {
    const header = readHeader(bytes, view, at);
    const wrong = (what: string, length = 0): null => {
      bad = { at, end: Math.min(bytes.length, at + RECORD_HEADER_BYTES + length), what };
      return null;
    };
    if (header === null) return wrong("its header can't be read");
    if (header.segment !== expected.segment) return wrong(`it belongs to segment ${header.segment}`);
    if (header.sequence !== sequence || header.place !== sequence - expected.sequence)
      return wrong(`it is record ${header.sequence}, not ${sequence}`);
    if (checksum !== null && header.prevChecksum !== checksum)
      return wrong("it does not follow the record before it", header.payloadLength);
    if (!types.includes(header.type)) return wrong(`its type is ${header.type}`);
    const payload = readPayload(bytes, at, header);
    if (payload === null) return wrong("its content can't be read", header.payloadLength);
    sequence += 1;
    checksum = header.checksum;
    at += recordBytes(header.payloadLength);
    return { header, payload };
  };
  const refuse = (what: string): BatchReading => ({
    ok: false,
    bad: bad ?? { at: position, end: Math.min(bytes.length, at), what },
  });

  const first = next([RecordType.batchStart]);
  if (first === null) return refuse("");
  const start = decoding(() => readStart(first.payload));
  if (!start.ok) return refuse(`its beginning ${start.reason}`);
  const { durableThrough, count, length, hardStates } = start.value;
  const steps: BatchStep[] = [];
  for (let place = 0; place < count; place += 1) {
    const record = next([RecordType.entry, RecordType.logStart, RecordType.lost]);
    if (record === null) return refuse("");
    steps.push(stepOf(record.header, record.payload));
  }
  at = endPosition(position, at);
  const last = next([RecordType.batchEnd]);
  if (last === null) return refuse("");
  const named = decoding(() => checkNames(last.payload, steps));
  if (!named.ok) return refuse(`its end ${named.reason}`);
  if (at - position !== length) return refuse(`it is ${at - position} bytes long and says ${length}`);
  return { ok: true, batch: { durableThrough, hardStates, steps, length, nextSequence: sequence, checksum: checksum ?? 0 } };
}

/** What the first record of a batch says. */
export function readStart(payload: Uint8Array): {
  readonly durableThrough: number;
  readonly count: number;
  readonly length: number;
  readonly hardStates: ReadonlyMap<number, HardState>;
} {
  const reader = new ByteReader(payload);
  const read = { durableThrough: reader.u64(), count: reader.u32(), length: reader.u32(), hardStates: readHardStates(reader) };
  reader.end();
  return read;
}

/** A record as the last one of its batch names it. */
export interface RecordName {
  readonly type: number;
  readonly group: number;
  readonly position: LogPosition;
}

/** What the last record of a batch says. */
export function readEnd(payload: Uint8Array): {
  readonly hardStates: ReadonlyMap<number, HardState>;
  readonly names: readonly RecordName[];
} {
  const reader = new ByteReader(payload);
  const count = reader.count(NAME_BYTES, payload.length);
  const hardStates = readHardStates(reader);
  const names: RecordName[] = [];
  for (let place = 0; place < count; place += 1) {
    const type = reader.u8();
    const group = reader.u32();
    names.push({ type, group, position: { index: reader.u64(), term: reader.u64() } });
  }
  if (reader.u8() !== END) throw new DecodeError("has no end");
  reader.end();
  return { hardStates, names };
}

export function stepOf(header: RecordHeader, payload: Uint8Array): BatchStep {
  const { group, index, term, entryType } = header;
  if (header.type === RecordType.lost) return { kind: "lost", group, position: { index, term } };
  if (header.type === RecordType.logStart)
    return { kind: "logStart", group, position: { index, term }, keepSuffix: payload[0] === 1 };
  return { kind: "entry", group, entry: { index, term, type: entryType, data: payload.length === 0 ? EMPTY_BYTES : payload } };
}

function checkNames(payload: Uint8Array, steps: readonly BatchStep[]): void {
  const { names } = readEnd(payload);
  if (names.length !== steps.length) throw new DecodeError("counts other records than there are");
  for (const [place, step] of steps.entries()) {
    const name = names[place];
    const is = step.kind === "entry" ? step.entry : step.position;
    if (
      name === undefined ||
      name.type !== RecordType[step.kind] ||
      name.group !== step.group ||
      name.position.index !== is.index ||
      name.position.term !== is.term
    )
      throw new DecodeError("names other records than there are");
  }
}
