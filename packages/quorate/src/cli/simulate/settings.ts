/** What `quorate simulate` was asked to do, from its words. */
import { forgetfulRegisters, registers, type Workload } from "@quorate/raft/sim";
import { usage } from "../failure.js";
import { parseWhole, shown } from "../values.js";

export interface SimulateWords {
  readonly seeds?: string;
  readonly seed?: string;
  readonly firstSeed?: string;
  readonly minutes?: string;
  readonly nodes?: string;
  readonly jobs?: string;
  readonly workload: string;
  readonly out: string;
  readonly replay?: string;
  readonly coverage?: true;
}

export interface SimulateSettings {
  /** At most so many runs; null: until `minutes` are over. */
  readonly seeds: number | null;
  readonly minutes: number | null;
  readonly firstSeed: number;
  readonly nodes: number | null;
  readonly jobs: number;
  readonly workload: string;
  /** Where a finding's plan and trace are written. */
  readonly out: string;
  /** A file with a plan, to be played once. */
  readonly replay: string | null;
  readonly coverage: boolean;
}

/** The workloads that the command knows; a state machine of one's own is simulated from a program (docs/simulator.md). */
export const WORKLOADS: ReadonlyMap<string, Workload<never>> = new Map(
  // The forgetful ones have a mistake in them, to see what a finding looks like.
  [registers, forgetfulRegisters].map((workload) => [workload.name, workload as unknown as Workload<never>]),
);

const DEFAULT_SEEDS = 100;
const HIGHEST_SEED = 2 ** 48;

/** `freshSeed` gives a first seed where none was asked for; `cores` how many jobs are run side by side then. */
export function simulateSettings(words: SimulateWords, freshSeed: () => number, cores: number): SimulateSettings {
  if (!WORKLOADS.has(words.workload))
    throw usage(`--workload is ${shown(words.workload)}: it must be one of ${[...WORKLOADS.keys()].join(", ")}`);
  const minutes = words.minutes === undefined ? null : parseWhole("--minutes", words.minutes, 1, 100_000);
  const one = words.seed === undefined ? null : parseWhole("--seed", words.seed, 0, HIGHEST_SEED);
  if (one !== null && (words.firstSeed !== undefined || words.seeds !== undefined || minutes !== null))
    throw usage("--seed runs that one seed: leave out --first-seed, --seeds and --minutes");
  const seeds = words.seeds === undefined ? null : parseWhole("--seeds", words.seeds, 1, 1_000_000_000);
  return {
    seeds: one !== null ? 1 : (seeds ?? (minutes === null ? DEFAULT_SEEDS : null)),
    minutes,
    firstSeed:
      one ?? (words.firstSeed === undefined ? freshSeed() : parseWhole("--first-seed", words.firstSeed, 0, HIGHEST_SEED)),
    nodes: words.nodes === undefined ? null : parseWhole("--nodes", words.nodes, 1, 7),
    jobs: words.jobs === undefined ? Math.max(1, Math.min(cores, 64)) : parseWhole("--jobs", words.jobs, 1, 64),
    workload: words.workload,
    out: words.out,
    replay: words.replay ?? null,
    coverage: words.coverage === true,
  };
}
