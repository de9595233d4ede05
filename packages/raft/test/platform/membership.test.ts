/** Members come and go on real nodes: disks, sockets and clocks of this machine, in one process. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type MembershipProgress, openRaftNode, type RaftNode, type StateMachine } from "../../src/index.js";

/** Remembers all commands, in order. */
class Journal implements StateMachine {
  lines: string[] = [];
  readonly #pieces: Uint8Array[] = [];

  apply(entries: Parameters<StateMachine["apply"]>[0]): Uint8Array[] {
    return entries.map(({ data }) => {
      this.lines.push(Buffer.from(data).toString());
      return new Uint8Array(0);
    });
  }

  *snapshot(): Generator<Uint8Array> {
    yield Buffer.from(JSON.stringify(this.lines));
  }

  restore(piece: Uint8Array, last: boolean): void {
    this.#pieces.push(piece);
    if (last) this.lines = JSON.parse(Buffer.concat(this.#pieces).toString()) as string[];
  }
}

async function freeAddresses(count: number): Promise<string[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      await new Promise((resolve) => server.close(resolve));
      return `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
    }),
  );
}

let folder: string;
let addresses: ReadonlyMap<string, string>;
const open = new Map<string, RaftNode<Journal>>();
const FOUNDERS = ["a", "b", "c"] as const;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quorate-members-"));
  const names = ["a", "b", "c", "d", "e", "f"];
  const free = await freeAddresses(names.length);
  addresses = new Map(names.map((name, place) => [name, free[place] ?? ""]));
});

afterEach(async () => {
  await Promise.all([...open.values()].map((node) => node.close()));
  open.clear();
  await rm(folder, { recursive: true, force: true });
});

const addressOf = (name: string): string => addresses.get(name) ?? "";

async function start(
  name: string,
  options: { readonly join?: boolean; readonly directory?: string; readonly address?: string } = {},
): Promise<RaftNode<Journal>> {
  const node = await openRaftNode<Journal>({
    id: name,
    cluster: FOUNDERS.map((founder) => ({ name: founder, address: addressOf(founder) })),
    address: options.address ?? addressOf(name),
    directory: join(folder, options.directory ?? name),
    stateMachine: () => new Journal(),
    snapshotLogEntries: 20,
    trailingEntries: 5,
    ...(options.join !== undefined && { join: options.join }),
  });
  open.set(name, node);
  return node;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!isSo()) {
    if (Date.now() > deadline) {
      const states = [...open].map(([name, node]) => `${name}: ${JSON.stringify(node.status())}`);
      throw new Error(`never came: ${what}\n${states.join("\n")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function write(node: RaftNode<Journal>, ...lines: string[]): Promise<void> {
  for (const line of lines) await node.propose(Buffer.from(line));
}

function get(name: string): RaftNode<Journal> {
  const node = open.get(name);
  if (node === undefined) throw new Error(`${name} is not open`);
  return node;
}

test("all three founders are replaced in one change, and nothing is lost", async () => {
  for (const name of FOUNDERS) await start(name);
  const lines = Array.from({ length: 60 }, (_, place) => `line ${place}`);
  await write(get("b"), ...lines);
  for (const name of ["d", "e", "f"]) await start(name);
  expect(get("d").status()).toMatchObject({ state: "joining", voters: [], members: [] });

  const seen: MembershipProgress[] = [];
  await get("c").membership.replace(
    { remove: [...FOUNDERS], add: ["d", "e", "f"].map((name) => ({ name, address: addressOf(name) })) },
    { onProgress: (progress) => seen.push(progress) },
  );
  await until("the founders know that they left", () => FOUNDERS.every((name) => get(name).status().state === "removed"));
  for (const name of FOUNDERS) {
    await expect(get(name).propose(Buffer.from("x"))).rejects.toMatchObject({ code: "removed", outcome: "not-executed" });
    await get(name).close();
    open.delete(name);
  }
  await write(get("e"), "after");
  for (const name of ["d", "e", "f"]) expect(await get(name).read(({ lines: all }) => [...all])).toEqual([...lines, "after"]);
  expect(get("f").status()).toMatchObject({
    state: "running",
    voters: ["d", "e", "f"],
    configuration: { joint: false, committed: true, staged: null },
  });
  expect(seen.some(({ waitingFor }) => waitingFor.length > 0) || seen.some(({ catchingUp }) => catchingUp.length > 0)).toBe(true);

  // They find each other again without any founder.
  for (const name of ["d", "e", "f"]) await get(name).close();
  for (const name of ["d", "e", "f"]) await start(name);
  await write(get("d"), "again");
  expect(await get("f").read(({ lines: all }) => all.at(-1))).toBe("again");
}, 60_000);

test("a member is added before it runs, by its address alone; and taken back", async () => {
  for (const name of FOUNDERS) await start(name);
  await write(get("a"), "one");
  const added = get("a").membership.add({ address: addressOf("d") });
  await until("it is waited for", () => get("a").status().configuration.staged !== null);
  expect(get("a").status().configuration.staged).toEqual({ promote: [addressOf("d")], remove: [], demote: [] });
  await expect(get("b").membership.remove("c")).rejects.toMatchObject({ code: "changePending", outcome: "not-executed" });
  await start("d");
  await added;
  expect(get("a").status().voters).toEqual(["a", "b", "c", "d"]);
  expect(await get("d").read(({ lines }) => lines.length)).toBe(1);

  // Accepted, and not done: it has not been heard of.
  const first = await get("c").membership.add({ name: "f", address: addressOf("f") }, { waitFor: "committed" });
  expect(get("c").status().configuration).toMatchObject({
    index: first.configurationIndex,
    committed: true,
    staged: { promote: ["f"] },
  });
  await get("a").membership.cancel();
  await get("a").membership.remove("f");

  const never = get("b")
    .membership.add({ name: "e", address: addressOf("e") })
    .catch((error: unknown) => error);
  await until("it is waited for", () => get("a").status().configuration.staged !== null);
  await until("that is committed", () => get("a").status().configuration.committed);
  await get("c").membership.cancel();
  expect(await never).toMatchObject({ code: "changeCancelled", outcome: "not-executed" });
  expect(get("c").status()).toMatchObject({ voters: ["a", "b", "c", "d"], learners: ["e"] });
  await get("c").membership.remove("e");
  expect(get("c").status().learners).toEqual([]);
}, 60_000);

test("a node that lost its disk is removed and added again under its old name", async () => {
  for (const name of FOUNDERS) await start(name);
  await write(get("a"), "one");
  await get("c").close();
  await rm(join(folder, "c"), { recursive: true });
  await start("c", { join: true });
  // It has the name of a member, and is none.
  await until("it was dialled", () =>
    get("a")
      .status()
      .peers.some(({ name, connected }) => name === "c" && connected),
  );
  expect(get("c").status()).toMatchObject({ state: "joining", commitIndex: 0 });
  await expect(get("a").membership.add({ name: "c", address: addressOf("c") })).rejects.toMatchObject({ code: "alreadyMember" });
  await get("a").membership.remove("c");
  await get("b").membership.add({ name: "c", address: addressOf("c") });
  expect(await get("c").read(({ lines }) => [...lines])).toEqual(["one"]);
  expect(get("c").status()).toMatchObject({ state: "running", voters: ["a", "b", "c"] });
  // It is a member like any other: it starts again without being told that it joins.
  await get("c").close();
  await start("c");
  await write(get("c"), "two");
}, 60_000);

test("one that was away while it was removed is told when it comes back", async () => {
  for (const name of FOUNDERS) await start(name);
  await write(get("a"), "one");
  await get("c").close();
  await get("a").membership.remove("c");
  // The leader has given up telling it.
  await start("c");
  await until("it knows", () => get("c").status().state === "removed");
  expect(get("c").status().failure).toMatch(/^this member was removed from the cluster/);
  await write(get("b"), "two");
}, 60_000);

test("one that was away while a member moved to another address answers it there", async () => {
  for (const name of FOUNDERS) await start(name);
  await write(get("a"), "one");
  await get("c").close();
  await get("b").membership.readdress("a", addressOf("d"));
  await get("a").close();
  await start("a", { address: addressOf("d") });
  await write(get("a"), "two");
  // Of those that are up now, only one is where the other believes it to be.
  await get("b").close();
  open.delete("b");
  await start("c");
  await write(get("c"), "three");
  expect(await get("a").read(({ lines }) => [...lines])).toEqual(["one", "two", "three"]);
}, 60_000);

test("a member that answers at the address of a new one does not keep others out", async () => {
  for (const name of FOUNDERS) await start(name);
  await write(get("a"), "one");
  const wrong = get("a")
    .membership.add({ address: addressOf("b") })
    .catch((error: unknown) => error);
  await until("it is waited for", () => get("a").status().configuration.staged !== null);
  await until("that is committed", () => get("a").status().configuration.committed);
  await get("a").membership.cancel();
  expect(await wrong).toMatchObject({ code: "changeCancelled" });
  await start("d");
  await get("a").membership.add({ name: "d", address: addressOf("d") });
  expect(get("a").status()).toMatchObject({ voters: ["a", "b", "c", "d"], learners: [addressOf("b")] });
}, 60_000);

test("bad questions get an answer that names the field", async () => {
  await start("a");
  const { membership } = get("a");
  await expect(membership.add({ address: "nowhere" })).rejects.toMatchObject({ code: "invalidArgument" });
  await expect(membership.remove("a", { timeoutMs: -1 })).rejects.toMatchObject({ code: "invalidArgument" });
  await expect(membership.remove("a", { expectedIndex: -1 })).rejects.toThrow(/expectedIndex is -1/);
  await expect(membership.add({ address: "h:1", incarnation: "xyz" })).rejects.toThrow(/sixteen hexadecimal digits/);
  // Not founded yet.
  await expect(membership.remove("b")).rejects.toMatchObject({ code: "notLeader", outcome: "not-executed" });
});
