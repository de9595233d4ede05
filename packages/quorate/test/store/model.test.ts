/**
 * Random histories, in the real store and in the model: every answer the same, also after the store was frozen, restored and
 * tidied at random points, and at the end every revision of every key.
 */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkTxnRequest, type RequestOp, type TxnRequest } from "../../src/store/index.js";
import { compare, deleteRequest, OPEN, putRequest, rangeRequest, TestStore, type Texts, text } from "./harness.js";
import { Model } from "./model.js";

const LEASES = [5n, -7n];

const key = fc.constantFrom("a", "b", "c", "ab", "b\0", "\xff", "d");
const end = fc.oneof(
  { weight: 3, arbitrary: fc.constant("") },
  { weight: 2, arbitrary: key },
  { weight: 1, arbitrary: fc.constant(OPEN) },
);
/** Now and then large, so that a history fills several slabs and pieces. */
const value = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom("", "x", "y", "zz") },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 60_000 }).map((length) => "z".repeat(length)) },
);
const rarely = fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) });
const lease = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0n) },
  { weight: 2, arbitrary: fc.constantFrom(...LEASES) },
  { weight: 1, arbitrary: fc.constant(99n) },
);
/** Revisions as parts of the current one, so that they mean something in a history of any length. */
const revisionPart = fc.oneof(
  { weight: 2, arbitrary: fc.constant(null) },
  { weight: 3, arbitrary: fc.double({ min: -0.1, max: 1.05, noNaN: true }) },
);
const bound = fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: -1, max: 60 }) });

const put = fc
  .record({ key, value, lease, prevKv: fc.boolean(), ignoreValue: rarely, ignoreLease: rarely })
  .map((each) => putRequest({ ...each, value: each.ignoreValue ? "" : each.value, lease: each.ignoreLease ? 0n : each.lease }));
const del = fc.record({ key, rangeEnd: end, prevKv: fc.boolean() }).map(deleteRequest);
const range = fc
  .record({
    key,
    rangeEnd: end,
    limit: fc.integer({ min: -1, max: 4 }),
    sortOrder: fc.nat({ max: 2 }),
    sortTarget: fc.nat({ max: 4 }),
    keysOnly: rarely,
    countOnly: rarely,
    minModRevision: bound,
    maxModRevision: bound,
    minCreateRevision: bound,
    maxCreateRevision: bound,
    part: revisionPart,
  })
  .map(({ part, ...fields }) => ({ part, request: rangeRequest(fields) }));
const comparison = fc
  .record({
    key,
    rangeEnd: end,
    target: fc.nat({ max: 4 }),
    result: fc.nat({ max: 3 }),
    number: fc.integer({ min: 0, max: 20 }),
    value: fc.constantFrom("", "x", "y"),
    lease,
  })
  .map((each) =>
    compare({
      ...each,
      number: each.target < 3 ? each.number : 0,
      value: each.target === 3 ? each.value : "",
      lease: each.target === 4 ? each.lease : 0n,
    }),
  );

const { txn } = fc.letrec<{ txn: TxnRequest; op: RequestOp }>((tie) => ({
  txn: fc.record({
    compare: fc.array(comparison, { maxLength: 2 }),
    success: fc.array(tie("op"), { maxLength: 4 }),
    failure: fc.array(tie("op"), { maxLength: 3 }),
  }),
  op: fc.oneof(
    { maxDepth: 2, depthIdentifier: "txn" },
    put.map((request) => ({ kind: "put" as const, request })),
    range.map(({ request, part }) => ({
      kind: "range" as const,
      request: { ...request, revision: part === null ? 0 : Math.round(part * 20) },
    })),
    del.map((request) => ({ kind: "deleteRange" as const, request })),
    tie("txn").map((request) => ({ kind: "txn" as const, request })),
  ),
}));

