/**
 * What will befall a cluster: everything about a run that chance decides beforehand, drawn from the seed, as plain data. Two
 * runs of one plan are the same run. A plan can be printed, kept, and made smaller by taking things out of it, which is how a
 * long story of a failure becomes a short one (shrink.ts).
 *
 * Every run draws its own mix ("swarm testing": Groce and others, 2012): many faults, few, or only one kind, so that a common fault does
 * not always hide what a rare one would show.
 */
import type { Micros } from "../core/types.js";
import { SeededRandom } from "./random.js";
import { FAIR_WEATHER, type NetworkWeather } from "./virtual-network.js";

const SECOND = 1_000_000;

/** When, after its time has come, an incident strikes: at once, or (for at most 50 ms) when the node does what is named. */
export type Moment = "now" | "writing" | "electing" | "snapshotting" | "opening";

interface At {
  /** From the beginning of the run. */
  readonly at: Micros;
}

export type Incident = At &
  (
    | { readonly kind: "kill" | "powerLoss"; readonly node: number; readonly moment: Moment; readonly down: Micros }
    | { readonly kind: "blackout"; readonly node: number; readonly moment: Moment; readonly down: readonly Micros[] }
    | { readonly kind: "pause"; readonly node: number; readonly lasts: Micros }
    | { readonly kind: "clockJump"; readonly node: number; readonly by: Micros }
    | {
        readonly kind: "isolate";
        readonly node: number;
        readonly deaf: boolean;
        readonly mute: boolean;
        readonly lasts: Micros;
      }
    | { readonly kind: "partition"; readonly sides: readonly number[]; readonly oneWay: boolean; readonly lasts: Micros }
    | { readonly kind: "bridge"; readonly node: number; readonly sides: readonly number[]; readonly lasts: Micros }
    | { readonly kind: "reset"; readonly node: number; readonly other: number }
    | { readonly kind: "slowDisk"; readonly node: number; readonly extra: Micros; readonly lasts: Micros }
    | { readonly kind: "fullDisk"; readonly node: number; readonly lasts: Micros }
    | { readonly kind: "failSync" | "failWrite"; readonly node: number; readonly down: Micros }
    | {
        readonly kind: "badReads";
        readonly node: number;
        readonly failing: number;
        readonly short: number;
        readonly down: Micros;
      }
    | {
        readonly kind: "damage";
        readonly node: number;
        readonly how: "flip" | "zeros" | "misdirected" | "lostWrite" | "garbledLoss" | "newestVote";
        readonly where: "log" | "snapshot" | "identity";
        /** Where in the files, as a part of 2^32. */
        readonly place: number;
        readonly down: Micros;
      }
    | { readonly kind: "wipe"; readonly node: number; readonly down: Micros }
    /** Leadership shall move: asked of `node`; to `to`, null being the best. */
    | { readonly kind: "transfer"; readonly node: number; readonly to: number | null; readonly timeout: Micros }
    | { readonly kind: "stepDown"; readonly node: number }
    | { readonly kind: "close"; readonly node: number; readonly down: Micros }
    /** Connections to `node` are refused to those of the other side, while its process lives. */
    | { readonly kind: "refuse"; readonly node: number; readonly sides: readonly number[]; readonly lasts: Micros }
    | {
        /** Somebody asks this node for a change of the members; which ones, `choice` decides when the time has come. */
        readonly kind: "members";
        readonly node: number;
        readonly what: "add" | "addLearner" | "remove" | "replace" | "promote" | "demote" | "cancel" | "readdWiped" | "leases";
        readonly choice: number;
      }
    /**
     * The leader, or this node if there is none, is cut off for a time; then its disk loses one of its newest entries, and while it
     * is back and reaches everybody, nobody else reaches anybody.
     */
    | { readonly kind: "strand"; readonly node: number; readonly alone: Micros; readonly down: Micros; readonly lasts: Micros }
  );

export type IncidentKind = Incident["kind"];

