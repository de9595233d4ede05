/**
 * What the services stand on: the node, and the few facts about this member that every answer carries. It also turns the
 * ways in which a node can fail into the statuses that etcd's clients know.
 */
import { type NodeStatus, RaftError, type RaftNode } from "@quorate/raft";
import type { KvMachine, ResponseOrigin, StoreFault } from "../store/index.js";
import type { CallContext } from "./grpc/router.js";
import { GrpcCode, GrpcError } from "./grpc/status.js";

/** etcd gives a request five seconds, and two election timeouts on top. */
const REQUEST_TIMEOUT_MS = 7000;

export class Backend {
  readonly node: RaftNode<KvMachine>;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  /** Kept up to date by the node's events, so that an answer need not ask for the whole status. */
  term: number;

  constructor(node: RaftNode<KvMachine>) {
    this.node = node;
    const { clusterId, incarnation, currentTerm } = node.status();
    this.clusterId = BigInt(`0x${clusterId.slice(0, 16)}`);
    this.memberId = BigInt(`0x${incarnation}`);
    this.term = currentTerm;
  }

  /** What the header of an answer says besides the revision. */
  origin(raftTerm = this.term): ResponseOrigin {
    return { clusterId: this.clusterId, memberId: this.memberId, raftTerm };
  }

  status(): NodeStatus {
    return this.node.status();
  }
}

/** How long the node may take: as long as the client waits, and never longer than etcd would. */
export function timeoutOf(context: CallContext): number {
  const { timeoutMs } = context;
  return timeoutMs === null ? REQUEST_TIMEOUT_MS : Math.max(1, Math.min(timeoutMs, REQUEST_TIMEOUT_MS));
}

const FAULT_CODES: Readonly<Record<StoreFault["code"], number>> = {
  InvalidArgument: GrpcCode.INVALID_ARGUMENT,
  OutOfRange: GrpcCode.OUT_OF_RANGE,
  NotFound: GrpcCode.NOT_FOUND,
  ResourceExhausted: GrpcCode.RESOURCE_EXHAUSTED,
  Internal: GrpcCode.INTERNAL,
};

export function faultError({ code, message }: StoreFault): GrpcError {
  return new GrpcError(FAULT_CODES[code], message);
}

/**
 * The status for a node's error. None of them says that a write did not happen unless that is certain: where the outcome is
 * unknown the text is one of etcd's timeouts, which its clients take as "may have happened".
 */
export function nodeError(error: unknown): unknown {
  if (!(error instanceof RaftError)) return error;
  switch (error.code) {
    case "overloaded":
      return new GrpcError(GrpcCode.RESOURCE_EXHAUSTED, "etcdserver: too many requests");
    case "tooLarge":
      return new GrpcError(GrpcCode.INVALID_ARGUMENT, "etcdserver: request is too large");
    case "notLeader":
      return new GrpcError(GrpcCode.UNAVAILABLE, "etcdserver: no leader");
    case "leadershipLost":
      return new GrpcError(GrpcCode.UNAVAILABLE, "etcdserver: request timed out, possibly due to previous leader failure");
    case "resultUnavailable":
      return new GrpcError(GrpcCode.UNAVAILABLE, "etcdserver: request timed out, possibly due to connection lost");
    case "notVoter":
    case "noTarget":
      return new GrpcError(GrpcCode.FAILED_PRECONDITION, "etcdserver: bad leader transferee");
    case "transferFailed":
      return new GrpcError(GrpcCode.UNAVAILABLE, "etcdserver: request timed out, leader transfer took too long");
    case "timeout":
      return new GrpcError(
        GrpcCode.UNAVAILABLE,
        error.outcome === "not-executed" ? "etcdserver: no leader" : "etcdserver: request timed out",
      );
    case "aborted":
      return new GrpcError(GrpcCode.CANCELLED, "context canceled");
    case "unknownMember":
      return new GrpcError(GrpcCode.NOT_FOUND, "etcdserver: member not found");
    case "alreadyMember":
      return new GrpcError(GrpcCode.FAILED_PRECONDITION, "etcdserver: Peer URLs already exists");
    case "noVoterLeft":
      return new GrpcError(GrpcCode.FAILED_PRECONDITION, "etcdserver: re-configuration failed due to not enough started members");
    case "nothingToDo":
      return new GrpcError(GrpcCode.FAILED_PRECONDITION, "etcdserver: can only promote a learner member");
    case "termNotCommitted":
    case "transferring":
      return new GrpcError(GrpcCode.UNAVAILABLE, "etcdserver: unhealthy cluster");
    case "changePending":
    case "configurationMoved":
    case "memberTwice":
    case "tooManyMembers":
    case "changeCancelled":
      return new GrpcError(GrpcCode.FAILED_PRECONDITION, `etcdserver: ${error.message}`);
    case "removed":
      return new GrpcError(GrpcCode.UNAVAILABLE, "etcdserver: the member has been permanently removed from the cluster");
    case "closed":
    case "failed":
      return new GrpcError(GrpcCode.UNAVAILABLE, "etcdserver: server stopped");
    // The server opens no sessions.
    case "sessionExpired":
    case "invalidArgument":
    case "dataDirectory":
    case "address":
      return new GrpcError(GrpcCode.INTERNAL, `etcdserver: ${error.message}`);
  }
}
