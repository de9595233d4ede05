/** Members come and go through etcd's own calls, in etcd's very words. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { freePorts, until } from "../../../raft/test/proof/processes.js";
import { GrpcCode, openServer, type QuorateServer } from "../../src/services/index.js";
import { idOfAddress } from "../../src/services/members/ids.js";
import { WireReader, WireWriter } from "../../src/store/index.js";
import { type Answer, call, frame, openSingle, type Single } from "./single.js";

interface Member {
  id: bigint;
  name: string;
  peerUrls: string[];
  clientUrls: string[];
  isLearner: boolean;
}

let single: Single;
let folder: string;
let peerB: string;
let portB: number;
let other: QuorateServer | null;

beforeEach(async () => {
  single = await openSingle();
  folder = mkdtempSync(join(tmpdir(), "quorate-changes-"));
  const [peer = 0, client = 0] = await freePorts(2);
  peerB = `127.0.0.1:${peer}`;
  portB = client;
  other = null;
});

afterEach(async () => {
  await other?.close();
  await single.close();
  rmSync(folder, { recursive: true, force: true });
});

function text(reader: WireReader): string {
  return Buffer.from(reader.view()).toString("utf8");
}

function decodeMember(message: Uint8Array): Member {
  const member: Member = { id: 0n, name: "", peerUrls: [], clientUrls: [], isLearner: false };
  const reader = new WireReader(message);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 8) member.id = reader.uint64Exact();
    else if (tag === 18) member.name = text(reader);
    else if (tag === 26) member.peerUrls.push(text(reader));
    else if (tag === 34) member.clientUrls.push(text(reader));
    else if (tag === 40) member.isLearner = reader.bool();
    else reader.skip(tag);
  }
  return member;
}

/** The members in field 2, and those in field 3. */
function decodeMembers(message: Uint8Array): { readonly second: readonly Member[]; readonly third: readonly Member[] } {
  const second: Member[] = [];
  const third: Member[] = [];
  const reader = new WireReader(message);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 18) second.push(decodeMember(reader.view()));
    else if (tag === 26) third.push(decodeMember(reader.view()));
    else reader.skip(tag);
  }
  return { second, third };
}

function request(fields: {
  readonly add?: readonly string[];
  readonly learner?: boolean;
  readonly id?: bigint;
  readonly urls?: readonly string[];
}): Uint8Array {
  const writer = new WireWriter();
  for (const url of fields.add ?? []) writer.bytesField(1, Buffer.from(url));
  if (fields.learner === true) writer.boolField(2, true);
  if (fields.id !== undefined) writer.int64ExactField(1, fields.id);
  for (const url of fields.urls ?? []) writer.bytesField(2, Buffer.from(url));
  return writer.finish();
}

const ask = (method: string, message: Uint8Array): Promise<Answer> =>
  call(single.port, `/etcdserverpb.Cluster/${method}`, frame(message), { "grpc-timeout": "5000m" });

async function done(method: string, message: Uint8Array): Promise<ReturnType<typeof decodeMembers>> {
  const answer = await ask(method, message);
  expect({ code: answer.code, text: answer.text }).toEqual({ code: 0, text: "" });
  return decodeMembers(answer.message);
}

async function refused(method: string, message: Uint8Array, code: number, said: string): Promise<void> {
  const answer = await ask(method, message);
  expect({ code: answer.code, text: answer.text }).toEqual({ code, text: `etcdserver: ${said}` });
}

const list = async (): Promise<readonly Member[]> => (await done("MemberList", request({}))).second;

async function startB(): Promise<QuorateServer> {
  const { cluster } = single;
  other = await openServer({
    name: "b",
    cluster,
    join: true,
    peerAddress: peerB,
    directory: join(folder, "b"),
    listenClient: `127.0.0.1:${portB}`,
    segmentBytes: 1024 * 1024,
    electionTimeoutMs: 200,
    heartbeatIntervalMs: 20,
  });
  return other;
}

test("a voter is added before it runs: listed without a name, and not a second one meanwhile; it can be taken back", async () => {
  const { second, third } = await done("MemberAdd", request({ add: [`http://${peerB}`] }));
  const unstarted = { id: idOfAddress(peerB), name: "", peerUrls: [`http://${peerB}`], clientUrls: [], isLearner: false };
  expect(second).toEqual([unstarted]);
  expect(third).toHaveLength(2);
  expect(await list()).toEqual(expect.arrayContaining([unstarted, expect.objectContaining({ name: "a", isLearner: false })]));
  await refused("MemberAdd", request({ add: [`http://${peerB}`] }), GrpcCode.FAILED_PRECONDITION, "Peer URLs already exists");
  await refused(
    "MemberAdd",
    request({ add: ["http://127.0.0.1:1"] }),
    GrpcCode.FAILED_PRECONDITION,
    "re-configuration failed due to not enough started members",
  );
  await refused(
    "MemberPromote",
    request({ id: unstarted.id }),
    GrpcCode.FAILED_PRECONDITION,
    "can only promote a learner member",
  );
  expect((await ask("MemberUpdate", request({ id: unstarted.id, urls: ["http://127.0.0.1:1"] }))).text).toBe(
    "etcdserver: a member that has not started is known by its address alone: remove it, and add it at the other one",
  );
  expect((await done("MemberRemove", request({ id: unstarted.id }))).second.map(({ name }) => name)).toEqual(["a"]);
  expect(await list()).toHaveLength(1);
});

