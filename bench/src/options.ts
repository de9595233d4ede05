/** The options of `npm run bench`. */
import { parseArgs } from "node:util";
import { BenchFailure } from "./failure.js";

export interface BenchOptions {
  readonly parts: ReadonlySet<"embedded" | "grpc">;
  readonly measureMs: number;
  readonly warmUpMs: number;
  readonly rounds: number;
  readonly connections: number;
  readonly directory: string;
  readonly out: string;
  readonly updateDocs: boolean;
  /** Where CPU profiles of our processes are written; null: none are taken. */
  readonly profileDirectory: string | null;
  /** The words as they were given, to be kept beside the numbers. */
  readonly words: readonly string[];
}

export const HELP = `Usage: npm run bench -- [options]

Durable commits of three embedded nodes, and puts through gRPC beside etcd where it is installed.

  --only <embedded|grpc>   one part alone
  --seconds <n>            how long each measurement lasts (default 3; 0.2 to 600)
  --warm-up <n>            seconds of load before it (default 1)
  --rounds <n>             how often everything is measured; medians are shown (default 3; 1 to 100)
  --connections <n>        connections that the gRPC streams are spread over (default 4; 1 to 256)
  --dir <directory>        where the data of the nodes goes while it runs; on a disk (default bench-data)
  --out <directory>        where the results go (default bench-results)
  --update-docs            put the results into docs/benchmarks.md
  --cpu-prof <directory>   write CPU profiles of the nodes there; slows them down a little
  --help                   this text
`;

/** Null: the help was asked for. */
export function parseOptions(words: readonly string[]): BenchOptions | null {
  const given = parse(words);
  if (given["help"] === true) return null;
  const only = given["only"];
  if (only !== undefined && only !== "embedded" && only !== "grpc")
    throw new BenchFailure(`--only is ${JSON.stringify(only)}: it must be embedded or grpc`);
  return {
    parts: new Set(only === undefined ? ["embedded", "grpc"] : [only]),
    measureMs: number(given, "seconds", 3, 0.2, 600) * 1000,
    warmUpMs: number(given, "warm-up", 1, 0.1, 600) * 1000,
    rounds: whole(given, "rounds", 3, 1, 100),
    connections: whole(given, "connections", 4, 1, 256),
    directory: text(given, "dir") ?? "bench-data",
    out: text(given, "out") ?? "bench-results",
    updateDocs: given["update-docs"] === true,
    profileDirectory: text(given, "cpu-prof"),
    words,
  };
}

type Given = Readonly<Record<string, string | boolean | undefined>>;

function parse(words: readonly string[]): Given {
  const valued = ["only", "seconds", "warm-up", "rounds", "connections", "dir", "out", "cpu-prof"];
  try {
    return parseArgs({
      args: [...words],
      strict: true,
      options: {
        ...Object.fromEntries(valued.map((name) => [name, { type: "string" as const }])),
        "update-docs": { type: "boolean" },
        help: { type: "boolean" },
      },
    }).values;
  } catch (error) {
    throw new BenchFailure(`${error instanceof Error ? error.message : String(error)} (see --help)`);
  }
}

function text(given: Given, name: string): string | null {
  const value = given[name];
  if (value === "") throw new BenchFailure(`--${name} is empty: name a directory`);
  return typeof value === "string" ? value : null;
}

function number(given: Given, name: string, standard: number, low: number, high: number): number {
  const words = given[name];
  const value = words === undefined ? standard : words === "" ? Number.NaN : Number(words);
  if (!(value >= low && value <= high))
    throw new BenchFailure(`--${name} is "${words}": it must be a number from ${low} to ${high}`);
  return value;
}

function whole(given: Given, name: string, standard: number, low: number, high: number): number {
  const value = number(given, name, standard, low, high);
  if (!Number.isInteger(value)) throw new BenchFailure(`--${name} is "${given[name]}": it must be a whole number`);
  return value;
}
