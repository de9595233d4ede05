/** The node's end of protocol.ts: the members as JSON, and changes of them with lines of progress. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { type MembershipProgress, type MembershipResult, type NewMember, type NodeStatus, RaftError } from "@quorate/raft";
import { z } from "zod";
import type { Backend } from "../backend.js";
import { idOf, isUnheard } from "./ids.js";
import {
  CHANGE_PATH,
  type ChangeLine,
  type ChangeProgress,
  type ChangeRequest,
  changeRequest,
  MEMBERS_PATH,
  type MembersView,
  type WantedMemberChange,
} from "./protocol.js";
import { shortageAfter } from "./safety.js";

const MAX_REQUEST_BYTES = 64 * 1024;

export function isMembersPath(path: string): boolean {
  return path === MEMBERS_PATH || path === CHANGE_PATH;
}

export async function answerMembers(
  backendNow: () => Backend,
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const method = path === MEMBERS_PATH ? "GET" : "POST";
  if (request.method !== method) {
    request.resume();
    return refuse(response, 405, `${path} takes ${method}, not ${request.method ?? "nothing"}`);
  }
  let backend: Backend;
  try {
    backend = backendNow();
  } catch {
    request.resume();
    return refuse(response, 503, "the node is starting: ask again in a moment");
  }
  if (path === CHANGE_PATH) return change(backend, request, response);
  request.resume();
  const text = JSON.stringify(await viewOf(backend));
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

function refuse(response: ServerResponse, status: number, sentence: string): void {
  const text = `${sentence}\n`;
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

// ---- Looking ----

async function viewOf(backend: Backend): Promise<MembersView> {
  const urls = await clientUrls(backend);
  const node = backend.status();
  const led = node.members.find(({ name }) => name === node.leader?.name);
  return {
    clusterId: node.clusterId.slice(0, 16),
    answeredBy: node.id,
    state: node.state,
    leader: node.leader === null ? null : { name: node.leader.name, clientUrls: led === undefined ? [] : urls(idOf(led)) },
    lastLogIndex: node.lastLogIndex,
    members: node.members.map((member) => ({
      name: member.name,
      id: idOf(member).toString(16),
      address: member.address,
      clientUrls: [...urls(idOf(member))],
      started: !isUnheard(member),
      voter: member.voter,
      leader: member.name === node.leader?.name,
      ...linkTo(node, member.name),
    })),
    configuration: {
      ...node.configuration,
      staged: node.configuration.staged === null ? null : copied(node.configuration.staged),
    },
  };
}

const copied = ({ promote, remove, demote }: NonNullable<NodeStatus["configuration"]["staged"]>) => ({
  promote: [...promote],
  remove: [...remove],
  demote: [...demote],
});

function linkTo(node: NodeStatus, name: string): { readonly connected: boolean; readonly matchIndex: number | null } {
  if (name === node.id) return { connected: true, matchIndex: node.role === "leader" ? node.lastLogIndex : null };
  const peer = node.peers.find((each) => each.name === name);
  return { connected: peer?.connected ?? false, matchIndex: node.role === "leader" ? (peer?.matchIndex ?? null) : null };
}

/** As this node's own store has them; nothing where there is no store yet, or none any more. */
async function clientUrls({ node }: Backend): Promise<(id: bigint) => string[]> {
  try {
    const known = await node.read(({ members }) => new Map([...members].map(([id, member]) => [id, member.clientUrls])), {
      consistency: "stale",
    });
    return (id) => [...(known.get(id) ?? [])];
  } catch {
    return () => [];
  }
}

// ---- Changing ----

async function change(backend: Backend, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  const asked = body === null ? null : parseRequest(body);
  if (asked === null) return refuse(response, 413, `a request has at most ${MAX_REQUEST_BYTES} bytes`);
  if (typeof asked === "string") return refuse(response, 400, asked);
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  const say = (line: ChangeLine): void => {
    if (!response.writableEnded && !response.destroyed) response.write(`${JSON.stringify(line)}\n`);
  };
  try {
    const shortage = shortageSentence(backend.status(), asked.change);
    if (shortage !== null) throw new RaftError("invalidArgument", shortage, { outcome: "not-executed", retry: "never" });
    const { configurationIndex } = await make(backend, asked, gone.signal, (progress) =>
      say({ progress: withSnapshots(progress, backend.status()) }),
    );
    say({ done: { configurationIndex } });
  } catch (error) {
    if (!(error instanceof RaftError)) throw error;
    const { code, message, outcome, retry } = error;
    say({ error: { code, message, outcome, retry } });
  }
  response.end();
}

/** Null: it is too long. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_REQUEST_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parseRequest(body: string): ChangeRequest | string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return "the request is not JSON";
  }
  const parsed = changeRequest.safeParse(value);
  if (parsed.success) return parsed.data;
  return `the request is none: ${z.prettifyError(parsed.error).replaceAll(/\s*\n\s*/g, " ")}`;
}

function make(
  { node: { membership } }: Backend,
  { change: wanted, timeoutMs }: ChangeRequest,
  signal: AbortSignal,
  onProgress: (progress: MembershipProgress) => void,
): Promise<MembershipResult> {
  const options = { timeoutMs, signal, onProgress };
  switch (wanted.kind) {
    case "add":
      return membership.add(wanted.members.map(asNewMember), { ...options, learner: wanted.learner });
    case "remove":
      return membership.remove(wanted.names, options);
    case "replace":
      return membership.replace({ remove: wanted.remove, add: wanted.add.map(asNewMember) }, options);
    case "promote":
      return membership.promote(wanted.names, options);
    case "demote":
      return membership.demote(wanted.names, options);
    case "cancel":
      return membership.cancel(options);
    case "wait":
      return membership.wait(options);
  }
}

function asNewMember({ name, address }: { readonly name?: string | undefined; readonly address: string }): NewMember {
  return name === undefined ? { address } : { name, address };
}

function withSnapshots({ waitingFor, catchingUp, ...progress }: MembershipProgress, { peers }: NodeStatus): ChangeProgress {
  return {
    ...progress,
    waitingFor: [...waitingFor],
    catchingUp: catchingUp
      .filter(({ name }) => !waitingFor.includes(name))
      .map((each) => ({
        ...each,
        receivesSnapshot: peers.some(({ name, state }) => name === each.name && state === "snapshot"),
      })),
  };
}

function shortageSentence(node: NodeStatus, wanted: WantedMemberChange): string | null {
  const leaving =
    wanted.kind === "remove" || wanted.kind === "demote" ? wanted.names : wanted.kind === "replace" ? wanted.remove : [];
  const coming = wanted.kind === "replace" ? wanted.add.map(({ name, address }) => name ?? address) : [];
  const shortage = shortageAfter(node, leaving, coming);
  if (shortage === null || shortage.staying.length === 0) return null;
  const { staying, up, needed } = shortage;
  return `${leaving.join(", ")} can't leave now: of the voters that would stay (${staying.join(", ")}) ${needed} are needed, and ${node.id} is connected to ${up.length === 0 ? "none" : `${up.join(", ")} alone`}: start the others, or remove first those that are gone for good`;
}
