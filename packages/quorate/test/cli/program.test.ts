/** What the command line understands, and the one sentence for each thing it does not. */
import { describe, expect, it } from "vitest";
import type { DevPlan } from "../../src/cli/dev-plan.js";
import { CommandFailure } from "../../src/cli/failure.js";
import type { MemberSettings } from "../../src/cli/member/settings.js";
import type { OfflineCommand } from "../../src/cli/offline/commands.js";
import { run } from "../../src/cli/program.js";
import type { ServeSettings } from "../../src/cli/serve-options.js";
import type { SimulateSettings } from "../../src/cli/simulate/settings.js";

interface Said {
  code: number;
  out: string;
  error: string;
  served: { settings: ServeSettings; jsonStatus: boolean }[];
  planned: DevPlan[];
  asked: { endpoints: readonly string[]; timeoutMs: number }[];
  members: MemberSettings[];
  simulated: SimulateSettings[];
  offline: OfflineCommand[];
}

async function say(words: readonly string[], serveThrows?: unknown): Promise<Said> {
  const said: Said = {
    code: -1,
    out: "",
    error: "",
    served: [],
    planned: [],
    asked: [],
    members: [],
    simulated: [],
    offline: [],
  };
  said.code = await run(
    words,
    {
      serve: async (settings, jsonStatus) => {
        if (serveThrows !== undefined) throw serveThrows as Error;
        said.served.push({ settings, jsonStatus });
        return 0;
      },
      dev: async (plan) => {
        said.planned.push(plan);
        return 0;
      },
      status: async (endpoints, timeoutMs) => {
        said.asked.push({ endpoints, timeoutMs });
        return 1;
      },
      simulate: async (settings) => {
        said.simulated.push(settings);
        return 0;
      },
      member: async (settings) => {
        said.members.push(settings);
        return 0;
      },
      check: () => Promise.reject(new Error("see check.test.ts")),
      offline: async (command) => {
        said.offline.push(command);
        return 0;
      },
    },
    {
      out: (text) => {
        said.out += text;
      },
      error: (text) => {
        said.error += text;
      },
    },
  );
  return said;
}

const CLUSTER = "a=127.0.0.1:2380,b=127.0.0.1:22380,c=127.0.0.1:32380";
const SERVE = ["serve", "--name", "a", "--cluster", CLUSTER, "--data", "./a"];

