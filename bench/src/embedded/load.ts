/**
 * The load: so many loops, each with one proposal under way, each starting its next one when the last is committed and
 * applied. It runs in the leader's process, as the program that embeds a node would. Every command is bytes of its own:
 * one shared array would flatter the memory.
 */
import type { RaftNode } from "@quorate/raft";
import { cpuSecondsOf } from "../process-cpu.js";
import { Histogram } from "../statistics.js";
import type { LoadOrder, LoadResult } from "./messages.js";

export async function runLoad(node: RaftNode, order: LoadOrder): Promise<LoadResult> {
  const load = new Load(node, order.payloadBytes);
  load.start(order.outstanding);
  await pause(order.warmUpMs);
  const cpuBefore = order.pids.map(cpuSecondsOf);
  const syncsBefore = node.status().log.syncs;
  load.measure(true);
  const begin = performance.now();
  await pause(order.measureMs);
  const seconds = (performance.now() - begin) / 1000;
  load.measure(false);
  const syncs = node.status().log.syncs - syncsBefore;
  const cpu = order.pids.map((pid, place) => cpuSecondsOf(pid) - (cpuBefore[place] ?? 0));
  await load.stop();
  const { latencies } = load;
  return {
    outstanding: order.outstanding,
    seconds,
    commits: latencies.count,
    commitsPerSecond: latencies.count / seconds,
    p50Micros: latencies.quantile(0.5),
    p99Micros: latencies.quantile(0.99),
    p999Micros: latencies.quantile(0.999),
    syncs,
    commitsPerSync: latencies.count / syncs,
    cpuMicrosPerCommit: cpu.map((used) => (used * 1e6) / latencies.count),
  };
}

class Load {
  readonly latencies = new Histogram();
  readonly #node: RaftNode;
  readonly #template: Uint8Array;
  #number = 0;
  #running = true;
  #measuring = false;
  #loops: Promise<void>[] = [];

  constructor(node: RaftNode, payloadBytes: number) {
    this.#node = node;
    this.#template = new Uint8Array(payloadBytes).fill(0x71);
  }

  start(outstanding: number): void {
    this.#loops = Array.from({ length: outstanding }, () => this.#loop());
  }

  measure(on: boolean): void {
    this.#measuring = on;
  }

  /** Resolves when the last proposal has settled; rejects if any of them failed, for then the numbers mean nothing. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
  }

  async #loop(): Promise<void> {
    while (this.#running) {
      const begin = performance.now();
      await this.#node.propose(this.#nextCommand());
      if (this.#measuring) this.latencies.add((performance.now() - begin) * 1000);
    }
  }

  #nextCommand(): Uint8Array {
    const command = this.#template.slice();
    const number = this.#number;
    this.#number = number + 1;
    command[0] = number & 0xff;
    command[1] = (number >>> 8) & 0xff;
    command[2] = (number >>> 16) & 0xff;
    command[3] = (number >>> 24) & 0xff;
    return command;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((over) => setTimeout(over, ms));
}
