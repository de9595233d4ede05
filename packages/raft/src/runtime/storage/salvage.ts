/**
 * What can still be read of a damaged batch. Each record can be verified alone, and the last one names all others and repeats the
 * hard state in another block than the first; so one bad place in a batch never takes both an entry and its name, or both
 * copies of a vote (storage rules WAL4, WAL5 and WAL20). What comes back is exact, or it says that it is not known.
 *
 * Records are found by looking at every place where one may begin. A record that is whole but is not what the next one
 * follows is taken for none: it may be bytes of a command that look like one.
 */
import { decoding } from "../../core/bytes.js";
import type { HardState } from "../../core/types.js";
import { type BatchStep, type RecordName, readEnd, readStart, stepOf } from "./batch.js";
import { type RecordHeader, RecordType, readHeader, readPayload, recordBytes } from "./record.js";

export interface Salvaged {
  /** 0 when it can't be read. */
  readonly durableThrough: number;
  readonly hardStates: ReadonlyMap<number, HardState>;
  /** What the batch did to the log, with `lost` in place of what can't be read. Null: not known. */
  readonly steps: readonly BatchStep[] | null;
  readonly length: number;
  readonly nextSequence: number;
  /** Of its last record, which the next batch names. Null: not known. */
  readonly checksum: number | null;
}

interface Found {
  readonly at: number;
  readonly header: RecordHeader;
  readonly payload: Uint8Array | null;
}

/**
 * Null: neither its first nor its last record can be read, so its hard state is lost; or it does not follow the record before it
 * (`prevChecksum`; null: that one can't be read either), and is of another history.
 */
export function salvageBatch(
  bytes: Uint8Array,
  position: number,
  expected: { readonly segment: number; readonly sequence: number; readonly prevChecksum: number | null },
): Salvaged | null {
  const records = findRecords(bytes, position, expected);
  const first = records.get(0);
  if (first !== undefined && expected.prevChecksum !== null && first.header.prevChecksum !== expected.prevChecksum) return null;
  const start =
    first?.payload != null && first.at === position && first.header.type === RecordType.batchStart
      ? readable(first.payload, readStart)
      : null;
  const last = [...records.values()].find(({ header }) => header.type === RecordType.batchEnd) ?? null;
  const end = last?.payload == null ? null : readable(last.payload, readEnd);
  const hardStates = start?.hardStates ?? end?.hardStates;
  const count = start?.count ?? end?.names.length;
  if (hardStates === undefined || count === undefined) return null;
  const length = start?.length ?? (last === null ? 0 : last.at - position + recordBytes(last.header.payloadLength));
  if (length <= 0 || position + length > bytes.length) return null;
  return {
    durableThrough: start?.durableThrough ?? 0,
    hardStates,
    steps: stepsOf(records, count, end?.names ?? null),
    length,
    nextSequence: expected.sequence + count + 2,
    checksum: last !== null && last.header.place === count + 1 ? last.header.checksum : null,
  };
}

function readable<T>(payload: Uint8Array, read: (payload: Uint8Array) => T): T | null {
  const decoded = decoding(() => read(payload));
  return decoded.ok ? decoded.value : null;
}

/** The records of this batch whose headers hold, by their place in it. */
function findRecords(
  bytes: Uint8Array,
  position: number,
  { segment, sequence }: { readonly segment: number; readonly sequence: number },
): Map<number, Found> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found = new Map<number, Found>();
  for (let at = position; at + 8 <= bytes.length; at += 8) {
    const header = readHeader(bytes, view, at);
    if (header === null || header.segment !== segment) continue;
    const begins = header.sequence - header.place;
    if (begins > sequence) break;
    if (begins !== sequence || found.has(header.place)) continue;
    const payload = readPayload(bytes, at, header);
    found.set(header.place, { at, header, payload });
    // What stands inside of a record that is whole is no record.
    if (payload !== null) at += recordBytes(header.payloadLength) - 8;
  }
  return found;
}

function stepsOf(
  records: ReadonlyMap<number, Found>,
  count: number,
  names: readonly RecordName[] | null,
): readonly BatchStep[] | null {
  if (names !== null && names.length !== count) return null;
  const steps: BatchStep[] = [];
  for (let place = 1; place <= count; place += 1) {
    const record = records.get(place) ?? null;
    const name = names?.[place - 1] ?? (record === null ? null : nameOf(record.header));
    if (name === null) return null;
    const step = record === null || !isFollowed(records, record, name) ? null : stepIn(record);
    if (step !== null) steps.push(step);
    // A log that began anew, and nobody can say with what: then the entries that stayed are not known.
    else if (name.type === RecordType.logStart) return null;
    else steps.push({ kind: "lost", group: name.group, position: name.position });
  }
  return steps;
}

function stepIn({ header, payload }: Found): BatchStep | null {
  const types: readonly number[] = [RecordType.entry, RecordType.logStart, RecordType.lost];
  return payload === null || !types.includes(header.type) ? null : stepOf(header, payload);
}

function nameOf({ type, group, index, term }: RecordHeader): RecordName {
  return { type, group, position: { index, term } };
}

/** It is the one that the batch names, and the record after it, where that can be read, follows it. */
function isFollowed(records: ReadonlyMap<number, Found>, { header }: Found, name: RecordName): boolean {
  const next = records.get(header.place + 1);
  if (next !== undefined && next.header.prevChecksum !== header.checksum) return false;
  const is = nameOf(header);
  return (
    is.type === name.type &&
    is.group === name.group &&
    is.position.index === name.position.index &&
    is.position.term === name.position.term
  );
}
