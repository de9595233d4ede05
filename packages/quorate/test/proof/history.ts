/**
 * What clients did and what they were told, as it will be judged later. Every value that is written is unique, so a
 * compare-and-swap on the modification revision is also one on the value.
 *
 * An operation is open until its outcome is known. One whose outcome never becomes known stays open for ever: it may have
 * happened at any time after it was asked for, or not at all.
 */

export type Operation = {
  readonly id: number;
  readonly client: number;
  readonly key: string;
  /** Microseconds of one monotonic clock. */
  readonly invokedAt: number;
  /** Null: open. */
  returnedAt: number | null;
} & (
  | { readonly kind: "read"; result: Found | null }
  | { readonly kind: "write"; readonly value: string; revision: number | null }
  | { readonly kind: "cas"; readonly value: string; readonly expected: Found | null; revision: number | null }
);

/** A value and the revision that wrote it. */
export interface Found {
  readonly value: string;
  readonly revision: number;
}

export type Write = Extract<Operation, { kind: "write" | "cas" }>;

export function nowMicros(): number {
  return Math.round(performance.now() * 1000);
}

export class History {
  readonly #byKey = new Map<string, Operation[]>();
  #nextId = 1;
  /** Writes and swaps whose success was told to a client. */
  acknowledged = 0;
  /** Reads without an answer, and writes that are certain never to have left the client; they are not in the history. */
  dropped = 0;
  /** Writes and swaps whose outcome is not known. */
  unknown = 0;

  get keys(): readonly string[] {
    return [...this.#byKey.keys()];
  }

  of(key: string): readonly Operation[] {
    return this.#byKey.get(key) ?? [];
  }

  get size(): number {
    let size = 0;
    for (const operations of this.#byKey.values()) size += operations.length;
    return size;
  }

  read(client: number, key: string): Extract<Operation, { kind: "read" }> {
    return this.#add({ id: this.#nextId, client, key, kind: "read", invokedAt: nowMicros(), returnedAt: null, result: null });
  }

  write(client: number, key: string, value: string): Extract<Operation, { kind: "write" }> {
    return this.#add({
      id: this.#nextId,
      client,
      key,
      kind: "write",
      value,
      invokedAt: nowMicros(),
      returnedAt: null,
      revision: null,
    });
  }

  cas(client: number, key: string, expected: Found | null, value: string): Extract<Operation, { kind: "cas" }> {
    return this.#add({
      id: this.#nextId,
      client,
      key,
      kind: "cas",
      value,
      expected,
      invokedAt: nowMicros(),
      returnedAt: null,
      revision: null,
    });
  }

  wasRead(operation: Extract<Operation, { kind: "read" }>, found: Found | null): void {
    operation.returnedAt = nowMicros();
    operation.result = found;
  }

  wasWritten(operation: Write, revision: number): void {
    operation.returnedAt = nowMicros();
    operation.revision = revision;
    this.acknowledged += 1;
  }

  /** The comparison failed: nothing was written, and the answer showed what is there instead. That is a read. */
  wasRefused(operation: Extract<Operation, { kind: "cas" }>, found: Found | null): void {
    this.#remove(operation);
    const { id, client, key, invokedAt } = operation;
    this.#add({ id, client, key, kind: "read", invokedAt, returnedAt: nowMicros(), result: found });
  }

  /** It is certain that this never happened, or it was a read that was not answered: it constrains nothing. */
  drop(operation: Operation): void {
    this.#remove(operation);
    this.dropped += 1;
  }

  leaveOpen(operation: Operation): void {
    if (operation.kind === "read") this.#remove(operation);
    else this.unknown += 1;
  }

  #add<Kind extends Operation>(operation: Kind): Kind {
    this.#nextId += 1;
    const operations = this.#byKey.get(operation.key);
    if (operations === undefined) this.#byKey.set(operation.key, [operation]);
    else operations.push(operation);
    return operation;
  }

  #remove(operation: Operation): void {
    const operations = this.#byKey.get(operation.key) ?? [];
    const at = operations.lastIndexOf(operation);
    if (at !== -1) operations.splice(at, 1);
  }
}
