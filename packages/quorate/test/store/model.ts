/**
 * etcd's store, as naive as it can be: a list of all versions ever written, and every question answered by going through it.
 * Nothing here is shared with the real one but the names of the messages.
 */
import type {
  Compare,
  DeleteRangeRequest,
  KeyValue,
  PutRequest,
  RangeRequest,
  RangeResponse,
  RequestOp,
  ResponseOp,
  TxnRequest,
} from "../../src/store/index.js";
import { bytes, text } from "./harness.js";

interface Version {
  readonly key: string;
  readonly value: string;
  readonly lease: bigint;
  readonly modRevision: number;
  readonly createRevision: number;
  /** 0: a tombstone. */
  readonly version: number;
}

const GONE = "OutOfRange: etcdserver: mvcc: required revision has been compacted";
const FUTURE = "OutOfRange: etcdserver: mvcc: required revision is a future revision";
const NO_KEY = "InvalidArgument: etcdserver: key not found";
const NO_LEASE = "NotFound: etcdserver: requested lease not found";

export type Answered<Response> = { revision: number; response: Response } | string;

export class Model {
  private readonly leases: readonly bigint[];
  private readonly versions: Version[] = [];
  private revision = 1;
  private compacted = -1;
  /** The revision that writes of the command under way have. */
  private writing: number | null = null;

  constructor(leases: readonly bigint[]) {
    this.leases = leases;
  }

  range(request: RangeRequest): Answered<RangeResponse> {
    const fault = this.revisionFault(request);
    return fault ?? { revision: this.now, response: this.read(request) };
  }

  put(request: PutRequest): Answered<{ prevKv: KeyValue | null }> {
    if (request.lease !== 0n && !this.leases.includes(request.lease)) return NO_LEASE;
    if (this.lacksKey(request)) return NO_KEY;
    return this.command(() => this.write(request));
  }

  delete(request: DeleteRangeRequest): Answered<{ deleted: number; prevKvs: KeyValue[] }> {
    return this.command(() => this.remove(request));
  }

  txn(request: TxnRequest): Answered<{ succeeded: boolean; responses: ResponseOp[] }> {
    const chosen = new Map<TxnRequest, boolean>();
    this.choose(request, chosen);
    const fault = this.firstFault(request, chosen);
    return fault ?? this.command(() => this.run(request, chosen));
  }

  compact(revision: number): Answered<object> {
    if (revision <= this.compacted) return GONE;
    if (revision > this.revision) return FUTURE;
    this.compacted = revision;
    return { revision: this.revision, response: {} };
  }

  private get now(): number {
    return this.writing !== null && this.versions.at(-1)?.modRevision === this.writing ? this.writing : this.revision;
  }

  private command<Response>(run: () => Response): Answered<Response> {
    this.writing = this.revision + 1;
    const response = run();
    this.revision = this.now;
    this.writing = null;
    return { revision: this.revision, response };
  }

