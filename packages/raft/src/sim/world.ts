/**
 * A whole cluster in one thread: real nodes (driver, write-ahead log, snapshots, founding, wire) on virtual clocks, disks and
 * a virtual network, with clients that write and read, and a referee that watches every event. What happens is a
 * function of the seed: the same seed gives the same events, which `eventHash` shows.
 *
 * The misfortune of this world is power: one node loses it, or all at once, at any moment, also in the middle of a start; and
 * processes are killed. What was synced is there afterwards; of the rest, each sector is kept or lost by chance.
 */
import { crc32c } from "../runtime/crc32c.js";
import { type NodeEvent, NodeHost, type RaftNodeOptions } from "../runtime/index.js";
import { checkNodeOptions } from "../runtime/options.js";
import type { Proposal } from "../runtime/proposals.js";
import type { Read } from "../runtime/reads.js";
import { Platter } from "./platter.js";
import { SeededRandom } from "./random.js";
import { encodeOperation, RecordMachine } from "./record-machine.js";
import { Referee } from "./referee.js";
import { Scheduler } from "./scheduler.js";
import { VirtualClock } from "./virtual-clock.js";
import { VirtualNetwork } from "./virtual-network.js";

const SECOND = 1_000_000;

export interface WorldOptions {
  readonly seed: number;
  /** Default 3. */
  readonly nodes?: number;
  /** How long misfortune lasts. Default 6 s of virtual time. */
  readonly stormMicros?: number;
  /** The syncs of the log do nothing, as in a build that forgot to call them. Default false. */
  readonly withoutSync?: boolean;
}

export interface WorldCounters {
  powerLosses: number;
  /** … of all nodes at once. */
  blackouts: number;
  kills: number;
  isolations: number;
  starts: number;
  leaders: number;
  writesAcknowledged: number;
  writesUnknown: number;
  readsAnswered: number;
  snapshotsTaken: number;
  snapshotsInstalled: number;
  truncations: number;
  tornWrites: number;
}

/** One node: its platter outlives its processes. */
interface Member {
  readonly name: string;
  readonly address: string;
  readonly platter: Platter;
  life: Life | null;
  /** Counts lives, so that a late callback of an earlier one is recognised. */
  lives: number;
}

interface Life {
  readonly clock: VirtualClock;
  readonly host: NodeHost<RecordMachine>;
  opened: boolean;
}

export class World {
  readonly seed: number;
  readonly counters: WorldCounters = {
    powerLosses: 0,
    blackouts: 0,
    kills: 0,
    isolations: 0,
    starts: 0,
    leaders: 0,
    writesAcknowledged: 0,
    writesUnknown: 0,
    readsAnswered: 0,
    snapshotsTaken: 0,
    snapshotsInstalled: 0,
    truncations: 0,
    tornWrites: 0,
  };
  readonly #scheduler = new Scheduler();
  readonly #random: SeededRandom;
  readonly #chance: SeededRandom;
  readonly #network: VirtualNetwork;
  readonly #members: Member[];
  readonly #referee: Referee;
  readonly #stormMicros: number;
  readonly #electionTimeoutMs: number;
  #hash = 0;
  #operation = 0;
  #storm = true;

