/** What callers ask of a node is settled, whatever the node is doing. */
import { expect, test } from "vitest";
import { NodeHost, type RaftError } from "../../src/runtime/index.js";
import { checkNodeOptions } from "../../src/runtime/options.js";
import { submitProposal, submitRead } from "../../src/runtime/requests.js";
import { Platter, Registers, Scheduler, SeededRandom, VirtualClock, VirtualNetwork } from "../../src/sim/index.js";

/** A node that waits for another founder, who never comes. */
function lonelyFounder(): { readonly host: NodeHost<Registers>; readonly scheduler: Scheduler } {
  const scheduler = new Scheduler();
  const clock = new VirtualClock(scheduler);
  const random = new SeededRandom(1);
  const network = new VirtualNetwork({ scheduler, random });
  const options = {
    id: "a",
    cluster: [
      { name: "a", address: "a:1" },
      { name: "b", address: "b:1" },
    ],
    directory: "a",
    stateMachine: () => new Registers(),
  };
  const platter = new Platter({ scheduler, random, location: "/a" });
  const host = new NodeHost<Registers>(
    checkNodeOptions(options),
    { clock, random, disk: platter.mount(), transport: network.attach("a:1", clock) },
    options.stateMachine,
  );
  let opened = false;
  host.open((error) => {
    expect(error).toBeNull();
    opened = true;
  });
  scheduler.runUntil(() => opened, 1_000_000);
  expect(opened).toBe(true);
  return { host, scheduler };
}

test("a command and reads asked of a node that waits for its founders are settled by their deadline", () => {
  const { host, scheduler } = lonelyFounder();
  const settled: string[] = [];
  const note = (what: string) => (error: RaftError | null) => settled.push(`${what}: ${error?.code} ${error?.outcome}`);
  submitProposal(host, new Uint8Array(1), 300, note("write"));
  submitRead(host, "linearizable", 400, note("read"));
  submitRead(host, { atLeast: 1 }, 500, note("at least"));
  scheduler.runUntil(() => false, 250_000);
  expect(settled).toEqual([]);
  scheduler.runUntil(() => false, 300_000);
  expect(settled).toEqual(["write: timeout not-executed", "read: timeout not-executed", "at least: timeout not-executed"]);
  expect(host.status()).toMatchObject({ state: "founding", pendingProposals: 0, pendingReads: 0 });
});
