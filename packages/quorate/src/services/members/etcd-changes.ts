/**
 * etcdserverpb.Cluster's calls that change the members: MemberAdd, MemberRemove, MemberUpdate, MemberPromote.
 *
 * Within, every change of voters is a joint one, and a new voter is a learner until it has caught up; etcd's clients are not
 * told. MemberAdd answers once the change is accepted, because the member is started only afterwards.
 *
 * Source: etcd's server/etcdserver/server.go and api/v3rpc for what is refused, and in which words.
 */
import { type MemberStatus, type NodeStatus, RaftError } from "@quorate/raft";
import { type Backend, nodeError, timeoutOf } from "../backend.js";
import type { CallContext, Method } from "../grpc/router.js";
import { GrpcCode, GrpcError } from "../grpc/status.js";
import { idOf, isUnheard } from "./ids.js";
import { type ClientUrls, decodeAdd, decodeChange, isLearnerForGood, membersAnswer } from "./messages.js";
import { shortageAfter } from "./safety.js";

/** The part of a promotion's time in which the learner must come in; the rest is for taking it back. */
const PROMOTION_SHARE = 0.6;
/** Asked again when somebody else's change came between looking and asking. */
const ATTEMPTS = 3;

const refusal = (code: number, text: string): GrpcError => new GrpcError(code, `etcdserver: ${text}`);
const badUrls = (): GrpcError => refusal(GrpcCode.INVALID_ARGUMENT, "given member URLs are invalid");
const notFound = (): GrpcError => refusal(GrpcCode.NOT_FOUND, "member not found");
const urlTaken = (): GrpcError => refusal(GrpcCode.FAILED_PRECONDITION, "Peer URLs already exists");
const notLearner = (): GrpcError => refusal(GrpcCode.FAILED_PRECONDITION, "can only promote a learner member");
const notInSync = (): GrpcError =>
  refusal(GrpcCode.FAILED_PRECONDITION, "can only promote a learner member which is in sync with leader");
const notEnoughStarted = (): GrpcError =>
  refusal(GrpcCode.FAILED_PRECONDITION, "re-configuration failed due to not enough started members");
const unhealthy = (): GrpcError => refusal(GrpcCode.UNAVAILABLE, "unhealthy cluster");

export function memberChangeRoutes(backendNow: () => Backend): readonly (readonly [string, Method])[] {
  const unary = (name: string, handle: (call: Call, request: Uint8Array) => Promise<MemberStatus | null>) =>
    [
      `/etcdserverpb.Cluster/${name}`,
      { kind: "unary", handle: (request, context) => answer(new Call(backendNow(), context), request, handle) },
    ] satisfies readonly [string, Method];
  return [unary("MemberAdd", add), unary("MemberRemove", remove), unary("MemberUpdate", update), unary("MemberPromote", promote)];
}

/** One call: the node it is for, and how long it may still take. */
class Call {
  readonly backend: Backend;
  readonly #ends: number;

  constructor(backend: Backend, context: CallContext) {
    this.backend = backend;
    this.#ends = performance.now() + timeoutOf(context);
  }

