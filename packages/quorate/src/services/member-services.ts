/**
 * What a client asks about the members rather than about the data: etcdserverpb.Maintenance/Status and MoveLeader,
 * Cluster/MemberList, and grpc.health.v1.Health/Check. A member's id is its incarnation, the 64 random bits of its data directory.
 */
import { type KvMachine, WireWriter } from "../store/index.js";
import { type Backend, nodeError, timeoutOf } from "./backend.js";
import type { CallContext, Method } from "./grpc/router.js";
import { GrpcCode, GrpcError } from "./grpc/status.js";
import { type ClientUrls, decodeLinearizable, membersAnswer, readFields, writeHeader } from "./members/messages.js";
import { snapshotStream } from "./snapshot-stream.js";

/** The version of etcd whose API this is; clients switch features on by it, so it is plain numbers. */
export const API_VERSION = "3.6.0";

const text = (value: string): Uint8Array => Buffer.from(value, "utf8");

export function memberRoutes(backendNow: () => Backend): readonly (readonly [string, Method])[] {
  return [
    ["/etcdserverpb.Maintenance/Status", { kind: "unary", handle: () => status(backendNow()) }],
    ["/etcdserverpb.Maintenance/Snapshot", { kind: "stream", open: (call) => snapshotStream(call, backendNow()) }],
    [
      "/etcdserverpb.Maintenance/MoveLeader",
      { kind: "unary", handle: (request, context) => moveLeader(backendNow(), request, context) },
    ],
    [
      "/etcdserverpb.Cluster/MemberList",
      { kind: "unary", handle: (request, context) => memberList(backendNow(), request, context) },
    ],
    ["/grpc.health.v1.Health/Check", { kind: "unary", handle: (request) => health(backendNow, request) }],
  ];
}

async function status(backend: Backend): Promise<Uint8Array> {
  const node = backend.status();
  const leader = node.members.find((member) => member.name === node.leader?.name);
  const store = await stale(backend, (machine) => ({
    revision: machine.currentRevision,
    size: machine.sizeInBytes,
    inUse: machine.sizeInUseInBytes,
  }));
  const writer = new WireWriter(128);
  writeHeader(writer, backend, store.revision, node.currentTerm);
  writer.bytesField(2, text(API_VERSION));
  writer.int64Field(3, store.size);
  if (leader !== undefined) writer.int64ExactField(4, BigInt(`0x${leader.incarnation}`));
  writer.int64Field(5, node.commitIndex);
  writer.int64Field(6, node.currentTerm);
  writer.int64Field(7, node.lastApplied);
  if (leader === undefined) writer.bytesField(8, text("etcdserver: no leader"));
  if (node.state === "joining")
    writer.bytesField(8, text("joining: this node is no member yet, it waits until a leader takes it in"));
  writer.int64Field(9, store.inUse);
  writer.boolField(10, node.learners.includes(node.id));
  writer.bytesField(11, text(API_VERSION));
  return writer.finish();
}

/** Reads this member's store as it is. Before the cluster is founded there is none. */
async function stale<T>(backend: Backend, query: (machine: KvMachine) => T): Promise<T> {
  try {
    return await backend.node.read(query, { consistency: "stale" });
  } catch (error) {
    throw nodeError(error);
  }
}

async function memberList(backend: Backend, request: Uint8Array, context: CallContext): Promise<Uint8Array> {
  const urls = (machine: KvMachine): ClientUrls => new Map([...machine.members].map(([id, { clientUrls }]) => [id, clientUrls]));
  let published: ClientUrls;
  try {
    published = await backend.node.read(
      urls,
      decodeLinearizable(request) ? { timeoutMs: timeoutOf(context) } : { consistency: "stale" },
    );
  } catch (error) {
    throw nodeError(error);
  }
  return membersAnswer(backend, backend.status(), published, null);
}

/** Asked of the leader, as etcd wants it; it answers when the member of that id leads. */
async function moveLeader(backend: Backend, request: Uint8Array, context: CallContext): Promise<Uint8Array> {
  const node = backend.status();
  if (node.role !== "leader") throw new GrpcError(GrpcCode.FAILED_PRECONDITION, "etcdserver: not leader");
  const target = targetOf(request);
  const member = node.members.find(({ incarnation }) => BigInt(`0x${incarnation}`) === target);
  if (member === undefined) throw new GrpcError(GrpcCode.FAILED_PRECONDITION, "etcdserver: bad leader transferee");
  try {
    await backend.node.transferLeadership({ to: member.name, timeoutMs: timeoutOf(context) });
  } catch (error) {
    throw nodeError(error);
  }
  const writer = new WireWriter(64);
  writeHeader(writer, backend, 0, backend.status().currentTerm);
  return writer.finish();
}

/** MoveLeaderRequest.targetID, field 1. */
function targetOf(request: Uint8Array): bigint {
  let target = 0n;
  readFields(request, (tag, reader) => {
    if (tag !== 8) return false;
    target = BigInt.asUintN(64, reader.int64Exact());
    return true;
  });
  return target;
}

/** SERVING while the node runs and knows a leader. Only the server as a whole ("") is known. */
function health(backendNow: () => Backend, request: Uint8Array): Uint8Array {
  let service = "";
  readFields(request, (tag, reader) => {
    if (tag !== 10) return false;
    service = Buffer.from(reader.view()).toString("utf8");
    return true;
  });
  if (service !== "") throw new GrpcError(GrpcCode.NOT_FOUND, "unknown service");
  const writer = new WireWriter(8);
  const SERVING = 1;
  const NOT_SERVING = 2;
  writer.int64Field(1, isServing(backendNow) ? SERVING : NOT_SERVING);
  return writer.finish();
}

function isServing(backendNow: () => Backend): boolean {
  try {
    const { state, leader } = backendNow().status();
    return state === "running" && leader !== null;
  } catch {
    return false;
  }
}
