/**
 * The plain HTTP side of the client port: /health and /version, as load balancers, Patroni and people with curl ask for
 * them, in etcd 3.6's formats; and the members, for `quorate member`.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Backend } from "../backend.js";
import { API_VERSION } from "../member-services.js";
import { answerMembers, isMembersPath } from "../members/endpoint.js";

const HEALTH_TIMEOUT_MS = 2000;

export function plainHttp(backendNow: () => Backend): RequestListener {
  return (request, response) => {
    answer(backendNow, request, response).catch(() => response.destroy());
  };
}

async function answer(backendNow: () => Backend, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  if (isMembersPath(pathname)) return answerMembers(backendNow, pathname, request, response);
  request.resume();
  if (pathname !== "/health" && pathname !== "/version")
    return send(response, 404, "text/plain; charset=utf-8", "404 page not found\n");
  if (request.method !== "GET") return send(response, 405, "text/plain; charset=utf-8", "Method Not Allowed\n");
  if (pathname === "/version") {
    return send(
      response,
      200,
      "application/json",
      JSON.stringify({ etcdserver: API_VERSION, etcdcluster: API_VERSION, storage: API_VERSION }),
    );
  }
  const reason = await unhealthy(backendNow);
  send(
    response,
    reason === "" ? 200 : 503,
    "application/json",
    JSON.stringify({ health: reason === "" ? "true" : "false", reason }),
  );
}

/** Why not, or "": a linearizable read goes through, so there is a leader and a majority. */
async function unhealthy(backendNow: () => Backend): Promise<string> {
  try {
    const { node } = backendNow();
    if (node.status().leader === null) return "RAFT NO LEADER";
    await node.read(() => null, { timeoutMs: HEALTH_TIMEOUT_MS });
    return "";
  } catch (error) {
    return `RANGE ERROR:${error instanceof Error ? error.message : String(error)}`;
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}
