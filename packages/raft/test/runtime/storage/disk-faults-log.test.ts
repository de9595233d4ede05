/**
 * Faults of the disk under the log, one test a row of docs/disk-faults.md that log.test.ts leaves open. The name of a test
 * begins with its row.
 */
import { describe, expect, test } from "vitest";
import { crc32c } from "../../../src/runtime/crc32c.js";
import type { Disk, DiskErrorCode } from "../../../src/runtime/ports.js";
import { LogDamage } from "../../../src/runtime/storage/recovery.js";
import { segmentPath } from "../../../src/runtime/storage/segment.js";
import { RecordingDisk } from "../../../src/sim/crash-points/recording-disk.js";
import { BytesDisk, methodsOf } from "./bytes-disk.js";
import {
  entry,
  honest,
  type Opened,
  open,
  refused,
  SECTOR,
  SEGMENT_BYTES,
  state,
  THREE,
  terms,
  threeBatches,
} from "./log-bench.js";

const WHOLE = "1:1 2:1 3:1 4:2 5:2";

const contents = (disk: BytesDisk): Map<string, Uint8Array> =>
  new Map([...disk.files].map(([path, bytes]) => [path, bytes.slice()]));

/** Places of the records of a batch: where their magic stands. */
function records(bytes: Uint8Array, from: number, to: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: number[] = [];
  for (let at = from; at + 64 <= to; at += 8) if (view.getUint32(at, true) === 0x4c455251) found.push(at);
  return found;
}

describe("D3 the end of a segment", () => {
  test("D3 is zeros: the size was there before the data, and nothing was lost", () => {
    const { disk, path, ends } = threeBatches();
    disk.bytesOf(path).fill(0, ends[2]);
    const log = open(disk);
    expect([terms(log.found.entries), log.torn]).toEqual(["1:1 2:1 3:1", false]);
    log.append(state(2), [entry(4, 2)]);
    expect(terms(open(disk).found.entries)).toBe("1:1 2:1 3:1 4:2");
  });

  test("D3 is missing: a segment is made at its full size, so no crash has cut the file", () => {
    const { disk, path, ends } = threeBatches();
    for (const length of [
      ends[2] ?? 0,
      (ends[2] ?? 0) + 100,
      (ends[2] ?? 0) + SECTOR,
      (ends[3] ?? 0) - SECTOR,
      (ends[1] ?? 0) + 70,
    ]) {
      const cut = disk.copy();
      cut.files.set(path, disk.bytesOf(path).slice(0, length));
      refused(cut, `cut at ${length}`);
    }
  });
});

test("D6 a flipped bit in a last batch that holds zeros: a sector of zeros is no sign of a write that was cut short", () => {
  const { disk, path, ends } = threeBatches([entry(4, 2, new Uint8Array(5000)), entry(5, 2, new Uint8Array(700))]);
  expect(terms(open(disk.copy()).found.entries)).toBe(WHOLE);
  for (const at of records(disk.bytesOf(path), ends[2] ?? 0, ends[3] ?? 0).slice(1, 3)) {
    for (const offset of [5, 64, 300, 600]) {
      const damaged = disk.copy();
      const bytes = damaged.bytesOf(path);
      bytes[at + offset] = (bytes[at + offset] ?? 0) ^ 8;
      const truth = {
        ...THREE,
        entries: [...THREE.entries.slice(0, 3), entry(4, 2, new Uint8Array(5000)), entry(5, 2, new Uint8Array(700))],
      };
      expect(honest(damaged, truth, `byte ${offset} of the record at ${at}`)).toBe("recovering");
    }
  }
});

test("D6 a flipped bit in a last batch whose last command reaches into another sector with zeros only", () => {
  for (let length = 100; length < 700; length += 7) {
    const last = entry(5, 2, new Uint8Array(length).fill(7, 0, 90));
    const { disk, path, ends } = threeBatches([entry(4, 2), last]);
    const at = records(disk.bytesOf(path), ends[2] ?? 0, ends[3] ?? 0)[2] ?? 0;
    disk.bytesOf(path)[at + 64] = (disk.bytesOf(path)[at + 64] ?? 0) ^ 4;
    const truth = { ...THREE, entries: [...THREE.entries.slice(0, 3), entry(4, 2), last] };
    expect(honest(disk, truth, `a command of ${length} bytes`)).toBe("recovering");
  }
});

