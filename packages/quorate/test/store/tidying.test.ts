/** What is kept of a key's history: found in few steps, and its memory given back after compaction. */
import { describe, expect, it } from "vitest";
import { entryReference, findAt, indexEntry, isTombstoneEntry } from "../../src/store/history.js";
import { keyFromBytes, keyToBytes } from "../../src/store/keys.js";
import { MvccStore } from "../../src/store/mvcc.js";
import { NO_RECORD, RecordCursor, walkSlab } from "../../src/store/records.js";
import { bytes, OPEN, TestStore, text } from "./harness.js";

const KIB = 1024;

function put(store: MvccStore, key: string, value = ""): void {
  store.put(key, bytes(key), bytes(value), 0n);
  store.commit();
}

/** A cursor that counts how often it is moved. */
class CountingCursor extends RecordCursor {
  moves = 0;
  override stand(...to: Parameters<RecordCursor["stand"]>): void {
    this.moves += 1;
    super.stand(...to);
  }
}

describe("a long history", () => {
  const store = new MvccStore();
  const versions = 50_000;
  for (let at = 0; at < versions; at += 1) put(store, "k");
  const newest = entryReference(store.index.get("k")?.newest ?? 0);

  function stepsTo(revision: number): number {
    const [cursor, probe] = [new CountingCursor(), new CountingCursor()];
    findAt(store.records, newest, revision, cursor, probe);
    expect(cursor.modRevision).toBe(revision);
    return cursor.moves + probe.moves;
  }

  it("is searched in few steps, whichever revision is asked for", () => {
    let most = 0;
    for (let revision = 2; revision <= versions + 1; revision += 37) most = Math.max(most, stepsTo(revision));
    expect(most).toBeLessThan(100);
  });

  it("is searched in few steps after its old end was compacted and more was written", () => {
    store.compact(30_000);
    while (store.tidying.busy) store.tidying.step();
    for (let at = 0; at < 1000; at += 1) put(store, "k");
    const head = entryReference(store.index.get("k")?.newest ?? 0);
    let most = 0;
    for (let revision = 30_000; revision <= store.currentRevision; revision += 37) {
      const [cursor, probe] = [new CountingCursor(), new CountingCursor()];
      expect(findAt(store.records, head, revision, cursor, probe)).not.toBe(NO_RECORD);
      expect([cursor.modRevision, cursor.version]).toEqual([revision, revision - 1]);
      most = Math.max(most, cursor.moves + probe.moves);
    }
    expect(most).toBeLessThan(100);
  });
});

describe("a history with two records of each revision", () => {
  it("is read at the later of them", () => {
    const store = new MvccStore();
    for (let at = 0; at < 200; at += 1) {
      store.put("k", bytes("k"), bytes("x"), 0n);
      store.delete("k");
      store.commit();
    }
    const newest = store.index.get("k")?.newest ?? 0;
    for (let revision = 2; revision <= 201; revision += 1) expect(store.at(newest, revision)).toBe(NO_RECORD);
  });
});

describe("compaction", () => {
  /** `revision`, or `-revision` for a tombstone, of the records that are alive, in their order. */
  function alive(store: MvccStore): number[] {
    const cursor = new RecordCursor();
    const found: number[] = [];
    for (const slab of store.records.freeze().slabs) {
      walkSlab(slab, slab.used, cursor, () => {
        if (!cursor.isDead(store.compactedRevision)) found.push(cursor.isTombstone ? -cursor.modRevision : cursor.modRevision);
      });
    }
    return found;
  }

  it("leaves of each key the newest version at or below the revision, and a tombstone only there", () => {
    const store = new MvccStore();
    put(store, "a"); // 2
    put(store, "a"); // 3
    put(store, "b"); // 4
    store.delete("b"); // 5
    store.commit();
    put(store, "a"); // 6
    store.delete("a"); // 7
    store.commit();
    put(store, "a"); // 8
    const left = (revision: number): number[] => {
      store.compact(revision);
      return alive(store);
    };
    expect(left(2)).toEqual([2, 3, 4, -5, 6, -7, 8]);
    expect(left(3)).toEqual([3, 4, -5, 6, -7, 8]);
    expect(left(4)).toEqual([3, 4, -5, 6, -7, 8]);
    expect(left(5)).toEqual([3, -5, 6, -7, 8]);
    expect(left(6)).toEqual([6, -7, 8]);
    expect(left(7)).toEqual([-7, 8]);
    expect(left(8)).toEqual([8]);
  });
});

