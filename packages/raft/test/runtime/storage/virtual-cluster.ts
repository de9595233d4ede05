/** Nodes on virtual ports and on disks that a test chooses, in one thread: started, killed and written to by hand. */
import type { NodeEvent, RaftError } from "../../../src/runtime/index.js";
import type { Disk, Transport } from "../../../src/runtime/ports.js";
import { submitProposal } from "../../../src/runtime/requests.js";
import { addressOf, commandOf, startNode, type VirtualNode } from "../../../src/sim/crash-points/virtual-node.js";
import { SeededRandom } from "../../../src/sim/random.js";
import { Scheduler } from "../../../src/sim/scheduler.js";
import { VirtualNetwork } from "../../../src/sim/virtual-network.js";
import { BytesDisk } from "./bytes-disk.js";

export const SECOND = 1_000_000;

export interface Outcome {
  readonly error: RaftError | null;
}

export class VirtualCluster {
  readonly scheduler = new Scheduler();
  readonly network: VirtualNetwork;
  readonly names: readonly string[];
  readonly nodes = new Map<string, VirtualNode>();
  /** Everything that happened, by node, over all its lives. */
  readonly events = new Map<string, NodeEvent[]>();
  /** Operations that were acknowledged, in order. */
  readonly acknowledged: number[] = [];
  /** Nodes whose transport was started: before that nothing is said to anybody. */
  readonly spoke = new Set<string>();
  /** The number of the newest operation. */
  operation = 0;
  #lives = 0;

  constructor(names: readonly string[], seed = 1) {
    this.names = names;
    this.network = new VirtualNetwork({ scheduler: this.scheduler, random: new SeededRandom(seed, 3) });
  }

  start(name: string, disk: Disk): VirtualNode {
    this.#lives += 1;
    const events = this.events.get(name) ?? [];
    this.events.set(name, events);
    const node = startNode({
      name,
      founders: this.names,
      scheduler: this.scheduler,
      network: this.network,
      disk,
      random: new SeededRandom(7, this.#lives),
      onEvent: (event) => events.push(event),
      watch: (transport: Transport) => ({
        ...transport,
        start: (handler) => {
          this.spoke.add(name);
          transport.start(handler);
        },
      }),
    });
    this.nodes.set(name, node);
    return node;
  }

  /** Starts it and waits until it is open. Throws if it can't be. */
  open(name: string, disk: Disk): VirtualNode {
    const node = this.start(name, disk);
    this.run(() => node.opened !== null, 30 * SECOND);
    if (node.opened === null) throw new Error(`${name} does not open`);
    if (node.opened.error !== null) throw node.opened.error;
    return node;
  }

  kill(name: string): void {
    this.nodes.get(name)?.clock.kill();
    this.nodes.delete(name);
    this.network.crash(addressOf(name));
  }

  run(done: () => boolean, limitMicros: number): boolean {
    return this.scheduler.runUntil(done, limitMicros);
  }

  pass(micros: number): void {
    this.run(() => false, micros);
  }

  /** Leads, and has committed something in its term. */
  leader(among: readonly string[] = this.names): string | null {
    return (
      among.find((name) => {
        const raft = this.nodes.get(name)?.host.running?.raft;
        return raft?.role === "leader" && raft.commitIndex > 0 && raft.termAt(raft.commitIndex) === raft.currentTerm;
      }) ?? null
    );
  }

  untilLeader(among: readonly string[] = this.names): string {
    if (!this.run(() => this.leader(among) !== null, 30 * SECOND)) throw new Error("no leader within 30 s");
    return this.leader(among) ?? "";
  }

  /** Hands a command to a node. The outcome is there once it is settled. */
  propose(name: string): { outcome: Outcome | null } {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`${name} is down`);
    this.operation += 1;
    const { operation } = this;
    const settled: { outcome: Outcome | null } = { outcome: null };
    submitProposal(node.host, commandOf(operation), 5000, (error, result) => {
      if (result !== null) this.acknowledged.push(operation);
      settled.outcome = { error };
    });
    return settled;
  }

  /** Writes through this node, one after the other; throws at the first that is not acknowledged. */
  write(name: string, count: number): void {
    for (let left = count; left > 0; left -= 1) {
      const settled = this.propose(name);
      this.run(() => settled.outcome !== null, 10 * SECOND);
      if (settled.outcome === null || settled.outcome.error !== null)
        throw settled.outcome?.error ?? new Error("a write is not settled");
    }
  }

  operationsOf(name: string): readonly number[] {
    return this.nodes.get(name)?.host.running?.host.machine.operations ?? [];
  }

  /** Within a minute one of them leads, and all have applied everything that it has. */
  areEqual(among: readonly string[] = this.names): boolean {
    const equal = (): boolean => {
      const leader = this.leader(among);
      const newest = leader === null ? -1 : this.nodes.get(leader)?.host.running?.raft.lastLogIndex;
      return among.every((name) => this.nodes.get(name)?.host.running?.raft.lastApplied === newest);
    };
    return this.run(equal, 60 * SECOND);
  }

  untilEqual(among: readonly string[] = this.names): void {
    if (!this.areEqual(among)) throw new Error("they are not equal within 60 s");
  }
}

export interface Past {
  readonly disk: BytesDisk;
  readonly acknowledged: readonly number[];
}

/** The disk of a node that was a cluster by itself, wrote so much in each of its lives, and was killed each time. */
export function pastOf(...lives: readonly number[]): Past {
  let disk = new BytesDisk();
  const acknowledged: number[] = [];
  for (const writes of lives) {
    const cluster = new VirtualCluster(["a"]);
    cluster.operation = acknowledged.length;
    cluster.open("a", disk);
    cluster.untilLeader();
    cluster.write("a", writes);
    acknowledged.push(...cluster.acknowledged);
    cluster.kill("a");
    disk = disk.copy();
  }
  return { disk, acknowledged };
}
