/** The write-ahead log: what goes in comes out, and what every kind of damage gets (storage rules WAL1 to WAL20). */
import { describe, expect, test } from "vitest";
import type { Entry } from "../../../src/core/index.js";
import { crc32c } from "../../../src/runtime/crc32c.js";
import type { RecoveredGroup } from "../../../src/runtime/log-store.js";
import { RecordType, RecordWriter } from "../../../src/runtime/storage/record.js";
import { decodeSegmentHeader, encodeSegmentHeader, segmentPath } from "../../../src/runtime/storage/segment.js";
import { BytesDisk } from "./bytes-disk.js";
import {
  EMPTY,
  entry,
  honest,
  type Opened,
  OWNER,
  open,
  refused,
  SECTOR,
  SEGMENT_BYTES,
  state,
  THREE,
  terms,
  threeBatches,
  type Verdict,
} from "./log-bench.js";

/** All of it, short enough to compare quickly. */
const digest = ({ hardState, start, entries }: RecoveredGroup): string =>
  JSON.stringify([
    hardState,
    start,
    entries.map(({ index, term, type, data }) => [index, term, type, data.length, crc32c(data)]),
  ]);

describe("what goes in comes out", () => {
  test("a fresh log is empty, and stays so over starts", () => {
    const disk = new BytesDisk();
    for (let start = 0; start < 3; start += 1) {
      const log = open(disk);
      expect(log.found).toEqual(EMPTY);
      expect(log.torn).toBe(false);
    }
  });

  test("entries, hard state, replaced entries and a new start", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    log.append(state(1), [entry(1, 1), entry(2, 1), entry(3, 1)]);
    log.append(state(2, "b#1", 1), [entry(2, 2)]);
    log.append(state(3, null, 1), []);
    expect(open(disk.copy()).found).toEqual({
      hardState: state(3, null, 1),
      start: { index: 0, term: 0 },
      entries: [entry(1, 1), entry(2, 2)],
    });
    log.append(state(3, null, 9), [], { position: { index: 9, term: 3 }, keepSuffix: false });
    log.append(state(3, null, 9), [entry(10, 3), entry(11, 3)]);
    log.append(state(3, null, 10), [], { position: { index: 10, term: 3 }, keepSuffix: true });
    expect(open(disk).found).toEqual({ hardState: state(3, null, 10), start: { index: 10, term: 3 }, entries: [entry(11, 3)] });
  });

  test("over many starts, segments and sizes", () => {
    const disk = new BytesDisk();
    const written: Entry[] = [];
    for (let start = 0; start < 12; start += 1) {
      const log = open(disk);
      expect(terms(log.found.entries)).toBe(terms(written));
      expect(digest({ ...log.found, entries: written })).toBe(digest(log.found));
      for (let batch = 0; batch < 9; batch += 1) {
        const fresh: Entry[] = [];
        for (let each = 0; each <= (start * 7 + batch * 3) % 5; each += 1)
          fresh.push(
            entry(
              written.length + fresh.length + 1,
              start + 1,
              new Uint8Array((start * 997 + batch * 4099 + each * 31) % 20_000).fill(batch),
            ),
          );
        log.append(state(start + 1, "a#0", written.length), fresh);
        written.push(...fresh);
      }
    }
    expect([...disk.files.keys()].length).toBeGreaterThan(20);
  });

  test("an entry larger than a segment gets a segment of its own", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    const large = entry(2, 1, new Uint8Array(5 * SEGMENT_BYTES).fill(3));
    log.append(state(1), [entry(1, 1)]);
    log.append(state(1), [large]);
    log.append(state(1), [entry(3, 1)]);
    const { found } = open(disk);
    expect(digest(found)).toBe(digest({ ...found, entries: [entry(1, 1), large, entry(3, 1)] }));
  });

  test("one batch is one write and one sync", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    disk.operations.length = 0;
    log.append(state(1), [entry(1, 1), entry(2, 1), entry(3, 1)]);
    expect(disk.operations.map(({ kind }) => kind)).toEqual(["write", "sync"]);
  });
});