test.each([
  [[]],
  [["127.0.0.1:2380"]],
  [["https://127.0.0.1:2380"]],
  [["http://127.0.0.1"]],
  [["http://127.0.0.1:0"]],
  [["http://127.0.0.1:2380/x"]],
  [["http://127.0.0.1:2380", "http://127.0.0.1:2381"]],
])("no address of a member: %j", async (add) => {
  await refused("MemberAdd", request({ add }), GrpcCode.INVALID_ARGUMENT, "given member URLs are invalid");
  const [own] = await list();
  await refused(
    "MemberUpdate",
    request({ id: own?.id ?? 0n, urls: add }),
    GrpcCode.INVALID_ARGUMENT,
    "given member URLs are invalid",
  );
});

test("a member that is none, and the last one", async () => {
  for (const method of ["MemberRemove", "MemberPromote"])
    await refused(method, request({ id: 7n }), GrpcCode.NOT_FOUND, "member not found");
  await refused("MemberRemove", request({}), GrpcCode.NOT_FOUND, "member not found");
  await refused("MemberUpdate", request({ id: 7n, urls: ["http://127.0.0.1:1"] }), GrpcCode.NOT_FOUND, "member not found");
  const [own] = await list();
  await refused(
    "MemberRemove",
    request({ id: own?.id ?? 0n }),
    GrpcCode.FAILED_PRECONDITION,
    "re-configuration failed due to not enough started members",
  );
  await refused(
    "MemberPromote",
    request({ id: own?.id ?? 0n }),
    GrpcCode.FAILED_PRECONDITION,
    "can only promote a learner member",
  );
});

test("a learner starts, moves, is promoted when it is in step and not before, and is removed", async () => {
  await done("MemberAdd", request({ add: [`http://${peerB}`], learner: true }));
  const inSync = "can only promote a learner member which is in sync with leader";
  await refused("MemberPromote", request({ id: idOfAddress(peerB) }), GrpcCode.FAILED_PRECONDITION, inSync);

  const b = await startB();
  const memberB = async (): Promise<Member | undefined> => (await list()).find(({ name }) => name === "b");
  await until(
    () => b.node.status().state === "running",
    () => "b to be taken in",
  );
  const { id = 0n } = (await memberB()) ?? {};
  expect(id).toBe(BigInt(`0x${b.node.status().incarnation}`));
  expect(await memberB()).toMatchObject({ peerUrls: [`http://${peerB}`], isLearner: true });
  // The id of before belongs to nobody now.
  await refused("MemberPromote", request({ id: idOfAddress(peerB) }), GrpcCode.NOT_FOUND, "member not found");

  await b.close();
  await refused("MemberPromote", request({ id }), GrpcCode.FAILED_PRECONDITION, inSync);
  expect(single.server.node.status().configuration.staged).toBeNull();
  expect(await memberB()).toMatchObject({ isLearner: true });

  const [moved = 0] = await freePorts(1);
  await done("MemberUpdate", request({ id, urls: [`http://127.0.0.1:${moved}`] }));
  expect(await memberB()).toMatchObject({ id, peerUrls: [`http://127.0.0.1:${moved}`] });
  const [own] = (await list()).filter(({ name }) => name === "a");
  await refused(
    "MemberUpdate",
    request({ id, urls: own?.peerUrls ?? [] }),
    GrpcCode.FAILED_PRECONDITION,
    "Peer URLs already exists",
  );
  await done("MemberUpdate", request({ id, urls: [`http://${peerB}`] }));

  const again = await startB();
  await until(
    () => single.server.node.status().peers.some(({ name, connected }) => name === "b" && connected),
    () => "b to be back",
  );
  await done("MemberPromote", request({ id }));
  expect(await memberB()).toMatchObject({ isLearner: false });
  expect(single.server.node.status().voters).toEqual(["a", "b"]);

  expect((await done("MemberRemove", request({ id }))).second.map(({ name }) => name)).toEqual(["a"]);
  expect(await again.failed).toMatch(/^this member was removed from the cluster/);
});
