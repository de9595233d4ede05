/** One of the three processes: a node, and the load if this one leads. It does what its parent orders, one thing at a time. */
import { openRaftNode, type RaftNode } from "@quorate/raft";
import { runLoad } from "./load.js";
import type { Answer, Order } from "./messages.js";
import { TallyMachine } from "./tally-machine.js";

let node: RaftNode<TallyMachine> | null = null;

function answer(message: Answer): void {
  process.send?.(message);
}

async function obey(order: Order): Promise<void> {
  if (order.type === "open") {
    const { id, cluster, directory } = order;
    node = await openRaftNode({ id, cluster, directory, stateMachine: () => new TallyMachine() });
    answer({ type: "opened" });
  } else if (node === null) {
    throw new Error(`"${order.type}" was ordered before "open"`);
  } else if (order.type === "load") {
    answer({ type: "loaded", result: await runLoad(node, order) });
  } else if (order.type === "report") {
    const { role, state } = node.status();
    // Before the cluster is founded there is no state machine to look into.
    const [applied, checksum] =
      state === "founding"
        ? [0, 0]
        : await node.read((machine) => [machine.applied, machine.checksum] as const, { consistency: "stale" });
    answer({ type: "report", role, applied, checksum });
  } else {
    await node.close();
    process.disconnect();
  }
}

process.on("message", (order: Order) => {
  obey(order).catch((error: unknown) => {
    answer({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  });
});

// The parent is gone, so nobody will ask for anything any more.
process.on("disconnect", () => process.exit(0));
// Ctrl-C goes to the whole group of processes; the parent decides what becomes of its members.
process.on("SIGINT", () => undefined);
