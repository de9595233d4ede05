/**
 * A whole server: a node with the key-value store as its state machine, and the client port in front of it. The client port is
 * taken first, because that changes nothing on disk: a server that can't have its port leaves no trace.
 */
import { type Founder, openRaftNode, RaftError, type RaftNode, type RaftNodeOptions } from "@quorate/raft";
import { encodeAttributes, encodeCommand, KvMachine } from "../store/index.js";
import { Backend } from "./backend.js";
import { ClientPort } from "./grpc/port.js";
import { GrpcServer } from "./grpc/server.js";
import { GrpcCode, GrpcError } from "./grpc/status.js";
import { plainHttp } from "./http/plain.js";
import { kvRoutes } from "./kv.js";
import { memberRoutes } from "./member-services.js";
import { memberChangeRoutes } from "./members/etcd-changes.js";

export interface ServerOptions {
  /** This node's name: one of the founders', or that of a node that joins. */
  readonly name: string;
  /** The founding members and where their peers reach them, the same on every node. */
  readonly cluster: readonly Founder[];
  /** See RaftNodeOptions.clusterToken. */
  readonly clusterToken?: string;
  readonly directory: string;
  /** See RaftNodeOptions.address and RaftNodeOptions.join. */
  readonly peerAddress?: string;
  readonly join?: boolean;
  /** host:port on which to listen for peers, if it is not where they reach this node. */
  readonly listenPeer?: string;
  /** host:port for clients. */
  readonly listenClient: string;
  /** The URL that other members tell clients; default http:// and `listenClient`. */
  readonly advertiseClient?: string;
  /** See RaftNodeOptions.leases. */
  readonly leases?: boolean;
  /** See RaftNodeOptions.priority. */
  readonly priority?: number;
  readonly heartbeatIntervalMs?: number;
  readonly electionTimeoutMs?: number;
  readonly snapshotLogEntries?: number;
  readonly snapshotLogBytes?: number;
  readonly trailingEntries?: number;
  readonly segmentBytes?: number;
}

export interface QuorateServer {
  readonly node: RaftNode<KvMachine>;
  /** host:port that clients reach. */
  readonly clientAddress: string;
  /** Resolves with the reason if the node fails, or is removed from its cluster; otherwise never. */
  readonly failed: Promise<string>;
  /** Lets calls under way finish for a moment, then closes everything. */
  close(): Promise<void>;
}

const GRACE_MS = 1000;
const PUBLISH_AGAIN_MS = 500;

export async function openServer(options: ServerOptions): Promise<QuorateServer> {
  let backend: Backend | null = null;
  const backendNow = (): Backend => {
    if (backend === null) throw new GrpcError(GrpcCode.UNAVAILABLE, "etcdserver: the member is starting");
    return backend;
  };
  const grpc = new GrpcServer({
    routes: new Map([...kvRoutes(backendNow), ...memberRoutes(backendNow), ...memberChangeRoutes(backendNow)]),
    stopError: new GrpcError(GrpcCode.UNAVAILABLE, "etcdserver: server stopped"),
  });
  const port = new ClientPort({ grpc, http: plainHttp(backendNow) });
  const clientAddress = await listen(port, options.listenClient);
  let node: RaftNode<KvMachine>;
  try {
    node = await openRaftNode(nodeOptions(options));
  } catch (error) {
    await port.stop(0);
    throw error;
  }
  const opened = new Backend(node);
  backend = opened;
  let closing: Promise<void> | null = null;
  const failed = follow(opened);
  const publishing = new AbortController();
  const published = publish(opened, options, publishing.signal);
  return {
    node,
    clientAddress,
    failed,
    close() {
      closing ??= (async () => {
        publishing.abort();
        await port.stop(GRACE_MS);
        await node.close();
        await published;
      })();
      return closing;
    },
  };
}

function nodeOptions(options: ServerOptions): RaftNodeOptions<KvMachine> {
  const { name, listenPeer, peerAddress, listenClient: _client, advertiseClient: _advertised, ...shared } = options;
  return {
    ...shared,
    id: name,
    stateMachine: () => new KvMachine(),
    ...(listenPeer !== undefined && { listenAddress: listenPeer }),
    ...(peerAddress !== undefined && { address: peerAddress }),
  };
}

async function listen(port: ClientPort, address: string): Promise<string> {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
  const wanted = Number(address.slice(colon + 1));
  try {
    const bound = await port.listen(host, wanted);
    return `${host.includes(":") ? `[${host}]` : host}:${bound.port}`;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    const reasons: Readonly<Record<string, string>> = {
      EADDRINUSE: "another process listens there; stop it, or choose another address with listenClient",
      EADDRNOTAVAIL: "this machine has no such address; choose one of its own with listenClient",
      EACCES: "permission denied; choose a port above 1023 with listenClient",
    };
    throw new RaftError("address", `clients can't be served at ${address}: ${reasons[code] ?? (error as Error).message}`, {
      outcome: "not-executed",
      retry: "never",
      cause: error,
    });
  }
}

/** Keeps the term current, and waits for the end: a failure, or the removal of this member. */
function follow(backend: Backend): Promise<string> {
  const events = backend.node.events();
  return new Promise((resolve) => {
    const loop = async (): Promise<void> => {
      for await (const event of events) {
        if (event.type === "termChanged") backend.term = event.term;
        if (event.type === "dropped") backend.term = backend.status().currentTerm;
        if (event.type === "failed" || event.type === "removed") resolve(event.reason);
      }
    };
    loop().catch((error: unknown) => resolve(String(error)));
  });
}

/** Lets the cluster know where clients reach this member. Tried until it is done; nothing waits for it. */
async function publish(backend: Backend, options: ServerOptions, signal: AbortSignal): Promise<void> {
  const { node, memberId } = backend;
  const clientUrls = [options.advertiseClient ?? `http://${options.listenClient}`];
  const command = encodeCommand("attributes", encodeAttributes({ memberId, name: options.name, clientUrls }));
  while (!signal.aborted) {
    try {
      const known = await node.read((machine) => machine.members.get(memberId)?.clientUrls.join() ?? null, { signal });
      if (known === clientUrls.join()) return;
      await node.propose(command, { signal });
      return;
    } catch {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, PUBLISH_AGAIN_MS);
        signal.addEventListener(
          "abort",
          () => {
            clearTimeout(timer);
            resolve();
          },
          { once: true },
        );
      });
    }
  }
}
