/**
 * The log as witness, and with it Exactly once (docs/invariants.md). A simulator sees what every node applies, so it knows the one order in which things happened; whatever
 * nodes hold and clients were told is compared with it, each entry once: no search is needed (testing page, section 2).
 *
 * For this each command carries a number in front, and the user's machine is wrapped in one that takes it off again, tells
 * the witness of it, and keeps in its snapshots where it stands in the order.
 */
import { ByteReader, ByteWriter } from "../core/bytes.js";
import type { Index, Term } from "../core/types.js";
import { crc32c } from "../runtime/crc32c.js";
import type { CommittedEntry, DurableStorage, StateMachine } from "../runtime/state-machine.js";
import { type MachineDisk, type MachineDiskTiming, storageOn } from "./machine-disk.js";

const NUMBER_BYTES = 8;
const EMPTY = new Uint8Array(0);

/** A command with its number. */
export function numbered(operation: number, command: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(NUMBER_BYTES + command.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, operation % 2 ** 32, true);
  view.setUint32(4, Math.floor(operation / 2 ** 32), true);
  bytes.set(command, NUMBER_BYTES);
  return bytes;
}

export function numberOf(command: Uint8Array): number {
  const view = new DataView(command.buffer, command.byteOffset, command.byteLength);
  return view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
}

/** One command in the order that all nodes share. */
export interface Applied {
  readonly index: Index;
  readonly term: Term;
  readonly operation: number;
  readonly command: Uint8Array;
  readonly digest: number;
  /** Of the answer; every node must give the same. */
  readonly resultDigest: number;
  /** Over this and all before it. */
  readonly chain: number;
}

export class Witness<Machine extends StateMachine> {
  readonly #complain: (text: string) => never;
  readonly #newMachine: () => Machine;
  readonly #invariant: ((machine: Machine) => string | null) | null;
  /** In order. Indexes rise, with gaps where there are no commands. */
  readonly order: Applied[] = [];
  readonly #placeOf = new Map<number, number>();
  /** Digests of whole states, by how many commands they stand for. */
  readonly #states = new Map<number, number>();
  /** Called when an operation is seen for the first time. */
  onFirst: ((operation: number, index: Index) => void) | null = null;

  constructor(
    newMachine: () => Machine,
    invariant: ((machine: Machine) => string | null) | null,
    complain: (text: string) => never,
  ) {
    this.#newMachine = newMachine;
    this.#invariant = invariant;
    this.#complain = complain;
  }

  /** A machine for one life of a node; with a disk of its own it keeps itself there. */
  machineFor(
    name: string,
    disk: { readonly at: MachineDisk; readonly timing: MachineDiskTiming } | null,
  ): WitnessedMachine<Machine> {
    return new WitnessedMachine(name, () => this.#newMachine(), this, disk);
  }

  /** The place in the order of an operation, or -1 if no node applied it. */
  placeOf(operation: number): number {
    return this.#placeOf.get(operation) ?? -1;
  }

  /** A node applied a command as the one at `place`. Returns the chain so far. */
  applied(name: string, place: number, entry: CommittedEntry, result: Uint8Array | undefined): number {
    const known = this.order[place];
    const operation = numberOf(entry.data);
    const digest = crc32c(entry.data);
    const resultDigest = crc32c(result ?? EMPTY);
    if (known === undefined) {
      const before = this.order[place - 1];
      if (before === undefined ? place !== 0 : before.index >= entry.index)
        this.#complain(`${name} applied index ${entry.index} after index ${before?.index ?? "nothing"} of another node`);
      if (this.#placeOf.has(operation))
        this.#complain(`operation ${operation} is in the log twice, again at index ${entry.index}`);
      const chain = chained(before?.chain ?? 0, digest);
      this.order.push({
        index: entry.index,
        term: entry.term,
        operation,
        command: entry.data.slice(NUMBER_BYTES),
        digest,
        resultDigest,
        chain,
      });
      this.#placeOf.set(operation, place);
      this.onFirst?.(operation, entry.index);
      return chain;
    }
    if (known.index !== entry.index || known.term !== entry.term || known.digest !== digest) {
      this.#complain(
        `${name} applied operation ${operation} at index ${entry.index} of term ${entry.term}, another node operation ${known.operation} at index ${known.index} of term ${known.term}`,
      );
    }
    if (known.resultDigest !== resultDigest)
      this.#complain(`${name} answered operation ${operation} at index ${entry.index} differently from another node`);
    return known.chain;
  }

  checkInvariant(name: string, machine: Machine): void {
    const wrong = this.#invariant?.(machine) ?? null;
    if (wrong !== null) this.#complain(`the state of ${name} is wrong: ${wrong}`);
  }

  /** Where a restored machine says that it stands must be where the order was. */
  restored(name: string, place: number, appliedIndex: Index, chain: number): void {
    const last = this.order[place - 1];
    if (place === 0 ? chain !== 0 : last === undefined || last.chain !== chain || last.index !== appliedIndex)
      this.#complain(`${name} restored a snapshot of ${place} commands up to index ${appliedIndex} that never was`);
  }

  /** A whole state, at one point of the order, has one content. */
  sawState(name: string, place: number, digest: number): void {
    const known = this.#states.get(place);
    if (known === undefined) this.#states.set(place, digest);
    else if (known !== digest)
      this.#complain(`the state of ${name} after ${place} commands differs from another node's after the same commands`);
  }

  /**
   * Plays the whole order to a fresh machine and calls back before the first command (place 0) and after each: what the state
   * was at every moment. Throws what the machine throws.
   */
  replay(look: (place: number, machine: Machine) => void): void {
    const machine = this.#newMachine();
    look(0, machine);
    for (const [place, { index, term, command, resultDigest, operation }] of this.order.entries()) {
      const [result] = machine.apply([{ index, term, data: command }]);
      if (crc32c(result ?? EMPTY) !== resultDigest)
        this.#complain(`operation ${operation}, applied alone after all before it, gives another answer than the nodes gave`);
      look(place + 1, machine);
    }
  }
}

function chained(chain: number, digest: number): number {
  return (Math.imul(chain ^ digest, 0x5bd1e995) ^ (chain >>> 13)) >>> 0;
}

/** A user's machine with its place in the order. */
export class WitnessedMachine<Machine extends StateMachine> implements StateMachine {
  inner: Machine;
  readonly durable?: DurableStorage;
  readonly #newInner: () => Machine;
  /** A state that is being restored beside the one in force; only where the machine keeps itself on disk. */
  #aside: WitnessedMachine<Machine> | null = null;
  readonly #name: string;
  readonly #witness: Witness<Machine>;
  /** Commands applied, by this life or those before it. */
  place = 0;
  /** Index of the newest command that was applied or restored. */
  appliedIndex: Index = 0;
  chain = 0;
  #hasHead = false;
  #digest = 0;

