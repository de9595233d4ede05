/** Fifty processes that want one data directory in the same moment: one gets it, and the others say why they don't. */
import { readdirSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { Cluster, waitOpen } from "./members.js";
import { type Child, Processes, present, until } from "./processes.js";

const STARTS = 50;
const SENTENCE = /^lock \S+\/a: EEXIST another process uses this data directory: stop it first, or choose another directory\n$/;

let processes = new Processes();
afterEach(async () => {
  await processes.endAll();
  processes = new Processes();
});

/** All of them are up and wait, then are let go together; the winner. */
async function compete(cluster: Cluster): Promise<Child> {
  // At the lowest priority: fifty programs must not take the time that other tests measure.
  const start = (): Child => cluster.start("a", { environment: { HOLD: "1" }, under: ["nice", "-n", "19"] });
  const children = Array.from({ length: STARTS }, start);
  for (const child of children) await child.waitForLine((line) => line === '{"type":"holding"}', "that it is ready");
  for (const child of children) child.send("go");
  await until(
    () => children.filter((child) => !child.running).length >= STARTS - 1,
    () => `all but one to end; ${children.filter((child) => child.running).length} are there`,
  );
  const winners = children.filter((child) => child.running);
  expect(winners).toHaveLength(1);
  const winner = present(winners[0], "winner");
  await waitOpen(winner);
  for (const child of children.filter((each) => each !== winner)) {
    expect(child.errors).toMatch(SENTENCE);
    expect(child.end).toEqual({ code: 3, signal: null });
    expect(child.lines).toEqual([]);
  }
  return winner;
}

test("fifty simultaneous starts have one winner, also where a killed process left its lock", async () => {
  const cluster = await Cluster.make(processes, ["a"], { options: { segmentBytes: 64 * 1024 } });
  const first = await compete(cluster);
  first.kill("SIGKILL");
  expect(await first.ended).toEqual({ code: null, signal: "SIGKILL" });
  const second = await compete(cluster);
  second.kill("SIGKILL");
  await second.ended;

  // And one alone starts at once, finds the two lives before it, and tidies up behind itself.
  await cluster.restart("a");
  await cluster.leader();
  expect((await cluster.add("a", 7)).ok).toBe(true);
  expect((await cluster.status("a")).boot).toBe(3);
  await cluster.closeAll();
  expect(readdirSync(cluster.directory("a")).filter((name) => name.startsWith("lock"))).toEqual([]);
});