  /** What exists at a revision, by key. */
  private at(revision: number): Version[] {
    const newest = new Map<string, Version>();
    for (const each of this.versions) if (each.modRevision <= revision) newest.set(each.key, each);
    return [...newest.values()].filter((each) => each.version > 0).sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  private within(key: Uint8Array, rangeEnd: Uint8Array, revision: number): Version[] {
    const [from, to] = [text(key), text(rangeEnd)];
    return this.at(revision).filter((each) =>
      to === "" ? each.key === from : each.key >= from && (to === "\0" || each.key < to),
    );
  }

  private revisionFault({ revision }: RangeRequest): string | null {
    if (revision > this.now) return FUTURE;
    return revision > 0 && revision < this.compacted ? GONE : null;
  }

  private read(request: RangeRequest): RangeResponse {
    const { limit, sortOrder, sortTarget, minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
    const all = this.within(request.key, request.rangeEnd, request.revision > 0 ? request.revision : this.now);
    const filtered = minModRevision !== 0 || maxModRevision !== 0 || minCreateRevision !== 0 || maxCreateRevision !== 0;
    let some = request.countOnly ? [] : all;
    if (limit > 0 && sortOrder === 0 && !filtered) some = some.slice(0, limit + 1);
    some = some.filter((each) => {
      const low = each.modRevision >= minModRevision || minModRevision === 0;
      const high = each.modRevision <= maxModRevision || maxModRevision === 0;
      const lowCreate = each.createRevision >= minCreateRevision || minCreateRevision === 0;
      const highCreate = each.createRevision <= maxCreateRevision || maxCreateRevision === 0;
      return low && high && lowCreate && highCreate;
    });
    if (sortTarget !== 0 || sortOrder === 2) {
      const field = (["key", "version", "createRevision", "modRevision", "value"] as const)[sortTarget] ?? "key";
      const sign = sortOrder === 2 ? -1 : 1;
      some = some.slice().sort((a, b) => (a[field] < b[field] ? -sign : a[field] > b[field] ? sign : 0));
    }
    const more = limit > 0 && some.length > limit;
    const kvs = (more ? some.slice(0, limit) : some).map(keyValueOf);
    return { kvs: request.keysOnly ? kvs.map((each) => ({ ...each, value: bytes("") })) : kvs, more, count: all.length };
  }

  private latest(key: Uint8Array): Version | undefined {
    return this.within(key, bytes(""), this.now)[0];
  }

  private lacksKey(request: PutRequest): boolean {
    return (request.ignoreValue || request.ignoreLease) && this.latest(request.key) === undefined;
  }

  private write(request: PutRequest): { prevKv: KeyValue | null } {
    const before = this.latest(request.key);
    const modRevision = this.writing ?? 0;
    this.versions.push({
      key: text(request.key),
      value: request.ignoreValue && before !== undefined ? before.value : text(request.value),
      lease: request.ignoreLease && before !== undefined ? before.lease : request.lease,
      modRevision,
      createRevision: before?.createRevision ?? modRevision,
      version: (before?.version ?? 0) + 1,
    });
    return { prevKv: request.prevKv && before !== undefined ? keyValueOf(before) : null };
  }

  private remove(request: DeleteRangeRequest): { deleted: number; prevKvs: KeyValue[] } {
    const gone = this.within(request.key, request.rangeEnd, this.now);
    for (const { key } of gone) {
      this.versions.push({ key, value: "", lease: 0n, modRevision: this.writing ?? 0, createRevision: 0, version: 0 });
    }
    return { deleted: gone.length, prevKvs: request.prevKv ? gone.map(keyValueOf) : [] };
  }

  private choose(request: TxnRequest, chosen: Map<TxnRequest, boolean>): void {
    const succeeded = request.compare.every((each) => this.holds(each));
    chosen.set(request, succeeded);
    for (const op of succeeded ? request.success : request.failure) if (op.kind === "txn") this.choose(op.request, chosen);
  }

  private holds(compare: Compare): boolean {
    const found = this.within(compare.key, compare.rangeEnd, this.now);
    if (found.length === 0)
      return (
        compare.target !== 3 && differenceHolds(compare, { version: 0, createRevision: 0, modRevision: 0, value: "", lease: 0n })
      );
    return found.every((each) => differenceHolds(compare, each));
  }

  private firstFault(request: TxnRequest, chosen: Map<TxnRequest, boolean>): string | null {
    for (const op of branchOf(request, chosen)) {
      let fault: string | null = null;
      if (op.kind === "range" && op.request.revision > this.revision) fault = FUTURE;
      else if (op.kind === "range" && op.request.revision !== 0 && op.request.revision < this.compacted) fault = GONE;
      else if (op.kind === "put" && this.lacksKey(op.request)) fault = NO_KEY;
      else if (op.kind === "put" && op.request.lease !== 0n && !this.leases.includes(op.request.lease)) fault = NO_LEASE;
      else if (op.kind === "txn") fault = this.firstFault(op.request, chosen);
      if (fault !== null) return fault;
    }
    return null;
  }

  private run(request: TxnRequest, chosen: Map<TxnRequest, boolean>): { succeeded: boolean; responses: ResponseOp[] } {
    const responses = branchOf(request, chosen).map((op): ResponseOp => {
      if (op.kind === "range") return { kind: "range", response: this.read(op.request) };
      if (op.kind === "put") return { kind: "put", response: this.write(op.request) };
      if (op.kind === "deleteRange") return { kind: "deleteRange", response: this.remove(op.request) };
      if (op.kind === "txn") return { kind: "txn", response: this.run(op.request, chosen) };
      throw new Error("an empty operation passed the checks");
    });
    return { succeeded: chosen.get(request) === true, responses };
  }
}

function branchOf(request: TxnRequest, chosen: Map<TxnRequest, boolean>): readonly RequestOp[] {
  return chosen.get(request) === true ? request.success : request.failure;
}

function differenceHolds(
  compare: Compare,
  version: Pick<Version, "version" | "createRevision" | "modRevision" | "value" | "lease">,
): boolean {
  const [stored, given] = (
    [
      [version.version, compare.number],
      [version.createRevision, compare.number],
      [version.modRevision, compare.number],
      [version.value, text(compare.value)],
      [version.lease, compare.lease],
    ] as const
  )[compare.target] ?? [0, 0];
  return [stored === given, stored > given, stored < given, stored !== given][compare.result] ?? true;
}

function keyValueOf(version: Version): KeyValue {
  return { ...version, key: bytes(version.key), value: bytes(version.value) };
}
