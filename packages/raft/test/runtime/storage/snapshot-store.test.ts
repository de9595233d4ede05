/** The files of snapshots: only what is whole counts, the two newest are kept, and what is sent was checked (WAL10, WAL17). */
import { describe, expect, test } from "vitest";
import type { SnapshotMetadata } from "../../../src/core/index.js";
import type { SnapshotReceiving } from "../../../src/runtime/snapshot-work.js";
import { type FoundSnapshots, openSnapshots } from "../../../src/runtime/storage/snapshot-store.js";
import { runTask } from "../../../src/runtime/task.js";
import { configurationOf } from "../../core/golden-cluster.js";
import { BytesDisk } from "./bytes-disk.js";
import { OWNER } from "./log-bench.js";

const PIECES = [1, 2, 3].map((filling) => new Uint8Array(1000).fill(filling));
/** The owner's block before the body. */
const OWNER_BYTES = 4096;

function metadata(lastIncludedIndex: number, lastIncludedTerm = 1): SnapshotMetadata {
  return { lastIncludedIndex, lastIncludedTerm, configuration: configurationOf(["a"]), configurationIndex: 0 };
}

/** A disk of arrays answers at once, so every callback has come when a call returns. */
function openedAt(disk: BytesDisk): FoundSnapshots {
  const got: { found?: FoundSnapshots; error?: Error } = {};
  runTask(
    () => openSnapshots(disk, OWNER),
    (error, result) => {
      if (error !== null) got.error = error;
      if (result !== null) got.found = result;
    },
  );
  if (got.found === undefined) throw got.error ?? new Error("it did not open at once");
  return got.found;
}

function take(disk: BytesDisk, indexes: readonly number[]): FoundSnapshots {
  const found = openedAt(disk);
  for (const index of indexes) {
    const writing = found.store.begin(metadata(index));
    for (const [place, piece] of PIECES.entries())
      writing.add(piece, (error) => expect(error).toBeNull(), place === 0 ? "sessions" : "machine");
    writing.finish((error) => expect(error).toBeNull());
  }
  return found;
}

function pathOf(disk: BytesDisk, index: number): string {
  const path = [...disk.files.keys()].find((each) => each.startsWith(`snapshots/${index.toString(16).padStart(16, "0")}`));
  if (path === undefined) throw new Error(`there is no snapshot ${index}`);
  return path;
}

function read({ store }: FoundSnapshots, index: number, offset: number, length: number): Uint8Array | null {
  let got: Uint8Array | null = null;
  store.read({ index, term: 1 }, offset, length, (data) => {
    got = data;
  });
  return got;
}

describe("a file that is not whole does not count", () => {
  test("any flipped bit, any byte that is missing: the one before it is used, and the damaged one put aside", () => {
    const disk = new BytesDisk();
    take(disk, [5, 9]);
    const path = pathOf(disk, 9);
    const whole = disk.bytesOf(path);
    expect(openedAt(disk.copy()).newest).toEqual(metadata(9));
    const damages: [string, (bytes: Uint8Array) => Uint8Array][] = [];
    for (let at = OWNER_BYTES; at < whole.length; at += 3)
      damages.push([`bit flip at ${at}`, (bytes) => bytes.map((byte, place) => (place === at ? byte ^ 16 : byte))]);
    // The bit that says whose a piece is.
    const lengths = [...whole.keys()].filter((at) => whole[at] === 0xe8 && whole[at + 1] === 3 && at > OWNER_BYTES);
    expect(lengths.length).toBe(PIECES.length);
    for (const at of lengths)
      damages.push([`whose ${at} is`, (bytes) => bytes.map((byte, place) => (place === at + 3 ? byte ^ 128 : byte))]);
    for (const length of [0, 1, OWNER_BYTES, OWNER_BYTES + 100, whole.length - 1000, whole.length - 16, whole.length - 1])
      damages.push([`cut to ${length}`, (bytes) => bytes.slice(0, length)]);
    for (const [what, damage] of damages) {
      const damaged = disk.copy();
      damaged.files.set(path, damage(whole));
      const { newest, damaged: said, tidy } = openedAt(damaged);
      expect(newest, what).toEqual(metadata(5));
      expect(said.length, what).toBe(1);
      runTask(tidy, (error) => expect(error).toBeNull());
      expect([...damaged.files.keys()], what).toContain(`${path}.damaged`);
    }
  });

  test("one that is not what its name says", () => {
    const disk = new BytesDisk();
    take(disk, [5, 9]);
    const bytes = disk.bytesOf(pathOf(disk, 9));
    const later = pathOf(disk, 9).replace("0000000000000009", "000000000000000b");
    disk.files.set(later, bytes);
    const { newest, damaged } = openedAt(disk);
    expect(newest).toEqual(metadata(9));
    expect(damaged).toEqual([expect.stringContaining("says that it ends at index 9")]);
  });
});