/** The options of the nodes that a run varies; the same on each. */
export interface PlannedOptions {
  readonly heartbeatIntervalMs: number;
  readonly electionTimeoutMs: number;
  readonly segmentBytes: number;
  readonly snapshotLogEntries: number;
  readonly snapshotLogBytes: number;
  readonly trailingEntries: number;
  readonly maxPendingProposals: number;
  readonly maxPendingReads: number;
  readonly maxSessions: number;
  readonly maxSessionRequests: number;
  readonly maxSessionResultBytes: number;
  readonly maxApplyLag: number;
  readonly maxTrailingBytes: number;
  readonly leases: boolean;
  readonly clockDriftPerMille: number;
}

/** Clients that write in sessions (session-client.ts). */
export interface PlannedSessions {
  /** So many of the clients. */
  readonly clients: number;
  readonly expireAfterMs: number;
  readonly keepAlive: boolean;
  /** At most so many commands at once. */
  readonly burst: number;
  /** Of a thousand times so often, after a burst, the client ends its session; or is away for up to twice its time. */
  readonly closePerMille: number;
  readonly awayPerMille: number;
}

export interface PlannedClients {
  readonly count: number;
  /** A client waits this long between operations. */
  readonly pauseLow: Micros;
  readonly pauseHigh: Micros;
  /** A client gives up after this. */
  readonly timeoutMs: number;
  /** Of a thousand times so often it goes to another node than last time. */
  readonly restlessPerMille: number;
  /** Of a thousand times so often it asks the same again if it was refused or never learned what became of it. */
  readonly stubbornPerMille: number;
  /** Null, and in plans of earlier versions not there: nobody uses sessions. */
  readonly sessions: PlannedSessions | null;
  /** Of a thousand reads so many may be answered from a lease. */
  readonly leasePerMille: number;
}

export interface Plan {
  readonly seed: number;
  /** The founders. */
  readonly nodes: number;
  /** More nodes that run, and are no members until somebody adds them. */
  readonly standby: number;
  readonly options: PlannedOptions;
  readonly weather: NetworkWeather;
  /** How long a sync takes at most. */
  readonly syncMicros: Micros;
  /** For each node, by how many millionths its clock is fast. */
  readonly drift: readonly number[];
  /** For each node, who is preferred when leadership is handed over. */
  readonly priorities: readonly number[];
  readonly clients: PlannedClients;
  /** How long misfortune lasts, at most … */
  readonly stormMicros: Micros;
  /** … and after how many events it ends in any case, so that no run takes much longer than another. */
  readonly stormEvents: number;
  readonly incidents: readonly Incident[];
  /** State machines keep themselves on disk. Not there: they live in memory. */
  readonly onDisk?: boolean;
  /** How many nodes make the core that is healed first when the storm is over, and what the others are meanwhile. */
  readonly coreExtra: number;
  readonly outsiders: "down" | "cut" | "paused";
}

export interface PlanLimits {
  /** Default: drawn, from 1 to 7. */
  readonly nodes?: number;
  /** Default: drawn, 10 to 60 s; most storms end earlier, by the number of their events. */
  readonly stormMicros?: Micros;
  /** Only these kinds of incidents. Default: all. */
  readonly kinds?: readonly IncidentKind[];
  /** Default: drawn. */
  readonly leases?: boolean;
  /**
   * `outside`: clocks run further apart than the nodes are told, which is what leases can't bear. Default: within what they are
   * told.
   */
  readonly clocks?: "within" | "outside";
  /** Nodes that stand by to become members. Default: drawn, in half of the runs none. */
  readonly standby?: number;
}

