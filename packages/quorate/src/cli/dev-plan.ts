/**
 * The cluster that `quorate dev` runs: names, ports and directories. The ports are those of etcd's own example of a local
 * cluster (its Procfile: clients at 2379, 22379, 32379, peers at 2380, 22380, 32380), so that what is written for that
 * works here.
 */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { CommandFailure, usage } from "./failure.js";
import { parseWhole } from "./values.js";

export interface DevWords {
  readonly nodes: string;
  readonly data: string;
  readonly baseClientPort: string;
  readonly basePeerPort: string;
}

export interface NodePlan {
  readonly name: string;
  readonly clientAddress: string;
  readonly peerAddress: string;
  readonly directory: string;
}

export interface DevPlan {
  /** Absolute. */
  readonly directory: string;
  readonly basePeerPort: number;
  readonly nodes: readonly NodePlan[];
}

export const MAX_DEV_NODES = 5;
const HOST = "127.0.0.1";
/** The second node's ports are two steps above the first's, as in etcd's example. */
const PORT_STEP = 10_000;
const HIGHEST_BASE_PORT = 65_535 - MAX_DEV_NODES * PORT_STEP;

export function devPlan(words: DevWords): DevPlan {
  const count = parseWhole("--nodes", words.nodes, 1, MAX_DEV_NODES);
  const baseClientPort = parseWhole("--base-client-port", words.baseClientPort, 1, HIGHEST_BASE_PORT);
  const basePeerPort = parseWhole("--base-peer-port", words.basePeerPort, 1, HIGHEST_BASE_PORT);
  if ((baseClientPort - basePeerPort) % PORT_STEP === 0) {
    throw usage(
      `--base-client-port is ${baseClientPort} and --base-peer-port is ${basePeerPort}: nodes would share ports; make them differ by something that is not a multiple of ${PORT_STEP}`,
    );
  }
  if (words.data === "") throw usage("--data is empty: name the directory that holds the nodes' data");
  const directory = resolve(words.data);
  const nodes = Array.from({ length: count }, (_, place): NodePlan => {
    const name = String.fromCharCode("a".charCodeAt(0) + place);
    const step = place === 0 ? 0 : (place + 1) * PORT_STEP;
    return {
      name,
      clientAddress: `${HOST}:${baseClientPort + step}`,
      peerAddress: `${HOST}:${basePeerPort + step}`,
      directory: join(directory, name),
    };
  });
  return { directory, basePeerPort, nodes };
}

/** The words that start a node of the plan: everything after the program. */
export function serveArguments(plan: DevPlan, node: NodePlan): readonly string[] {
  const cluster = plan.nodes.map(({ name, peerAddress }) => `${name}=${peerAddress}`).join(",");
  return ["serve", "--name", node.name, "--cluster", cluster, "--data", node.directory, "--client-listen", node.clientAddress];
}

/** What is kept beside the nodes' directories: a founded cluster keeps its members and their addresses. */
const kept = z.object({ nodes: z.number().int(), basePeerPort: z.number().int() });
const KEPT_FILE = "dev.json";

/** Makes the directory, or checks that the cluster in it is the one planned. */
export function prepareDirectory(plan: DevPlan): void {
  const file = join(plan.directory, KEPT_FILE);
  if (existsSync(file)) {
    checkKept(plan, file);
    return;
  }
  makeDirectory(plan.directory);
  writeFileSync(file, `${JSON.stringify({ nodes: plan.nodes.length, basePeerPort: plan.basePeerPort })}\n`);
}

/** One folder after the other: mkdir's own `recursive` never returns where the system refuses with ENOENT (below /proc). */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code === "EEXIST" && statSync(path).isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    makeDirectory(dirname(path));
    mkdirSync(path);
  }
}

function checkKept(plan: DevPlan, file: string): void {
  const found = kept.safeParse(parseJson(readFileSync(file, "utf8")));
  if (!found.success) throw new CommandFailure(`${file} is not one that quorate dev wrote: choose another directory with --data`);
  const { nodes, basePeerPort } = found.data;
  if (nodes !== plan.nodes.length || basePeerPort !== plan.basePeerPort) {
    throw usage(
      `${plan.directory} holds a cluster that was made with --nodes ${nodes} --base-peer-port ${basePeerPort}: give these, or choose another directory with --data`,
    );
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Fails with the first port that something else listens on. */
export async function checkPortsFree(plan: DevPlan): Promise<void> {
  for (const { name, clientAddress, peerAddress } of plan.nodes) {
    for (const [purpose, address, option] of [
      ["clients", clientAddress, "--base-client-port"],
      ["peers", peerAddress, "--base-peer-port"],
    ] as const) {
      const problem = await whyNotFree(Number(address.slice(HOST.length + 1)));
      if (problem === "EADDRINUSE") {
        throw new CommandFailure(
          `port ${address}, for the ${purpose} of node ${name}, is in use: stop the program that listens there (another quorate dev, or an etcd?), or choose other ports with ${option}`,
        );
      }
      if (problem !== null) {
        throw new CommandFailure(
          `port ${address}, for the ${purpose} of node ${name}, can't be had (${problem}): choose other ports with ${option}`,
        );
      }
    }
  }
}

function whyNotFree(port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, HOST, () => server.close(() => resolve(null)));
  });
}