describe("a snapshot that is received", () => {
  function body(): { readonly disk: BytesDisk; readonly bytes: Uint8Array } {
    const disk = new BytesDisk();
    const found = take(disk, [9]);
    const bytes = read(found, 9, 0, 1_000_000);
    if (bytes === null) throw new Error("it can't be read");
    return { disk: new BytesDisk(), bytes };
  }

  function write(receiving: SnapshotReceiving, offset: number, data: Uint8Array): string | null {
    let said: string | null = null;
    receiving.write(offset, data, (error) => {
      said = error?.message ?? null;
    });
    return said;
  }

  function finish(receiving: SnapshotReceiving): SnapshotMetadata | string | null {
    let said: SnapshotMetadata | string | null = null;
    receiving.finish((error, got) => {
      said = error?.message ?? got;
    });
    return said;
  }

  test("piece by piece becomes the same file", () => {
    const { disk, bytes } = body();
    const found = openedAt(disk);
    const receiving = found.store.receive({ index: 9, term: 1 });
    for (let at = 0; at < bytes.length; at += 700) expect(write(receiving, at, bytes.slice(at, at + 700))).toBeNull();
    expect(finish(receiving)).toEqual(metadata(9));
    expect(read(found, 9, 0, 1_000_000)).toEqual(bytes);
    expect(openedAt(disk).newest).toEqual(metadata(9));
  });

  test("is refused when a piece is missing, comes twice, or is damaged, and when it is another one (pitfall F9)", () => {
    const { bytes } = body();
    const cases: [string, readonly (readonly [number, Uint8Array])[]][] = [
      [
        "a hole",
        [
          [0, bytes.slice(0, 700)],
          [1400, bytes.slice(1400)],
        ],
      ],
      [
        "a piece twice",
        [
          [0, bytes.slice(0, 700)],
          [0, bytes.slice(0, 700)],
          [700, bytes.slice(700)],
        ],
      ],
      ["the end is missing", [[0, bytes.slice(0, bytes.length - 1)]]],
      ["a flipped bit", [[0, bytes.map((byte, at) => (at === 1500 ? byte ^ 1 : byte))]]],
      ["something after its end", [[0, Uint8Array.of(...bytes, 0)]]],
    ];
    for (const [what, pieces] of cases) {
      const disk = new BytesDisk();
      const { store } = openedAt(disk);
      const receiving = store.receive({ index: 9, term: 1 });
      for (const [offset, data] of pieces) write(receiving, offset, data);
      expect(finish(receiving), what).toEqual(expect.any(String));
      expect(openedAt(disk).newest, what).toBeNull();
    }
    const disk = new BytesDisk();
    const other = openedAt(disk).store.receive({ index: 10, term: 1 });
    write(other, 0, bytes);
    expect(finish(other)).toEqual(expect.stringContaining("says that it ends at index 9"));
  });

  test("a piece that does not follow the one before it is told at once", () => {
    const { disk, bytes } = body();
    const receiving = openedAt(disk).store.receive({ index: 9, term: 1 });
    write(receiving, 0, bytes.slice(0, 700));
    expect(write(receiving, 1400, bytes.slice(1400))).toBe("a piece for byte 1400 came where 700 is next");
  });

  test("one that comes from the leader is not removed while it is finished and read, although one of its name was taken here and is old", () => {
    const { disk, bytes } = body();
    const { store } = openedAt(disk);
    const receiving = store.receive({ index: 9, term: 1 });
    expect(write(receiving, 0, bytes)).toBeNull();
    // A slow disk: its name is given, and the sync of the folder is still under way.
    const syncDirectory = disk.syncDirectory.bind(disk);
    let goOn = (): void => undefined;
    disk.syncDirectory = (path, callback) => {
      goOn = () => syncDirectory(path, callback);
      disk.syncDirectory = syncDirectory;
    };
    let received: unknown = "not yet";
    receiving.finish((error, finished) => {
      received = error ?? finished;
      // As a node does: what was finished is read at once, to restore a machine from it.
      store.load(
        { index: 9, term: 1 },
        (_piece, next) => next(),
        (failure) => {
          received = failure ?? received;
        },
      );
    });
    expect(received).toBe("not yet");
    for (const index of [9, 14, 20]) {
      const writing = store.begin(metadata(index));
      for (const piece of PIECES) writing.add(piece, () => undefined);
      writing.finish((error) => expect(error).toBeNull());
      store.prune((error) => expect(error).toBeNull());
    }
    goOn();
    expect(received).toEqual(metadata(9));
    store.prune((error) => expect(error).toBeNull());
    expect([...disk.files.keys()].filter((path) => path.endsWith(".snapshot")).sort()).toEqual([
      pathOf(disk, 14),
      pathOf(disk, 20),
    ]);
  });
});

test("what goes bad on the disk after it was checked is not sent to anybody (WAL17)", () => {
  const disk = new BytesDisk();
  const found = take(disk, [9]);
  expect(read(found, 9, 100, 500)?.length).toBe(500);
  const bytes = disk.bytesOf(pathOf(disk, 9));
  bytes[OWNER_BYTES + 300] = (bytes[OWNER_BYTES + 300] ?? 0) ^ 1;
  expect(read(found, 9, 100, 500)).toBeNull();
});

test("the two newest are kept, and the older one of them is told, so that the log from there is kept too", () => {
  const disk = new BytesDisk();
  const { store } = take(disk, [5]);
  const prune = (): unknown => {
    let kept: unknown = "no answer";
    store.prune((error, oldestKept) => {
      kept = error ?? oldestKept;
    });
    return kept;
  };
  expect(prune()).toBeNull();
  for (const index of [9, 14]) {
    const writing = store.begin(metadata(index));
    for (const piece of PIECES) writing.add(piece, () => undefined);
    writing.finish((error) => expect(error).toBeNull());
  }
  expect(prune()).toEqual({ index: 9, term: 1 });
  expect([...disk.files.keys()].sort()).toEqual([pathOf(disk, 9), pathOf(disk, 14)]);
});
