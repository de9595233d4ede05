/**
 * The hand-written codec: it round-trips, agrees byte for byte with protobufjs reading etcd's own schema (as the etcd3
 * client ships it), and answers rubbish with a ProtobufError and nothing else.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as fc from "fast-check";
import protobufjs from "protobufjs";
import { describe, expect, it } from "vitest";
import * as store from "../../src/store/index.js";
import { ProtobufError, TXN_DEPTH_LIMIT } from "../../src/store/index.js";
import * as any from "./arbitraries.js";

const require = createRequire(import.meta.url);
const schema = new protobufjs.Root();
const folder = join(dirname(require.resolve("etcd3/package.json")), "proto");
schema.resolvePath = (_origin, target) => join(folder, target.replace(/^\.\//, ""));
schema.loadSync("rpc.proto");

function theirs(name: string): protobufjs.Type {
  return schema.lookupType(`etcdserverpb.${name}`);
}

const OPTIONS: protobufjs.IConversionOptions = { longs: String, enums: Number, defaults: true, arrays: true, oneofs: true };

/** Buffers and arrays of bytes made alike, long integers as decimal strings, so that both sides compare. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes:${Buffer.from(value).toString("hex")}`;
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  return value;
}

const requests = [
  ["RangeRequest", any.rangeRequest, store.encodeRangeRequest, store.decodeRangeRequest],
  ["PutRequest", any.putRequest, store.encodePutRequest, store.decodePutRequest],
  ["DeleteRangeRequest", any.deleteRangeRequest, store.encodeDeleteRangeRequest, store.decodeDeleteRangeRequest],
  ["CompactionRequest", any.compactionRequest, store.encodeCompactionRequest, store.decodeCompactionRequest],
  ["TxnRequest", any.txnRequest, store.encodeTxnRequest, store.decodeTxnRequest],
] as unknown as [string, fc.Arbitrary<object>, (request: object) => Uint8Array, (bytes: Uint8Array) => object][];

const responses = [
  ["RangeResponse", any.rangeResponse, store.encodeRangeResponse, store.decodeRangeResponse],
  ["PutResponse", any.putResponse, store.encodePutResponse, store.decodePutResponse],
  ["DeleteRangeResponse", any.deleteRangeResponse, store.encodeDeleteRangeResponse, store.decodeDeleteRangeResponse],
  ["TxnResponse", any.txnResponse, store.encodeTxnResponse, store.decodeTxnResponse],
  ["CompactionResponse", fc.constant({}), store.encodeCompactionResponse, store.decodeCompactionResponse],
] as unknown as [
  string,
  fc.Arbitrary<object>,
  (response: object, header: store.ResponseHeader) => Uint8Array,
  (bytes: Uint8Array) => store.Decoded<object>,
][];

describe("requests", () => {
  it.each(requests)("%s comes back as it was", (_name, arbitrary, encode, decode) => {
    fc.assert(
      fc.property(arbitrary, (request) => {
        expect(plain(decode(encode(request)))).toEqual(plain(request));
      }),
    );
  });

  it.each(requests)("%s: protobufjs reads and writes the same", (name, arbitrary, encode, decode) => {
    fc.assert(
      fc.property(arbitrary, (request) => {
        const bytes = encode(request);
        const type = theirs(name);
        const message = type.decode(bytes);
        const again = type.encode(message).finish();
        expect(plain(decode(again))).toEqual(plain(request));
        // protobufjs writes an empty message, string or zero that was set explicitly; ours leaves zeros out.
        expect(plain(type.toObject(type.decode(again), OPTIONS))).toEqual(plain(type.toObject(message, OPTIONS)));
      }),
    );
  });
});

describe("responses", () => {
  it.each(responses)("%s comes back as it was", (_name, arbitrary, encode, decode) => {
    fc.assert(
      fc.property(arbitrary, any.header, (response, header) => {
        const decoded = decode(encode(response, header));
        expect(plain(decoded)).toEqual(plain({ header, response }));
      }),
    );
  });

  it.each(responses)("%s: protobufjs reads the same", (name, arbitrary, encode, decode) => {
    fc.assert(
      fc.property(arbitrary, any.header, (response, header) => {
        const type = theirs(name);
        const again = type.encode(type.decode(encode(response, header))).finish();
        expect(plain(decode(again))).toEqual(plain({ header, response }));
      }),
    );
  });

  it("gives the answers inside a transaction's answer the revision alone", () => {
    const put: store.ResponseOp = { kind: "put", response: { prevKv: null } };
    const bytes = store.encodeTxnResponse(
      { succeeded: true, responses: [put, { kind: "txn", response: { succeeded: false, responses: [put] } }] },
      { clusterId: 5n, memberId: 6n, revision: 7, raftTerm: 8 },
    );
    const revisions: number[] = [];
    store.decodeTxnResponse(bytes, revisions);
    expect(revisions).toEqual([7, 7, 7]);
    const message = theirs("TxnResponse").toObject(theirs("TxnResponse").decode(bytes), { longs: Number });
    expect(message).toMatchObject({
      responses: [{ responsePut: { header: { revision: 7 } } }, { responseTxn: { header: { revision: 7 } } }],
    });
  });
});

describe("the wire", () => {
  it("writes a put as etcd's clients do", () => {
    const bytes = store.encodePutRequest({
      key: new Uint8Array([0x66, 0x6f, 0x6f]),
      value: new Uint8Array([0x62]),
      lease: 300n,
      prevKv: true,
      ignoreValue: false,
      ignoreLease: false,
    });
    expect(Buffer.from(bytes).toString("hex")).toBe("0a03666f6f12016218ac022001");
  });

  it("reads integers beyond the safe ones as the nearest safe one, and leases exactly", () => {
    const type = theirs("RangeRequest");
    const extremes = type.fromObject({ maxModRevision: "9223372036854775807", minModRevision: "-9223372036854775808" });
    const read = store.decodeRangeRequest(type.encode(extremes).finish());
    expect([read.maxModRevision, read.minModRevision]).toEqual([Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]);
    const put = theirs("PutRequest");
    const lease = store.decodePutRequest(put.encode(put.fromObject({ lease: "9223372036854775807" })).finish()).lease;
    expect(lease).toBe(9223372036854775807n);
  });

  it("skips fields it does not know, groups too", () => {
    const unknown = [
      0xf8, 0x07, 0x05, 0xfa, 0x07, 0x01, 0xff, 0xfb, 0x07, 0x08, 0x01, 0xfc, 0x07, 0xfd, 0x07, 1, 2, 3, 4, 0xf9, 0x07, 1, 2, 3,
      4, 5, 6, 7, 8,
    ];
    const read = store.decodeDeleteRangeRequest(new Uint8Array([0x0a, 1, 0x61, ...unknown, 0x12, 1, 0x62]));
    expect(plain(read)).toEqual({ key: "bytes:61", rangeEnd: "bytes:62", prevKv: false });
  });

  it("takes the last alternative of a union, and an operand of another target as left out", () => {
    // target VERSION; version = 3, then mod_revision = 9
    const read = store.decodeTxnRequest(new Uint8Array([0x0a, 7, 0x1a, 1, 0x61, 0x20, 3, 0x30, 9]));
    expect(read.compare[0]?.number).toBe(0);
  });

  it.each([
    ["a field cut short", [0x0a, 5, 1, 2]],
    ["a length past the end", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ["a number cut short", [0x18, 0x80]],
    ["a number of eleven bytes", [0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1]],
    ["a number of 65 bits", [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]],
    ["field number zero", [0x02, 0]],
    ["a known field in another wire type", [0x08, 1]],
    ["wire type six", [0xfe, 0x07]],
    ["a group without an end", [0xfb, 0x07, 0x08, 1]],
    ["an end without a group", [0xfc, 0x07]],
    ["groups nested without bound", Array.from({ length: 10_000 }, (_, at) => (at % 2 === 0 ? 0xfb : 0x07))],
  ])("refuses %s", (_what, bytes) => {
    expect(() => store.decodePutRequest(new Uint8Array(bytes))).toThrow(ProtobufError);
  });

  it("refuses transactions nested too deeply, and takes them up to the limit", () => {
    const nested = (depth: number): store.TxnRequest =>
      depth === 0
        ? { compare: [], success: [], failure: [] }
        : { compare: [], success: [{ kind: "txn", request: nested(depth - 1) }], failure: [] };
    expect(() => store.decodeTxnRequest(store.encodeTxnRequest(nested(TXN_DEPTH_LIMIT)))).not.toThrow();
    expect(() => store.decodeTxnRequest(store.encodeTxnRequest(nested(TXN_DEPTH_LIMIT + 1)))).toThrow(ProtobufError);
  });

  it("answers rubbish with a ProtobufError and nothing else", () => {
    const decoders = [...requests.map((each) => each[3]), ...responses.map((each) => each[3])];
    /** What came out of the decoders that is neither a message nor a refusal. */
    const strange = (bytes: Uint8Array): unknown[] =>
      decoders.flatMap((decode) => {
        try {
          decode(bytes);
          return [];
        } catch (error) {
          return error instanceof ProtobufError ? [] : [error];
        }
      });
    const survive = (bytes: Uint8Array): void => {
      expect(strange(bytes)).toEqual([]);
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), survive), { numRuns: 1000 });
    const damaged = fc.tuple(any.txnRequest.map(store.encodeTxnRequest), fc.nat(), fc.nat({ max: 255 }), fc.nat());
    fc.assert(
      fc.property(damaged, ([bytes, place, value, cut]) => {
        const copy = bytes.slice(0, bytes.length - (cut % 3));
        if (copy.length > 0) copy[place % copy.length] = value;
        survive(copy);
      }),
      { numRuns: 500 },
    );
  });
});
