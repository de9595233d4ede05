/** The tally that keeps itself on disk: real processes and files, killed with -9 in the middle of writing. */
import { appendFileSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { type Child, freePorts, Processes, until } from "../../packages/raft/test/proof/processes.js";
import { type Change, TransactionFile } from "../on-disk/transaction-file.js";

const TALLY = fileURLToPath(new URL("../dist/on-disk/tally.js", import.meta.url));

let processes = new Processes();
afterEach(async () => {
  await processes.endAll();
  processes = new Processes();
});

const isAnswer = (line: string): boolean => line.includes(" is ") || line.startsWith("failed") || line.startsWith("applied");

async function ask(member: Child, line: string): Promise<string> {
  member.send(line);
  return member.waitForLine(isAnswer, `an answer to "${line}"`);
}

async function open(member: Child): Promise<Child> {
  await member.waitForLine((line) => line === `${member.name} is open`, "that it is open");
  return member;
}

/** What a name's count is, once the node has a leader. */
async function count(member: Child, name: string): Promise<number> {
  let found = -1;
  await until(
    async () => {
      const match = / is (\d+)$/.exec(await ask(member, name));
      found = Number(match?.[1] ?? -1);
      return match !== null;
    },
    () => `what ${name} is`,
  );
  return found;
}

test("killed again and again while it writes, it counts nothing twice, forgets nothing, and applies nothing again", async () => {
  const data = processes.folder();
  const [port] = await freePorts(1);
  const env = { DATA: data, PORT: String(port), MEMBERS: "a" };
  let total = 0;
  for (const answered of [40, 75, 3, 61, 120]) {
    const member = await open(processes.node("a", TALLY, ["a"], env));
    const before = await count(member, "tea");
    // What was on its way when it was killed may have been counted.
    expect(before).toBeGreaterThanOrEqual(total);
    expect(before).toBeLessThanOrEqual(total + 10);
    const stats = /^applied (\d+) commands since the start, up to index (\d+), log from \d+$/.exec(await ask(member, "stats"));
    expect(Number(stats?.[1])).toBeLessThanOrEqual(10);
    for (let sent = 0; sent < answered + 10; sent += 1) member.send("tea 1");
    for (let heard = 1; heard <= answered; heard += 1)
      expect(await member.waitForLine(isAnswer, "an answer")).toBe(`tea is ${before + heard}`);
    if (answered > 100) {
      member.send("stats");
      const line = await member.waitForLine((each) => each.startsWith("applied"), "how long the log is");
      expect(Number(/log from (\d+)$/.exec(line)?.[1])).toBeGreaterThan(1);
    }
    member.kill("SIGKILL");
    await member.ended;
    total = before + answered;
  }
  const member = await open(processes.node("a", TALLY, ["a"], env));
  const last = await count(member, "tea");
  expect(last).toBeGreaterThanOrEqual(total);
  expect(last).toBeLessThanOrEqual(total + 10);
});

test("a member that was away for long is given the others' state, although they keep no snapshots", async () => {
  const data = processes.folder();
  const [port] = await freePorts(3);
  const start = async (name: string): Promise<Child> => processes.node(name, TALLY, [name], { DATA: data, PORT: String(port) });
  const [a, b, c] = [await start("a"), await start("b"), await start("c")];
  for (const member of [a, b, c]) await open(member);
  await count(a, "tea");
  expect(await ask(a, "tea 1")).toBe("tea is 1");
  c.kill("SIGKILL");
  await c.ended;
  for (let sent = 0; sent < 150; sent += 1) await ask(b, `${sent % 2 === 0 ? "tea" : "coffee"} 1`);
  expect(await count(a, "tea")).toBe(76);
  const back = await open(await start("c"));
  expect([await count(back, "tea"), await count(back, "coffee")]).toEqual([76, 75]);
  expect(readFileSync(join(data, "c", "tally")).includes("coffee")).toBe(true);
});

test("its file holds whole transactions, whatever of the last one is missing, and is written anew when most of it is old", () => {
  const path = join(processes.folder(), "file");
  const text = (file: TransactionFile): string =>
    [...file.frozen()].map(([key, value]) => `${key}=${value.toString()}`).join(" ");
  const change = (key: string, value: string | null): Change => [key, value === null ? null : Buffer.from(value)];
  const file = new TransactionFile(path);
  file.write([change("a", "1"), change("b", "2")]);
  file.write([change("a", "3"), change("b", null), change("c", "")]);
  expect(text(file)).toBe("a=3 c=");
  const frozen = file.frozen();
  const whole = readFileSync(path);
  file.close();
  for (let length = 0; length < whole.length; length += 1) {
    const cut = join(processes.folder(), "cut");
    appendFileSync(cut, whole.subarray(0, length));
    const opened = new TransactionFile(cut);
    expect(["", "a=1 b=2"]).toContain(text(opened));
    opened.write([change("d", "4")]);
    opened.close();
    const again = new TransactionFile(cut);
    expect(text(again)).toMatch(/(^|a=1 b=2 )d=4$/);
    again.close();
  }
  expect([...frozen].map(([key]) => key)).toEqual(["a", "c"]);
  const large = new TransactionFile(path);
  for (let round = 0; round < 40; round += 1) large.write([["big", Buffer.alloc(40_000, round)]]);
  let synced = 0;
  large.sync((error) => {
    expect(error).toBeNull();
    synced += 1;
  });
  expect(synced).toBe(1);
  expect(statSync(path).size).toBeLessThan(50_000);
  expect(large.get("big")?.[5]).toBe(39);
  large.close();
});
