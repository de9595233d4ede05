/** The command line, and which mutants it means. */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { ROOT } from "./house.js";
import type { Mutant } from "./mutant.js";
import { TIERS, type Tier } from "./tiers.js";

export const USAGE = `npm run test:mutants -- [options]

  --only ID,ID     these mutants
  --rotate K       K mutants, drawn by the hash of the commit (or the day, where there is none): a few for every change
  --tier NAME,…    only these tiers: ${TIERS.map(({ name }) => name).join(", ")}
  --seeds N        seeds of each tier that has seeds
  --workers N      how many at a time, default 2
  --resume         go on with a run that was ended: what is known of the very same sources is not run again
  --update-docs    write docs/mutants.md; of the whole table
`;

export interface Options {
  readonly mutants: readonly Mutant[];
  readonly tiers: readonly Tier[];
  readonly seeds: number | null;
  readonly workers: number;
  readonly resume: boolean;
  readonly updateDocs: boolean;
}

/** Throws with the reason when the command line can't be meant. */
export function readOptions(arguments_: readonly string[], table: readonly Mutant[]): Options {
  const { values } = parseArgs({
    args: [...arguments_],
    options: {
      only: { type: "string" },
      rotate: { type: "string" },
      tier: { type: "string" },
      seeds: { type: "string" },
      workers: { type: "string", default: "2" },
      resume: { type: "boolean", default: false },
      "update-docs": { type: "boolean", default: false },
    },
  });
  const { only, rotate, tier } = values;
  if (only !== undefined && rotate !== undefined) throw new Error("--only and --rotate exclude each other");
  if (values["update-docs"] && [only, rotate, tier, values.seeds].some((value) => value !== undefined))
    throw new Error("--update-docs is for the whole table with all tiers and their own seeds");
  const named = only === undefined ? table : listed("--only", only, table, (mutant) => mutant.id);
  return {
    mutants: rotate === undefined ? named : draw(table, whole("--rotate", rotate, table.length), changing()),
    tiers: tier === undefined ? TIERS : listed("--tier", tier, TIERS, ({ name }) => name),
    seeds: values.seeds === undefined ? null : whole("--seeds", values.seeds, 1_000_000),
    workers: whole("--workers", values.workers, 64),
    resume: values.resume,
    updateDocs: values["update-docs"],
  };
}

function whole(option: string, text: string, most: number): number {
  const value = /^[1-9]\d*$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= most)) throw new Error(`${option} is "${text}": give a whole number from 1 to ${most}`);
  return value;
}

function listed<T>(option: string, text: string, all: readonly T[], nameOf: (each: T) => string): readonly T[] {
  return text.split(",").map((name) => {
    const found = all.find((each) => nameOf(each) === name.trim());
    if (found === undefined) throw new Error(`${option}: there is no "${name.trim()}"`);
    return found;
  });
}

/** What is another one with every change: the commit, or without git the day. */
function changing(): number {
  const { status, stdout } = spawnSync("git", ["rev-parse", "HEAD"], { cwd: ROOT, encoding: "utf8" });
  if (status === 0) return Number.parseInt(stdout.slice(0, 12), 16);
  return Math.floor(Date.now() / 86_400_000);
}

/** `count` mutants, spread over the table. */
export function draw(table: readonly Mutant[], count: number, number: number): readonly Mutant[] {
  const first = number % table.length;
  return Array.from({ length: count }, (_, place) => (first + Math.floor((place * table.length) / count)) % table.length)
    .sort((a, b) => a - b)
    .flatMap((place) => table[place] ?? []);
}