describe("a write that was cut short is left out, and nothing else", () => {
  const without = "1:1 2:1 3:1";

  test("D1 cut at every byte of the last batch", () => {
    const { disk, path, ends } = threeBatches();
    const [, , start = 0, end = 0] = ends;
    const whole = disk.bytesOf(path);
    let last = end;
    while (whole[last - 1] === 0) last -= 1;
    for (let at = start; at < last; at += 1) {
      // In the middle of a gap a cut is the same as at its beginning.
      if (at > start && whole.subarray(at - 64, at + 64).every((byte) => byte === 0)) continue;
      const damaged = disk.copy();
      damaged.bytesOf(path).fill(0, at);
      const log = open(damaged);
      expect(terms(log.found.entries), `cut at ${at - start}`).toBe(without);
      expect(log.found.hardState).toEqual(state(1, "a#0", 1));
      expect(log.torn).toBe(at > start);
    }
  });

  test("D2 every sector of the last batch missing alone, and every set of sectors of a small one", () => {
    const { disk, path, ends } = threeBatches();
    const [, , start = 0, end = 0] = ends;
    const whole = disk.bytesOf(path);
    const used: number[] = [];
    for (let at = start; at < end; at += SECTOR) if (whole.subarray(at, at + SECTOR).some((byte) => byte !== 0)) used.push(at);
    expect(used.length).toBeGreaterThan(4);
    for (let set = 1; set < 2 ** used.length; set += 1) {
      const damaged = disk.copy();
      used.forEach((at, place) => {
        if ((set >> place) % 2 === 1) damaged.bytesOf(path).fill(0, at, at + SECTOR);
      });
      const log = open(damaged);
      expect(terms(log.found.entries)).toBe(without);
    }
  });

  test("also when the entries hold nothing but zeros", () => {
    const zeros = [entry(4, 2, new Uint8Array(5000)), entry(5, 2, new Uint8Array(700).fill(1))];
    const { disk, path, ends } = threeBatches(zeros);
    expect(open(disk.copy()).found.entries.slice(3)).toEqual(zeros);
    const [, , start = 0, end = 0] = ends;
    const whole = disk.bytesOf(path);
    for (let at = start; at < end; at += SECTOR) {
      if (whole.subarray(at, at + SECTOR).every((byte) => byte === 0)) continue;
      const damaged = disk.copy();
      damaged.bytesOf(path).fill(0, at, at + SECTOR);
      expect(terms(open(damaged).found.entries)).toBe(without);
    }
  });

  test("D33 the log goes on after the cut, and a second start finds the same", () => {
    const { disk, path, ends } = threeBatches();
    disk.bytesOf(path).fill(0, (ends[2] ?? 0) + SECTOR);
    const log = open(disk);
    log.append(state(3, "c#2", 2), [entry(4, 3)]);
    for (let start = 0; start < 3; start += 1) {
      const again = open(disk);
      expect(again.found).toEqual({
        hardState: state(3, "c#2", 2),
        start: { index: 0, term: 0 },
        entries: [entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 3)],
      });
      expect(again.torn).toBe(false);
    }
  });

  test("D33 a start that is killed at any of its operations leaves the same log to the next one", () => {
    const { disk, path, ends } = threeBatches();
    disk.bytesOf(path).fill(0, (ends[2] ?? 0) + SECTOR);
    for (const base of [disk, threeBatches().disk]) expectSameAfterKills(base);
  });
});

/** Starts on copies of the disk, each killed one operation later than the one before: what is left opens like the disk itself. */
function expectSameAfterKills(base: BytesDisk): void {
  const wanted = open(base.copy()).found;
  for (let kill = 0, finished = false; !finished; kill += 1) {
    const killed = base.copy();
    let left = kill;
    killed.before = () => {
      left -= 1;
      return left < 0 ? "EIO" : null;
    };
    finished = true;
    try {
      open(killed);
    } catch {
      finished = false;
    }
    expect(open(killed.copy()).found, `operation ${kill}`).toEqual(wanted);
    if (finished) expect(kill).toBeGreaterThan(5);
  }
}

/** Where the next batch of this segment will stand. */
function endOf(disk: BytesDisk, path: string): number {
  let end = disk.bytesOf(path).length;
  while (disk.bytesOf(path)[end - 1] === 0) end -= 1;
  return Math.ceil(end / SECTOR) * SECTOR;
}

