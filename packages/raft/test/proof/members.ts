/**
 * Clusters of fixtures/member.ts for the proofs: real processes, real disks, loopback. The processes run the built package,
 * as a user's program does.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NodeStatus } from "../../src/index.js";
import { type Child, freePorts, type Processes, until } from "./processes.js";

const MEMBER = fileURLToPath(new URL("./fixtures/dist/member.js", import.meta.url));

export interface MemberOptions {
  /** Options of openRaftNode. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** A command that runs the member: its words come before `node`. */
  readonly under?: readonly string[];
}

export type Answer =
  | { readonly ok: true; readonly index: number; readonly term: number; readonly value: number }
  | { readonly ok: false; readonly code: string; readonly outcome: string; readonly message: string };

export class Cluster {
  readonly names: readonly string[];
  readonly folder: string;
  readonly ports: readonly number[];
  readonly #processes: Processes;
  readonly #options: MemberOptions;
  readonly #members = new Map<string, Child>();

  private constructor(processes: Processes, names: readonly string[], ports: readonly number[], options: MemberOptions) {
    this.#processes = processes;
    this.names = names;
    this.ports = ports;
    this.#options = options;
    this.folder = processes.folderOnDisk();
  }

  static async make(processes: Processes, names: readonly string[], options: MemberOptions = {}): Promise<Cluster> {
    return new Cluster(processes, names, await freePorts(names.length), options);
  }

  member(name: string): Child {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`no member ${name} was started`);
    return member;
  }

  get addresses(): string {
    return this.names.map((name, place) => `${name}=127.0.0.1:${this.ports[place]}`).join(",");
  }

  directory(name: string): string {
    return join(this.folder, name);
  }

  /** The record of its effects, over all its lives. */
  effects(name: string): string {
    return join(this.folder, `${name}.effects`);
  }

  /** Starts a member, once more if it ran before; does not wait for it. */
  start(name: string, more: MemberOptions = {}): Child {
    const command = [...(more.under ?? this.#options.under ?? []), process.execPath, MEMBER, name];
    const child = this.#processes.start(name, command[0] ?? "", command.slice(1), {
      CLUSTER: this.addresses,
      DATA: this.directory(name),
      OPTIONS: JSON.stringify({ ...this.#options.options, ...more.options }),
      ...this.#options.environment,
      ...more.environment,
    });
    this.#members.set(name, child);
    return child;
  }

  async startAll(more: (name: string) => MemberOptions = () => ({})): Promise<void> {
    for (const name of this.names) this.start(name, more(name));
    for (const name of this.names) await waitOpen(this.member(name));
  }

  async restart(name: string, more: MemberOptions = {}): Promise<void> {
    this.start(name, more);
    await waitOpen(this.member(name));
  }

  /** Says a line and takes the first answer of that type; earlier lines of other types are dropped. */
  async ask<T>(name: string, line: string, type: string): Promise<T> {
    const member = this.member(name);
    member.send(line);
    return JSON.parse(await member.waitForLine((each) => each.startsWith(`{"type":"${type}"`), `an answer to "${line}"`)) as T;
  }

  status(name: string): Promise<NodeStatus> {
    return this.ask(name, "status", "status");
  }

  add(name: string, amount: number): Promise<Answer> {
    return this.ask(name, `add ${amount}`, "answer");
  }

  /** The value as a linearizable read sees it, asked again until it can be had: a read changes nothing. */
  async value(name: string): Promise<number> {
    let value = 0;
    await until(
      async () => {
        const answer = await this.ask<{ ok: boolean; value: number }>(name, "value", "value");
        value = answer.value;
        return answer.ok;
      },
      () => `a read on ${name}`,
    );
    return value;
  }

  /** Waits until all of `names` know one leader among them in one term. */
  async leader(names: readonly string[] = this.names): Promise<{ readonly name: string; readonly term: number }> {
    let found = { name: "", term: 0 };
    await until(
      async () => {
        const all = await Promise.all(names.map((name) => this.status(name)));
        found = { name: all[0]?.leader?.name ?? "", term: all[0]?.currentTerm ?? 0 };
        return (
          names.includes(found.name) &&
          all.every((each) => each.leader?.name === found.name && each.currentTerm === found.term) &&
          all.some((each) => each.id === found.name && each.role === "leader")
        );
      },
      () => `a leader of ${names.join(", ")}`,
    );
    return found;
  }

  /** Waits until all of `names` have applied what the furthest of them knows to be committed. */
  async caughtUp(names: readonly string[] = this.names): Promise<void> {
    await until(
      async () => {
        const all = await Promise.all(names.map((name) => this.status(name)));
        const furthest = Math.max(...all.map((each) => each.lastLogIndex));
        return all.every((each) => each.lastApplied === furthest);
      },
      () => `${names.join(", ")} to hold the same`,
    );
  }

  async closeAll(names: readonly string[] = this.names): Promise<void> {
    for (const name of names) this.member(name).send("close");
    for (const name of names) await this.member(name).ended;
  }
}

export async function waitOpen(member: Child): Promise<void> {
  await member.waitForLine((line) => line === '{"type":"open"}', "that it is open");
}

export const NAMES = ["a", "b", "c"] as const;
