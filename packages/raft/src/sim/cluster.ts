/**
 * The nodes of a simulated cluster and their lives: real `NodeHost`s on virtual ports, started, killed, cut off from power and
 * started again. Forgiveness (docs/invariants.md) has its place here: a node that fails because its disk was made to fail is started again; one
 * whose disk was damaged may take part only to be repaired, or, if it can't know how it voted, stays down; anything else that
 * goes wrong is a finding.
 */

import type { Configuration } from "../core/configuration.js";
import { joint } from "../core/membership-change.js";
import type { Message } from "../core/message.js";
import type { Raft } from "../core/raft.js";
import type { ConfigurationAt } from "../core/state.js";
import type { MemberId, Micros } from "../core/types.js";
import { type NodeEvent, NodeHost, type RaftNodeOptions, type StateMachine, type Transport } from "../runtime/index.js";
import { checkNodeOptions } from "../runtime/options.js";
import { decodePayload } from "../runtime/wire/index.js";
import type { Coverage } from "./coverage.js";
import { MachineDisk } from "./machine-disk.js";
import type { Plan } from "./plan.js";
import { type DiskTrouble, Platter } from "./platter.js";
import { SeededRandom } from "./random.js";
import { TracedRaft, type TraceRecord } from "./reference/index.js";
import type { Scheduler } from "./scheduler.js";
import { VirtualClock } from "./virtual-clock.js";
import type { VirtualNetwork } from "./virtual-network.js";
import type { Witness, WitnessedMachine } from "./witness.js";

export interface Life<Machine extends StateMachine> {
  readonly clock: VirtualClock;
  readonly host: NodeHost<WitnessedMachine<Machine>>;
  opened: boolean;
  /** Trouble with the disk has struck this life: it may fail. */
  troubled: boolean;
  /** It can't go on, by its own word; the process will end. */
  failed: boolean;
}

/** One node: its disk outlives its processes. */
export interface Member<Machine extends StateMachine> {
  readonly place: number;
  readonly name: string;
  readonly address: string;
  readonly platter: Platter;
  /** Where its machine keeps itself, in runs where machines do. */
  readonly machineDisk: MachineDisk;
  life: Life<Machine> | null;
  lives: number;
  /** Something of its log was durable once: it will never need the other founders again. */
  settled: boolean;
  /** Its disk was damaged behind its back: until it is whole again it may refuse to start, or fail, and does not count. */
  damaged: boolean;
  /** It was repaired in this life or the last one, which a crash may have undone. */
  mended: boolean;
  /** It was damaged, and has not been started since. */
  freshlyDamaged: boolean;
  /** Nobody starts it, whatever was planned. */
  held: boolean;
  /** It is out for good: it refused to start, or its disk was wiped. */
  spoilt: string | null;
  /** It is no founder: it waits until somebody adds it. */
  joins: boolean;
  /** Its id, once it has a core; another one after its disk was emptied. */
  configuredAs: MemberId | null;
  /** The newest configuration it is known to have had in its log, and the index of that. */
  configuration: ConfigurationAt | null;
}

/** Whoever watches the cluster: the rules, the ledger, the counters, the trace. Each is told before anything follows from it. */
export interface Observer {
  /** The core of a node begins, from what its disk gave back. */
  started?(name: string, raft: Raft): void;
  /** The directory is open. Null: it holds no log to take part with, the node waits to be founded. */
  opened?(name: string, raft: Raft | null): void;
  stopped?(name: string): void;
  sent?(from: string, to: string, message: Message, raft: Raft | null): void;
  received?(to: string, from: string, message: Message): void;
  event?(name: string, event: NodeEvent, raft: Raft | null): void;
  /** After every step of a node. */
  stepped?(name: string): void;
  /** Somebody put an empty disk in. */
  wiped?(name: string): void;
}

export interface Note {
  readonly from: string;
  readonly message: Message;
}

export interface ClusterOptions<Machine extends StateMachine> {
  readonly plan: Plan;
  readonly scheduler: Scheduler;
  readonly network: VirtualNetwork<Note>;
  readonly witness: Witness<Machine>;
  readonly coverage: Coverage;
  readonly observers: readonly Observer[];
  readonly complain: (text: string) => never;
  /** Told, record by record, what every core does (docs/trace-format.md). Null: nobody is. */
  readonly trace: ((record: TraceRecord) => void) | null;
  /** The syncs of the log do nothing, as in a build that forgot to call them. */
  readonly withoutSync: boolean;
  /** A life ended, whatever the reason. */
  readonly lifeEnded: (life: Life<Machine>) => void;
  readonly told: (text: string) => void;
}

const RESTART_MICROS = 100_000;

