/** Faults of the disk under the identity and the snapshots, one test a row of docs/disk-faults.md. */
import { describe, expect, test } from "vitest";
import type { SnapshotMetadata } from "../../../src/core/index.js";
import type { Disk, DiskFile } from "../../../src/runtime/ports.js";
import { type Identity, readIdentity, writeIdentity } from "../../../src/runtime/storage/identity.js";
import { openSnapshots, type SnapshotStore } from "../../../src/runtime/storage/snapshot-store.js";
import { atOnce } from "../../../src/sim/crash-points/at-once.js";
import { BytesDisk, methodsOf } from "./bytes-disk.js";
import { OWNER } from "./log-bench.js";

const IDENTITY: Identity = { ...OWNER, boot: 3, founders: [{ name: "b", incarnation: 5n }] };
const REMEDY = /Remove this member from the cluster, keep the directory aside, and add the member again with an empty one/;

function withIdentity(): BytesDisk {
  const disk = new BytesDisk();
  atOnce(() => writeIdentity(disk, IDENTITY));
  return disk;
}

const read = (disk: Disk): Identity | null => atOnce(() => readIdentity(disk));

function flip(bytes: Uint8Array, at: number, bit: number): void {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
}

/** Reads of this file give what `spoil` makes of them. */
function withReads(disk: BytesDisk, path: string, spoil: (file: DiskFile) => DiskFile["read"]): Disk {
  return {
    ...methodsOf(disk),
    open: (name, mode, done) =>
      disk.open(name, mode, (error, file) => done(error, file === null || name !== path ? file : { ...file, read: spoil(file) })),
  };
}

const short =
  (file: DiskFile): DiskFile["read"] =>
  (at, length, done) =>
    file.read(at, length, (error, bytes) => done(error, bytes?.slice(0, -1) ?? null));

/** Every byte of a copy that means something: magic, format, length, checksum and fields. */
function meaningful(bytes: Uint8Array): number {
  return 14 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(6, true);
}

describe("the identity", () => {
  test("D24 with any bit of one copy flipped: the other one is used, and the next start writes both anew", () => {
    const whole = withIdentity().bytesOf("identity");
    const end = meaningful(whole);
    for (const copy of [0, 4096]) {
      for (let at = 0; at < end; at += 1) {
        const disk = withIdentity();
        flip(disk.bytesOf("identity"), copy + at, at % 8);
        // The format's own bytes say "newer" when they are flipped upwards: then the other copy is still this version's.
        expect(read(disk), `byte ${at} of the copy at ${copy}`).toEqual(IDENTITY);
        atOnce(() => writeIdentity(disk, IDENTITY));
        expect(Buffer.compare(disk.bytesOf("identity"), whole)).toBe(0);
      }
    }
  });

  test("D25 with both copies damaged: refused with the remedy, and left as it was", () => {
    const end = meaningful(withIdentity().bytesOf("identity"));
    for (let at = 0; at < end; at += 1) {
      if (at === 4 || at === 5) continue;
      const disk = withIdentity();
      for (const copy of [0, 4096]) flip(disk.bytesOf("identity"), copy + at, at % 8);
      const before = disk.bytesOf("identity").slice();
      expect(() => read(disk)).toThrow(/is damaged in both copies/);
      expect(() => read(disk)).toThrow(REMEDY);
      expect(Buffer.compare(disk.bytesOf("identity"), before)).toBe(0);
    }
  });

  test("D7 with lengths of four gigabytes: refused", () => {
    const disk = withIdentity();
    for (const copy of [0, 4096]) new DataView(disk.bytesOf("identity").buffer).setUint32(copy + 6, 0xffffffff, true);
    expect(() => read(disk)).toThrow(REMEDY);
  });

  test("D18 under its name without its content: never taken for a fresh directory", () => {
    for (const content of [new Uint8Array(0), new Uint8Array(8192), withIdentity().bytesOf("identity").slice(0, 20)]) {
      const disk = withIdentity();
      disk.files.set("identity", content);
      expect(() => read(disk)).toThrow(REMEDY);
    }
    // What was written to the first block alone is a whole copy.
    const half = withIdentity();
    half.files.set("identity", half.bytesOf("identity").slice(0, 4096));
    expect(read(half)).toEqual(IDENTITY);
  });

  test("D11 read short for once: an error of the disk, not damage", () => {
    const disk = withIdentity();
    expect(() => read(withReads(disk, "identity", short))).toThrow(/bytes were read at 0 where 8192 must be; check the disk/);
    expect(() => read(withReads(disk, "identity", short))).not.toThrow(REMEDY);
    expect(read(disk)).toEqual(IDENTITY);
  });

  test("D17 beside what an earlier writing left: the file under its name counts", () => {
    for (const left of [new Uint8Array(0), new Uint8Array(9000).fill(7)]) {
      const disk = withIdentity();
      disk.files.set("identity.tmp", left);
      expect(read(disk)).toEqual(IDENTITY);
      const next = { ...IDENTITY, boot: 4 };
      atOnce(() => writeIdentity(disk, next));
      expect(read(disk)).toEqual(next);
      expect([...disk.files.keys()]).toEqual(["identity"]);
    }
  });
});