  get leftMs(): number {
    return Math.max(1, this.#ends - performance.now());
  }

  get membership(): Backend["node"]["membership"] {
    return this.backend.node.membership;
  }

  /** The members as nobody can have changed them before the call began. */
  async look(): Promise<NodeStatus> {
    await this.backend.node.read(() => null, { timeoutMs: this.leftMs });
    return this.backend.status();
  }
}

async function answer(
  call: Call,
  request: Uint8Array,
  handle: (call: Call, request: Uint8Array) => Promise<MemberStatus | null>,
): Promise<Uint8Array> {
  try {
    const about = await handle(call, request);
    return membersAnswer(call.backend, call.backend.status(), await publishedBy(call.backend), about);
  } catch (error) {
    throw changeError(error, call.backend.status());
  }
}

/** A node that was removed by this very call has no store to ask any more. */
async function publishedBy({ node }: Backend): Promise<ClientUrls> {
  try {
    return await node.read(({ members }) => new Map([...members].map(([id, { clientUrls }]) => [id, clientUrls])), {
      consistency: "stale",
    });
  } catch {
    return new Map();
  }
}

async function add(call: Call, request: Uint8Array): Promise<MemberStatus> {
  const { peerUrls, isLearner } = decodeAdd(request);
  const address = addressOf(peerUrls);
  await attempts(async () => {
    const { members, configuration } = await call.look();
    if (members.some((member) => member.address === address)) throw urlTaken();
    const options = { expectedIndex: configuration.index, timeoutMs: call.leftMs, waitFor: "committed" } as const;
    await call.membership.add({ address }, { ...options, learner: isLearner });
  });
  const added = call.backend.status().members.find((member) => member.address === address);
  // Somebody removed it again before it could be shown.
  if (added === undefined) throw notFound();
  return added;
}

async function remove(call: Call, request: Uint8Array): Promise<null> {
  const { id } = decodeChange(request);
  const node = await call.look();
  const { name } = memberOf(node, id);
  mayRemove(node, name);
  const { staged } = node.configuration;
  // It waits to become a voter, and nothing else was asked for with it: that is taken back first.
  if (staged?.promote.join() === name && staged.remove.length + staged.demote.length === 0)
    await call.membership.cancel({ expectedIndex: node.configuration.index, timeoutMs: call.leftMs });
  await call.membership.remove(name, { timeoutMs: call.leftMs });
  return null;
}

async function update(call: Call, request: Uint8Array): Promise<null> {
  const { id, peerUrls } = decodeChange(request);
  const address = addressOf(peerUrls);
  const node = await call.look();
  const member = memberOf(node, id);
  if (member.address === address) return null;
  if (node.members.some((other) => other.address === address)) throw urlTaken();
  if (isUnheard(member) && member.name === member.address)
    throw refusal(
      GrpcCode.FAILED_PRECONDITION,
      "a member that has not started is known by its address alone: remove it, and add it at the other one",
    );
  await call.membership.readdress(member.name, address, { timeoutMs: call.leftMs, waitFor: "committed" });
  return null;
}

async function promote(call: Call, request: Uint8Array): Promise<null> {
  const { id } = decodeChange(request);
  const node = await call.look();
  const member = memberOf(node, id);
  if (!isLearnerForGood(node, member)) throw notLearner();
  if (isUnheard(member)) throw notInSync();
  try {
    await call.membership.promote(member.name, { timeoutMs: call.leftMs * PROMOTION_SHARE });
  } catch (error) {
    if (!(error instanceof RaftError) || error.code !== "timeout") throw error;
    await takeBack(call);
  }
  return null;
}

/** The learner did not come in: it stays one. Throws that, unless the last moment has decided otherwise. */
async function takeBack(call: Call): Promise<void> {
  try {
    await call.membership.cancel({ timeoutMs: call.leftMs });
  } catch (error) {
    if (!(error instanceof RaftError) || (error.code !== "nothingToDo" && error.code !== "changePending")) throw error;
    await call.membership.wait({ timeoutMs: call.leftMs });
    return;
  }
  throw notInSync();
}

async function attempts(attempt: () => Promise<void>): Promise<void> {
  for (let left = ATTEMPTS; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left <= 1 || !(error instanceof RaftError) || error.code !== "configurationMoved") throw error;
    }
  }
}

function memberOf(node: NodeStatus, id: bigint): MemberStatus {
  const member = node.members.find((each) => idOf(each) === id);
  if (member === undefined) throw notFound();
  return member;
}

/**
 * A member has one address here. The text is etcd's also where it would have taken more than one; the clients match on it.
 */
function addressOf(peerUrls: readonly string[]): string {
  const [text, ...more] = peerUrls;
  const address = /^http:\/\/((?:\[[0-9a-fA-F:.]+\]|[^:[\]\s/?#@]+):\d{1,5})$/.exec(text ?? "")?.[1];
  const port = Number(address?.slice(address.lastIndexOf(":") + 1));
  if (address === undefined || more.length > 0 || port < 1 || port > 65_535) throw badUrls();
  return address;
}

function mayRemove(node: NodeStatus, name: string): void {
  const shortage = shortageAfter(node, [name]);
  if (shortage !== null) throw shortage.staying.length === 0 ? notEnoughStarted() : unhealthy();
}

/** In etcd's words where it has some for it. */
function changeError(error: unknown, { members, configuration }: NodeStatus): unknown {
  if (!(error instanceof RaftError)) return error;
  switch (error.code) {
    case "changePending": {
      const waited = configuration.staged?.promote ?? [];
      return members.some((member) => isUnheard(member) && waited.includes(member.name)) ? notEnoughStarted() : unhealthy();
    }
    case "termNotCommitted":
    case "transferring":
      return unhealthy();
    case "noVoterLeft":
      return notEnoughStarted();
    default:
      return nodeError(error);
  }
}
