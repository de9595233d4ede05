/**
 * Carries out the incidents of a plan: what happens to which node when, until when, and what is put right afterwards. What
 * an incident would make unrecoverable (a plan made for other circumstances can ask for it) does not happen.
 */
import type { Micros } from "../core/types.js";
import type { StateMachine } from "../runtime/state-machine.js";
import type { Cluster, Member, Note } from "./cluster.js";
import type { Coverage } from "./coverage.js";
import { damageDisk, damageNewest } from "./damage.js";
import type { Operator } from "./operator.js";
import { Orders } from "./orders.js";
import type { Incident, Moment } from "./plan.js";
import type { SeededRandom } from "./random.js";
import type { Scheduler } from "./scheduler.js";
import type { VirtualNetwork } from "./virtual-network.js";

export interface MisfortuneOptions<Machine extends StateMachine> {
  readonly cluster: Cluster<Machine>;
  readonly network: VirtualNetwork<Note>;
  readonly scheduler: Scheduler;
  readonly chance: SeededRandom;
  readonly coverage: Coverage;
  readonly electionMicros: Micros;
  readonly complain: (text: string) => never;
  /** How many nodes begin as members. */
  readonly founders: number;
  /** Changes the members. */
  readonly operator: Operator<Machine>;
  readonly told: (text: string) => void;
}

const POLL_MICROS = 500;
const POLLS = 100;
/** A node that stands still for `opening` is struck within this time of its start. */
const OPENING_MICROS = 3000;

export class Misfortune<Machine extends StateMachine> {
  readonly #options: MisfortuneOptions<Machine>;
  /** Mends that are due, so that the end of the storm can bring them forward. */
  readonly #mends = new Set<() => void>();
  readonly #cutOff = new Map<string, number>();
  #over = false;

  readonly #orders: Orders<Machine>;

  constructor(options: MisfortuneOptions<Machine>) {
    this.#options = options;
    this.#orders = new Orders<Machine>(options);
  }

