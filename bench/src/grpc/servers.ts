/** Three processes of etcd, or of Quorate's server, on loopback, each with a directory of its own on the same disk. */
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BenchFailure } from "../failure.js";
import { freePorts } from "../ports.js";
import { leads } from "./client.js";

const NAMES = ["a", "b", "c"] as const;
const LEADER_WITHIN_MS = 20_000;
const STOPPED_WITHIN_MS = 10_000;

export type ServerKind = "etcd" | "quorate";

export interface ServerCluster {
  readonly kind: ServerKind;
  /** The client port of the leader, and all pids, the leader's first. */
  leader(): Promise<{ readonly port: number; readonly pids: readonly number[] }>;
  /** The client ports of all members. */
  readonly ports: readonly number[];
  /** Kill -9 of the member with this client port; resolves when the signal is sent. */
  kill(port: number): void;
  /** Starts the one that was killed again, on the same directory and ports. */
  restart(port: number): void;
  close(): Promise<void>;
}

interface Place {
  readonly name: string;
  readonly directory: string;
  readonly clientPort: number;
  /** name -> peer port of every member. */
  readonly peers: ReadonlyMap<string, number>;
}

interface CommandLine {
  readonly program: string;
  readonly words: readonly string[];
}

const commandLines: { readonly [Kind in ServerKind]: (place: Place) => CommandLine } = {
  etcd: ({ name, directory, clientPort, peers }) => {
    const client = `http://127.0.0.1:${clientPort}`;
    const peer = `http://127.0.0.1:${peers.get(name)}`;
    const cluster = [...peers].map(([other, port]) => `${other}=http://127.0.0.1:${port}`).join(",");
    return {
      program: "etcd",
      words: [
        ...["--name", name, "--data-dir", directory],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
        ...["--initial-cluster", cluster, "--initial-cluster-state", "new", "--initial-cluster-token", "bench"],
        // The standard quota of 2 GB would end a long run.
        ...["--quota-backend-bytes", String(8 * 2 ** 30), "--logger", "zap"],
      ],
    };
  },
  quorate: ({ name, directory, clientPort, peers }) => ({
    program: process.execPath,
    words: [
      ...[join(dirname(createRequire(import.meta.url).resolve("quorate/package.json")), "dist/cli/main.js"), "serve"],
      ...["--name", name, "--data", directory, "--client-listen", `127.0.0.1:${clientPort}`],
      ...["--cluster", [...peers].map(([other, port]) => `${other}=127.0.0.1:${port}`).join(",")],
    ],
  }),
};

/** `execArgv`: options of Node.js for our servers, like --cpu-prof. */
export async function openServers(kind: ServerKind, directory: string, execArgv: readonly string[] = []): Promise<ServerCluster> {
  const ports = await freePorts(2 * NAMES.length);
  const peers = new Map(NAMES.map((name, place) => [name, ports[place] ?? 0]));
  mkdirSync(directory, { recursive: true });
  const start = (place: number): Server => {
    const name = NAMES[place] ?? "a";
    const where = { name, directory: join(directory, name), clientPort: ports[NAMES.length + place] ?? 0, peers };
    const { program, words } = commandLines[kind](where);
    return new Server(where, program, kind === "quorate" ? [...execArgv, ...words] : words);
  };
  const servers = NAMES.map((_, place) => start(place));
  const placeOf = (port: number): number => servers.findIndex((server) => server.port === port);
  const cluster: ServerCluster = {
    kind,
    leader: () => leaderOf(kind, servers),
    ports: servers.map(({ port }) => port),
    kill: (port) => servers[placeOf(port)]?.kill(),
    restart(port) {
      servers[placeOf(port)] = start(placeOf(port));
    },
    async close() {
      await Promise.all(servers.map((server) => server.close()));
    },
  };
  try {
    await cluster.leader();
    return cluster;
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

async function leaderOf(kind: ServerKind, servers: readonly Server[]): Promise<{ port: number; pids: number[] }> {
  const giveUpAt = Date.now() + LEADER_WITHIN_MS;
  let reason = "";
  while (Date.now() < giveUpAt) {
    for (const server of servers) {
      if (server.ended !== null)
        throw new BenchFailure(`${kind} node ${server.name} ended (${server.ended}); its log: ${server.logFile}`);
      try {
        if (await leads(server.port))
          return { port: server.port, pids: [server, ...servers.filter((other) => other !== server)].map(({ pid }) => pid) };
      } catch (error) {
        reason = error instanceof Error ? error.message : String(error);
      }
    }
    await pause(100);
  }
  throw new BenchFailure(
    `${kind} has no leader after ${LEADER_WITHIN_MS / 1000} s (${reason}); the logs: ${servers[0]?.logFile}`,
  );
}

class Server {
  readonly name: string;
  readonly port: number;
  readonly logFile: string;
  ended: string | null = null;
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;

  constructor(place: Place, program: string, words: readonly string[]) {
    this.name = place.name;
    this.port = place.clientPort;
    this.logFile = `${place.directory}.log`;
    // Settings of etcd may also come from the environment; none of the reader's shall change what is measured.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("ETCD_")));
    this.#process = spawn(program, words, { env, stdio: ["ignore", "pipe", "pipe"] });
    const log = createWriteStream(this.logFile);
    this.#process.stdout?.pipe(log, { end: false });
    this.#process.stderr?.pipe(log, { end: false });
    this.#exited = new Promise((exited) => {
      this.#process.once("error", (error) => {
        this.ended = error.message;
        exited();
      });
      this.#process.once("exit", (code, signal) => {
        this.ended = signal ?? `exit code ${code}`;
        exited();
      });
    });
    void this.#exited.then(() => log.end());
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  async close(): Promise<void> {
    if (this.ended !== null) return;
    this.#process.kill("SIGTERM");
    const late = setTimeout(() => this.#process.kill("SIGKILL"), STOPPED_WITHIN_MS);
    await this.#exited;
    clearTimeout(late);
  }
}
