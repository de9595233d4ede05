/** What was applied is compared block by block, and where two logs first differ is said. */
import { describe, expect, test } from "vitest";
import type { Entry } from "../../src/core/index.js";
import { AppliedChecksums, BLOCK_ENTRIES } from "../../src/runtime/applied-checksums.js";
import { decodePayload, encodeAppliedBlock } from "../../src/runtime/wire/index.js";
import { BytesDisk } from "./storage/bytes-disk.js";
import { SECOND, VirtualCluster } from "./storage/virtual-cluster.js";

const entry = (index: number, term = 1): Entry => ({
  index,
  term,
  type: "command",
  data: Uint8Array.of(index & 255, index >> 8),
});
const entries = (first: number, last: number): Entry[] =>
  Array.from({ length: last - first + 1 }, (_, place) => entry(first + place));

describe("blocks", () => {
  test("are the same however the entries come, and say nothing when the beginning is missing", () => {
    const whole = new AppliedChecksums().add(entries(1, 3 * BLOCK_ENTRIES));
    expect(whole.map(({ through }) => through)).toEqual([1, 2, 3].map((block) => block * BLOCK_ENTRIES));
    const single = new AppliedChecksums();
    expect(entries(1, 3 * BLOCK_ENTRIES).flatMap((each) => single.add([each]))).toEqual(whole);
    const late = new AppliedChecksums();
    expect(late.add(entries(10, 2 * BLOCK_ENTRIES))).toEqual([whole[1]]);
    // A snapshot took the place of some.
    const jumped = new AppliedChecksums();
    jumped.add(entries(1, 100));
    expect(jumped.add(entries(200, 2 * BLOCK_ENTRIES))).toEqual([whole[1]]);
  });

  test("differ with an entry's data, its term and its type", () => {
    const own = new AppliedChecksums();
    const [block] = own.add(entries(1, BLOCK_ENTRIES));
    if (block === undefined) throw new Error("there is no block");
    expect(own.differs(block)).toBe(false);
    expect(own.differs({ ...block, through: 2 * BLOCK_ENTRIES })).toBeNull();
    const changed: Partial<Entry>[] = [{ data: Uint8Array.of(1) }, { term: 2 }, { type: "noop" }];
    for (const change of changed) {
      const others = entries(1, BLOCK_ENTRIES).map((each) => (each.index === 77 ? { ...each, ...change } : each));
      const [other] = new AppliedChecksums().add(others);
      expect(other === undefined ? null : own.differs(other)).toBe(true);
    }
  });

  test("travel as they are", () => {
    const block = { through: 512, checksum: 0xfffffff1 };
    expect(decodePayload(encodeAppliedBlock(3, block))).toEqual({ ok: true, kind: "appliedBlock", group: 3, block });
  });
});

test("a leader says where a follower first differs, once; followers that agree are not mentioned", () => {
  const names = ["a", "b", "c"];
  const cluster = new VirtualCluster(names);
  for (const name of names) cluster.start(name, new BytesDisk());
  const leader = cluster.untilLeader();
  cluster.write(leader, BLOCK_ENTRIES + 5);
  cluster.untilEqual();
  cluster.pass(SECOND);
  const differences = (): unknown[] => (cluster.events.get(leader) ?? []).filter(({ type }) => type === "appliedDiffers");
  expect(differences()).toEqual([]);
  const host = cluster.nodes.get(leader)?.host;
  const hello = { clusterId: new Uint8Array(16), name: "x", incarnation: 1n, boot: 1, founders: [], version: 3 };
  for (const checksum of [1, 2]) host?.received(hello, "main", encodeAppliedBlock(0, { through: BLOCK_ENTRIES, checksum }));
  // Of what it has not applied as a whole it says nothing.
  host?.received({ ...hello, name: "y" }, "main", encodeAppliedBlock(0, { through: 2 * BLOCK_ENTRIES, checksum: 1 }));
  expect(differences()).toEqual([{ type: "appliedDiffers", name: "x", first: 1, last: BLOCK_ENTRIES }]);
});
