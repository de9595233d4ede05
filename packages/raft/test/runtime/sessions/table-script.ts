/**
 * A session table beside a machine, driven by the lines of a golden script: each line is an entry of the log, and what is printed
 * is what became of it. The machine answers every command with the command and a count of all it has executed.
 */

import { ByteWriter } from "../../../src/core/bytes.js";
import type { Entry, EntryType } from "../../../src/core/index.js";
import { MachineHost, type SnapshotPiece } from "../../../src/runtime/machine-host.js";
import { encodeSessionRequest, type SessionRequest } from "../../../src/runtime/sessions/request.js";
import type { SessionReply } from "../../../src/runtime/sessions/table.js";
import { SessionRestore } from "../../../src/runtime/sessions/table-codec.js";
import type { CommittedEntry, StateMachine } from "../../../src/runtime/state-machine.js";

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const bytes = (value: string): Uint8Array => Uint8Array.from(value, (letter) => letter.charCodeAt(0));

/** Remembers all it has executed. */
export class EchoMachine implements StateMachine {
  readonly executed: string[] = [];

  apply(entries: readonly CommittedEntry[]): readonly Uint8Array[] {
    return entries.map(({ data }) => {
      this.executed.push(text(data));
      return bytes(`${text(data)}#${this.executed.length}`);
    });
  }

  snapshot(): Iterable<Uint8Array> {
    return this.executed.map(bytes);
  }

  restore(piece: Uint8Array): void {
    this.executed.push(text(piece));
  }
}

export function sessionEntry(index: number, term: number, ledFor: number, request: SessionRequest): Entry {
  const data = new ByteWriter();
  data.u64(ledFor);
  data.raw(encodeSessionRequest(request));
  return { index, term, type: "session", data: data.finish() };
}

/** Freezes a host, and restores another from it. */
export function throughSnapshot(host: MachineHost<EchoMachine>): {
  readonly host: MachineHost<EchoMachine>;
  readonly pieces: readonly SnapshotPiece[];
} {
  const pieces: SnapshotPiece[] = [];
  const frozen = host.freeze();
  for (let next = frozen.next(); next.done !== true; next = frozen.next()) pieces.push(next.value);
  const machine = new EchoMachine();
  const sessions = new SessionRestore();
  for (const piece of pieces) {
    if (piece.part === "sessions") sessions.piece(piece.bytes);
    else machine.restore(piece.bytes);
  }
  return { host: new MachineHost(machine, sessions.finish()), pieces };
}

/** All there is to know of a table, in one line a session. */
export function tableLines({ sessions: { sessions, time, term } }: MachineHost<EchoMachine>): readonly string[] {
  const lines = [`time ${time / 1000} ms in term ${term}, ${sessions.size} open`];
  for (const session of sessions.values()) {
    const executed = [...session.executed].map(
      ([sequence, { index, result }]) => `${sequence}@${index}${result === null ? " not kept" : ` ${text(result)}`}`,
    );
    lines.push(
      `session ${session.id}: used at ${session.lastUsed / 1000} ms, waits from ${session.lowestWaiting}, ${session.keptBytes} bytes kept: ${executed.join(", ") || "nothing"}`,
    );
  }
  return lines;
}

export function replyText(reply: SessionReply): string {
  switch (reply.type) {
    case "opened":
      return `session ${reply.session} is open, for ${reply.expireAfter / 1000} ms`;
    case "result":
      return `"${text(reply.result)}" of index ${reply.index}/${reply.term}`;
    case "resultNotKept":
      return `executed at index ${reply.index}, the result was not kept`;
    case "forgotten":
      return `not known any more: the client waits from ${reply.lowestWaiting}`;
    case "full":
      return `${reply.open} sessions are open, no more may be`;
    default:
      return reply.type;
  }
}

export class TableScript {
  #host = new MachineHost(new EchoMachine());
  #index = 0;
  #term = 1;
  #ledFor = 0;
  #batch: Entry[] | null = null;

  run(line: string): string {
    const [command = "", ...words] = line.trim().split(/\s+/);
    const numbers = Object.fromEntries(
      words
        .filter((word) => word.includes("="))
        .map((word) => [word.slice(0, word.indexOf("=")), Number(word.slice(word.indexOf("=") + 1))]),
    );
    const plain = words.filter((word) => !word.includes("="));
    const id = Number(plain[0]);
    switch (command) {
      case "leader":
        this.#term = numbers["term"] ?? this.#term;
        this.#ledFor = 0;
        return "ok\n";
      case "led":
        this.#ledFor = Number(plain[0]) * 1000;
        return "ok\n";
      case "open":
        return this.#session({
          kind: "open",
          expireAfter: (numbers["expire"] ?? 1000) * 1000,
          maxSessions: numbers["sessions"] ?? 10,
          maxRequests: numbers["requests"] ?? 4,
          maxResultBytes: numbers["bytes"] ?? 100,
        });
      case "do": {
        const sequence = Number(plain[1]);
        const lowestWaiting = numbers["from"] ?? sequence;
        return this.#session({ kind: "command", session: id, sequence, lowestWaiting, command: bytes(plain[2] ?? "") });
      }
      case "alive":
        return this.#session({ kind: "keepAlive", session: id });
      case "close":
        return this.#session({ kind: "close", session: id });
      case "plain":
        return this.#apply(this.#entry("command", bytes(plain[0] ?? "")));
      case "rubbish":
        return this.#apply(this.#entry("session", new Uint8Array(id)));
      case "batch":
        this.#batch = [];
        return "ok\n";
      case "end": {
        const entries = this.#batch ?? [];
        this.#batch = null;
        return this.#applyAll(entries);
      }
      case "snapshot": {
        const { host, pieces } = throughSnapshot(this.#host);
        this.#host = host;
        return `restored from ${pieces.map(({ part }) => part).join(", ") || "nothing"}\n`;
      }
      case "table":
        return `${tableLines(this.#host).join("\n")}\n`;
      case "executed":
        return `${this.#host.machine.executed.join(" ")}\n`;
      default:
        throw new Error(`unknown command "${command}"`);
    }
  }

  #session(request: SessionRequest): string {
    this.#index += 1;
    return this.#apply(sessionEntry(this.#index, this.#term, this.#ledFor, request));
  }

  #entry(type: EntryType, data: Uint8Array): Entry {
    this.#index += 1;
    return { index: this.#index, term: this.#term, type, data };
  }

  #apply(entry: Entry): string {
    if (this.#batch === null) return this.#applyAll([entry]);
    this.#batch.push(entry);
    return "ok\n";
  }

  #applyAll(entries: readonly Entry[]): string {
    let said = "";
    this.#host.apply(entries, (index, term, result, reply) => {
      const what = reply === undefined ? `"${text(result ?? new Uint8Array(0))}"` : replyText(reply);
      said += `${index}/${term}: ${what}\n`;
    });
    return said;
  }
}
