/**
 * System calls of a real process, as strace saw them, turned into effects that effects.ts can judge. Nothing of the program
 * takes part: what counts as synced is what the system answered to fdatasync, what counts as sent is what was handed to a
 * socket.
 *
 * A call can be seen in two lines, where it begins and where it returns, because other threads go on meanwhile. A socket
 * write and the beginning of a sync count where they begin, a file write and the end of a sync where they return: each at
 * the end that is harder on the program.
 */
import { spawnSync } from "node:child_process";
import { FrameDecoder } from "../../src/runtime/wire/frame.js";
import type { Effect } from "./effects.js";

const CALLS = "fdatasync,fsync,write,writev,sendto,sendmsg,pwrite64,rename,renameat,renameat2,ftruncate";

/** How to run a program under strace. It is the program that is the child then (-D), and that signals reach. */
export function straceCommand(output: string, ...more: readonly string[]): string[] {
  // -xx: strings in hexadecimal; -yy: what a descriptor stands for; -s: no string is cut off.
  const always = ["-D", "-f", "-xx", "-yy", "-s", "4194304", "-e", `trace=${CALLS}`, "-o", output];
  return ["strace", ...always, ...more.flatMap((expression) => ["-e", expression])];
}

/** All file operations go through the thread pool, where strace sees them one by one. */
export const STRACE_ENVIRONMENT = { UV_USE_IO_URING: "0" } as const;

/** Why there can be no trace here; null where strace works. */
export function straceMissing(): string | null {
  const tried = spawnSync("strace", ["-f", "-yy", "-e", "trace=fdatasync", "-o", "/dev/null", "true"], { encoding: "utf8" });
  if (tried.error !== undefined) return `strace can't be started (${tried.error.message}): install it to run these tests`;
  return tried.status === 0 ? null : `strace is not allowed to trace here (${tried.stderr.trim()})`;
}

const SENDS: ReadonlySet<string> = new Set(["write", "writev", "sendto", "sendmsg"]);

interface Sent {
  readonly to: string;
  readonly data: string;
}

interface Call {
  readonly name: string;
  /** Up to the closing bracket. */
  readonly text: string;
}

/** Takes the lines of one process's life. */
export class TraceReader {
  readonly effects: Effect[] = [];
  /** Syncs of a segment of the log that the system refused. */
  refused = 0;
  readonly #directory: string;
  readonly #peerOfPort: ReadonlyMap<number, string>;
  readonly #begun = new Map<string, { readonly call: Call; readonly id: number }>();
  /** Socket writes that have begun, and what will have left with them. */
  readonly #sending = new Map<number, Sent[]>();
  /** By connection; none until its first write, which is the handshake. */
  readonly #connections = new Map<string, FrameDecoder>();
  #line = 0;

  constructor(name: string, directory: string, peerOfPort: ReadonlyMap<number, string>) {
    this.#directory = directory;
    this.#peerOfPort = peerOfPort;
    this.#note({ k: "life", name });
  }

  read(trace: string): void {
    for (const line of trace.split("\n")) this.#readLine(line);
  }

