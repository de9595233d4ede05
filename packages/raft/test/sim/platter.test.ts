/** The virtual disk forgets and fails as disks do: what it must keep, what it may lose, and what it lies about. */
import { expect, test } from "vitest";
import type { Disk, DiskError, DiskFile } from "../../src/runtime/ports.js";
import { Platter, Scheduler, SeededRandom } from "../../src/sim/index.js";

const SECTOR = 512;

class Bench {
  readonly scheduler = new Scheduler();
  readonly chance: SeededRandom;
  readonly platter: Platter;
  disk: Disk;

  constructor(seed = 1) {
    this.chance = new SeededRandom(seed, 9);
    this.platter = new Platter({ scheduler: this.scheduler, random: new SeededRandom(seed), location: "/disk" });
    this.disk = this.platter.mount();
  }

  /** Runs one operation to its end; its error is returned. */
  do(operation: (done: (error: DiskError | null) => void) => void): string | null {
    let outcome: string | null | undefined;
    operation((error) => {
      outcome = error === null ? null : error.code;
    });
    this.scheduler.runUntil(() => outcome !== undefined, 10_000_000);
    if (outcome === undefined) throw new Error("the operation never ended");
    return outcome;
  }

  get<T>(operation: (done: (error: DiskError | null, result: T | null) => void) => void): T {
    let result: T | null = null;
    const code = this.do((done) =>
      operation((error, got) => {
        result = got;
        done(error);
      }),
    );
    if (code !== null || result === null) throw new Error(`failed: ${code}`);
    return result;
  }

  create(path: string): DiskFile {
    return this.get((done) => this.disk.open(path, "create", done));
  }

  /** A file whose name is durable, with this content synced. */
  settled(path: string, content: Uint8Array): DiskFile {
    const file = this.create(path);
    this.do((done) => file.write(0, content, done));
    this.do((done) => file.sync(done));
    this.do((done) => this.disk.syncDirectory("", done));
    return file;
  }

  content(path: string): Uint8Array | null {
    return this.platter.files.get(path) ?? null;
  }
}

const filled = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

test("what was synced survives every loss of power; what was not is kept or lost sector by sector", () => {
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 60; seed += 1) {
    const bench = new Bench(seed);
    const file = bench.settled("f", filled(3 * SECTOR, 1));
    bench.do((done) => file.write(SECTOR, filled(2 * SECTOR, 2), done));
    bench.platter.powerLoss(bench.chance);
    const bytes = bench.content("f") ?? new Uint8Array(0);
    expect(bytes.slice(0, SECTOR)).toEqual(filled(SECTOR, 1));
    outcomes.add(`${bytes[SECTOR]}${bytes[2 * SECTOR]}`);
  }
  expect([...outcomes].sort()).toEqual(["11", "12", "21", "22"]);
});

test("a write may be torn in the middle of a sector", () => {
  let torn = 0;
  for (let seed = 1; seed <= 40; seed += 1) {
    const bench = new Bench(seed);
    const file = bench.settled("f", filled(SECTOR, 1));
    bench.do((done) => file.write(0, filled(SECTOR, 2), done));
    bench.platter.powerLoss(bench.chance, { keepPerMille: 0, torn: true, garbles: false });
    const bytes = bench.content("f") ?? new Uint8Array(0);
    const cut = bytes.indexOf(1);
    if (cut > 0 && bytes.slice(cut).every((byte) => byte === 1)) torn += 1;
  }
  expect(torn).toBeGreaterThan(5);
});

test("a failed sync leaves the cache as it was, and a later success says nothing of what was forgotten", () => {
  let lost = 0;
  for (let seed = 1; seed <= 40; seed += 1) {
    const bench = new Bench(seed);
    const file = bench.settled("f", filled(4 * SECTOR, 1));
    bench.do((done) => file.write(0, filled(4 * SECTOR, 2), done));
    bench.platter.trouble.failingSyncs = 1;
    expect(bench.do((done) => file.sync(done))).toBe("EIO");
    expect(bench.do((done) => file.sync(done))).toBe(null);
    expect(bench.content("f")).toEqual(filled(4 * SECTOR, 2));
    bench.platter.powerLoss(bench.chance, { keepPerMille: 1000, torn: false, garbles: false });
    if (bench.content("f")?.includes(1) === true) lost += 1;
    // Written again, it is durable like anything else.
    const again = new Bench(seed);
    const other = again.settled("f", filled(SECTOR, 1));
    again.do((done) => other.write(0, filled(SECTOR, 2), done));
    again.platter.trouble.failingSyncs = 1;
    again.do((done) => other.sync(done));
    again.do((done) => other.write(0, filled(SECTOR, 3), done));
    again.do((done) => other.sync(done));
    again.platter.powerLoss(again.chance);
    expect(again.content("f")).toEqual(filled(SECTOR, 3));
  }
  expect(lost).toBeGreaterThan(20);
});

test("a name that was not synced with its folder may be lost, and never out of order", () => {
  const outcomes = new Set<string>();
  for (let seed = 1; seed <= 40; seed += 1) {
    const bench = new Bench(seed);
    bench.settled("a", filled(1, 1));
    bench.do((done) => bench.disk.rename("a", "b", done));
    bench.create("c");
    bench.platter.powerLoss(bench.chance);
    outcomes.add(bench.platter.paths.join(""));
  }
  expect([...outcomes].sort()).toEqual(["a", "b", "bc"]);
});

test("a killed process loses nothing that it had handed over, and nothing is called back any more", () => {
  const bench = new Bench();
  const file = bench.settled("f", filled(1, 1));
  let called = false;
  file.write(0, filled(1, 2), () => {
    called = true;
  });
  bench.platter.kill();
  bench.scheduler.runUntil(() => false, 1_000_000);
  expect(called).toBe(false);
  expect(bench.content("f")).toEqual(filled(1, 2));
});

test("a full disk refuses what is written and created, and a short read is short", () => {
  const bench = new Bench();
  const file = bench.settled("f", filled(100, 1));
  bench.platter.trouble.full = true;
  expect(bench.do((done) => file.write(0, filled(100, 2), done))).toBe("ENOSPC");
  expect(bench.do((done) => bench.disk.open("g", "create", (error) => done(error)))).toBe("ENOSPC");
  bench.platter.repair();
  expect(bench.do((done) => file.write(0, filled(100, 3), done))).toBe(null);
  bench.platter.trouble.shortReads = 1;
  expect(bench.get<Uint8Array>((done) => file.read(0, 100, done)).length).toBeLessThan(100);
  expect(bench.get<Uint8Array>((done) => file.read(0, 100, done)).length).toBe(100);
});