describe("D7 a length that is not believed", () => {
  test("D7 a flipped bit in the length of any record, in the middle and at the end", () => {
    const { disk, path, ends } = threeBatches();
    const places = records(disk.bytesOf(path), ends[0] ?? 0, ends[3] ?? 0);
    expect(places.length).toBe(11);
    for (const at of places) {
      for (let bit = 0; bit < 32; bit += 1) {
        const damaged = disk.copy();
        const bytes = damaged.bytesOf(path);
        const byte = at + 12 + (bit >> 3);
        bytes[byte] = (bytes[byte] ?? 0) ^ (1 << (bit & 7));
        expect(honest(damaged, THREE, `bit ${bit} of the length at ${at}`)).not.toBe("refused");
      }
    }
  });

  test("D7 four gigabytes under a checksum that holds: nothing of that size is made", () => {
    const { disk, path, ends } = threeBatches();
    const bytes = disk.bytesOf(path);
    const [at = 0] = records(bytes, ends[1] ?? 0, ends[2] ?? 0);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    view.setUint32(at + 12, 0xffffffff, true);
    view.setUint32(at + 4, crc32c(bytes, at + 8, at + 64), true);
    expect(honest(disk, THREE, "a record")).not.toBe("refused");
  });

  test("D7 in the header of a segment: its length, and the number of its groups", () => {
    const { disk, path } = threeBatches();
    const length = disk.copy();
    new DataView(length.bytesOf(path).buffer).setUint32(6, 0xffffffff, true);
    refused(length, "the length");
    const count = disk.copy();
    const bytes = count.bytesOf(path);
    const view = new DataView(bytes.buffer);
    // Cluster id, name "a", incarnation, four numbers and a checksum stand before it.
    view.setUint32(14 + 16 + 3 + 8 + 32 + 4, 0xfffffff0, true);
    view.setUint32(10, crc32c(bytes, 14, 14 + view.getUint32(6, true)), true);
    refused(count, "the number of groups");
  });
});

describe("D8 D9 D10 what belongs elsewhere, or is not there", () => {
  test("D8 a batch of another segment stands where a batch was", () => {
    const disk = new BytesDisk();
    open(disk).append(state(1), [entry(1, 1)]);
    const log = open(disk);
    log.append(state(1), [entry(2, 1)]);
    log.append(state(1), [entry(3, 1)]);
    const from = disk.bytesOf(segmentPath(1));
    disk.bytesOf(segmentPath(2)).set(from.subarray(4096, 4096 + 2 * 4096), 4096);
    const truth = { ...THREE, hardState: state(1), entries: [entry(1, 1), entry(2, 1), entry(3, 1)] };
    expect(honest(disk, truth, "another segment's batch")).toBe("recovering");
  });

  test("D9 a batch was never written, and the one after it was", () => {
    const { disk, path, ends } = threeBatches();
    disk.bytesOf(path).fill(0, ends[0], ends[1]);
    expect(honest(disk, THREE, "the first of three")).toBe("recovering");
  });

  test("D9 the very last batch was never written: nothing here can tell, and the log ends before it", () => {
    const { disk, path, ends } = threeBatches();
    disk.bytesOf(path).fill(0, ends[2], ends[3]);
    const log = open(disk);
    expect([terms(log.found.entries), log.torn]).toEqual(["1:1 2:1 3:1", false]);
  });

  test("D10 a batch is there twice", () => {
    const { disk, path, ends } = threeBatches();
    const [first = 0, second = 0, third = 0, end = 0] = ends;
    for (const [from, to] of [
      [third, end],
      [first, second],
    ] as const) {
      const twice = disk.copy();
      twice.bytesOf(path).copyWithin(end, from, to);
      refused(twice, `the batch at ${from}`);
    }
  });
});

/** Reads of `path` that touch `position` are one byte short, as long as `isShort` says so. */
function shortReads(disk: BytesDisk, path: string, position: number, isShort: () => boolean): Disk {
  return {
    ...methodsOf(disk),
    open: (name, mode, done) =>
      disk.open(name, mode, (error, file) => {
        if (file === null || name !== path) return done(error, file);
        done(error, {
          ...file,
          read: (at, length, read) =>
            file.read(at, length, (readError, bytes) =>
              read(readError, isShort() && at <= position && position < at + length ? (bytes?.slice(0, -1) ?? null) : bytes),
            ),
        });
      }),
  };
}

test("D11 a read is short for once, in a header or in a batch: nothing is concluded from it, and the next start is whole", () => {
  const { disk, path, ends } = threeBatches();
  const before = contents(disk);
  for (const position of [10, ends[1] ?? 0, disk.bytesOf(path).length - 1]) {
    let isShort = true;
    const short = shortReads(disk, path, position, () => isShort);
    expect(() => open(short)).toThrow(/bytes were read at \d+ where \d+ must be; check the disk and start again/);
    expect(() => open(short)).not.toThrow(LogDamage);
    expect(contents(disk)).toEqual(before);
    isShort = false;
    expect(terms(open(shortReads(disk.copy(), path, position, () => isShort)).found.entries)).toBe(WHOLE);
  }
});

