/**
 * A whole cluster in one thread: real nodes (driver, write-ahead log, snapshots, founding, wire) on virtual clocks, disks and a
 * virtual network, with clients, and with everything that is owed checked as it happens. What happens is a function of the
 * plan: the same plan gives the same events, which `eventHash` shows.
 *
 * A run has a storm, in which the plan's incidents strike; then a calm: a core that is a majority is healed, everything wrong
 * outside of it stays as it is, and without any client a leader and equal logs are owed; then progress for clients; then, with
 * everybody back, the same state everywhere, and nobody who still needs a repair; and at last everything loses its power once more, and what was promised must
 * be on the disks. Liveness is what the calm is for, and at the end Linearizability is judged once more, by a model where the
 * workload has one. Exactly once: at every comparison the session tables are equal too (docs/invariants.md).
 */
import { checkHistory, explain } from "../check/index.js";
import type { Configuration } from "../core/configuration.js";
import { isJoint, quorumValue } from "../core/quorum.js";
import type { MemberId, Micros } from "../core/types.js";
import { crc32c } from "../runtime/crc32c.js";
import { memberName } from "../runtime/member-id.js";
import { isPlaceholder } from "../runtime/membership.js";
import type { SessionStatus } from "../runtime/node.js";
import type { SessionTable } from "../runtime/sessions/table.js";
import { freezeSessions } from "../runtime/sessions/table-codec.js";
import type { StateMachine } from "../runtime/state-machine.js";
import { Clients, type Contact } from "./clients.js";
import { Cluster, type Member, type Note, nameAt, type Observer } from "./cluster.js";
import { Coverage, type Situation } from "./coverage.js";
import { EventHash } from "./event-hash.js";
import { Misfortune } from "./misfortune.js";
import { Operator } from "./operator.js";
import type { Plan } from "./plan.js";
import { PromiseLedger } from "./promises.js";
import { RaftRules } from "./raft-rules.js";
import { SeededRandom } from "./random.js";
import { Reference, type TraceRecord } from "./reference/index.js";
import { Scheduler } from "./scheduler.js";
import { watchSituations } from "./situations.js";
import { FAIR_WEATHER, type NetworkIncident, VirtualNetwork } from "./virtual-network.js";
import { Witness } from "./witness.js";
import type { Workload } from "./workload.js";

const SECOND = 1_000_000;
/** What must have happened by then, in a calm, is owed within this many election timeouts, and this much besides. */
const PATIENCE_TIMEOUTS = 40;
const PATIENCE_MICROS = 5 * SECOND;
const PROBE_MICROS = 10_000;
/** In millionths: what a session client allows for. */
const FASTEST_CLOCK = 50_000;
const CALM_WRITES = 10;
const MODEL_STEPS = 2_000_000;

export interface WorldOptions<Machine extends StateMachine, State> {
  readonly plan: Plan;
  readonly workload: Workload<Machine, State>;
  /** The syncs of the log do nothing, as in a build that forgot to call them. Default false. */
  readonly withoutSync?: boolean;
  /** Watch too: a trace, a story. They change nothing. */
  readonly observers?: readonly Observer[];
  /** Told what every core does, record by record (docs/trace-format.md). */
  readonly trace?: (record: TraceRecord) => void;
  /** The reference follows every step. Default true. */
  readonly withReference?: boolean;
  /** Told what befalls the cluster, in words; for stories. */
  readonly told?: (at: Micros, text: string) => void;
}

/** What a run that found nothing has been through. */
export interface RunReport {
  readonly seed: number;
  /** Scheduler steps: deliveries, timers, completions. */
  readonly events: number;
  readonly simulatedMicros: Micros;
  readonly hash: number;
  readonly writes: number;
  readonly reads: number;
  readonly starts: number;
  readonly delivered: number;
  readonly coverage: Readonly<Record<Situation, number>>;
  /** The search checker gave up on the history within its budget; the log as witness has judged it all the same. */
  readonly undecided: boolean;
}

