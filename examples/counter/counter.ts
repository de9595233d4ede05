/**
 * A counter of your own, replicated over three processes.
 *
 *   node counter.js a        in three terminals: a, b and c
 *
 * Type a number to add it, on any of the three, or just Enter to see the value. Kill one with -9: the others go on. Start it
 * again: it catches up. The data lives in ./data/<name>, or in the folder that DATA names; PORT is the first of three ports.
 */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type CommittedEntry, openRaftNode, type StateMachine } from "@quorate/raft";

const toBytes = (value: number): Uint8Array => new TextEncoder().encode(String(value));
const toNumber = (bytes: Uint8Array): number => Number(new TextDecoder().decode(bytes));

class Counter implements StateMachine {
  value = 0;

  /** Every member calls this with the same commands in the same order. */
  apply(entries: readonly CommittedEntry[]): Uint8Array[] {
    return entries.map((entry) => {
      this.value += toNumber(entry.data);
      return toBytes(this.value);
    });
  }
  snapshot(): Uint8Array[] {
    return [toBytes(this.value)];
  }
  restore(piece: Uint8Array): void {
    this.value = toNumber(piece);
  }
}

const id = process.argv[2] ?? "a";
const port = Number(process.env["PORT"] ?? 7400);
const cluster = ["a", "b", "c"].map((name, place) => ({ name, address: `127.0.0.1:${port + place}` }));
const directory = join(process.env["DATA"] ?? "data", id);

const node = await openRaftNode({ id, cluster, directory, stateMachine: () => new Counter() });
console.log(`${id} is open`);

for await (const line of createInterface({ input: process.stdin })) {
  try {
    if (line !== "") await node.propose(toBytes(Number(line)));
    console.log(`value ${await node.read((counter) => counter.value)}, leader ${node.status().leader?.name}`);
  } catch (error) {
    console.log(`failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}
await node.close();