type Step =
  | { readonly kind: "put"; readonly request: ReturnType<typeof putRequest> }
  | { readonly kind: "delete"; readonly request: ReturnType<typeof deleteRequest> }
  | { readonly kind: "range"; readonly request: ReturnType<typeof rangeRequest>; readonly part: number | null }
  | { readonly kind: "txn"; readonly request: TxnRequest }
  | { readonly kind: "compact"; readonly part: number }
  | { readonly kind: "restore" }
  | { readonly kind: "tidy"; readonly steps: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: put.map((request) => ({ kind: "put" as const, request })) },
  { weight: 3, arbitrary: del.map((request) => ({ kind: "delete" as const, request })) },
  { weight: 6, arbitrary: range.map((each) => ({ kind: "range" as const, ...each })) },
  { weight: 5, arbitrary: txn.map((request) => ({ kind: "txn" as const, request })) },
  { weight: 1, arbitrary: fc.double({ min: -0.1, max: 1.1, noNaN: true }).map((part) => ({ kind: "compact" as const, part })) },
  { weight: 1, arbitrary: fc.constant({ kind: "restore" as const }) },
  { weight: 1, arbitrary: fc.nat({ max: 8 }).map((steps) => ({ kind: "tidy" as const, steps })) },
);

/** Only what the protocol says of a version; the model's has the same fields by other means. */
function plain(answer: unknown): unknown {
  if (answer instanceof Uint8Array) return text(answer);
  if (Array.isArray(answer)) return answer.map(plain);
  if (typeof answer !== "object" || answer === null) return answer;
  return Object.fromEntries(Object.entries(answer).map(([name, each]) => [name, plain(each)]));
}

/** Plays a history in both, and tells how many answers were compared. */
function play(steps: readonly Step[]): number {
  let compared = 0;
  const options = { leaseExists: (id: bigint): boolean => LEASES.includes(id) };
  let store = new TestStore(options);
  const model = new Model(LEASES);
  const revisionOf = (part: number): number => Math.round(part * store.machine.currentRevision);
  const same = (ours: unknown, theirs: unknown): void => {
    expect(plain(ours)).toEqual(plain(theirs));
    compared += 1;
  };
  for (const each of steps) {
    if (each.kind === "put") same(store.put(textual(each.request)), model.put(each.request));
    else if (each.kind === "delete") same(store.delete(textual(each.request)), model.delete(each.request));
    else if (each.kind === "txn") {
      // The form of a transaction has its own tests; the model knows only valid ones.
      if (checkTxnRequest(each.request) === null) same(store.txn(each.request), model.txn(each.request));
    } else if (each.kind === "range") {
      const request = { ...each.request, revision: each.part === null ? 0 : revisionOf(each.part) };
      same(store.range(textual(request)), model.range(request));
    } else if (each.kind === "compact") same(store.compact(revisionOf(each.part)), model.compact(revisionOf(each.part)));
    else if (each.kind === "restore") store = store.restored();
    else for (let left = each.steps; left > 0; left -= 1) store.machine.tidy();
  }
  for (let revision = 0; revision <= store.machine.currentRevision + 1; revision += 1) {
    const all = rangeRequest({ key: "\0", rangeEnd: OPEN, revision });
    same(store.range(textual(all)), model.range(all));
    const count = { ...all, countOnly: true };
    same(store.range(textual(count)), model.range(count));
  }
  return compared;
}

/** The harness takes texts where the protocol has bytes. */
function textual<Request extends object>(request: Request): Texts<Request> {
  const entries = Object.entries(request).map(([name, each]: [string, unknown]) => [
    name,
    each instanceof Uint8Array ? text(each) : each,
  ]);
  return Object.fromEntries(entries) as Texts<Request>;
}

describe("the store and the model", () => {
  it("answer alike in short histories of everything", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        expect(play(steps)).toBeGreaterThan(4);
      }),
      { numRuns: 300 },
    );
  });

  it("answer alike in long ones", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 200, maxLength: 300, size: "max" }), (steps) => {
        expect(play(steps)).toBeGreaterThan(200);
      }),
      { numRuns: 8 },
    );
  });
});