/** Something that must never happen has happened. */
export class Finding extends Error {
  override readonly name = "Finding";
  /** The sentence alone, without seed and time. */
  readonly complaint: string;
  readonly at: Micros;
  readonly #plan: Plan;

  constructor(plan: Plan, at: Micros, complaint: string, cause?: unknown) {
    super(`seed ${plan.seed} at ${at / SECOND} s: ${complaint}`, cause === undefined ? undefined : { cause });
    this.#plan = plan;
    this.at = at;
    this.complaint = complaint;
  }

  /** What was played. Not a plain property, or whoever prints the error prints hundreds of lines of it. */
  get plan(): Plan {
    return this.#plan;
  }
}

export class World<Machine extends StateMachine, State> {
  readonly #plan: Plan;
  readonly #workload: Workload<Machine, State>;
  readonly #scheduler = new Scheduler();
  readonly #chance: SeededRandom;
  readonly #network: VirtualNetwork<Note>;
  readonly #coverage = new Coverage();
  readonly #hash = new EventHash();
  readonly #witness: Witness<Machine>;
  readonly #rules: RaftRules;
  readonly #cluster: Cluster<Machine>;
  readonly #clients: Clients<Machine, State>;
  readonly #misfortune: Misfortune<Machine>;
  readonly #told: (text: string) => void;
  #complaint: string | null = null;
  #undecided = false;
  /** While only the core is healed: clients keep to it, and each of the others comes back by its function. */
  #healed: { core: readonly Member<Machine>[]; readonly away: Map<Member<Machine>, () => void> } | null = null;

