/**
 * etcdserverpb.Maintenance/Snapshot: a backup of this cluster as a stream of pieces. The file that comes out is ours
 * (`quorate restore` takes it), not a database of etcd's.
 */
import { WireWriter } from "../store/index.js";
import { type Backend, nodeError } from "./backend.js";
import type { StreamCall, StreamListener } from "./grpc/router.js";
import { GrpcCode, GrpcError } from "./grpc/status.js";
import { writeHeader } from "./header.js";

export function snapshotStream(call: StreamCall, backend: Backend): StreamListener {
  let goOn: (() => void) | null = null;
  let ended = false;
  const release = (): void => {
    goOn?.();
    goOn = null;
  };
  const pump = async (): Promise<void> => {
    for await (const piece of backend.node.backup(new Date().toISOString())) {
      if (ended) return;
      const writer = new WireWriter(64 + piece.length);
      writeHeader(writer, backend, 0, backend.term);
      writer.bytesField(3, piece);
      if (call.send(writer.finish())) continue;
      await new Promise<void>((resolve) => {
        goOn = resolve;
        if (ended) release();
      });
    }
    call.end();
  };
  pump().catch((error: unknown) => {
    const known = nodeError(error);
    call.fail(known instanceof GrpcError ? known : new GrpcError(GrpcCode.INTERNAL, `etcdserver: ${String(error)}`));
  });
  return {
    message: () => {},
    halfClosed: () => {},
    drained: release,
    ended: () => {
      ended = true;
      release();
    },
  };
}
