/**
 * `quorate dev`: a whole cluster on this machine, one process for each node, to look at and to break. The data stays where
 * it is printed, so that the next run goes on with it.
 */
import { fileURLToPath } from "node:url";
import { HELP, parseDevCommand } from "./dev-commands.js";
import { checkPortsFree, type DevPlan, prepareDirectory, serveArguments } from "./dev-plan.js";
import type { RecentLine, ViewState } from "./dev-view.js";
import { CommandFailure, type ExitCode } from "./failure.js";
import type { EventLevel } from "./report.js";
import { openScreen, type Screen, type ScreenInput } from "./screen.js";
import { Supervisor } from "./supervisor.js";

/** What the process around it offers. */
export interface DevHost {
  readonly print: (line: string) => void;
  /** Resolves with the reason when all shall stop. */
  readonly stopRequested: Promise<string>;
}

const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));
const MAX_RECENT = 8;
/** The picture is looked at this often even when no child says anything: silence is news too. */
const LOOK_EVERY_MS = 500;

export async function dev(plan: DevPlan, host: DevHost, open: (input: ScreenInput) => Screen = openScreen): Promise<ExitCode> {
  await checkPortsFree(plan);
  prepareDirectory(plan);
  host.print(`quorate dev: the data is kept in ${plan.directory}; the next run goes on with it, removing it begins anew`);
  const cluster = new DevCluster(plan, open);
  const reason = await Promise.race([cluster.quit, host.stopRequested]);
  await cluster.stop(reason);
  const failure = cluster.failure;
  if (failure !== null) throw new CommandFailure(failure);
  host.print("quorate dev: all nodes stopped");
  return 0;
}

class DevCluster {
  /** Resolves when the reader asks for the end, or nothing is left to show. */
  readonly quit: Promise<string>;
  readonly #plan: DevPlan;
  readonly #screen: Screen;
  readonly #supervisor: Supervisor;
  readonly #timer: NodeJS.Timeout;
  readonly #recent: RecentLine[] = [];
  #quit: (reason: string) => void = () => {};
  #stopping = false;
  /** Set when no node could be started. */
  failure: string | null = null;

  constructor(plan: DevPlan, open: (input: ScreenInput) => Screen) {
    this.#plan = plan;
    this.quit = new Promise((resolve) => {
      this.#quit = resolve;
    });
    const children = plan.nodes.map((node) => ({
      name: node.name,
      clientAddress: node.clientAddress,
      arguments: [MAIN, ...serveArguments(plan, node)],
    }));
    this.#supervisor = new Supervisor(children, {
      changed: () => this.#changed(),
      said: (name, event) => this.#say({ source: "node", name, level: event.level, text: event.text }),
    });
    this.#screen = open({ line: (line) => this.#command(line), quit: () => this.#quit("asked to") });
    this.#timer = setInterval(() => this.#show(), LOOK_EVERY_MS);
    this.#supervisor.startAll();
  }

  async stop(reason: string): Promise<void> {
    this.#stopping = true;
    this.#answer("quorate dev", `stops all nodes: ${reason}`);
    await this.#supervisor.stopAll();
    clearInterval(this.#timer);
    this.#show();
    this.#screen.close();
  }

  #state(): ViewState {
    return { directory: this.#plan.directory, nodes: this.#supervisor.views(), recent: this.#recent };
  }

  #show(): void {
    this.#screen.update(this.#state());
  }

  #changed(): void {
    this.#show();
    if (!this.#stopping && this.#supervisor.allFailedToStart) {
      const reasons = this.#supervisor
        .views()
        .map(({ name, life }) => `${name}: ${life.phase === "dead" ? (life.reason ?? life.how) : life.phase}`);
      this.failure = `no node could be started: ${reasons.join("; ")}`;
      this.#quit("no node could be started");
    }
  }

  #answer(name: string, text: string, level: EventLevel = "info"): void {
    this.#say({ source: "command", name, level, text });
  }

  #say(line: RecentLine): void {
    this.#recent.push(line);
    if (this.#recent.length > MAX_RECENT) this.#recent.shift();
    this.#screen.say(line);
    this.#show();
  }

  #command(line: string): void {
    const command = parseDevCommand(
      line,
      this.#plan.nodes.map(({ name }) => name),
    );
    switch (command.kind) {
      case "nothing":
        return;
      case "quit":
        this.#quit("asked to");
        return;
      case "help":
        for (const text of HELP) this.#answer("help", text);
        return;
      case "unknown":
        this.#answer("quorate dev", command.message, "warning");
        return;
      case "act":
        this.#act(command.action, command.name);
    }
  }

  #act(action: "kill" | "restart" | "stop" | "cont", name: string): void {
    if (this.#stopping) return;
    const child = this.#supervisor.child(name);
    if (action === "restart") {
      void child.restart();
      this.#answer(name, "is started again");
      return;
    }
    const done = { kill: () => child.kill(), stop: () => child.pause(), cont: () => child.resume() }[action]();
    const told = { kill: ["is killed", "does not run"], stop: ["is frozen", "does not run"], cont: ["goes on", "is not frozen"] }[
      action
    ];
    this.#answer(name, (done ? told[0] : told[1]) ?? "", done ? "info" : "warning");
  }
}
