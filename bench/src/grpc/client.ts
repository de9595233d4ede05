/** The few calls that the benchmark makes itself, to find the leader and to check what the load has done. */
import { connect } from "node:http2";
import { fieldsOf, frame, messageField, numberField, rangeRequest } from "./wire.js";

const ANSWER_WITHIN_MS = 5000;

/** Whether the member at this port leads its cluster; throws while it can't tell. */
export async function leads(port: number): Promise<boolean> {
  const status = fieldsOf(await call(port, "/etcdserverpb.Maintenance/Status", new Uint8Array(0)));
  const leader = numberField(status, 4);
  return leader !== 0n && leader === numberField(messageField(status, 1), 2);
}

/** The revision of the store: it rises by one with each put. */
export async function revisionAt(port: number): Promise<number> {
  const range = fieldsOf(await call(port, "/etcdserverpb.KV/Range", rangeRequest("bench")));
  return Number(numberField(messageField(range, 1), 3));
}

function call(port: number, path: string, request: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    const fail = (error: Error): void => {
      session.destroy();
      reject(error);
    };
    session.once("error", fail);
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.setTimeout(ANSWER_WITHIN_MS, () => fail(new Error(`${path} at port ${port} gives no answer`)));
    const chunks: Buffer[] = [];
    let status: unknown;
    let message: unknown;
    const readStatus = (headers: Record<string, unknown>): void => {
      status = headers["grpc-status"] ?? status;
      message = headers["grpc-message"] ?? message;
    };
    stream.on("response", readStatus);
    stream.on("trailers", readStatus);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.once("error", fail);
    stream.once("close", () => {
      session.close();
      if (status === "0") resolve(Buffer.concat(chunks).subarray(5));
      else
        reject(new Error(`${path} at port ${port}: gRPC status ${String(status)} ${typeof message === "string" ? message : ""}`));
    });
    stream.end(frame(request));
  });
}
