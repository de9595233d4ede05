/**
 * The state machine of the nodes whose disks are crashed: it keeps the number of every operation in order, and a checksum chain over
 * all of them, so that two histories that differ anywhere differ at the end. Its answer to an operation is the chain so far.
 */
import { ByteReader, ByteWriter } from "../../core/bytes.js";
import { crc32c } from "../../runtime/crc32c.js";
import type { CommittedEntry, StateMachine } from "../../runtime/state-machine.js";

/** A command: its number, and filling. */
export function encodeOperation(operation: number, filling: number): Uint8Array {
  const writer = new ByteWriter(8 + filling);
  writer.u64(operation);
  // Zeros now and then: the log must be able to tell them from what was never written.
  const bytes = new Uint8Array(filling);
  if (operation % 3 !== 0) bytes.fill(1 + (operation % 255));
  writer.raw(bytes);
  return writer.finish();
}

export function operationOf(command: Uint8Array): number {
  return new ByteReader(command).u64();
}

/** Pieces are small, so that a snapshot takes many turns. */
const OPERATIONS_A_PIECE = 64;

export class RecordMachine implements StateMachine {
  readonly operations: number[] = [];
  chain = 0;
  /** Index of the newest entry that was applied or restored. */
  appliedIndex = 0;

  apply(entries: readonly CommittedEntry[]): readonly Uint8Array[] {
    return entries.map((entry) => {
      this.operations.push(operationOf(entry.data));
      this.chain = crc32c(entry.data, 0, entry.data.length, this.chain);
      this.appliedIndex = entry.index;
      const writer = new ByteWriter(4);
      writer.u32(this.chain);
      return writer.finish();
    });
  }

  snapshot(): Iterable<Uint8Array> {
    const { chain, appliedIndex } = this;
    const operations = this.operations.slice();
    return (function* () {
      const head = new ByteWriter();
      head.u32(chain);
      head.u64(appliedIndex);
      yield head.finish();
      for (let at = 0; at < operations.length; at += OPERATIONS_A_PIECE) {
        const piece = new ByteWriter();
        for (const operation of operations.slice(at, at + OPERATIONS_A_PIECE)) piece.u64(operation);
        yield piece.finish();
      }
    })();
  }

  #isHead = true;

  restore(piece: Uint8Array): void {
    const reader = new ByteReader(piece);
    if (this.#isHead) {
      this.#isHead = false;
      this.chain = reader.u32();
      this.appliedIndex = reader.u64();
    } else {
      while (reader.remaining > 0) this.operations.push(reader.u64());
    }
    reader.end();
  }
}
