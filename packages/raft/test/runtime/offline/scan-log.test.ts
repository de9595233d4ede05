/** Looking at a log says the same as a start does, for every way in which it can be cut or damaged; and names what is lost. */
import { describe, expect, test } from "vitest";
import { type Degree, worstOf } from "../../../src/runtime/offline/finding.js";
import { type ScannedLog, scanLog } from "../../../src/runtime/offline/scan-log.js";
import { segmentPath } from "../../../src/runtime/storage/segment.js";
import { openLog } from "../../../src/runtime/storage/write-ahead-log.js";
import { atOnce, STILL_CLOCK } from "../../../src/sim/crash-points/at-once.js";
import { BytesDisk, flip } from "../storage/bytes-disk.js";
import { entry, OWNER, open, SEGMENT_BYTES, state, threeBatches } from "../storage/log-bench.js";

const scan = (disk: BytesDisk): ScannedLog => atOnce(() => scanLog(disk, OWNER, () => true));

/** What a start makes of it, in the same words. */
function start(disk: BytesDisk): "whole" | "torn" | "bad" {
  try {
    const opened = atOnce(() => openLog({ disk, clock: STILL_CLOCK, owner: OWNER, segmentBytes: SEGMENT_BYTES }));
    const { damage = [] } = opened as { readonly damage?: readonly string[] };
    if (damage.length > 0) return "bad";
    return opened.torn ? "torn" : "whole";
  } catch {
    return "bad";
  }
}

const IN_SHORT: Readonly<Record<Degree, "whole" | "torn" | "bad">> = {
  note: "whole",
  torn: "torn",
  doubtful: "bad",
  damage: "bad",
};

function agrees(disk: BytesDisk, what: string): "whole" | "torn" | "bad" {
  const looked = IN_SHORT[worstOf(scan(disk).findings)];
  // Afterwards: a start changes the disk.
  expect(looked, what).toBe(start(disk));
  return looked;
}

const indexes = ({ log }: ScannedLog): string =>
  log.entries.map(({ index, term, type }) => `${index}:${term}${type === null ? "?" : ""}`).join(" ");

describe("a log that is whole", () => {
  test("all entries, the hard state and the bounds, over many starts and segments", () => {
    const disk = new BytesDisk();
    for (let life = 0; life < 6; life += 1) {
      const log = open(disk);
      for (let batch = 0; batch < 5; batch += 1) {
        const index = life * 5 + batch + 1;
        log.append(state(life + 1, "a#0", index - 1), [entry(index, life + 1, new Uint8Array(9000).fill(batch))]);
      }
    }
    const scanned = scan(disk);
    expect(worstOf(scanned.findings)).toBe("note");
    const opened = open(disk);
    expect(scanned.log.hardState).toEqual(opened.found.hardState);
    expect(scanned.log.entries.map(({ index, term, data }) => ({ index, term, type: "command", data }))).toEqual(
      opened.found.entries,
    );
    expect(scanned.segments.length).toBeGreaterThan(6);
  });

  test("entries that were replaced, and a new start", () => {
    const disk = new BytesDisk();
    const log = open(disk);
    log.append(state(1), [entry(1, 1), entry(2, 1), entry(3, 1)]);
    log.append(state(2, "b#1", 1), [entry(2, 2)]);
    expect(indexes(scan(disk))).toBe("1:1 2:2");
    log.append(state(3), [], { position: { index: 9, term: 3 }, keepSuffix: false });
    log.append(state(3), [entry(10, 3), entry(11, 3)]);
    log.append(state(3), [], { position: { index: 10, term: 3 }, keepSuffix: true });
    const scanned = scan(disk);
    expect([indexes(scanned), scanned.log.start, scanned.log.last]).toEqual([
      "11:3",
      { index: 10, term: 3 },
      { index: 11, term: 3 },
    ]);
    expect(worstOf(scanned.findings)).toBe("note");
  });
});