  #note(effect: Effect extends infer Each ? (Each extends Effect ? Omit<Each, "n" | "at"> : never) : never): void {
    this.effects.push({ ...effect, n: this.effects.length + 1, at: this.#line });
  }

  #readLine(line: string): void {
    this.#line += 1;
    const resumed = /^(\d+) +<\.\.\. (\w+) resumed>.*?\) += (-?\d+)( E\w+)?/.exec(line);
    if (resumed !== null) {
      const begun = this.#begun.get(resumed[1] ?? "");
      this.#begun.delete(resumed[1] ?? "");
      if (begun !== undefined) this.#ends(begun.call, begun.id, Number(resumed[3]));
      return;
    }
    const started = /^(\d+) +(\w+)\((.*)$/.exec(line);
    if (started === null) return;
    const [, thread = "", name = "", rest = ""] = started;
    const whole = /^(.*)\) += (-?\d+)( E\w+)?[^)]*(\([^)]*\) ?)*$/.exec(rest);
    const call = { name, text: whole?.[1] ?? rest.replace(/ <unfinished \.\.\.>$/, "") };
    const id = this.#line;
    this.#begins(call, id);
    if (whole !== null) this.#ends(call, id, Number(whole[2]));
    else this.#begun.set(thread, { call, id });
  }

  #begins(call: Call, id: number): void {
    if (call.name === "fdatasync" || call.name === "fsync") {
      const path = this.#path(call.text);
      if (path !== null) this.#note({ k: "syncBegin", id, path });
    } else if (SENDS.has(call.name) && this.#peer(call.text) !== null) {
      const sent: Sent[] = [];
      this.#sending.set(id, sent);
      this.#note({ k: "flush", sent });
    }
  }

  #ends(call: Call, id: number, result: number): void {
    const path = this.#path(call.text);
    switch (call.name) {
      case "fdatasync":
      case "fsync":
        if (path === null) return;
        if (result !== 0 && path.endsWith(".segment")) this.refused += 1;
        return this.#note({ k: "syncEnd", id, path, ok: result === 0 });
      case "pwrite64":
        if (path === null || result < 0) return;
        return this.#wrote(path, call.text, result);
      case "rename":
      case "renameat":
      case "renameat2": {
        const [from = null, to = null] = strings(call.text).map((bytes) => this.#inside(bytes.toString()));
        if (result === 0 && from !== null && to !== null) this.#note({ k: "rename", from, to });
        return;
      }
      default:
        if (SENDS.has(call.name)) this.#sent(call.text, id, result);
    }
  }

  #wrote(path: string, text: string, result: number): void {
    const bytes = strings(text)[0];
    const position = Number(/, (\d+)$/.exec(text)?.[1] ?? Number.NaN);
    if (bytes === undefined || bytes.length < result || !Number.isSafeInteger(position))
      throw new Error(`line ${this.#line} of the trace can't be read: ${text.slice(0, 200)}`);
    this.#note({ k: "write", path, position, data: bytes.subarray(0, result).toString("base64") });
  }

  /** A write to a connection that this process dialled; the other ones carry no messages. */
  #peer(text: string): string | null {
    const port = Number(/^TCP:\[.*->.*:(\d+)\]$/.exec(descriptor(text))?.[1] ?? 0);
    return this.#peerOfPort.get(port) ?? null;
  }

  /** What the system took of a write leaves where the write began. */
  #sent(text: string, id: number, result: number): void {
    const place = this.#sending.get(id);
    this.#sending.delete(id);
    const peer = this.#peer(text);
    if (place === undefined || peer === null || result <= 0) return;
    const socket = descriptor(text);
    const decoder = this.#connections.get(socket);
    if (decoder === undefined) {
      this.#connections.set(socket, new FrameDecoder());
      return;
    }
    const payloads = decoder.push(Buffer.concat(strings(text)).subarray(0, result));
    if (decoder.failure !== null) throw new Error(`line ${this.#line} of the trace: ${decoder.failure}`);
    for (const payload of payloads) place.push({ to: peer, data: Buffer.from(payload).toString("base64") });
  }

  /** The path of the call's descriptor inside the data directory. */
  #path(text: string): string | null {
    return this.#inside(descriptor(text));
  }

  #inside(path: string): string | null {
    if (path === this.#directory) return "";
    return path.startsWith(`${this.#directory}/`) ? path.slice(this.#directory.length + 1) : null;
  }
}

/** What the first descriptor of a call stands for. */
function descriptor(text: string): string {
  const found = /^\d+<(.*?)>(?:,|$)/.exec(text)?.[1] ?? "";
  return found.startsWith("\\x") ? bytesOf(found).toString() : found;
}

/** The strings among the arguments. */
function strings(text: string): Buffer[] {
  return [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map((match) => bytesOf(match[1] ?? ""));
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text.replaceAll("\\x", ""), "hex");
}
