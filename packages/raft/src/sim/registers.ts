/**
 * A workload to begin with: a handful of registers, read, written and compared-and-swapped by all clients at once. Every value is
 * written once, so a value tells which write it came from; each write answers with the value it replaced.
 */
import { casRegisterModel, type RegisterState } from "../check/index.js";
import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { CommittedEntry, StateMachine } from "../runtime/state-machine.js";
import type { SeededRandom } from "./random.js";
import type { ClientOperation, ClientView, Workload } from "./workload.js";

const WRITE = 1;
const SWAP = 2;
const KEYS = 4;
const PIECE_KEYS = 2;

export class Registers implements StateMachine {
  readonly values = new Map<number, number>();

  apply(entries: readonly CommittedEntry[]): readonly Uint8Array[] {
    return entries.map(({ data }) => {
      const reader = new ByteReader(data);
      const kind = reader.u8();
      const key = reader.u8();
      const expected = reader.u64();
      const value = reader.u64();
      const before = this.values.get(key) ?? 0;
      const done = kind === WRITE || before === expected;
      if (done) this.values.set(key, value);
      const answer = new ByteWriter(9);
      answer.u8(done ? 1 : 0);
      answer.u64(before);
      return answer.finish();
    });
  }

  snapshot(): Iterable<Uint8Array> {
    const all = [...this.values].sort(([a], [b]) => a - b);
    return (function* () {
      for (let at = 0; at < all.length; at += PIECE_KEYS) {
        const piece = new ByteWriter();
        for (const [key, value] of all.slice(at, at + PIECE_KEYS)) {
          piece.u8(key);
          piece.u64(value);
        }
        yield piece.finish();
      }
    })();
  }

  restore(piece: Uint8Array): void {
    const reader = new ByteReader(piece);
    while (reader.remaining > 0) this.values.set(reader.u8(), reader.u64());
  }
}

/** Registers with a mistake: their snapshots leave out the first key. For seeing what a finding looks like. */
export class ForgetfulRegisters extends Registers {
  override snapshot(): Iterable<Uint8Array> {
    const whole = new Registers();
    for (const [key, value] of this.values) if (key > 0) whole.values.set(key, value);
    return whole.snapshot();
  }
}

function command(kind: number, key: number, expected: number, value: number, filling: number): Uint8Array {
  const writer = new ByteWriter(18 + filling);
  writer.u8(kind);
  writer.u8(key);
  writer.u64(expected);
  writer.u64(value);
  // Zeros now and then: the log must be able to tell them from what was never written.
  const rest = new Uint8Array(filling);
  if (value % 3 !== 0) rest.fill(1 + (value % 255));
  writer.raw(rest);
  return writer.finish();
}

export const registers: Workload<Registers, RegisterState> = {
  name: "registers",
  stateMachine: () => new Registers(),
  model: casRegisterModel({ initial: 0 }),
  operation(random: SeededRandom, { number }: ClientView): ClientOperation<Registers> {
    const key = random.below(KEYS);
    const kind = random.below(10);
    if (kind < 4) return { f: "read", key, query: (machine) => machine.values.get(key) ?? 0 };
    const filling = random.chance(60) ? random.below(6000) : random.below(120);
    if (kind < 8) return { f: "write", key, input: number, command: command(WRITE, key, 0, number, filling) };
    // A guess at what is there: now and then it is right.
    const expected = Math.max(0, number - random.between(1, 12));
    return {
      f: "cas",
      key,
      input: [expected, number],
      command: command(SWAP, key, expected, number, filling),
      answer: (result) => new ByteReader(result).u8() === 1,
    };
  },
};

export const forgetfulRegisters: Workload<Registers, RegisterState> = {
  ...registers,
  name: "forgetful-registers",
  stateMachine: () => new ForgetfulRegisters(),
};