/** How often each kind is drawn, where a run has it at all. */
const WEIGHTS: Readonly<Record<IncidentKind, number>> = {
  kill: 4,
  powerLoss: 6,
  blackout: 2,
  pause: 4,
  clockJump: 1,
  isolate: 4,
  partition: 4,
  bridge: 2,
  reset: 3,
  slowDisk: 2,
  fullDisk: 2,
  failSync: 1,
  failWrite: 1,
  badReads: 1,
  damage: 2,
  wipe: 1,
  transfer: 4,
  stepDown: 1,
  close: 2,
  refuse: 2,
  strand: 1,
  // Drawn by itself: see withMembership.
  members: 0,
};

const KINDS = (Object.keys(WEIGHTS) as IncidentKind[]).filter((kind) => WEIGHTS[kind] > 0);

export function drawPlan(seed: number, limits: PlanLimits = {}): Plan {
  const random = new SeededRandom(seed, 1);
  const nodes = limits.nodes ?? random.pick([1, 2, 3, 3, 3, 3, 3, 3, 4, 5, 5, 5, 5, 6, 7]) ?? 3;
  // By chances of their own: what was there before is drawn as before.
  const forSessions = new SeededRandom(seed, 40);
  const leadership = new SeededRandom(seed, 9);
  const leases = limits.leases ?? leadership.chance(450);
  const options = {
    ...drawOptions(random),
    ...drawLimits(forSessions),
    leases,
    clockDriftPerMille: limits.clocks === "outside" ? 10 : 100,
  };
  const electionMicros = options.electionTimeoutMs * 1000;
  const stormMicros = limits.stormMicros ?? random.between(10 * SECOND, 60 * SECOND);
  const plan: Plan = {
    seed,
    nodes,
    standby: 0,
    options,
    weather: drawWeather(random, electionMicros),
    syncMicros: random.pick([500, 2000, 4000, 4000, 20_000]) ?? 4000,
    drift: limits.clocks === "outside" ? farApart(nodes) : drawDrift(random, nodes),
    priorities: Array.from({ length: nodes }, () => leadership.pick([1, 1, 1, 1, 0, 3]) ?? 1),
    clients: {
      ...drawClients(random, forSessions, options.maxSessions),
      leasePerMille: leases ? (leadership.pick([300, 700, 1000]) ?? 700) : 50,
    },
    onDisk: new SeededRandom(seed, 41).chance(250),
    stormMicros,
    stormEvents: random.between(15_000, 28_000),
    incidents: drawIncidents(random, { nodes, stormMicros, electionMicros, kinds: kindsFor(limits, leases) }),
    coreExtra: random.below(1 + nodes),
    outsiders: random.pick(["down", "cut", "paused"] as const) ?? "down",
  };
  return limits.kinds !== undefined && !limits.kinds.includes("members") ? plan : withMembership(plan, limits);
}

/** Half of the runs have nodes that stand by, and somebody who changes the members. */
function withMembership(plan: Plan, limits: PlanLimits): Plan {
  const random = new SeededRandom(plan.seed, 4);
  const drawn = random.chance(500) ? random.between(1, 3) : 0;
  const standby = limits.standby ?? drawn;
  if (standby === 0) return plan;
  const total = plan.nodes + standby;
  const gap = random.pick([300_000, 700_000, 1_500_000]) ?? SECOND;
  const changes: Incident[] = [];
  for (let at = random.between(0, 3 * SECOND); at < plan.stormMicros; at += random.between(gap / 4, (gap * 7) / 4))
    changes.push({
      at,
      kind: "members",
      node: random.below(total),
      what: random.pick(plan.options.leases ? [...CHANGES, "leases"] : CHANGES) ?? "add",
      choice: random.nextUint32(),
    });
  const more = (values: readonly number[], draw: () => number): readonly number[] => [
    ...values,
    ...Array.from({ length: standby }, draw),
  ];
  // Whom a `strand` strikes is not known beforehand, and the operator must know whom not to count on.
  const kept = plan.incidents.filter(({ kind }) => kind !== "strand");
  const incidents = kept.map((incident): Incident => {
    if (incident.kind === "partition" || incident.kind === "bridge" || incident.kind === "refuse")
      return { ...incident, sides: more(incident.sides, () => random.below(2)) };
    if (incident.kind === "blackout")
      return { ...incident, down: more(incident.down, () => random.between(1, 2000 * plan.options.electionTimeoutMs)) };
    // What strikes nodes strikes those that stand by too; but never more of them may be lost than was drawn.
    if ("node" in incident && incident.kind !== "damage" && incident.kind !== "wipe" && random.chance(300))
      return { ...incident, node: random.below(total) };
    return incident;
  });
  return {
    ...plan,
    standby,
    drift: more(plan.drift, () => (plan.drift.some((drift) => drift !== 0) ? random.between(-50_000, 50_000) : 0)),
    priorities: more(plan.priorities, () => 1),
    incidents: [...incidents, ...changes].sort((one, other) => one.at - other.at),
  };
}

