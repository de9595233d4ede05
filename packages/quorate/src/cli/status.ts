/** `quorate status`: asks each endpoint how it is, with the calls that every etcd client has. Works on an etcd as well. */

import { ProtobufError } from "../store/protobuf.js";
import { decodeMembers, decodeStatus } from "./etcd-answers.js";
import type { ExitCode } from "./failure.js";
import { CallFailure, GrpcChannel } from "./grpc-call.js";
import { type Answer, isUnreachable, renderStatus } from "./status-view.js";

const STATUS_PATH = "/etcdserverpb.Maintenance/Status";
const MEMBER_LIST_PATH = "/etcdserverpb.Cluster/MemberList";
/** StatusRequest, and MemberListRequest with `linearizable` left out: what the node knows, also without a leader. */
const EMPTY_REQUEST = new Uint8Array(0);

export async function status(endpoints: readonly string[], timeoutMs: number, print: (line: string) => void): Promise<ExitCode> {
  const answers = await Promise.all(endpoints.map((endpoint) => ask(endpoint, timeoutMs)));
  for (const line of renderStatus(answers)) print(line);
  return answers.some(isUnreachable) ? 1 : 0;
}

async function ask(endpoint: string, timeoutMs: number): Promise<Answer> {
  let channel: GrpcChannel | null = null;
  try {
    channel = await GrpcChannel.open(endpoint, timeoutMs);
    const [statusBytes, memberBytes] = await Promise.all([
      channel.call(STATUS_PATH, EMPTY_REQUEST),
      // A node that can't list the members can still say how it is.
      channel.call(MEMBER_LIST_PATH, EMPTY_REQUEST).catch(() => EMPTY_REQUEST),
    ]);
    const answer = decodeStatus(statusBytes);
    return {
      endpoint,
      name: decodeMembers(memberBytes).find(({ id }) => id === answer.memberId)?.name ?? null,
      memberId: answer.memberId,
      version: answer.version,
      dbSizeBytes: answer.dbSize,
      isLeader: answer.leader !== 0n && answer.leader === answer.memberId,
      isLearner: answer.isLearner,
      term: answer.raftTerm,
      raftIndex: answer.raftIndex,
      appliedIndex: answer.raftAppliedIndex,
      errors: answer.errors,
    };
  } catch (error) {
    if (error instanceof CallFailure) return { endpoint, why: error.message };
    if (error instanceof ProtobufError) return { endpoint, why: `answers with something that can't be read: ${error.message}` };
    throw error;
  } finally {
    channel?.close();
  }
}