export class Cluster<Machine extends StateMachine> {
  readonly #options: ClusterOptions<Machine>;
  readonly members: readonly Member<Machine>[];
  starts = 0;

  constructor(options: ClusterOptions<Machine>) {
    this.#options = options;
    const { plan, scheduler, withoutSync, network } = options;
    this.members = Array.from({ length: plan.nodes + plan.standby }, (_, place) => ({
      place,
      name: `n${place}`,
      address: `n${place}:7000`,
      platter: new Platter({
        scheduler,
        random: new SeededRandom(plan.seed, 100 + place),
        location: `/n${place}`,
        syncMicros: plan.syncMicros,
        ...(withoutSync ? { ignoresSync: (path: string) => path.endsWith(".segment") } : {}),
      }),
      machineDisk: new MachineDisk(),
      life: null,
      lives: 0,
      settled: false,
      damaged: false,
      mended: false,
      freshlyDamaged: false,
      held: false,
      spoilt: null,
      joins: place >= plan.nodes,
      configuredAs: null,
      configuration: null,
    }));
    for (const member of this.members) {
      member.platter.onTrouble = (what) => this.#troubled(member, what);
      member.platter.onRemoved = (path) => {
        if (path.endsWith(".segment")) options.coverage.note("segmentsPurged");
      };
    }
    network.onDelivered = (_from, to, note) => {
      const name = to.slice(0, to.indexOf(":"));
      for (const observer of options.observers) observer.received?.(name, note.from, note.message);
    };
  }

  member(place: number): Member<Machine> {
    const found = this.members[place];
    if (found === undefined) throw new RangeError(`there is no node ${place}`);
    return found;
  }

  /** Members that have not been spoilt. */
  get whole(): readonly Member<Machine>[] {
    return this.members.filter((member) => member.spoilt === null);
  }

  /** Every founder has something durable: from now on a majority is enough, whatever happens to the others. */
  get settled(): boolean {
    return this.#founders.every((member) => member.settled);
  }

  get #founders(): readonly Member<Machine>[] {
    return this.members.slice(0, this.#options.plan.nodes);
  }

  /** The index of the newest configuration that some node knows to be committed. */
  committedConfigurationIndex = 0;
  committedConfiguration: Configuration | null = null;
  /** Ids that some configuration has listed: once they have left they never come back. */
  readonly everMembers = new Set<MemberId>();

  /**
   * Configurations that are in force somewhere, or will be as soon as new voters have caught up: whoever is to decide anything
   * must be a quorum of each of them.
   */
  get configurationsInForce(): readonly Configuration[] {
    return this.members.flatMap(({ configuration: known, spoilt }) => {
      if (spoilt !== null || known === null || known.index < this.committedConfigurationIndex) return [];
      const { configuration } = known;
      return configuration.staged === null ? [configuration] : [configuration, joint(configuration, configuration.staged)];
    });
  }

  raftOf(member: Member<Machine>): Raft | null {
    return member.life?.host.running?.raft ?? null;
  }

  // ---- Lives ----

  startAfter(member: Member<Machine>, delay: Micros): void {
    this.#options.scheduler.schedule(delay, () => this.start(member));
  }

