/**
 * The same load on either server: h2load, a client in C, sends one canned Put over and over. It tells nothing of the status
 * that gRPC puts into the trailers, so the store's revision, which must have risen by at least as many puts as were
 * counted, tells whether they were real.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { BenchFailure } from "../failure.js";
import { cpuSecondsOf } from "../process-cpu.js";
import { Histogram } from "../statistics.js";
import { revisionAt } from "./client.js";
import type { ServerCluster } from "./servers.js";
import { frame, putRequest } from "./wire.js";

export interface GrpcSettings {
  readonly payloadBytes: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** At most so many connections share the streams. */
  readonly connections: number;
  /** For the canned request and h2load's log. */
  readonly directory: string;
}

export interface GrpcResult {
  readonly streams: number;
  readonly connections: number;
  readonly puts: number;
  readonly putsPerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly p999Micros: number;
  /** Microseconds of CPU for each put: the leader, the other two. */
  readonly cpuMicrosPerPut: readonly number[];
}

export async function runPuts(cluster: ServerCluster, streams: number, settings: GrpcSettings): Promise<GrpcResult> {
  const { port, pids } = await cluster.leader();
  const body = join(settings.directory, "put.bin");
  const logFile = join(settings.directory, "h2load.tsv");
  writeFileSync(body, frame(putRequest("bench", settings.payloadBytes)));
  const connections = Math.min(settings.connections, streams);
  await h2load(port, streams, connections, settings.warmUpMs, body, null);
  const revisionBefore = await revisionAt(port);
  const cpuBefore = pids.map(cpuSecondsOf);
  await h2load(port, streams, connections, settings.measureMs, body, logFile);
  const cpu = pids.map((pid, place) => cpuSecondsOf(pid) - (cpuBefore[place] ?? 0));
  const made = (await revisionAt(port)) - revisionBefore;
  const log = await readLog(logFile);
  rmSync(logFile, { force: true });
  const puts = log.latencies.count;
  if (log.failed > 0 || puts === 0 || made < puts) {
    throw new BenchFailure(
      `${cluster.kind} at ${streams} streams: ${puts} puts answered, ${log.failed} refused, the revision rose by ${made}; numbers of failed puts mean nothing`,
    );
  }
  return {
    streams,
    connections,
    puts,
    putsPerSecond: puts / log.seconds,
    p50Micros: log.latencies.quantile(0.5),
    p99Micros: log.latencies.quantile(0.99),
    p999Micros: log.latencies.quantile(0.999),
    // By what the store has done: puts whose answer came after the end have cost CPU as well.
    cpuMicrosPerPut: cpu.map((used) => (used * 1e6) / made),
  };
}

async function h2load(
  port: number,
  streams: number,
  connections: number,
  forMs: number,
  body: string,
  logFile: string | null,
): Promise<void> {
  const words = [
    ...["--duration", `${forMs}ms`, "--clients", String(connections)],
    ...["--max-concurrent-streams", String(Math.ceil(streams / connections)), "--data", body],
    ...["--header", "content-type: application/grpc", "--header", "te: trailers"],
    ...(logFile === null ? [] : [`--log-file=${logFile}`]),
    `http://127.0.0.1:${port}/etcdserverpb.KV/Put`,
  ];
  const load = spawn("h2load", words, { stdio: ["ignore", "ignore", "pipe"] });
  let complaint = "";
  load.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const [code] = (await once(load, "close")) as [number | null];
  if (code !== 0) throw new BenchFailure(`h2load ended with ${String(code)}: ${complaint.trim()}`);
  // Answers that were under way when it left are still being made; let them not fall into the next measurement.
  await pause(200);
}

/** Lines of h2load's log: begin in microseconds, HTTP status, duration in microseconds. */
async function readLog(logFile: string): Promise<{ latencies: Histogram; failed: number; seconds: number }> {
  const latencies = new Histogram();
  let failed = 0;
  let first = Number.POSITIVE_INFINITY;
  let last = 0;
  for await (const line of createInterface({ input: createReadStream(logFile) })) {
    const [begin = Number.NaN, status, duration = Number.NaN] = line.split("\t").map(Number);
    if (status !== 200) {
      failed += 1;
      continue;
    }
    latencies.add(duration);
    first = Math.min(first, begin);
    last = Math.max(last, begin + duration);
  }
  return { latencies, failed, seconds: (last - first) / 1e6 };
}
