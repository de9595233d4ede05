/** Snapshots: frozen in one turn, the same from the same content, and refused whole when anything about them is wrong. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeAttributes, encodeCommand, KvMachine, PIECE_BYTES, SnapshotError } from "../../src/store/index.js";
import { OPEN, TestStore } from "./harness.js";

const ALL = { key: "\0", rangeEnd: OPEN };
const MIB = 1 << 20;

function filled(): TestStore {
  const store = new TestStore({ leaseExists: () => true });
  for (let at = 0; at < 600; at += 1)
    store.put({ key: `k${at % 50}`, value: `${at}`.repeat(800), lease: at % 7 === 0 ? -1n : 0n });
  store.delete({ key: "k1", rangeEnd: "k2" });
  store.put({ key: "k1", value: "again" });
  store.compact(350);
  return store;
}

const join = (pieces: Iterable<Uint8Array>): string => Buffer.concat([...pieces]).toString("latin1");

function restore(pieces: readonly Uint8Array[]): KvMachine {
  const machine = new KvMachine();
  for (const [place, piece] of pieces.entries()) machine.restore(piece, place === pieces.length - 1);
  return machine;
}

describe("a snapshot", () => {
  it("gives the same state, which gives the same snapshot", () => {
    const store = filled();
    const copy = store.restored();
    expect(copy.machine.currentRevision).toBe(store.machine.currentRevision);
    expect(copy.machine.compactedRevision).toBe(350);
    for (let revision = 349; revision <= store.machine.currentRevision; revision += 9) {
      expect(copy.list({ ...ALL, revision })).toBe(store.list({ ...ALL, revision }));
    }
    expect(join(copy.machine.snapshot())).toBe(join(store.machine.snapshot()));
    // And the two go on alike.
    expect(copy.put({ key: "k5", value: "x", prevKv: true })).toEqual(store.put({ key: "k5", value: "x", prevKv: true }));
    expect(join(copy.machine.snapshot())).toBe(join(store.machine.snapshot()));
  });

  it("does not depend on what was tidied", () => {
    const [store, tidied] = [filled(), filled()];
    while (tidied.machine.tidying) tidied.machine.tidy();
    expect(tidied.machine.sizeInUseInBytes).toBeLessThan(store.machine.sizeInUseInBytes);
    expect(join(tidied.machine.snapshot())).toBe(join(store.machine.snapshot()));
  });

  it("stays as it was frozen while the store writes, compacts and tidies on", () => {
    const store = filled();
    const before = join(store.machine.snapshot());
    const pieces = store.machine.snapshot()[Symbol.iterator]();
    const taken: Uint8Array[] = [];
    for (let round = 0; ; round += 1) {
      const next: IteratorResult<Uint8Array, unknown> = pieces.next();
      if (next.done === true) break;
      taken.push(next.value);
      for (let at = 0; at < 200; at += 1) store.put({ key: `k${at % 60}`, value: `${round}`.repeat(300) });
      store.delete({ key: "k1", rangeEnd: "k4" });
      store.compact(store.machine.currentRevision - round);
      while (store.machine.tidying) store.machine.tidy();
    }
    expect(join(taken)).toBe(before);
    expect(join(store.machine.snapshot())).not.toBe(before);
  });

  it("is frozen when it is asked for, not when its first piece is", () => {
    const store = filled();
    const before = join(store.machine.snapshot());
    const lazy = store.machine.snapshot();
    store.put({ key: "later", value: "x" });
    expect(join(lazy)).toBe(before);
  });

  it("comes in pieces of 256 KiB, with a record larger than that across several", () => {
    const store = new TestStore();
    const large = "x".repeat(3 * MIB);
    store.put({ key: "small", value: "1" });
    store.put({ key: "large", value: large });
    store.put({ key: "after", value: "2" });
    const pieces = [...store.machine.snapshot()];
    expect(pieces.length).toBe(13);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBe(PIECE_BYTES);
    expect(store.restored().list(ALL)).toBe(`after=2@4 large=${large}@3 small=1@2`);
  });

  it("holds an empty store, and one with nothing but members", () => {
    const store = new TestStore();
    expect(store.restored().machine.currentRevision).toBe(1);
    const member = { memberId: 2n ** 64n - 1n, name: "näme 🗳", clientUrls: ["http://a:1", "http://b:2"] };
    for (let memberId = 0n; memberId < 300n; memberId += 1n) {
      store.command(encodeCommand("attributes", encodeAttributes({ memberId, name: "old", clientUrls: [] })));
    }
    store.command(encodeCommand("attributes", encodeAttributes(member)));
    const copy = store.restored();
    expect(copy.machine.members.get(member.memberId)).toEqual(member);
    expect(copy.machine.members.size).toBe(256);
    expect([...copy.machine.members.keys()]).toEqual([...store.machine.members.keys()]);
    expect(copy.machine.members.has(44n)).toBe(false);
    expect(copy.machine.currentRevision).toBe(1);
  });
});

describe("attributes", () => {
  it("replace what the member said before, and keep to their limits", () => {
    const store = new TestStore();
    const say = (name: string): Uint8Array =>
      store.command(encodeCommand("attributes", encodeAttributes({ memberId: 1n, name, clientUrls: ["u"] })));
    say("a");
    say("b");
    expect([...store.machine.members.values()]).toEqual([{ memberId: 1n, name: "b", clientUrls: ["u"] }]);
    expect(() => say("x".repeat(257))).toThrow(/name is longer than 256 bytes/);
    expect(() => encodeAttributes({ memberId: 1n, name: "", clientUrls: Array.from({ length: 33 }, () => "u") })).toThrow(
      /more than 32/,
    );
    expect(() => encodeAttributes({ memberId: 1n, name: "", clientUrls: ["u".repeat(1025)] })).toThrow(/longer than 1024/);
  });
});

describe("a wrong snapshot", () => {
  const pieces = [...filled().machine.snapshot()];

  it("is of several pieces, or this proves little", () => {
    expect(pieces.length).toBeGreaterThan(1);
    expect(() => restore(pieces)).not.toThrow();
  });

  it.each([
    ["cut short", (): Uint8Array[] => pieces.slice(0, -1)],
    ["without its first piece", (): Uint8Array[] => pieces.slice(1)],
    ["out of order", (): Uint8Array[] => pieces.toReversed()],
    ["with a piece twice", (): Uint8Array[] => pieces.flatMap((piece) => [piece, piece])],
    ["with an empty piece", (): Uint8Array[] => [new Uint8Array(0), ...pieces]],
    ["of nothing", (): Uint8Array[] => [new Uint8Array(0)]],
    ["with a piece after its end", (): Uint8Array[] => [...pieces, pieces[0] ?? new Uint8Array(0)]],
    ["of another thing", (): Uint8Array[] => [new TextEncoder().encode("not a snapshot at all, whatever it is")]],
  ])("is refused: %s", (_what, wrong) => {
    expect(() => restore(wrong())).toThrow(SnapshotError);
  });

  it("is refused whichever byte is changed", () => {
    const any = fc.tuple(fc.nat({ max: pieces.length - 1 }), fc.nat(), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(any, ([place, at, difference]) => {
        const wrong = pieces.map((piece) => piece.slice());
        const piece = wrong[place] ?? new Uint8Array(1);
        piece[at % piece.length] = (piece[at % piece.length] ?? 0) ^ difference;
        expect(() => restore(wrong)).toThrow(SnapshotError);
      }),
      { numRuns: 60 },
    );
  });

  it("is refused by a store that is in use", () => {
    const store = new TestStore();
    store.put({ key: "a", value: "1" });
    expect(() => store.machine.restore(pieces[0] ?? new Uint8Array(0), false)).toThrow(SnapshotError);
  });
});
