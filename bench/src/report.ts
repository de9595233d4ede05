/** The results as tables in Markdown: medians of the rounds, and ratios, which are the point (numbers of two machines or days can't be compared). */
import type { LoadResult } from "./embedded/messages.js";
import type { GrpcResult } from "./grpc/load.js";
import type { ServerKind } from "./grpc/servers.js";
import type { MachineFacts } from "./machine-facts.js";
import { median } from "./statistics.js";

export interface Round {
  readonly embedded: readonly LoadResult[];
  readonly grpc: { readonly [Kind in ServerKind]?: readonly GrpcResult[] };
}

export interface Results {
  readonly command: string;
  readonly facts: MachineFacts;
  readonly payloadBytes: number;
  readonly rounds: readonly Round[];
  /** Sentences on what was not measured, and why. */
  readonly leftOut: readonly string[];
}

/** The bars that these measurements are held to: embedded commits and gRPC puts, both by etcd's puts in the same round. */
const BARS: readonly { readonly what: string; readonly ratio: (round: Round) => number; readonly least: number }[] = [
  {
    what: "embedded commits at 256 outstanding / etcd puts at 256 streams",
    ratio: (round) => commitsAt(round, 256) / putsAt(round, "etcd", 256),
    least: 4,
  },
  {
    what: "Quorate puts / etcd puts at 64 streams",
    ratio: (round) => putsAt(round, "quorate", 64) / putsAt(round, "etcd", 64),
    least: 0.8,
  },
  {
    what: "Quorate puts / etcd puts at 256 streams",
    ratio: (round) => putsAt(round, "quorate", 256) / putsAt(round, "etcd", 256),
    least: 0.8,
  },
];

export function report(results: Results): string {
  const parts = [machine(results), embeddedTable(results), grpcTable(results), ratioTable(results), leftOut(results)];
  return `${parts.filter((part) => part !== "").join("\n\n")}\n`;
}

function machine({ command, facts, rounds, payloadBytes }: Results): string {
  return [
    "```",
    command,
    "```",
    "",
    `- ${facts.startedAt}; ${rounds.length} rounds, medians shown; values of ${payloadBytes} bytes`,
    `- ${facts.cores} × ${facts.cpu}, ${facts.memoryGiB} GiB, ${facts.kernel}; data on ${facts.fileSystem}`,
    `- Node.js ${facts.node}; ${facts.etcd ?? "etcd not installed"}; ${facts.h2load ?? "h2load not installed"}`,
    `- load average before the run: ${facts.loadBefore}${facts.loadBefore > 0.5 ? " (not a quiet machine: trust the ratios only, and those little)" : ""}`,
  ].join("\n");
}

function embeddedTable({ rounds }: Results): string {
  const rows = byLoad(
    rounds.map(({ embedded }) => embedded),
    ({ outstanding }) => outstanding,
  );
  if (rows.length === 0) return "";
  return table(
    "Embedded: three processes, the load in the leader's",
    [
      "outstanding",
      "durable commits/s",
      "p50",
      "p99",
      "p99.9",
      "fdatasyncs/s",
      "commits per fdatasync",
      "CPU a commit: leader, followers",
    ],
    rows.map(([outstanding, runs]) => [
      count(outstanding),
      count(middle(runs, (run) => run.commitsPerSecond)),
      time(middle(runs, (run) => run.p50Micros)),
      time(middle(runs, (run) => run.p99Micros)),
      time(middle(runs, (run) => run.p999Micros)),
      count(middle(runs, (run) => run.syncs / run.seconds)),
      count(middle(runs, (run) => run.commitsPerSync)),
      cpu(runs.map((run) => run.cpuMicrosPerCommit)),
    ]),
  );
}

function grpcTable({ rounds }: Results): string {
  const rows = (["etcd", "quorate"] as const).flatMap((kind) =>
    byLoad(
      rounds.map(({ grpc }) => grpc[kind] ?? []),
      ({ streams }) => streams,
    ).map(([streams, runs]) => ({ kind, streams, runs })),
  );
  if (rows.length === 0) return "";
  rows.sort((a, b) => a.streams - b.streams);
  return table(
    "gRPC puts: h2load on the leader, one canned Put of one key",
    ["streams", "server", "puts/s", "p50", "p99", "p99.9", "CPU a put: leader, followers"],
    rows.map(({ kind, streams, runs }) => [
      count(streams),
      kind === "etcd" ? "etcd" : "Quorate",
      count(middle(runs, (run) => run.putsPerSecond)),
      time(middle(runs, (run) => run.p50Micros)),
      time(middle(runs, (run) => run.p99Micros)),
      time(middle(runs, (run) => run.p999Micros)),
      cpu(runs.map((run) => run.cpuMicrosPerPut)),
    ]),
  );
}

function ratioTable({ rounds }: Results): string {
  const rows = BARS.flatMap(({ what, ratio, least }) => {
    const ratios = rounds.map(ratio).filter((each) => Number.isFinite(each));
    if (ratios.length === 0) return [];
    const reached = median(ratios);
    const spread = ratios.map((each) => each.toFixed(2)).join(", ");
    return [[what, reached.toFixed(2), spread, `≥ ${least}`, reached >= least ? "yes" : "no"]];
  });
  if (rows.length === 0) return "";
  return table("Ratios, each within one round", ["ratio", "median", "rounds", "bar", "reached"], rows);
}

function leftOut({ leftOut: sentences }: Results): string {
  return sentences.map((sentence) => `Left out: ${sentence}`).join("\n\n");
}

function commitsAt(round: Round, outstanding: number): number {
  return round.embedded.find((run) => run.outstanding === outstanding)?.commitsPerSecond ?? Number.NaN;
}

function putsAt(round: Round, kind: ServerKind, streams: number): number {
  return round.grpc[kind]?.find((run) => run.streams === streams)?.putsPerSecond ?? Number.NaN;
}

/** The runs of all rounds by their load. */
function byLoad<Run>(rounds: readonly (readonly Run[])[], loadOf: (run: Run) => number): [number, Run[]][] {
  const byNumber = new Map<number, Run[]>();
  for (const run of rounds.flat()) byNumber.set(loadOf(run), [...(byNumber.get(loadOf(run)) ?? []), run]);
  return [...byNumber];
}

function middle<Run>(runs: readonly Run[], pick: (run: Run) => number): number {
  return median(runs.map(pick));
}

function cpu(runs: readonly (readonly number[])[]): string {
  const places = runs[0]?.map((_, place) => median(runs.map((run) => run[place] ?? Number.NaN))) ?? [];
  const shown = places.map((micros) => (micros < 10 ? micros.toFixed(1) : micros.toFixed(0)));
  return Number.isFinite(places[0]) ? `${shown.join(", ")} µs` : "not known here";
}

function count(value: number): string {
  return (value < 10 ? Number(value.toFixed(1)) : Math.round(value)).toLocaleString("en-GB");
}

function time(micros: number): string {
  if (!Number.isFinite(micros)) return "–";
  return micros < 100_000 ? `${(micros / 1000).toFixed(2)} ms` : `${(micros / 1000).toFixed(0)} ms`;
}

function table(title: string, heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads, heads.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  return `### ${title}\n\n${lines.join("\n")}`;
}
