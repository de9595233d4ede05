/** Each rule of etcd's store that a client can see, one by one. The model of model.test.ts then tries them together. */
import { describe, expect, it } from "vitest";
import {
  CompareResult,
  CompareTarget,
  decodeRangeResponse,
  encodeCommand,
  type RequestOp,
  SortOrder,
  SortTarget,
} from "../../src/store/index.js";
import { type Answer, bytes, compare, deleteRequest, OPEN, putRequest, rangeRequest, TestStore, text } from "./harness.js";

const EMPTY_KEY = "InvalidArgument: etcdserver: key is not provided";
const KEY_NOT_FOUND = "InvalidArgument: etcdserver: key not found";
const COMPACTED = "OutOfRange: etcdserver: mvcc: required revision has been compacted";
const FUTURE = "OutOfRange: etcdserver: mvcc: required revision is a future revision";
const DUPLICATE = "InvalidArgument: etcdserver: duplicate key given in txn request";
const TOO_MANY = "InvalidArgument: etcdserver: too many operations in txn request";
const LEASE_NOT_FOUND = "NotFound: etcdserver: requested lease not found";

const put = (key: string, value: string, more: Parameters<typeof putRequest>[0] = {}): RequestOp => ({
  kind: "put",
  request: putRequest({ key, value, ...more }),
});
const range = (key: string, more: Parameters<typeof rangeRequest>[0] = {}): RequestOp => ({
  kind: "range",
  request: rangeRequest({ key, ...more }),
});
const del = (key: string, rangeEnd = ""): RequestOp => ({ kind: "deleteRange", request: deleteRequest({ key, rangeEnd }) });
const txn = (success: RequestOp[], failure: RequestOp[] = [], compares = [] as ReturnType<typeof compare>[]): RequestOp => ({
  kind: "txn",
  request: { compare: compares, success, failure },
});

function answerOf<Response>(answer: Answer<Response> | string): Answer<Response> {
  if (typeof answer === "string") throw new Error(answer);
  return answer;
}

function seeded(...keys: string[]): TestStore {
  const store = new TestStore();
  for (const key of keys) answerOf(store.put({ key, value: `v${key}` }));
  return store;
}

