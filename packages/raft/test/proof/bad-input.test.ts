/**
 * Bad input for the library: each gets one clear sentence that names what and what to do, and the data directory is as it was
 * before, byte by byte.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openRaftNode, RaftError, type RaftNode, type RaftNodeOptions, type StateMachine } from "../../src/index.js";
import { crc32c } from "../../src/runtime/index.js";
import { freePorts, Processes, present, until } from "./processes.js";

let processes = new Processes();
let folder = "";
let port = 0;
const open: (RaftNode | Server)[] = [];

beforeEach(async () => {
  processes = new Processes();
  folder = processes.folderOnDisk();
  [port = 0] = await freePorts(1);
});
afterEach(async () => {
  for (const each of open.splice(0)) await ("propose" in each ? each.close() : new Promise((done) => each.close(done)));
  await processes.endAll();
});

class Length implements StateMachine {
  #bytes = 0;
  apply(entries: readonly { readonly data: Uint8Array }[]): Uint8Array[] {
    for (const { data } of entries) this.#bytes += data.length;
    return entries.map(() => new Uint8Array(0));
  }
  snapshot(): Uint8Array[] {
    return [new TextEncoder().encode(String(this.#bytes))];
  }
  restore(piece: Uint8Array): void {
    this.#bytes = Number(new TextDecoder().decode(piece));
  }
}

function options(more: Partial<RaftNodeOptions> = {}): RaftNodeOptions {
  return {
    id: "a",
    cluster: [{ name: "a", address: `127.0.0.1:${port}` }],
    directory: join(folder, "data"),
    stateMachine: () => new Length(),
    electionTimeoutMs: 100,
    heartbeatIntervalMs: 20,
    segmentBytes: 64 * 1024,
    ...more,
  };
}

async function opened(more: Partial<RaftNodeOptions> = {}): Promise<RaftNode> {
  const node = await openRaftNode(options(more));
  open.push(node);
  return node;
}

/** A directory with a past: a node that has written something, and was closed. */
async function past(): Promise<string> {
  const node = await opened();
  await node.propose(new Uint8Array(1000).fill(7));
  await node.close();
  return options().directory;
}

async function refused(more: Partial<RaftNodeOptions>): Promise<RaftError> {
  const outcome = await openRaftNode(options(more)).then(
    (node) => {
      open.push(node);
      return null;
    },
    (error: unknown) => error,
  );
  if (!(outcome instanceof RaftError)) throw new Error(`it opened, or failed with ${String(outcome)}`);
  expect(outcome.outcome).toBe("not-executed");
  expect(outcome.retry).toBe("never");
  expect(outcome.message).not.toContain("\n");
  return outcome;
}

/** Every file and folder below, with what is in it. The lock is no data: it comes and goes with the process. */
function contents(of: string): string[] {
  return readdirSync(of, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.name.startsWith("lock."))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const kind = entry.isFile() ? createHash("sha256").update(readFileSync(path)).digest("hex") : "folder";
      return `${path.slice(of.length + 1)} ${kind}`;
    })
    .sort();
}

async function unchanged(directory: string, during: () => Promise<void>): Promise<void> {
  const before = contents(directory);
  await during();
  expect(contents(directory)).toEqual(before);
  expect(readdirSync(directory).filter((name) => name.startsWith("lock"))).toEqual([]);
}

test("the comparison of a directory sees a changed byte, a new file and a new folder", async () => {
  const directory = await past();
  const before = contents(directory);
  expect(before.some((line) => line.startsWith("identity "))).toBe(true);
  expect(before.some((line) => line.startsWith("log/") && line.includes(".segment "))).toBe(true);
  const identity = readFileSync(join(directory, "identity"));
  identity[8000] = 1;
  writeFileSync(join(directory, "identity"), identity);
  mkdirSync(join(directory, "other"));
  writeFileSync(join(directory, "log", "file"), "");
  const differences = contents(directory).filter((line) => !before.includes(line));
  expect(differences.map((line) => line.split(" ")[0])).toEqual(["identity", "log/file", "other"]);
});

test("a directory of another cluster", async () => {
  const directory = await past();
  await unchanged(directory, async () => {
    const error = await refused({ clusterToken: "another" });
    expect(error.code).toBe("dataDirectory");
    expect(error.message).toMatch(
      /^\S+\/data belongs to cluster [0-9a-f]{32}, this node to [0-9a-f]{32}\. Nothing was changed; check the directory, the founders and the cluster token$/,
    );
  });
});

test("a directory of another node of the same cluster", async () => {
  const [other = 0] = await freePorts(1);
  const cluster = [
    { name: "a", address: `127.0.0.1:${port}` },
    { name: "b", address: `127.0.0.1:${other}` },
  ];
  await (await opened({ cluster })).close();
  await unchanged(options().directory, async () => {
    const error = await refused({ cluster, id: "b" });
    expect(error.code).toBe("dataDirectory");
    expect(error.message).toMatch(
      /^\S+\/data belongs to node a, this is b\. Nothing was changed; check the directory, the founders and the cluster token$/,
    );
  });
});

