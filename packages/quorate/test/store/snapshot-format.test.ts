/** Snapshots whose checksums are right and whose content is not: each claim of the format is checked. */
import { describe, expect, it } from "vitest";
import { crc32c } from "../../src/store/crc32c.js";
import { KvMachine, SnapshotError, WireWriter } from "../../src/store/index.js";
import { bytes, OPEN, rangeRequest } from "./harness.js";

interface Parts {
  magic?: string;
  format?: number;
  current?: number;
  compacted?: number;
  members?: readonly Uint8Array[];
  records?: readonly { kind?: number; revision: number; sub?: number; body: Uint8Array }[];
  count?: number;
  tail?: string;
}

/** mvccpb.KeyValue of key "k". */
function body(create: number, mod: number, version: number, value = "v"): Uint8Array {
  const writer = new WireWriter();
  writer.bytesField(1, bytes("k"));
  writer.int64Field(2, create);
  writer.int64Field(3, mod);
  writer.int64Field(4, version);
  writer.bytesField(5, bytes(value));
  return writer.finish();
}

const TOMBSTONE = body(0, 0, 0, "");

function snapshot(parts: Parts): Uint8Array {
  const writer = new WireWriter();
  writer.uint32(0);
  writer.raw(bytes(parts.magic ?? "quorate-kv"));
  writer.byte(parts.format ?? 1);
  writer.uint64(parts.current ?? 9);
  writer.uint64((parts.compacted ?? -1) + 1);
  writer.uint32(parts.members?.length ?? 0);
  for (const member of parts.members ?? []) {
    writer.uint32(member.length);
    writer.raw(member);
  }
  for (const record of parts.records ?? []) {
    writer.byte(record.kind ?? 1);
    writer.uint64(record.revision);
    writer.uint32(record.sub ?? 0);
    writer.uint32(record.body.length);
    writer.raw(record.body);
  }
  writer.byte(255);
  writer.uint64(parts.count ?? parts.records?.length ?? 0);
  writer.raw(bytes(parts.tail ?? ""));
  const piece = new WireWriter();
  piece.uint32(crc32c(writer.finish()));
  piece.raw(writer.finish());
  return piece.finish();
}

function restored(parts: Parts): KvMachine {
  const machine = new KvMachine();
  machine.restore(snapshot(parts), true);
  return machine;
}

describe("the format of a snapshot", () => {
  it("is what the file says", () => {
    const machine = restored({
      records: [
        { revision: 2, body: body(2, 2, 1) },
        { revision: 3, sub: 1, body: body(2, 3, 2) },
        { kind: 2, revision: 5, body: TOMBSTONE },
      ],
    });
    expect(machine.currentRevision).toBe(9);
    const at = (revision: number): unknown => {
      const result = machine.range(rangeRequest({ key: "\0", rangeEnd: OPEN, revision }));
      return result.ok ? result.response.kvs.map((each) => each.modRevision) : result.fault.code;
    };
    expect([1, 2, 3, 4, 5].map(at)).toEqual([[], [2], [3], [3], []]);
  });

  it.each<[string, Parts]>([
    ["another name", { magic: "quorate-vk" }],
    ["a newer format", { format: 2 }],
    ["revision zero", { current: 0 }],
    ["a compacted revision in the future", { compacted: 10 }],
    ["a revision that no number holds", { current: 2 ** 60 }],
    ["a member that is no message", { members: [bytes("\xff\xff")] }],
    ["a record of unknown kind", { records: [{ kind: 3, revision: 2, body: body(2, 2, 1) }] }],
    ["a record from the future", { records: [{ revision: 10, body: body(10, 10, 1) }] }],
    ["records out of order", { records: [2, 2].map((revision) => ({ revision, body: body(2, 2, 1) })) }],
    ["a record with another revision than it says", { records: [{ revision: 3, body: body(2, 2, 1) }] }],
    ["a version without a number", { records: [{ revision: 2, body: body(2, 2, 0) }] }],
    ["a version created later than it was written", { records: [{ revision: 2, body: body(3, 2, 1) }] }],
    ["a tombstone with a value", { records: [{ kind: 2, revision: 2, body: body(0, 0, 0) }] }],
    ["a record that is no message", { records: [{ revision: 2, body: bytes("\x0a\x05k") }] }],
    ["a record without a key", { records: [{ revision: 2, body: bytes("\x10\x02\x18\x02\x20\x01") }] }],
    ["another number of records", { count: 1 }],
    ["bytes after its end", { tail: "x" }],
  ])("refuses %s", (_what, parts) => {
    expect(() => restored(parts)).toThrow(SnapshotError);
  });

  it("names the format that it does not know", () => {
    expect(() => restored({ format: 7 })).toThrow(/format 7/);
  });

  it("has the checksum of RFC 3720", () => {
    expect(crc32c(bytes("123456789"))).toBe(0xe3069283);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43);
  });
});