describe("damage is never taken for a cut: what is lost is known to be lost, and what is not is there", () => {
  /** What becomes of a flip at each byte from `start` to `end`, but for most of the zeros between records. */
  function flips(of: ReturnType<typeof threeBatches>, start: number, end: number, at: number): Record<Verdict, number> {
    const verdicts = { refused: 0, recovering: 0, whole: 0 };
    const whole = of.disk.bytesOf(of.path);
    for (let byte = start + at; byte < end; byte += 3) {
      if (byte % 97 !== 0 && whole.subarray(Math.max(start, byte - 64), byte + 64).every((each) => each === 0)) continue;
      const damaged = of.disk.copy();
      damaged.bytesOf(of.path)[byte] = (whole[byte] ?? 0) ^ (1 << (byte % 8));
      verdicts[honest(damaged, THREE, `byte ${byte - start}`)] += 1;
    }
    return verdicts;
  }

  test("D5 any flipped bit in a batch that others follow", () => {
    const of = threeBatches();
    const [start = 0, end = 0] = of.ends;
    const verdicts = flips(of, start, end, 0);
    expect(verdicts.refused).toBe(0);
    expect(verdicts.recovering).toBeGreaterThan(40);
    expect(verdicts.whole).toBeGreaterThan(60);
  });

  test("D4 a sector of zeros in the middle, and a batch of zeros", () => {
    const { disk, path, ends } = threeBatches();
    const damaged = disk.copy();
    damaged.bytesOf(path).fill(0, ends[0], (ends[0] ?? 0) + SECTOR);
    expect(honest(damaged, THREE, "first sector of the first batch")).toBe("recovering");
    expect(open(damaged).found.recovering?.remaining?.map(({ index, type }) => `${index} ${type}`)).toEqual([
      "1 lost",
      "2 lost",
      "3 command",
      "4 command",
      "5 command",
    ]);
    const middle = disk.copy();
    middle.bytesOf(path).fill(0, ends[1], ends[2]);
    expect(honest(middle, THREE, "the whole second batch")).toBe("recovering");
    expect(open(middle).found.recovering).toEqual({ remaining: null });
  });

  test("D6 any flipped bit in the last batch, which somebody may have been told of", () => {
    const of = threeBatches();
    const [, , start = 0, end = 0] = of.ends;
    const verdicts = flips(of, start, end, 1);
    expect(verdicts.refused).toBe(0);
    expect(verdicts.recovering).toBeGreaterThan(500);
    expect(verdicts.whole).toBeGreaterThan(60);
  });

  test("D6 D24 both copies of the newest vote: refused, wherever the flips are", () => {
    const { disk, path, ends } = threeBatches();
    const [, , start = 0, end = 0] = ends;
    const whole = disk.bytesOf(path);
    const view = new DataView(whole.buffer, whole.byteOffset, whole.byteLength);
    const places: { readonly at: number; readonly length: number }[] = [];
    for (let at = start; at < end; at += 8)
      if (view.getUint32(at, true) === 0x4c455251 && (whole[at + 8] === 1 || whole[at + 8] === 4))
        places.push({ at, length: 64 + view.getUint32(at + 12, true) });
    const [first, last] = places;
    if (first === undefined || last === undefined) throw new Error("there is no vote");
    for (let step = 0; step < 40; step += 1) {
      const damaged = disk.copy();
      const bytes = damaged.bytesOf(path);
      for (const { at, length } of [first, last]) {
        const byte = at + ((step * 31) % length);
        bytes[byte] = (bytes[byte] ?? 0) ^ 32;
      }
      refused(damaged, `step ${step}`);
    }
  });

  test("D6 D24 the newest vote of one group, in a batch of which nothing is left, is not told by what another group wrote later", () => {
    const { disk, path, ends, log } = threeBatches();
    const other = log.log.forGroup(1, { onDurable: () => undefined, onError: () => undefined });
    other.append({ ticket: 1, hardState: state(1, "x#1"), hardStateChanged: true, logStart: null, entries: [] });
    ends.push(endOf(disk, path));
    other.append({ ticket: 2, hardState: state(2, "y#1"), hardStateChanged: true, logStart: null, entries: [] });
    const end = endOf(disk, path);
    log.append(state(3, "c#1", 2), []);
    expect(open(disk.copy()).found.hardState).toEqual(state(3, "c#1", 2));
    const second = disk.copy();
    second.bytesOf(path).fill(0x77, ends[4], end);
    refused(second, "the other group's second vote");
    // Of its first one nothing is known any more, not even that there is another group; but then it is not the newest.
    const first = disk.copy();
    first.bytesOf(path).fill(0x77, ends[3], ends[4]);
    expect(honest(first, { ...THREE, hardState: state(3, "c#1", 2) }, "the other group's first vote")).toBe("recovering");
  });

  test("D8 bytes of a command that look like a record are not taken for the one that is lost", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    log.append(state(1), [entry(1, 1)]);
    // The second record of the second batch, as it might be: everything fits but what the next one follows.
    const forged = new Uint8Array(1024);
    const writer = new RecordWriter(forged, 1, 4, 0);
    writer.write(0, RecordType.batchStart, 0, 0, 0, "noop", new Uint8Array(0));
    writer.write(512, RecordType.entry, 0, 2, 1, "command", Uint8Array.of(6, 6, 6));
    const truth = { ...THREE, hardState: state(1), entries: [entry(1, 1), entry(2, 1, forged.slice(512, 600)), entry(3, 1)] };
    log.append(state(1), truth.entries.slice(1));
    const bytes = disk.bytesOf(segmentPath(1));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const places: number[] = [];
    for (let at = 4096; at + 64 <= bytes.length; at += 8)
      if (view.getUint32(at, true) === 0x4c455251 && view.getUint32(at + 60, true) === 1) places.push(at);
    // The first batch's, the second's, and the false one in its payload.
    expect(places.length).toBe(3);
    bytes[(places[1] ?? 0) + 5] = (bytes[(places[1] ?? 0) + 5] ?? 0) ^ 1;
    expect(honest(disk, truth, "the header before the false one")).toBe("recovering");
  });

  test("D33 a start on a damaged log that is killed at any of its operations leaves the same to the next one", () => {
    const { disk, path, ends } = threeBatches();
    for (const [from = 0, to = 0] of [
      [ends[0], (ends[0] ?? 0) + SECTOR],
      [ends[1], ends[2]],
      [(ends[2] ?? 0) + 100, (ends[2] ?? 0) + 101],
    ]) {
      const base = disk.copy();
      base.bytesOf(path).fill(0x55, from, to);
      expectSameAfterKills(base);
    }
  });

  test("what is discarded is gone with the batch that says so, and what followed it too", () => {
    const { disk, path, ends } = threeBatches();
    const bytes = disk.bytesOf(path);
    let at = ends[1] ?? 0;
    while (bytes[at + 8] !== RecordType.entry || bytes[at + 32] !== 3) at += 8;
    bytes[at + 64] = (bytes[at + 64] ?? 0) ^ 1;
    const log = open(disk);
    expect(log.found.recovering?.remaining?.map(({ index, type }) => `${index} ${type}`)).toEqual([
      "3 lost",
      "4 command",
      "5 command",
    ]);
    const left = THREE.entries.slice(0, 2);
    expect(log.found.entries).toEqual(left);
    log.append(state(4, null), left, { position: { index: 0, term: 0 }, keepSuffix: false });
    for (let start = 0; start < 2; start += 1)
      expect(open(disk).found).toEqual({ hardState: state(4, null), start: { index: 0, term: 0 }, entries: left });
  });

  test("what is lost stays lost over starts and segments, until other entries take its place", () => {
    const { disk, path, ends } = threeBatches();
    disk.bytesOf(path).fill(0, ends[0], (ends[0] ?? 0) + SECTOR);
    for (let start = 0; start < 3; start += 1) {
      const log = open(disk);
      expect(log.found.recovering?.remaining?.length).toBe(5);
      log.append({ ...state(3 + start, null), recovering: true }, []);
    }
    const log = open(disk);
    log.append({ ...state(5, null), recovering: true }, [entry(1, 1), entry(2, 1)]);
    const led = open(disk).found;
    expect([terms(led.entries), led.recovering]).toEqual(["1:1 2:1", { remaining: null }]);
    open(disk).append(state(5, null), []);
    expect(open(disk).found).toEqual({
      hardState: state(5, null),
      start: { index: 0, term: 0 },
      entries: [entry(1, 1), entry(2, 1)],
    });
  });

  test("D8 D10 a batch at another's place, an older segment in place of a newer one", () => {
    const { disk, path, ends } = threeBatches();
    const [first = 0, second = 0, third = 0] = ends;
    const moved = disk.copy();
    moved.bytesOf(path).copyWithin(second, first, first + third - second);
    expect(honest(moved, THREE, "a batch written elsewhere")).toBe("recovering");
    open(disk).append(state(4), [entry(6, 4)]);
    const replayed = disk.copy();
    replayed.files.set(segmentPath(2), replayed.bytesOf(segmentPath(1)).slice());
    refused(replayed, "an old segment under a new name");
  });

  test("D9 a batch that was lost before a later segment begins", () => {
    const { disk, path, ends } = threeBatches();
    const log = open(disk);
    log.append(state(4), [entry(6, 4)]);
    // The second segment repeats what followed the last mark, so what the first must hold ends with the second batch.
    const lost = disk.copy();
    lost.bytesOf(path).fill(0, ends[1]);
    const truth = { ...THREE, hardState: state(4), entries: [...THREE.entries, entry(6, 4)] };
    expect(honest(lost, truth, "the second batch")).toBe("recovering");
  });

  test("a segment that is missing in the middle, and one that is missing at the end", () => {
    const disk = new BytesDisk();
    for (let start = 1; start <= 4; start += 1) open(disk).append(state(start), [entry(start, start)]);
    const middle = disk.copy();
    middle.files.delete(segmentPath(2));
    const truth = {
      ...THREE,
      hardState: state(4),
      entries: [1, 2, 3, 4].map((index) => entry(index, index)),
    };
    expect(honest(middle, truth, "the second of four")).toBe("recovering");
  });

  test("a header of a segment", () => {
    const { disk, path } = threeBatches();
    for (const at of [0, 5, 20, 60]) {
      const damaged = disk.copy();
      const bytes = damaged.bytesOf(path);
      bytes[at] = (bytes[at] ?? 0) ^ 4;
      expect(() => open(damaged)).toThrow();
    }
  });
});