  constructor(
    name: string,
    newInner: () => Machine,
    witness: Witness<Machine>,
    disk: { readonly at: MachineDisk; readonly timing: MachineDiskTiming } | null = null,
  ) {
    this.#name = name;
    this.#newInner = newInner;
    this.inner = newInner();
    this.#witness = witness;
    if (disk === null) return;
    const state = {
      pieces: () => this.snapshot(),
      fill: (pieces: readonly Uint8Array[]): void => {
        for (const [place, piece] of pieces.entries()) this.#fill(piece, place === pieces.length - 1);
      },
      beginRestore: (): void => {
        this.#aside = new WitnessedMachine(this.#name, this.#newInner, this.#witness);
      },
    };
    this.durable = storageOn(disk.at, state, disk.timing);
  }

  apply(entries: readonly CommittedEntry[]): readonly (Uint8Array | undefined)[] {
    const commands = entries.map(({ index, term, data }) => ({ index, term, data: data.subarray(NUMBER_BYTES) }));
    const results = this.inner.apply(commands);
    for (const [at, entry] of entries.entries()) {
      this.chain = this.#witness.applied(this.#name, this.place, entry, results[at]);
      this.place += 1;
      this.appliedIndex = entry.index;
    }
    this.#witness.checkInvariant(this.#name, this.inner);
    return results;
  }

  snapshot(): Iterable<Uint8Array> {
    const head = new ByteWriter();
    head.u64(this.place);
    head.u64(this.appliedIndex);
    head.u32(this.chain);
    const first = head.finish();
    const { place } = this;
    const pieces = this.inner.snapshot();
    const done = (digest: number): void => this.#witness.sawState(this.#name, place, digest);
    return (function* () {
      yield first;
      let digest = 0;
      for (const piece of pieces) {
        digest = crc32c(piece, 0, piece.length, digest);
        yield piece;
      }
      done(digest);
    })();
  }

  restore(piece: Uint8Array, last: boolean): void {
    const aside = this.#aside;
    if (aside === null) return this.#fill(piece, last);
    aside.restore(piece, last);
    if (!last) return;
    this.#aside = null;
    this.inner = aside.inner;
    this.place = aside.place;
    this.appliedIndex = aside.appliedIndex;
    this.chain = aside.chain;
  }

  #fill(piece: Uint8Array, last: boolean): void {
    if (this.#hasHead) {
      this.inner.restore(piece, last);
      this.#digest = crc32c(piece, 0, piece.length, this.#digest);
    } else {
      this.#hasHead = true;
      const reader = new ByteReader(piece);
      this.place = reader.u64();
      this.appliedIndex = reader.u64();
      this.chain = reader.u32();
      // A machine whose snapshot has no pieces is restored by one call with an empty piece, as the interface says.
      if (last) this.inner.restore(EMPTY, true);
    }
    if (last) {
      this.#witness.restored(this.#name, this.place, this.appliedIndex, this.chain);
      this.#witness.sawState(this.#name, this.place, this.#digest);
      this.#witness.checkInvariant(this.#name, this.inner);
    }
  }

  /** The content of the state as it is now, compared with that of others that stand at the same place. */
  compareState(): void {
    let digest = 0;
    for (const piece of this.inner.snapshot()) digest = crc32c(piece, 0, piece.length, digest);
    this.#witness.sawState(this.#name, this.place, digest);
  }
}
