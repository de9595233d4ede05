/**
 * The two answers that `quorate status` reads, StatusResponse and MemberListResponse of etcdserverpb. Unknown fields are
 * skipped, absent ones are their zero; bytes that are no such message are a ProtobufError.
 *
 * Source: etcd's rpc.proto, for the field numbers.
 */
import { LENGTH_DELIMITED, VARINT, WireReader } from "../store/protobuf.js";

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

const number = (field: number): number => field * 8 + VARINT;
const bytes = (field: number): number => field * 8 + LENGTH_DELIMITED;

/** Calls `read` at each field; false says that it is not known, and it is skipped. */
function readFields(message: Uint8Array, read: (tag: number, reader: WireReader) => boolean): void {
  const reader = new WireReader(message);
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (!read(tag, reader)) reader.skip(tag);
  }
}

export function decodeStatus(message: Uint8Array): StatusAnswer {
  const errors: string[] = [];
  const answer = {
    memberId: 0n,
    version: "",
    dbSize: 0,
    leader: 0n,
    raftIndex: 0,
    raftTerm: 0,
    raftAppliedIndex: 0,
    isLearner: false,
  };
  readFields(message, (tag, reader) => {
    if (tag === bytes(1)) answer.memberId = decodeHeaderMember(reader.view());
    else if (tag === bytes(2)) answer.version = text(reader);
    else if (tag === number(3)) answer.dbSize = reader.int64();
    else if (tag === number(4)) answer.leader = reader.uint64Exact();
    else if (tag === number(5)) answer.raftIndex = reader.int64();
    else if (tag === number(6)) answer.raftTerm = reader.int64();
    else if (tag === number(7)) answer.raftAppliedIndex = reader.int64();
    else if (tag === bytes(8)) errors.push(text(reader));
    else if (tag === number(10)) answer.isLearner = reader.bool();
    else return false;
    return true;
  });
  return { ...answer, errors };
}

function decodeHeaderMember(header: Uint8Array): bigint {
  let memberId = 0n;
  readFields(header, (tag, reader) => {
    if (tag !== number(2)) return false;
    memberId = reader.uint64Exact();
    return true;
  });
  return memberId;
}

export function decodeMembers(message: Uint8Array): readonly MemberAnswer[] {
  const members: MemberAnswer[] = [];
  readFields(message, (tag, reader) => {
    if (tag !== bytes(2)) return false;
    members.push(decodeMember(reader.view()));
    return true;
  });
  return members;
}

function decodeMember(message: Uint8Array): MemberAnswer {
  const member = { id: 0n, name: "" };
  readFields(message, (tag, reader) => {
    if (tag === number(1)) member.id = reader.uint64Exact();
    else if (tag === bytes(2)) member.name = text(reader);
    else return false;
    return true;
  });
  return member;
}

function text(reader: WireReader): string {
  return new TextDecoder().decode(reader.view());
}
