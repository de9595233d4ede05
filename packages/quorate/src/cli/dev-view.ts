/**
 * What `quorate dev` shows: a function of its state and nothing else. For a terminal the whole picture, which is drawn
 * again in place; for a pipe or a file the lines that differ from what was last said.
 */
import { roleWord } from "./event-lines.js";
import type { EventLevel, StatusReport } from "./report.js";

/** Where a child process is in its life. */
export type Life =
  | { readonly phase: "running" }
  | { readonly phase: "paused" }
  | { readonly phase: "stopping" }
  /** It was asked to, and did in good order. */
  | { readonly phase: "stopped" }
  /** `how`: the signal or the exit code, in words. `reason`: its last words, if it had any. */
  | { readonly phase: "dead"; readonly how: string; readonly reason: string | null };

export interface NodeView {
  readonly name: string;
  readonly clientAddress: string;
  readonly pid: number | null;
  readonly life: Life;
  /** The last report of this life of the process; null until the first. */
  readonly report: StatusReport | null;
  /** How long ago the last report came, in milliseconds. */
  readonly silentMs: number;
}

export interface RecentLine {
  /** Said by a node of its own accord, or by the command as an answer. */
  readonly source: "node" | "command";
  readonly name: string;
  readonly level: EventLevel;
  readonly text: string;
}

export interface ViewState {
  readonly directory: string;
  readonly nodes: readonly NodeView[];
  /** What the nodes, or the command, said last; the oldest first. */
  readonly recent: readonly RecentLine[];
}

/** How `quorate serve` ends when its node is no member any more. */
const REMOVED = "exit 3";
/** A node that runs reports once a second; after this long without a word something is wrong. */
export const SILENT_AFTER_MS = 3000;
export const COMMANDS_LINE =
  "commands: kill a, restart a, stop a, cont a, help, quit (kill is -9; stop and cont are SIGSTOP and SIGCONT)";

interface Row {
  readonly cells: readonly string[];
  readonly state: string;
}

const HEADINGS = ["NODE", "PID", "ROLE", "TERM", "COMMIT", "APPLIED", "CLIENTS"];
const RIGHT_ALIGNED = new Set(["TERM", "COMMIT", "APPLIED"]);

