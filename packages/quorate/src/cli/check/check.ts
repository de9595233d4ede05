/**
 * `quorate check`: whether a recorded history is linearizable. The exit code is the verdict: 0 it is, 1 it is not, 2 that can't be
 * said, because the budget ran out or because the history can't be read. Nothing else ever ends with 0 or 1.
 */
import {
  type CheckResult,
  checkHistory,
  describeOperation,
  explain,
  explainHtml,
  HistoryError,
  type LegalPrefix,
  type Operation,
  parseHistory,
} from "@quorate/raft/check";
import { CommandFailure, type ExitCode, usage } from "../failure.js";
import { nameOf, readHistoryText, type StandardInput, writePage } from "./input.js";
import type { CheckSettings } from "./settings.js";

export interface CheckTerminal {
  readonly print: (line: string) => void;
  readonly standardInput: StandardInput;
  /** A clock that does not go back. */
  readonly nowMs: () => number;
}

const EXIT_CODES = { linearizable: 0, not: 1, unknown: 2 } as const;

export async function checkCommand(settings: CheckSettings, terminal: CheckTerminal): Promise<ExitCode> {
  try {
    return await check(settings, terminal);
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    // A mistake of ours is not a verdict: it must not end with 1.
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    throw new CommandFailure(`check came to no verdict, by a mistake of its own: ${what}`, 2, error);
  }
}

async function check(settings: CheckSettings, terminal: CheckTerminal): Promise<ExitCode> {
  const { history, html, json } = settings;
  const operations = read(await readHistoryText(history, terminal.standardInput), settings);
  const begin = terminal.nowMs();
  const result = judge(operations, settings, () => terminal.nowMs() - begin > settings.maxSeconds * 1000);
  const seconds = (terminal.nowMs() - begin) / 1000;
  if (json) terminal.print(JSON.stringify(asData(result, seconds)));
  else terminal.print(`${explain(result)}\n${adviceOf(result, settings)}checked in ${seconds.toFixed(2)} s`);
  if (html !== null) {
    writePage(html, explainHtml(result, { title: nameOf(history) }));
    if (!json) terminal.print(`explained in ${html}`);
  }
  return EXIT_CODES[result.verdict];
}

function read(text: string, { history, reading }: CheckSettings): readonly Operation[] {
  const operations = inWords(history, () => parseHistory(text, reading));
  if (operations.length === 0) throw usage(`${nameOf(history)} holds no operations: there is nothing to check`);
  return operations;
}

function judge(operations: readonly Operation[], settings: CheckSettings, expired: () => boolean): CheckResult<unknown> {
  const { history, model, maxMemoryMb } = settings;
  const budget = { maxSteps: Number.MAX_SAFE_INTEGER, maxMemoBytes: maxMemoryMb * 2 ** 20, expired };
  return inWords(history, () => checkHistory(operations, model, budget));
}

function inWords<Result>(history: string, run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (error instanceof HistoryError) throw usage(`${nameOf(history)}: ${error.message}`);
    throw error;
  }
}

function adviceOf(result: CheckResult<unknown>, { maxSeconds, maxMemoryMb }: CheckSettings): string {
  if (result.verdict !== "unknown") return "";
  const option = result.reason === "memory" ? `--max-memory-mb ${maxMemoryMb}` : `--max-seconds ${maxSeconds}`;
  return `that is neither good nor bad: give more than ${option}, or record more keys with fewer operations each\n`;
}

/** Plain data for programs. Operations are in words: they are for people to look up. */
function asData(result: CheckResult<unknown>, seconds: number): Readonly<Record<string, unknown>> {
  const operations = result.groups.reduce((sum, group) => sum + group.operations, 0);
  const common = {
    verdict: result.verdict,
    model: result.model,
    operations,
    groups: result.groups.length,
    steps: result.steps,
    seconds,
  };
  if (result.verdict === "linearizable") return common;
  if (result.verdict === "unknown") {
    const undecided = result.groups.filter(({ verdict }) => verdict === "undecided").map(({ key }) => key);
    return { ...common, reason: result.reason, undecided };
  }
  const { key, operations: members, prefixes } = result.failure;
  return { ...common, failure: { key, operations: members.length, prefixes: prefixes.map(prefixAsData) } };
}

function prefixAsData({ operations, stateText, trail, stuck, open }: LegalPrefix<unknown>): Readonly<Record<string, unknown>> {
  return {
    length: operations.length,
    state: stateText,
    trail: trail.map((step) => ({ operation: describeOperation(step.operation), state: step.stateText })),
    stuck: stuck.map(describeOperation),
    open: open.map(describeOperation),
  };
}