test("a directory of a newer format", async () => {
  const directory = await past();
  const path = join(directory, "identity");
  const identity = readFileSync(path);
  for (const copy of [0, 4096]) {
    identity.writeUInt16LE(7, copy + 4);
    // A newer version's own fields: one more at the end, under a checksum that fits.
    const length = identity.readUInt32LE(copy + 6) + 1;
    identity.writeUInt32LE(length, copy + 6);
    identity.writeUInt32LE(crc32c(identity, copy + 14, copy + 14 + length), copy + 10);
  }
  writeFileSync(path, identity);
  await unchanged(directory, async () => {
    const error = await refused({});
    expect(error.code).toBe("dataDirectory");
    expect(error.message).toMatch(
      /^\S+\/data has format 7, and this version reads up to 2: start it with the version that wrote it, or a newer one\. Nothing was changed$/,
    );
  });
});

test("a segment of a newer format, beside a half-made one", async () => {
  const directory = await past();
  const name = present(
    readdirSync(join(directory, "log")).find((each) => each.endsWith(".segment")),
    "segment",
  );
  const segment = readFileSync(join(directory, "log", name));
  segment.writeUInt16LE(7, 4);
  writeFileSync(join(directory, "log", name), segment);
  writeFileSync(join(directory, "log", "prepared.tmp"), "left by a kill");
  await unchanged(directory, async () => {
    const error = await refused({});
    expect(error.code).toBe("dataDirectory");
    expect(error.message).toMatch(
      /^\S*log\/\S+\.segment has format 7, this version reads up to 2: upgrade this node\. Nothing was changed$/,
    );
  });
});

test("a directory that is damaged: the identity or the log is gone", async () => {
  const directory = await past();
  const identity = readFileSync(join(directory, "identity"));
  rmSync(join(directory, "identity"));
  await unchanged(directory, async () => {
    const error = await refused({});
    expect(error.code).toBe("dataDirectory");
    expect(error.message).toMatch(/holds a log but no identity: .*Remove this member from the cluster, keep the directory aside/);
  });
  writeFileSync(join(directory, "identity"), identity);
  for (const name of readdirSync(join(directory, "log"))) rmSync(join(directory, "log", name));
  await unchanged(directory, async () => {
    const error = await refused({});
    expect(error.code).toBe("dataDirectory");
    expect(error.message).toMatch(/was started 1 times, but its log is gone, and with it the votes it gave\. Remove this member/);
  });
});

test("a directory below a file, and one where none can be made", async () => {
  writeFileSync(join(folder, "file"), "");
  const before = contents(folder);
  const below = await refused({ directory: join(folder, "file", "data") });
  expect(below.code).toBe("dataDirectory");
  expect(below.message).toMatch(/^mkdir \S+\/file\/data: ENOTDIR a part of the path is a file; choose another directory$/);
  const file = await refused({ directory: join(folder, "file") });
  expect(file.code).toBe("dataDirectory");
  expect(file.message).toMatch(/^mkdir \S+\/file: ENOTDIR a part of the path is a file; choose another directory$/);
  expect(contents(folder)).toEqual(before);
  if (process.platform !== "linux") return;
  const nowhere = await refused({ directory: "/proc/quorate/data" });
  expect(nowhere.code).toBe("dataDirectory");
  expect(nowhere.message).toMatch(/^mkdir \/proc\/quorate\/data: ENOENT no folder can be made there; choose another directory$/);
});

test("an address that is in use", async () => {
  const directory = await past();
  const server = createServer();
  open.push(server);
  await new Promise<void>((listening) => server.listen(port, "127.0.0.1", listening));
  await unchanged(directory, async () => {
    const error = await refused({});
    expect(error.code).toBe("address");
    expect(error.message).toBe(
      `the address 127.0.0.1:${port} is in use: another process listens there; stop it, or give this node another address to listen on`,
    );
  });
});

test("an entry over maxEntryBytes", async () => {
  const node = await opened({ maxEntryBytes: 1000 });
  await node.propose(new Uint8Array(1000));
  // What the node itself still writes: nothing, once the commit index of the last entry is in the log as well.
  await until(
    () => node.status().durableIndex === node.status().commitIndex,
    () => "the log to be quiet",
  );
  const before = contents(options().directory);
  const error = await node.propose(new Uint8Array(1001)).then(
    () => expect.fail("it was taken"),
    (refusal: unknown) => refusal,
  );
  expect(error).toMatchObject({ code: "tooLarge", outcome: "not-executed", retry: "never" });
  expect((error as Error).message).toBe(
    "the command has 1001 bytes, more than maxEntryBytes (1000): split it, or raise maxEntryBytes on every node",
  );
  expect(contents(options().directory)).toEqual(before);
  await node.propose(new Uint8Array(1000));
});
