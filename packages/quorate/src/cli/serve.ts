/**
 * `quorate serve`: one node of a cluster in this process, until it is told to stop or fails. It prints what happens, and
 * reports its state to whoever started it.
 */
import type { NodeEvent, NodeStatus } from "@quorate/raft";
import { describeEvent, type EventLine, formatEventLine, roleWord } from "./event-lines.js";
import { CommandFailure, type ExitCode } from "./failure.js";
import type { Report, StatusReport } from "./report.js";
import type { ServeSettings } from "./serve-options.js";

/** What the command needs of a server; services/server.ts has it. */
export interface RunningServer {
  readonly node: {
    status(): NodeStatus;
    events(): AsyncIterableIterator<NodeEvent>;
  };
  /** Resolves with the reason if the node fails or is removed; else never. */
  readonly failed: Promise<string>;
  close(): Promise<void>;
}

export type OpenServer = (settings: ServeSettings) => Promise<RunningServer>;

/** What the process around it offers. */
export interface ServeHost {
  /** A line for the reader. */
  readonly print: (line: string) => void;
  /** A report for the supervisor. */
  readonly report: (report: Report) => void;
  /** Resolves with the reason when the node shall stop. */
  readonly stopRequested: Promise<string>;
}

/** How often the state is looked at; it is reported if it changed, and once a second in any case. */
const LOOK_EVERY_MS = 200;
const REPORT_EVERY_LOOKS = 5;

const STOP_LIMIT_MS = 10_000;

/** Events after which the state is looked at without waiting. */
const SHOWS: ReadonlySet<NodeEvent["type"]> = new Set([
  "roleChanged",
  "termChanged",
  "leaderChanged",
  "founded",
  "failed",
  "removed",
]);

/** Events after which this node may be another kind of member than before. */
const MOVES_MEMBERS: ReadonlySet<NodeEvent["type"]> = new Set(["configurationChanged", "snapshotRestored", "founded"]);

export async function serve(
  settings: ServeSettings,
  open: OpenServer,
  host: ServeHost,
  stopLimitMs = STOP_LIMIT_MS,
): Promise<ExitCode> {
  const print = (line: EventLine): void => host.print(formatEventLine(settings.name, line, new Date()));
  const server = await open(settings);
  print({ level: "info", text: greeting(settings) });
  const tell = (line: EventLine): void => {
    print(line);
    host.report({ type: "event", ...line });
  };
  // What happened before anyone could listen.
  const { role, currentTerm, warnings, ...opened } = server.node.status();
  print({ level: "info", text: `is ${roleWord(role)}, term ${currentTerm}` });
  if (opened.state === "joining") print({ level: "info", text: joiningLine(settings) });
  for (const text of warnings) tell({ level: "warning", text });
  const reporter = new Reporter(() => statusReport(settings, server.node.status()), host.report);
  const events = server.node.events();
  let standing = standingOf(server.node.status());
  const followed = follow(events, (event) => {
    const line = describeEvent(event);
    if (line !== null) tell(line);
    if (MOVES_MEMBERS.has(event.type)) {
      const before = standing;
      standing = standingOf(server.node.status());
      // That it was founded says it already.
      const change = event.type === "founded" ? null : standingLine(before, standing);
      if (change !== null) tell(change);
    }
    if (SHOWS.has(event.type)) reporter.look();
  });
  const failure = await Promise.race([
    server.failed,
    host.stopRequested.then((reason) => {
      print({ level: "info", text: `stops: ${reason}` });
      return null;
    }),
  ]);
  const removed = server.node.status().state === "removed";
  reporter.stop();
  await within(
    stopLimitMs,
    server.close(),
    () =>
      `node ${settings.name} did not stop within ${stopLimitMs} ms${failure === null ? "" : ` after it failed: ${failure}`}; ended without waiting longer`,
  );
  await events.return?.();
  await followed;
  if (failure !== null && removed)
    throw new CommandFailure(
      `node ${settings.name} was removed from the cluster; its data directory ${settings.directory} can be deleted`,
      3,
    );
  if (failure !== null) throw new CommandFailure(`node ${settings.name} failed: ${failure}`);
  print({ level: "info", text: "stopped" });
  return 0;
}

/** The node loses nothing by being ended hard; a process that stays for ever after it was told to go would be worse. */
async function within(limitMs: number, work: Promise<void>, sentence: () => string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CommandFailure(sentence())), limitMs);
  });
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function greeting(settings: ServeSettings): string {
  const own = peerAddressOf(settings);
  const others = settings.cluster.filter(({ name }) => name !== settings.name).map(({ name, address }) => `${name}=${address}`);
  const peers = others.length === 0 ? "alone" : `peers ${others.join(", ")}`;
  return `serves clients at ${settings.advertiseClient}, peers at ${settings.listenPeer ?? own} (${peers}), data in ${settings.directory}`;
}

function peerAddressOf({ name, peerAddress, cluster }: ServeSettings): string {
  return peerAddress ?? cluster.find((founder) => founder.name === name)?.address ?? "";
}

function joiningLine(settings: ServeSettings): string {
  return `joins: waits until a leader takes it in (quorate member add ${peerAddressOf(settings)})`;
}

type Standing = "stranger" | "learner" | "voter";

function standingOf({ id, state, learners }: NodeStatus): Standing {
  if (state !== "running") return "stranger";
  return learners.includes(id) ? "learner" : "voter";
}

/** Null: nothing that anybody waits for. A leader that left tells of it itself. */
function standingLine(before: Standing, now: Standing): EventLine | null {
  if (before === now || now === "stranger") return null;
  return { level: "info", text: now === "voter" ? "is a voter now" : "is a learner now: it receives the log, and does not vote" };
}

async function follow(events: AsyncIterableIterator<NodeEvent>, onEvent: (event: NodeEvent) => void): Promise<void> {
  for await (const event of events) onEvent(event);
}

/** Reports the state when it changed, and otherwise once a second, as a sign of life. */
class Reporter {
  readonly #read: () => StatusReport;
  readonly #send: (report: StatusReport) => void;
  readonly #timer: NodeJS.Timeout;
  #last: StatusReport | null = null;
  #looks = 0;

  constructor(read: () => StatusReport, send: (report: StatusReport) => void) {
    this.#read = read;
    this.#send = send;
    this.#timer = setInterval(() => this.#tick(), LOOK_EVERY_MS);
    this.#report(read());
  }

  /** Something happened: who leads is reported at once; indexes, which move all the time, wait for the next tick. */
  look(): void {
    const report = this.#read();
    const { role, term, state, leader } = this.#last ?? report;
    if (report.role !== role || report.term !== term || report.state !== state || report.leader !== leader) this.#report(report);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#report(this.#read());
  }

  #tick(): void {
    const report = this.#read();
    this.#looks += 1;
    if (this.#looks >= REPORT_EVERY_LOOKS || JSON.stringify(report) !== JSON.stringify(this.#last)) this.#report(report);
  }

  #report(report: StatusReport): void {
    this.#last = report;
    this.#looks = 0;
    this.#send(report);
  }
}

export function statusReport(settings: ServeSettings, status: NodeStatus): StatusReport {
  return {
    type: "status",
    name: settings.name,
    pid: process.pid,
    clientUrl: settings.advertiseClient,
    state: status.state,
    failure: status.failure,
    role: status.role,
    term: status.currentTerm,
    leader: status.leader?.name ?? null,
    commitIndex: status.commitIndex,
    lastApplied: status.lastApplied,
    snapshotIndex: status.snapshotIndex,
    connectedPeers: status.peers.filter((peer) => peer.connected).length,
    peers: status.peers.length,
  };
}