// ---- Snapshots ----

function metadata(index: number): SnapshotMetadata {
  const members = [{ id: "a#1", name: "a", address: "a:1" }];
  return {
    lastIncludedIndex: index,
    lastIncludedTerm: 2,
    configuration: { voters: ["a#1"], votersOutgoing: [], learners: [], members, leases: false, staged: null },
    configurationIndex: 0,
  };
}

const pathOf = (index: number): string => `snapshots/${index.toString(16).padStart(16, "0")}-0000000000000002.snapshot`;
const PIECES = [new Uint8Array(90).fill(1), new Uint8Array(0), new Uint8Array(300).fill(2)];

function take(store: SnapshotStore, index: number): void {
  const outcome: { error: Error | null | undefined } = { error: undefined };
  const writing = store.begin(metadata(index));
  for (const piece of PIECES) writing.add(piece, () => undefined);
  writing.finish((error) => {
    outcome.error = error;
  });
  expect(outcome.error).toBeNull();
}

/** Two snapshots, at 10 and at 20. */
function withSnapshots(): { readonly disk: BytesDisk; readonly store: SnapshotStore } {
  const disk = new BytesDisk();
  const { store } = atOnce(() => openSnapshots(disk, OWNER));
  take(store, 10);
  take(store, 20);
  return { disk, store };
}

interface Found {
  readonly newest: number | null;
  readonly damaged: number;
}

function look(disk: BytesDisk): Found {
  const { newest, damaged, tidy } = atOnce(() => openSnapshots(disk, OWNER));
  const before = [...disk.files.keys()];
  atOnce(tidy);
  expect(before.filter((path) => path.includes(".damaged"))).toEqual([]);
  return { newest: newest?.lastIncludedIndex ?? null, damaged: damaged.length };
}

