/** Those that are no members yet, or no more: who is taken in, who is answered, who is told (dissertation section 4.1). */
import { beforeEach, describe, expect, test } from "vitest";
import type { PeerHello } from "../../src/runtime/index.js";
import { memberId } from "../../src/runtime/member-id.js";
import { isPlaceholder } from "../../src/runtime/membership.js";
import { submitChange } from "../../src/runtime/requests.js";
import { encodeAddress, encodeNotAMember, encodePeerLog } from "../../src/runtime/wire/index.js";
import { NodeBench } from "./node-bench.js";
import { BytesDisk } from "./storage/bytes-disk.js";

let bench: NodeBench;
beforeEach(() => {
  bench = new NodeBench(new BytesDisk());
  bench.lead();
});

function hello(name: string, incarnation: bigint): PeerHello {
  return { clusterId: bench.host.hello().clusterId, name, incarnation, boot: 1, founders: [], version: 3 };
}

/** Changes the members, as far as that goes without anybody's help. */
function change(wanted: Parameters<typeof submitChange>[1]): void {
  submitChange(
    bench.host,
    wanted,
    { expectedIndex: null, timeoutMs: undefined, onProgress: null, untilCommitted: false },
    () => {},
  );
  bench.clock.run();
}

const hears = (from: PeerHello, payload: Uint8Array): void => {
  bench.handler.received(from, "main", payload);
  bench.clock.run();
};
const dialled = (as: string, found: PeerHello): void => {
  bench.handler.opened(as, "main", found);
  bench.clock.run();
};
const log = (lastIndex: number, wasMember = lastIndex > 0): Uint8Array =>
  encodePeerLog(0, { lastIndex, lastTerm: lastIndex > 0 ? 1 : 0, recovering: false, priority: 0, wasMember });
const members = (): readonly string[] => bench.host.running?.raft.configuration.members.map(({ id }) => id) ?? [];

describe("a member that was added by its address alone", () => {
  beforeEach(() => {
    change({ kind: "members", addLearners: [{ address: "d:1" }] });
  });

  test("is whoever answers there with an empty directory", () => {
    const d = hello("d", 4n);
    dialled("d:1", d);
    expect(members().filter(isPlaceholder)).toHaveLength(1);
    hears(d, log(0));
    expect(members()).toContain(memberId("d", 4n));
    expect(members().filter(isPlaceholder)).toHaveLength(0);
  });

  test("is whoever has a log, and was a member by no configuration that was committed: a leader may have been deposed before", () => {
    const d = hello("d", 4n);
    dialled("d:1", d);
    hears(d, log(7, false));
    expect(members()).toContain(memberId("d", 4n));
  });

  test("is nobody whose directory is of an earlier membership", () => {
    const d = hello("d", 4n);
    dialled("d:1", d);
    expect(bench.transport.told).toEqual([]);
    hears(d, log(7));
    expect(members().filter(isPlaceholder)).toHaveLength(1);
    expect(members()).not.toContain(memberId("d", 4n));
    expect(bench.events.filter(({ type }) => type === "warning")).toEqual([
      {
        type: "warning",
        message: expect.stringMatching(/^d at d:1 can't join: its directory holds the log of an earlier membership/),
      },
    ]);
  });
});

test("whoever says where it is reached is dialled back, so that it can be answered", () => {
  const d = hello("d", 4n);
  expect(bench.handler.greet(d, "accepted")).toBeNull();
  hears(d, encodeAddress("d:1"));
  expect(bench.transport.peers).toContainEqual({ name: "d", address: "d:1" });
});

test("one that is no member, and comes, is told by which configuration", () => {
  dialled("d", hello("d", 4n));
  expect(bench.transport.told).toEqual([{ peer: "d", configurationIndex: 0 }]);
  change({ kind: "members", addLearners: [{ name: "e", address: "e:1", incarnation: "0000000000000005" }] });
  const { configurationIndex } = bench.host.running?.raft ?? {};
  dialled("e", hello("e", 5n));
  expect(bench.transport.told).toHaveLength(1);
  // Another life of the same name is no member.
  dialled("e", hello("e", 6n));
  expect(bench.transport.told.at(-1)).toEqual({ peer: "e", configurationIndex });
});

test("a member believes that it was removed only of a configuration as new as its own", () => {
  change({ kind: "members", addLearners: [{ name: "e", address: "e:1", incarnation: "0000000000000005" }] });
  const { configurationIndex = 0 } = bench.host.running?.raft ?? {};
  hears(hello("e", 5n), encodeNotAMember(0, configurationIndex - 1));
  expect(bench.host.state).toBe("running");
  bench.clock.advance(1000);
  expect(bench.host.state).toBe("running");
  hears(hello("e", 5n), encodeNotAMember(0, configurationIndex));
  // What it said last must be read by the others before the connections end.
  bench.clock.advance(2 * bench.options.heartbeatIntervalMs);
  expect([bench.host.state, bench.transport.closed]).toEqual(["running", false]);
  bench.clock.advance(2 * bench.options.heartbeatIntervalMs);
  expect([bench.host.state, bench.transport.closed]).toEqual(["removed", true]);
});
