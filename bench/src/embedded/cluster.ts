/** Three members in three processes on loopback, each with a directory of its own on the disk that is measured. */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BenchFailure } from "../failure.js";
import { freePorts } from "../ports.js";
import type { Answer, LoadResult, Order } from "./messages.js";

const MEMBER = new URL("./member.js", import.meta.url);
const NAMES = ["a", "b", "c"] as const;
const LEADER_WITHIN_MS = 20_000;
const EQUAL_WITHIN_MS = 20_000;
const CLOSED_WITHIN_MS = 10_000;

export interface LoadSettings {
  readonly payloadBytes: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface EmbeddedCluster {
  load(outstanding: number, settings: LoadSettings): Promise<LoadResult>;
  close(): Promise<void>;
}

/** `execArgv`: options of Node.js for the members, like --cpu-prof. */
export async function openCluster(directory: string, execArgv: readonly string[] = []): Promise<EmbeddedCluster> {
  const ports = await freePorts(NAMES.length);
  const cluster = NAMES.map((name, place) => ({ name, address: `127.0.0.1:${ports[place] ?? 0}` }));
  const members = NAMES.map((name) => new Member(name, execArgv));
  const close = async (): Promise<void> => {
    await Promise.all(members.map((member) => member.close()));
  };
  try {
    await Promise.all(
      members.map(({ name, ask }) => ask({ type: "open", id: name, cluster, directory: join(directory, name) }, "opened")),
    );
    await leaderOf(members);
  } catch (error) {
    await close();
    throw error;
  }
  return { load: (outstanding, settings) => load(members, outstanding, settings), close };
}

async function load(members: readonly Member[], outstanding: number, settings: LoadSettings): Promise<LoadResult> {
  const leader = await leaderOf(members);
  // The leader first, so that its CPU time is the first of the list.
  const pids = [leader, ...members.filter((member) => member !== leader)].map(({ pid }) => pid);
  const { result } = await leader.ask({ type: "load", outstanding, ...settings, pids }, "loaded");
  await allEqual(members);
  return result;
}

async function leaderOf(members: readonly Member[]): Promise<Member> {
  const giveUpAt = Date.now() + LEADER_WITHIN_MS;
  while (Date.now() < giveUpAt) {
    for (const member of members) {
      if ((await member.ask({ type: "report" }, "report")).role === "leader") return member;
    }
    await pause(50);
  }
  throw new BenchFailure(`the embedded cluster has no leader after ${LEADER_WITHIN_MS / 1000} s`);
}

/** What was measured counts only if all three applied the same commands in the same order. */
async function allEqual(members: readonly Member[]): Promise<void> {
  const giveUpAt = Date.now() + EQUAL_WITHIN_MS;
  let seen = "";
  while (Date.now() < giveUpAt) {
    const reports = await Promise.all(members.map(({ ask }) => ask({ type: "report" }, "report")));
    const states = reports.map(({ applied, checksum }) => `${applied}/${checksum}`);
    if (new Set(states).size === 1) return;
    seen = states.join(", ");
    await pause(20);
  }
  throw new BenchFailure(`the three members did not come to the same state (commands applied / checksum: ${seen})`);
}

class Member {
  readonly name: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  #waiting: { readonly resolve: (answer: Answer) => void; readonly reject: (error: Error) => void } | null = null;

  constructor(name: string, execArgv: readonly string[]) {
    this.name = name;
    this.#process = fork(MEMBER, { execArgv: [...execArgv] });
    this.#exited = new Promise((exited) => this.#process.once("exit", () => exited()));
    this.#process.on("message", (answer: Answer) => {
      if (answer.type === "failed") this.#waiting?.reject(new BenchFailure(`embedded node ${name}: ${answer.message}`));
      else this.#waiting?.resolve(answer);
      this.#waiting = null;
    });
    this.#process.once("exit", (code, signal) => {
      this.#waiting?.reject(new BenchFailure(`embedded node ${name} ended (${signal ?? `exit code ${code}`})`));
      this.#waiting = null;
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** One question at a time; the answer must be of the kind `kind`. */
  readonly ask = <Kind extends Answer["type"]>(order: Order, kind: Kind): Promise<Extract<Answer, { type: Kind }>> =>
    new Promise((resolve, reject) => {
      this.#waiting = {
        reject,
        resolve(answer) {
          if (answer.type === kind) resolve(answer as Extract<Answer, { type: Kind }>);
          else reject(new Error(`"${kind}" was awaited, "${answer.type}" came`));
        },
      };
      this.#process.send(order);
    });

  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    if (this.#process.connected) this.#process.send({ type: "close" } satisfies Order);
    const late = setTimeout(() => this.#process.kill("SIGKILL"), CLOSED_WITHIN_MS);
    await this.#exited;
    clearTimeout(late);
  }
}
