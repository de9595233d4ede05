/** One server in this process, a cluster by itself, and calls to it over plain HTTP/2. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, constants } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, until } from "../../../raft/test/proof/processes.js";
import { decodeGrpcMessage } from "../../src/services/grpc/status.js";
import { openServer, type QuorateServer } from "../../src/services/index.js";

export interface Single {
  readonly server: QuorateServer;
  readonly port: number;
  /** The founders. */
  readonly cluster: readonly { readonly name: string; readonly address: string }[];
  readonly close: () => Promise<void>;
}

/** `alone` false: a cluster of three of which this is the only one that is up, so it is never founded. */
export async function openSingle(alone = true): Promise<Single> {
  const directory = mkdtempSync(join(tmpdir(), "quorate-single-"));
  const [peer = 0, port = 0, second = 0, third = 0] = await freePorts(4);
  const others = alone ? [] : [second, third].map((each, place) => ({ name: `other${place}`, address: `127.0.0.1:${each}` }));
  const cluster = [{ name: "a", address: `127.0.0.1:${peer}` }, ...others];
  const server = await openServer({
    name: "a",
    cluster,
    directory,
    listenClient: `127.0.0.1:${port}`,
    segmentBytes: 1024 * 1024,
    electionTimeoutMs: 200,
    heartbeatIntervalMs: 20,
  });
  if (alone) {
    await until(
      () => server.node.status().leader !== null,
      () => "the server to lead itself",
    );
  }
  const close = async (): Promise<void> => {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  };
  return { server, port, cluster, close };
}

export interface Answer {
  readonly httpStatus: number;
  /** Null: the call ended without one. */
  readonly code: number | null;
  readonly text: string;
  /** The one message of the answer; empty when there is none. */
  readonly message: Uint8Array;
}

export function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** One call, with any body at all. Settles also when the server ends the connection. */
export function call(
  port: number,
  path: string,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((resolve) => {
    const session = connect(`http://127.0.0.1:${port}`);
    let httpStatus = 0;
    let code: number | null = null;
    let text = "";
    const chunks: Buffer[] = [];
    session.on("error", () => {});
    session.once("close", () => {
      const whole = Buffer.concat(chunks);
      resolve({ httpStatus, code, text, message: whole.subarray(Math.min(5, whole.length)) });
    });
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    const look = (found: Readonly<Record<string, unknown>>): void => {
      const status = found["grpc-status"];
      const message = found["grpc-message"];
      if (typeof status === "string") code = Number(status);
      if (typeof message === "string") text = decodeGrpcMessage(message);
    };
    stream.on("response", (found) => {
      httpStatus = Number(found[":status"]);
      look(found);
    });
    stream.on("trailers", look);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => {});
    stream.once("close", () => session.close());
    // A server that neither answers nor ends the call would be a hang.
    stream.setTimeout(20_000, () => session.destroy());
    stream.end(Buffer.from(body));
    stream.once("aborted", () => stream.close(constants.NGHTTP2_NO_ERROR));
  });
}
