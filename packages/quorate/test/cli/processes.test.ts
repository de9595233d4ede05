/**
 * The built program as it is used: `quorate serve`, `dev` and `status` as processes, with signals, real directories and
 * real ports.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Etcd3 } from "etcd3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Child, freePorts, Processes, until } from "../../../raft/test/proof/processes.js";
import { parseReport } from "../../src/cli/report.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

let processes: Processes;
let folder: string;
const ends: (() => void)[] = [];

beforeEach(() => {
  processes = new Processes();
  folder = processes.folder();
});

afterEach(async () => {
  for (const end of ends.splice(0)) end();
  await processes.endAll();
});

function quorate(words: readonly string[]): Child {
  return processes.node(`quorate ${words[0]}`, MAIN, words);
}

interface Outcome {
  readonly code: number | null;
  readonly out: readonly string[];
  readonly errors: string;
}

async function outcome(words: readonly string[]): Promise<Outcome> {
  const child = quorate(words);
  const { code } = await child.ended;
  return { code, out: child.lines, errors: child.errors };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function occupy(port: number): Promise<void> {
  const server: Server = createServer();
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  ends.push(() => server.close());
}

describe("quorate serve", () => {
  /** A cluster of one: it leads as soon as it runs. */
  async function alone(
    changes: Readonly<Record<string, string>> = {},
  ): Promise<{ words: string[]; client: string; peer: string }> {
    const [clientPort, peerPort] = await freePorts(2);
    const client = `127.0.0.1:${clientPort}`;
    const peer = `127.0.0.1:${peerPort}`;
    const options = {
      "--name": "a",
      "--cluster": `a=${peer}`,
      "--data": join(folder, "a"),
      "--client-listen": client,
      ...changes,
    };
    return { words: ["serve", ...Object.entries(options).flat()], client, peer };
  }

  it("serves, says so, and stops in good order at SIGTERM", async () => {
    const { words, client } = await alone();
    const child = quorate(words);
    await child.waitForLine((line) => line.includes(`a serves clients at http://${client}`), "where it serves");
    await child.waitForLine((line) => line.includes("a is leader"), "that it leads");
    const status = await outcome(["status", "--endpoints", client]);
    expect(status.code).toBe(0);
    expect(status.out[1]).toMatch(new RegExp(`^${client} +a +[0-9a-f]+ +\\S+ +[\\d.]+ k?M?B +yes`));
    child.kill("SIGTERM");
    expect(await child.ended).toEqual({ code: 0, signal: null });
    expect(child.lines.at(-1)).toMatch(/a stopped$/);
    expect(child.errors).toBe("");
  });

  it("--json-status: lines of reports and nothing else on standard output; SIGINT stops it too", async () => {
    const { words } = await alone();
    const child = quorate([...words, "--json-status"]);
    const all: unknown[] = [];
    child.onLine((line) => all.push(JSON.parse(line)));
    const leads = (message: unknown): boolean => {
      const report = parseReport(message);
      return report?.type === "status" && report.role === "leader" && report.state === "running" && report.pid === child.pid;
    };
    await until(
      () => all.some(leads),
      () => `a report of a leader in ${JSON.stringify(all)}`,
    );
    child.kill("SIGINT");
    expect(await child.ended).toEqual({ code: 0, signal: null });
    expect(all.every((message) => parseReport(message) !== null)).toBe(true);
    expect(child.errors).toContain("a stopped");
  });

  it.each([
    ["--heartbeat-ms", "900", 2, /^quorate: --heartbeat-ms is 900: it must be at most half of --election-ms \(1000\)[^\n]*\n$/],
    ["--segment-bytes", "7", 2, /^quorate: --segment-bytes is 7: it must be a whole number from 65536 to [^\n]*\n$/],
    ["--name", "b", 2, /^quorate: --name is "b", which is not in --cluster \(a\)[^\n]*\n$/],
  ])("%s %s: one sentence, and nothing on disk", async (option, value, code, sentence) => {
    const { words } = await alone({ [option]: value });
    const ended = await outcome(words);
    expect(ended.errors).toMatch(sentence);
    expect({ code: ended.code, out: ended.out }).toEqual({ code, out: [] });
    expect(existsSync(join(folder, "a"))).toBe(false);
  });

  it.each(["client", "peer"] as const)("the %s port is in use: one sentence that names it, exit code 1", async (which) => {
    const ready = await alone();
    await occupy(Number(ready[which].split(":")[1]));
    const ended = await outcome(ready.words);
    expect(ended.code).toBe(1);
    expect(ended.errors).toMatch(/^quorate: [^\n]+\n$/);
    expect(ended.errors).toContain(ready[which]);
    expect(ended.errors).toMatch(/in use|listens there/);
    expect(ended.errors).not.toMatch(/listenClient|listenPeer/);
  });

  it("a directory that can't be made: one sentence that names it, exit code 1", async () => {
    writeFileSync(join(folder, "file"), "");
    for (const directory of [join(folder, "file", "a"), "/proc/quorate/a"]) {
      const { words } = await alone({ "--data": directory });
      const ended = await outcome(words);
      expect(ended.code).toBe(1);
      expect(ended.errors).toMatch(/^quorate: [^\n]+\n$/);
      expect(ended.errors).toMatch(/file\/a|\/proc\/quorate/);
    }
  });

  it("the directory of another node: one sentence, exit code 1", async () => {
    const first = await alone();
    const child = quorate(first.words);
    await child.waitForLine((line) => line.includes("a is leader"), "that it leads");
    child.kill("SIGTERM");
    await child.ended;
    const other = await outcome((await alone({ "--name": "b", "--cluster": `b=${first.peer}` })).words);
    expect(other.code).toBe(1);
    expect(other.errors).toMatch(/^quorate: [^\n]+\n$/);
    expect(other.errors).toContain(join(folder, "a"));
  });
});

