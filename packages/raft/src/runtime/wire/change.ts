/**
 * A change of the members as bytes, inside ChangeRequest (docs/wire-format.md): kind u8, then by kind. Lists have a count u8
 * before them, texts two bytes of length.
 */
import { type ByteReader, type ByteWriter, DecodeError } from "../../core/bytes.js";
import type { MemberRecord } from "../../core/configuration.js";
import type { MembershipChange } from "../../core/membership-change.js";
import type { MemberId } from "../../core/types.js";

const KINDS = ["members", "cancel", "identify", "readdress", "leases"] as const;
const MAX_ID_BYTES = 64 + 17;
const MAX_NAME_BYTES = 64;
const MAX_ADDRESS_BYTES = 256;
/** As many as a configuration holds. */
const MAX_LISTED = 64;

export function writeChange(writer: ByteWriter, change: MembershipChange): void {
  writer.u8(KINDS.indexOf(change.kind));
  switch (change.kind) {
    case "members":
      writeRecords(writer, change.add);
      writeRecords(writer, change.addLearners);
      writeIds(writer, change.promote);
      writeIds(writer, change.demote);
      writeIds(writer, change.remove);
      return;
    case "cancel":
      return;
    case "identify":
      writer.text(change.from);
      writer.text(change.to);
      writer.text(change.name);
      return;
    case "readdress":
      writer.text(change.id);
      writer.text(change.address);
      return;
    case "leases":
      writer.u8(change.on ? 1 : 0);
      return;
  }
}

export function readChange(reader: ByteReader): MembershipChange {
  const kind = KINDS[reader.u8()];
  switch (kind) {
    case "members":
      return {
        kind,
        add: readRecords(reader),
        addLearners: readRecords(reader),
        promote: readIds(reader),
        demote: readIds(reader),
        remove: readIds(reader),
      };
    case "cancel":
      return { kind };
    case "identify":
      return { kind, from: readId(reader), to: readId(reader), name: notEmpty(reader.text(MAX_NAME_BYTES)) };
    case "readdress":
      return { kind, id: readId(reader), address: notEmpty(reader.text(MAX_ADDRESS_BYTES)) };
    case "leases":
      return { kind, on: reader.flag() };
    default:
      throw new DecodeError("asks for a change that is unknown here");
  }
}

function writeIds(writer: ByteWriter, ids: readonly MemberId[]): void {
  writer.u8(ids.length);
  for (const id of ids) writer.text(id);
}

function readIds(reader: ByteReader): MemberId[] {
  return readList(reader, () => readId(reader));
}

function writeRecords(writer: ByteWriter, records: readonly MemberRecord[]): void {
  writer.u8(records.length);
  for (const { id, name, address } of records) {
    writer.text(id);
    writer.text(name);
    writer.text(address);
  }
}

function readRecords(reader: ByteReader): MemberRecord[] {
  return readList(reader, () => ({
    id: readId(reader),
    name: notEmpty(reader.text(MAX_NAME_BYTES)),
    address: notEmpty(reader.text(MAX_ADDRESS_BYTES)),
  }));
}

function readList<T>(reader: ByteReader, read: () => T): T[] {
  const count = reader.u8();
  if (count > MAX_LISTED) throw new DecodeError(`lists ${count} members, at most ${MAX_LISTED} are possible`);
  return Array.from({ length: count }, read);
}

function readId(reader: ByteReader): MemberId {
  return notEmpty(reader.text(MAX_ID_BYTES));
}

function notEmpty(text: string): string {
  if (text === "") throw new DecodeError("holds an empty text");
  return text;
}