describe("put", () => {
  it("raises the revision from 1, keeps createRevision and counts versions", () => {
    const store = new TestStore();
    expect(store.machine.currentRevision).toBe(1);
    expect(answerOf(store.put({ key: "a", value: "1" })).revision).toBe(2);
    expect(answerOf(store.put({ key: "b", value: "1" })).revision).toBe(3);
    expect(answerOf(store.put({ key: "a", value: "2" })).revision).toBe(4);
    expect(answerOf(store.range({ key: "a" })).response.kvs[0]).toMatchObject({ createRevision: 2, modRevision: 4, version: 2 });
  });

  it("begins again after a deletion", () => {
    const store = seeded("a", "a");
    store.delete({ key: "a" });
    store.put({ key: "a", value: "x" });
    expect(answerOf(store.range({ key: "a" })).response.kvs[0]).toMatchObject({ createRevision: 5, modRevision: 5, version: 1 });
  });

  it("gives the previous version on request, and nothing for a key that was deleted", () => {
    const store = seeded("a");
    expect(answerOf(store.put({ key: "a", value: "x" })).response.prevKv).toBeNull();
    const { prevKv } = answerOf(store.put({ key: "a", value: "y", prevKv: true })).response;
    expect(prevKv && text(prevKv.value)).toBe("x");
    store.delete({ key: "a" });
    expect(answerOf(store.put({ key: "a", value: "z", prevKv: true })).response.prevKv).toBeNull();
  });

  it("refuses what makes no sense, and changes nothing then", () => {
    const store = seeded("a");
    expect(store.put({ key: "", value: "x" })).toBe(EMPTY_KEY);
    expect(store.put({ key: "a", value: "x", ignoreValue: true })).toBe("InvalidArgument: etcdserver: value is provided");
    expect(store.put({ key: "a", lease: 7n, ignoreLease: true })).toBe("InvalidArgument: etcdserver: lease is provided");
    expect(store.put({ key: "new", ignoreValue: true })).toBe(KEY_NOT_FOUND);
    expect(store.put({ key: "new", value: "x", ignoreLease: true })).toBe(KEY_NOT_FOUND);
    expect(store.put({ key: "a", value: "x", lease: 7n })).toBe(LEASE_NOT_FOUND);
    expect(store.put({ key: "new", lease: 7n, ignoreValue: true })).toBe(LEASE_NOT_FOUND);
    expect(store.machine.currentRevision).toBe(2);
    expect(store.list({ key: "a" })).toBe("a=va@2");
  });

  it("keeps value or lease when told to, and detaches the lease otherwise", () => {
    const store = new TestStore({ leaseExists: (lease) => lease === 9n });
    store.put({ key: "a", value: "x", lease: 9n });
    store.put({ key: "a", ignoreValue: true });
    expect(answerOf(store.range({ key: "a" })).response.kvs[0]).toMatchObject({ lease: 0n, value: bytes("x"), version: 2 });
    store.put({ key: "a", value: "y", lease: 9n });
    store.put({ key: "a", value: "z", ignoreLease: true });
    expect(answerOf(store.range({ key: "a" })).response.kvs[0]).toMatchObject({ lease: 9n, value: bytes("z") });
  });

  it("takes any bytes: empty values, keys of zeros and of 255s, and large ones", () => {
    const store = new TestStore();
    const large = "\xff".repeat(3000);
    for (const key of ["\0", "\0\0", "\xff", large]) store.put({ key, value: "" });
    store.put({ key: "big", value: "x".repeat(1_500_000) });
    const { kvs } = answerOf(store.range({ key: "\0", rangeEnd: OPEN })).response;
    expect(kvs.map((each) => text(each.key))).toEqual(["\0", "\0\0", "big", "\xff", large]);
    expect(kvs[2]?.value.length).toBe(1_500_000);
  });
});

