/**
 * Who is who: a member is a name and the life of one data directory. A node that lost its disk comes back as somebody else,
 * to its founders, to the protocol and to the network (dissertation section 3.8; pitfalls, rule 33).
 */
import { describe, expect, test } from "vitest";
import type { Heartbeat } from "../../src/core/index.js";
import { Founding, foundingConfiguration } from "../../src/runtime/founding.js";
import { memberId, memberName } from "../../src/runtime/member-id.js";
import { Network } from "../../src/runtime/network.js";
import type { PeerHello, Transport } from "../../src/runtime/ports.js";

const FOUNDERS = ["a", "b", "c"].map((name) => ({ name, address: `${name}:1` }));

test("another data directory makes another member of the same name", () => {
  expect(memberId("a", 1n)).not.toBe(memberId("a", 2n));
  expect(memberId("a", 1n)).not.toBe(memberId("b", 1n));
  for (const name of ["a", "a#b", "#", "a#0123456789abcdef"]) expect(memberName(memberId(name, 2n ** 64n - 1n))).toBe(name);
});

describe("founding", () => {
  const records = [
    { name: "a", incarnation: 1n },
    { name: "b", incarnation: 2n },
    { name: "c", incarnation: 3n },
  ];

  test("the first incarnation heard is recorded; another one of the same name is refused, for good", () => {
    const founding = new Founding(FOUNDERS, { name: "a", incarnation: 1n }, []);
    expect(founding.heard("b", 2n)).toBe("record");
    founding.recorded("b", 2n);
    expect(founding.heard("b", 2n)).toBe("nothing");
    expect(founding.heard("b", 9n)).toEqual({ refused: expect.stringContaining("another data directory") });
    expect(founding.heard("stranger", 5n)).toBe("nothing");
    const restarted = new Founding(FOUNDERS, { name: "a", incarnation: 1n }, founding.records);
    expect(restarted.heard("b", 9n)).toEqual({ refused: expect.stringContaining("another data directory") });
  });

  test("nobody takes part before all have said the very same records", () => {
    const founding = new Founding(FOUNDERS, { name: "a", incarnation: 1n }, []);
    founding.recorded("b", 2n);
    founding.recorded("c", 3n);
    expect(founding.isComplete).toBe(false);
    founding.noticed("b", { records, founded: false });
    expect([founding.isComplete, founding.missing]).toEqual([false, ["c"]]);
    // c has heard another life of b: two configurations 0 would be two clusters.
    founding.noticed("c", {
      records: records.map((each) => (each.name === "b" ? { ...each, incarnation: 9n } : each)),
      founded: false,
    });
    expect(founding.isComplete).toBe(false);
    founding.noticed("c", { records: records.slice(0, 2), founded: false });
    expect(founding.isComplete).toBe(false);
    founding.noticed("c", { records, founded: false });
    expect(founding.isComplete).toBe(true);
    expect(foundingConfiguration(FOUNDERS, founding.records)?.voters).toEqual([
      memberId("a", 1n),
      memberId("b", 2n),
      memberId("c", 3n),
    ]);
  });
});

describe("the network", () => {
  const heartbeat: Heartbeat = { type: "Heartbeat", term: 1, leaderCommit: 0, readRound: 0, leases: false };

  function hello(name: string, incarnation: bigint): PeerHello {
    return { clusterId: new Uint8Array(16), name, incarnation, boot: 1, founders: [], version: 3 };
  }

  test("a message goes to the life of a member that it is for, and to no other one of its name", () => {
    const sent: string[] = [];
    const transport: Transport = {
      start: () => undefined,
      setPeers: () => undefined,
      send: (peer) => {
        sent.push(peer);
        return true;
      },
      flush: () => undefined,
      takeReadActivity: () => false,
      close: (callback) => callback(),
    };
    const network = new Network(transport, "a");
    network.setPeers(FOUNDERS);
    expect(network.send(memberId("b", 2n), heartbeat)).toBe(false);
    expect(network.opened("b", "main", hello("b", 2n))).toBe(memberId("b", 2n));
    expect(network.send(memberId("b", 2n), heartbeat)).toBe(true);
    expect(network.send(memberId("b", 9n), heartbeat)).toBe(false);
    network.closed("b", "main");
    network.opened("b", "main", hello("b", 9n));
    expect(network.send(memberId("b", 2n), heartbeat)).toBe(false);
    expect(sent).toEqual(["b"]);
    // To a peer of an earlier version nothing is said that it can't know.
    const change = { type: "ChangeRequest", term: 1, requestId: 1, change: { kind: "cancel" }, expectedIndex: null } as const;
    expect(network.send(memberId("b", 9n), change)).toBe(true);
    network.opened("b", "main", { ...hello("b", 9n), version: 1 });
    expect(network.send(memberId("b", 9n), change)).toBe(false);
    expect(network.send(memberId("b", 9n), heartbeat)).toBe(true);
    for (const entryType of ["command", "session"] as const) {
      const entry = { index: 1, term: 1, type: entryType, data: new Uint8Array(9) };
      const append = {
        type: "AppendEntries",
        term: 1,
        prevLogIndex: 0,
        prevLogTerm: 0,
        entries: [entry],
        leaderCommit: 0,
        leases: false,
      } as const;
      const propose = { type: "ProposeRequest", term: 1, requestId: 1, entryType, commands: [] } as const;
      for (const message of [append, propose])
        expect(network.send(memberId("b", 9n), message), message.type).toBe(entryType === "command");
    }
  });
});
