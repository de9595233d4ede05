/**
 * The two answers that `quorate status` reads, StatusResponse and MemberListResponse of etcdserverpb, and the little of
 * protobuf that they need. Unknown fields are skipped, absent ones are their zero.
 *
 * Source: etcd's rpc.proto for the field numbers; "Protocol Buffers: Encoding" for the bytes.
 */

export interface StatusAnswer {
  readonly memberId: bigint;
  readonly version: string;
  readonly dbSize: number;
  readonly leader: bigint;
  readonly raftIndex: number;
  readonly raftTerm: number;
  readonly raftAppliedIndex: number;
  readonly errors: readonly string[];
  readonly isLearner: boolean;
}

export interface MemberAnswer {
  readonly id: bigint;
  readonly name: string;
}

/** Not a protobuf message, or not one of these. */
export class AnswerError extends Error {
  override readonly name = "AnswerError";
}

export function decodeStatus(bytes: Uint8Array): StatusAnswer {
  const message = new Fields(bytes);
  return {
    memberId: new Fields(message.bytes(1)).integer(2),
    version: message.text(2),
    dbSize: Number(message.integer(3)),
    leader: message.integer(4),
    raftIndex: Number(message.integer(5)),
    raftTerm: Number(message.integer(6)),
    raftAppliedIndex: Number(message.integer(7)),
    errors: message.all(8).map(asText),
    isLearner: message.integer(10) !== 0n,
  };
}

export function decodeMembers(bytes: Uint8Array): readonly MemberAnswer[] {
  return new Fields(bytes).all(2).map((value) => {
    const member = new Fields(asBytes(value));
    return { id: member.integer(1), name: member.text(2) };
  });
}

type Value = bigint | Uint8Array;

const NOTHING = new Uint8Array(0);
const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** The fields of one message by number. */
class Fields {
  readonly #values = new Map<number, Value[]>();

  constructor(bytes: Uint8Array) {
    let at = 0;
    const varint = (): bigint => {
      let value = 0n;
      for (let shift = 0n; shift < 70n; shift += 7n) {
        const byte = bytes[at++];
        if (byte === undefined) break;
        value |= BigInt(byte & 0x7f) << shift;
        if (byte < 0x80) return BigInt.asUintN(64, value);
      }
      throw new AnswerError("a number in it does not end");
    };
    const take = (length: number): Uint8Array => {
      if (length > bytes.length - at) throw new AnswerError("it is cut short");
      at += length;
      return bytes.subarray(at - length, at);
    };
    while (at < bytes.length) {
      const tag = Number(varint());
      const kind = tag % 8;
      if (kind === VARINT) this.#add(tag, varint());
      else if (kind === LENGTH_DELIMITED) this.#add(tag, take(Number(varint())));
      else if (kind === FIXED64) take(8);
      else if (kind === FIXED32) take(4);
      else throw new AnswerError(`it has a field of the unknown kind ${kind}`);
    }
  }

  #add(tag: number, value: Value): void {
    const field = Math.floor(tag / 8);
    const values = this.#values.get(field);
    if (values === undefined) this.#values.set(field, [value]);
    else values.push(value);
  }

  all(field: number): readonly Value[] {
    return this.#values.get(field) ?? [];
  }

  integer(field: number): bigint {
    const value = this.all(field).at(-1) ?? 0n;
    if (typeof value !== "bigint") throw new AnswerError(`its field ${field} is no number`);
    return value;
  }

  bytes(field: number): Uint8Array {
    return asBytes(this.all(field).at(-1) ?? NOTHING);
  }

  text(field: number): string {
    return asText(this.bytes(field));
  }
}

function asBytes(value: Value): Uint8Array {
  if (typeof value === "bigint") throw new AnswerError("a number stands where bytes belong");
  return value;
}

function asText(value: Value): string {
  return new TextDecoder().decode(asBytes(value));
}