  /** Whether an incident keeps this node from a majority, as far as links are concerned. */
  isCutOff(name: string): boolean {
    return (this.#cutOff.get(name) ?? 0) > 0;
  }

  plan(incidents: readonly Incident[]): void {
    for (const incident of incidents) this.#options.scheduler.schedule(incident.at, () => this.#strike(incident));
  }

  /** The storm is over: whatever was to be put right later is put right now. */
  end(): void {
    this.#over = true;
    for (const mend of [...this.#mends]) mend();
    for (const member of this.#options.cluster.members) member.platter.repair();
  }

  #strike(incident: Incident): void {
    if (this.#over) return;
    const { cluster, told, coverage, electionMicros } = this.#options;
    const node = (place: number): Member<Machine> => cluster.member(place);
    switch (incident.kind) {
      case "kill":
      case "powerLoss":
        return this.#atMoment(node(incident.node), incident.moment, () =>
          this.#takeDown(node(incident.node), incident.kind === "powerLoss", incident.down),
        );
      case "blackout":
        return this.#atMoment(node(incident.node), incident.moment, () => this.#blackout(incident.down));
      case "pause":
        return this.#pause(node(incident.node), incident.lasts);
      case "clockJump": {
        const { life, name } = node(incident.node);
        if (life === null) return;
        told(`the clock of ${name} jumps ahead by ${incident.by / 1000} ms`);
        coverage.note("clockJumped");
        return life.clock.jump(incident.by);
      }
      case "isolate":
        return this.#isolate(node(incident.node), incident.deaf, incident.mute, incident.lasts);
      case "partition":
        return this.#partition(incident.sides, incident.oneWay, incident.lasts);
      case "bridge":
        return this.#bridge(node(incident.node), incident.sides, incident.lasts);
      case "reset": {
        const [one, other] = [node(incident.node), node(incident.other)];
        if (one === other) return;
        told(`the connections between ${one.name} and ${other.name} are reset`);
        coverage.note("connectionReset");
        return this.#options.network.reset(one.address, other.address);
      }
      case "slowDisk": {
        const { platter, name } = node(incident.node);
        told(`the disk of ${name} takes ${incident.extra / 1000} ms longer for each sync`);
        platter.trouble.extraSyncMicros = incident.extra;
        return this.#mendAfter(incident.lasts, () => {
          platter.trouble.extraSyncMicros = 0;
        });
      }
      case "fullDisk": {
        const { platter, name } = node(incident.node);
        told(`the disk of ${name} is full`);
        platter.trouble.full = true;
        return this.#mendAfter(incident.lasts, () => {
          platter.trouble.full = false;
        });
      }
      case "failSync":
      case "failWrite": {
        const { platter, name } = node(incident.node);
        told(`the next ${incident.kind === "failSync" ? "sync" : "write"} of ${name} fails`);
        if (incident.kind === "failSync") platter.trouble.failingSyncs = 1;
        else platter.trouble.failingWrites = 1;
        // What a failed sync leaves in the cache is lost if the power goes soon after the restart (storage D15).
        if (incident.down % 2 === 0) this.#later(incident.down, () => this.#takeDown(node(incident.node), true, electionMicros));
        return;
      }
      case "badReads": {
        const member = node(incident.node);
        this.#takeDown(member, false, incident.down);
        member.platter.trouble.failingReads = incident.failing;
        member.platter.trouble.shortReads = incident.short;
        return;
      }
      case "damage":
        return this.#damage(node(incident.node), incident);
      case "members":
        return this.#options.operator.strike(incident);
      case "strand":
        return this.#strand(incident);
      case "wipe": {
        const member = node(incident.node);
        if (!cluster.settled || !this.#maySpoil(member)) return;
        told(`${member.name} gets an empty disk`);
        coverage.note("wiped");
        cluster.wipe(member);
        return cluster.startAfter(member, incident.down);
      }
      case "transfer":
        return this.#orders.transfer(node(incident.node), incident.to === null ? null : node(incident.to), incident.timeout);
      case "stepDown":
        return this.#orders.stepDown(node(incident.node));
      case "close":
        return this.#orders.close(node(incident.node), incident.down);
      case "refuse":
        return this.#refuse(node(incident.node), incident.sides, incident.lasts);
    }
  }