  start(member: Member<Machine>): void {
    if (member.life !== null || member.held || (member.spoilt !== null && member.spoilt !== "wiped")) return;
    const { plan, scheduler, observers, coverage, trace } = this.#options;
    this.starts += 1;
    member.lives += 1;
    const clock = new VirtualClock(scheduler, plan.drift[member.place] ?? 0);
    const random = new SeededRandom(plan.seed, 1000 * (1 + member.place) + member.lives);
    const options = this.#nodeOptions(member, clock);
    const host = new NodeHost<WitnessedMachine<Machine>>(
      checkNodeOptions(options),
      {
        clock,
        random,
        disk: member.platter.mount((body) => clock.asNode(body)),
        transport: this.#transport(member, clock),
      },
      options.stateMachine,
      trace === null ? undefined : (start) => new TracedRaft(start, trace),
    );
    const life: Life<Machine> = { clock, host, opened: false, troubled: false, failed: false };
    member.life = life;
    let raft: Raft | null = null;
    const noticeCore = (): void => {
      if (raft !== null || host.running === null) return;
      raft = host.running.raft;
      if (raft.commitIndex > 0) coverage.note("hintUsedAfterRestart");
      if (plan.onDisk === true && raft.lastApplied > 0) coverage.note("machineKeptItself");
      if (raft.votedFor !== null) coverage.note("voteKeptOverRestart");
      member.configuredAs = raft.id;
      if (raft.configuration.voters.length > 0)
        member.configuration = { index: raft.configurationIndex, configuration: raft.configuration };
      for (const observer of observers) observer.started?.(member.name, raft);
    };
    clock.afterRun = () => {
      if (member.life !== life) return;
      noticeCore();
      for (const observer of observers) observer.stepped?.(member.name);
    };
    host.onEvent = (event) => {
      if (member.life !== life) return;
      noticeCore();
      if (event.type === "entriesDurable" && event.durableIndex > 0) member.settled = true;
      if (raft !== null) this.#configured(member, event, raft);
      if (event.type === "recovered") {
        member.damaged = false;
        member.mended = true;
      }
      for (const observer of observers) observer.event?.(member.name, event, raft);
    };
    host.onFailure = (reason) => this.#failed(member, life, reason);
    host.open((error) => {
      if (member.life !== life) return;
      if (error !== null) return this.#refused(member, life, error.message);
      life.opened = true;
      noticeCore();
      for (const warning of host.status().warnings) this.#warned(member, warning);
      const isRecovering = (host.running?.raft.recovering ?? null) !== null;
      if (isRecovering) {
        if (!member.damaged && !member.mended)
          this.#options.complain(`${member.name} says that part of its log is lost, and nothing is damaged`);
        member.damaged = true;
        coverage.note("damageRecovering");
      } else if (member.freshlyDamaged) {
        coverage.note("damageHarmless");
        member.damaged = false;
      }
      if (!isRecovering) member.mended = false;
      member.freshlyDamaged = false;
      for (const observer of observers) observer.opened?.(member.name, host.running?.raft ?? null);
    });
  }

  kill(member: Member<Machine>): void {
    this.#end(member);
    member.platter.kill();
  }

  losePower(member: Member<Machine>, chance: SeededRandom, garbles = false): void {
    this.#end(member);
    this.#loseOfMachine(member);
    if (garbles) member.platter.powerLoss(chance, { keepPerMille: 500, torn: false, garbles: true });
    else member.platter.powerLoss(chance);
  }

