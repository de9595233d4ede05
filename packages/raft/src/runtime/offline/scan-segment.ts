/**
 * Every batch of a segment, and what is wrong between them. A batch that can't be read is judged by the rules of a start (WAL6,
 * WAL6b: was it synced? was the write cut short?), and reading goes on at the next batch that is whole.
 */
import { ByteReader, decoding } from "../../core/bytes.js";
import type { HardState, LogPosition } from "../../core/types.js";
import { type BadRecord, type ReadBatch, readBatch, readHardState } from "../storage/batch.js";
import {
  aligned,
  isZero,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  RecordType,
  readHeader,
  readPayload,
  recordBytes,
  SECTOR_BYTES,
} from "../storage/record.js";
import type { SegmentHeader } from "../storage/segment.js";
import type { Degree, Finding } from "./finding.js";

/** Where reading stands in the one sequence of records that all segments hold. */
export interface Chain {
  sequence: number;
  checksum: number;
  /** The highest record that anything read so far says was synced. */
  durable: number;
}

/** What is left of a batch that can't be read as a whole. */
export interface Remains {
  readonly at: number;
  readonly hardStates: ReadonlyMap<number, HardState>;
  /** What its records say, in order; `lost` where only the name can be read. */
  readonly parts: readonly RemainingPart[];
  /** Where it ends, and how many records it has, if its first or its last one can be read. */
  readonly extent: { readonly end: number; readonly records: number } | null;
}

export interface RemainingPart {
  readonly kind: "entry" | "logStart" | "lost";
  readonly group: number;
  readonly header: RecordHeader | null;
  readonly position: LogPosition;
  readonly payload: Uint8Array | null;
}

export interface SegmentContent {
  readonly onBatch: (batch: ReadBatch, at: number) => void;
  readonly onRemains: (remains: Remains) => void;
  readonly onFinding: (finding: Finding) => void;
}

/** The header of the segment after it; null for the last one. */
export type NextSegment = SegmentHeader | "unreadable" | null;

/** Returns whether the log's end is lost: it stops at something that can't be read and was perhaps promised. */
export function scanSegment(
  { path, header, headerLength }: { readonly path: string; readonly header: SegmentHeader; readonly headerLength: number },
  bytes: Uint8Array,
  next: NextSegment,
  chain: Chain,
  content: SegmentContent,
): boolean {
  const end = next === null || next === "unreadable" ? Number.MAX_SAFE_INTEGER : next.firstSequence;
  let endIsLost = false;
  let position = headerLength;
  while (chain.sequence < end && position < bytes.length) {
    const expected = { segment: header.id, sequence: chain.sequence, prevChecksum: chain.checksum };
    const reading = readBatch(bytes, position, expected);
    if (reading.ok) {
      chain.durable = Math.max(chain.durable, reading.batch.durableThrough);
      content.onBatch(reading.batch, position);
      chain.sequence = reading.batch.nextSequence;
      chain.checksum = reading.batch.checksum;
      position = aligned(position + reading.batch.length, SECTOR_BYTES);
      continue;
    }
    const later = nextBatch(bytes, position, header.id, chain.sequence);
    const mayEndHere = next === "unreadable" || (next === null && chain.sequence > chain.durable);
    if (later === null && mayEndHere && isZero(bytes, position, bytes.length)) return false;
    const { degree, why } = judge(bytes, position, reading.bad, header.id, next, chain);
    const remains = degree === "torn" ? null : remainsOf(bytes, position, later?.at ?? bytes.length, header.id, chain.sequence);
    const lost = remains?.parts.filter(({ kind }) => kind === "lost").map(({ position: name }) => name) ?? [];
    content.onFinding({ degree, place: `${path} at byte ${reading.bad.at}`, what: `${reading.bad.what}; ${why}`, lost });
    if (remains !== null) content.onRemains(remains);
    const behind = degree === "damage" ? batchBehind(bytes, position, remains, header.id, chain.sequence) : null;
    if (behind !== null) {
      chain.sequence = behind.sequence;
      chain.checksum = behind.checksum;
      position = behind.at;
      continue;
    }
    if (later === null) {
      endIsLost = degree !== "torn";
      break;
    }
    chain.sequence = later.header.sequence;
    chain.checksum = later.header.prevChecksum;
    position = later.at;
  }
  if (next === null || next === "unreadable") return endIsLost;
  if (chain.sequence !== end && position >= bytes.length)
    content.onFinding({
      degree: "damage",
      place: path,
      what: `it ends with record ${chain.sequence - 1}, and the next segment begins with ${end}: what stood between them is gone`,
    });
  else if (chain.sequence === end && chain.checksum !== next.prevChecksum)
    content.onFinding({ degree: "damage", place: path, what: "the next segment does not follow it" });
  chain.sequence = next.firstSequence;
  chain.checksum = next.prevChecksum;
  return false;
}