describe("the snapshots", () => {
  test("D21 with any bit of the newest flipped: it is put aside, and the older one is used", () => {
    const { disk } = withSnapshots();
    const whole = disk.bytesOf(pathOf(20));
    const end = meaningful(whole);
    for (let at = 0; at < whole.length; at += 1) {
      // Between the owner and the body there is nothing.
      if (at >= end && at < 4096) continue;
      const damaged = disk.copy();
      flip(damaged.bytesOf(pathOf(20)), at, at % 8);
      expect(look(damaged), `byte ${at}`).toEqual({ newest: 10, damaged: 1 });
      expect([...damaged.files.keys()].sort()).toEqual([pathOf(10), `${pathOf(20)}.damaged`]);
      // The next start finds nothing to complain of.
      expect(atOnce(() => openSnapshots(damaged, OWNER)).damaged).toEqual([]);
    }
  });

  test("D21 with the newest cut off anywhere, or with bytes behind its end", () => {
    const { disk } = withSnapshots();
    const whole = disk.bytesOf(pathOf(20));
    for (let length = 0; length < whole.length; length += length < 4096 ? 101 : 1) {
      const cut = disk.copy();
      cut.files.set(pathOf(20), whole.slice(0, length));
      expect(look(cut), `${length} bytes`).toEqual({ newest: 10, damaged: 1 });
    }
    const longer = disk.copy();
    longer.files.set(pathOf(20), Uint8Array.of(...whole, 0));
    expect(look(longer)).toEqual({ newest: 10, damaged: 1 });
  });

  test("D8 under the name of another one: not taken", () => {
    const { disk } = withSnapshots();
    disk.files.set(pathOf(30), disk.bytesOf(pathOf(10)).slice());
    expect(look(disk)).toEqual({ newest: 20, damaged: 1 });
  });

  test("D7 with lengths of four gigabytes, in every place that has one", () => {
    const { disk } = withSnapshots();
    const metadataLength = 4096 + 6;
    const firstPiece = 4096 + 14 + new DataView(disk.bytesOf(pathOf(20)).buffer).getUint32(metadataLength, true);
    for (const at of [6, metadataLength, firstPiece, firstPiece + 8 + 90]) {
      const damaged = disk.copy();
      // The largest but one: the largest is how the end begins.
      new DataView(damaged.bytesOf(pathOf(20)).buffer).setUint32(at, 0xfffffffe, true);
      expect(look(damaged), `the length at ${at}`).toEqual({ newest: 10, damaged: 1 });
    }
  });

  test("D11 read short for once: an error of the disk, and a good snapshot is not put aside", () => {
    const { disk } = withSnapshots();
    const files = [...disk.files.keys()];
    const open = (): unknown => atOnce(() => openSnapshots(withReads(disk, pathOf(20), short), OWNER));
    expect(open).toThrow(/bytes were read at \d+ where \d+ must be; check the disk and start again/);
    expect([...disk.files.keys()]).toEqual(files);
    expect(look(disk)).toEqual({ newest: 20, damaged: 0 });
  });

  test("D17 with files that were never finished: they go, and nothing else", () => {
    const { disk } = withSnapshots();
    disk.files.set("snapshots/taking-1.tmp", new Uint8Array(5000));
    disk.files.set("snapshots/receiving-7.tmp", new Uint8Array(0));
    expect(look(disk)).toEqual({ newest: 20, damaged: 0 });
    expect([...disk.files.keys()].sort()).toEqual([pathOf(10), pathOf(20)]);
  });

  test("D12 with an error while a piece is read for a follower: there is nothing to send, and later there is", () => {
    const { disk } = withSnapshots();
    let fails = true;
    const failing = withReads(disk, pathOf(20), (file) => (at, length, done) => {
      if (fails) return short(file)(at, length, done);
      file.read(at, length, done);
    });
    fails = false;
    const { store } = atOnce(() => openSnapshots(failing, OWNER));
    const piece = (): Uint8Array | null => {
      let given: Uint8Array | null = null;
      store.read({ index: 20, term: 2 }, 0, 64, (data) => {
        given = data;
      });
      return given;
    };
    fails = true;
    expect(piece()).toBeNull();
    fails = false;
    expect(piece()).toEqual(disk.bytesOf(pathOf(20)).slice(4096, 4096 + 64));
    // Bit rot since it was verified (WAL17).
    flip(disk.bytesOf(pathOf(20)), 4096 + 200, 3);
    expect(piece()).toBeNull();
  });

  test("D16 without space at any operation of taking one: it is not there, the older ones are, and the next attempt goes through", () => {
    const counting = withSnapshots();
    counting.disk.operations.length = 0;
    take(counting.store, 30);
    const { length } = counting.disk.operations;
    expect(length).toBeGreaterThan(6);
    for (let fails = 0; fails < length; fails += 1) {
      const { disk, store } = withSnapshots();
      let left = fails;
      disk.before = () => {
        left -= 1;
        return left === -1 ? "ENOSPC" : null;
      };
      const outcome: { error: Error | null } = { error: null };
      const writing = store.begin(metadata(30));
      for (const piece of PIECES) writing.add(piece, () => undefined);
      writing.finish((error) => {
        outcome.error = error;
      });
      expect(outcome.error?.message).toContain("ENOSPC");
      take(store, 31);
      expect(atOnce(() => openSnapshots(disk, OWNER)).newest?.lastIncludedIndex).toBe(31);
      expect([...disk.files.keys()].filter((path) => path.endsWith(".tmp"))).toEqual([]);
    }
  });
});