describe("range", () => {
  it("reads a point, an interval, a prefix, from a key on, and all", () => {
    const store = seeded("a", "ab", "b", "c");
    expect(store.list({ key: "ab" })).toBe("ab=vab@3");
    expect(store.list({ key: "a", rangeEnd: "b" })).toBe("a=va@2 ab=vab@3");
    expect(store.list({ key: "ab", rangeEnd: "c" })).toBe("ab=vab@3 b=vb@4");
    expect(store.list({ key: "b", rangeEnd: OPEN })).toBe("b=vb@4 c=vc@5");
    expect(store.list({ key: "\0", rangeEnd: OPEN })).toBe("a=va@2 ab=vab@3 b=vb@4 c=vc@5");
    expect(store.list({ key: "zz", rangeEnd: OPEN })).toBe("");
    expect(store.list({ key: "c", rangeEnd: "a" })).toBe("");
    expect(store.list({ key: "b", rangeEnd: "b" })).toBe("");
    expect(new TestStore().list({ key: "\0", rangeEnd: OPEN })).toBe("");
  });

  it("reads old revisions, with the current one in the header", () => {
    const store = seeded("a", "a");
    store.delete({ key: "a" });
    store.put({ key: "a", value: "new" });
    expect(store.list({ key: "a", revision: 1 })).toBe("");
    expect(store.list({ key: "a", revision: 2 })).toBe("a=va@2");
    expect(store.list({ key: "a", revision: 3 })).toBe("a=va@3");
    expect(store.list({ key: "a", revision: 4 })).toBe("");
    expect(store.list({ key: "a", revision: 5 })).toBe("a=new@5");
    expect(store.list({ key: "a", revision: -1 })).toBe("a=new@5");
    expect(answerOf(store.range({ key: "a", revision: 2 })).revision).toBe(5);
    expect(store.range({ key: "a", revision: 6 })).toBe(FUTURE);
  });

  it("counts past the limit and says whether there is more", () => {
    const store = seeded("a", "b", "c");
    const all = { key: "a", rangeEnd: OPEN };
    expect(answerOf(store.range({ ...all, limit: 2 })).response).toMatchObject({ count: 3, more: true, kvs: { length: 2 } });
    expect(answerOf(store.range({ ...all, limit: 3 })).response).toMatchObject({ count: 3, more: false, kvs: { length: 3 } });
    expect(answerOf(store.range({ ...all, limit: -1 })).response).toMatchObject({ count: 3, more: false, kvs: { length: 3 } });
    expect(answerOf(store.range({ ...all, countOnly: true })).response).toEqual({ count: 3, more: false, kvs: [] });
    store.delete({ key: "b" });
    expect(answerOf(store.range({ ...all, limit: 1 })).response).toMatchObject({ count: 2, more: true, kvs: { length: 1 } });
    expect(answerOf(store.range({ ...all, countOnly: true })).response.count).toBe(2);
    expect(answerOf(store.range({ ...all, countOnly: true, revision: 4 })).response.count).toBe(3);
    expect(answerOf(store.range({ key: "a", countOnly: true })).response).toEqual({ count: 1, more: false, kvs: [] });
    expect(answerOf(store.range({ key: "b", countOnly: true })).response.count).toBe(0);
  });

  it("gives keys without values", () => {
    const store = seeded("a");
    expect(answerOf(store.range({ key: "a", keysOnly: true })).response.kvs[0]).toMatchObject({ value: bytes(""), version: 1 });
  });

  it("sorts by every target, both ways", () => {
    const store = new TestStore();
    // key: a b c; version: 2 1 1; create: 2 3 4; mod: 5 3 4; value: x z y
    store.put({ key: "a", value: "1" });
    store.put({ key: "b", value: "z" });
    store.put({ key: "c", value: "y" });
    store.put({ key: "a", value: "x" });
    const keys = (sortTarget: number, sortOrder: number, limit = 0): string =>
      answerOf(store.range({ key: "a", rangeEnd: OPEN, sortTarget, sortOrder, limit }))
        .response.kvs.map((each) => text(each.key))
        .join("");
    expect(keys(SortTarget.KEY, SortOrder.DESCEND)).toBe("cba");
    expect(keys(SortTarget.KEY, SortOrder.ASCEND)).toBe("abc");
    expect(keys(SortTarget.VERSION, SortOrder.ASCEND)).toBe("bca");
    expect(keys(SortTarget.VERSION, SortOrder.DESCEND)).toBe("abc");
    expect(keys(SortTarget.CREATE, SortOrder.DESCEND)).toBe("cba");
    expect(keys(SortTarget.MOD, SortOrder.ASCEND)).toBe("bca");
    expect(keys(SortTarget.MOD, SortOrder.NONE)).toBe("bca");
    expect(keys(SortTarget.VALUE, SortOrder.ASCEND)).toBe("acb");
    // With an order the limit cuts what was sorted; without one, what is then sorted: the first three keys fetched are a, b, c.
    expect(keys(SortTarget.MOD, SortOrder.DESCEND, 1)).toBe("a");
    expect(keys(SortTarget.MOD, SortOrder.NONE, 1)).toBe("b");
    for (const bad of [{ sortOrder: 3 }, { sortTarget: 5 }, { sortOrder: -1 }]) {
      expect(store.range({ key: "a", ...bad })).toBe("InvalidArgument: etcdserver: invalid sort option");
    }
    expect(store.range({ key: "", sortOrder: 9 })).toBe(EMPTY_KEY);
  });

  it("filters by revisions before the limit and outside the count", () => {
    const store = seeded("a", "b", "c", "a");
    const all = { key: "a", rangeEnd: OPEN };
    expect(store.list({ ...all, minModRevision: 4 })).toBe("a=va@5 c=vc@4");
    expect(store.list({ ...all, maxModRevision: 3 })).toBe("b=vb@3");
    expect(store.list({ ...all, minCreateRevision: 3, maxCreateRevision: 3 })).toBe("b=vb@3");
    expect(answerOf(store.range({ ...all, minModRevision: 4, limit: 1 })).response).toMatchObject({
      count: 3,
      more: true,
      kvs: { length: 1 },
    });
    expect(answerOf(store.range({ ...all, minModRevision: 4, limit: 2 })).response).toMatchObject({ count: 3, more: false });
  });

  it("answers the same in bytes as in data", () => {
    const store = seeded("a", "b", "c");
    const origin = { clusterId: 5n, memberId: 6n, raftTerm: 7 };
    for (const more of [{}, { keysOnly: true }, { countOnly: true }, { limit: 1 }, { sortOrder: 2 }]) {
      const request = rangeRequest({ key: "a", rangeEnd: OPEN, ...more });
      const answer = store.machine.answerRange(request, origin);
      if (!(answer instanceof Uint8Array)) throw new Error(answer.message);
      const decoded = decodeRangeResponse(answer);
      expect(decoded.header).toEqual({ ...origin, revision: 4 });
      const result = store.machine.range(request);
      expect(result.ok && result.response).toEqual(decoded.response);
    }
    expect(store.machine.answerRange(rangeRequest({ key: "a", revision: 9 }), origin)).toMatchObject({ code: "OutOfRange" });
    const small = new TestStore({ maxResponseBytes: 100 });
    small.put({ key: "a", value: "x".repeat(200) });
    expect(small.machine.answerRange(rangeRequest({ key: "a" }), origin)).toMatchObject({ code: "ResourceExhausted" });
  });
});

