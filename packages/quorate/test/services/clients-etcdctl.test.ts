/** Debian's etcdctl 3.4 against every member of a real cluster, before and after its leader is killed with -9. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkBackup } from "@quorate/raft";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePorts, Processes, until } from "../../../raft/test/proof/processes.js";
import { startMember } from "../proof/member-process.js";
import { ClientCluster } from "./clients.js";

const missing = spawnSync("etcdctl", ["version"], { env: { ...process.env, ETCDCTL_API: "3" } }).status !== 0;
if (missing) console.log("skipped: etcdctl is not installed (Debian: etcd-client)");

describe.skipIf(missing)("etcdctl", () => {
  const cluster = new ClientCluster();
  beforeAll(() => cluster.start());
  afterAll(() => cluster.end());

  /** Standard output; throws what it complained of when it failed. */
  function etcdctl(endpoints: readonly string[], words: readonly string[], input = ""): string {
    const ran = spawnSync("etcdctl", [`--endpoints=${endpoints.join(",")}`, ...words], {
      input,
      encoding: "utf8",
      env: { ...process.env, ETCDCTL_API: "3" },
    });
    if (ran.status !== 0) throw new Error(`etcdctl ${words.join(" ")} ended with ${ran.status}: ${ran.stderr}${ran.stdout}`);
    return ran.stdout;
  }

  test("snapshot save gives a backup of ours, whole", async () => {
    const { endpoints } = cluster.servers;
    etcdctl(endpoints, ["put", "saved", "yes"]);
    const folder = mkdtempSync(join(tmpdir(), "quorate-save-"));
    try {
      const file = join(folder, "saved.backup");
      etcdctl(endpoints.slice(0, 1), ["snapshot", "save", file]);
      const { head, entries, last } = await checkBackup(file);
      expect([head.snapshot.index > 0, entries, last]).toEqual([true, 0, head.snapshot]);
      expect(readFileSync(file).includes("saved")).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  interface Header {
    readonly header: { readonly revision: number; readonly member_id: number };
  }

  /** Everything that the issue of a command line promises, on keys of its own. */
  function everything(endpoint: string, prefix: string): void {
    const run = (words: readonly string[], input = ""): string => etcdctl([endpoint], words, input);
    const json = (words: readonly string[]): Header & Record<string, unknown> =>
      JSON.parse(run([...words, "-w", "json"])) as Header & Record<string, unknown>;
    expect(run(["put", `${prefix}/a`, "one"])).toBe("OK\n");
    const { revision } = json(["put", `${prefix}/b`, "two"]).header;
    expect(run(["put", `${prefix}/b`, "three", "--prev-kv"])).toBe(`OK\n${prefix}/b\ntwo\n`);
    expect(run(["get", `${prefix}/b`])).toBe(`${prefix}/b\nthree\n`);
    expect(run(["get", `${prefix}/b`, `--rev=${revision}`])).toBe(`${prefix}/b\ntwo\n`);
    expect(run(["get", `${prefix}/`, "--prefix", "--keys-only"])).toBe(`${prefix}/a\n\n${prefix}/b\n\n`);
    expect(run(["get", `${prefix}/`, "--prefix", "--order=DESCEND", "--limit=1", "--print-value-only"])).toBe("three\n");
    expect(json(["get", `${prefix}/`, "--prefix", "--limit=1"])["count"]).toBe(2);
    expect(run(["get", `${prefix}/a`, "--consistency=s", "--print-value-only"])).toBe("one\n");
    expect(
      run(["txn"], `value("${prefix}/a") = "one"\n\nput ${prefix}/c four\nget ${prefix}/a\n\nput ${prefix}/c wrong\n\n`),
    ).toBe(`SUCCESS\n\nOK\n\n${prefix}/a\none\n`);
    expect(run(["txn"], `mod("${prefix}/nothing") > "0"\n\nput ${prefix}/c wrong\n\nget ${prefix}/c\n\n`)).toBe(
      `FAILURE\n\n${prefix}/c\nfour\n`,
    );
    expect(run(["del", `${prefix}/a`])).toBe("1\n");
    expect(run(["del", `${prefix}/`, "--prefix", "--prev-kv"])).toBe(`2\n${prefix}/b\nthree\n${prefix}/c\nfour\n`);
    expect(run(["del", `${prefix}/a`])).toBe("0\n");
    const now = json(["get", `${prefix}/a`]).header.revision;
    expect(run(["compact", String(now)])).toBe(`compacted revision ${now}\n`);
    expect(() => run(["compact", String(now)])).toThrow(/mvcc: required revision has been compacted/);
    expect(() => run(["get", `${prefix}/b`, `--rev=${revision}`])).toThrow(/mvcc: required revision has been compacted/);
    expect(() => run(["get", `${prefix}/b`, "--rev=999999999"])).toThrow(/mvcc: required revision is a future revision/);
    expect(run(["endpoint", "status"])).toMatch(new RegExp(`^${endpoint.replaceAll(".", "\\.")}, [0-9a-f]+, 3\\.6\\.0, `));
    const members = run(["member", "list"]).trim().split("\n").sort();
    expect(members).toHaveLength(3);
    for (const member of members)
      expect(member).toMatch(/^[0-9a-f]+, started, [abc], http:\/\/127\.0\.0\.1:\d+, http:\/\/127\.0\.0\.1:\d+, false$/);
  }

  test("put, get, del, txn, compact, endpoint status and member list work at every endpoint", () => {
    const { servers } = cluster;
    for (const name of servers.names) everything(servers.endpoint(name), `before/${name}`);
    // This version writes it to standard error.
    const health = spawnSync("etcdctl", [`--endpoints=${servers.endpoints.join(",")}`, "endpoint", "health"], {
      encoding: "utf8",
      env: { ...process.env, ETCDCTL_API: "3" },
    });
    expect(`${health.stdout}${health.stderr}`.match(/is healthy/g)).toHaveLength(3);
    const status = etcdctl(servers.endpoints, ["endpoint", "status"]).trim().split("\n");
    expect(status.filter((line) => line.split(", ")[4] === "true")).toHaveLength(1);
  });

  test("move-leader moves it, and a leader that is told to stop hands over before it goes", async () => {
    const { servers } = cluster;
    const old = await servers.waitForLeader();
    const next = servers.names.find((name) => name !== old) ?? "a";
    const ids = new Map(
      etcdctl(servers.endpoints, ["member", "list"])
        .trim()
        .split("\n")
        .map((line) => line.split(", "))
        .map(([id = "", , name = ""]) => [name, id]),
    );
    const moved = etcdctl(servers.endpoints, ["move-leader", ids.get(next) ?? ""]);
    expect(moved).toBe(`Leadership transferred from ${ids.get(old)} to ${ids.get(next)}\n`);
    await until(
      () => servers.leader() === next,
      () => `${next} to say that it leads`,
    );
    await cluster.settled(servers.names);
    expect(() => etcdctl(servers.endpoints, ["move-leader", "1234"])).toThrow(/etcdserver: bad leader transferee/);

    const rest = servers.names.filter((name) => name !== next);
    const term = servers.report(next)?.term ?? 0;
    expect(await servers.stop(next)).toBe(0);
    await cluster.settled(rest);
    // One term further: there was no election in which the votes were split, and none that began with a timeout.
    expect(servers.report(servers.leader() ?? "a")?.term).toBe(term + 1);
    await cluster.restart(next);
  });

  test("and at those that are left when the leader was killed, and at that one when it is back", async () => {
    const { servers } = cluster;
    etcdctl([servers.endpoint("a")], ["put", "kept", "through all of it"]);
    const { killed, rest } = await cluster.killLeader();
    for (const name of rest) {
      expect(etcdctl([servers.endpoint(name)], ["get", "kept", "--print-value-only"])).toBe("through all of it\n");
      everything(servers.endpoint(name), `after/${name}`);
    }
    await cluster.restart(killed);
    expect(etcdctl([servers.endpoint(killed)], ["get", "kept", "--print-value-only"])).toBe("through all of it\n");
    everything(servers.endpoint(killed), `back/${killed}`);
  });

  interface Listed {
    readonly id: string;
    readonly state: string;
    readonly name: string;
    readonly peers: string;
    readonly learner: boolean;
  }

  function members(endpoints: readonly string[]): readonly Listed[] {
    const lines = etcdctl(endpoints, ["member", "list"]).trim().split("\n");
    return lines.map((line) => {
      const [id = "", state = "", name = "", peers = "", , learner = ""] = line.split(", ");
      return { id, state, name, peers, learner: learner === "true" };
    });
  }

  test("members are added, listed, updated, promoted and removed, as its manual has it", async () => {
    const { servers } = cluster;
    const { endpoints } = servers;
    const run = (...words: string[]): string => etcdctl(endpoints, ["member", ...words]);
    const find = (name: string): Listed | undefined => members(endpoints).find((member) => member.name === name);
    const [peer = 0, client = 0, moved = 0] = await freePorts(3);
    const url = `http://127.0.0.1:${peer}`;

    // First as a voter that never comes, which is taken back.
    expect(run("add", "d", `--peer-urls=${url}`)).toMatch(/^Member +[0-9a-f]+ added to cluster +[0-9a-f]+\n\nETCD_NAME="d"\n/);
    const waiting = find("");
    expect(waiting).toMatchObject({ state: "unstarted", peers: url, learner: false });
    expect(() => run("add", "e", `--peer-urls=${url}`)).toThrow(/Peer URLs already exists/);
    expect(run("remove", waiting?.id ?? "")).toMatch(/^Member +[0-9a-f]+ removed from cluster +[0-9a-f]+\n/);
    expect(members(endpoints)).toHaveLength(3);

    // Then as a learner, which is started.
    run("add", "d", `--peer-urls=${url}`, "--learner");
    expect(find("")).toMatchObject({ state: "unstarted", learner: true });
    expect(() => run("promote", find("")?.id ?? "")).toThrow(/can only promote a learner member which is in sync with leader/);
    const processes = new Processes();
    try {
      const joined = startMember(processes, {
        name: "d",
        cluster: servers.cluster,
        directory: processes.folderOnDisk(),
        client: `127.0.0.1:${client}`,
        joinsAt: `127.0.0.1:${peer}`,
      });
      await until(
        () => joined.report()?.state === "running" && find("d") !== undefined,
        () => `d to be taken in; ${JSON.stringify(joined.report())} ${joined.child.errors.slice(-600)}`,
      );
      const { id = "" } = find("d") ?? {};
      run("update", id, `--peer-urls=http://127.0.0.1:${moved}`);
      expect(find("d")).toMatchObject({ id, peers: `http://127.0.0.1:${moved}` });
      run("update", id, `--peer-urls=${url}`);
      expect(run("promote", id)).toMatch(/^Member +[0-9a-f]+ promoted in cluster +[0-9a-f]+\n/);
      expect(find("d")).toMatchObject({ id, state: "started", learner: false });
      expect(() => run("promote", id)).toThrow(/can only promote a learner member/);
      expect(etcdctl([`127.0.0.1:${client}`], ["get", "kept", "--print-value-only"])).toBe("through all of it\n");
      run("remove", id);
      await joined.child.ended;
      expect(joined.child.end).toEqual({ code: 3, signal: null });
      expect(joined.child.errors).toMatch(
        /quorate: node d was removed from the cluster; its data directory .* can be deleted\n$/,
      );
      expect(() => run("remove", id)).toThrow(/member not found/);
      expect(members(endpoints)).toHaveLength(3);
    } finally {
      await processes.endAll();
    }
  });
});