describe("quorate dev", () => {
  /** Bases for which all six ports are free. */
  async function freeBases(): Promise<{ client: number; peer: number }> {
    for (;;) {
      const client = 3000 + 2 * Math.floor(Math.random() * 4500);
      const ports = [0, 20_000, 30_000].flatMap((step) => [client + step, client + 1 + step]);
      const free = await Promise.all(
        ports.map(
          (port) =>
            new Promise<boolean>((resolve) => {
              const server = createServer();
              server.once("error", () => resolve(false));
              server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
            }),
        ),
      );
      if (free.every(Boolean)) return { client, peer: client + 1 };
    }
  }

  async function freeBaseWords(): Promise<string[]> {
    const { client, peer } = await freeBases();
    return ["--base-client-port", String(client), "--base-peer-port", String(peer)];
  }

  interface Cluster {
    readonly child: Child;
    readonly said: string[];
    readonly endpoints: readonly string[];
    /** Waits for a line that fits, from the `from`th on; returns it. */
    readonly hear: (fits: RegExp, from?: number) => Promise<string>;
    readonly pids: () => number[];
  }

  function start(bases: { client: number; peer: number }): Cluster {
    const ports = ["--base-client-port", String(bases.client), "--base-peer-port", String(bases.peer)];
    const child = quorate(["dev", "--data", join(folder, "data"), ...ports]);
    const said: string[] = [];
    child.onLine((line) => said.push(line));
    const hear = async (fits: RegExp, from = 0): Promise<string> => {
      const found = (): string | undefined => said.slice(from).find((line) => fits.test(line));
      await until(
        () => {
          if (!child.running && found() === undefined)
            throw new Error(`ended without ${fits}: ${said.join("\n")}\n${child.errors}`);
          return found() !== undefined;
        },
        () => `${fits} in\n${said.join("\n")}\n${child.errors}`,
      );
      return found() ?? "";
    };
    const pids = (): number[] => {
      const all = said.map((line) => /^[abc]: pid (\d+)/.exec(line)?.[1]).filter((pid) => pid !== undefined);
      return [...new Set(all.map(Number))];
    };
    const endpoints = [0, 20_000, 30_000].map((step) => `127.0.0.1:${bases.client + step}`);
    return { child, said, endpoints, hear, pids };
  }

  const THREE_UP = /^leader: [abc] \(term \d+\), clients: http:\S+,http:\S+,http:\S+$/;

  it("a cluster that survives the death of its leader, and keeps what was written over runs", async () => {
    const bases = await freeBases();
    const first = start(bases);
    const leader = /^leader: (.)/.exec(await first.hear(THREE_UP))?.[1] ?? "";
    await first.hear(/^try: etcdctl --endpoints=/);
    const client = new Etcd3({ hosts: first.endpoints.map((endpoint) => `http://${endpoint}`) });
    ends.push(() => client.close());
    await client.put("k").value("v");

    let from = first.said.length;
    first.child.send(`kill ${leader}`);
    await first.hear(new RegExp(`^${leader}: dead \\(SIGKILL\\)`), from);
    const next = /^leader: (.)/.exec(await first.hear(new RegExp(`^leader: [^${leader}n]`), from))?.[1];
    expect(next).not.toBe(leader);
    const down = await outcome(["status", "--endpoints", first.endpoints.join(",")]);
    expect(down.code).toBe(1);
    expect(down.out.filter((line) => line.startsWith("unreachable: "))).toHaveLength(1);

    from = first.said.length;
    first.child.send(`restart ${leader}`);
    await first.hear(THREE_UP, from);
    const up = await outcome(["status", "--endpoints", first.endpoints.join(",")]);
    expect(up.code).toBe(0);
    expect(up.out.filter((line) => / yes /.test(line))).toHaveLength(1);

    first.child.send("quit");
    expect(await first.child.ended).toEqual({ code: 0, signal: null });
    expect(first.pids().length).toBeGreaterThanOrEqual(4);
    expect(first.pids().filter(isAlive)).toEqual([]);

    const second = start(bases);
    await second.hear(THREE_UP);
    expect(await client.get("k").string()).toBe("v");
    second.child.kill("SIGINT");
    expect(await second.child.ended).toEqual({ code: 0, signal: null });
    expect(second.pids().filter(isAlive)).toEqual([]);
  });

  it("a node that is frozen is shown, and stops with the others", async () => {
    const { child, said, hear, pids } = start(await freeBases());
    await hear(THREE_UP);
    const from = said.length;
    child.send("stop c");
    await hear(/^c: pid \d+, .*paused \(SIGSTOP\)/, from);
    child.kill("SIGTERM");
    expect(await child.ended).toEqual({ code: 0, signal: null });
    expect(pids().filter(isAlive)).toEqual([]);
  });

  it("if it is killed itself, its nodes stop", async () => {
    const { child, hear, pids } = start(await freeBases());
    await hear(THREE_UP);
    expect(pids()).toHaveLength(3);
    child.kill("SIGKILL");
    await child.ended;
    await until(
      () => !pids().some(isAlive),
      () => `the nodes ${pids().filter(isAlive).join(", ")} to stop`,
    );
  });

  it("a port that is taken: one sentence that says which and whose, exit code 1, nothing on disk", async () => {
    const bases = await freeBases();
    await occupy(bases.client + 20_000);
    const { child } = start(bases);
    expect(await child.ended).toEqual({ code: 1, signal: null });
    expect(child.errors).toBe(
      `quorate: port 127.0.0.1:${bases.client + 20_000}, for the clients of node b, is in use: stop the program that listens there (another quorate dev, or an etcd?), or choose other ports with --base-client-port\n`,
    );
    expect(existsSync(join(folder, "data"))).toBe(false);
  });

  it("a directory with another cluster: one sentence, exit code 2", async () => {
    mkdirSync(join(folder, "data"));
    writeFileSync(join(folder, "data", "dev.json"), '{"nodes":5,"basePeerPort":2380}');
    const { child } = start(await freeBases());
    expect(await child.ended).toEqual({ code: 2, signal: null });
    expect(child.errors).toBe(
      `quorate: ${join(folder, "data")} holds a cluster that was made with --nodes 5 --base-peer-port 2380: give these, or choose another directory with --data\n`,
    );
  });

  it("a directory that can't be made: one sentence, exit code 1", async () => {
    writeFileSync(join(folder, "data"), "");
    const { child } = start(await freeBases());
    expect(await child.ended).toEqual({ code: 1, signal: null });
    expect(child.errors).toBe(`quorate: ${join(folder, "data")} exists and is not a directory: choose another\n`);
  });

  it("a directory that the system refuses: one sentence, exit code 1", async () => {
    // Nobody makes folders there, not even root; and a naive recursive mkdir never returns.
    const ended = await outcome(["dev", "--data", "/proc/quorate/data", ...(await freeBaseWords())]);
    expect(ended.code).toBe(1);
    expect(ended.errors).toBe("quorate: /proc/quorate does not exist and can't be made: choose another directory\n");
  });
});
