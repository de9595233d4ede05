/** `quorate member` against real servers in this process, and against played ones that do what real ones seldom do. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { freePorts, until } from "../../../raft/test/proof/processes.js";
import { memberCommand } from "../../src/cli/member/member.js";
import { renderMembers, renderProgress, stageOf } from "../../src/cli/member/view.js";
import { openServer } from "../../src/services/index.js";
import type { ChangeProgress, MembersView, WantedMemberChange } from "../../src/services/members/protocol.js";
import { openSingle } from "../services/single.js";

const ends: (() => Promise<unknown> | undefined)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Run {
  readonly lines: string[];
  readonly drawn: string[];
  readonly code: Promise<number>;
}

function run(endpoints: readonly string[], change: WantedMemberChange | null, timeoutMs = 30_000, terminal = false): Run {
  const lines: string[] = [];
  const drawn: string[] = [];
  const code = memberCommand(
    { endpoints, timeoutMs, change },
    {
      print: (line) => lines.push(line),
      redraw: terminal ? (line) => drawn.push(line) : null,
      nowMs: () => performance.now(),
    },
  );
  // It is looked at later, maybe after it has failed.
  code.catch(() => {});
  return { lines, drawn, code };
}

async function real() {
  const single = await openSingle();
  ends.push(() => single.close());
  // Until it has committed something, it takes no change from a program that does not ask again.
  await single.server.node.read(() => null);
  const folder = mkdtempSync(join(tmpdir(), "quorate-member-"));
  ends.push(async () => rmSync(folder, { recursive: true, force: true }));
  const [peer = 0, client = 0] = await freePorts(2);
  const startB = async (name = "b") => {
    const server = await openServer({
      name,
      cluster: single.cluster,
      join: true,
      peerAddress: `127.0.0.1:${peer}`,
      directory: join(folder, name),
      listenClient: `127.0.0.1:${client}`,
      segmentBytes: 1024 * 1024,
      electionTimeoutMs: 200,
      heartbeatIntervalMs: 20,
    });
    ends.push(() => server.close());
    return server;
  };
  return {
    single,
    endpoint: `127.0.0.1:${single.port}`,
    addressB: `127.0.0.1:${peer}`,
    endpointB: `127.0.0.1:${client}`,
    startB,
  };
}

describe("quorate member, with real nodes", () => {
  it("add stays until the new member votes, and tells what it waits for; remove by way of the one that is left", async () => {
    const { single, endpoint, addressB, endpointB, startB } = await real();
    const adding = run([endpoint], { kind: "add", members: [{ address: addressB }], learner: false });
    await until(
      () => adding.lines.length > 0,
      () => "a line of progress",
    );
    expect(adding.lines).toEqual([`waits for ${addressB} to start (quorate serve --join)`]);
    const listed = run([endpoint], null);
    expect(await listed.code).toBe(0);
    expect(listed.lines.find((line) => line.startsWith("-"))).toContain("not started, becomes a voter");
    expect(listed.lines.at(-1)).toBe(
      "a change is under way: quorate member wait waits for it, quorate member cancel takes it back",
    );

    const b = await startB();
    expect(await adding.code).toBe(0);
    expect(adding.lines.at(-1)).toMatch(/^done \(configuration \d+\): voters a, b$/);
    await until(
      () => single.server.node.status().voters.length === 2 && b.node.status().voters.length === 2,
      () => "both to know it",
    );

    // Asked by way of b, it is a that is asked in the end, because it leads: only it knows how far the logs are.
    await until(
      () => b.node.status().commitIndex === single.server.node.status().commitIndex,
      () => "b to have caught up",
    );
    const later = run([endpointB], null);
    await later.code;
    expect(later.lines[0]).toMatch(/^NAME +ID +ROLE +PEERS AT +CLIENTS AT +LOG$/);
    expect(later.lines.slice(1)).toEqual([
      expect.stringMatching(/^a +[0-9a-f]+ +leader +127\.0\.0\.1:\d+ +http:\/\/127\.0\.0\.1:\d+ +\d+ of \d+$/),
      expect.stringMatching(/^b +[0-9a-f]+ +voter +127\.0\.0\.1:\d+ .* \d+ of \d+$/),
    ]);

    // The leader leaves by way of itself; what was asked is told all the same.
    const removing = run([endpoint, endpointB], { kind: "remove", names: ["a"] });
    expect(await removing.code).toBe(0);
    expect(removing.lines.at(-1)).toMatch(/^done \(configuration \d+\): voters b$/);
    expect(await single.server.failed).toMatch(/^this member was removed/);
  });

  it("what is refused for the moment is asked again until its time is up", async () => {
    const { endpoint, addressB, single } = await real();
    const { membership } = single.server.node;
    await membership.add({ address: addressB }, { waitFor: "committed" });
    const late = run([endpoint], { kind: "add", members: [{ address: "127.0.0.1:1" }], learner: true }, 700);
    await expect(late.code).rejects.toThrow(
      "not done within 700 ms: another change of the members is not finished: wait for it (quorate member wait) or take it back (quorate member cancel)",
    );
    const patient = run([endpoint], { kind: "remove", names: [addressB] });
    await until(
      () => patient.lines.some((line) => line.startsWith("not yet: another change")),
      () => "the first refusal",
    );
    const cancelling = run([endpoint], { kind: "cancel" });
    expect(await cancelling.code).toBe(0);
    expect(cancelling.lines).toHaveLength(1);
    expect(await patient.code).toBe(0);
    expect(single.server.node.status().members).toHaveLength(1);
  });

  it.each([
    [{ kind: "cancel" }, "no change is under way: there is nothing to take back"],
    [{ kind: "remove", names: ["x"] }, "x is no member: quorate member list shows who is"],
    [{ kind: "promote", names: ["x", "y"] }, "one of x, y is no member: quorate member list shows who is"],
    [{ kind: "promote", names: ["a"] }, "a is a voter already"],
    [{ kind: "remove", names: ["a"] }, "the change would leave no voter"],
    [{ kind: "remove", names: [] }, "that is how it is already"],
    [
      { kind: "add", members: [{ address: "nowhere" }], learner: true },
      /^address of the new member is "nowhere": write it as host:port/,
    ],
  ] as const)("%j is refused", async (change, sentence) => {
    const { endpoint } = await real();
    await expect(run([endpoint], change as unknown as WantedMemberChange).code).rejects.toThrow(sentence);
  });

  it("a member that is needed can't leave while others are down", async () => {
    const { single, endpoint, addressB, startB } = await real();
    const b = await startB();
    await single.server.node.membership.add({ address: addressB });
    await single.server.node.membership.add({ name: "c", address: "127.0.0.1:1" }, { learner: true });
    await b.close();
    await until(
      () => single.server.node.status().peers.every(({ connected }) => !connected),
      () => "b to be missed",
    );
    await expect(run([endpoint], { kind: "remove", names: ["a"] }).code).rejects.toThrow(
      /^a can't leave now: of the voters that would stay \(b\) 1 are needed, and a is connected to none: start the others/,
    );
  });

  it("requests that are none", async () => {
    const { endpoint } = await real();
    const ask = async (path: string, init: RequestInit = {}): Promise<string> => {
      const response = await fetch(`http://${endpoint}/quorate/v1/members${path}`, init);
      return `${response.status} ${(await response.text()).trim()}`;
    };
    expect(await ask("", { method: "POST", body: "x" })).toBe("405 /quorate/v1/members takes GET, not POST");
    expect(await ask("/change")).toBe("405 /quorate/v1/members/change takes POST, not GET");
    expect(await ask("/change", { method: "POST", body: "x" })).toBe("400 the request is not JSON");
    expect(await ask("/change", { method: "POST", body: `{"change":{"kind":"grow"},"timeoutMs":1}` })).toMatch(
      /^400 the request is none: /,
    );
    expect(await ask("/change", { method: "POST", body: "x".repeat(65_537) })).toMatch(/^413 /);
    expect(await ask("/other")).toMatch(/^404 /);
  });
});

// ---- Played nodes ----

const VIEW: MembersView = {
  clusterId: "00000000000000ff",
  answeredBy: "a",
  state: "running",
  leader: { name: "a", clientUrls: [] },
  lastLogIndex: 1234,
  members: [
    {
      name: "a",
      id: "1",
      address: "h:1",
      clientUrls: ["http://h:2"],
      started: true,
      voter: true,
      leader: true,
      connected: true,
      matchIndex: 1234,
    },
    {
      name: "b",
      id: "2",
      address: "h:3",
      clientUrls: [],
      started: true,
      voter: false,
      leader: false,
      connected: false,
      matchIndex: 7,
    },
  ],
  configuration: { index: 9, committed: true, joint: false, staged: null },
};
const WITHOUT_B: MembersView = { ...VIEW, members: VIEW.members.slice(0, 1) };

async function played(
  look: (response: ServerResponse) => void,
  change: (body: string, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => (request.method === "GET" ? look(response) : change(body, response)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => new Promise((resolve) => server.close(resolve)));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const REMOVE_B: WantedMemberChange = { kind: "remove", names: ["b"] };

describe("quorate member, with nodes that fail in the middle", () => {
  it("a connection lost after the change was handed over: it looks, and does not ask twice", async () => {
    let asked = 0;
    let views = 0;
    const endpoint = await played(
      (response) => {
        views += 1;
        response.end(JSON.stringify(views === 1 ? VIEW : WITHOUT_B));
      },
      (_body, response) => {
        asked += 1;
        response.destroy();
      },
    );
    const { code, lines } = run([endpoint], REMOVE_B);
    expect(await code).toBe(0);
    expect(asked).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/^not yet: the connection was /), "done (configuration 9): voters a"]);
  });

  it("… and follows it while it is under way, by waiting and not by asking again", async () => {
    const bodies: unknown[] = [];
    const underWay: MembersView = { ...VIEW, configuration: { ...VIEW.configuration, joint: true } };
    const endpoint = await played(
      (response) => response.end(JSON.stringify(bodies.length === 0 ? VIEW : bodies.length === 1 ? underWay : WITHOUT_B)),
      (body, response) => {
        bodies.push((JSON.parse(body) as { readonly change: unknown }).change);
        if (bodies.length > 1) response.end(`${JSON.stringify({ done: { configurationIndex: 9 } })}\n`);
        else
          response.end(
            `${JSON.stringify({ error: { code: "leadershipLost", message: "the leader was lost", outcome: "unknown", retry: "now" } })}\n`,
          );
      },
    );
    const { code, drawn } = run([endpoint], REMOVE_B, 30_000, true);
    expect(await code).toBe(0);
    expect(bodies).toEqual([REMOVE_B, { kind: "wait" }]);
    expect(drawn).toEqual(["not yet: the leader was lost", ""]);
  });

  it("an answer that can't be read, and one that never comes", async () => {
    const rubbish = await played(
      (response) => response.end("{}"),
      () => {},
    );
    await expect(run([rubbish], null).code).rejects.toThrow(
      `no endpoint answers: ${rubbish}: answers with something that can't be read; give others with --endpoints`,
    );
    const mute = await played(
      () => {},
      () => {},
    );
    await expect(run([mute], null, 200).code).rejects.toThrow(`${mute}: no answer within 200 ms`);
    const none = await played(
      (response) => {
        response.statusCode = 404;
        response.end("404 page not found");
      },
      () => {},
    );
    await expect(run([none], null).code).rejects.toThrow("is no quorate node that knows this command; for an etcd use etcdctl");
  });
});

describe("what it shows", () => {
  it("members, their roles and what becomes of them", () => {
    expect(renderMembers(VIEW)).toEqual([
      "NAME  ID  ROLE     PEERS AT  CLIENTS AT  LOG",
      "a     1   leader   h:1       http://h:2  1,234 of 1,234",
      "b     2   learner  h:3       -           7 of 1,234, not connected",
    ]);
    const staged = { promote: ["b"], remove: ["a"], demote: [] };
    const lines = renderMembers({ ...VIEW, leader: null, configuration: { ...VIEW.configuration, staged } });
    expect(lines[1]).toContain("leader, leaves");
    expect(lines[2]).toContain("learner, becomes a voter");
    expect(lines.slice(3)).toEqual([
      "no leader is known: nothing can be changed until there is one",
      "a change is under way: quorate member wait waits for it, quorate member cancel takes it back",
    ]);
    expect(renderMembers({ ...VIEW, answeredBy: "d", state: "joining", members: [], leader: null }).at(-1)).toBe(
      "d is joining: it knows no members yet",
    );
  });

  const progress = (changes: Partial<ChangeProgress>): ChangeProgress => ({
    configurationIndex: 9,
    committed: true,
    joint: false,
    waitingFor: [],
    catchingUp: [],
    ...changes,
  });
  const learner = { name: "d", matchIndex: 500, lastLogIndex: 1000, receivesSnapshot: false };

  it.each([
    [progress({ catchingUp: [learner] }), "d catches up [###############---------------]  50 % (500 of 1,000 entries)"],
    [
      progress({ catchingUp: [{ ...learner, matchIndex: 0, receivesSnapshot: true }] }),
      "d catches up [------------------------------]   0 % (receives a snapshot)",
    ],
    [
      progress({ catchingUp: [{ ...learner, matchIndex: null }], waitingFor: ["e"] }),
      "waits for e to start (quorate serve --join); d catches up",
    ],
    [progress({ joint: true }), "old and new voters decide together (configuration 9)"],
    [progress({ committed: false }), "configuration 9 waits for a majority"],
    [progress({}), "configuration 9 is committed"],
  ])("%j", (shown, line) => {
    expect(renderProgress(shown, true)).toBe(line);
  });

  it("a pipe gets no bar, and a line for every tenth", () => {
    expect(renderProgress(progress({ catchingUp: [learner] }), false)).toBe("d catches up 50 % (500 of 1,000 entries)");
    const at = (matchIndex: number): string => stageOf(progress({ catchingUp: [{ ...learner, matchIndex }] }));
    expect(at(510)).toBe(at(599));
    expect(at(599)).not.toBe(at(600));
  });
});
