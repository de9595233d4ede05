/** Whole nodes in one thread, on virtual clocks, disks and a network in fair weather: for what several nodes do together. */
import type { Index } from "../../src/core/index.js";
import {
  checkNodeOptions,
  memberName,
  type NodeEvent,
  NodeHost,
  type ProposeResult,
  type RaftError,
  type RaftNodeOptions,
  type StateMachine,
} from "../../src/runtime/index.js";
import { submitProposal } from "../../src/runtime/requests.js";
import { Platter } from "../../src/sim/platter.js";
import { SeededRandom } from "../../src/sim/random.js";
import { Scheduler } from "../../src/sim/scheduler.js";
import { VirtualClock } from "../../src/sim/virtual-clock.js";
import { VirtualNetwork } from "../../src/sim/virtual-network.js";

const SECOND = 1_000_000;

/** Counts what it was given. */
export class Tally implements StateMachine {
  count = 0;
  apply(entries: readonly { readonly index: Index; readonly data: Uint8Array }[]): readonly Uint8Array[] {
    return entries.map(() => {
      this.count += 1;
      return Uint8Array.of(this.count & 255);
    });
  }
  *snapshot(): Iterable<Uint8Array> {
    yield Uint8Array.of(this.count & 255);
  }
  restore(piece: Uint8Array): void {
    this.count = piece[0] ?? 0;
  }
}

export interface VirtualNode {
  readonly name: string;
  readonly address: string;
  readonly platter: Platter;
  host: NodeHost<Tally>;
  clock: VirtualClock;
  events: NodeEvent[];
  boots: number;
}

export type Settled = { readonly error: RaftError | null; readonly result: ProposeResult | null };

export class VirtualNodes {
  readonly scheduler = new Scheduler();
  readonly network = new VirtualNetwork({ scheduler: this.scheduler, random: new SeededRandom(1, 3) });
  readonly nodes: readonly VirtualNode[];
  readonly #options: Partial<RaftNodeOptions<Tally>>;
  readonly #each: (name: string) => Partial<RaftNodeOptions<Tally>>;

  constructor(
    names: readonly string[],
    options: Partial<RaftNodeOptions<Tally>> = {},
    each: (name: string) => Partial<RaftNodeOptions<Tally>> = () => ({}),
  ) {
    this.#options = options;
    this.#each = each;
    this.nodes = names.map((name) => {
      const platter = new Platter({
        scheduler: this.scheduler,
        random: new SeededRandom(1, name.charCodeAt(0)),
        location: `/${name}`,
        syncMicros: 500,
      });
      return { name, address: `${name}:7000`, platter, events: [], boots: 0 } as unknown as VirtualNode;
    });
    for (const node of this.nodes) this.start(node.name);
  }

  node(name: string): VirtualNode {
    const found = this.nodes.find((each) => each.name === name);
    if (found === undefined) throw new Error(`there is no node ${name}`);
    return found;
  }

  start(name: string): void {
    const node = this.node(name);
    node.boots += 1;
    const clock = new VirtualClock(this.scheduler);
    const options: RaftNodeOptions<Tally> = {
      id: name,
      cluster: this.nodes.map((each) => ({ name: each.name, address: each.address })),
      directory: name,
      stateMachine: () => new Tally(),
      heartbeatIntervalMs: 100,
      electionTimeoutMs: 1000,
      segmentBytes: 65_536,
      ...this.#options,
      ...this.#each(name),
    };
    const host = new NodeHost<Tally>(
      checkNodeOptions(options),
      {
        clock,
        random: new SeededRandom(node.boots, name.charCodeAt(0)),
        disk: node.platter.mount((body) => clock.asNode(body)),
        transport: this.network.attach(node.address, clock),
      },
      options.stateMachine,
    );
    host.onEvent = (event) => node.events.push(event);
    Object.assign(node, { host, clock });
    host.open(() => undefined);
  }

  kill(name: string): void {
    const node = this.node(name);
    node.clock.kill();
    this.network.crash(node.address);
    node.platter.kill();
  }

  /** Lets the world go on until something is so; throws when it is not within so many milliseconds. */
  until(what: string, isSo: () => boolean, limitMs = 20_000): void {
    if (!this.scheduler.runUntil(isSo, limitMs * 1000)) throw new Error(`not within ${limitMs} ms: ${what}`);
  }

  run(ms: number): void {
    this.scheduler.runUntil(() => false, ms * 1000);
  }

  /** Until one leads and the others know it. */
  lead(): string {
    this.until("a leader that all follow", () => this.leader !== null);
    return this.leader ?? "";
  }

  /** Whom all that live follow; null when they differ. */
  get leader(): string | null {
    const alive = this.nodes.filter(({ clock }) => clock.isAlive);
    const known = new Set(alive.map(({ host }) => host.running?.raft.leaderId ?? null));
    const [only] = [...known];
    return known.size === 1 && only !== null && only !== undefined ? memberName(only) : null;
  }

  propose(name: string, timeoutMs = 5000): { settled: Settled | null } {
    const outcome: { settled: Settled | null } = { settled: null };
    submitProposal(this.node(name).host, Uint8Array.of(1), timeoutMs, (error, result) => {
      outcome.settled = { error, result };
    });
    return outcome;
  }

  /** Acknowledged writes at this node, one after the other, from now on; returns how to look and stop. */
  writing(name: string): { readonly done: () => number; readonly failed: readonly RaftError[]; stop(): void } {
    let done = 0;
    let stopped = false;
    const failed: RaftError[] = [];
    const next = (): void => {
      if (stopped) return;
      submitProposal(this.node(name).host, Uint8Array.of(1), 5000, (error, result) => {
        if (result !== null) done += 1;
        else if (error !== null) failed.push(error);
        this.scheduler.schedule(5000, next);
      });
    };
    next();
    return {
      done: () => done,
      failed,
      stop: () => {
        stopped = true;
      },
    };
  }

  get now(): number {
    return this.scheduler.now() / SECOND;
  }
}
