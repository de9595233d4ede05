/**
 * The messages of etcdserverpb.Cluster, as far as members are in them.
 *
 * Source: etcd's rpc.proto, for the field numbers.
 */
import type { MemberStatus, NodeStatus } from "@quorate/raft";
import { LENGTH_DELIMITED, ProtobufError, VARINT, WireReader, WireWriter } from "../../store/index.js";
import type { Backend } from "../backend.js";
import { GrpcCode, GrpcError } from "../grpc/status.js";
import { idOf, isUnheard } from "./ids.js";

const utf8 = (value: string): Uint8Array => Buffer.from(value, "utf8");
const tagOf = (field: number, wireType: number): number => field * 8 + wireType;

/** Where clients reach each member, as it published that itself. */
export type ClientUrls = ReadonlyMap<bigint, readonly string[]>;

export function writeHeader(writer: WireWriter, backend: Backend, revision: number, raftTerm: number): void {
  const start = writer.beginMessage(1);
  writer.int64ExactField(1, backend.clusterId);
  writer.int64ExactField(2, backend.memberId);
  writer.int64Field(3, revision);
  writer.int64Field(4, raftTerm);
  writer.endMessage(start);
}

/** An answer of this service: its header carries no revision; `added` is the member that the call was about. */
export function membersAnswer(backend: Backend, node: NodeStatus, urls: ClientUrls, added: MemberStatus | null): Uint8Array {
  const writer = new WireWriter(256);
  writeHeader(writer, backend, 0, node.currentTerm);
  if (added !== null) writeMember(writer, 2, node, added, urls);
  for (const member of node.members) writeMember(writer, added === null ? 2 : 3, node, member, urls);
  return writer.finish();
}

/** As etcd has it: one that has not started has no name, and one that is on its way to be a voter is no learner. */
function writeMember(writer: WireWriter, field: number, node: NodeStatus, member: MemberStatus, urls: ClientUrls): void {
  const id = idOf(member);
  const start = writer.beginMessage(field);
  writer.int64ExactField(1, id);
  if (!isUnheard(member)) writer.bytesField(2, utf8(member.name));
  writer.bytesField(3, utf8(`http://${member.address}`));
  for (const url of urls.get(id) ?? []) writer.bytesField(4, utf8(url));
  writer.boolField(5, isLearnerForGood(node, member));
  writer.endMessage(start);
}

export function isLearnerForGood({ configuration }: NodeStatus, { voter, name }: MemberStatus): boolean {
  return !voter && configuration.staged?.promote.includes(name) !== true;
}

/** MemberListRequest.linearizable */
export function decodeLinearizable(request: Uint8Array): boolean {
  let linearizable = false;
  readFields(request, (tag, reader) => {
    if (tag !== tagOf(1, VARINT)) return false;
    linearizable = reader.bool();
    return true;
  });
  return linearizable;
}

export interface MemberRequest {
  /** 0: none was given. */
  readonly id: bigint;
  readonly peerUrls: readonly string[];
  readonly isLearner: boolean;
}

/** MemberAddRequest: the URLs come first. */
export function decodeAdd(request: Uint8Array): MemberRequest {
  return decodeMember(request, { peerUrls: 1, isLearner: 2 });
}

/** MemberUpdateRequest, and what MemberRemoveRequest and MemberPromoteRequest have of it. */
export function decodeChange(request: Uint8Array): MemberRequest {
  return decodeMember(request, { id: 1, peerUrls: 2 });
}

function decodeMember(
  request: Uint8Array,
  fields: { readonly id?: number; readonly peerUrls: number; readonly isLearner?: number },
): MemberRequest {
  const peerUrls: string[] = [];
  const found = { id: 0n, isLearner: false };
  readFields(request, (tag, reader) => {
    if (tag === tagOf(fields.id ?? 0, VARINT)) found.id = reader.uint64Exact();
    else if (tag === tagOf(fields.peerUrls, LENGTH_DELIMITED)) peerUrls.push(Buffer.from(reader.view()).toString("utf8"));
    else if (tag === tagOf(fields.isLearner ?? 0, VARINT)) found.isLearner = reader.bool();
    else return false;
    return true;
  });
  return { ...found, peerUrls };
}

export function readFields(message: Uint8Array, read: (tag: number, reader: WireReader) => boolean): void {
  try {
    const reader = new WireReader(message);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (!read(tag, reader)) reader.skip(tag);
    }
  } catch (error) {
    if (error instanceof ProtobufError)
      throw new GrpcError(GrpcCode.INTERNAL, `grpc: error unmarshalling request: ${error.message}`);
    throw error;
  }
}