describe("it says what a start says", () => {
  const { disk, path, ends } = threeBatches();
  const [, first = 0, second = 0, third = 0] = ends;

  test("the last batch cut off", () => {
    const seen = new Set<string>();
    for (let cut = second; cut < third; cut += 17) {
      const copy = disk.copy();
      copy.bytesOf(path).fill(0, cut, third);
      seen.add(agrees(copy, `cut at ${cut}`));
    }
    expect([...seen].sort()).toEqual(["torn", "whole"]);
  });

  test("a flipped bit", () => {
    const seen = new Map<string, number>();
    for (let at = 0; at < third; at += 23) {
      const copy = disk.copy();
      const bytes = copy.bytesOf(path);
      bytes[at] = (bytes[at] ?? 0) ^ 4;
      const verdict = agrees(copy, `flipped at ${at}`);
      seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
    }
    expect(seen.get("bad")).toBeGreaterThan(40);
    // Between batches and behind the header there are zeros that nobody reads.
    expect(seen.get("whole")).toBeGreaterThan(0);
  });

  test("every sector gone", () => {
    for (let at = 0; at < third; at += 512) {
      const copy = disk.copy();
      copy.bytesOf(path).fill(0, at, at + 512);
      agrees(copy, `no sector at ${at}`);
    }
  });

  test("a damaged segment in the middle, a missing one, a short one, a foreign one", () => {
    const many = new BytesDisk();
    for (let life = 1; life <= 4; life += 1) open(many).append(state(life), [entry(life, life)]);
    for (let id = 1; id <= 4; id += 1) {
      const flipped = many.copy();
      flip(flipped.bytesOf(segmentPath(id)), 40, 1);
      expect(agrees(flipped, `header of ${id}`)).toBe("bad");
      const short = many.copy();
      short.files.set(segmentPath(id), short.bytesOf(segmentPath(id)).slice(0, 8192));
      expect(agrees(short, `end of ${id}`)).toBe("bad");
      const gone = many.copy();
      gone.files.delete(segmentPath(id));
      agrees(gone, `no ${id}`);
    }
  });

  test("the first batch again, where the second was", () => {
    const copy = disk.copy();
    const bytes = copy.bytesOf(path);
    bytes.copyWithin(first, 4096, first);
    expect(agrees(copy, "replayed")).toBe("bad");
  });
});

describe("it names what is lost, and goes on behind it", () => {
  const { disk, path, ends } = threeBatches();
  const [, first = 0] = ends;
  const at = (text: string): number => Buffer.from(disk.bytesOf(path)).indexOf(text);

  test("an entry whose content is damaged is known by its name; what follows it is there", () => {
    const copy = disk.copy();
    flip(copy.bytesOf(path), at("entry 2 of term 1"), 1);
    const { findings, ...scanned } = scan(copy);
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ degree: "damage", lost: [{ index: 2, term: 1 }] });
    expect(findings[0]?.what).toMatch(/^its content can't be read; .*it was synced: this is damage/);
    expect(indexes({ ...scanned, findings })).toBe("1:1 2:1? 3:1 4:2 5:2");
    expect(scanned.log.hardState).toEqual(state(2, "b#1", 2));
    expect(scanned.endIsLost).toBe(false);
  });

  test("a batch of which nothing is left leaves a gap that is told", () => {
    const copy = disk.copy();
    copy.bytesOf(path).fill(0xee, first, ends[2]);
    const scanned = scan(copy);
    expect(scanned.findings.map(({ what }) => what)).toEqual([
      expect.stringMatching(/^its header can't be read; .*so it was synced/),
      "entry 3 is nowhere",
    ]);
    expect(indexes(scanned)).toBe("1:1 2:1 4:2 5:2");
  });

  test("damage at the end: what may have stood there is not known to be all", () => {
    const copy = disk.copy();
    flip(copy.bytesOf(path), at("entry 4 of term 2"), 1);
    const scanned = scan(copy);
    expect(scanned.findings).toMatchObject([{ degree: "doubtful", lost: [{ index: 4, term: 2 }] }]);
    expect(scanned.endIsLost).toBe(true);
    expect(indexes(scanned)).toBe("1:1 2:1 3:1 4:2? 5:2");
  });

  test("two damaged places are both told", () => {
    const copy = disk.copy();
    flip(copy.bytesOf(path), at("entry 1 of term 1"), 1);
    flip(copy.bytesOf(path), at("entry 3 of term 1"), 1);
    expect(scan(copy).findings.map(({ lost }) => lost)).toEqual([[{ index: 1, term: 1 }], [{ index: 3, term: 1 }]]);
    // Also where the second one is the last.
    flip(copy.bytesOf(path), at("entry 4 of term 2"), 1);
    const scanned = scan(copy);
    expect(scanned.findings.map(({ lost }) => lost?.map(({ index }) => index))).toEqual([[1], [3], [4]]);
    expect([indexes(scanned), scanned.endIsLost]).toEqual(["1:1? 2:1 3:1? 4:2? 5:2", true]);
  });
});