/** The next batch of this segment of which every record is whole. */
function nextBatch(
  bytes: Uint8Array,
  position: number,
  segment: number,
  after: number,
): { readonly at: number; readonly header: RecordHeader } | null {
  const view = viewOf(bytes);
  for (let at = aligned(position + 1, SECTOR_BYTES); at + RECORD_HEADER_BYTES <= bytes.length; at += SECTOR_BYTES) {
    const header = readHeader(bytes, view, at);
    if (header === null || header.segment !== segment || header.type !== RecordType.batchStart || header.place !== 0) continue;
    const { sequence, prevChecksum } = header;
    if (sequence > after && readBatch(bytes, at, { segment, sequence, prevChecksum }).ok) return { at, header };
  }
  return null;
}

/** The batch that follows one whose extent is known, if a record that may begin it is there. */
function batchBehind(
  bytes: Uint8Array,
  position: number,
  remains: Remains | null,
  segment: number,
  sequence: number,
): { readonly at: number; readonly sequence: number; readonly checksum: number } | null {
  if (remains === null || remains.extent === null) return null;
  const at = aligned(remains.extent.end, SECTOR_BYTES);
  const header = at > position && at < bytes.length ? readHeader(bytes, viewOf(bytes), at) : null;
  const next = sequence + remains.extent.records;
  return header === null || header.segment !== segment || header.sequence !== next
    ? null
    : { at, sequence: next, checksum: header.prevChecksum };
}

function judge(
  bytes: Uint8Array,
  position: number,
  bad: BadRecord,
  segment: number,
  next: NextSegment,
  { sequence, durable }: Chain,
): { readonly degree: Degree; readonly why: string } {
  const damage = (sign: string): { readonly degree: Degree; readonly why: string } => ({
    degree: "damage",
    why: `${sign}, so it was synced: this is damage and no write that was cut short`,
  });
  if (next !== null) return damage("a later segment follows");
  if (sequence <= durable) return damage("a later record says that it was durable");
  if (laterRecord(bytes, position, segment, sequence)) return damage("records of later batches are whole");
  if (looksUnwritten(bytes, bad))
    return {
      degree: "torn",
      why: "the disk never got all of it: the last write was not finished. Nobody was told of it, and a start leaves it out",
    };
  return {
    degree: "doubtful",
    why: "nothing follows, and nothing shows that the write was cut short: somebody may have been told of it",
  };
}

function laterRecord(bytes: Uint8Array, position: number, segment: number, sequence: number): boolean {
  const view = viewOf(bytes);
  for (let at = position; at + RECORD_HEADER_BYTES <= bytes.length; at += 8) {
    const header = readHeader(bytes, view, at);
    if (header !== null && header.segment === segment && header.sequence - header.place > sequence) return true;
  }
  return false;
}

/** Zeros to the end, or a sector of zeros under the record: a finished write has neither (record.ts, the mask). */
function looksUnwritten(bytes: Uint8Array, bad: BadRecord): boolean {
  if (isZero(bytes, Math.max(bad.at, bad.end - 1), bytes.length)) return true;
  for (let sector = Math.floor(bad.at / SECTOR_BYTES) * SECTOR_BYTES; sector < bad.end; sector += SECTOR_BYTES)
    if (isZero(bytes, sector, Math.min(bytes.length, sector + SECTOR_BYTES))) return true;
  return false;
}