/** The picture for a terminal, each line cut to `columns`. */
export function renderView(state: ViewState, columns: number): string[] {
  const rows = state.nodes.map(rowOf);
  const widths = HEADINGS.map((heading, at) => Math.max(heading.length, ...rows.map(({ cells }) => (cells[at] ?? "").length)));
  const align = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => (RIGHT_ALIGNED.has(HEADINGS[at] ?? "") ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join("  ");
  const lines = [
    `quorate dev: ${state.nodes.length} ${state.nodes.length === 1 ? "node" : "nodes"}, data in ${state.directory}`,
    "",
    `${align(HEADINGS)}  STATE`,
    ...rows.map((row) => `${align(row.cells)}  ${row.state}`),
    "",
    leaderLine(state),
    tryLine(state),
    COMMANDS_LINE,
    "",
    ...state.recent.map(recentLine),
  ];
  return lines.map((line) => cut(line, columns));
}

/** `leader: a (term 2), clients: http://…` */
export function leaderLine(state: ViewState): string {
  const leader = leaderOf(state.nodes);
  const clients = state.nodes.filter(isUp).map(({ clientAddress }) => `http://${clientAddress}`);
  if (leader !== null) return `leader: ${leader.name} (term ${leader.term}), clients: ${clients.join(",")}`;
  if (state.nodes.every(({ life }) => life.phase === "stopped" || life.phase === "stopping"))
    return "leader: none, all are stopped";
  const quorum = Math.floor(state.nodes.length / 2) + 1;
  if (clients.length < quorum)
    return `leader: none, and none can be elected: ${clients.length} of ${state.nodes.length} nodes are up, ${quorum} are needed`;
  return "leader: none yet";
}

export function tryLine(state: ViewState): string {
  return `try: etcdctl --endpoints=${state.nodes.map(({ clientAddress }) => clientAddress).join(",")} put k v`;
}

/** The leader of the highest term, of the nodes that are up. A paused one may believe what is long past. */
export function leaderOf(nodes: readonly NodeView[]): { readonly name: string; readonly term: number } | null {
  let leader: { readonly name: string; readonly term: number } | null = null;
  for (const node of nodes) {
    if (!isUp(node) || node.report?.role !== "leader") continue;
    if (leader === null || node.report.term > leader.term) leader = { name: node.name, term: node.report.term };
  }
  return leader;
}

function isUp(node: NodeView): boolean {
  return (
    node.life.phase === "running" &&
    node.report !== null &&
    node.report.state !== "failed" &&
    node.report.state !== "removed" &&
    node.silentMs < SILENT_AFTER_MS
  );
}

/** What a node does, in words. */
export function stateWords(node: NodeView): string {
  const { life, report, name } = node;
  switch (life.phase) {
    case "dead":
      if (life.how === REMOVED) return `gone: ${life.reason ?? "it is no member any more"}`;
      return `dead (${life.how})${life.reason === null ? "" : `: ${life.reason}`}; type "restart ${name}" to start it again`;
    case "paused":
      return `paused (SIGSTOP); type "cont ${name}" to continue it`;
    case "stopping":
    case "stopped":
      return life.phase;
    case "running":
      if (report === null) return "starting";
      if (report.state === "removed") return `removed: ${report.failure ?? "it is no member any more"}`;
      if (report.state === "failed") return `failed: ${report.failure ?? "no reason given"}`;
      if (node.silentMs >= SILENT_AFTER_MS) return "silent: says nothing; frozen or overloaded";
      if (report.state === "founding") return `founding: ${report.connectedPeers} of ${report.peers} peers connected`;
      if (report.state === "joining") return "joining: waits until a leader takes it in";
      if (report.leader === null && report.role !== "leader") return "running, knows no leader";
      return report.state;
  }
}

function rowOf(node: NodeView): Row {
  const report = node.pid === null ? null : node.report;
  return {
    cells: [
      node.name,
      node.pid === null ? "-" : String(node.pid),
      report === null ? "-" : roleWord(report.role),
      report === null ? "-" : String(report.term),
      report === null ? "-" : String(report.commitIndex),
      report === null ? "-" : String(report.lastApplied),
      `http://${node.clientAddress}`,
    ],
    state: stateWords(node),
  };
}

export function recentLine({ name, level, text }: RecentLine): string {
  return `${name}: ${level === "info" ? "" : `${level}: `}${text}`;
}

function cut(line: string, columns: number): string {
  return line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`;
}

export interface Told {
  readonly lines: readonly string[];
  /** What the reader knows once these lines are told: `previous`, with the nodes that were told as they are now. */
  readonly known: ViewState;
}

/** For a pipe: one line for each node whose row or state differs. `movesToo`: also if only its indexes moved. */
export function tellChanges(previous: ViewState | null, next: ViewState, movesToo: boolean): Told {
  const lines: string[] = [];
  const nodes = next.nodes.map((node) => {
    const before = previous?.nodes.find(({ name }) => name === node.name);
    if (before !== undefined && plainLine(before, movesToo) === plainLine(node, movesToo)) return before;
    lines.push(plainLine(node, true));
    return node;
  });
  const known = { ...next, nodes };
  if (previous !== null && leaderLine(previous) !== leaderLine(known)) {
    lines.push(leaderLine(known));
    if (leaderOf(previous.nodes) === null && leaderOf(nodes) !== null) lines.push(tryLine(known));
  }
  return { lines, known };
}

function plainLine(node: NodeView, indexes: boolean): string {
  const { name, pid, clientAddress, report } = node;
  const process = pid === null ? "" : `pid ${pid}, `;
  if (pid === null || report === null) return `${name}: ${process}${stateWords(node)}`;
  const moving = indexes ? `commit ${report.commitIndex}, applied ${report.lastApplied}, ` : "";
  return `${name}: ${process}${roleWord(report.role)}, term ${report.term}, ${moving}http://${clientAddress}, ${stateWords(node)}`;
}