describe("whose log it is", () => {
  test("another cluster's, another node's, another life's", () => {
    const { disk } = threeBatches();
    expect(() => open(disk.copy(), { ...OWNER, clusterId: new Uint8Array(16) })).toThrow(/belongs to cluster 07070707/);
    expect(() => open(disk.copy(), { ...OWNER, name: "b" })).toThrow(/belongs to node a, this is b/);
    expect(() => open(disk.copy(), { ...OWNER, incarnation: 1n })).toThrow(/another life of node a/);
  });

  test("one of a newer format", () => {
    const { disk, path } = threeBatches();
    const bytes = disk.bytesOf(path);
    bytes[4] = 3;
    expect(() => open(disk)).toThrow(/format 3, this version reads up to 2: upgrade/);
  });

  test("a header comes back as it went", () => {
    const header = {
      ...OWNER,
      id: 5,
      size: 65_536,
      firstSequence: 77,
      durableThrough: 90,
      prevChecksum: 123,
      groups: new Map([[0, { hardState: state(3, "x#1", 8), start: { index: 4, term: 1 }, last: { index: 9, term: 3 } }]]),
    };
    const decoded = decodeSegmentHeader(encodeSegmentHeader(header));
    expect(decoded.ok && decoded.value.header).toEqual(header);
  });
});

