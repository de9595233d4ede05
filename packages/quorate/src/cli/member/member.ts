/**
 * `quorate member`: shows the members of a running cluster and changes them. It stays until the whole change is made, over
 * changes of the leader and lost connections: it looks again, and either follows what is under way or asks once more. What
 * is refused only for the moment is asked again until its time is up.
 */
import type { ChangeProgress, WantedMemberChange } from "../../services/members/protocol.js";
import { CommandFailure, type ExitCode } from "../failure.js";
import { askForChange, type ChangeEnd, type Found, findMembers } from "./node-client.js";
import type { MemberSettings } from "./settings.js";
import { isDone, renderDone, renderMembers, renderProgress, stageOf } from "./view.js";

export interface MemberHost {
  readonly print: (line: string) => void;
  /** Over the line that is there; null: no terminal. */
  readonly redraw: ((line: string) => void) | null;
  readonly nowMs: () => number;
}

const LOOK_TIMEOUT_MS = 3000;
const PAUSE_MS = 200;
/** Refused for the moment only. */
const TRANSIENT: ReadonlySet<string> = new Set(["termNotCommitted", "changePending", "transferring", "notLeader"]);

export async function memberCommand(settings: MemberSettings, host: MemberHost): Promise<ExitCode> {
  const { change } = settings;
  if (change !== null) return new ChangeRun(settings, change, host).run();
  const found = await findMembers(settings.endpoints, settings.timeoutMs);
  if ("why" in found) throw unanswered(found.why);
  for (const line of renderMembers(found.view)) host.print(line);
  return 0;
}

class ChangeRun {
  readonly #settings: MemberSettings;
  readonly #wanted: WantedMemberChange;
  readonly #host: MemberHost;
  readonly #ends: number;
  /** Endpoints that were given, and those that were learned: the given ones may be the members that leave. */
  readonly #endpoints: Set<string>;
  /** A node may have the change already. */
  #asked = false;
  #reached = false;
  /** Why it is not done yet, and whether it may go on without this command. */
  #why = "no answer yet";
  #goesOn = false;
  #stage = "";

  constructor(settings: MemberSettings, wanted: WantedMemberChange, host: MemberHost) {
    this.#settings = settings;
    this.#wanted = wanted;
    this.#host = host;
    this.#ends = host.nowMs() + settings.timeoutMs;
    this.#endpoints = new Set(settings.endpoints);
  }

  async run(): Promise<ExitCode> {
    for (;;) {
      const left = this.#ends - this.#host.nowMs();
      if (left <= 0) throw this.#tooLate();
      const found = await findMembers([...this.#endpoints], Math.min(left, LOOK_TIMEOUT_MS));
      if ("why" in found) {
        if (!this.#reached) throw unanswered(found.why);
        await this.#pause(`no node answers (${found.why})`);
        continue;
      }
      this.#learn(found);
      if (this.#asked && isDone(found.view, this.#wanted)) return this.#done(found);
      if (await this.#ask(found)) return this.#done(found);
    }
  }

  /** True: it is done. */
  async #ask({ endpoint, view }: Found): Promise<boolean> {
    // What was asked before, and is under way, is followed; asking twice would be refused.
    const follow = this.#asked && (view.configuration.staged !== null || view.configuration.joint);
    const change: WantedMemberChange = follow ? { kind: "wait" } : this.#wanted;
    const end = await askForChange(endpoint, change, Math.max(1, this.#ends - this.#host.nowMs()), (progress) =>
      this.#show(progress),
    );
    if ("done" in end) return !follow || this.#wanted.kind === "wait";
    await this.#goOn(end);
    return false;
  }

  async #goOn(end: Exclude<ChangeEnd, { readonly done: unknown }>): Promise<void> {
    if ("refused" in end) throw this.#failure(end.refused);
    if ("broken" in end) {
      this.#asked ||= end.arrived;
      return this.#pause(end.broken);
    }
    const { code, message, outcome, retry } = end.error;
    if (code === "timeout") throw this.#tooLate();
    if (outcome === "unknown" || code === "removed") this.#asked = true;
    else if (retry === "never" && !TRANSIENT.has(code)) throw this.#failure(refusalSentence(this.#wanted, code, message));
    return this.#pause(inCommandWords(message));
  }

  #learn({ endpoint, view }: Found): void {
    this.#reached = true;
    this.#endpoints.add(endpoint);
    for (const { clientUrls } of view.members)
      for (const url of clientUrls) if (url.startsWith("http://")) this.#endpoints.add(url.slice("http://".length));
  }

  async #pause(why: string): Promise<void> {
    if (why !== this.#why && this.#host.redraw === null) this.#host.print(`not yet: ${why}`);
    this.#host.redraw?.(`not yet: ${why}`);
    this.#why = why;
    this.#goesOn = this.#asked;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }

  #show(progress: ChangeProgress): void {
    const { redraw, print } = this.#host;
    // It has arrived, and is in the log of a leader, once somebody is waited for or both majorities decide.
    const { waitingFor, catchingUp, joint } = progress;
    if (this.#wanted.kind === "cancel") return;
    if (waitingFor.length + catchingUp.length > 0 || joint) {
      this.#why = renderProgress(progress, false);
      this.#goesOn = true;
    }
    if (redraw !== null) return redraw(renderProgress(progress, true));
    const stage = stageOf(progress);
    if (stage === this.#stage || (waitingFor.length + catchingUp.length === 0 && !joint)) return;
    this.#stage = stage;
    print(renderProgress(progress, false));
  }

  async #done(found: Found): Promise<ExitCode> {
    const newest = await findMembers([...this.#endpoints], LOOK_TIMEOUT_MS);
    this.#host.redraw?.("");
    this.#host.print(renderDone("why" in newest ? found.view : newest.view));
    return 0;
  }

  #failure(sentence: string): CommandFailure {
    this.#host.redraw?.("");
    return new CommandFailure(sentence);
  }

  #tooLate(): CommandFailure {
    const { timeoutMs } = this.#settings;
    return this.#failure(
      this.#goesOn
        ? `not done within ${timeoutMs} ms: ${this.#why}; the change may go on without this command: quorate member wait waits for it, quorate member cancel takes it back`
        : `not done within ${timeoutMs} ms: ${this.#why}`,
    );
  }
}

function unanswered(why: string): CommandFailure {
  return new CommandFailure(`no endpoint answers: ${why}; give others with --endpoints`);
}

/** What the node says of any change, made fit for the one that was asked for. */
function refusalSentence(wanted: WantedMemberChange, code: string, message: string): string {
  if (code === "unknownMember" && "names" in wanted)
    return `${oneOf(wanted.names)} is no member: quorate member list shows who is`;
  if (code === "unknownMember" && wanted.kind === "replace")
    return `${oneOf(wanted.remove)} is no member: quorate member list shows who is`;
  if (code === "nothingToDo" && wanted.kind === "cancel") return "no change is under way: there is nothing to take back";
  if (code === "nothingToDo" && wanted.kind === "promote") return `${oneOf(wanted.names)} is a voter already`;
  if (code === "nothingToDo" && wanted.kind === "demote") return `${oneOf(wanted.names)} is a learner already`;
  return inCommandWords(message);
}

function oneOf(names: readonly string[]): string {
  return names.length === 1 ? (names[0] ?? "") : `one of ${names.join(", ")}`;
}

/** The library names its own methods; at the command line they are commands. */
function inCommandWords(message: string): string {
  return message.replaceAll(/membership\.(wait|cancel)\b/g, "quorate member $1");
}