const CHANGES = [
  "add",
  "add",
  "addLearner",
  "remove",
  "replace",
  "replace",
  "promote",
  "promote",
  "demote",
  "cancel",
  "readdWiped",
] as const;

/** A clock that jumps ahead is outside of every bound on drift: where leases rest on clocks it does not happen. */
function kindsFor({ kinds = KINDS }: PlanLimits, leases: boolean): readonly IncidentKind[] {
  return leases ? kinds.filter((kind) => kind !== "clockJump") : kinds;
}

function drawOptions(
  random: SeededRandom,
): Omit<PlannedOptions, "leases" | "clockDriftPerMille" | keyof ReturnType<typeof drawLimits>> {
  const electionTimeoutMs = random.between(150, 600);
  return {
    electionTimeoutMs,
    heartbeatIntervalMs: Math.max(5, Math.floor(electionTimeoutMs / random.between(3, 10))),
    segmentBytes: 64 * 1024,
    snapshotLogEntries: random.pick([10, 25, 40, 80, 200]) ?? 40,
    snapshotLogBytes: random.pick([2048, 16 * 1024, 64 * 1024]) ?? 16_384,
    trailingEntries: random.pick([0, 0, 5, 20, 50]) ?? 5,
    maxPendingProposals: random.chance(250) ? random.between(1, 4) : 65_536,
    maxPendingReads: random.chance(200) ? random.between(1, 3) : 65_536,
  };
}

function drawWeather(random: SeededRandom, electionMicros: Micros): NetworkWeather {
  const rough = (perMille: number): number => (random.chance(450) ? random.below(perMille + 1) : 0);
  const slowest = random.chance(100) ? Math.floor(electionMicros / 2) : Math.floor(electionMicros / 12);
  return {
    delayLow: random.pick([50, 50, 500]) ?? 50,
    delayHigh: random.between(600, Math.max(600, random.chance(500) ? 2000 : slowest)),
    lossPerMille: random.chance(300) ? rough(300) : rough(50),
    duplicatePerMille: random.chance(300) ? rough(500) : rough(50),
    reorderPerMille: random.chance(300) ? rough(300) : rough(50),
    maxQueueBytes: random.chance(150) ? random.between(1000, 16_000) : FAIR_WEATHER.maxQueueBytes,
  };
}

/** Clocks that run at different rates, at most a twentieth apart: what leases and timers must bear. */
function drawDrift(random: SeededRandom, nodes: number): readonly number[] {
  const drifts = random.chance(400);
  return Array.from({ length: nodes }, () => (drifts ? random.between(-50_000, 50_000) : 0));
}

/** One clock slow and all others fast, by much more than any node is told. */
function farApart(nodes: number): readonly number[] {
  return Array.from({ length: nodes }, (_, place) => (place === 0 ? -400_000 : 400_000));
}

