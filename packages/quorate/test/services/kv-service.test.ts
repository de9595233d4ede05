/** The services of one server: answers, headers, and etcd's very words for what is refused. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GrpcCode } from "../../src/services/index.js";
import {
  decodePutResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type PutRequest,
  type RangeRequest,
} from "../../src/store/index.js";
import { type Answer, call, frame, openSingle, type Single } from "./single.js";

const bytes = (text: string): Uint8Array => Buffer.from(text);
const EMPTY = new Uint8Array(0);

const put = (key: string, value: string | Uint8Array, more: Partial<PutRequest> = {}): PutRequest => ({
  key: bytes(key),
  value: typeof value === "string" ? bytes(value) : value,
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
  ...more,
});

const range = (key: string, more: Partial<RangeRequest> = {}): RangeRequest => ({
  key: bytes(key),
  rangeEnd: EMPTY,
  limit: 0,
  revision: 0,
  sortOrder: 0,
  sortTarget: 0,
  serializable: false,
  keysOnly: false,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
  ...more,
});

let single: Single;
beforeAll(async () => {
  single = await openSingle();
});
afterAll(() => single.close());

const kv = (method: string, request: Uint8Array): Promise<Answer> =>
  call(single.port, `/etcdserverpb.KV/${method}`, frame(request));

async function refused(method: string, request: Uint8Array, code: number, text: string): Promise<void> {
  const answer = await kv(method, request);
  expect({ code: answer.code, text: answer.text }).toEqual({ code, text });
  expect(answer.message).toHaveLength(0);
}

describe("KV", () => {
  test("answers carry cluster, member, revision and term", async () => {
    const status = single.server.node.status();
    const { header } = decodePutResponse((await kv("Put", encodePutRequest(put("header", "x")))).message);
    expect(header.clusterId).toBe(BigInt(`0x${status.clusterId.slice(0, 16)}`));
    expect(header.memberId).toBe(BigInt(`0x${status.incarnation}`));
    expect(header.raftTerm).toBe(status.currentTerm);
    const next = decodePutResponse((await kv("Put", encodePutRequest(put("header", "y", { prevKv: true })))).message);
    expect(next.header.revision).toBe(header.revision + 1);
    expect(Buffer.from(next.response.prevKv?.value ?? EMPTY).toString()).toBe("x");
    for (const serializable of [false, true]) {
      const read = decodeRangeResponse((await kv("Range", encodeRangeRequest(range("header", { serializable })))).message);
      expect(read.header).toEqual(next.header);
      expect(read.response.count).toBe(1);
    }
  });

  test("requests that make no sense are refused in etcd's words, and change nothing", async () => {
    const before = decodeRangeResponse((await kv("Range", encodeRangeRequest(range("nothing")))).message).header.revision;
    const { INVALID_ARGUMENT, OUT_OF_RANGE, NOT_FOUND } = GrpcCode;
    await refused("Put", encodePutRequest(put("", "x")), INVALID_ARGUMENT, "etcdserver: key is not provided");
    await refused("Range", encodeRangeRequest(range("")), INVALID_ARGUMENT, "etcdserver: key is not provided");
    await refused(
      "DeleteRange",
      encodeDeleteRangeRequest({ key: EMPTY, rangeEnd: EMPTY, prevKv: false }),
      INVALID_ARGUMENT,
      "etcdserver: key is not provided",
    );
    await refused(
      "Put",
      encodePutRequest(put("k", new Uint8Array(1_572_865))),
      INVALID_ARGUMENT,
      "etcdserver: request is too large",
    );
    await refused(
      "Put",
      encodePutRequest(put("k", "v", { ignoreValue: true })),
      INVALID_ARGUMENT,
      "etcdserver: value is provided",
    );
    await refused(
      "Put",
      encodePutRequest(put("absent", "", { ignoreValue: true })),
      INVALID_ARGUMENT,
      "etcdserver: key not found",
    );
    await refused("Put", encodePutRequest(put("k", "v", { lease: 7n })), NOT_FOUND, "etcdserver: requested lease not found");
    await refused("Range", encodeRangeRequest(range("k", { sortOrder: 9 })), INVALID_ARGUMENT, "etcdserver: invalid sort option");
    await refused(
      "Range",
      encodeRangeRequest(range("k", { revision: 1_000_000 })),
      OUT_OF_RANGE,
      "etcdserver: mvcc: required revision is a future revision",
    );
    const twice = [0, 1].map(() => ({ kind: "put" as const, request: put("same", "v") }));
    await refused(
      "Txn",
      encodeTxnRequest({ compare: [], success: twice, failure: [] }),
      INVALID_ARGUMENT,
      "etcdserver: duplicate key given in txn request",
    );
    const many = Array.from({ length: 129 }, (_, place) => ({ kind: "put" as const, request: put(`k${place}`, "v") }));
    await refused(
      "Txn",
      encodeTxnRequest({ compare: [], success: many, failure: [] }),
      INVALID_ARGUMENT,
      "etcdserver: too many operations in txn request",
    );
    await refused(
      "Compact",
      encodeCompactionRequest({ revision: 1_000_000, physical: false }),
      OUT_OF_RANGE,
      "etcdserver: mvcc: required revision is a future revision",
    );
    const after = decodeRangeResponse((await kv("Range", encodeRangeRequest(range("nothing")))).message).header.revision;
    expect(after).toBe(before);
  });

  test("a message above the receive limit is refused before it is read", async () => {
    const answer = await kv("Put", new Uint8Array(2 * 1024 * 1024 + 1));
    expect([GrpcCode.RESOURCE_EXHAUSTED, null]).toContain(answer.code);
    expect((await kv("Range", encodeRangeRequest(range("k")))).code).toBe(0);
  });

  test("a transaction answers with the branch it took, and compaction takes old revisions away", async () => {
    await kv("Put", encodePutRequest(put("t", "1")));
    const compare = [{ result: 0, target: 3, key: bytes("t"), rangeEnd: EMPTY, number: 0, value: bytes("1"), lease: 0n }];
    const success = [
      { kind: "put" as const, request: put("t", "2") },
      { kind: "range" as const, request: range("t") },
    ];
    const first = decodeTxnResponse((await kv("Txn", encodeTxnRequest({ compare, success, failure: [] }))).message);
    expect(first.response.succeeded).toBe(true);
    expect(first.response.responses.map(({ kind }) => kind)).toEqual(["put", "range"]);
    const { revision } = first.header;
    expect((await kv("Compact", encodeCompactionRequest({ revision, physical: true }))).code).toBe(0);
    await refused(
      "Range",
      encodeRangeRequest(range("t", { revision: revision - 1 })),
      GrpcCode.OUT_OF_RANGE,
      "etcdserver: mvcc: required revision has been compacted",
    );
    await refused(
      "Compact",
      encodeCompactionRequest({ revision, physical: false }),
      GrpcCode.OUT_OF_RANGE,
      "etcdserver: mvcc: required revision has been compacted",
    );
  });
});

describe("the rest of the client port", () => {
  test("health, version, and what is not there", async () => {
    const base = `http://127.0.0.1:${single.port}`;
    const health = await fetch(`${base}/health`);
    expect([health.status, await health.text()]).toEqual([200, '{"health":"true","reason":""}']);
    expect(await (await fetch(`${base}/version`)).json()).toEqual({
      etcdserver: "3.6.0",
      etcdcluster: "3.6.0",
      storage: "3.6.0",
    });
    expect((await fetch(`${base}/nothing`)).status).toBe(404);
    expect((await fetch(`${base}/health`, { method: "POST" })).status).toBe(405);
    const serving = await call(single.port, "/grpc.health.v1.Health/Check", frame(EMPTY));
    expect([serving.code, ...serving.message]).toEqual([0, 8, 1]);
    const unknown = await call(single.port, "/grpc.health.v1.Health/Check", frame(Buffer.from([10, 1, 120])));
    expect(unknown.code).toBe(GrpcCode.NOT_FOUND);
  });

  test("methods and services that are not there are unimplemented; what is no gRPC gets plain HTTP", async () => {
    expect(await call(single.port, "/etcdserverpb.KV/Nothing", frame(EMPTY))).toMatchObject({
      code: GrpcCode.UNIMPLEMENTED,
      text: "unknown method Nothing for service etcdserverpb.KV",
    });
    expect(await call(single.port, "/etcdserverpb.Watch/Watch", frame(EMPTY))).toMatchObject({
      code: GrpcCode.UNIMPLEMENTED,
      text: "unknown service etcdserverpb.Watch",
    });
    expect(await call(single.port, "/etcdserverpb.KV/Put", frame(EMPTY), { "content-type": "text/plain" })).toMatchObject({
      httpStatus: 415,
      code: null,
    });
    expect((await call(single.port, "/etcdserverpb.KV/Put", frame(EMPTY), { "grpc-timeout": "soon" })).code).toBe(
      GrpcCode.INTERNAL,
    );
  });
});

test("a member that is not founded yet says Unavailable within the client's deadline, and stops cleanly", async () => {
  const lonely = await openSingle(false);
  try {
    for (const [method, request] of [
      ["Put", encodePutRequest(put("k", "v"))],
      ["Range", encodeRangeRequest(range("k"))],
    ] as const) {
      const answer = await call(lonely.port, `/etcdserverpb.KV/${method}`, frame(request), { "grpc-timeout": "300m" });
      expect([GrpcCode.UNAVAILABLE, GrpcCode.DEADLINE_EXCEEDED]).toContain(answer.code);
    }
    const status = await call(lonely.port, "/etcdserverpb.Maintenance/Status", frame(EMPTY));
    expect(status.code).toBe(GrpcCode.UNAVAILABLE);
    const moved = await call(lonely.port, "/etcdserverpb.Maintenance/MoveLeader", frame(EMPTY));
    expect([moved.code, moved.text]).toEqual([GrpcCode.FAILED_PRECONDITION, "etcdserver: not leader"]);
    expect((await fetch(`http://127.0.0.1:${lonely.port}/health`)).status).toBe(503);
  } finally {
    await lonely.close();
  }
});
