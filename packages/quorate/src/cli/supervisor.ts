/**
 * The child processes of `quorate dev`: one for each node, started, watched, signalled and surely ended. A child that dies
 * stays dead until somebody asks for it again: this is for looking at what a cluster does, and a quiet restart would hide
 * it. Only processes started here are ever signalled, each through its own handle.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Life, NodeView } from "./dev-view.js";
import { type EventReport, parseReport, type StatusReport } from "./report.js";

export interface ChildPlan {
  readonly name: string;
  readonly clientAddress: string;
  /** The script and its arguments, run by the Node.js that runs this. */
  readonly arguments: readonly string[];
}

export interface SupervisorEvents {
  /** Something of the view changed. */
  readonly changed: () => void;
  /** A node said something worth reading. */
  readonly said: (name: string, event: EventReport) => void;
}

/** After this long a child that was asked to stop is killed. */
export const STOP_GRACE_MS = 5000;
const GOOD_ORDER = "exit 0";
const MAX_LAST_WORDS = 4096;

export class Supervisor {
  readonly #children: ReadonlyMap<string, SupervisedChild>;

  constructor(plans: readonly ChildPlan[], events: SupervisorEvents, graceMs = STOP_GRACE_MS) {
    this.#children = new Map(plans.map((plan) => [plan.name, new SupervisedChild(plan, events, graceMs)]));
  }

  startAll(): void {
    for (const child of this.#children.values()) child.start();
  }

  child(name: string): SupervisedChild {
    const child = this.#children.get(name);
    if (child === undefined) throw new RangeError(`no node ${name}`);
    return child;
  }

  views(): NodeView[] {
    return Array.from(this.#children.values(), (child) => child.view());
  }

  /** True when no child runs and none ever got far enough to report: nothing will come of waiting. */
  get allFailedToStart(): boolean {
    return [...this.#children.values()].every((child) => !child.alive && !child.everReported);
  }

  /** Asks all children to stop, and kills those that do not within the grace. */
  async stopAll(): Promise<void> {
    await Promise.all(Array.from(this.#children.values(), (child) => child.end()));
  }
}

export class SupervisedChild {
  readonly #plan: ChildPlan;
  readonly #events: SupervisorEvents;
  readonly #graceMs: number;
  #process: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  #life: Life = { phase: "dead", how: "not started", reason: null };
  #report: StatusReport | null = null;
  #reportedAt = 0;
  #lastWords = "";
  #restarting: Promise<void> | null = null;
  everReported = false;

  constructor(plan: ChildPlan, events: SupervisorEvents, graceMs: number) {
    this.#plan = plan;
    this.#events = events;
    this.#graceMs = graceMs;
  }

  get alive(): boolean {
    return this.#process !== null;
  }

  view(): NodeView {
    return {
      name: this.#plan.name,
      clientAddress: this.#plan.clientAddress,
      pid: this.#process?.pid ?? null,
      life: this.#life,
      report: this.#report,
      silentMs: this.#report === null ? 0 : performance.now() - this.#reportedAt,
    };
  }

  start(): void {
    if (this.#process !== null) return;
    // A group of its own: Ctrl-C at the terminal reaches this command alone, which then ends its children in good order. If
    // this command dies, the channel closes, and a node that sees that stops.
    const child = spawn(process.execPath, this.#plan.arguments, {
      detached: true,
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      serialization: "json",
    });
    this.#process = child;
    this.#life = { phase: "running" };
    this.#report = null;
    this.#lastWords = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-MAX_LAST_WORDS);
    });
    child.on("message", (message) => this.#hear(message));
    this.#ended = new Promise((resolve) => {
      const over = (how: string): void => {
        // A start that failed may be told twice, and by then another one may run.
        if (this.#process === child) this.#die(how);
        resolve();
      };
      child.on("error", (error) => {
        // Also raised when a signal or a message could not be sent; only without a pid did the start itself fail.
        if (child.pid === undefined) over(error.message);
      });
      // "close" and not "exit": by then its last words have arrived.
      child.on("close", (code, signal) => over(signal ?? `exit ${code}`));
    });
    this.#events.changed();
  }

  /** SIGKILL, as a crash. False when there is nothing to kill. */
  kill(): boolean {
    return this.#process?.kill("SIGKILL") ?? false;
  }

  /** SIGSTOP. False when it does not run. */
  pause(): boolean {
    if (this.#life.phase !== "running" || this.#process?.kill("SIGSTOP") !== true) return false;
    this.#setLife({ phase: "paused" });
    return true;
  }

  /** SIGCONT. False when it is not paused. */
  resume(): boolean {
    if (this.#life.phase !== "paused" || this.#process?.kill("SIGCONT") !== true) return false;
    this.#reportedAt = performance.now();
    this.#setLife({ phase: "running" });
    return true;
  }

  /** Ends it in good order if it runs, and starts it. Asked for twice, it is done once. */
  restart(): Promise<void> {
    this.#restarting ??= this.end().then(() => {
      this.#restarting = null;
      this.start();
    });
    return this.#restarting;
  }

  /** SIGTERM, and SIGKILL after the grace; resolves when the process is gone. */
  async end(): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    this.#setLife({ phase: "stopping" });
    child.kill("SIGTERM");
    // A stopped process hears SIGTERM only when it goes on.
    child.kill("SIGCONT");
    const timer = setTimeout(() => child.kill("SIGKILL"), this.#graceMs);
    await this.#ended;
    clearTimeout(timer);
  }

  #hear(message: unknown): void {
    const report = parseReport(message);
    if (report?.type === "status") {
      this.#report = report;
      this.#reportedAt = performance.now();
      this.everReported = true;
      this.#events.changed();
    } else if (report !== null) {
      this.#events.said(this.#plan.name, report);
    }
  }

  #die(how: string): void {
    const asAsked = this.#life.phase === "stopping" && how === GOOD_ORDER;
    this.#process = null;
    this.#setLife(asAsked ? { phase: "stopped" } : { phase: "dead", how, reason: lastSentence(this.#lastWords) });
  }

  #setLife(life: Life): void {
    this.#life = life;
    this.#events.changed();
  }
}

/** The last line that says something, without the name of the program before it. */
export function lastSentence(text: string): string | null {
  const line = text.trimEnd().split("\n").at(-1)?.trim() ?? "";
  return line === "" ? null : line.replace(/^quorate: /, "");
}