/** Small at times, so that they are met. */
function drawLimits(
  random: SeededRandom,
): Pick<PlannedOptions, "maxSessions" | "maxSessionRequests" | "maxSessionResultBytes" | "maxApplyLag" | "maxTrailingBytes"> {
  return {
    maxSessions: random.chance(300) ? random.between(1, 4) : 1000,
    maxSessionRequests: random.chance(300) ? random.between(1, 3) : 64,
    maxSessionResultBytes: random.pick([0, 9, 20, 65_536, 65_536]) ?? 65_536,
    maxApplyLag: random.chance(300) ? random.between(1, 5) : 100_000,
    maxTrailingBytes: random.chance(300) ? random.below(4000) : 64 * 1024 * 1024,
  };
}

function drawSessions(random: SeededRandom, count: number, maxSessions: number): PlannedSessions | null {
  if (random.chance(250)) return null;
  return {
    clients: random.between(1, count),
    // Where there may be few, one that nobody knows any more must make room in time.
    expireAfterMs: random.pick(maxSessions < count ? [200, 500, 1000] : [200, 500, 1000, 3000, 20_000]) ?? 1000,
    keepAlive: random.chance(500),
    burst: random.pick([1, 1, 2, 5]) ?? 1,
    closePerMille: random.pick([0, 20, 100]) ?? 0,
    awayPerMille: random.pick([0, 30, 100]) ?? 0,
  };
}

function drawClients(
  random: SeededRandom,
  forSessions: SeededRandom,
  maxSessions: number,
): Omit<PlannedClients, "leasePerMille"> {
  const pauseHigh = random.pick([20_000, 40_000, 60_000, 60_000, 120_000]) ?? 60_000;
  const count = random.between(2, 10);
  return {
    count,
    sessions: drawSessions(forSessions, count, maxSessions),
    pauseLow: random.between(100, 4000),
    pauseHigh,
    timeoutMs: random.pick([300, 1000, 2000, 2000]) ?? 2000,
    restlessPerMille: random.pick([20, 300, 1000]) ?? 300,
    stubbornPerMille: random.pick([0, 500, 1000]) ?? 0,
  };
}

interface StormLimits {
  readonly nodes: number;
  readonly stormMicros: Micros;
  readonly electionMicros: Micros;
  readonly kinds: readonly IncidentKind[];
}

function drawIncidents(
  random: SeededRandom,
  { nodes, stormMicros, electionMicros, kinds: allowed }: StormLimits,
): readonly Incident[] {
  const chosen = allowed.filter(() => random.chance(600));
  // Nearly every run has crashes: what else befalls it should meet recovery too.
  if (!chosen.includes("powerLoss") && allowed.includes("powerLoss") && random.chance(950)) chosen.push("powerLoss");
  const kinds = chosen.length === 0 ? allowed.slice(0, 1) : chosen;
  // Only a minority may ever be lost for good. (What a `strand` takes from a leader is repaired; misfortune.ts sees to it that at
  // no time more than a minority is damaged.)
  const spoilable = shuffled(random, nodes).slice(0, Math.floor((nodes - 1) / 2));
  const gap = random.pick([200_000, 400_000, 800_000, 1_600_000]) ?? SECOND;
  const incidents: Incident[] = [];
  // Most often the cluster is founded in peace.
  const peace = random.chance(700) ? Math.min(2 * SECOND, Math.floor(stormMicros / 4)) : 0;
  for (
    let at = peace + random.between(0, 2 * gap);
    at < stormMicros;
    at += random.between(Math.floor(gap / 4), Math.floor((gap * 7) / 4))
  ) {
    const kind =
      incidents.length === 0 && kinds.includes("powerLoss") && random.chance(700) ? "powerLoss" : weighted(random, kinds);
    const incident = drawIncident(random, kind, at, { nodes, electionMicros, spoilable });
    if (incident !== null) incidents.push(incident);
    // A moment that seldom comes by itself: whoever is told to campaign can't be heard.
    if (incident?.kind === "transfer" && incident.to !== null && random.chance(300))
      incidents.push({
        at: at + random.between(0, 4000),
        kind: "isolate",
        node: incident.to,
        deaf: false,
        mute: true,
        lasts: random.between(electionMicros / 4, 3 * electionMicros),
      });
  }
  return incidents;
}

