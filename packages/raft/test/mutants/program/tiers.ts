/**
 * The tiers, from cheap to costly: each is a command that runs some of the tests on a copy of the package and fails when
 * the copy is wrong. A new tier is one more element of TIERS.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import type { Finished } from "./command.js";
import { PACKAGE } from "./house.js";
import type { Sandbox } from "./sandbox.js";

export interface Tier {
  readonly name: string;
  /** What it is, for the documentation. */
  readonly what: string;
  /** Where its imports begin, below the package. */
  readonly entries: (packageFolder: string) => readonly string[];
  readonly command: (sandbox: Sandbox, seeds: number) => readonly string[];
  readonly env?: (seeds: number) => Readonly<Record<string, string>>;
  /** Seeds that it tries, unless the command line says otherwise. Not there: it has none. */
  readonly seeds?: number;
  /** What was wrong, in one line, and after how many seeds. */
  readonly verdict: (finished: Finished, sandbox: Sandbox) => Verdict;
  /** A hang, not a wish: far above what the correct build takes on a busy machine. */
  readonly deadlineMs: number;
}

export interface Verdict {
  readonly reason: string;
  /** The ordinal of the seed that failed; null where there are none. */
  readonly seeds: number | null;
}

export const TIERS: readonly Tier[] = [
  vitest("core", "golden scripts and tests of the core", ["core"], { except: ["random-cluster.test.ts"], deadlineMs: 60_000 }),
  vitest("runtime", "tests of the log, the files and the wire", ["runtime"], { deadlineMs: 120_000 }),
  vitest("platform", "tests of the transport over TCP", ["platform"], { deadlineMs: 120_000 }),
  {
    ...vitest("random", "bare cores in random, hostile worlds", ["core/random-cluster.test.ts"], { deadlineMs: 180_000 }),
    seeds: 300,
    env: (seeds) => ({ CORE_SEEDS: String(seeds) }),
  },
  vitest("reference", "an abstract Raft, written from the paper, follows bare cores step by step", ["sim/reference"], {
    deadlineMs: 240_000,
  }),
  {
    name: "simulator",
    what: "whole nodes on virtual disks, networks and clocks that fail in every way (docs/simulator.md)",
    seeds: 60,
    entries: () => ["src/sim/index.ts"],
    command: ({ folder }, seeds) => [
      process.execPath,
      fileURLToPath(new URL("./seeds.js", import.meta.url)),
      join(folder, PACKAGE, "dist/sim/index.js"),
      String(seeds),
    ],
    verdict: ({ output }) => {
      const seeds = /^killed after (\d+) seeds: /m.exec(output);
      return {
        reason: firstLine(seeds === null ? output : output.slice(seeds.index + seeds[0].length)),
        seeds: asNumber(seeds?.[1]),
      };
    },
    deadlineMs: 300_000,
  },
  vitest(
    "crash points",
    "a crash at every disk operation of scripted workloads, and whatever the disk may keep",
    ["sim/crash-points"],
    {
      deadlineMs: 300_000,
    },
  ),
];

/** The tests of some folders or files below test/, run from source; they end at the first failure. */
function vitest(
  name: string,
  what: string,
  paths: readonly string[],
  { except = [], deadlineMs }: { readonly except?: readonly string[]; readonly deadlineMs: number },
): Tier {
  const report = "report.json";
  return {
    name,
    what,
    entries: (packageFolder) =>
      paths
        .flatMap((path) =>
          path.endsWith(".ts")
            ? [`test/${path}`]
            : readdirSync(join(packageFolder, "test", path), { recursive: true, encoding: "utf8" }).map(
                (file) => `test/${path}/${file}`,
              ),
        )
        .filter((path) => path.endsWith(".test.ts") && !except.some((each) => path.endsWith(each))),
    command: ({ folder }) => [
      process.execPath,
      join(folder, "node_modules/vitest/vitest.mjs"),
      "run",
      "--bail=1",
      "--maxWorkers=1",
      "--reporter=json",
      `--outputFile=${report}`,
      ...except.map((each) => `--exclude=**/${each}`),
      ...paths.map((path) => `${PACKAGE}/test/${path}`),
    ],
    verdict: ({ output }, sandbox) => {
      const text = sandbox.take(report);
      const failure = text === null ? null : firstFailure(JSON.parse(text) as VitestReport);
      const reason = failure === null ? firstLine(output) : `${failure.name}: ${inShort(failure.message)}`;
      return { reason, seeds: asNumber(/\bseed (\d+):/.exec(failure?.message ?? "")?.[1]) };
    },
    deadlineMs,
  };
}

interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly title: string;
      readonly status: string;
      readonly failureMessages: readonly string[] | null;
    }[];
  }[];
}

function firstFailure({ testResults }: VitestReport): { readonly name: string; readonly message: string } | null {
  for (const { assertionResults } of testResults)
    for (const { title, status, failureMessages } of assertionResults)
      if (status === "failed") return { name: title, message: failureMessages?.[0] ?? "" };
  const broken = testResults.find(({ status }) => status === "failed");
  return broken === undefined ? null : { name: broken.name.replace(/^.*\/test\//, ""), message: broken.message };
}

/** A golden script's message names the script once more, and says only that. */
function inShort(message: string): string {
  const line = firstLine(message);
  return /^Snapshot .* mismatched$/.test(line) ? "the script gives something else" : line;
}

function asNumber(text: string | undefined): number | null {
  return text === undefined ? null : Number(text);
}

const LINE_CHARACTERS = 160;

function firstLine(text: string): string {
  const line = stripVTControlCharacters(text)
    .split("\n")
    .map((each) => each.trim())
    .find((each) => each !== "");
  return (line ?? "it ended without a word").replace(/^(Assertion)?Error: /, "").slice(0, LINE_CHARACTERS);
}
