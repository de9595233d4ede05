/** A state machine that does next to nothing, and yet tells whether three of them were given the same commands. */
import type { CommittedEntry, StateMachine } from "@quorate/raft";

const NOTHING = new Uint8Array(0);

export class TallyMachine implements StateMachine {
  applied = 0;
  /** Over the number that each command begins with, in order. */
  checksum = 0;

  apply(entries: readonly CommittedEntry[]): Uint8Array[] {
    return entries.map(({ data }) => {
      const number = (data[0] ?? 0) | ((data[1] ?? 0) << 8) | ((data[2] ?? 0) << 16) | ((data[3] ?? 0) << 24);
      this.checksum = (Math.imul(this.checksum, 31) + number) | 0;
      this.applied += 1;
      return NOTHING;
    });
  }

  snapshot(): Uint8Array[] {
    const piece = new Uint8Array(12);
    const view = new DataView(piece.buffer);
    view.setFloat64(0, this.applied);
    view.setInt32(8, this.checksum);
    return [piece];
  }

  restore(piece: Uint8Array): void {
    const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
    this.applied = view.getFloat64(0);
    this.checksum = view.getInt32(8);
  }
}
