/** The sum of many runs, and how it is shown. */
import { type RunReport, SITUATIONS, type Situation } from "@quorate/raft/sim";

const NAMES = Object.keys(SITUATIONS) as readonly Situation[];
/** From so many runs on, a situation that never came is a gap in what the simulation tries. */
export const LONG_RUN = 1000;

const CRASHES = ["powerLost", "killed", "blackout"] as const satisfies readonly Situation[];

/** What the progress line counts, in its own words. */
const FAULTS: readonly (readonly [label: string, situations: readonly Situation[]])[] = [
  ["crashes", CRASHES],
  ["cuts", ["oneWayCut", "bridge", "majorityCut", "connectionReset", "connectionsRefused"]],
  [
    "disk faults",
    ["syncFailed", "writeFailed", "readFailed", "readFellShort", "noSpace", "damageRefused", "damageHarmless", "wiped"],
  ],
  ["pauses", ["pausedLong", "clockJumped"]],
  ["orders", ["transferAsked", "toldToStepDown", "closed"]],
];

export class Tally {
  runs = 0;
  events = 0;
  simulatedMicros = 0;
  writes = 0;
  reads = 0;
  undecided = 0;
  readonly #coverage = new Map<Situation, number>();
  /** In how many runs each came. */
  readonly #runsWith = new Map<Situation, number>();
  readonly #eventsOfRuns: number[] = [];
  #runsWithWrites = 0;
  #runsWithCrashes = 0;

  add(report: RunReport): void {
    this.runs += 1;
    this.events += report.events;
    this.simulatedMicros += report.simulatedMicros;
    this.writes += report.writes;
    this.reads += report.reads;
    if (report.undecided) this.undecided += 1;
    if (report.writes > 0) this.#runsWithWrites += 1;
    if (CRASHES.some((name) => report.coverage[name] > 0)) this.#runsWithCrashes += 1;
    this.#eventsOfRuns.push(report.events);
    for (const name of NAMES) {
      const count = report.coverage[name];
      if (count === 0) continue;
      this.#coverage.set(name, this.count(name) + count);
      this.#runsWith.set(name, (this.#runsWith.get(name) ?? 0) + 1);
    }
  }

  count(name: Situation): number {
    return this.#coverage.get(name) ?? 0;
  }

  missing(): readonly Situation[] {
    return NAMES.filter((name) => this.count(name) === 0);
  }

  /** One line: how far, how fast, what befell. `part`: what is done of all, 0 to 1. */
  progress(part: number, elapsedMs: number): string {
    const filled = Math.round(part * 20);
    const bar = `[${"#".repeat(filled)}${"-".repeat(20 - filled)}] ${String(Math.floor(part * 100)).padStart(3)} %`;
    const faults = FAULTS.map(([label, names]) => `${grouped(sum(names.map((name) => this.count(name))))} ${label}`).join(", ");
    return `${bar}  ${grouped(this.runs)} seeds, ${this.#rates(elapsedMs)}; ${faults}`;
  }

  summary(elapsedMs: number): readonly string[] {
    const share = (count: number): string => `${((100 * count) / Math.max(1, this.runs)).toFixed(0)} %`;
    const runsWith = (name: Situation): number => this.#runsWith.get(name) ?? 0;
    return [
      `${grouped(this.runs)} seeds, ${grouped(this.events)} events (median ${grouped(median(this.#eventsOfRuns))} a seed), ${this.#rates(elapsedMs)}`,
      `${duration(this.simulatedMicros / 1000)} of simulated time in ${duration(elapsedMs)}: ${(this.simulatedMicros / 1000 / Math.max(1, elapsedMs)).toFixed(0)} × real time`,
      `${grouped(this.writes)} writes acknowledged, ${grouped(this.reads)} reads answered, all checked against the log; the search checker was out of budget in ${grouped(this.undecided)} runs`,
      `of all runs, ${share(runsWith("electionWon"))} had an election, ${share(this.#runsWithCrashes)} a crash in the storm, ${share(runsWith("snapshotTaken"))} a snapshot, ${share(this.#runsWithWrites)} a committed write`,
    ];
  }

  coverageLines(): readonly string[] {
    const width = Math.max(...NAMES.map((name) => name.length));
    return [
      `${"situation".padEnd(width)}  ${"times".padStart(11)}  ${"runs".padStart(8)}  what it is`,
      ...NAMES.map((name) => {
        const times = grouped(this.count(name)).padStart(11);
        return `${name.padEnd(width)}  ${times}  ${grouped(this.#runsWith.get(name) ?? 0).padStart(8)}  ${SITUATIONS[name]}`;
      }),
    ];
  }

  #rates(elapsedMs: number): string {
    const seconds = Math.max(0.001, elapsedMs / 1000);
    return `${grouped(this.events / seconds)} events/s, ${grouped((this.runs / seconds) * 3600)} seeds/h`;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

/** 1234567 as 1,234,567. */
export function grouped(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}

function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
