/**
 * etcdserverpb.KV. A write is checked, put into the log as it came, and answered from what this member's own store made of
 * it; a range is read from this member's store once that is recent enough. Any member will do: the node forwards.
 *
 * Source: etcd's rpc.proto; the order of checks and the texts of errors are etcd's (server/etcdserver/api/v3rpc/key.go).
 */
import {
  type CommandKind,
  checkDeleteRangeRequest,
  checkPutRequest,
  checkRangeRequest,
  checkTxnRequest,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeResult,
  decodeTxnRequest,
  encodeCommand,
  encodeResponseWithHeader,
  type KvMachine,
  ProtobufError,
  type StoreFault,
} from "../store/index.js";
import { type Backend, faultError, nodeError, timeoutOf } from "./backend.js";
import type { CallContext, Method } from "./grpc/router.js";
import { GrpcCode, GrpcError } from "./grpc/status.js";

/** etcd's --max-request-bytes. */
export const MAX_REQUEST_BYTES = 1.5 * 1024 * 1024;

export function kvRoutes(backendNow: () => Backend): readonly (readonly [string, Method])[] {
  const unary = (
    name: string,
    handle: (backend: Backend, request: Uint8Array, context: CallContext) => Promise<Uint8Array>,
  ): readonly [string, Method] => [
    `/etcdserverpb.KV/${name}`,
    { kind: "unary", handle: (request, context) => handle(backendNow(), request, context) },
  ];
  return [
    unary("Range", range),
    unary("Put", (backend, request, context) => write(backend, "put", request, context, checkPut)),
    unary("DeleteRange", (backend, request, context) => write(backend, "deleteRange", request, context, checkDelete)),
    unary("Txn", (backend, request, context) => write(backend, "txn", request, context, checkTxn)),
    unary("Compact", compact),
  ];
}

/** Bytes that are no such message get the status that Go's gRPC gives them. */
function decoding<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ProtobufError)
      throw new GrpcError(GrpcCode.INTERNAL, `grpc: error unmarshalling request: ${error.message}`);
    throw error;
  }
}

const checkPut = (request: Uint8Array): StoreFault | null => checkPutRequest(decodePutRequest(request));
const checkDelete = (request: Uint8Array): StoreFault | null => checkDeleteRangeRequest(decodeDeleteRangeRequest(request));
const checkTxn = (request: Uint8Array): StoreFault | null => checkTxnRequest(decodeTxnRequest(request));

async function write(
  backend: Backend,
  kind: CommandKind,
  request: Uint8Array,
  context: CallContext,
  check: (request: Uint8Array) => StoreFault | null,
): Promise<Uint8Array> {
  const fault = decoding(() => check(request));
  if (fault !== null) throw faultError(fault);
  if (request.length > MAX_REQUEST_BYTES) throw new GrpcError(GrpcCode.INVALID_ARGUMENT, "etcdserver: request is too large");
  return propose(backend, kind, request, context);
}

async function propose(backend: Backend, kind: CommandKind, request: Uint8Array, context: CallContext): Promise<Uint8Array> {
  let answer: { readonly result: Uint8Array; readonly term: number };
  try {
    answer = await backend.node.propose(encodeCommand(kind, request), { timeoutMs: timeoutOf(context) });
  } catch (error) {
    throw nodeError(error);
  }
  const result = decodeResult(answer.result);
  if (!result.ok) throw faultError(result.fault);
  return encodeResponseWithHeader(backend.origin(answer.term), result);
}

async function range(backend: Backend, bytes: Uint8Array, context: CallContext): Promise<Uint8Array> {
  const request = decoding(() => decodeRangeRequest(bytes));
  const fault = checkRangeRequest(request);
  if (fault !== null) throw faultError(fault);
  const query = (machine: KvMachine): Uint8Array | StoreFault => machine.answerRange(request, backend.origin());
  let answer: Uint8Array | StoreFault;
  try {
    // Without a lease it is an ordinary linearizable read.
    const linearizable = { consistency: "lease", timeoutMs: timeoutOf(context) } as const;
    answer = await backend.node.read(query, request.serializable ? { consistency: "stale" } : linearizable);
  } catch (error) {
    throw nodeError(error);
  }
  if (!(answer instanceof Uint8Array)) throw faultError(answer);
  return answer;
}

/** `physical`: the answer comes when this member has given the memory back. */
async function compact(backend: Backend, bytes: Uint8Array, context: CallContext): Promise<Uint8Array> {
  const request = decoding(() => decodeCompactionRequest(bytes));
  const answer = await propose(backend, "compact", bytes, context);
  if (request.physical) await tidied(backend);
  return answer;
}

async function tidied(backend: Backend): Promise<void> {
  for (;;) {
    const busy = await backend.node.read(
      (machine) => {
        machine.tidy();
        return machine.tidying;
      },
      { consistency: "stale" },
    );
    if (!busy) return;
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}
