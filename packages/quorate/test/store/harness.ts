/** A store to write tests against: text in, plain data out. */
import {
  type CompactionRequest,
  type Compare,
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  decodeDeleteRangeResponse,
  decodePutResponse,
  decodeResult,
  decodeTxnResponse,
  encodeCommand,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeResponseWithHeader,
  encodeTxnRequest,
  KvMachine,
  type KvMachineOptions,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  type RangeResponse,
  type StoreFault,
  type TxnRequest,
  type TxnResponse,
} from "../../src/store/index.js";

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));
export const text = (from: Uint8Array): string => Buffer.from(from.buffer, from.byteOffset, from.byteLength).toString("latin1");

/** A request with texts for its bytes, and fields left out. */
export type Texts<Request> = { [Field in keyof Request]?: Request[Field] extends Uint8Array ? string : Request[Field] };

export const rangeRequest = (fields: Texts<RangeRequest>): RangeRequest => ({
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
  ...fields,
  key: bytes(fields.key ?? ""),
  rangeEnd: bytes(fields.rangeEnd ?? ""),
});

export const putRequest = (fields: Texts<PutRequest>): PutRequest => ({
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
  ...fields,
  key: bytes(fields.key ?? ""),
  value: bytes(fields.value ?? ""),
});

export const deleteRequest = (fields: Texts<DeleteRangeRequest>): DeleteRangeRequest => ({
  prevKv: false,
  ...fields,
  key: bytes(fields.key ?? ""),
  rangeEnd: bytes(fields.rangeEnd ?? ""),
});

export const compare = (fields: Texts<Compare>): Compare => ({
  result: 0,
  target: 0,
  number: 0,
  lease: 0n,
  ...fields,
  key: bytes(fields.key ?? ""),
  rangeEnd: bytes(fields.rangeEnd ?? ""),
  value: bytes(fields.value ?? ""),
});

/** The other end of a range that holds all keys from its first on. */
export const OPEN = "\0";

export type Answer<Response> = { readonly revision: number; readonly response: Response };

const ORIGIN = { clusterId: 1n, memberId: 2n, raftTerm: 3 };

export class TestStore {
  machine: KvMachine;
  private readonly options: KvMachineOptions;
  private index = 0;

  constructor(options: KvMachineOptions = {}) {
    this.options = options;
    this.machine = new KvMachine(options);
  }

  command(data: Uint8Array): Uint8Array {
    this.index += 1;
    const [result] = this.machine.apply([{ index: this.index, term: 1, data }]);
    if (result === undefined) throw new Error("no result");
    return result;
  }

  put(fields: Texts<PutRequest>): Answer<PutResponse> | string {
    return this.answer(encodeCommand("put", encodePutRequest(putRequest(fields))), (whole) => decodePutResponse(whole).response);
  }

  delete(fields: Texts<DeleteRangeRequest>): Answer<DeleteRangeResponse> | string {
    const command = encodeCommand("deleteRange", encodeDeleteRangeRequest(deleteRequest(fields)));
    return this.answer(command, (whole) => decodeDeleteRangeResponse(whole).response);
  }

  txn(request: Partial<TxnRequest>, innerRevisions: number[] = []): Answer<TxnResponse> | string {
    const command = encodeCommand("txn", encodeTxnRequest({ compare: [], success: [], failure: [], ...request }));
    return this.answer(command, (whole) => decodeTxnResponse(whole, innerRevisions).response);
  }

  compact(revision: number, fields: Partial<CompactionRequest> = {}): Answer<object> | string {
    return this.answer(encodeCommand("compact", encodeCompactionRequest({ revision, physical: false, ...fields })), () => ({}));
  }

  /** What the words of the store are, or the answer. */
  range(fields: Texts<RangeRequest>): Answer<RangeResponse> | string {
    const result = this.machine.range(rangeRequest(fields));
    return result.ok ? { revision: result.revision, response: result.response } : said(result.fault);
  }

  /** `key=value@modRevision` of a range, in the order it came. */
  list(fields: Texts<RangeRequest>): string {
    const answer = this.range(fields);
    if (typeof answer === "string") return answer;
    return answer.response.kvs.map((each) => `${text(each.key)}=${text(each.value)}@${each.modRevision}`).join(" ");
  }

  /** Another machine, restored from a snapshot of this one. */
  restored(): TestStore {
    const copy = new TestStore(this.options);
    copy.index = this.index;
    const pieces = [...this.machine.snapshot()];
    for (const [place, piece] of pieces.entries()) copy.machine.restore(piece, place === pieces.length - 1);
    return copy;
  }

  private answer<Response>(command: Uint8Array, decode: (whole: Uint8Array) => Response): Answer<Response> | string {
    const result = decodeResult(this.command(command));
    if (!result.ok) return said(result.fault);
    return { revision: result.revision, response: decode(encodeResponseWithHeader(ORIGIN, result)) };
  }
}

export const said = (fault: StoreFault): string => `${fault.code}: ${fault.message}`;
