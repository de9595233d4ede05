#!/usr/bin/env node
/** The `quorate` program: ties the commands to this process, its signals, its output and the channel to its parent. */
import { createInterface } from "node:readline/promises";
import { openServer } from "../services/index.js";
import { checkCommand } from "./check/check.js";
import { dev } from "./dev.js";
import { memberCommand } from "./member/member.js";
import { offlineCommand } from "./offline/run.js";
import { type Actions, run } from "./program.js";
import { serve } from "./serve.js";
import { simulateCommand } from "./simulate/simulate.js";
import { status } from "./status.js";

/** Resolves at the first signal to stop; a second one ends the process without waiting. */
function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => {
        if (asked) {
          process.stderr.write(`quorate: ended without waiting: a second ${signal}\n`);
          process.exit(1);
        }
        asked = true;
        resolve(signal);
      });
    }
  });
}

/** Resolves when the process that started this one, and holds a channel to it, is gone. */
function parentGone(): Promise<string> {
  return new Promise((resolve) => {
    if (process.channel !== undefined) process.once("disconnect", () => resolve("the process that started it is gone"));
  });
}

function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Over the line that is there; an empty one clears it. */
function redrawLine(line: string): void {
  process.stdout.write(`\r\x1b[K${line.slice(0, process.stdout.columns - 1)}`);
}

function printError(line: string): void {
  process.stderr.write(`${line}\n`);
}

const actions: Actions = {
  serve: (settings, jsonStatus) => {
    const stopRequested = Promise.race([stopSignal(), parentGone()]);
    return serve(settings, openServer, {
      print: jsonStatus ? printError : printLine,
      report: (report) => {
        // A channel that closes while something is under way is told by "disconnect"; the report itself may be lost.
        if (process.connected) process.send?.(report, undefined, undefined, () => {});
        if (jsonStatus) printLine(JSON.stringify(report));
      },
      stopRequested,
    });
  },
  dev: (plan) => dev(plan, { print: printLine, stopRequested: stopSignal() }),
  status: (endpoints, timeoutMs) => status(endpoints, timeoutMs, printLine),
  member: (settings) =>
    memberCommand(settings, {
      print: printLine,
      redraw: process.stdout.isTTY ? redrawLine : null,
      nowMs: () => performance.now(),
    }),
  simulate: (settings) =>
    simulateCommand(settings, {
      print: printLine,
      redraw: process.stdout.isTTY ? redrawLine : null,
      stopRequested: stopSignal(),
    }),
  // No signal is waited for: the search does not look up, and one ends it at once.
  check: (settings) => checkCommand(settings, { print: printLine, standardInput: process.stdin, nowMs: () => performance.now() }),
  // Nor here: each is done whole, or not at all when it is ended.
  offline: (command) => offlineCommand(command, { print: printLine, ask: process.stdin.isTTY ? ask : null }),
};

async function ask(question: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return await terminal.question(question);
  } finally {
    terminal.close();
  }
}

for (const stream of [process.stdout, process.stderr]) {
  // Whoever read this is gone (`quorate status | head -1`). A node goes on serving without a reader of its log.
  stream.on("error", () => {});
}

const exitCode = await run(process.argv.slice(2), actions, {
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
});
process.exit(exitCode);
