/**
 * A history: what clients asked of a system, what they were told, and when. It is all that the checker knows.
 *
 * An operation begins with its call and ends with its return. Both moments belong to it: an operation that returns at 20 and
 * one that is called at 20 are concurrent. Of one whose outcome was never learned `return` is null: it may take effect at any
 * moment after its call, or never.
 *
 * An operation that certainly did not happen is not part of a history. What counts as that is for whoever records the history
 * (or for the reader of its format) to say: some systems report a refused comparison as a failure, others as an answer.
 */

/** Names the object that an operation is about. Null where there is only one. */
export type Key = string | number | null;

export interface Operation {
  /** The client. It is reported, and nothing else: a client may have several operations under way. */
  readonly process: number;
  /** What was asked for, in the words of the model: "read", "write", "cas". */
  readonly f: string;
  readonly key: Key;
  /** What was asked with: plain data, as the model defines it. */
  readonly input: unknown;
  /** What was answered: plain data, as the model defines it. Means nothing while `return` is null. */
  readonly output: unknown;
  /** When it was asked, in any unit, on a clock common to the whole history. */
  readonly call: number;
  /** When it was answered, on the same clock and not before `call`; null: the outcome is unknown. */
  readonly return: number | null;
}

/** The history cannot be read or cannot be judged by the model. The message says where and why. */
export class HistoryError extends Error {
  override readonly name = "HistoryError";
  /** The line at fault, counted from 1; null where the history is not a text. */
  readonly line: number | null;

  constructor(message: string, line: number | null = null) {
    super(line === null ? message : `line ${line}: ${message}`);
    this.line = line;
  }
}

/** One operation in one line, for people. */
export function describeOperation(operation: Operation): string {
  const { process: client, f, key, input, output, call } = operation;
  const target = key === null ? "" : ` ${JSON.stringify(key)}`;
  const asked = input === null || input === undefined ? "" : ` ${JSON.stringify(input)}`;
  const answered = operation.return === null ? "?" : (JSON.stringify(output) ?? "ok");
  return `process ${client}: ${f}${target}${asked} -> ${answered} [${call}, ${operation.return ?? "open"}]`;
}
