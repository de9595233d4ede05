/** Rubbish on the client port: every piece of it gets a clear refusal, and the server goes on serving. */
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodePutRequest, encodeRangeRequest, encodeTxnRequest } from "../../src/store/index.js";
import { call, frame, openSingle, type Single } from "./single.js";

const METHODS = [
  "/etcdserverpb.KV/Range",
  "/etcdserverpb.KV/Put",
  "/etcdserverpb.KV/DeleteRange",
  "/etcdserverpb.KV/Txn",
  "/etcdserverpb.KV/Compact",
  "/etcdserverpb.Maintenance/Status",
  "/etcdserverpb.Maintenance/MoveLeader",
  "/etcdserverpb.Cluster/MemberList",
  "/etcdserverpb.Cluster/MemberAdd",
  "/etcdserverpb.Cluster/MemberRemove",
  "/etcdserverpb.Cluster/MemberUpdate",
  "/etcdserverpb.Cluster/MemberPromote",
  "/grpc.health.v1.Health/Check",
];
const EMPTY = new Uint8Array(0);
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

const seed = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
console.log(`FUZZ_SEED=${seed}`);
let state = seed >>> 0;
function random(limit: number): number {
  state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
  return ((state ^ (state >>> 13)) >>> 0) % limit;
}
const rubbish = (length: number): Buffer => Buffer.from(Array.from({ length }, () => random(256)));

let single: Single;
const faults: unknown[] = [];
const note = (error: unknown): void => {
  faults.push(error);
};
beforeAll(async () => {
  process.on("unhandledRejection", note);
  process.on("uncaughtException", note);
  single = await openSingle();
});
afterAll(async () => {
  process.off("unhandledRejection", note);
  process.off("uncaughtException", note);
  await single.close();
});

const key = Buffer.from("after the rubbish");
const goodPut = encodePutRequest({
  key,
  value: Buffer.from("fine"),
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
});
const goodRange = encodeRangeRequest({
  key,
  rangeEnd: EMPTY,
  limit: 3,
  revision: 0,
  sortOrder: 1,
  sortTarget: 2,
  serializable: true,
  keysOnly: false,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
});
const goodTxn = encodeTxnRequest({
  compare: [{ result: 0, target: 3, key, rangeEnd: EMPTY, number: 0, value: Buffer.from("fine"), lease: 0n }],
  success: [{ kind: "deleteRange", request: { key, rangeEnd: EMPTY, prevKv: true } }],
  failure: [{ kind: "txn", request: { compare: [], success: [], failure: [] } }],
});

/** A write and a read go through, and nothing was thrown where nobody catches it. */
async function serves(): Promise<void> {
  expect((await call(single.port, "/etcdserverpb.KV/Put", frame(goodPut))).code).toBe(0);
  const read = await call(single.port, "/etcdserverpb.KV/Range", frame(goodRange));
  expect(Buffer.from(read.message).includes("fine")).toBe(true);
  expect(faults).toEqual([]);
  expect(single.server.node.status().state).toBe("running");
}

/** A server may wait a while for the rest of something; it is not waited for longer than this. */
const PATIENCE_MS = 200;

/** Sends bytes to the port as they are, and goes when the server has ended the connection, or is patient for too long. */
function raw(bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(single.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.once("close", () => resolve());
    socket.on("data", () => {});
    socket.setTimeout(PATIENCE_MS, () => socket.destroy());
    socket.end(bytes);
  });
}

test("bytes that are no protocol, and HTTP/2 that is none after its preface", { timeout: 120_000 }, async () => {
  for (let round = 0; round < 40; round += 1) {
    await raw(rubbish(1 + random(600)));
    await raw(Buffer.concat([PREFACE, rubbish(random(600))]));
    // Frames with a possible header and an impossible body.
    const frames = Array.from({ length: 1 + random(5) }, () => {
      const body = rubbish(random(60));
      return Buffer.concat([Buffer.from([0, 0, body.length, random(12), random(256), 0, 0, 0, random(8)]), body]);
    });
    await raw(Buffer.concat([PREFACE, Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]), ...frames]));
    await raw(
      Buffer.from(
        `${["GET", "POST", "PRI", "XYZ"][random(4)]} /health HTTP/1.${random(4)}\r\n${rubbish(40).toString("latin1")}\r\n\r\n`,
        "latin1",
      ),
    );
  }
  await serves();
});

test("bodies that are no message, for every method", { timeout: 120_000 }, async () => {
  for (let round = 0; round < 25; round += 1) {
    for (const method of METHODS) {
      const whole = frame(rubbish(random(80)));
      const body =
        [whole, rubbish(random(40)), whole.subarray(0, random(whole.length)), Buffer.concat([whole, whole])][random(4)] ?? whole;
      const { code, httpStatus } = await call(single.port, method, body);
      // A status, or a connection that was ended; 0 is possible: some rubbish is a message.
      expect(code !== null || httpStatus === 0).toBe(true);
    }
  }
  await serves();
});

test("messages with a bit flipped, an end missing, a piece doubled", { timeout: 120_000 }, async () => {
  for (let round = 0; round < 250; round += 1) {
    const [method, good] = (
      [
        ["Put", goodPut],
        ["Range", goodRange],
        ["Txn", goodTxn],
      ] as const
    )[random(3)] ?? ["Put", goodPut];
    const bytes = Buffer.from(good);
    const where = random(bytes.length);
    const changed = [
      () => {
        bytes[where] = (bytes[where] ?? 0) ^ (1 << random(8));
        return bytes;
      },
      () => bytes.subarray(0, where),
      () => Buffer.concat([bytes, bytes.subarray(where)]),
    ][random(3)]?.();
    const { code } = await call(single.port, `/etcdserverpb.KV/${method}`, frame(changed ?? bytes));
    expect(code).not.toBeNull();
    // 2 is UNKNOWN: what an error that nobody foresaw would be; "internal error" is our word for a bug.
    expect(code).not.toBe(2);
  }
  await serves();
});
