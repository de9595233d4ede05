/** Commands that wait for their turn: whoever floods a node delays itself, and nobody is left out. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RaftError } from "../../src/runtime/index.js";
import { Lanes } from "../../src/runtime/lanes.js";
import type { Proposal } from "../../src/runtime/proposals.js";
import { submitProposal } from "../../src/runtime/requests.js";
import { NodeBench } from "./node-bench.js";
import { BytesDisk } from "./storage/bytes-disk.js";

function proposal(caller: string, bytes = 1, entryType: Proposal["entryType"] = "command"): Proposal {
  return {
    caller,
    entryType,
    command: new Uint8Array(bytes),
    expiresAt: 0,
    settle: () => undefined,
    state: "waiting",
    index: 0,
    term: 0,
    next: null,
  };
}

describe("lanes", () => {
  test("are served in turn: one who floods waits behind itself", () => {
    const lanes = new Lanes();
    for (let count = 0; count < 1000; count += 1) lanes.add(proposal("flood"));
    for (const caller of ["a", "b", "b"]) lanes.add(proposal(caller));
    expect(lanes.take(6, 1000).map(({ caller }) => caller)).toEqual(["flood", "a", "b", "flood", "b", "flood"]);
  });

  test("go on with the lane whose turn it is: small batches are as fair as large ones", () => {
    const lanes = new Lanes();
    for (const caller of ["a", "b", "c"]) for (let count = 0; count < 4; count += 1) lanes.add(proposal(caller));
    const served = Array.from({ length: 12 }, () => lanes.take(1, 1000)[0]?.caller);
    for (let round = 0; round < 4; round += 1)
      expect(new Set(served.slice(3 * round, 3 * round + 3))).toEqual(new Set(["a", "b", "c"]));
  });

  test("lose nothing and keep each caller's order, whatever is taken, put back and removed", () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("add" as const),
        caller: fc.constantFrom("", "a", "b", "c"),
        bytes: fc.integer({ min: 0, max: 5 }),
        entryType: fc.constantFrom("command" as const, "command" as const, "session" as const),
      }),
      fc.record({
        kind: fc.constant("take" as const),
        count: fc.integer({ min: 1, max: 6 }),
        bytes: fc.integer({ min: 1, max: 12 }),
        back: fc.boolean(),
      }),
      fc.record({ kind: fc.constant("remove" as const), at: fc.nat(20) }),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const lanes = new Lanes();
        let waiting: Proposal[] = [];
        for (const each of steps) {
          if (each.kind === "add") {
            const added = proposal(each.caller, each.bytes, each.entryType);
            lanes.add(added);
            waiting.push(added);
          } else if (each.kind === "remove") {
            const gone = waiting[each.at];
            if (gone === undefined) continue;
            lanes.remove(gone);
            waiting = waiting.filter((other) => other !== gone);
          } else {
            const taken = lanes.take(each.count, each.bytes);
            expect(taken.length > 0).toBe(waiting.length > 0);
            expect(taken.length).toBeLessThanOrEqual(each.count);
            expect(new Set(taken.map(({ entryType }) => entryType)).size).toBeLessThanOrEqual(1);
            const bytes = taken.reduce((sum, { command }) => sum + command.length, 0);
            if (taken.length > 1) expect(bytes).toBeLessThanOrEqual(each.bytes);
            // The first of each lane, in their order.
            for (const caller of ["", "a", "b", "c"]) {
              const mine = taken.filter((other) => other.caller === caller);
              expect(waiting.filter((other) => other.caller === caller).slice(0, mine.length)).toEqual(mine);
            }
            if (each.back) lanes.putBack(taken);
            else waiting = waiting.filter((other) => !taken.includes(other));
          }
          expect(lanes.isEmpty).toBe(waiting.length === 0);
          expect(new Set(lanes)).toEqual(new Set(waiting));
        }
      }),
      { numRuns: 300, seed: 3 },
    );
  });
});

describe("a caller's share of what may wait", () => {
  function submit(bench: NodeBench, caller: string, bytes = 1): string {
    let told = "waits";
    const note = (error: RaftError | null): void => {
      told = error === null ? "done" : `${error.code}, ${error.outcome}`;
    };
    submitProposal(bench.host, new Uint8Array(bytes), undefined, note, caller);
    return told;
  }

  test("is as much as is left to all others, in commands and in bytes", () => {
    // Nobody leads: all of it waits.
    const bench = new NodeBench(new BytesDisk(), ["a", "b", "c"], { maxPendingProposals: 16, maxPendingBytes: 1000 });
    const told = Array.from({ length: 20 }, () => submit(bench, "flood"));
    expect(told.filter((each) => each === "waits").length).toBe(9);
    expect(told.at(-1)).toBe("overloaded, not-executed");
    for (const caller of ["a", "b", "c"]) expect(submit(bench, caller), caller).toBe("waits");
    expect(submit(bench, "flood")).toBe("overloaded, not-executed");
    bench.close();
    const bytes = new NodeBench(new BytesDisk(), ["a", "b", "c"], { maxPendingBytes: 1000 });
    expect([submit(bytes, "flood", 400), submit(bytes, "flood", 200), submit(bytes, "flood", 1)]).toEqual([
      "waits",
      "waits",
      "overloaded, not-executed",
    ]);
    expect(submit(bytes, "a", 300)).toBe("waits");
    bytes.close();
  });

  test("is given back when its commands are settled, and who gives no name may have all of it", () => {
    const bench = new NodeBench(new BytesDisk(), ["a"], { maxPendingProposals: 4 });
    for (let round = 0; round < 3; round += 1) {
      for (let count = 0; count < 3; count += 1) expect(submit(bench, "x"), `${round}`).toBe("waits");
      expect(submit(bench, "x")).toBe("overloaded, not-executed");
      bench.lead();
      bench.clock.run();
    }
    bench.close();
    const unnamed = new NodeBench(new BytesDisk(), ["a", "b"], { maxPendingProposals: 4 });
    expect(Array.from({ length: 5 }, () => submit(unnamed, ""))).toEqual([
      "waits",
      "waits",
      "waits",
      "waits",
      "overloaded, not-executed",
    ]);
    expect(submit(unnamed, "x".repeat(257))).toBe("invalidArgument, not-executed");
    unnamed.close();
  });
});