  /** As a firewall does: what others dial there is refused, what it dials itself is not. */
  #refuse(member: Member<Machine>, sides: readonly number[], lasts: Micros): void {
    const { cluster, network, told, coverage } = this.#options;
    const others = cluster.members.filter(({ place }) => sides[place] === 1 && place !== member.place);
    if (others.length === 0) return;
    const names = others.map(({ name }) => name).join(", ");
    told(`${member.name} refuses connections of ${names}, for ${Math.round(lasts / 1000)} ms`);
    coverage.note("connectionsRefused");
    const mends = others.map((other) => network.refuse(other.address, member.address));
    this.#mendLinks(lasts, mends, []);
  }

  // ---- Nodes ----

  #takeDown(member: Member<Machine>, power: boolean, down: Micros): void {
    if (member.life === null || this.#over) return;
    const { cluster, chance, coverage, told } = this.#options;
    told(`${member.name} ${power ? "loses its power" : "is killed"}, for ${Math.round(down / 1000)} ms`);
    coverage.note(power ? "powerLost" : "killed");
    if (power) cluster.losePower(member, chance);
    else cluster.kill(member);
    cluster.startAfter(member, down);
  }

  #blackout(down: readonly Micros[]): void {
    if (this.#over) return;
    const { cluster, chance, coverage, told } = this.#options;
    told("all nodes lose their power");
    coverage.note("blackout");
    for (const member of cluster.members) {
      cluster.losePower(member, chance);
      cluster.startAfter(member, down[member.place] ?? 1);
    }
  }

  /** Waits for the node to do what is named, but not for long: then it strikes anyhow. */
  #atMoment(member: Member<Machine>, moment: Moment, strike: () => void, polls = POLLS): void {
    if (this.#over) return;
    if (moment === "opening") {
      const { cluster, chance } = this.#options;
      if (member.life !== null) this.#takeDown(member, false, POLL_MICROS);
      cluster.startAfter(member, POLL_MICROS);
      return this.#later(POLL_MICROS + chance.between(1, OPENING_MICROS), strike);
    }
    if (moment === "now" || polls === 0 || this.#isAt(member, moment)) return strike();
    this.#later(POLL_MICROS, () => this.#atMoment(member, moment, strike, polls - 1));
  }

  #isAt(member: Member<Machine>, moment: "writing" | "electing" | "snapshotting"): boolean {
    if (member.life === null) return true;
    if (moment === "writing") return member.platter.isDirty;
    const raft = this.#options.cluster.raftOf(member);
    if (moment === "electing") return raft?.role === "candidate" || raft?.role === "preCandidate";
    return member.platter.paths.some((path) => path.startsWith("snapshot") && path.endsWith(".tmp"));
  }

  #pause(member: Member<Machine>, lasts: Micros): void {
    const { life } = member;
    if (life === null || life.clock.isPaused) return;
    const { told, coverage, electionMicros } = this.#options;
    told(`${member.name} stands still for ${Math.round(lasts / 1000)} ms`);
    if (lasts >= electionMicros) coverage.note("pausedLong");
    life.clock.pause();
    this.#mendAfter(lasts, () => life.clock.resume());
  }

  /** Only a minority of the members may be damaged or lost at any time, and never one before the cluster is founded for good. */
  #maySpoil(member: Member<Machine>): boolean {
    const { members } = this.#options.cluster;
    // Where the members change, the operator sees to it, by the same plan.
    if (members.length > this.#options.founders) return true;
    const lost = members.filter((each) => each.spoilt !== null || each.damaged || each === member).length;
    return lost <= Math.floor((members.length - 1) / 2);
  }

  #damage(member: Member<Machine>, incident: Extract<Incident, { kind: "damage" }>): void {
    const { cluster, chance, told } = this.#options;
    if (!cluster.settled || !this.#maySpoil(member) || member.spoilt !== null) return;
    if (incident.how === "garbledLoss") {
      told(`${member.name} loses its power, and what was being written is rubbish`);
      member.damaged = true;
      member.freshlyDamaged = true;
      cluster.losePower(member, chance, true);
    } else {
      cluster.kill(member);
      const what = damageDisk(member.platter, incident, chance);
      if (what !== null) {
        told(`on the disk of ${member.name}, ${what}`);
        member.damaged = true;
        member.freshlyDamaged = true;
      }
    }
    cluster.startAfter(member, incident.down);
  }

  /** It goes on alone for a while, perhaps with entries that nobody else has; loses one; and the others can't do without it. */
  #strand({ node, alone, down, lasts }: Extract<Incident, { kind: "strand" }>): void {
    const { cluster, network, chance, told } = this.#options;
    const leader = cluster.members.find((member) => cluster.raftOf(member)?.role === "leader");
    const member = leader ?? cluster.member(node);
    if (!cluster.settled || member.life === null || !this.#maySpoil(member) || member.spoilt !== null) return;
    this.#isolate(member, true, true, alone);
    this.#later(alone, () => {
      if (this.#over || member.life === null || !this.#maySpoil(member) || member.spoilt !== null) return;
      cluster.kill(member);
      const what = damageNewest(member.platter, chance);
      if (what !== null) {
        told(`on the disk of ${member.name}, ${what}; and only ${member.name} reaches the others`);
        member.damaged = true;
        member.freshlyDamaged = true;
      }
      const others = cluster.members.filter((other) => other !== member);
      const mends = others.flatMap((one) =>
        others.flatMap((other) => (one === other ? [] : [network.cut(one.address, other.address)])),
      );
      this.#mendLinks(down + lasts, mends, []);
      cluster.startAfter(member, down);
    });
  }

  // ---- Links ----

  /** Nobody hears it, or it hears nobody, or both; an old leader goes on writing entries that will be replaced. */
  #isolate(member: Member<Machine>, deaf: boolean, mute: boolean, lasts: Micros): void {
    const { cluster, network, told, coverage } = this.#options;
    const how = deaf && mute ? "is cut off" : deaf ? "hears nobody" : "is heard by nobody";
    told(`${member.name} ${how} for ${Math.round(lasts / 1000)} ms`);
    if (deaf !== mute) coverage.note("oneWayCut");
    const mends: (() => void)[] = [];
    for (const other of cluster.members) {
      if (other === member) continue;
      if (deaf) mends.push(network.cut(other.address, member.address));
      if (mute) mends.push(network.cut(member.address, other.address));
    }
    this.#mendLinks(lasts, mends, [member]);
  }

  #partition(sides: readonly number[], oneWay: boolean, lasts: Micros): void {
    const { cluster, network, told, coverage } = this.#options;
    const [left, right] = [0, 1].map((side) => cluster.members.filter(({ place }) => sides[place] === side));
    if (left === undefined || right === undefined || left.length === 0 || right.length === 0) return;
    const names = (members: readonly Member<Machine>[]): string => members.map(({ name }) => name).join(", ");
    told(
      `${names(left)} | ${names(right)}: ${oneWay ? "nothing passes from left to right" : "cut apart"} for ${Math.round(lasts / 1000)} ms`,
    );
    if (oneWay) coverage.note("oneWayCut");
    const most = Math.max(left.length, right.length);
    const majority = Math.floor(cluster.members.length / 2) + 1;
    if (most < majority) coverage.note("majorityCut");
    const mends = left.flatMap((one) =>
      right.flatMap((other) => {
        const there = network.cut(one.address, other.address);
        return oneWay ? [there] : [there, network.cut(other.address, one.address)];
      }),
    );
    const minority = oneWay ? [] : [left, right].filter((side) => side.length < majority).flat();
    this.#mendLinks(lasts, mends, minority);
  }

  /** Two sides that can't reach each other, and one node between them that reaches both. */
  #bridge(bridge: Member<Machine>, sides: readonly number[], lasts: Micros): void {
    const { cluster, network, told, coverage } = this.#options;
    const others = cluster.members.filter((member) => member !== bridge);
    const [left, right] = [0, 1].map((side) => others.filter(({ place }) => sides[place] === side));
    if (left === undefined || right === undefined || left.length === 0 || right.length === 0) return;
    told(`only ${bridge.name} can still reach everybody, for ${Math.round(lasts / 1000)} ms`);
    coverage.note("bridge");
    const mends = left.flatMap((one) =>
      right.flatMap((other) => [network.cut(one.address, other.address), network.cut(other.address, one.address)]),
    );
    this.#mendLinks(lasts, mends, []);
  }

  #mendLinks(lasts: Micros, mends: readonly (() => void)[], cutOff: readonly Member<Machine>[]): void {
    const count = (by: number): void => {
      for (const { name } of cutOff) this.#cutOff.set(name, (this.#cutOff.get(name) ?? 0) + by);
    };
    count(1);
    this.#mendAfter(lasts, () => {
      count(-1);
      for (const mend of mends) mend();
    });
  }

  // ---- Time ----

  #later(delay: Micros, body: () => void): void {
    this.#options.scheduler.schedule(delay, body);
  }

  /** Once: after this time, or when the storm ends. */
  #mendAfter(delay: Micros, mend: () => void): void {
    const once = (): void => {
      if (this.#mends.delete(once)) mend();
    };
    this.#mends.add(once);
    this.#later(delay, once);
  }
}
