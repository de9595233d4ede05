/** The counter example, as a newcomer runs it: three processes of the built file, one of them killed. */
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { type Child, freePorts, Processes, until } from "../../packages/raft/test/proof/processes.js";

const COUNTER = fileURLToPath(new URL("../dist/counter/counter.js", import.meta.url));
const NAMES = ["a", "b", "c"] as const;

let processes = new Processes();
afterEach(async () => {
  await processes.endAll();
  processes = new Processes();
});

interface Answer {
  readonly value: number;
  readonly leader: string;
}

/** Types a line and waits for its answer; an answer that says "failed" is thrown. */
async function type(member: Child, line: string): Promise<Answer> {
  member.send(line);
  const answer = await member.waitForLine(
    (each) => each.startsWith("value") || each.startsWith("failed"),
    `an answer to "${line}"`,
  );
  const match = /^value (-?\d+), leader (\w+)$/.exec(answer);
  if (match === null) throw new Error(`${member.name}: ${answer}`);
  return { value: Number(match[1]), leader: match[2] ?? "" };
}

test("three processes count together, lose their leader to kill -9, and agree again", async () => {
  const data = processes.folder();
  const [port] = await freePorts(3);
  const start = (name: string): Child => processes.node(name, COUNTER, [name], { DATA: data, PORT: String(port) });
  const members = new Map<string, Child>(NAMES.map((name) => [name, start(name)]));
  const member = (name: string): Child => members.get(name) ?? expect.fail(`no member ${name}`);
  for (const name of NAMES) await member(name).waitForLine((line) => line === `${name} is open`, "that it is open");

  let sum = 0;
  let leader = "";
  for (const [place, name] of NAMES.entries()) {
    sum += place + 1;
    const answer = await type(member(name), String(place + 1));
    expect(answer.value).toBe(sum);
    leader = answer.leader;
  }
  expect(NAMES).toContain(leader);

  member(leader).kill("SIGKILL");
  expect(await member(leader).ended).toEqual({ code: null, signal: "SIGKILL" });
  const rest = NAMES.filter((name) => name !== leader);
  // A read changes nothing, so it may be asked again until the two have elected one of them.
  await until(
    async () => {
      const answer = await type(member(rest[0] ?? ""), "").catch(() => null);
      return answer !== null && answer.leader !== leader;
    },
    () => "a new leader",
  );
  for (const name of rest) {
    sum += 10;
    expect((await type(member(name), "10")).value).toBe(sum);
  }

  members.set(leader, start(leader));
  await member(leader).waitForLine((line) => line === `${leader} is open`, "that it is open again");
  for (const name of NAMES) expect((await type(member(name), "")).value).toBe(sum);
});