describe("errors of the disk", () => {
  test("D14 a failed sync is the end: nothing is durable, and it is never tried again (WAL12)", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    log.append(state(1), [entry(1, 1)]);
    disk.before = ({ kind }) => (kind === "sync" ? "EIO" : null);
    log.append(state(1), [entry(2, 1)]);
    disk.before = () => null;
    log.append(state(1), [entry(3, 1)]);
    expect(log.durable).toEqual([1]);
    expect(log.errors).toEqual(["EIO fatal"]);
    expect(log.clock.timers).toEqual([]);
  });

  test("D13 so is a failed write", () => {
    const log = open(new BytesDisk());
    const disk = new BytesDisk();
    const other = open(disk);
    disk.before = ({ kind }) => (kind === "write" ? "EIO" : null);
    other.append(state(1), [entry(1, 1)]);
    expect(other.errors).toEqual(["EIO fatal"]);
    expect(log.errors).toEqual([]);
  });

  test("D16 no space: nothing is durable, and all of it is once there is space (WAL13)", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    disk.before = ({ kind }) => (kind === "write" ? "ENOSPC" : null);
    log.append(state(1), [entry(1, 1)]);
    log.append(state(1), [entry(2, 1)]);
    expect(log.durable).toEqual([]);
    log.clock.timers.shift()?.();
    expect(log.errors).toEqual(["ENOSPC", "ENOSPC"]);
    disk.before = () => null;
    log.clock.timers.shift()?.();
    expect(log.durable.at(-1)).toBe(2);
    expect(terms(open(disk).found.entries)).toBe("1:1 2:1");
  });

  test("D16 no space for the next segment", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    disk.before = ({ path }) => (path.endsWith(".tmp") ? "ENOSPC" : null);
    let index = 0;
    while (log.errors.length === 0) {
      index += 1;
      log.append(state(1), [entry(index, 1, new Uint8Array(9000).fill(1))]);
    }
    expect(log.durable.length).toBe(index - 1);
    disk.before = () => null;
    log.clock.timers.shift()?.();
    expect(log.durable.at(-1)).toBe(index);
    expect(open(disk).found.entries.length).toBe(index);
  });

  test("D16 no space when the next segment, which was ready, gets its header: it is begun anew, not taken for somebody else's", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    let index = 0;
    const append = (): void => {
      index += 1;
      log.append(state(1), [entry(index, 1, new Uint8Array(9000).fill(1))]);
    };
    while (!disk.operations.some(({ kind, path }) => kind === "open" && path.endsWith("prepared.tmp") && index > 1)) append();
    for (let more = 0; more < 2; more += 1) append();
    disk.before = ({ kind, path }) => (kind === "write" && path.endsWith(".tmp") ? "ENOSPC" : null);
    while (log.errors.length === 0) append();
    expect(log.errors).toEqual(["ENOSPC"]);
    log.clock.timers.shift()?.();
    expect(log.errors).toEqual(["ENOSPC", "ENOSPC"]);
    disk.before = () => null;
    log.clock.timers.shift()?.();
    expect(log.errors).toEqual(["ENOSPC", "ENOSPC"]);
    expect(log.durable.at(-1)).toBe(index);
    expect(open(disk).found.entries.length).toBe(index);
  });

  test("D11 a short read is no end of the log (WAL14)", () => {
    const { disk, path } = threeBatches();
    const short = disk.copy();
    const whole = short.bytesOf(path);
    short.open = (name, mode, callback) => {
      BytesDisk.prototype.open.call(short, name, mode, (error, file) => {
        if (error !== null || file === null || name !== path) return callback(error, file);
        callback(null, { ...file, size: (done) => done(null, whole.length + 10) });
      });
    };
    expect(() => open(short)).toThrow(/bytes were read at .* check the disk/);
  });
});