describe("memory", () => {
  it("comes back after a compaction, a slab a step", () => {
    const store = new TestStore();
    for (let at = 0; at < 8000; at += 1) store.put({ key: `hot${at % 10}`, value: "x".repeat(KIB) });
    const before = store.machine.sizeInBytes;
    expect(before).toBeGreaterThan(8000 * KIB);
    store.compact(store.machine.currentRevision);
    let steps = 0;
    for (; store.machine.tidying; steps += 1) store.machine.tidy();
    expect(steps).toBeGreaterThan(5);
    expect(store.machine.sizeInBytes).toBeLessThan(1200 * KIB);
    expect(store.machine.sizeInUseInBytes).toBeLessThanOrEqual(store.machine.sizeInBytes);
    expect(store.list({ key: "hot", rangeEnd: OPEN, limit: 1, keysOnly: true })).toBe("hot0=@7992");
  });

  it("does not leave a trail of slabs behind keys that live long among much traffic", () => {
    const store = new MvccStore();
    for (let at = 0; at < 12_000; at += 1) {
      put(store, `hot${at % 10}`, "x".repeat(KIB));
      if (at % 500 === 0) put(store, `cold${at}`, "kept");
    }
    store.compact(store.currentRevision);
    while (store.tidying.busy) store.tidying.step();
    expect(store.records.slabCount).toBeLessThanOrEqual(3);
    for (let at = 0; at < 12_000; at += 500) expect(store.keyValue(store.latest(`cold${at}`)).value).toEqual(bytes("kept"));
    // And again, over slabs that were tidied before.
    for (let at = 0; at < 3000; at += 1) put(store, `hot${at % 10}`, "y".repeat(KIB));
    for (let at = 0; at < 12_000; at += 1000) {
      store.delete(`cold${at}`);
      store.commit();
    }
    put(store, "last");
    store.compact(store.currentRevision);
    while (store.tidying.busy) store.tidying.step();
    expect(store.records.slabCount).toBeLessThanOrEqual(3);
    const cold = Array.from({ length: 24 }, (_, at) => at * 500);
    const kept = cold.filter((at) => store.latest(`cold${at}`) !== NO_RECORD);
    expect(kept).toEqual(cold.filter((at) => at % 1000 !== 0));
    for (const at of kept) expect(store.keyValue(store.latest(`cold${at}`)).value).toEqual(bytes("kept"));
    expect(cold.filter((at) => store.index.get(`cold${at}`) !== undefined)).toEqual(kept);
  });

  it("lets deleted keys out of the index, and counts the tombstones right", () => {
    const store = new MvccStore();
    for (let at = 0; at < 1000; at += 1) put(store, `k${at}`);
    for (let at = 0; at < 1000; at += 2) store.delete(`k${at}`);
    store.commit();
    expect([store.index.size, store.tombstones]).toEqual([1000, 500]);
    put(store, "k0");
    expect(store.tombstones).toBe(499);
    store.compact(1002);
    while (store.tidying.busy) store.tidying.step();
    // A tombstone exactly at the compacted revision stays.
    expect([store.index.size, store.tombstones]).toEqual([1000, 499]);
    store.compact(1003);
    while (store.tidying.busy) store.tidying.step();
    expect([store.index.size, store.tombstones]).toEqual([501, 0]);
  });

  it("is given back by a store that is only written to, and reaches the end under many compactions", () => {
    const store = new TestStore();
    for (let at = 0; at < 6000; at += 1) {
      store.put({ key: "hot", value: "x".repeat(2 * KIB) });
      store.compact(store.machine.currentRevision);
    }
    expect(store.machine.sizeInBytes).toBeLessThan(4 * 1024 * KIB);
  });

  it("comes back without taking a version that can still be read, wherever in a slab the compaction ends", () => {
    const store = new MvccStore();
    for (let at = 0; at < 5000; at += 1) put(store, `hot${at % 5}`, `${at}`.padEnd(KIB));
    const wrong: number[] = [];
    /** The version of `put` number `at` is what its key has at a revision up to four later. */
    const check = (at: number, revision: number): void => {
      const reference = store.at(store.index.get(`hot${at % 5}`)?.newest ?? 0, revision);
      const found = reference === NO_RECORD ? "" : text(store.keyValue(reference).value).trimEnd();
      if (found !== `${at}`) wrong.push(revision);
    };
    for (let compacted = 1500; compacted <= store.currentRevision; compacted += 173) {
      store.compact(compacted);
      while (store.tidying.busy) store.tidying.step();
      for (let revision = compacted; revision <= Math.min(compacted + 20, store.currentRevision); revision += 1) {
        // The first put wrote revision 2.
        for (let back = 0; back < 5; back += 1) check(revision - 2 - back, revision);
      }
    }
    expect(wrong).toEqual([]);
    expect(store.sizeInUseInBytes).toBeLessThan(1200 * KIB);
  });

  it("keeps a key that was written again after its tombstone was forgotten but not yet swept away", () => {
    const store = new MvccStore();
    put(store, "a");
    store.delete("a");
    store.commit();
    put(store, "b");
    store.compact(store.currentRevision);
    while (store.tidying.busy) store.tidying.step();
    expect(store.index.get("a")).toBeUndefined();
    put(store, "a");
    put(store, "b");
    store.compact(store.currentRevision);
    while (store.tidying.busy) store.tidying.step();
    expect(store.latest("a")).not.toBe(NO_RECORD);
    expect(store.tombstones).toBe(0);
  });

  it("is trimmed where large values leave gaps", () => {
    const store = new MvccStore();
    for (let at = 0; at < 40; at += 1) put(store, `k${at}`, "x".repeat(600 * KIB));
    expect(store.records.capacityBytes).toBeLessThan(40 * 640 * KIB);
  });
});

describe("keys and entries of the index", () => {
  it("order as bytes do, and come back", () => {
    const long = new Uint8Array(5000).map((_, at) => at);
    expect(keyToBytes(keyFromBytes(long))).toEqual(long);
    expect(keyFromBytes(long, 4990, 4995)).toBe(keyFromBytes(long.subarray(4990, 4995)));
    expect(keyFromBytes(bytes("\xff")) > keyFromBytes(bytes("\x7f\xff"))).toBe(true);
  });

  it("tell tombstones apart, the first record too", () => {
    for (const reference of [0, 1, 2 ** 40]) {
      expect(entryReference(indexEntry(reference, true))).toBe(reference);
      expect([isTombstoneEntry(indexEntry(reference, true)), isTombstoneEntry(indexEntry(reference, false))]).toEqual([
        true,
        false,
      ]);
    }
  });
});