describe("deleteRange", () => {
  it("deletes at one revision, and takes none when there is nothing", () => {
    const store = seeded("a", "b", "c");
    expect(answerOf(store.delete({ key: "x" }))).toMatchObject({ revision: 4, response: { deleted: 0 } });
    expect(answerOf(store.delete({ key: "a", rangeEnd: "c" }))).toMatchObject({
      revision: 5,
      response: { deleted: 2, prevKvs: [] },
    });
    expect(answerOf(store.delete({ key: "a", rangeEnd: "c" }))).toMatchObject({ revision: 5, response: { deleted: 0 } });
    expect(store.list({ key: "a", rangeEnd: OPEN })).toBe("c=vc@4");
    expect(store.delete({ key: "" })).toBe(EMPTY_KEY);
  });

  it("gives what it deleted, on request, in the order of keys", () => {
    const store = seeded("b", "a");
    const { prevKvs, deleted } = answerOf(store.delete({ key: "a", rangeEnd: OPEN, prevKv: true })).response;
    expect([deleted, prevKvs.map((each) => text(each.key))]).toEqual([2, ["a", "b"]]);
  });
});

describe("txn", () => {
  it("gives all its writes one revision, and none when it only reads", () => {
    const store = seeded("a");
    const revisions: number[] = [];
    const answer = answerOf(
      store.txn({ success: [range("x"), put("x", "1"), range("x"), del("nothing"), del("a"), put("y", "2")] }, revisions),
    );
    expect(answer.revision).toBe(3);
    expect(revisions).toEqual([2, 3, 3, 3, 3, 3]);
    expect(store.list({ key: "\0", rangeEnd: OPEN })).toBe("x=1@3 y=2@3");
    expect(answerOf(store.txn({ success: [range("x")] })).revision).toBe(3);
    expect(answerOf(store.txn({ success: [del("nothing")] })).revision).toBe(3);
    expect(answerOf(store.txn({})).response).toEqual({ succeeded: true, responses: [] });
  });

  it("lets its ranges see its earlier writes, but not at older revisions", () => {
    const store = seeded("a");
    const { responses } = answerOf(
      store.txn({ success: [put("b", "1"), range("a", { rangeEnd: OPEN }), range("b", { revision: 2 })] }),
    ).response;
    expect(responses.map((each) => (each.kind === "range" ? each.response.count : null))).toEqual([null, 2, 0]);
  });

  it("chooses the branch by all comparisons together", () => {
    const store = seeded("a", "a");
    const holds = (...compares: ReturnType<typeof compare>[]): boolean =>
      answerOf(store.txn({ compare: compares })).response.succeeded;
    const { EQUAL, GREATER, LESS, NOT_EQUAL } = CompareResult;
    const { VERSION, CREATE, MOD, VALUE, LEASE } = CompareTarget;
    expect(holds(compare({ key: "a", target: VERSION, number: 2 }), compare({ key: "a", target: CREATE, number: 2 }))).toBe(true);
    expect(holds(compare({ key: "a", target: VERSION, number: 2 }), compare({ key: "a", target: MOD, number: 2 }))).toBe(false);
    expect(holds(compare({ key: "a", target: MOD, result: GREATER, number: 2 }))).toBe(true);
    expect(holds(compare({ key: "a", target: MOD, result: LESS, number: 3 }))).toBe(false);
    expect(holds(compare({ key: "a", target: VALUE, value: "va" }))).toBe(true);
    expect(holds(compare({ key: "a", target: VALUE, result: LESS, value: "vb" }))).toBe(true);
    expect(holds(compare({ key: "a", target: VALUE, result: NOT_EQUAL, value: "va" }))).toBe(false);
    expect(holds(compare({ key: "a", target: LEASE, result: EQUAL, lease: 0n }))).toBe(true);
    expect(holds(compare({ key: "a", target: LEASE, result: LESS, lease: 2n ** 62n }))).toBe(true);
    // A missing key: zero for all but values.
    expect(holds(compare({ key: "x", target: CREATE, number: 0 }))).toBe(true);
    expect(holds(compare({ key: "x", target: VERSION, result: LESS, number: 1 }))).toBe(true);
    expect(holds(compare({ key: "x", target: VALUE, value: "" }))).toBe(false);
    expect(holds(compare({ key: "x", target: VALUE, result: NOT_EQUAL, value: "q" }))).toBe(false);
    // What etcd does not know holds.
    expect(holds(compare({ key: "a", target: VERSION, result: 9, number: 77 }))).toBe(true);
    expect(holds(compare({ key: "a", target: 9, result: EQUAL }))).toBe(true);
  });

  it("asks a comparison of every key in its range", () => {
    const store = seeded("a", "b", "a");
    const holds = (number: number): boolean =>
      answerOf(
        store.txn({
          compare: [compare({ key: "a", rangeEnd: OPEN, target: CompareTarget.MOD, result: CompareResult.GREATER, number })],
        }),
      ).response.succeeded;
    expect([holds(2), holds(3)]).toEqual([true, false]);
  });

  it("decides nested comparisons before anything is written", () => {
    const store = new TestStore();
    const absent = compare({ key: "a", target: CompareTarget.CREATE, number: 0 });
    store.txn({ success: [put("a", "1"), txn([put("then", "1")], [put("else", "1")], [absent])] });
    expect(store.list({ key: "\0", rangeEnd: OPEN })).toBe("a=1@2 then=1@2");
  });

  it("gives the header of a nested transaction no revision", () => {
    const revisions: number[] = [];
    answerOf(new TestStore().txn({ success: [txn([put("a", "1")])] }, revisions));
    expect(revisions).toEqual([0, 2]);
  });

  it("makes every check before the first write", () => {
    const store = seeded("a", "a", "a");
    store.compact(3);
    const after = (...ops: RequestOp[]): unknown => store.txn({ success: [put("w", "1"), ...ops] });
    expect(after(put("x", "1", { lease: 5n }))).toBe(LEASE_NOT_FOUND);
    expect(after(put("x", "", { ignoreValue: true }))).toBe(KEY_NOT_FOUND);
    expect(after(put("w2", "", { ignoreValue: true, lease: 5n }))).toBe(KEY_NOT_FOUND);
    expect(after(range("a", { revision: 5 }))).toBe(FUTURE);
    expect(after(range("a", { revision: 2 }))).toBe(COMPACTED);
    expect(after(range("a", { revision: -1 }))).toBe(COMPACTED);
    expect(after(txn([range("a", { revision: 9 })]))).toBe(FUTURE);
    expect(after(range("a", { sortTarget: 9 }))).toBe("InvalidArgument: etcdserver: invalid sort option");
    expect(after(range(""))).toBe(EMPTY_KEY);
    expect(after({ kind: "empty" })).toBe(KEY_NOT_FOUND);
    expect(store.list({ key: "\0", rangeEnd: OPEN })).toBe("a=va@4");
    // In the branch that is not taken only the form is checked.
    expect(typeof store.txn({ success: [put("w", "1")], failure: [range("a", { revision: 99 })] })).toBe("object");
    expect(store.txn({ failure: [range("")] })).toBe(EMPTY_KEY);
    expect(store.txn({ compare: [compare({ key: "" })] })).toBe(EMPTY_KEY);
  });

  it("refuses a key that is written twice in a branch", () => {
    const store = new TestStore();
    const twice = (...success: RequestOp[]): unknown => store.txn({ success });
    expect(twice(put("a", "1"), put("a", "2"))).toBe(DUPLICATE);
    expect(twice(put("a", "1"), del("a"))).toBe(DUPLICATE);
    expect(twice(del("a", "c"), put("b", "1"))).toBe(DUPLICATE);
    expect(twice(del("a", "c"), del("b", "e"), put("d", "1"))).toBe(DUPLICATE);
    expect(twice(txn([put("a", "1")]), put("a", "2"))).toBe(DUPLICATE);
    expect(twice(txn([put("a", "1")]), txn([put("a", "2")]))).toBe(DUPLICATE);
    expect(twice(txn([], [put("a", "1")]), txn([put("a", "2")]))).toBe(DUPLICATE);
    expect(twice(del("a"), txn([put("a", "1")]))).toBe(DUPLICATE);
    expect(twice(txn([del("a")]), put("a", "1"))).toBe(DUPLICATE);
    expect(twice(txn([], [del("a")]), txn([put("a", "1")]))).toBe(DUPLICATE);
    expect(store.txn({ failure: [put("a", "1"), put("a", "1")] })).toBe(DUPLICATE);
    expect(twice(txn([put("a", "1"), put("a", "1")]))).toBe(DUPLICATE);
    expect(store.machine.currentRevision).toBe(1);
  });

  it("allows what only looks like it", () => {
    const store = seeded("a");
    const fine = (...success: RequestOp[]): unknown => typeof store.txn({ success });
    expect(fine(txn([put("a", "1")], [put("a", "2")]))).toBe("object");
    expect(fine(del("a", "b"), put("b", "1"))).toBe("object");
    expect(fine(del("a"), del("a"))).toBe("object");
    // As in etcd: "from key on" does not count as an overlap, nor a deletion in a transaction after the one that puts.
    expect(fine(del("\0", OPEN), put("z", "1"))).toBe("object");
    expect(store.list({ key: "\0", rangeEnd: OPEN })).toBe(`z=1@${store.machine.currentRevision}`);
    expect(fine(txn([put("q", "1")]), txn([del("q")]))).toBe("object");
    expect(store.list({ key: "q" })).toBe("");
  });

  it("may put and delete one key at one revision, and reads right before, at and after it", () => {
    const store = seeded("q");
    store.txn({ success: [txn([put("q", "2")]), txn([del("q")])] });
    expect([store.list({ key: "q", revision: 2 }), store.list({ key: "q", revision: 3 })]).toEqual(["q=vq@2", ""]);
    store.txn({ success: [put("z", "", {}), del("\0", OPEN), put("y", "1")] });
    store.put({ key: "q", value: "5" });
    expect(answerOf(store.range({ key: "q" })).response.kvs[0]).toMatchObject({
      version: 1,
      createRevision: store.machine.currentRevision,
    });
  });

  it("takes 128 operations a branch, fewer inside", () => {
    const store = new TestStore();
    const many = (count: number): RequestOp[] => Array.from({ length: count }, (_, at) => range(`k${at}`));
    expect(typeof store.txn({ success: many(128), failure: many(128) })).toBe("object");
    expect(store.txn({ success: many(129) })).toBe(TOO_MANY);
    expect(store.txn({ failure: many(129) })).toBe(TOO_MANY);
    expect(store.txn({ compare: Array.from({ length: 129 }, () => compare({ key: "a" })) })).toBe(TOO_MANY);
    expect(typeof store.txn({ success: [txn(many(127))] })).toBe("object");
    expect(store.txn({ success: [txn(many(128))] })).toBe(TOO_MANY);
    expect(typeof new TestStore({ maxTxnOps: 200 }).txn({ success: many(200) })).toBe("object");
  });

  it("makes its writes although its answer is too large, and says so", () => {
    const store = new TestStore({ maxResponseBytes: 1000 });
    store.put({ key: "big", value: "x".repeat(2000) });
    const answer = store.txn({ success: [range("big"), put("after", "1")] });
    expect(answer).toMatch(/^ResourceExhausted: .*the answer is too large/);
    expect(store.list({ key: "after" })).toBe("after=1@3");
  });
});