  constructor(options: WorldOptions<Machine, State>) {
    const { plan, workload, withoutSync = false, observers = [], told } = options;
    this.#plan = plan;
    this.#workload = workload;
    this.#chance = new SeededRandom(plan.seed, 2);
    this.#told = (text) => told?.(this.#scheduler.now(), text);
    const complain = (text: string): never => {
      this.#complaint ??= text;
      throw new Error(text);
    };
    this.#network = new VirtualNetwork<Note>({
      scheduler: this.#scheduler,
      random: new SeededRandom(plan.seed, 3),
      weather: plan.weather,
    });
    this.#network.onIncident = (what) => this.#noteNetwork(what);
    this.#witness = new Witness<Machine>(workload.stateMachine, workload.invariant ?? null, complain);
    this.#rules = new RaftRules(complain);
    const ledger = new PromiseLedger(complain);
    const situations = watchSituations<Machine>({
      coverage: this.#coverage,
      cluster: () => this.#cluster,
      isOnDisk: plan.onDisk === true,
      isCutOff: (name) => this.#misfortune.isCutOff(name),
      isLeading: (id) =>
        this.#cluster.members.some((member) => {
          const raft = this.#cluster.raftOf(member);
          return raft?.id === id && raft.role === "leader";
        }),
      leadersNow: () => this.#rules.leadersNow((name) => this.#isAlive(name)),
    });
    this.#cluster = new Cluster<Machine>({
      plan,
      scheduler: this.#scheduler,
      network: this.#network,
      witness: this.#witness,
      coverage: this.#coverage,
      observers: [this.#hashing(), watchedBy(this.#rules, ledger), situations, ...observers],
      complain,
      trace: followed(options, complain),
      withoutSync,
      lifeEnded: ({ host }) => {
        noteSessions(this.#coverage, host.status().sessions);
        this.#clients.nodeGone(host);
      },
      told: this.#told,
    });
    this.#clients = new Clients<Machine, State>({
      seed: plan.seed,
      plan: plan.clients,
      workload,
      scheduler: this.#scheduler,
      witness: this.#witness,
      coverage: this.#coverage,
      complain,
      clocksAreFair:
        plan.drift.every((drift) => drift <= FASTEST_CLOCK) && !plan.incidents.some(({ kind }) => kind === "clockJump"),
      contacts: () => this.#contacts(),
    });
    const operator = new Operator<Machine>({
      plan,
      cluster: this.#cluster,
      coverage: this.#coverage,
      isCutOff: (name) => this.#misfortune.isCutOff(name),
      told: this.#told,
    });
    this.#misfortune = new Misfortune<Machine>({
      founders: plan.nodes,
      operator,
      cluster: this.#cluster,
      network: this.#network,
      scheduler: this.#scheduler,
      chance: this.#chance,
      coverage: this.#coverage,
      electionMicros: plan.options.electionTimeoutMs * 1000,
      complain,
      told: this.#told,
    });
  }

  /** The time of the world. */
  get now(): Micros {
    return this.#scheduler.now();
  }

  /** Goes through the whole plan. Throws a `Finding` at the first wrong thing. */
  run(): RunReport {
    try {
      this.#storm();
      this.#calm();
      this.#lastWord();
      this.#judge();
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new Finding(this.#plan, this.#scheduler.now(), this.#complaint ?? text, error);
    }
    return {
      seed: this.#plan.seed,
      events: this.#scheduler.steps,
      simulatedMicros: this.#scheduler.now(),
      hash: this.#hash.value,
      writes: this.#clients.writes,
      reads: this.#clients.reads,
      starts: this.#cluster.starts,
      delivered: this.#network.delivered,
      coverage: this.#coverage.counts(),
      undecided: this.#undecided,
    };
  }

  // ---- The phases ----

  #storm(): void {
    for (const member of this.#cluster.members) this.#cluster.startAfter(member, this.#chance.below(200_000));
    this.#clients.begin();
    this.#misfortune.plan(this.#plan.incidents);
    this.#runFor(this.#plan.stormMicros, this.#plan.stormEvents);
  }

  /** A random majority is healed; what is wrong elsewhere becomes permanent; and progress is owed. */
  #calm(): void {
    const { members, whole } = this.#cluster;
    this.#clients.pause();
    this.#misfortune.end();
    this.#network.setWeather(FAIR_WEATHER);
    // Whose disk was damaged may be about to find out, or wait for what only an outsider has.
    const sound = whole.filter(({ damaged }) => !damaged);
    // A cluster is founded by all of its members together: until then all are needed.
    const core = this.#cluster.settled ? this.#chooseCore(sound) : members;
    const outsiders = whole.filter((member) => !core.includes(member));
    this.#told(`calm; healed: ${core.map(({ name }) => name).join(", ")}; the others are ${this.#plan.outsiders}`);
    const away = new Map(outsiders.map((member) => [member, this.#exclude(member)]));
    for (const member of core) this.#cluster.startAfter(member, SECOND / 10);
    this.#healed = { core, away };
    this.#owe("a leader and equal logs in the healed core, without clients", () => this.#agree(this.#healed?.core ?? []));
    if (this.#plan.clients.count > 0) {
      const writes = this.#clients.writes + CALM_WRITES;
      this.#clients.begin();
      // All sessions that may be open may be ones that were given up: then new ones must wait until those expire.
      const expiryMicros = 2000 * (this.#plan.clients.sessions?.expireAfterMs ?? 0);
      this.#owe("progress for clients of the healed core", () => this.#clients.writes >= writes, expiryMicros);
      this.#clients.pause();
    }
    this.#healed = null;
    for (const back of away.values()) back();
    for (const member of whole) this.#cluster.startAfter(member, SECOND / 10);
    this.#owe("equal states with everybody back", () => !this.#clients.busy && this.#agree(this.#cluster.whole, true));
    this.#compareStates();
  }

  /** A random set that is a quorum of every configuration that may be in force, not much larger than it must be. */
  #chooseCore(sound: readonly Member<Machine>[]): readonly Member<Machine>[] {
    let core = this.#shuffled(sound);
    let extra = this.#plan.coreExtra;
    for (const member of [...core]) {
      const smaller = core.filter((each) => each !== member);
      if (!this.#suffices(smaller)) continue;
      if (extra > 0) extra -= 1;
      else core = smaller;
    }
    return core;
  }

  #suffices(members: readonly Member<Machine>[]): boolean {
    const is = ({ configuredAs, name }: Member<Machine>, id: MemberId): boolean =>
      configuredAs === id || (isPlaceholder(id) && name === nameAt(memberName(id)));
    const has = (id: MemberId): number => (members.some((member) => is(member, id)) ? 1 : 0);
    return this.#cluster.configurationsInForce.every((configuration) => quorumValue(configuration, has) === 1);
  }

  /**
   * A change of the members that was on its way when the core was chosen may be appended after it, while the leader still hears the
   * others; then whoever it needs comes back. Says whether somebody did.
   */
  #growCore(): boolean {
    const healed = this.#healed;
    if (healed === null) return false;
    let grown = false;
    for (const [member, back] of healed.away) {
      if (this.#suffices(healed.core)) break;
      healed.away.delete(member);
      healed.core = [...healed.core, member];
      this.#told(`${member.name} is needed too, by a change of the members, and is healed`);
      back();
      this.#cluster.startAfter(member, SECOND / 10);
      grown = true;
    }
    return grown;
  }

  /** Everything loses its power once more: what was promised must be on the disks. */
  #lastWord(): void {
    this.#told("all lose their power for the last time");
    for (const member of this.#cluster.whole) {
      this.#cluster.losePower(member, this.#chance);
      this.#cluster.startAfter(member, this.#chance.between(1, SECOND));
    }
    this.#owe("equal states after the last loss of power", () => this.#agree(this.#cluster.whole, true));
    this.#compareStates();
  }

  #judge(): void {
    for (const { life } of this.#cluster.members) if (life !== null) noteSessions(this.#coverage, life.host.status().sessions);
    this.#clients.judge();
    const { model } = this.#workload;
    if (model === undefined) return;
    const result = checkHistory(this.#clients.history, model, { maxSteps: MODEL_STEPS });
    if (result.verdict === "not") this.#fail(explain(result));
    this.#undecided = result.verdict === "unknown";
  }

  /** Takes a member out for the time of the core's calm. Returns how it comes back. */
  #exclude(member: Member<Machine>): () => void {
    const { life } = member;
    // One that is down at this moment can't be stopped in its tracks: it stays down.
    switch (life === null ? "down" : this.#plan.outsiders) {
      case "paused":
        life?.clock.pause();
        return () => life?.clock.resume();
      case "cut": {
        const mends = this.#cluster.members.flatMap((other) =>
          other === member
            ? []
            : [this.#network.cut(member.address, other.address), this.#network.cut(other.address, member.address)],
        );
        return () => {
          for (const mend of mends) mend();
        };
      }
      case "down":
        this.#cluster.kill(member);
        member.held = true;
        return () => {
          member.held = false;
        };
    }
  }

  // ---- What is owed ----

  /**
   * All of them that are members by the leader's configuration are up, one leads, and all have applied all of the same log. No
   * change is left half done (docs/invariants.md, "No change is left half done"): no configuration is joint, and with
   * everybody there nothing is staged.
   */
  #agree(members: readonly Member<Machine>[], everybody = false): boolean {
    const leader = members
      .map((member) => (member.life?.opened === true && !member.life.clock.isPaused ? this.#cluster.raftOf(member) : null))
      .find((raft) => raft?.role === "leader");
    if (leader === undefined || leader === null) return false;
    const { configuration, lastLogIndex: last } = leader;
    if (isJoint(configuration) || (everybody && this.#waitsFor(configuration, members))) return false;
    for (const member of this.#membersOf(configuration, members)) {
      const raft = member.life?.opened === true ? this.#cluster.raftOf(member) : null;
      if (raft === null || raft.recovering !== null) return false;
      if (raft.lastLogIndex !== last || raft.commitIndex !== last || raft.lastApplied !== last) return false;
      if (raft.currentTerm !== leader.currentTerm || raft.leaderId !== leader.id) return false;
      if (member.life?.clock.isPaused === true) return false;
    }
    return true;
  }

  /** A change waits for new voters, and all of them are there. */
  #waitsFor({ staged, members: records }: Configuration, members: readonly Member<Machine>[]): boolean {
    if (staged === null) return false;
    return staged.promote.every((id) => {
      const record = records.find((each) => each.id === id);
      // One that was added twice, by its name and by its address, is taken in once; the other place waits until somebody takes it back.
      const isFree = (name: string): boolean =>
        isPlaceholder(id) && !records.some((each) => each !== record && each.name === name);
      return members.some(
        ({ name, address, configuredAs }) => address === record?.address && (id === configuredAs || isFree(name)),
      );
    });
  }

  #membersOf(configuration: Configuration, members: readonly Member<Machine>[]): readonly Member<Machine>[] {
    return members.filter(({ name }) => configuration.members.some((member) => member.name === name));
  }

  #compareStates(): void {
    const leader = this.#cluster.whole.map((member) => this.#cluster.raftOf(member)).find((raft) => raft?.role === "leader");
    let sessions: number | null = null;
    for (const member of leader == null ? [] : this.#membersOf(leader.configuration, this.#cluster.whole)) {
      const host = member.life?.host.running?.host;
      if (host === undefined) this.#fail(`${member.name} is down in the calm`);
      const { machine } = host;
      const digest = digestOfSessions(host.sessions);
      sessions ??= digest;
      if (digest !== sessions) this.#fail(`the session table of ${member.name} differs from another node's after the same log`);
      if (machine.place !== this.#witness.order.length)
        this.#fail(`${member.name} holds ${machine.place} commands of ${this.#witness.order.length}`);
      machine.compareState();
    }
  }

  #owe(what: string, isPaid: () => boolean, moreMicros: Micros = 0): void {
    const patience = PATIENCE_MICROS + PATIENCE_TIMEOUTS * this.#plan.options.electionTimeoutMs * 1000 + moreMicros;
    let paid = false;
    let grown = false;
    const probe = (): void => {
      grown ||= this.#growCore();
      paid = isPaid();
      if (!paid) this.#scheduler.schedule(PROBE_MICROS, probe);
    };
    this.#scheduler.schedule(PROBE_MICROS, probe);
    do {
      // Whoever came back makes a new beginning.
      grown = false;
      this.#scheduler.runUntil(() => paid || grown || this.#complaint !== null, patience);
      this.#throwComplaint();
    } while (grown && !paid);
    if (paid) return;
    const states = this.#cluster.members.map((member) => `${member.name}: ${this.#stateOf(member)}`);
    this.#fail(`owed within ${patience / SECOND} s: ${what}\n${states.join("\n")}`);
  }

  #stateOf({ life, spoilt }: Member<Machine>): string {
    const aside = spoilt === null ? "" : ` (${spoilt})`;
    if (life === null) return `down${aside}`;
    const { state, role, currentTerm, leader, lastLogIndex, commitIndex, lastApplied, peers, recovering } = life.host.status();
    const links = peers.filter(({ connected }) => connected).map(({ name }) => name);
    return `${recovering === null ? "" : `${recovering}; `}${state}${aside}${life.clock.isPaused ? ", paused" : ""}, ${role} in term ${currentTerm} under ${leader?.name ?? "nobody"}, log ${lastLogIndex}, committed ${commitIndex}, applied ${lastApplied}, connected to ${links.join(" ")}`;
  }

  #runFor(micros: Micros, events: number): void {
    const scheduler = this.#scheduler;
    scheduler.runUntil(() => this.#complaint !== null || scheduler.steps >= events, micros);
    this.#throwComplaint();
  }

  #throwComplaint(): void {
    if (this.#complaint !== null) throw new Error(this.#complaint);
  }

  #fail(complaint: string): never {
    this.#complaint ??= complaint;
    throw new Error(complaint);
  }

  // ---- Looking ----

  #isAlive(name: string): boolean {
    return this.#cluster.members.some((member) => member.name === name && member.life !== null);
  }

  #contacts(): readonly Contact<Machine>[] {
    const contacts: Contact<Machine>[] = [];
    for (const { name, life, spoilt } of this.#healed?.core ?? this.#cluster.members) {
      if (life === null || !life.opened || life.failed || spoilt !== null) continue;
      if (life.host.state === "joining" || life.host.state === "removed") continue;
      contacts.push({ name, host: life.host, isPaused: () => life.clock.isPaused });
    }
    return contacts;
  }

  #noteNetwork(what: NetworkIncident): void {
    if (what === "lost") this.#coverage.note("messageLost");
    else if (what === "duplicated") this.#coverage.note("messageDuplicated");
    else if (what === "reordered") this.#coverage.note("messageReordered");
    else if (what === "arrivedLate") this.#coverage.note("arrivedLate");
    else if (what === "queueFull") this.#coverage.note("queueFull");
  }

  #hashing(): Observer {
    const hash = this.#hash;
    const scheduler = this.#scheduler;
    return {
      started: (name, raft) => hash.add(scheduler.now(), name, raft.currentTerm, raft.lastLogIndex),
      event: (name, event) => hash.addEvent(scheduler.now(), name, event),
      sent: (from, to, message) => hash.addMessage(scheduler.now(), from, to, message),
    };
  }

  #shuffled<T>(items: readonly T[]): T[] {
    const all = [...items];
    for (let place = all.length - 1; place > 0; place -= 1) {
      const other = this.#chance.below(place + 1);
      const [a, b] = [all[place], all[other]];
      if (a === undefined || b === undefined) continue;
      all[place] = b;
      all[other] = a;
    }
    return all;
  }
}

