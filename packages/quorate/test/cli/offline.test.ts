/** The commands for the directories of stopped nodes: the built program, on what real servers left behind. */
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Etcd3 } from "etcd3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Child, freePorts, Processes, until } from "../../../raft/test/proof/processes.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const NAMES = ["a", "b", "c"] as const;
const KEYS = 60;

let processes: Processes;
let folder: string;
let ports: readonly number[];
/** What `etcd3` was told to have written. */
const acknowledged = new Map<string, string>();

const path = (name: string): string => join(folder, name);

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly errors: string;
}

async function quorate(...words: readonly string[]): Promise<Outcome> {
  const child = processes.node(`quorate ${words[0]}`, MAIN, words);
  // Nobody is at a terminal.
  const { code } = await child.ended;
  return { code, out: child.lines.join("\n"), errors: child.errors };
}

function serve(name: string, data: string, clientPort: number, words: readonly string[]): Child {
  return processes.node(name, MAIN, [
    "serve",
    "--name",
    name,
    "--data",
    data,
    "--client-listen",
    `127.0.0.1:${clientPort}`,
    "--snapshot-entries",
    "25",
    "--trailing-entries",
    "5",
    "--segment-bytes",
    "65536",
    ...words,
  ]);
}

async function stop(child: Child, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  child.kill(signal);
  await child.ended;
}

async function everything(port: number): Promise<ReadonlyMap<string, string>> {
  const client = new Etcd3({ hosts: `http://127.0.0.1:${port}`, defaultCallOptions: () => ({ deadline: Date.now() + 10_000 }) });
  try {
    const found = new Map<string, string>();
    await until(
      async () => {
        try {
          for (const [key, value] of Object.entries(await client.getAll().prefix("k").strings())) found.set(key, value);
          return true;
        } catch {
          return false;
        }
      },
      () => "a read to be answered",
    );
    return found;
  } finally {
    client.close();
  }
}

/** The words after `quorate serve` in what a command printed. */
function startWords(out: string): readonly string[] {
  const line = out.split("\n").find((each) => each.startsWith("  quorate serve --name") && !each.includes("--join")) ?? "";
  return line.trim().split(" ").slice(2);
}

beforeAll(async () => {
  processes = new Processes();
  folder = processes.folder();
  ports = await freePorts(12);
  const cluster = NAMES.map((name, place) => `${name}=127.0.0.1:${ports[place]}`).join(",");
  const children = NAMES.map((name, place) => serve(name, path(name), ports[3 + place] ?? 0, ["--cluster", cluster]));
  const client = new Etcd3({ hosts: NAMES.map((_, place) => `http://127.0.0.1:${ports[3 + place]}`) });
  for (let key = 0; key < KEYS; key += 1) {
    const value = `value ${key}`;
    await until(
      () =>
        client
          .put(`k${key}`)
          .value(value)
          .then(
            () => true,
            () => false,
          ),
      () => "a write to be acknowledged",
    );
    acknowledged.set(`k${key}`, value);
  }
  client.close();
  for (const child of children) await stop(child);
}, 120_000);

afterAll(() => processes.endAll());

const expected = (): ReadonlyMap<string, string> => acknowledged;

describe("log", () => {
  it("verify says in one line that a directory is whole, and inspect shows what is in it", async () => {
    const verified = await quorate("log", "verify", path("a"));
    expect(verified).toMatchObject({ code: 0, errors: "" });
    expect(verified.out).toMatch(/a: whole \(\d+ entries, the last \d+ of term \d+; known to be committed up to \d+\)$/);
    const { code, out } = await quorate("log", "inspect", path("a"), "--from", "1");
    expect(code).toBe(0);
    expect(out).toMatch(/^name {13}a$/m);
    expect(out).toMatch(/^configuration {4}0: voters a, b, c$/m);
    expect(out).toMatch(/^snapshot .*: up to \d+ of term \d+, \d+ bytes, whole$/m);
    expect(out).toMatch(/command {7}put "k59" = "value 59"$/m);
    const json = JSON.parse((await quorate("log", "inspect", path("a"), "--json")).out) as { verdict: string; entries: object[] };
    expect([json.verdict, json.entries.length]).toEqual(["note", 20]);
  });

  it("a node that runs has the directory", async () => {
    const child = serve("x", path("x"), ports[11] ?? 0, ["--cluster", `x=127.0.0.1:${ports[10]}`]);
    await until(
      () => existsSync(join(path("x"), "identity")),
      () => "it to start",
    );
    const { code, errors } = await quorate("log", "verify", path("x"));
    expect([code, errors]).toEqual([2, expect.stringMatching(/another process uses this data directory: stop it first/)]);
    await stop(child);
  });

  it("damage is told with its place, and is exit code 2; a directory that is not there, too", async () => {
    cpSync(path("b"), path("damaged"), { recursive: true, filter: (from) => !/\/lock\./.test(from) });
    const segment =
      readdirSync(join(path("damaged"), "log"))
        .filter((name) => name.endsWith(".segment"))
        .at(-1) ?? "";
    const file = join(path("damaged"), "log", segment);
    const bytes = readFileSync(file);
    const at = bytes.indexOf("value 5");
    expect(at).toBeGreaterThan(0);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    const { code, out } = await quorate("log", "verify", path("damaged"));
    expect(code).toBe(2);
    expect(out).toMatch(
      /^DAMAGE: log\/[0-9a-f]{16}\.segment at byte \d+: its content can't be read; .*; lost: entry \d+ \(term \d+\)$/m,
    );
    expect(readFileSync(file).equals(bytes)).toBe(true);
    expect(await quorate("log", "verify", path("nowhere"))).toMatchObject({ code: 2 });
    expect(existsSync(path("nowhere"))).toBe(false);
  });
});

