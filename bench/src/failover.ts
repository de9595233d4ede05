/**
 * `npm run bench:failover`: how long a cluster of three takes no writes when its leader is killed with -9, etcd and Quorate's
 * server with their default settings, one after the other. What counts is what a client sees: from the kill until the first
 * put is acknowledged, of puts that are sent every few milliseconds to both members that are left.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:http2";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { BenchFailure } from "./failure.js";
import { checkDirectory } from "./file-system.js";
import { openServers, type ServerCluster, type ServerKind } from "./grpc/servers.js";
import { frame, putRequest } from "./grpc/wire.js";
import { machineFacts } from "./machine-facts.js";
import { median } from "./statistics.js";

const PUT_EVERY_MS = 5;
const GIVE_UP_MS = 30_000;
/** Between the kills: the one that was killed comes back and catches up, and all is quiet for longer than any timeout. */
const QUIET_MS = 4000;

/** Puts to one member, over a connection that is open before the kill. */
class Putter {
  readonly #session: ReturnType<typeof connect>;
  #puts = 0;

  constructor(port: number) {
    this.#session = connect(`http://127.0.0.1:${port}`);
    this.#session.on("error", () => undefined);
  }

  /** True: acknowledged. False: refused or failed. */
  put(): Promise<boolean> {
    this.#puts += 1;
    return new Promise((settled) => {
      if (this.#session.closed || this.#session.destroyed) return settled(false);
      const stream = this.#session.request({
        ":method": "POST",
        ":path": "/etcdserverpb.KV/Put",
        "content-type": "application/grpc",
        te: "trailers",
      });
      let status: unknown;
      const read = (headers: Record<string, unknown>): void => {
        status = headers["grpc-status"] ?? status;
      };
      stream.on("response", read);
      stream.on("trailers", read);
      stream.on("data", () => undefined);
      stream.on("error", () => undefined);
      stream.once("close", () => settled(status === "0"));
      stream.end(frame(putRequest(`failover/${this.#puts}`, 16)));
    });
  }

  close(): void {
    this.#session.destroy();
  }
}

/** Until the member takes a put: the one that was killed before may just have come back. */
async function writable(putter: Putter, kind: ServerKind): Promise<void> {
  for (const begun = performance.now(); performance.now() - begun < GIVE_UP_MS; await pause(100)) if (await putter.put()) return;
  throw new BenchFailure(`${kind} takes no puts before the leader is killed`);
}

/** Kills the leader; the milliseconds until a put is acknowledged that was sent after it. */
async function killOnce(cluster: ServerCluster): Promise<number> {
  const { port } = await cluster.leader();
  const putters = cluster.ports.filter((other) => other !== port).map((other) => new Putter(other));
  try {
    for (const putter of putters) await writable(putter, cluster.kind);
    cluster.kill(port);
    const killedAt = performance.now();
    let back = Number.NaN;
    while (Number.isNaN(back)) {
      if (performance.now() - killedAt > GIVE_UP_MS)
        throw new BenchFailure(`${cluster.kind} takes no puts ${GIVE_UP_MS} ms after a kill`);
      for (const putter of putters)
        void putter.put().then((done) => {
          if (done && Number.isNaN(back)) back = performance.now() - killedAt;
        });
      await pause(PUT_EVERY_MS);
    }
    return back;
  } finally {
    for (const putter of putters) putter.close();
    cluster.restart(port);
    await pause(QUIET_MS);
  }
}

async function measure(kind: ServerKind, kills: number, parent: string): Promise<readonly number[]> {
  const directory = mkdtempSync(join(parent, "failover-"));
  const cluster = await openServers(kind, directory);
  try {
    await pause(QUIET_MS);
    const times: number[] = [];
    for (let kill = 1; kill <= kills; kill += 1) {
      const ms = await killOnce(cluster);
      times.push(ms);
      process.stderr.write(`${kind}, kill ${kill}: writes are back after ${Math.round(ms)} ms\n`);
    }
    return times;
  } finally {
    await cluster.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function row(kind: ServerKind, times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const [median_, least, most] = [median(times), sorted[0] ?? Number.NaN, sorted.at(-1) ?? Number.NaN].map(
    (ms) => `${Math.round(ms)} ms`,
  );
  return `| ${kind === "etcd" ? "etcd" : "Quorate"} | ${times.length} | ${median_} | ${least} | ${most} |`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { kills: { type: "string", default: "20" }, dir: { type: "string", default: "bench-data" } },
  });
  const kills = Number(values.kills);
  if (!Number.isSafeInteger(kills) || kills < 1 || kills > 1000)
    throw new BenchFailure(`--kills is ${values.kills}: it must be a whole number from 1 to 1000`);
  const parent = resolve(values.dir);
  mkdirSync(parent, { recursive: true });
  const facts = machineFacts(checkDirectory(parent));
  const kinds: readonly ServerKind[] = facts.etcd === null ? ["quorate"] : ["etcd", "quorate"];
  const rows: string[] = [];
  for (const kind of kinds) rows.push(row(kind, await measure(kind, kills, parent)));
  const text = [
    "| server | kills of the leader | writes back after, median | least | most |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
  ];
  process.stdout.write(`${text.join("\n")}\n`);
  if (facts.etcd === null) process.stdout.write("etcd was left out: it is not installed (Debian: etcd-server).\n");
}

try {
  await main();
} catch (error) {
  if (!(error instanceof BenchFailure)) throw error;
  process.stderr.write(`bench:failover: ${error.message}\n`);
  process.exitCode = 1;
}
