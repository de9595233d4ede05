/** Three real servers of the built program, each a process with a directory and ports of its own, and what they report. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Child, freePorts, type Processes, until } from "../../../raft/test/proof/processes.js";
import { PROGRAM, type Reported, startMember } from "./member-process.js";

const NAMES = ["a", "b", "c"] as const;

export type Name = (typeof NAMES)[number];

export interface ServersOptions {
  /** Further words for `quorate serve`. */
  readonly words?: readonly string[];
}

export class Servers {
  readonly names: readonly Name[] = NAMES;
  readonly folder: string;
  readonly #processes: Processes;
  readonly #ports: readonly number[];
  readonly #words: readonly string[];
  readonly #children = new Map<Name, Child>();
  readonly #reports = new Map<Name, Reported>();
  /** Called at every report of a server that lives. */
  onReport: (name: Name, report: Reported) => void = () => {};

  private constructor(processes: Processes, ports: readonly number[], options: ServersOptions) {
    this.#processes = processes;
    this.#ports = ports;
    this.#words = options.words ?? [];
    this.folder = processes.folderOnDisk();
  }

  static async make(processes: Processes, options: ServersOptions = {}): Promise<Servers> {
    return new Servers(processes, await freePorts(2 * NAMES.length), options);
  }

  endpoint(name: Name): string {
    return `127.0.0.1:${this.#ports[NAMES.indexOf(name)]}`;
  }

  get endpoints(): readonly string[] {
    return NAMES.map((name) => this.endpoint(name));
  }

  /** As `--cluster` has it. */
  get cluster(): string {
    return NAMES.map((each, place) => `${each}=127.0.0.1:${this.#ports[NAMES.length + place]}`).join(",");
  }

  directory(name: Name): string {
    return join(this.folder, name);
  }

  /** `program`: another build than this one. */
  start(name: Name, program = PROGRAM): void {
    this.#reports.delete(name);
    const { child } = startMember(this.#processes, {
      program,
      name,
      cluster: this.cluster,
      directory: this.directory(name),
      client: this.endpoint(name),
      words: this.#words,
      onReport: (report) => {
        this.#reports.set(name, report);
        this.onReport(name, report);
      },
    });
    this.#children.set(name, child);
  }

  startAll(program = PROGRAM): void {
    for (const name of NAMES) this.start(name, program);
  }

  isRunning(name: Name): boolean {
    return this.#children.get(name)?.running === true;
  }

  /** Kill -9; resolves when the process is gone. */
  async kill(name: Name): Promise<void> {
    const child = this.#children.get(name);
    this.#reports.delete(name);
    child?.kill("SIGKILL");
    await child?.ended;
  }

  /** SIGTERM; resolves with the exit code when the process has gone by itself. */
  async stop(name: Name): Promise<number | null> {
    const child = this.#children.get(name);
    child?.kill("SIGTERM");
    const end = await child?.ended;
    this.#reports.delete(name);
    return end?.code ?? null;
  }

  report(name: Name): Reported | null {
    return this.#reports.get(name) ?? null;
  }

  /** The one that leads in the highest term that any server reports. */
  leader(): Name | null {
    const leaders = NAMES.filter((name) => this.isRunning(name) && this.report(name)?.role === "leader");
    leaders.sort((one, other) => (this.report(other)?.term ?? 0) - (this.report(one)?.term ?? 0));
    return leaders[0] ?? null;
  }

  async waitForLeader(): Promise<Name> {
    let leader: Name | null = null;
    await until(
      () => {
        leader = this.leader();
        return leader !== null;
      },
      () => `a leader; ${this.#complaints()}`,
    );
    return leader ?? "a";
  }

  /** A server that ended although nobody killed it is a failure of its own. */
  checkAlive(): void {
    for (const name of NAMES) {
      const child = this.#children.get(name);
      if (child !== undefined && !child.running && child.end?.signal !== "SIGKILL")
        throw new Error(`${name} ended by itself: ${this.#complaints()}`);
    }
  }

  #complaints(): string {
    return NAMES.map(
      (name) => `${name}: ${JSON.stringify(this.report(name))} ${this.#children.get(name)?.errors.slice(-600) ?? ""}`,
    ).join("\n");
  }

  /** Whether its directory shows that it died while it wrote a snapshot. */
  diedInSnapshot(name: Name): boolean {
    return has(join(this.directory(name), "snapshots"), (file) => /^(taking|receiving)-\d+\.tmp$/.test(file));
  }

  /** … or while it prepared, filled or named a segment of the log. */
  diedInSegmentChange(name: Name): boolean {
    return has(join(this.directory(name), "log"), (file) => file === "prepared.tmp");
  }
}

function has(folder: string, fits: (file: string) => boolean): boolean {
  return existsSync(folder) && readdirSync(folder).some(fits);
}