describe("compact", () => {
  it("refuses what is compacted already and what is still to come", () => {
    const store = seeded("a", "b");
    expect(store.machine.compactedRevision).toBe(-1);
    expect(store.compact(4)).toBe(FUTURE);
    expect(store.compact(-1)).toBe(COMPACTED);
    expect(answerOf(store.compact(0)).revision).toBe(3);
    expect(store.compact(0)).toBe(COMPACTED);
    expect(answerOf(store.compact(3)).revision).toBe(3);
    expect(store.compact(3)).toBe(COMPACTED);
    expect(store.compact(2)).toBe(COMPACTED);
    expect(store.machine.compactedRevision).toBe(3);
  });

  it("leaves the revision itself readable, and nothing below", () => {
    const store = seeded("a", "a", "a", "b");
    store.compact(3);
    expect(store.list({ key: "a", revision: 2 })).toBe(COMPACTED);
    expect(store.list({ key: "a", revision: 3 })).toBe("a=va@3");
    expect(store.list({ key: "a", revision: 4 })).toBe("a=va@4");
    expect(store.list({ key: "a", rangeEnd: OPEN })).toBe("a=va@4 b=vb@5");
  });

  it("forgets deleted keys", () => {
    const store = seeded("a");
    store.delete({ key: "a" });
    store.put({ key: "b", value: "1" });
    store.compact(4);
    while (store.machine.tidying) store.machine.tidy();
    expect(store.list({ key: "\0", rangeEnd: OPEN })).toBe("b=1@4");
    store.put({ key: "a", value: "2" });
    expect(answerOf(store.range({ key: "a" })).response.kvs[0]).toMatchObject({ version: 1, createRevision: 5 });
  });
});

describe("commands", () => {
  it("answers rubbish with an error and stays as it was", () => {
    const store = seeded("a");
    for (const rubbish of [
      [],
      [0],
      [0x10],
      [0x16, 1],
      [0x21],
      [0x11, 0x0a, 9],
      [0x13, 0x12, 3, 0x0a],
      [0x14, 0x0a],
      [0x15, 0x12, 1, 0xff],
    ]) {
      const result = store.command(new Uint8Array(rubbish));
      expect(String.fromCharCode(...result)).toContain("InvalidArgument");
    }
    expect(store.machine.currentRevision).toBe(2);
  });

  it("takes several entries at once, and answers each", () => {
    const store = new TestStore();
    const command = encodeCommand("put", new Uint8Array([0x0a, 1, 0x61]));
    const results = store.machine.apply([1, 2, 3].map((index) => ({ index, term: 1, data: command })));
    expect(results.map((each) => each[8])).toEqual([2, 3, 4]);
  });
});