  wipe(member: Member<Machine>): void {
    this.#end(member, true);
    member.platter.wipe();
    member.machineDisk.wipe();
    member.spoilt = "wiped";
    member.configuration = null;
    // Where somebody changes the members, it can be removed and added again.
    if (this.#options.plan.standby > 0) member.joins = true;
    for (const observer of this.#options.observers) observer.wiped?.(member.name);
  }

  /** It was removed: its directory is deleted, and the machine stands by with an empty one. */
  retire(member: Member<Machine>): void {
    this.#options.told(`${member.name} has left, and stands by with an empty disk`);
    this.#end(member, true);
    member.platter.wipe();
    member.machineDisk.wipe();
    member.platter.repair();
    member.joins = true;
    member.damaged = false;
    member.freshlyDamaged = false;
    member.spoilt = null;
    member.configuration = null;
    for (const observer of this.#options.observers) observer.wiped?.(member.name);
    this.startAfter(member, RESTART_MICROS);
  }

  #configured(member: Member<Machine>, event: NodeEvent, raft: Raft): void {
    const { coverage, scheduler } = this.#options;
    if (event.type === "configurationChanged") {
      member.configuration = raft.configurationAt(event.index);
      for (const { id } of member.configuration.configuration.members) this.everMembers.add(id);
    } else if (event.type === "configurationCommitted") {
      if (event.index > this.committedConfigurationIndex) {
        this.committedConfigurationIndex = event.index;
        this.committedConfiguration = raft.configurationAt(event.index).configuration;
      }
      if (member.spoilt !== "wiped" || !raft.configuration.members.some(({ id }) => id === raft.id)) return;
      coverage.note("wipedAddedAgain");
      member.spoilt = null;
    } else if (event.type === "removed") {
      const { life } = member;
      if (this.committedConfiguration?.members.some(({ id }) => id === raft.id) === true)
        this.#options.complain(`${member.name} says that it was removed, and is a member by the newest committed configuration`);
      scheduler.schedule(1, () => {
        if (member.life === life) this.retire(member);
      });
    }
  }

  #loseOfMachine({ machineDisk, place, lives }: Member<Machine>): void {
    const { lost } = machineDisk;
    machineDisk.losePower(new SeededRandom(this.#options.plan.seed, 1_000_000 + 1000 * place + lives));
    if (machineDisk.lost > lost) this.#options.coverage.note("machineLostTransactions");
  }

  #end(member: Member<Machine>, forGood = false): void {
    const { life } = member;
    if (life === null) return;
    const { coverage, observers, network, lifeEnded } = this.#options;
    const raft = life.host.running?.raft ?? null;
    if (!life.opened) coverage.note("killedWhileOpening");
    if (raft?.role === "leader") coverage.note("leaderCrashed");
    if (raft?.transferring === true) coverage.note("transferLeaderCrashed");
    if (raft?.role === "candidate") coverage.note("candidateCrashed");
    member.life = null;
    if (raft !== null) this.#options.trace?.({ type: "stop", node: raft.id, ...(forGood ? { forGood } : {}) });
    life.clock.kill();
    network.crash(member.address);
    for (const observer of observers) observer.stopped?.(member.name);
    lifeEnded(life);
  }

  // ---- What goes wrong, and what of it is forgiven ----

  #troubled(member: Member<Machine>, what: keyof DiskTrouble): void {
    const { coverage } = this.#options;
    if (member.life !== null) member.life.troubled = true;
    if (what === "failingSyncs") coverage.note("syncFailed");
    if (what === "failingWrites") coverage.note("writeFailed");
    if (what === "failingReads") coverage.note("readFailed");
    if (what === "shortReads") coverage.note("readFellShort");
    if (what === "full") coverage.note("noSpace");
  }

  /** A node says that it can't go on: its process ends, and whoever runs it starts it again. */
  #failed(member: Member<Machine>, life: Life<Machine>, reason: string): void {
    // It was removed; see #configured.
    if (member.life !== life || life.host.state === "removed") return;
    if (!life.troubled && !member.damaged) this.#options.complain(`${member.name} has failed: ${reason}`);
    life.failed = true;
    this.#options.told(`${member.name} fails: ${reason}`);
    this.#options.scheduler.schedule(0, () => {
      if (member.life !== life) return;
      this.kill(member);
      member.platter.repair();
      this.startAfter(member, RESTART_MICROS);
    });
  }

  #refused(member: Member<Machine>, life: Life<Machine>, reason: string): void {
    const { coverage, complain, told, scheduler } = this.#options;
    if (life.troubled) {
      told(`${member.name} can't open its directory: ${reason}`);
      this.kill(member);
      member.platter.repair();
      this.startAfter(member, RESTART_MICROS);
      return;
    }
    if (!member.damaged) complain(`${member.name} could not be opened: ${reason}`);
    coverage.note("damageRefused");
    told(`${member.name} finds damage and stays down: ${reason}`);
    member.spoilt = reason;
    scheduler.schedule(0, () => this.kill(member));
  }

  #warned(member: Member<Machine>, warning: string): void {
    const { coverage } = this.#options;
    if (warning.includes("put aside")) coverage.note("snapshotPutAside");
    if (!warning.includes("never finished")) return;
    coverage.note("tornTail");
    if (this.replacing.has(member.name)) coverage.note("tornTailAfterConflict");
  }

  /** Nodes whose newest change of the log was to replace entries; kept by the counters. */
  readonly replacing = new Set<string>();

  // ---- Ports ----

  #nodeOptions(member: Member<Machine>, clock: VirtualClock): RaftNodeOptions<WitnessedMachine<Machine>> {
    const { plan, witness } = this.#options;
    const disk = {
      at: member.machineDisk,
      timing: {
        syncMicros: plan.syncMicros,
        later: (delay: Micros, body: () => void): void => void clock.setTimer(clock.now() + delay, body),
      },
    };
    return {
      id: member.name,
      cluster: this.#founders.map(({ name, address }) => ({ name, address })),
      address: member.address,
      join: member.joins,
      directory: member.name,
      stateMachine: () => witness.machineFor(member.name, plan.onDisk === true ? disk : null),
      ...plan.options,
      priority: plan.priorities[member.place] ?? 1,
    };
  }

  /** Every message of the protocol is seen as it leaves, and carries with it what it is, for when it arrives. */
  #transport(member: Member<Machine>, clock: VirtualClock): Transport {
    const { network, observers, complain } = this.#options;
    const inner = network.attach(member.address, clock);
    return {
      ...inner,
      send: (peer, channel, payload) => {
        const decoded = decodePayload(payload);
        if (!decoded.ok) return complain(`${member.name} sent a payload that can't be read: ${decoded.reason}`);
        if (decoded.kind !== "message") return inner.send(peer, channel, payload);
        const { message } = decoded;
        if (!inner.sendNoted(peer, channel, payload, { from: member.name, message })) return false;
        const raft = member.life?.host.running?.raft ?? null;
        for (const observer of observers) observer.sent?.(member.name, nameAt(peer), message, raft);
        return true;
      },
    };
  }
}

/** A node is dialled by its name, or by its address where its name says too little. */
export function nameAt(peer: string): string {
  const colon = peer.indexOf(":");
  return colon < 0 ? peer : peer.slice(0, colon);
}
