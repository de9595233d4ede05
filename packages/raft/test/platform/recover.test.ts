/** A majority is lost for good: on real disks and sockets one member goes on, others join it, and the old ones stay outside. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  checkBackup,
  inspectDirectory,
  type NodeEvent,
  openRaftNode,
  type RaftNode,
  recoverDirectory,
  restoreDirectory,
  type StateMachine,
  writeBackupFile,
} from "../../src/index.js";
import { freePorts, until } from "../proof/processes.js";

/** Keeps every command, in order. */
class Lines implements StateMachine {
  all: string[] = [];
  apply(entries: Parameters<StateMachine["apply"]>[0]): Uint8Array[] {
    for (const { data } of entries) this.all.push(Buffer.from(data).toString());
    return entries.map(() => new Uint8Array(0));
  }
  snapshot(): Uint8Array[] {
    return [Buffer.from(JSON.stringify(this.all))];
  }
  restore(piece: Uint8Array, last: boolean): void {
    if (last) this.all = JSON.parse(Buffer.from(piece).toString()) as string[];
  }
}

let folder: string;
let ports: readonly number[];
const open = new Map<string, RaftNode<Lines>>();
const NAMES = ["a", "b", "c", "d", "e"];
const addressOf = (name: string): string => `127.0.0.1:${ports[NAMES.indexOf(name)]}`;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quorate-recover-"));
  ports = await freePorts(NAMES.length);
});

afterEach(async () => {
  await Promise.all([...open.values()].map((node) => node.close()));
  open.clear();
  await rm(folder, { recursive: true, force: true });
});

async function start(name: string, founders: readonly string[], directory: string, clusterToken = ""): Promise<RaftNode<Lines>> {
  const node = await openRaftNode<Lines>({
    id: name,
    cluster: founders.map((founder) => ({ name: founder, address: addressOf(founder) })),
    clusterToken,
    address: addressOf(name),
    directory: join(folder, directory),
    stateMachine: () => new Lines(),
    snapshotLogEntries: 20,
    trailingEntries: 5,
  });
  open.set(directory, node);
  return node;
}

test("two of three are destroyed, the third is recovered, two join it, and an old member that comes back is refused", async () => {
  const founders = ["a", "b", "c"];
  for (const name of founders) await start(name, founders, name);
  const lines = Array.from({ length: 50 }, (_, place) => `line ${place}`);
  for (const line of lines) await open.get("a")?.propose(Buffer.from(line));
  for (const node of open.values()) await node.close();
  open.clear();
  await rm(join(folder, "b"), { recursive: true });

  const request = { name: "c", address: addressOf("c"), token: "new", dropAfter: null };
  const { plan, unmarked } = await recoverDirectory(join(folder, "c"), join(folder, "c-new"), request);
  expect([plan.leftBehind, plan.dropped, unmarked]).toEqual([["a", "b"], null, null]);
  expect((await inspectDirectory(join(folder, "c-new"))).findings).toEqual([]);
  await expect(start("c", founders, "c")).rejects.toMatchObject({ code: "dataDirectory", outcome: "not-executed" });

  const alone = await start("c", ["c"], "c-new", "new");
  expect(await alone.read(({ all }) => [...all])).toEqual(lines);
  await alone.propose(Buffer.from("alone"));
  const joined = [await start("d", ["c"], "d", "new"), await start("e", ["c"], "e", "new")];
  await alone.membership.add(["d", "e"].map((name) => ({ name, address: addressOf(name) })));
  expect(alone.status().voters).toEqual(["c", "d", "e"]);
  const refusals: string[] = [];
  const listen = async (events: AsyncIterable<NodeEvent>): Promise<void> => {
    for await (const event of events) if (event.type === "warning") refusals.push(event.message);
  };
  void listen(alone.events());
  // Of the destroyed ones this one's disk was found again after all. It knows c's address, and dials it.
  const term = alone.status().currentTerm;
  const old = await start("a", founders, "a");
  void listen(old.events());
  await until(
    () => refusals.some((message) => /another cluster/.test(message)),
    () => `it to be refused: ${refusals.join("; ")}`,
  );
  for (const node of joined) {
    await node.propose(Buffer.from(`through ${node.status().id}`));
    expect(await node.read(({ all }) => [...all].slice(0, 51))).toEqual([...lines, "alone"]);
  }
  expect(alone.status()).toMatchObject({ currentTerm: term, voters: ["c", "d", "e"], state: "running" });
  await expect(old.propose(Buffer.from("x"), { timeoutMs: 300 })).rejects.toMatchObject({
    code: expect.stringMatching(/notLeader|timeout/),
  });
}, 60_000);

test("a backup of a node that runs holds all that was acknowledged; several at once; a node that closes ends it", async () => {
  const node = await start("a", ["a"], "a");
  for (let line = 0; line < 30; line += 1) await node.propose(Buffer.from(`line ${line}`));
  const take = async (): Promise<Uint8Array> => {
    const parts: Uint8Array[] = [];
    for await (const part of node.backup("now")) parts.push(part);
    return Buffer.concat(parts);
  };
  const [one, other] = await Promise.all([take(), take()]);
  expect(one).toEqual(other);
  await node.propose(Buffer.from("later"));
  const file = join(folder, "file.backup");
  await writeBackupFile(file, node.backup("later"));
  const summary = await checkBackup(file);
  expect(summary).toMatchObject({ entries: 0, head: { name: "a", takenAt: "later" } });
  expect(summary.last.index).toBe(node.status().lastApplied);
  await restoreDirectory(file, join(folder, "b"), { name: "b", address: addressOf("b"), token: "" });
  const restored = await start("b", ["b"], "b");
  expect(await restored.read(({ all }) => all.length)).toBe(31);

  // While others write all the time.
  let writes = true;
  const load = (async (): Promise<void> => {
    while (writes) await node.propose(Buffer.from("load"));
  })();
  const before = node.status().commitIndex;
  await writeBackupFile(join(folder, "loaded.backup"), node.backup());
  writes = false;
  await load;
  expect((await checkBackup(join(folder, "loaded.backup"))).last.index).toBeGreaterThanOrEqual(before);

  // One that is begun and left alone does not keep its file for ever, nor the node.
  for await (const part of node.backup()) {
    expect(part.length).toBeGreaterThan(0);
    break;
  }
  await node.propose(Buffer.from("not yet in a snapshot"));
  const pending = take();
  const closed = node.close();
  await Promise.allSettled([pending, closed]);
  await expect(take()).rejects.toMatchObject({ code: "closed" });
}, 60_000);
