/**
 * A leader that is killed with -9 is replaced because its connections break and are refused, and not because somebody's patience
 * ran out: here nobody's can, for the election timeout is longer than the test waits.
 */
import { afterEach, expect, test } from "vitest";
import { Cluster, NAMES } from "./members.js";
import { Processes, pause } from "./processes.js";

const ELECTION_TIMEOUT_MS = 30_000;
/** A connection must have lasted before its loss says something; the transport takes two seconds for that. */
const LASTED_MS = 2500;

let processes = new Processes();
afterEach(async () => {
  await processes.endAll();
  processes = new Processes();
});

test("a leader that is killed is replaced before any election timeout could have passed, and writes go on", async () => {
  const options = { electionTimeoutMs: ELECTION_TIMEOUT_MS, heartbeatIntervalMs: 100, segmentBytes: 1024 * 1024 };
  const cluster = await Cluster.make(processes, NAMES, { options });
  await cluster.startAll();
  let written = 0;
  for (let kills = 1; kills <= 3; kills += 1) {
    const { name, term } = await cluster.leader();
    expect((await cluster.add(name, 1)).ok).toBe(true);
    written += 1;
    await pause(LASTED_MS);
    const rest = NAMES.filter((each) => each !== name);
    const killedAt = performance.now();
    cluster.member(name).kill("SIGKILL");
    await cluster.member(name).ended;
    const next = await cluster.leader(rest);
    expect(performance.now() - killedAt).toBeLessThan(ELECTION_TIMEOUT_MS);
    expect(next.term).toBeGreaterThan(term);
    expect((await cluster.add(rest[0] ?? "", 1)).ok).toBe(true);
    written += 1;
    await cluster.restart(name);
    await cluster.leader();
    expect(await cluster.value(name)).toBe(written);
  }
  await cluster.closeAll();
});
