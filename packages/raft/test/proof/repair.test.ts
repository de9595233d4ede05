/**
 * A flipped bit in the middle of one member's log, on real processes and disks: the cluster serves meanwhile, the member is
 * repaired by the others, and counts again as if nothing had been.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Cluster, NAMES } from "./members.js";
import { Processes, until } from "./processes.js";

const OPTIONS = { electionTimeoutMs: 500, heartbeatIntervalMs: 50, segmentBytes: 1024 * 1024 };

let processes = new Processes();
afterEach(async () => {
  await processes.endAll();
  processes = new Processes();
});

/** Flips one bit of the command in the middle of the log. Returns how many commands there are. */
function flipBit(directory: string): number {
  const folder = join(directory, "log");
  const paths = readdirSync(folder).filter((name) => name.endsWith(".segment"));
  const commands = paths.sort().flatMap((name) => {
    const path = join(folder, name);
    const bytes = readFileSync(path);
    const places: { readonly path: string; readonly at: number }[] = [];
    // An entry that is a command: magic, type 2, entry type 1 (docs/disk-format.md); its content follows 64 bytes of header.
    for (let at = 4096; at + 72 <= bytes.length; at += 8)
      if (bytes.readUInt32LE(at) === 0x4c455251 && bytes[at + 8] === 2 && bytes[at + 9] === 1) places.push({ path, at: at + 64 });
    return places;
  });
  const middle = commands[Math.floor(commands.length / 2)];
  if (middle === undefined) throw new Error("there is no command in the log");
  const bytes = readFileSync(middle.path);
  bytes[middle.at] = (bytes[middle.at] ?? 0) ^ 4;
  writeFileSync(middle.path, bytes);
  return commands.length;
}

async function broken(): Promise<{ readonly cluster: Cluster; readonly victim: string; readonly rest: string[]; value: number }> {
  const cluster = await Cluster.make(processes, NAMES, { options: OPTIONS });
  await cluster.startAll();
  const { name: leader } = await cluster.leader();
  let value = 0;
  for (let more = 0; more < 40; more += 1) {
    expect((await cluster.add(leader, 1)).ok).toBe(true);
    value += 1;
  }
  await cluster.caughtUp();
  const victim = NAMES.find((name) => name !== leader) ?? "";
  cluster.member(victim).kill("SIGKILL");
  await cluster.member(victim).ended;
  expect(flipBit(cluster.directory(victim))).toBeGreaterThanOrEqual(40);
  return { cluster, victim, rest: NAMES.filter((name) => name !== victim), value };
}

const isWhole = (cluster: Cluster, name: string): Promise<void> =>
  until(
    async () => (await cluster.status(name)).recovering === null,
    () => `${name} to be repaired`,
  );

test("a flipped bit in the middle of one member's log is repaired while the cluster serves", async () => {
  const { cluster, victim, rest, value } = await broken();
  const { name: leader } = await cluster.leader(rest);
  cluster.member(leader).send("load 8");
  await cluster.member(leader).waitForLine((line) => line === '{"type":"loading"}', "that it writes");
  await cluster.restart(victim);
  expect((await cluster.status(victim)).warnings.join()).toMatch(/its content can't be read; it was left behind/);
  await isWhole(cluster, victim);
  const loaded = await cluster.ask<{ acknowledged: number; open: number }>(leader, "stop", "loaded");
  expect(loaded.acknowledged).toBeGreaterThan(0);
  expect(loaded.open).toBe(0);
  await cluster.caughtUp();
  expect((await cluster.leader()).name).toBe(leader);
  // Now a majority needs it.
  cluster.member(leader).kill("SIGKILL");
  await cluster.member(leader).ended;
  const left = NAMES.filter((name) => name !== leader);
  await cluster.leader(left);
  expect(await cluster.value(victim)).toBe(value + loaded.acknowledged);
  // And its next start has nothing to say.
  cluster.member(victim).kill("SIGKILL");
  await cluster.member(victim).ended;
  await cluster.restart(victim);
  expect((await cluster.status(victim)).warnings.filter((warning) => /left behind|is lost/.test(warning))).toEqual([]);
  await cluster.leader(left);
  await cluster.closeAll(left);
});

test("the member that is needed for the quorum, with one down, is repaired by asking the other one", async () => {
  const { cluster, victim, rest, value } = await broken();
  const { name: leader } = await cluster.leader(rest);
  cluster.member(leader).kill("SIGKILL");
  await cluster.member(leader).ended;
  await cluster.restart(victim);
  const left = NAMES.filter((name) => name !== leader);
  await cluster.leader(left);
  for (const name of left) expect(await cluster.value(name)).toBe(value);
  expect((await cluster.status(victim)).recovering).toBeNull();
  await cluster.closeAll(left);
});
