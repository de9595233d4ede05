/** The identity of a directory: two copies, either of which will do; with none of them nobody starts (WAL15, D24, D25). */
import { expect, test } from "vitest";
import { type Identity, readIdentity, writeIdentity } from "../../../src/runtime/storage/identity.js";
import { runTask } from "../../../src/runtime/task.js";
import { BytesDisk } from "./bytes-disk.js";
import { OWNER } from "./log-bench.js";

const IDENTITY: Identity = { ...OWNER, boot: 3, founders: [{ name: "b", incarnation: 7n }] };
const COPY_BYTES = 4096;

function written(): BytesDisk {
  const disk = new BytesDisk();
  runTask(
    () => writeIdentity(disk, IDENTITY),
    (error) => expect(error).toBeNull(),
  );
  return disk;
}

/** What is found, or the message of what is wrong. */
function found(disk: BytesDisk): Identity | string | null {
  let got: Identity | string | null = "no answer";
  runTask(
    () => readIdentity(disk),
    (error, identity) => {
      got = error?.message ?? identity;
    },
  );
  return got;
}

test("comes back as it went, and is nobody's where there is none", () => {
  expect(found(written())).toEqual(IDENTITY);
  expect(found(new BytesDisk())).toBeNull();
});

test("a copy that is damaged anywhere is not used, the other one is; with both damaged the node does not start", () => {
  const disk = written();
  const used = 14 + 16 + 2 + 1 + 8 + 8 + 1 + 2 + 1 + 8;
  for (let at = 0; at < used; at += 1) {
    const bad = disk.copy();
    for (const copy of [0, COPY_BYTES]) {
      const one = disk.copy();
      one.bytesOf("identity")[copy + at] = (one.bytesOf("identity")[copy + at] ?? 0) ^ 1;
      expect(found(one), `byte ${at} of the copy at ${copy}`).toEqual(IDENTITY);
      bad.bytesOf("identity")[copy + at] = (bad.bytesOf("identity")[copy + at] ?? 0) ^ 1;
    }
    expect(found(bad), `byte ${at} of both`).toMatch(/damaged in both copies|has format/);
  }
});

test("is replaced as a whole: content synced, then the name, then the folder", () => {
  const disk = written();
  disk.operations.length = 0;
  runTask(
    () => writeIdentity(disk, { ...IDENTITY, boot: 4 }),
    (error) => expect(error).toBeNull(),
  );
  expect(disk.operations.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
    "open identity.tmp",
    "write identity.tmp",
    "sync identity.tmp",
    "rename identity",
    "syncDirectory ",
  ]);
  expect(found(disk)).toEqual({ ...IDENTITY, boot: 4 });
});

test("one of a format that was given up, or of a newer one, is refused with what to do", () => {
  for (const [format, remedy] of [
    [1, /has format 1, which was given up before the first release: begin with an empty directory/],
    [9, /has format 9, and this version reads up to 2: start it with the version that wrote it/],
  ] as const) {
    const disk = written();
    for (const copy of [0, COPY_BYTES]) disk.bytesOf("identity")[copy + 4] = format;
    expect(found(disk)).toMatch(remedy);
  }
});