describe("recover", () => {
  it("two of three are gone: the third goes on, everything acknowledged is there, and the old ones are refused", async () => {
    const asked = await quorate(
      "recover",
      path("c"),
      "--name",
      "c",
      "--peer-address",
      `127.0.0.1:${ports[2]}`,
      "--to",
      path("new"),
    );
    expect(asked).toMatchObject({ code: 2, errors: expect.stringMatching(/nothing was done: say --yes/) });
    expect(existsSync(path("new"))).toBe(false);
    const done = await quorate(
      "recover",
      path("c"),
      "--name",
      "c",
      "--peer-address",
      `127.0.0.1:${ports[2]}`,
      "--to",
      path("new"),
      "--yes",
    );
    expect(done).toMatchObject({ code: 0, errors: "" });
    expect(done.out).toMatch(/^kept: .*up to entry \d+ of term \d+/m);
    expect(done.out).toMatch(/^may be lost: .*only the other members held/m);
    expect(done.out).toMatch(/^left behind: {2}a, b\./m);
    const [, , ...words] = startWords(done.out);
    const only = serve("c", path("new"), ports[6] ?? 0, words);
    expect(await everything(ports[6] ?? 0)).toEqual(expected());
    // The old directory of c does not start any more; an old member that comes back is a stranger.
    const cluster = NAMES.map((name, place) => `${name}=127.0.0.1:${ports[place]}`).join(",");
    const again = await quorate(
      "serve",
      "--name",
      "c",
      "--cluster",
      cluster,
      "--data",
      path("c"),
      "--client-listen",
      `127.0.0.1:${ports[7]}`,
    );
    expect(again).toMatchObject({ code: 1, errors: expect.stringMatching(/must not be started \(recovered: /) });
    const old = serve("a", path("a"), ports[3] ?? 0, ["--cluster", cluster]);
    await until(
      () => old.lines.some((line) => /another cluster/.test(line)) || only.lines.some((line) => /another cluster/.test(line)),
      () => `the old member to be refused: ${old.lines.join("\n")}`,
    );
    const client = new Etcd3({ hosts: `http://127.0.0.1:${ports[6]}` });
    await client.put("k-after").value("after");
    client.close();
    await stop(old);
    await stop(only);
  }, 120_000);
});

describe("backup and restore", () => {
  it("a backup of a stopped directory becomes a cluster again, with its revision", async () => {
    const file = path("one.backup");
    const taken = await quorate("backup", path("b"), file, "--uncommitted");
    expect(taken).toMatchObject({ code: 0, errors: "" });
    expect(taken.out).toMatch(
      /one\.backup: whole, \d+ bytes: a snapshot up to \d+ \(\d+ bytes\) and \d+ entries, up to \d+ of term \d+; of b in cluster/,
    );
    expect(await quorate("backup", path("b"), file)).toMatchObject({
      code: 1,
      errors: expect.stringMatching(/a backup never replaces a file/),
    });
    expect(await quorate("backup", "--check", file)).toMatchObject({ code: 0 });
    const target = path("restored");
    const words = ["restore", file, "--name", "r", "--cluster", `r=127.0.0.1:${ports[8]}`, "--data", target];
    const restored = await quorate(...words);
    expect(restored).toMatchObject({ code: 0, errors: "" });
    expect(await quorate(...words)).toMatchObject({ code: 1, errors: expect.stringMatching(/is not empty/) });
    const [, , ...start] = startWords(restored.out);
    const server = serve("r", target, ports[9] ?? 0, start);
    expect(await everything(ports[9] ?? 0)).toEqual(expected());
    // Of the server that runs now: everything that it has acknowledged.
    const online = await quorate("backup", `127.0.0.1:${ports[9]}`, path("online.backup"));
    expect(online).toMatchObject({ code: 0, errors: "" });
    expect(online.out).toMatch(
      /online\.backup: whole, \d+ bytes: a snapshot up to (\d+) \(\d+ bytes\) and 0 entries, up to \1 of term/,
    );
    const again = path("restored-again");
    const one = `s=127.0.0.1:${ports[10]}`;
    const second = await quorate("restore", path("online.backup"), "--name", "s", "--cluster", one, "--data", again);
    const [, , ...secondStart] = startWords(second.out);
    const other = serve("s", again, ports[11] ?? 0, secondStart);
    expect(await everything(ports[11] ?? 0)).toEqual(expected());
    await stop(other);
    const silent = await quorate("backup", `127.0.0.1:${ports[11]}`, path("none.backup"));
    expect(silent).toMatchObject({ code: 1, errors: expect.stringMatching(/nothing listens there.*; no backup was written/) });
    expect(readdirSync(folder).filter((name) => name.startsWith("none"))).toEqual([]);
    const client = new Etcd3({ hosts: `http://127.0.0.1:${ports[9]}` });
    // One revision a write, from 1 on.
    expect(Number((await client.put("k-new").value("x")).header.revision)).toBe(KEYS + 2);
    client.close();
    await stop(server);
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(path("bad.backup"), bytes);
    const bad = await quorate(
      "restore",
      path("bad.backup"),
      "--name",
      "r",
      "--cluster",
      `r=127.0.0.1:${ports[8]}`,
      "--data",
      path("never"),
    );
    expect(bad).toMatchObject({ code: 1, errors: expect.stringMatching(/it is no whole backup, and nothing was done with it/) });
    expect(existsSync(path("never"))).toBe(false);
  }, 120_000);
});
