/** Random messages of the key-value service, for the codec's tests. */
import * as fc from "fast-check";
import type {
  CompactionRequest,
  Compare,
  DeleteRangeRequest,
  DeleteRangeResponse,
  KeyValue,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from "../../src/store/index.js";

const bytes = fc.uint8Array({ maxLength: 200 });
/** Signed, up to what a number holds exactly. */
const int64 = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300 }), fc.maxSafeInteger());
const natural = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300 }), fc.maxSafeNat());
const lease = fc.oneof(fc.constant(0n), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }));

export const keyValue: fc.Arbitrary<KeyValue> = fc.record({
  key: bytes,
  createRevision: natural,
  modRevision: natural,
  version: natural,
  value: bytes,
  lease,
});

export const rangeRequest: fc.Arbitrary<RangeRequest> = fc.record({
  key: bytes,
  rangeEnd: bytes,
  limit: int64,
  revision: int64,
  sortOrder: fc.integer({ min: -1, max: 3 }),
  sortTarget: fc.integer({ min: -1, max: 5 }),
  serializable: fc.boolean(),
  keysOnly: fc.boolean(),
  countOnly: fc.boolean(),
  minModRevision: int64,
  maxModRevision: int64,
  minCreateRevision: int64,
  maxCreateRevision: int64,
});

export const putRequest: fc.Arbitrary<PutRequest> = fc.record({
  key: bytes,
  value: bytes,
  lease,
  prevKv: fc.boolean(),
  ignoreValue: fc.boolean(),
  ignoreLease: fc.boolean(),
});

export const deleteRangeRequest: fc.Arbitrary<DeleteRangeRequest> = fc.record({
  key: bytes,
  rangeEnd: bytes,
  prevKv: fc.boolean(),
});

export const compactionRequest: fc.Arbitrary<CompactionRequest> = fc.record({ revision: int64, physical: fc.boolean() });

const nothing = new Uint8Array(0);

/** Only the operand of the target is set, as the wire has it. */
export const compare: fc.Arbitrary<Compare> = fc
  .record({
    result: fc.integer({ min: 0, max: 3 }),
    target: fc.integer({ min: 0, max: 4 }),
    key: bytes,
    rangeEnd: bytes,
    number: int64,
    value: bytes,
    lease,
  })
  .map((each) => ({
    ...each,
    number: each.target <= 2 ? each.number : 0,
    value: each.target === 3 ? each.value : nothing,
    lease: each.target === 4 ? each.lease : 0n,
  }));

export const { txnRequest } = fc.letrec<{ txnRequest: TxnRequest; requestOp: RequestOp }>((tie) => ({
  txnRequest: fc.record({
    compare: fc.array(compare, { maxLength: 3 }),
    success: fc.array(tie("requestOp"), { maxLength: 3 }),
    failure: fc.array(tie("requestOp"), { maxLength: 3 }),
  }),
  requestOp: fc.oneof(
    { maxDepth: 3, depthIdentifier: "txn" },
    fc.record({ kind: fc.constant("range" as const), request: rangeRequest }),
    fc.record({ kind: fc.constant("put" as const), request: putRequest }),
    fc.record({ kind: fc.constant("deleteRange" as const), request: deleteRangeRequest }),
    fc.record({ kind: fc.constant("txn" as const), request: tie("txnRequest") }),
    fc.constant<RequestOp>({ kind: "empty" }),
  ),
}));

export const rangeResponse: fc.Arbitrary<RangeResponse> = fc.record({
  kvs: fc.array(keyValue, { maxLength: 4 }),
  more: fc.boolean(),
  count: natural,
});

export const putResponse: fc.Arbitrary<PutResponse> = fc.record({ prevKv: fc.option(keyValue, { nil: null }) });

export const deleteRangeResponse: fc.Arbitrary<DeleteRangeResponse> = fc.record({
  deleted: natural,
  prevKvs: fc.array(keyValue, { maxLength: 4 }),
});

export const { txnResponse } = fc.letrec<{ txnResponse: TxnResponse; responseOp: ResponseOp }>((tie) => ({
  txnResponse: fc.record({ succeeded: fc.boolean(), responses: fc.array(tie("responseOp"), { maxLength: 3 }) }),
  responseOp: fc.oneof(
    { maxDepth: 3, depthIdentifier: "answer" },
    fc.record({ kind: fc.constant("range" as const), response: rangeResponse }),
    fc.record({ kind: fc.constant("put" as const), response: putResponse }),
    fc.record({ kind: fc.constant("deleteRange" as const), response: deleteRangeResponse }),
    fc.record({ kind: fc.constant("txn" as const), response: tie("txnResponse") }),
  ),
}));

export const header = fc.record({
  clusterId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  memberId: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  revision: natural,
  raftTerm: natural,
});