describe("the commands", () => {
  it("recover makes the new directory beside the old one, and asks; a token is drawn where none is given", async () => {
    const said = await say(["recover", "data/c/", "--name", "c", "--peer-address", "h:1"]);
    const cluster = { name: "c", address: "h:1", token: null };
    expect(said.offline).toEqual([
      { kind: "recover", directory: "data/c/", into: "data/c.recovered", cluster, dropAfter: null, yes: false },
    ]);
  });

  it("help names every command, and each command its options", async () => {
    const help = await say(["--help"]);
    expect(help.code).toBe(0);
    expect(help.error).toBe("");
    for (const word of ["serve", "dev", "status", "member", "simulate", "Examples:"]) expect(help.out).toContain(word);
    const serveHelp = await say(["serve", "--help"]);
    expect(serveHelp.code).toBe(0);
    for (const option of [
      "--name",
      "--cluster",
      "--data",
      "--client-listen",
      "--peer-listen",
      "--peer-address",
      "--join",
      "removed from its cluster",
      "--advertise-client",
      "--cluster-token",
      "--heartbeat-ms",
      "--election-ms",
      "--snapshot-entries",
      "--segment-bytes",
      "--json-status",
    ]) {
      expect(serveHelp.out).toContain(option);
    }
  });

  it("simulate: as many seeds as asked for, or one, or as long as asked for", async () => {
    const plain = await say(["simulate", "--jobs", "2", "--first-seed", "7"]);
    expect(plain.simulated).toMatchObject([{ seeds: 100, minutes: null, firstSeed: 7, nodes: null, jobs: 2, coverage: false }]);
    const one = await say(["simulate", "--seed", "42", "--nodes", "5"]);
    expect(one.simulated).toMatchObject([{ seeds: 1, firstSeed: 42, nodes: 5 }]);
    const long = await say(["simulate", "--minutes", "60", "--coverage"]);
    expect(long.simulated).toMatchObject([{ seeds: null, minutes: 60, coverage: true }]);
    expect(long.simulated[0]?.firstSeed).toBeGreaterThan(0);
  });

  it.each([
    [["--seed", "1", "--minutes", "2"], /--seed runs that one seed: leave out/],
    [["--nodes", "8"], /--nodes is "8": it must be a whole number from 1 to 7/],
    [["--seeds", "none"], /--seeds is "none"/],
    [["--workload", "queues"], /--workload is "queues": it must be one of/],
    [["--jobs", "0"], /--jobs is "0"/],
  ])("simulate %j makes no sense", async (words, sentence) => {
    const said = await say(["simulate", ...words]);
    expect(said).toMatchObject({ code: 2, simulated: [] });
    expect(said.error).toMatch(sentence);
  });

  it("--version prints the version alone", async () => {
    const said = await say(["--version"]);
    expect(said).toMatchObject({ code: 0, error: "" });
    expect(said.out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it("serve: what is not given is left to the server", async () => {
    const { code, served } = await say(SERVE);
    expect(code).toBe(0);
    expect(served).toEqual([
      {
        jsonStatus: false,
        settings: {
          name: "a",
          cluster: [
            { name: "a", address: "127.0.0.1:2380" },
            { name: "b", address: "127.0.0.1:22380" },
            { name: "c", address: "127.0.0.1:32380" },
          ],
          directory: "./a",
          listenClient: "127.0.0.1:2379",
          advertiseClient: "http://127.0.0.1:2379",
        },
      },
    ]);
  });

  it("serve: everything given arrives", async () => {
    const addresses = "--client-listen 0.0.0.0:1 --advertise-client http://h:1/ --peer-listen [::1]:9 --cluster-token t";
    const numbers = "--heartbeat-ms 50 --election-ms 500 --snapshot-entries 10 --snapshot-bytes 2048 --trailing-entries 0";
    const { code, served } = await say([...SERVE, ...`${addresses} ${numbers} --segment-bytes 65536 --json-status`.split(" ")]);
    expect(code).toBe(0);
    expect(served[0]).toMatchObject({
      jsonStatus: true,
      settings: {
        listenClient: "0.0.0.0:1",
        advertiseClient: "http://h:1",
        listenPeer: "[::1]:9",
        clusterToken: "t",
        heartbeatIntervalMs: 50,
        electionTimeoutMs: 500,
        snapshotLogEntries: 10,
        snapshotLogBytes: 2048,
        trailingEntries: 0,
        segmentBytes: 65_536,
      },
    });
  });

  it("serve: a node that joins, and a founder that comes back with an empty disk or from another address", async () => {
    const joins = await say([...SERVE, "--name", "d", "--join", "--peer-address", "10.0.0.4:2380"]);
    expect(joins.served[0]?.settings).toMatchObject({ name: "d", join: true, peerAddress: "10.0.0.4:2380" });
    expect((await say([...SERVE, "--join"])).served[0]?.settings).toMatchObject({ name: "a", join: true });
    const moved = await say([...SERVE, "--peer-address", "10.0.0.4:2380"]);
    expect(moved.served[0]?.settings).toMatchObject({ name: "a", peerAddress: "10.0.0.4:2380" });
    expect(moved.served[0]?.settings).not.toHaveProperty("join");
  });

  it("dev: three nodes on the ports of etcd's own example", async () => {
    const { planned } = await say(["dev", "--data", "/tmp/x"]);
    expect(planned[0]?.nodes).toEqual([
      { name: "a", clientAddress: "127.0.0.1:2379", peerAddress: "127.0.0.1:2380", directory: "/tmp/x/a" },
      { name: "b", clientAddress: "127.0.0.1:22379", peerAddress: "127.0.0.1:22380", directory: "/tmp/x/b" },
      { name: "c", clientAddress: "127.0.0.1:32379", peerAddress: "127.0.0.1:32380", directory: "/tmp/x/c" },
    ]);
  });

  it("dev: five nodes at the highest base still have ports", async () => {
    const { planned } = await say(["dev", "--nodes", "5", "--base-client-port", "15535", "--base-peer-port", "15534"]);
    expect(planned[0]?.nodes.map(({ clientAddress }) => clientAddress).at(-1)).toBe("127.0.0.1:65535");
  });

  it("status: endpoints with and without http://, and the exit code of the action", async () => {
    const { code, asked } = await say(["status", "--endpoints", "127.0.0.1:2379,http://localhost:22379/", "--timeout-ms", "5"]);
    expect(code).toBe(1);
    expect(asked).toEqual([{ endpoints: ["127.0.0.1:2379", "localhost:22379"], timeoutMs: 5 }]);
  });
});

describe("member: what is asked of the cluster", () => {
  const asked = async (...words: string[]) => (await say(["member", ...words])).members[0];

  it.each([
    [["list"], null],
    [["add", "h:1"], { kind: "add", members: [{ address: "h:1" }], learner: false }],
    [["add", "h:1", "--name", "d", "--learner"], { kind: "add", members: [{ address: "h:1", name: "d" }], learner: true }],
    [["remove", "a", "b"], { kind: "remove", names: ["a", "b"] }],
    [
      ["replace", "--remove", "a, b", "--add", "h:1,d=[::1]:2"],
      { kind: "replace", remove: ["a", "b"], add: [{ address: "h:1" }, { address: "[::1]:2", name: "d" }] },
    ],
    [["promote", "d"], { kind: "promote", names: ["d"] }],
    [["demote", "a"], { kind: "demote", names: ["a"] }],
    [["cancel"], { kind: "cancel" }],
    [["wait"], { kind: "wait" }],
  ])("%j", async (words, change) => {
    expect(await asked(...words)).toEqual({
      endpoints: ["127.0.0.1:2379"],
      timeoutMs: change === null ? 3000 : 60_000,
      change,
    });
  });

  it("where, and for how long", async () => {
    expect(await asked("wait", "--endpoints", "h:1,http://h:2", "--timeout-ms", "5")).toMatchObject({
      endpoints: ["h:1", "h:2"],
      timeoutMs: 5,
    });
  });
});

describe("bad input: one sentence, exit code 2, nothing done", () => {
  const without = (option: string): string[] => {
    const at = SERVE.indexOf(option);
    return [...SERVE.slice(0, at), ...SERVE.slice(at + 2)];
  };
  it.each([
    [["srve"], "unknown command 'srve' (did you mean serve?); see quorate --help"],
    [["nonsense"], "unknown command 'nonsense'; see quorate --help"],
    [["dev", "--node", "3"], "unknown option '--node' (did you mean --nodes?); see quorate --help"],
    [["--nonsense"], "unknown option '--nonsense'; see quorate --help"],
    [["dev", "here"], "too many arguments for 'dev', expected 0 arguments but got 1; see quorate --help"],
    [without("--name"), "required option '--name <name>' not specified; see quorate --help"],
    [without("--data"), "required option '--data <directory>' not specified; see quorate --help"],
    [[...SERVE, "--cluster"], "option '--cluster <members>' argument missing; see quorate --help"],
    [
      [...SERVE, "--name", "d"],
      '--name is "d", which is not in --cluster (a, b, c): give one of these; or, for a node that joins the running cluster, --join and --peer-address host:port',
    ],
    [
      [...SERVE, "--name", "d", "--join"],
      '--join is given, and --name "d" is not in --cluster (a, b, c): say with --peer-address host:port where its peers reach this node',
    ],
    [
      [...SERVE, "--name", "d", "--peer-address", "127.0.0.1:4"],
      '--name is "d", which is not in --cluster (a, b, c): give one of these; or, for a node that joins the running cluster, --join and --peer-address host:port',
    ],
    [
      [...SERVE, "--peer-address", "d"],
      '--peer-address is "d": write it as host:port, with a port from 1 to 65535, like 127.0.0.1:2379',
    ],
    [
      [...SERVE, "--cluster", "a=127.0.0.1"],
      '--cluster has the part "a=127.0.0.1": write each member as name=host:port, joined by commas, like a=10.0.0.1:2380,b=10.0.0.2:2380,c=10.0.0.3:2380',
    ],
    [
      [...SERVE, "--cluster", "a=http://127.0.0.1:2380"],
      '--cluster has the part "a=http://127.0.0.1:2380": write each member as name=host:port, joined by commas, like a=10.0.0.1:2380,b=10.0.0.2:2380,c=10.0.0.3:2380',
    ],
    [[...SERVE, "--cluster", "a=h:1,a=h:2"], '--cluster has the name "a" twice: each member has its own'],
    [[...SERVE, "--cluster", "a=h:1,b=h:1"], '--cluster has the address "h:1" twice: each member has its own'],
    [
      [...SERVE, "--client-listen", "2379"],
      '--client-listen is "2379": write it as host:port, with a port from 1 to 65535, like 127.0.0.1:2379',
    ],
    [
      [...SERVE, "--client-listen", "h:65536"],
      '--client-listen is "h:65536": write it as host:port, with a port from 1 to 65535, like 127.0.0.1:2379',
    ],
    [
      [...SERVE, "--client-listen", "0.0.0.0:2379"],
      '--client-listen is "0.0.0.0:2379", which is every address of this machine: say with --advertise-client at which URL clients reach this node, like http://10.0.0.1:2379',
    ],
    [
      [...SERVE, "--peer-listen", "h:0"],
      '--peer-listen is "h:0": write it as host:port, with a port from 1 to 65535, like 127.0.0.1:2379',
    ],
    [
      [...SERVE, "--advertise-client", "h:2379"],
      '--advertise-client is "h:2379": write it as a URL with a port and no path, like http://10.0.0.1:2379',
    ],
    [[...SERVE, "--data", ""], "--data is empty: name the directory that holds this node's data"],
    [[...SERVE, "--heartbeat-ms", "fast"], '--heartbeat-ms is "fast": it must be a whole number of at least 0'],
    [[...SERVE, "--segment-bytes", "1e6"], '--segment-bytes is "1e6": it must be a whole number of at least 0'],
    [["dev", "--nodes", "0"], '--nodes is "0": it must be a whole number from 1 to 5'],
    [["dev", "--nodes", "6"], '--nodes is "6": it must be a whole number from 1 to 5'],
    [["dev", "--base-client-port", "60000"], '--base-client-port is "60000": it must be a whole number from 1 to 15535'],
    [
      ["dev", "--base-client-port", "12380"],
      "--base-client-port is 12380 and --base-peer-port is 2380: nodes would share ports; make them differ by something that is not a multiple of 10000",
    ],
    [
      ["status", "--endpoints", "nowhere"],
      '--endpoints is "nowhere": write it as host:port, with a port from 1 to 65535, like 127.0.0.1:2379',
    ],
    [
      ["status", "--endpoints", "https://h:1"],
      '--endpoints has "https://h:1": TLS is not spoken yet; give the plain port as http://host:port or host:port',
    ],
    [["log", "inspect", "./a", "--from", "0"], '--from is "0": it must be a whole number of at least 1'],
    [["log", "inspect", "./a", "--from", "9", "--to", "3"], "--from is 9 and --to is 3: give them in this order"],
    [["backup", "./a"], "the file is missing: say where the backup is to be written"],
    [
      ["restore", "f", "--name", "a", "--cluster", CLUSTER, "--data", "./a"],
      `--cluster is "${CLUSTER}": a restored cluster begins with one member, --name a; the others are added when it runs (quorate member add)`,
    ],
    [
      ["recover", "./a", "--name", "a", "--peer-address", "h"],
      '--peer-address is "h": write it as host:port, with a port from 1 to 65535, like 127.0.0.1:2379',
    ],
    [
      ["recover", "./a", "--name", "a", "--peer-address", "h:1", "--drop-after", "x"],
      '--drop-after is "x": it must be a whole number of at least 0',
    ],
    [
      ["member", "add", "d"],
      'the member\'s address is "d": write it as host:port, with a port from 1 to 65535, like 127.0.0.1:2379',
    ],
    [["member", "add"], "missing required argument 'host:port'; see quorate --help"],
    [["member", "remove"], "missing required argument 'name'; see quorate --help"],
    [["member", "remove", ""], 'a name is "": a member\'s name has 1 to 64 bytes, this has 0'],
    [["member", "replace", "--add", "h:1"], "required option '--remove <names>' not specified; see quorate --help"],
    [
      ["member", "replace", "--remove", "a", "--add", "d=h"],
      '--add is "h": write it as host:port, with a port from 1 to 65535, like 127.0.0.1:2379',
    ],
    [["member", "lst"], "unknown command 'lst' (did you mean list?); see quorate --help"],
    [["member", "wait", "--timeout-ms", "soon"], '--timeout-ms is "soon": it must be a whole number from 1 to 86400000'],
    [["status", "--timeout-ms", "0"], '--timeout-ms is "0": it must be a whole number from 1 to 600000'],
  ])("%j", async (words, sentence) => {
    const said = await say(words);
    expect(said).toEqual({
      code: 2,
      out: "",
      error: `quorate: ${sentence}\n`,
      served: [],
      planned: [],
      asked: [],
      members: [],
      simulated: [],
      offline: [],
    });
  });

  it("no command at all: the help, on standard error", async () => {
    const said = await say([]);
    expect(said).toMatchObject({ code: 2, out: "" });
    expect(said.error).toContain("Usage: quorate");
  });

  it("what was given is cut short in the sentence", async () => {
    expect((await say([...SERVE, "--client-listen", "x".repeat(10_000)])).error.length).toBeLessThan(200);
  });
});

describe("failures from below", () => {
  class Below extends Error {
    readonly code: string;
    readonly outcome = "not-executed";
    constructor(code: string, message: string) {
      super(message);
      this.code = code;
    }
  }
  const system = (fields: Readonly<Record<string, unknown>>): Error =>
    Object.assign(new Error("raw text"), { syscall: "x" }, fields);

  it.each([
    [
      "an option out of its range, in the words of the command line",
      new Below(
        "invalidArgument",
        "heartbeatIntervalMs is 900: it must be at most half of electionTimeoutMs (1000), or one late heartbeat starts an election",
      ),
      2,
      "--heartbeat-ms is 900: it must be at most half of --election-ms (1000), or one late heartbeat starts an election",
    ],
    [
      "a data directory that can't be used",
      new Below("dataDirectory", "the directory /x belongs to node b:\n start it as b"),
      1,
      "the directory /x belongs to node b: start it as b",
    ],
    [
      "a remedy that names a field",
      new Below("address", "clients can't be served at h:1: choose another address with listenClient"),
      1,
      "clients can't be served at h:1: choose another address with --client-listen",
    ],
    [
      "ordinary words that are also fields stay what they are",
      new Below("dataDirectory", "lock /x: another process uses this data directory: stop it; a cluster: and an id is kept"),
      1,
      "lock /x: another process uses this data directory: stop it; a cluster: and an id is kept",
    ],
    [
      "a port in use",
      system({ code: "EADDRINUSE", address: "127.0.0.1", port: 2379 }),
      1,
      "the address 127.0.0.1:2379 is in use: stop the program that listens there, or choose another port",
    ],
    [
      "an unwritable directory",
      system({ code: "EACCES", path: "/root/x" }),
      1,
      "no permission for /root/x: choose another, or change who may use it",
    ],
    ["a failure that the command explains itself", new CommandFailure("it is so"), 1, "it is so"],
  ])("%s", async (_, thrown, code, sentence) => {
    expect(await say(SERVE, thrown)).toMatchObject({ code, out: "", error: `quorate: ${sentence}\n` });
  });

  it("what nobody foresaw is not dressed up", async () => {
    await expect(say(SERVE, new TypeError("a mistake of ours"))).rejects.toThrow("a mistake of ours");
  });
});