/** Records of the batch that began at `position` which can still be read, and the names that its last record gives to all. */
function remainsOf(bytes: Uint8Array, position: number, until: number, segment: number, sequence: number): Remains | null {
  const view = viewOf(bytes);
  const records = new Map<number, { readonly header: RecordHeader; readonly payload: Uint8Array | null; readonly at: number }>();
  for (let at = position; at + RECORD_HEADER_BYTES <= until; at += 8) {
    const header = readHeader(bytes, view, at);
    if (header === null || header.segment !== segment || header.sequence - header.place !== sequence) continue;
    if (!records.has(header.place)) records.set(header.place, { header, payload: readPayload(bytes, at, header), at });
  }
  const closing = [...records.values()].find(({ header }) => header.type === RecordType.batchEnd);
  const opening = records.get(0);
  const named = closing?.payload == null ? null : decoding(() => readNames(closing.payload ?? new Uint8Array(0)));
  const hardStates =
    opening?.payload == null ? null : decoding(() => readStates(new ByteReader(opening.payload ?? new Uint8Array(0), 16)));
  const parts: RemainingPart[] = [];
  let last = 0;
  for (const [place, record] of records) if (record !== closing) last = Math.max(last, place);
  const count = named?.ok === true ? named.value.names.length : last;
  for (let place = 1; place <= count; place += 1) {
    const record = records.get(place);
    const name = (named?.ok === true ? named.value.names[place - 1] : null) ?? nameOf(record?.header);
    if (name === null) continue;
    const isThere = record !== undefined && record.payload !== null && nameOf(record.header)?.index === name.index;
    parts.push({
      kind: !isThere ? "lost" : record.header.type === RecordType.logStart ? "logStart" : "entry",
      group: name.group,
      header: isThere ? record.header : null,
      position: { index: name.index, term: name.term },
      payload: isThere ? record.payload : null,
    });
  }
  const states = named?.ok === true ? named.value.states : hardStates?.ok === true ? hardStates.value : new Map();
  if (parts.length === 0 && states.size === 0) return null;
  const said = opening?.payload == null ? null : decoding(() => readExtent(opening.payload ?? new Uint8Array(0)));
  let extent: Remains["extent"] = null;
  if (said?.ok === true) extent = { end: position + said.value.length, records: said.value.records };
  else if (closing !== undefined)
    extent = { end: closing.at + recordBytes(closing.header.payloadLength), records: closing.header.place + 1 };
  return { at: position, hardStates: states, parts, extent };
}

/** What the first record of a batch says: how many stand between it and the last, and how long the whole is. */
function readExtent(payload: Uint8Array): { readonly records: number; readonly length: number } {
  const reader = new ByteReader(payload, 8);
  return { records: reader.u32() + 2, length: reader.u32() };
}

interface Name {
  readonly group: number;
  readonly index: number;
  readonly term: number;
}

function nameOf(header: RecordHeader | undefined): Name | null {
  return header === undefined ? null : { group: header.group, index: header.index, term: header.term };
}

/** As batch.ts writes them: a count, and for each group its number and its hard state. */
function readStates(reader: ByteReader): ReadonlyMap<number, HardState> {
  const states = new Map<number, HardState>();
  for (let left = reader.u16(); left > 0; left -= 1) states.set(reader.u32(), readHardState(reader));
  return states;
}

function readNames(payload: Uint8Array): {
  readonly states: ReadonlyMap<number, HardState>;
  readonly names: readonly Name[];
} {
  const reader = new ByteReader(payload);
  const count = reader.u32();
  const states = readStates(reader);
  const names: Name[] = [];
  for (let left = count; left > 0; left -= 1) {
    reader.u8();
    names.push({ group: reader.u32(), index: reader.u64(), term: reader.u64() });
  }
  return { states, names };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
