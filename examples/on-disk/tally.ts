/**
 * A tally that keeps itself on disk, replicated over three processes.
 *
 *   node tally.js a          in three terminals: a, b and c
 *
 * Type `tea 2` to add two to "tea", just `tea` to see it, and `stats` to see how much of the log was applied since the start. Kill
 * one with -9 and start it again: it goes on from its own file, and nothing is counted twice. The data lives in ./data/<name>, or
 * in the folder that DATA names; PORT is the first of three ports, MEMBERS the names (a,b,c).
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type CommittedEntry, type DurableStorage, openRaftNode, type StateMachine } from "@quorate/raft";
import { type Change, TransactionFile } from "./transaction-file.js";

const DATA = "data/";
const KEPT = "kept/";

class Tally implements StateMachine {
  readonly durable: DurableStorage;
  applied = 0;
  readonly #file: TransactionFile;
  /** What the transaction under way has changed. */
  #changes: Map<string, Uint8Array> | null = null;
  /** Another state, piece by piece; in force when it is whole. */
  #incoming: Change[] = [];
  #replaces = false;

  constructor(path: string) {
    const file = new TransactionFile(path);
    this.#file = file;
    this.durable = {
      *open() {
        for (const [key, value] of file.frozen()) if (key.startsWith(KEPT)) yield { key: key.slice(KEPT.length), value };
      },
      transaction: (body) => {
        this.#changes = new Map();
        this.#replaces = false;
        const kept = body().map(({ key, value }): Change => [KEPT + key, value]);
        if (this.#replaces) file.replace([...this.#incoming, ...kept.filter(([, value]) => value !== null)]);
        else file.write([...this.#changes, ...kept]);
        this.#changes = null;
      },
      sync: (done) => file.sync(done),
      beginRestore: () => {
        this.#incoming = [];
      },
      close: () => file.close(),
    };
  }

  count(name: string): number {
    const value = this.#changes?.get(DATA + name) ?? this.#file.get(DATA + name);
    return Number(value === null ? 0 : new TextDecoder().decode(value));
  }

  /** A command is a name and how much to add. */
  apply(entries: readonly CommittedEntry[]): Uint8Array[] {
    return entries.map(({ data }) => {
      const [name = "", by = "0"] = new TextDecoder().decode(data).split(" ");
      const count = new TextEncoder().encode(String(this.count(name) + Number(by)));
      this.#changes?.set(DATA + name, count);
      this.applied += 1;
      return count;
    });
  }

  snapshot(): Iterable<Uint8Array> {
    const frozen = this.#file.frozen();
    return (function* () {
      for (const [key, value] of frozen) if (key.startsWith(DATA)) yield Buffer.concat([Buffer.from(`${key}\n`), value]);
    })();
  }

  restore(piece: Uint8Array, last: boolean): void {
    const bytes = Buffer.from(piece);
    const end = bytes.indexOf("\n");
    if (end !== -1) this.#incoming.push([bytes.toString("utf8", 0, end), bytes.subarray(end + 1)]);
    this.#replaces = last;
  }
}

const id = process.argv[2] ?? "a";
const port = Number(process.env["PORT"] ?? 7500);
const names = (process.env["MEMBERS"] ?? "a,b,c").split(",");
const cluster = names.map((name, place) => ({ name, address: `127.0.0.1:${port + place}` }));
const directory = join(process.env["DATA"] ?? "data", id);
mkdirSync(directory, { recursive: true });

const stateMachine = (): Tally => new Tally(join(directory, "tally"));
const node = await openRaftNode({ id, cluster, directory, stateMachine, snapshotLogEntries: 50, trailingEntries: 0 });
console.log(`${id} is open`);

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const [name = ""] = line.split(" ");
    if (name === "stats") {
      const { applied, lastApplied, firstLogIndex } = await node.read((tally) => ({ applied: tally.applied, ...node.status() }));
      console.log(`applied ${applied} commands since the start, up to index ${lastApplied}, log from ${firstLogIndex}`);
    } else if (line === name) {
      console.log(`${name} is ${await node.read((tally) => tally.count(name))}`);
    } else {
      const { result } = await node.propose(new TextEncoder().encode(line));
      console.log(`${name} is ${new TextDecoder().decode(result)}`);
    }
  } catch (error) {
    console.log(`failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}
await node.close();
