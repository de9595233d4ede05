/** The header of the answers that are not about the data. */
import type { WireWriter } from "../store/index.js";
import type { Backend } from "./backend.js";

export function writeHeader(writer: WireWriter, backend: Backend, revision: number, raftTerm: number): void {
  const start = writer.beginMessage(1);
  writer.int64ExactField(1, backend.clusterId);
  writer.int64ExactField(2, backend.memberId);
  writer.int64Field(3, revision);
  writer.int64Field(4, raftTerm);
  writer.endMessage(start);
}
