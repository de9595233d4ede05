/**
 * Records that are whole, and stand where they do not belong; a log that begins anew; and batches that wait for each other
 * (storage rules WAL4, WAL6, WAL8, WAL11 and WAL20).
 */
import { describe, expect, test } from "vitest";
import { LogDamage } from "../../../src/runtime/storage/recovery.js";
import { segmentPath } from "../../../src/runtime/storage/segment.js";
import { BytesDisk } from "./bytes-disk.js";
import { entry, honest, type Opened, open, refused, state, THREE, type Verdict } from "./log-bench.js";

/** Where the first batch of a segment stands whose header takes one block. */
const FIRST_BATCH = 4096;
const SECTOR = 512;

/** A disk with one entry on it. */
function written(): BytesDisk {
  const disk = new BytesDisk();
  open(disk).append(state(1), [entry(1, 1)]);
  return disk;
}

describe("a record that is whole belongs to one place of one history", () => {
  test("after another record than the one it follows it is damage (D8, D10)", () => {
    const disk = written();
    const [one, other] = [disk.copy(), disk];
    const segment = segmentPath(2);
    const ends = [one, other].map((fork, place) => {
      const log = open(fork);
      log.append(state(2 + place), [entry(2, 2 + place, `history ${place}`)]);
      const end = lastByte(fork.bytesOf(segment));
      log.append(state(2 + place), [entry(3, 2 + place, `history ${place}`)]);
      return Math.ceil(end / SECTOR) * SECTOR;
    });
    expect(ends[0]).toBe(ends[1]);
    one.bytesOf(segment).set(other.bytesOf(segment).subarray(ends[1]), ends[0]);
    // Neither history can be told from the other's remains: the third entry is not believed, and nothing later tells of the vote.
    refused(one, "the third batch of another history");
  });

  test("in another segment it is damage, also where everything else fits (WAL4)", () => {
    const disk = written();
    open(disk);
    const here = disk.copy();
    open(here).append(state(2), [entry(2, 2, "in segment 3")]);
    open(disk);
    open(disk).append(state(2), [entry(2, 2, "in segment 4")]);
    const stray = here.bytesOf(segmentPath(3)).slice(FIRST_BATCH);
    expect(open(disk.copy()).found.entries.length).toBe(2);
    disk.bytesOf(segmentPath(4)).set(stray, FIRST_BATCH);
    expect(() => open(disk)).toThrow(LogDamage);
  });

  test("missing although a later header says that it was synced, it is damage and no tail (WAL6)", () => {
    const disk = written();
    // The second start writes the entry again, behind a header that counts it as synced.
    open(disk);
    const bytes = disk.bytesOf(segmentPath(2));
    expect(lastByte(bytes)).toBeGreaterThan(FIRST_BATCH);
    bytes.fill(0, FIRST_BATCH);
    refused(disk, "a batch that a header counts as synced");
  });

  test("damaged beside a sector of zeros that was meant, it is damage and no torn write (WAL6b)", () => {
    const disk = written();
    const log = open(disk);
    const path = segmentPath(2);
    const start = Math.ceil(lastByte(disk.bytesOf(path)) / SECTOR) * SECTOR;
    const data = new Uint8Array(4 * SECTOR);
    data.fill(0xa5, 3 * SECTOR);
    log.append(state(1), [entry(2, 1, data)]);
    const whole = disk.bytesOf(path);
    let flips = 0;
    const verdicts = new Set<Verdict>();
    for (let at = start; at < lastByte(whole); at += 5) {
      // Zeros between records mean nothing.
      if (whole[at] === 0) continue;
      const damaged = disk.copy();
      damaged.bytesOf(path)[at] = (whole[at] ?? 0) ^ 1;
      const truth = { ...THREE, hardState: state(1), entries: [entry(1, 1), entry(2, 1, data)] };
      verdicts.add(honest(damaged, truth, `byte ${at - start}`));
      flips += 1;
    }
    expect(flips).toBeGreaterThan(400);
    expect([...verdicts].sort()).toEqual(["recovering", "whole"]);
  });
});

describe("a log that begins anew", () => {
  /** Five entries of term 1, all of which go when the log begins anew after 3/2. */
  function begunAnew(): { readonly disk: BytesDisk; readonly log: Opened } {
    const disk = new BytesDisk();
    const log = open(disk);
    log.append(
      state(1),
      [1, 2, 3, 4, 5].map((index) => entry(index, 1)),
    );
    log.append(state(2), [], { position: { index: 3, term: 2 }, keepSuffix: false });
    return { disk, log };
  }

  test("drops the entries above its start, where a snapshot contradicts them (WAL11)", () => {
    const { disk, log } = begunAnew();
    expect(open(disk.copy()).found).toEqual({ hardState: state(2), start: { index: 3, term: 2 }, entries: [] });
    log.append(state(2), [entry(4, 2)]);
    expect(open(disk).found.entries).toEqual([entry(4, 2)]);
  });

  test("ends there, also for the header of the next segment", () => {
    const { disk, log } = begunAnew();
    const large = new Uint8Array(61 * 1024).fill(1);
    log.append(state(2), [entry(4, 2, large)]);
    expect(disk.files.has(segmentPath(2))).toBe(true);
    expect(open(disk).found).toEqual({
      hardState: state(2),
      start: { index: 3, term: 2 },
      entries: [entry(4, 2, large)],
    });
  });
});

describe("batches that come while one is written", () => {
  test("are written together, and what counts is the hard state of the last (WAL20)", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    disk.before = ({ kind }) => {
      if (kind !== "write") return null;
      disk.before = () => null;
      log.append(state(2, "b#1"), [entry(2, 2)]);
      log.append(state(3, null), []);
      log.append(state(3, "c#1"), [entry(3, 3)]);
      return null;
    };
    const syncs = (): number => disk.operations.filter(({ kind }) => kind === "sync").length;
    const before = syncs();
    log.append(state(1), [entry(1, 1)]);
    expect(syncs() - before).toBe(2);
    // The last ticket stands for those before it.
    expect(log.durable).toEqual([4]);
    expect(open(disk).found).toEqual({
      hardState: state(3, "c#1"),
      start: { index: 0, term: 0 },
      entries: [entry(1, 1), entry(2, 2), entry(3, 3)],
    });
  });

  test("the one that is written counts for how long the disk has stood still (D27)", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    const since: (number | null)[] = [log.group.oldestUnfinishedSince];
    disk.before = ({ kind }) => {
      if (kind === "write" || kind === "sync") since.push(log.group.oldestUnfinishedSince);
      return null;
    };
    log.append(state(1), [entry(1, 1)]);
    since.push(log.group.oldestUnfinishedSince);
    expect(since).toEqual([null, 0, 0, null]);
  });
});

/** The place after the last byte that is not zero. */
function lastByte(bytes: Uint8Array): number {
  let at = bytes.length;
  while (at > 0 && bytes[at - 1] === 0) at -= 1;
  return at;
}