  constructor({ seed, nodes = 3, stormMicros = 6 * SECOND, withoutSync = false }: WorldOptions) {
    this.seed = seed;
    this.#stormMicros = stormMicros;
    this.#random = new SeededRandom(seed, 1);
    this.#chance = new SeededRandom(seed, 2);
    this.#network = new VirtualNetwork({ scheduler: this.#scheduler, random: new SeededRandom(seed, 3) });
    this.#electionTimeoutMs = this.#random.between(150, 600);
    this.#referee = new Referee();
    this.#members = Array.from({ length: nodes }, (_, place) => ({
      name: `n${place}`,
      address: `n${place}:7000`,
      platter: new Platter({
        scheduler: this.#scheduler,
        random: new SeededRandom(seed, 100 + place),
        location: `/n${place}`,
        ...(withoutSync ? { ignoresSync: (path: string) => path.endsWith(".segment") } : {}),
      }),
      life: null,
      lives: 0,
    }));
  }

  /** A number that stands for everything that happened, in order. */
  get eventHash(): number {
    return this.#hash;
  }

  get steps(): number {
    return this.#scheduler.steps;
  }

  /** Runs the storm, then the calm in which progress is owed, then looks at every disk. Throws at the first wrong thing. */
  run(): void {
    try {
      this.#run();
    } catch (error) {
      const { complaint } = this.#referee;
      if (complaint === null || (error instanceof Error && error.message.startsWith("seed "))) throw error;
      throw new Error(`seed ${this.seed} at ${this.#scheduler.now() / SECOND} s: ${complaint}`, { cause: error });
    }
  }

  #run(): void {
    for (const member of this.#members) this.#scheduler.schedule(this.#random.below(200_000), () => this.#start(member));
    for (let client = 0; client < 4; client += 1) this.#scheduler.schedule(this.#random.below(SECOND), () => this.#act());
    this.#scheduler.schedule(this.#nextMisfortune(), () => this.#misfortune());
    this.#runUntil(() => false, this.#stormMicros);
    this.#storm = false;
    this.#network.heal();
    this.#calm("after the storm");
    // The last word: everything loses its power once more, and what was promised must be on the disks.
    this.#blackout();
    for (const member of this.#members) this.#start(member);
    this.#calm("after the last loss of power");
  }

  /** What the referee complained of stops the world, whoever has caught it on the way. */
  #runUntil(done: () => boolean, limit: number): boolean {
    let thrown: unknown = null;
    let finished = false;
    try {
      finished = this.#scheduler.runUntil(() => this.#referee.complaint !== null || done(), limit);
    } catch (error) {
      thrown = error;
    }
    const { complaint } = this.#referee;
    if (complaint !== null) throw new Error(`seed ${this.seed} at ${this.#scheduler.now() / SECOND} s: ${complaint}`);
    if (thrown !== null)
      throw new Error(
        `seed ${this.seed} at ${this.#scheduler.now() / SECOND} s: ${thrown instanceof Error ? thrown.message : "something that is no error was thrown"}`,
        { cause: thrown },
      );
    return finished;
  }

  // ---- Nodes ----

  #options(member: Member): RaftNodeOptions<RecordMachine> {
    return {
      id: member.name,
      cluster: this.#members.map(({ name, address }) => ({ name, address })),
      directory: member.name,
      stateMachine: () => new RecordMachine(),
      heartbeatIntervalMs: Math.floor(this.#electionTimeoutMs / 10),
      electionTimeoutMs: this.#electionTimeoutMs,
      segmentBytes: 64 * 1024,
      snapshotLogEntries: 40,
      snapshotLogBytes: 16 * 1024,
      trailingEntries: 5,
    };
  }

  #start(member: Member): void {
    if (member.life !== null) return;
    this.counters.starts += 1;
    member.lives += 1;
    const { lives } = member;
    const clock = new VirtualClock(this.#scheduler);
    const random = new SeededRandom(this.seed, 1000 * (1 + this.#members.indexOf(member)) + lives);
    const transport = this.#referee.watchTransport(
      member.name,
      this.#network.attach(member.address, clock),
      () => member.life?.host ?? null,
    );
    const options = this.#options(member);
    const host = new NodeHost<RecordMachine>(
      checkNodeOptions(options),
      { clock, random, disk: member.platter.mount(), transport },
      options.stateMachine,
    );
    const life: Life = { clock, host, opened: false };
    member.life = life;
    host.onEvent = (event) => this.#happened(member, life, event);
    host.onFailure = (reason) => this.#referee.complain(`${member.name} has failed: ${reason}`);
    host.open((error) => {
      if (member.life !== life) return;
      if (error !== null) this.#referee.complain(`${member.name} could not be opened: ${error.message}`);
      life.opened = true;
      this.counters.tornWrites += host.status().warnings.length;
      this.#referee.opened(member.name, host);
    });
  }

  #stop(member: Member): void {
    const { life } = member;
    if (life === null) return;
    member.life = null;
    life.clock.kill();
    this.#network.crash(member.address);
    this.#referee.stopped(member.name, life.host);
  }

  #losePower(member: Member): void {
    this.counters.powerLosses += 1;
    this.#stop(member);
    member.platter.powerLoss(this.#chance);
  }

  #kill(member: Member): void {
    this.counters.kills += 1;
    this.#stop(member);
    member.platter.kill();
  }

  #blackout(): void {
    this.counters.blackouts += 1;
    for (const member of this.#members) this.#losePower(member);
  }

  #nextMisfortune(): number {
    return this.#random.between(50_000, SECOND);
  }

  #misfortune(): void {
    if (!this.#storm) return;
    const member = this.#random.pick(this.#members);
    if (member === undefined) return;
    const kind = this.#random.below(12);
    if (kind < 3) this.#isolate(member);
    else this.#whenWriting(member, 60, () => this.#strike(member, kind));
    this.#scheduler.schedule(this.#nextMisfortune(), () => this.#misfortune());
  }

  #strike(member: Member, kind: number): void {
    if (!this.#storm) return;
    const down = (): number => this.#random.between(1, 700_000);
    if (kind < 5) {
      this.#blackout();
      for (const each of this.#members) this.#scheduler.schedule(down(), () => this.#start(each));
      return;
    }
    if (kind < 10) this.#losePower(member);
    else this.#kill(member);
    this.#scheduler.schedule(down(), () => this.#start(member));
  }

  /** Power fails at the worst of times: most often while something is written and not synced. */
  #whenWriting(member: Member, attempts: number, strike: () => void): void {
    if (attempts === 0 || member.life === null || member.platter.isDirty) strike();
    else this.#scheduler.schedule(500, () => this.#whenWriting(member, attempts - 1, strike));
  }

  /** Nobody hears it, or it hears nobody, or both; an old leader goes on writing entries that will be replaced. */
  #isolate(member: Member): void {
    this.counters.isolations += 1;
    const deaf = this.#random.chance(700);
    const mute = !deaf || this.#random.chance(700);
    for (const other of this.#members) {
      if (other === member) continue;
      if (deaf) this.#network.block(other.address, member.address);
      if (mute) this.#network.block(member.address, other.address);
    }
    this.#scheduler.schedule(this.#random.between(200_000, 2 * SECOND), () => this.#network.heal());
  }

  #happened(member: Member, life: Life, event: NodeEvent): void {
    if (member.life !== life) return;
    const text = `${this.#scheduler.now()} ${member.name} ${JSON.stringify(event)}`;
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
    this.#hash = crc32c(bytes, 0, bytes.length, this.#hash);
    if (event.type === "roleChanged" && event.role === "leader") this.counters.leaders += 1;
    if (event.type === "snapshotTaken") this.counters.snapshotsTaken += 1;
    if (event.type === "snapshotInstalled") this.counters.snapshotsInstalled += 1;
    if (event.type === "logTruncated") this.counters.truncations += 1;
    this.#referee.event(member.name, life.host, event);
  }

  // ---- Clients ----

  #act(): void {
    if (!this.#storm) return;
    const again = (): void => {
      this.#scheduler.schedule(this.#random.between(1000, 60_000), () => this.#act());
    };
    const life = this.#random.pick(this.#members)?.life ?? null;
    if (life === null || !life.opened) return again();
    if (this.#random.chance(250)) this.#read(life, again);
    else this.#write(life, again);
  }

  /** Calls `done` once: when the operation is settled, or when its node is gone and nobody will ever settle it. */
  #once(done: () => void): () => void {
    let finished = false;
    const finish = (): void => {
      if (finished) return;
      finished = true;
      done();
    };
    this.#scheduler.schedule(3 * SECOND, finish);
    return finish;
  }

  #write(life: Life, finished: () => void): void {
    const done = this.#once(finished);
    this.#operation += 1;
    const operation = this.#operation;
    const size = this.#random.chance(100) ? this.#random.below(6000) : this.#random.below(200);
    const command = encodeOperation(operation, size);
    this.#referee.asked(operation);
    const proposal: Proposal = {
      command,
      expiresAt: life.clock.now() + 2 * SECOND,
      settle: (error, result) => {
        if (result !== null) {
          this.counters.writesAcknowledged += 1;
          this.#referee.acknowledged(operation, result);
        } else {
          if (error?.outcome === "not-executed") this.#referee.notExecuted(operation);
          else this.counters.writesUnknown += 1;
        }
        done();
      },
      state: "waiting",
      index: 0,
      term: 0,
      next: null,
    };
    const { running, proposals } = life.host;
    if (running === null) proposals.add(proposal);
    else running.driver.propose(proposal);
  }

  #read(life: Life, finished: () => void): void {
    const { running } = life.host;
    if (running === null) return finished();
    const done = this.#once(finished);
    const newestBefore = this.#referee.newestAcknowledged;
    const read: Read = {
      expiresAt: life.clock.now() + 2 * SECOND,
      settled: false,
      settle: (error) => {
        if (error === null) {
          this.counters.readsAnswered += 1;
          this.#referee.wasRead(newestBefore, running.host.machine);
        }
        done();
      },
    };
    running.driver.read(read, null);
  }

  // ---- The calm ----

  /** No more misfortune: within a minute there is a leader, a write goes through, and all nodes have the same state. */
  #calm(when: string): void {
    for (const member of this.#members) this.#scheduler.schedule(SECOND, () => this.#start(member));
    const done = { written: false };
    const attempt = (): void => {
      const life = this.#random.pick(this.#members)?.life ?? null;
      if (life === null || !life.opened || life.host.running === null) {
        this.#scheduler.schedule(100_000, attempt);
        return;
      }
      this.#write(life, () => {
        if (life.host.running !== null && this.#referee.lastWriteSucceeded) done.written = true;
        else this.#scheduler.schedule(100_000, attempt);
      });
    };
    this.#scheduler.schedule(2 * SECOND, attempt);
    const equal = (): boolean => done.written && this.#referee.allEqual(this.#members.map((member) => member.life?.host ?? null));
    if (!this.#runUntil(equal, 120 * SECOND)) {
      const states = this.#members.map(
        ({ name, life }) => `${name}: ${life === null ? "down" : JSON.stringify(life.host.status())}`,
      );
      this.#referee.complain(`no progress ${when}:\n${states.join("\n")}`);
    }
    this.#referee.checkEverything(this.#members.map((member) => member.life?.host ?? null));
  }
}
