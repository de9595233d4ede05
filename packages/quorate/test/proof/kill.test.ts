/**
 * Three real servers whose leaders are killed with -9, again and again, at the moments that hurt: while a snapshot is
 * written, while the log changes its segment, in the middle of an election, and all three at once. Clients of the `etcd3`
 * package fight over a few keys all the time. Afterwards every write that was acknowledged must be there, at the revision
 * that was told, and the whole history must be linearizable.
 *
 * KILLS says how many kills (default 6; `npm run test:kill -- --kills 200`).
 */
import { existsSync, readdirSync, watch } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { Processes, pause, until } from "../../../raft/test/proof/processes.js";
import { History } from "./history.js";
import { judge } from "./judge.js";
import { type Name, Servers } from "./servers.js";
import { Workload } from "./workload.js";

const KILLS = Number(process.env["KILLS"] ?? 6);
const WRITES_BETWEEN = 1000;
const KINDS = ["snapshot", "anytime", "segment", "anytime", "election", "everyone"] as const;
type Kind = (typeof KINDS)[number];

/** A moment that does not come within this time is passed over; the next kill of its kind tries again. */
const PATIENCE_MS = 15_000;

let processes = new Processes();
afterEach(async () => {
  await processes.endAll();
  processes = new Processes();
});

/** What chance there is comes from here, and is printed, so that a run can be told from another. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** Resolves at the first file of that kind in a folder; false when none comes in time. */
async function appears(folder: string, fits: (file: string) => boolean): Promise<boolean> {
  let seen = false;
  const watcher = watch(folder, (_event, file) => {
    if (file !== null && fits(file) && existsSync(join(folder, file))) seen = true;
  });
  try {
    const deadline = performance.now() + PATIENCE_MS;
    // A turn of the event loop between looks, not a pause: the file lives for a moment only.
    while (!seen && performance.now() < deadline) {
      if (readdirSync(folder).some(fits)) return true;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return seen;
  } finally {
    watcher.close();
  }
}

class Killer {
  readonly occurred = new Map<Kind, number>();
  readonly #servers: Servers;
  readonly #random: () => number;

  constructor(servers: Servers, random: () => number) {
    this.#servers = servers;
    this.#random = random;
  }

  /** Kills, and says what the traces on the disks show that it was. */
  async kill(kind: Kind): Promise<void> {
    const servers = this.#servers;
    const leader = await servers.waitForLeader();
    let really: Kind = kind;
    switch (kind) {
      case "anytime":
        await pause(this.#random() * 300);
        await servers.kill(leader);
        break;
      case "snapshot":
        await appears(join(servers.directory(leader), "snapshots"), (file) => file.startsWith("taking-"));
        await servers.kill(leader);
        if (!servers.diedInSnapshot(leader)) really = "anytime";
        break;
      case "segment":
        await appears(join(servers.directory(leader), "log"), (file) => file === "prepared.tmp");
        await servers.kill(leader);
        if (!servers.diedInSegmentChange(leader)) really = "anytime";
        break;
      case "election":
        if (!(await this.#killInElection(leader))) really = "anytime";
        break;
      case "everyone":
        await pause(this.#random() * 300);
        await Promise.all(servers.names.map((name) => servers.kill(name)));
        break;
    }
    this.occurred.set(really, (this.occurred.get(really) ?? 0) + 1);
    for (const name of servers.names) if (!servers.isRunning(name)) servers.start(name);
  }

  /** The leader goes; and whoever stands for its place goes too, at the first word of it. */
  async #killInElection(leader: Name): Promise<boolean> {
    const servers = this.#servers;
    let candidate: Name | null = null;
    const term = servers.report(leader)?.term ?? 0;
    servers.onReport = (name, report) => {
      const stands =
        report.role === "preCandidate" || report.role === "candidate" || (report.role === "leader" && report.term > term);
      if (candidate === null && name !== leader && stands) {
        candidate = name;
        void servers.kill(name);
      }
    };
    await servers.kill(leader);
    try {
      await until(
        () => candidate !== null,
        () => "a candidate",
        PATIENCE_MS,
      );
      return true;
    } catch {
      return false;
    } finally {
      servers.onReport = () => {};
      if (candidate !== null) await servers.kill(candidate);
    }
  }
}

test(`${KILLS} kills lose nothing that was acknowledged`, { timeout: 60_000 + KILLS * 60_000 }, async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const random = seeded(seed);
  const words = [
    "--election-ms",
    "500",
    "--heartbeat-ms",
    "50",
    "--snapshot-entries",
    "400",
    "--trailing-entries",
    "100",
    "--segment-bytes",
    "1048576",
  ];
  const servers = await Servers.make(processes, { words });
  servers.startAll();
  await servers.waitForLeader();
  const history = new History();
  const workload = new Workload({ endpoints: servers.endpoints, clients: 8, keys: 5, history, random });
  const killer = new Killer(servers, random);
  workload.start();
  let acknowledged = 0;
  const enough = async (): Promise<void> => {
    await until(
      () => {
        servers.checkAlive();
        return history.acknowledged - acknowledged >= WRITES_BETWEEN;
      },
      () => `${WRITES_BETWEEN} acknowledged writes, there are ${history.acknowledged - acknowledged}`,
      120_000,
    );
    acknowledged = history.acknowledged;
  };
  for (let kill = 0; kill < KILLS; kill += 1) {
    await enough();
    workload.nextRound();
    await killer.kill(KINDS[kill % KINDS.length] ?? "anytime");
  }
  await enough();
  await workload.stop();
  await until(
    () => servers.names.every((name) => servers.report(name)?.leader != null),
    () => "all three to know a leader",
  );

  expect((await judge(history, servers)).slice(0, 20)).toEqual([]);
  console.log(
    `seed ${seed}: ${history.acknowledged} acknowledged, ${history.unknown} of unknown outcome, ${history.size} operations; kills: ${[...killer.occurred].map(([kind, count]) => `${kind} ${count}`).join(", ")}`,
  );
  // A promise of kills that did not happen proves nothing.
  if (KILLS >= KINDS.length)
    for (const kind of KINDS) expect(killer.occurred.get(kind) ?? 0, `kills of the kind "${kind}"`).toBeGreaterThan(0);
});