describe("segments that are not needed any more", () => {
  /** A log of many segments, most of which are covered by a release. */
  function released(): { disk: BytesDisk; log: Opened; last: number } {
    const disk = new BytesDisk();
    const log = open(disk);
    let index = 0;
    for (let batch = 0; batch < 60; batch += 1) {
      index += 1;
      log.append(state(1, "a#0", index), [entry(index, 1, new Uint8Array(6000).fill(batch))]);
      if (batch === 40) log.group.release({ index: 35, term: 1 });
    }
    return { disk, log, last: index };
  }

  test("are removed oldest first, and the log begins where it was released", () => {
    const { disk, last } = released();
    const removed = disk.operations
      .filter(({ kind, path }) => kind === "remove" && path.endsWith(".segment"))
      .map(({ path }) => path);
    expect(removed.length).toBeGreaterThan(2);
    expect([...removed].sort()).toEqual(removed);
    const found = open(disk).found;
    expect(found.start).toEqual({ index: 35, term: 1 });
    expect(found.entries.map(({ index }) => index)).toEqual(Array.from({ length: last - 35 }, (_, place) => 36 + place));
  });

  test("D20 may have come back after a crash, all or some of them", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    const before = new Map<string, Uint8Array>();
    disk.before = ({ kind, path }) => {
      if (kind === "remove" && path.endsWith(".segment")) before.set(path, disk.bytesOf(path).slice());
      return null;
    };
    for (let index = 1; index <= 60; index += 1) {
      log.append(state(1, "a#0", index), [entry(index, 1, new Uint8Array(6000).fill(index))]);
      if (index === 41) log.group.release({ index: 35, term: 1 });
    }
    const expected = open(disk.copy()).found;
    const paths = [...before.keys()];
    expect(paths.length).toBeGreaterThan(2);
    for (let set = 0; set < 2 ** Math.min(6, paths.length); set += 1) {
      const crashed = disk.copy();
      paths.forEach((path, place) => {
        if ((set >> place) % 2 === 1) crashed.files.set(path, (before.get(path) ?? new Uint8Array(0)).slice());
      });
      const again = open(crashed);
      expect(digest(again.found)).toBe(digest(expected));
    }
  });
});