test("D15 a sync fails, the next process sees the data in the cache, and the power goes: what that process built on is there", () => {
  const { disk: cache, path, ends } = threeBatches();
  // The third batch is in the cache only, and the system has forgotten that: no later sync of this file writes it.
  const onDisk = cache.bytesOf(path).slice();
  onDisk.fill(0, ends[2]);
  const log = open(cache);
  expect(terms(log.found.entries)).toBe(WHOLE);
  log.append(state(3, "c#2", 5), []);
  cache.files.set(path, onDisk);
  const { found } = open(cache);
  expect([terms(found.entries), found.hardState]).toEqual([WHOLE, state(3, "c#2", 5)]);
});

/** Writes batches until a segment has changed twice, with one operation failing; gives what was called durable. */
function throughSwitches(disk: BytesDisk, log: Opened): { readonly written: number; readonly durable: number } {
  let written = 0;
  while (written < 40 && log.errors.length === 0) {
    written += 1;
    log.append(state(1), [entry(written, 1, new Uint8Array(4000).fill(written))]);
  }
  disk.before = () => null;
  // Space is back: what waits for it is tried again.
  for (let timer = log.clock.timers.shift(); timer !== undefined; timer = log.clock.timers.shift()) timer();
  return { written, durable: log.durable.at(-1) ?? 0 };
}

describe("D16 no space for once, at any operation of a log that changes segments,", () => {
  test("D16 is waited for, or is the end of the log; nothing that was called durable is lost", () => {
    const counting = new BytesDisk();
    const first = open(counting);
    counting.operations.length = 0;
    throughSwitches(counting, first);
    const operations = counting.operations.slice();
    expect(operations.filter(({ kind }) => kind === "rename").length).toBeGreaterThan(2);
    const ends: string[] = [];
    for (let fails = 0; fails < operations.length; fails += 1) {
      const disk = new BytesDisk();
      const log = open(disk);
      let left = fails;
      disk.before = () => {
        left -= 1;
        return left === -1 ? "ENOSPC" : null;
      };
      const { written, durable } = throughSwitches(disk, log);
      const { found } = open(disk);
      const at = `${operations[fails]?.kind ?? ""} ${operations[fails]?.path ?? ""}`;
      expect(found.entries.length, at).toBeGreaterThanOrEqual(durable);
      const isFatal = log.errors.some((error) => error.includes("fatal"));
      if (!isFatal) expect([durable, found.entries.length], at).toEqual([written, written]);
      if (isFatal) ends.push(at);
    }
    // Only a failed sync of what was written is never tried again (WAL12).
    expect([...new Set(ends.map((end) => end.replace(/[0-9a-f]{16}/, "…")))]).toEqual(["sync log/….segment"]);
  });
});

describe("D30 a file system that became read-only", () => {
  test("D30 under a log: its end, and never tried again", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    log.append(state(1), [entry(1, 1)]);
    disk.before = () => "EROFS";
    log.append(state(1), [entry(2, 1)]);
    disk.before = () => null;
    log.append(state(1), [entry(3, 1)]);
    expect([log.durable, log.errors, log.clock.timers]).toEqual([[1], ["EROFS fatal"], []]);
  });

  test("D30 at a start: refused, and nothing was changed", () => {
    const { disk } = threeBatches();
    const before = contents(disk);
    const codes: DiskErrorCode[] = ["EROFS", "EACCES"];
    for (const code of codes) {
      disk.before = ({ kind }) => (kind === "makeDirectory" ? null : code);
      expect(() => open(disk)).toThrow(code);
      expect(contents(disk)).toEqual(before);
    }
  });
});

test("a segment that is begun while its successor would be prepared: one temporary file, not two that fail each other", () => {
  // Syncs and openings wait; of two openings the later one is first.
  const waiting: (() => void)[] = [];
  let isSlow = false;
  const disk = new RecordingDisk<never>(undefined, (operation, _path, complete) => {
    if (isSlow && operation === "open") waiting.unshift(complete);
    else if (isSlow && operation === "sync") waiting.push(complete);
    else complete();
  });
  const log = open(disk.mount());
  // More than half a segment, and then more than what is left of it, which waits while the first is synced.
  const large = (index: number): void => log.append(state(1), [entry(index, 1, new Uint8Array(SEGMENT_BYTES * 0.6).fill(index))]);
  isSlow = true;
  large(1);
  large(2);
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) next();
  expect(log.errors).toEqual([]);
  expect(log.durable.at(-1)).toBe(2);
  isSlow = false;
  expect(terms(open(disk.mount()).found.entries)).toBe("1:1 2:1");
});
