/** One real server of the built program, of any name: a founder, or one that joins. */
import { fileURLToPath } from "node:url";
import type { Child, Processes } from "../../../raft/test/proof/processes.js";

/** This build. */
export const PROGRAM = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Reported {
  readonly role: string;
  readonly term: number;
  readonly leader: string | null;
  readonly state: string;
  readonly lastApplied: number;
  readonly snapshotIndex: number;
}

export interface MemberProcess {
  readonly child: Child;
  /** The last one of this process. */
  report(): Reported | null;
}

export interface MemberProcessOptions {
  /** Default: this build. */
  readonly program?: string;
  readonly name: string;
  /** As `--cluster` has it. */
  readonly cluster: string;
  readonly directory: string;
  /** host:port */
  readonly client: string;
  /** host:port where its peers reach it, for one that joins. */
  readonly joinsAt?: string;
  /** Further words for `quorate serve`. */
  readonly words?: readonly string[];
  readonly onReport?: (report: Reported) => void;
}

export function startMember(processes: Processes, options: MemberProcessOptions): MemberProcess {
  const { program = PROGRAM, name, cluster, directory, client, joinsAt, words = [], onReport } = options;
  const joins = joinsAt === undefined ? [] : ["--join", "--peer-address", joinsAt];
  const own = ["serve", "--name", name, "--cluster", cluster, "--data", directory, "--client-listen", client];
  const child = processes.node(name, program, [...own, ...joins, "--json-status", ...words]);
  let last: Reported | null = null;
  child.onLine((line) => {
    const report = parse(line);
    if (report === null || !child.running) return;
    last = report;
    onReport?.(report);
  });
  return { child, report: () => last };
}

function parse(line: string): Reported | null {
  if (!line.startsWith("{")) return null;
  const value = JSON.parse(line) as { readonly type?: unknown } & Reported;
  return value.type === "status" ? value : null;
}
