/**
 * `quorate member`'s end of the members' JSON (services/members/protocol.ts): looks for a node that answers, and best the
 * leader; hands a change to it, and reads its progress line by line.
 */
import { type IncomingMessage, request } from "node:http";
import {
  CHANGE_PATH,
  type ChangeLine,
  MEMBERS_PATH,
  type MembersView,
  parseChangeLine,
  parseMembersView,
  type WantedMemberChange,
} from "../../services/members/protocol.js";
import { describeBreak } from "../grpc-call.js";

export interface Found {
  /** host:port of the node that answered. */
  readonly endpoint: string;
  readonly view: MembersView;
}

/** No endpoint answered: why not, one after the other. */
export interface Unanswered {
  readonly why: string;
}

const LEADER_TIMEOUT_MS = 1000;

/** The view of the leader, if it can be reached; otherwise of the first endpoint that answers. */
export async function findMembers(endpoints: readonly string[], timeoutMs: number): Promise<Found | Unanswered> {
  const reasons: string[] = [];
  for (const endpoint of endpoints) {
    const view = await look(endpoint, timeoutMs);
    if (typeof view === "string") {
      reasons.push(`${endpoint}: ${view}`);
      continue;
    }
    if (view.leader === null || view.leader.name === view.answeredBy) return { endpoint, view };
    return (await leadersView(view.leader.clientUrls, timeoutMs)) ?? { endpoint, view };
  }
  return { why: reasons.join("; ") };
}

async function leadersView(clientUrls: readonly string[], timeoutMs: number): Promise<Found | null> {
  for (const url of clientUrls) {
    if (!url.startsWith("http://")) continue;
    const endpoint = url.slice("http://".length);
    const view = await look(endpoint, Math.min(timeoutMs, LEADER_TIMEOUT_MS));
    // Somebody else may serve at that address by now.
    if (typeof view !== "string" && view.leader?.name === view.answeredBy) return { endpoint, view };
  }
  return null;
}

/** The answer, or why there is none. */
async function look(endpoint: string, timeoutMs: number): Promise<MembersView | string> {
  try {
    const response = await exchange(endpoint, "GET", MEMBERS_PATH, "", timeoutMs);
    const text = await textOf(response);
    if (response.statusCode === 404) return "is no quorate node that knows this command; for an etcd use etcdctl";
    if (response.statusCode !== 200) return text.trim();
    return parseMembersView(text) ?? "answers with something that can't be read";
  } catch (error) {
    return whyNot(error, timeoutMs);
  }
}

/** The head of the answer. Not fetch, which refuses ports that a node may well have. */
function exchange(endpoint: string, method: string, path: string, body: string, timeoutMs: number): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = request(`http://${endpoint}${path}`, {
      method,
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      // For the answer as a whole.
      signal: AbortSignal.timeout(Math.ceil(timeoutMs)),
      agent: false,
    });
    asked.once("response", resolve);
    asked.on("error", reject);
    asked.end(body);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

export type ChangeEnd =
  | Extract<ChangeLine, { readonly done: unknown }>
  | Extract<ChangeLine, { readonly error: unknown }>
  /** Refused before it was looked at. */
  | { readonly refused: string }
  /** No end was heard; `arrived`: the node may have it. */
  | { readonly broken: string; readonly arrived: boolean };

export async function askForChange(
  endpoint: string,
  change: WantedMemberChange,
  timeoutMs: number,
  onProgress: (line: Extract<ChangeLine, { readonly progress: unknown }>["progress"]) => void,
): Promise<ChangeEnd> {
  let arrived = false;
  try {
    // The node keeps the time; the limit here only ends what has fallen silent.
    const body = JSON.stringify({ change, timeoutMs });
    const response = await exchange(endpoint, "POST", CHANGE_PATH, body, timeoutMs + LEADER_TIMEOUT_MS);
    if (response.statusCode !== 200) return { refused: (await textOf(response)).trim() };
    arrived = true;
    for await (const line of lines(response)) {
      const said = parseChangeLine(line);
      if (said === null) return { broken: "answers with something that can't be read", arrived };
      if (!("progress" in said)) return said;
      onProgress(said.progress);
    }
    return { broken: "the answer ended early", arrived };
  } catch (error) {
    // Only a connection that was never made is sure not to have brought it.
    return { broken: whyNot(error, timeoutMs), arrived: arrived || codeOf(error) !== "ECONNREFUSED" };
  }
}

async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

function whyNot(error: unknown, timeoutMs: number): string {
  if (codeOf(error) === "ABORT_ERR") return `no answer within ${Math.round(timeoutMs)} ms`;
  return error instanceof Error ? describeBreak(error) : String(error);
}
