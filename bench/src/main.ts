/**
 * `npm run bench`: measures, round by round, three embedded nodes, etcd and Quorate's server, one after the other and never
 * two at once, and shows medians and ratios.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { openCluster } from "./embedded/cluster.js";
import type { LoadResult } from "./embedded/messages.js";
import { BenchFailure } from "./failure.js";
import { checkDirectory } from "./file-system.js";
import { type GrpcResult, runPuts } from "./grpc/load.js";
import { openServers, type ServerKind } from "./grpc/servers.js";
import { type MachineFacts, machineFacts } from "./machine-facts.js";
import { type BenchOptions, HELP, parseOptions } from "./options.js";
import { updateDocument, writeResults } from "./output.js";
import { type Results, type Round, report } from "./report.js";

const PAYLOAD_BYTES = 256;
const OUTSTANDING = [1, 64, 256, 4096];
const STREAMS = [1, 64, 256];

async function bench(options: BenchOptions): Promise<void> {
  const fileSystem = checkDirectory(options.directory);
  const facts = machineFacts(fileSystem);
  const { kinds, leftOut } = servers(options, facts);
  const rounds: Round[] = [];
  for (let number = 1; number <= options.rounds; number += 1) {
    const embedded = options.parts.has("embedded") ? await runEmbedded(options, number) : [];
    const grpc: { [Kind in ServerKind]?: GrpcResult[] } = {};
    for (const kind of kinds) grpc[kind] = await runServer(kind, options, number);
    rounds.push({ embedded, grpc });
  }
  const command = ["npm run bench", ...(options.words.length === 0 ? [] : ["--", ...options.words])].join(" ");
  const results: Results = { command, facts, payloadBytes: PAYLOAD_BYTES, rounds, leftOut };
  const text = report(results);
  process.stdout.write(`\n${text}\n`);
  for (const file of writeResults(options.out, results, text)) process.stdout.write(`written: ${file}\n`);
  if (options.updateDocs) updateDocument(text);
}

/** The servers that can be measured here, in the order of measuring, and what can't be. */
function servers(options: BenchOptions, { etcd, h2load }: MachineFacts): { kinds: ServerKind[]; leftOut: string[] } {
  if (!options.parts.has("grpc")) return { kinds: [], leftOut: [] };
  if (h2load === null)
    return {
      kinds: [],
      leftOut: ["puts through gRPC, of etcd and Quorate both: h2load is not installed (Debian: nghttp2-client)."],
    };
  if (etcd === null)
    return {
      kinds: ["quorate"],
      leftOut: ["etcd, and with it every ratio: it is not installed (Debian: etcd-server)."],
    };
  return { kinds: ["etcd", "quorate"], leftOut: [] };
}

async function runEmbedded(options: BenchOptions, round: number): Promise<LoadResult[]> {
  return withDirectory(options.directory, async (directory) => {
    const cluster = await openCluster(directory, profileWords(options));
    try {
      const results: LoadResult[] = [];
      const { warmUpMs, measureMs } = options;
      for (const outstanding of OUTSTANDING) {
        const result = await cluster.load(outstanding, { payloadBytes: PAYLOAD_BYTES, warmUpMs, measureMs });
        results.push(result);
        progress(round, `embedded, ${outstanding} outstanding: ${Math.round(result.commitsPerSecond)} commits/s`);
      }
      return results;
    } finally {
      await cluster.close();
    }
  });
}

async function runServer(kind: ServerKind, options: BenchOptions, round: number): Promise<GrpcResult[]> {
  return withDirectory(options.directory, async (directory) => {
    const cluster = await openServers(kind, directory, profileWords(options));
    try {
      const results: GrpcResult[] = [];
      for (const streams of STREAMS) {
        const { warmUpMs, measureMs, connections } = options;
        const result = await runPuts(cluster, streams, {
          payloadBytes: PAYLOAD_BYTES,
          warmUpMs,
          measureMs,
          connections,
          directory,
        });
        results.push(result);
        progress(round, `${kind}, ${streams} streams: ${Math.round(result.putsPerSecond)} puts/s`);
      }
      return results;
    } finally {
      await cluster.close();
    }
  });
}

/** The directory goes when the work has succeeded; after a failure it stays, with the logs that tell why. */
async function withDirectory<Result>(parent: string, work: (directory: string) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(resolve(parent), "run-"));
  const result = await work(directory);
  rmSync(directory, { recursive: true });
  return result;
}

function profileWords({ profileDirectory }: BenchOptions): string[] {
  if (profileDirectory === null) return [];
  mkdirSync(profileDirectory, { recursive: true });
  return ["--cpu-prof", `--cpu-prof-dir=${resolve(profileDirectory)}`];
}

function progress(round: number, text: string): void {
  process.stderr.write(`round ${round}: ${text}\n`);
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === null) process.stdout.write(HELP);
  else await bench(options);
} catch (error) {
  if (!(error instanceof BenchFailure)) throw error;
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
}