function noteSessions(coverage: Coverage, counts: SessionStatus): void {
  coverage.note("sessionAnsweredAgain", counts.answeredAgain);
  coverage.note("sessionAnsweredAcrossTerms", counts.answeredAcrossTerms);
  coverage.note("sessionExpired", counts.expired);
  coverage.note("sessionRefused", counts.refused);
}

/** Over all that a snapshot would hold of them. */
function digestOfSessions(table: SessionTable): number {
  let digest = 0;
  const pieces = freezeSessions(table);
  for (let next = pieces.next(); next.done !== true; next = pieces.next())
    digest = crc32c(next.value, 0, next.value.length, digest);
  return digest;
}

/** The rules of Raft and the ledger of promises, as one observer. */
function watchedBy(rules: RaftRules, ledger: PromiseLedger): Observer {
  return {
    started(name, raft) {
      rules.started(name, raft);
    },
    opened: (name, raft) => ledger.opened(name, raft),
    sent: (from, to, message, raft) => ledger.left(from, to, message, raft),
    event(name, event, raft) {
      if (event.type === "peerConnected" && raft !== null) rules.peerRestarted(name, nameAt(event.name));
      rules.event(name, event);
      ledger.event(name, event, raft);
    },
    stepped: (name) => rules.stepped(name),
    wiped: (name) => ledger.forgotten(name),
  };
}

/** Shows each record to the reference, and to whoever else wants to see it. */
function followed(
  { withReference = true, trace }: Pick<WorldOptions<never, never>, "withReference" | "trace">,
  complain: (text: string) => never,
): ((record: TraceRecord) => void) | null {
  if (!withReference) return trace ?? null;
  const reference = new Reference();
  return (record) => {
    trace?.(record);
    const refusal = reference.accept(record);
    if (refusal !== null) complain(`the reference refuses a step: ${refusal}`);
  };
}
