/** What a crash may leave: all of it, each once, and nothing else. */
import { describe, expect, test } from "vitest";
import { applyEffect, type DiskState, type Effect, EMPTY_IMAGE, stateOf } from "../../../src/sim/crash-points/disk-state.js";
import { imagesOf } from "../../../src/sim/crash-points/images.js";

const SECTOR = 512;
const ALL = { tears: Number.POSITIVE_INFINITY };

function after(...effects: readonly Effect[]): DiskState {
  const state = stateOf(EMPTY_IMAGE);
  for (const effect of effects) applyEffect(state, effect, true);
  return state;
}

const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);

/** Runs of equal bytes: "512×1 512×0". */
function runs(of: Uint8Array): string {
  const found: string[] = [];
  for (let at = 0; at < of.length; ) {
    let end = at;
    while (end < of.length && of[end] === of[at]) end += 1;
    found.push(`${end - at}×${of[at]}`);
    at = end;
  }
  return found.length === 0 ? "empty" : found.join(" ");
}

const pictures = (state: DiskState, options = ALL): string[] =>
  [...imagesOf(state, options)].map(({ keeps, image }) =>
    [`${keeps}:`, ...[...image.files].map(([path, content]) => `${path} ${runs(content)}`).sort()].join(" | "),
  );

const durable: readonly Effect[] = [
  { kind: "create", path: "f", file: 0 },
  { kind: "write", file: 0, position: 0, data: bytes(3 * SECTOR, 1) },
  { kind: "sync", file: 0 },
  { kind: "syncDirectory", path: "" },
];

describe("content", () => {
  test("what was synced is there, whatever happens", () => {
    expect(pictures(after(...durable))).toEqual(["everything: | f 1536×1"]);
  });

  test("three sectors: none, all, each lost, each alone", () => {
    const state = after(...durable, { kind: "write", file: 0, position: 0, data: bytes(3 * SECTOR, 2) });
    state.lastWrite = null;
    expect(pictures(state)).toEqual([
      "nothing that was not synced: | f 1536×1",
      "everything: | f 1536×2",
      "everything but sector 0 of f: | f 512×1 1024×2",
      "everything but sector 1 of f: | f 512×2 512×1 512×2",
      "everything but sector 2 of f: | f 1024×2 512×1",
      "of what was not synced only sector 0 of f: | f 512×2 1024×1",
      "of what was not synced only sector 1 of f: | f 512×1 512×2 512×1",
      "of what was not synced only sector 2 of f: | f 1024×1 512×2",
    ]);
  });

  test("a file that grows: the size may be there before the bytes, and is never longer than its last sector", () => {
    const state = after(...durable, { kind: "write", file: 0, position: 3 * SECTOR, data: bytes(SECTOR + 10, 2) });
    state.lastWrite = null;
    expect(pictures(state)).toEqual([
      "nothing that was not synced: | f 1536×1",
      "everything: | f 1536×1 522×2",
      "of what was not synced only the sizes: | f 1536×1 522×0",
      "everything but sector 3 of f: | f 1536×1 512×0 10×2",
      "everything but sector 4 of f: | f 1536×1 512×2",
    ]);
  });

  test("a write is cut at every byte that makes a difference", () => {
    const state = after(...durable, { kind: "write", file: 0, position: 100, data: Uint8Array.of(1, 2, 3, 1, 4, 1, 1) });
    expect(pictures(state)).toEqual([
      "nothing that was not synced: | f 1536×1",
      "everything: | f 101×1 1×2 1×3 1×1 1×4 1431×1",
      "everything, and 2 of 7 bytes of the write at 100 of f: | f 101×1 1×2 1434×1",
      "everything, and 3 of 7 bytes of the write at 100 of f: | f 101×1 1×2 1×3 1433×1",
    ]);
  });

  test("cuts are sampled evenly, with those at the ends of sectors", () => {
    const state = after(...durable, { kind: "write", file: 0, position: 0, data: bytes(3 * SECTOR, 2) });
    const cuts = pictures(state, { tears: 3 }).flatMap((text) => /and (\d+) of 1536 bytes/.exec(text)?.[1] ?? []);
    expect(cuts).toEqual(["1", "513", "768", "1025", "1535"]);
    expect(pictures(state).filter((text) => text.includes("of 1536 bytes")).length).toBe(1535);
  });

  test("a file whose content nobody reads is kept or lost as a whole", () => {
    const state = after(...durable, { kind: "write", file: 0, position: 0, data: bytes(3 * SECTOR, 2) });
    expect([...imagesOf(state, { ...ALL, unread: () => true })].length).toBe(2);
  });

  test("what is written while an earlier write is not synced may be there without it", () => {
    const state = after(
      ...durable,
      { kind: "write", file: 0, position: 0, data: bytes(SECTOR, 2) },
      { kind: "write", file: 0, position: 2 * SECTOR, data: bytes(SECTOR, 3) },
    );
    expect(pictures(state)).toContain("everything but sector 0 of f: | f 1024×1 512×3");
  });
});

describe("names", () => {
  test("a new name, a rename and a removal: each beginning of them", () => {
    const state = after(
      ...durable,
      { kind: "create", path: "new", file: 1 },
      { kind: "rename", from: "new", to: "g" },
      { kind: "remove", path: "f" },
    );
    expect(pictures(state)).toEqual([
      "everything, no change of names: | f 1536×1",
      "everything, all changes of names: | g empty",
      'everything, the first 1 of 3 changes of names in "" and none elsewhere: | f 1536×1 | new empty',
      'everything, the first 2 of 3 changes of names in "" and none elsewhere: | f 1536×1 | g empty',
    ]);
  });

  test("a name without its content, and content under its old name", () => {
    const state = after(
      ...durable,
      { kind: "create", path: "new", file: 1 },
      { kind: "write", file: 1, position: 0, data: bytes(SECTOR, 5) },
      { kind: "rename", from: "new", to: "f" },
    );
    expect(pictures(state)).toEqual([
      "everything, no change of names: | f 1536×1",
      "nothing that was not synced, all changes of names: | f empty",
      "everything, all changes of names: | f 512×5",
      "of what was not synced only the sizes, all changes of names: | f 512×0",
      'nothing that was not synced, the first 1 of 2 changes of names in "" and none elsewhere: | f 1536×1 | new empty',
      'everything, the first 1 of 2 changes of names in "" and none elsewhere: | f 1536×1 | new 512×5',
      'of what was not synced only the sizes, the first 1 of 2 changes of names in "" and none elsewhere: | f 1536×1 | new 512×0',
    ]);
  });

  test("folders keep their changes by themselves", () => {
    const state = after(
      { kind: "makeDirectory", path: "log" },
      { kind: "create", path: "log/a", file: 0 },
      { kind: "create", path: "b", file: 1 },
    );
    const there = [...imagesOf(state, ALL)].map(({ image }) => [...image.files.keys()].sort().join(" "));
    expect(there.sort()).toEqual(["", "b", "b log/a", "log/a"]);
    applyEffect(state, { kind: "syncDirectory", path: "log" });
    expect([...imagesOf(state, ALL)].map(({ image }) => [...image.files.keys()].sort().join(" ")).sort()).toEqual([
      "b log/a",
      "log/a",
    ]);
  });

  test("a removal that is not durable brings back what the file held", () => {
    const state = after(...durable, { kind: "remove", path: "f" });
    expect(pictures(state)).toEqual(["everything, no change of names: | f 1536×1", "everything, all changes of names:"]);
  });
});
