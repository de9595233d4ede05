/**
 * Real processes for tests: started, watched line by line, and surely ended. Everything started here is remembered by its
 * process id and killed by it, when the test is over and also when the test runner itself goes.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** A deadline that only catches a hang; no test waits for it when all is well. */
export const GENEROUS_MS = 60_000;

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Child {
  readonly name: string;
  readonly pid: number;
  /** Lines of standard output that nobody has asked for yet. */
  readonly lines: string[] = [];
  /** What it wrote on standard error, the last 64 KiB. */
  errors = "";
  readonly ended: Promise<Ended>;
  end: Ended | null = null;
  readonly #process: ChildProcess;
  readonly #listeners = new Set<(line: string) => void>();

  constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#process = child;
    this.pid = child.pid ?? -1;
    child.stdin?.on("error", () => {});
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (this.#listeners.size === 0) this.lines.push(line);
        else for (const listener of this.#listeners) listener(line);
        if (this.lines.length > 10_000) this.lines.splice(0, 5_000);
      });
    }
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.errors = (this.errors + text).slice(-65_536);
    });
    this.ended = new Promise((resolve) => {
      child.on("error", (error) => {
        this.errors += error.message;
        this.end ??= { code: null, signal: null };
        resolve(this.end);
      });
      // "close" and not "exit": by then everything that it said has arrived.
      child.on("close", (code, signal) => {
        this.end ??= { code, signal };
        resolve(this.end);
      });
    });
  }

  get running(): boolean {
    return this.end === null;
  }

  send(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  kill(signal: NodeJS.Signals): void {
    if (this.running) this.#process.kill(signal);
  }

  /** Calls for every line from now on. */
  onLine(listener: (line: string) => void): void {
    for (const line of this.lines.splice(0)) listener(line);
    this.#listeners.add(listener);
  }

  /** The first line, of those not yet taken, that fits; lines before it are dropped. */
  async waitForLine(fits: (line: string) => boolean, what: string, deadlineMs = GENEROUS_MS): Promise<string> {
    let found: string | undefined;
    await until(
      () => {
        while (found === undefined && this.lines.length > 0) {
          const line = this.lines.shift();
          if (line !== undefined && fits(line)) found = line;
        }
        if (found === undefined && !this.running)
          throw new Error(`${this.name} ended (${JSON.stringify(this.end)}) before it said ${what}: ${this.errors}`);
        return found !== undefined;
      },
      () => `${this.name} to say ${what}; its errors: ${this.errors}`,
      deadlineMs,
    );
    return found ?? "";
  }
}

/** The processes and folders of one test. Call `endAll` in afterEach or afterAll. */
export class Processes {
  readonly #children = new Set<Child>();
  readonly #folders = new Set<string>();
  readonly #atExit = (): void => {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
  };

  constructor() {
    process.on("exit", this.#atExit);
  }

  start(name: string, command: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Child {
    const inherited = { ...process.env };
    // The runner's own: a child is an ordinary program.
    delete inherited["NODE_OPTIONS"];
    delete inherited["VITEST"];
    const child = new Child(
      name,
      spawn(command, args, { env: { ...inherited, ...environment }, stdio: ["pipe", "pipe", "pipe"] }),
    );
    this.#children.add(child);
    void child.ended.then(() => this.#children.delete(child));
    return child;
  }

  node(name: string, file: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Child {
    return this.start(name, process.execPath, [file, ...args], environment);
  }

  /** A new folder under the system's temporary one, removed at the end. */
  folder(): string {
    const folder = mkdtempSync(join(tmpdir(), "quorate-proof-"));
    this.#folders.add(folder);
    return folder;
  }

  /** The same on a real disk: in the repository's ignored folder when the temporary one is in memory, where a sync is nothing. */
  folderOnDisk(): string {
    const folder = mkdtempSync(join(diskFolder(tmpdir()), "quorate-proof-"));
    this.#folders.add(folder);
    return folder;
  }

  async endAll(): Promise<void> {
    const children = [...this.#children];
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(children.map((child) => child.ended));
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
    this.#folders.clear();
    process.off("exit", this.#atExit);
  }
}

/** tmpfs and ramfs, as statfs(2) names them. */
const MEMORY_FILE_SYSTEMS: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

function diskFolder(temporary: string): string {
  if (!MEMORY_FILE_SYSTEMS.has(statfsSync(temporary).type)) return temporary;
  const folder = fileURLToPath(new URL("../../../../node_modules/.quorate-proof", import.meta.url));
  mkdirSync(folder, { recursive: true });
  return folder;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits for a condition, looking again and again; fails with `what` when the deadline passes. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: () => string,
  deadlineMs = GENEROUS_MS,
  everyMs = 10,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${deadlineMs} ms for ${what()}`);
    await pause(everyMs);
  }
}

/** What must be there; fails with `what` where it is not. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`there is no ${what}`);
  return value;
}

const taken = new Set<number>();

/**
 * Loopback ports in a row that are free now. From below the range that the system gives to outgoing connections, because a
 * node that is restarted must find its port again.
 */
export async function freePorts(count: number): Promise<number[]> {
  for (;;) {
    const first = 12_000 + Math.floor(Math.random() * 18_000);
    const ports = Array.from({ length: count }, (_, place) => first + place);
    if (ports.some((port) => taken.has(port))) continue;
    for (const port of ports) taken.add(port);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return ports;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
