/**
 * Late is not dead: a process that was stopped for longer than an election timeout and goes on must not believe that the
 * others are gone. A follower changes nothing; a leader finds out that it was replaced.
 */
import { afterEach, expect, test } from "vitest";
import { Cluster, NAMES } from "./members.js";
import { Processes, pause } from "./processes.js";

const ELECTION_TIMEOUT_MS = 1000;
const OPTIONS = { electionTimeoutMs: ELECTION_TIMEOUT_MS, heartbeatIntervalMs: 100, segmentBytes: 1024 * 1024 };
const STOPPED_MS = 3 * ELECTION_TIMEOUT_MS;
/** Several clusters at once, which spend their time waiting: twenty rounds take as long as five. */
const CLUSTERS = 4;
const ROUNDS = 5;

let processes = new Processes();
afterEach(async () => {
  await processes.endAll();
  processes = new Processes();
});

async function running(): Promise<Cluster> {
  const cluster = await Cluster.make(processes, NAMES, { options: OPTIONS });
  await cluster.startAll();
  await cluster.leader();
  return cluster;
}

test("a follower that is stopped for three election timeouts does not raise the term: 20 of 20", async () => {
  const clusters: Cluster[] = [];
  for (let made = 0; made < CLUSTERS; made += 1) clusters.push(await running());
  const rounds = await Promise.all(
    clusters.map(async (cluster) => {
      const seen: { readonly before: object; readonly after: object }[] = [];
      let value = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        const before = await cluster.leader();
        const follower = NAMES.filter((name) => name !== before.name)[round % 2] ?? "";
        cluster.member(follower).kill("SIGSTOP");
        await pause(STOPPED_MS / 2);
        // The log goes on without it, so that there is something to miss.
        for (let more = 0; more < 10; more += 1) {
          expect((await cluster.add(before.name, 1)).ok).toBe(true);
          value += 1;
        }
        await pause(STOPPED_MS / 2);
        cluster.member(follower).kill("SIGCONT");
        // When the follower has read a value that was written meanwhile, it has met the leader again, whoever that is.
        expect(await cluster.value(follower)).toBe(value);
        await cluster.caughtUp();
        // And what it might have begun in the meantime would be over by now.
        await pause(ELECTION_TIMEOUT_MS / 2);
        seen.push({ before, after: await cluster.leader() });
      }
      return seen;
    }),
  );
  const all = rounds.flat();
  expect(all).toHaveLength(CLUSTERS * ROUNDS);
  for (const { before, after } of all) expect(after).toEqual(before);
  await Promise.all(clusters.map((cluster) => cluster.closeAll()));
});

test("a leader that is stopped for three election timeouts is replaced, and follows when it goes on", async () => {
  const cluster = await running();
  const before = await cluster.leader();
  const rest = NAMES.filter((name) => name !== before.name);
  let value = 0;
  for (let more = 0; more < 10; more += 1) {
    expect((await cluster.add(before.name, 1)).ok).toBe(true);
    value += 1;
  }
  cluster.member(before.name).kill("SIGSTOP");
  // Asked of the stopped leader: it reads this when it goes on, believing that it leads.
  cluster.member(before.name).send("add 1000");
  await pause(STOPPED_MS);
  const between = await cluster.leader(rest);
  expect(between.term).toBeGreaterThan(before.term);
  for (const name of rest) {
    expect((await cluster.add(name, 1)).ok).toBe(true);
    value += 1;
  }
  cluster.member(before.name).kill("SIGCONT");
  const answer = JSON.parse(
    await cluster.member(before.name).waitForLine((line) => line.startsWith('{"type":"answer"'), "what became of the command"),
  ) as { readonly ok: boolean; readonly outcome?: string };
  const after = await cluster.leader();
  expect(after).toEqual(between);
  expect((await cluster.status(before.name)).role).toBe("follower");
  await cluster.caughtUp();
  const values = await Promise.all(NAMES.map((name) => cluster.value(name)));
  expect(new Set(values).size).toBe(1);
  // Every answer holds; of the one command whose answer may be unknown, either is right.
  const known = answer.ok || answer.outcome === "not-executed";
  expect(known ? [answer.ok ? value + 1000 : value] : [value, value + 1000]).toContain(values[0]);
  await cluster.closeAll();
});