interface Surroundings {
  readonly nodes: number;
  readonly electionMicros: Micros;
  readonly spoilable: readonly number[];
}

function drawIncident(
  random: SeededRandom,
  kind: IncidentKind,
  at: Micros,
  { nodes, electionMicros, spoilable }: Surroundings,
): Incident | null {
  const node = random.below(nodes);
  const down = random.between(1, 2 * electionMicros);
  const lasts = random.between(electionMicros / 4, 5 * electionMicros);
  const moment = random.pick(["now", "writing", "writing", "electing", "snapshotting", "opening"] as const) ?? "now";
  switch (kind) {
    case "kill":
    case "powerLoss":
      return { at, kind, node, moment, down };
    case "blackout":
      return { at, kind, node, moment, down: Array.from({ length: nodes }, () => random.between(1, 2 * electionMicros)) };
    case "pause":
      return { at, kind, node, lasts: random.between(electionMicros / 4, 4 * electionMicros) };
    case "clockJump":
      return { at, kind, node, by: random.between(electionMicros / 4, 4 * electionMicros) };
    case "isolate": {
      const deaf = random.chance(700);
      return { at, kind, node, deaf, mute: !deaf || random.chance(600), lasts };
    }
    case "partition":
      return { at, kind, sides: Array.from({ length: nodes }, () => random.below(2)), oneWay: random.chance(300), lasts };
    case "bridge":
      return { at, kind, node, sides: Array.from({ length: nodes }, () => random.below(2)), lasts };
    case "reset":
      return { at, kind, node, other: random.below(nodes) };
    case "slowDisk":
      return { at, kind, node, extra: random.between(electionMicros / 8, 2 * electionMicros), lasts };
    case "fullDisk":
      return { at, kind, node, lasts };
    case "failSync":
    case "failWrite":
      return { at, kind, node, down };
    case "badReads":
      return { at, kind, node, failing: random.below(3), short: random.below(3), down };
    case "damage": {
      const victim = random.pick(spoilable);
      if (victim === undefined) return null;
      const how =
        random.pick(["flip", "flip", "zeros", "misdirected", "lostWrite", "garbledLoss", "newestVote"] as const) ?? "flip";
      const where = random.pick(["log", "log", "log", "snapshot", "identity"] as const) ?? "log";
      return { at, kind, node: victim, how, where, place: random.nextUint32(), down };
    }
    case "strand":
      if (nodes < 3) return null;
      return { at, kind, node, alone: random.between(electionMicros / 8, 2 * electionMicros), down, lasts: 2 * lasts };
    case "wipe": {
      const victim = random.pick(spoilable);
      return victim === undefined ? null : { at, kind, node: victim, down };
    }
    case "transfer":
      return {
        at,
        kind,
        node,
        to: random.chance(300) ? null : random.below(nodes),
        timeout: random.between(electionMicros, 6 * electionMicros),
      };
    case "stepDown":
      return { at, kind, node };
    case "close":
      return { at, kind, node, down };
    case "refuse":
      return { at, kind, node, sides: Array.from({ length: nodes }, () => random.below(2)), lasts };
    case "members":
      return null;
  }
}

function weighted(random: SeededRandom, kinds: readonly IncidentKind[]): IncidentKind {
  let left = random.below(kinds.reduce((sum, kind) => sum + WEIGHTS[kind], 0));
  for (const kind of kinds) {
    left -= WEIGHTS[kind];
    if (left < 0) return kind;
  }
  return kinds[0] ?? "kill";
}

function shuffled(random: SeededRandom, count: number): number[] {
  const all = Array.from({ length: count }, (_, place) => place);
  for (let place = count - 1; place > 0; place -= 1) {
    const other = random.below(place + 1);
    [all[place], all[other]] = [all[other] ?? 0, all[place] ?? 0];
  }
  return all;
}
