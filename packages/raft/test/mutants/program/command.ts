/**
 * Commands with a deadline, each in a process group of its own, so that nothing it started outlives it: neither after the
 * deadline nor when this program is ended.
 */
import { type ChildProcess, spawn } from "node:child_process";

export interface Finished {
  readonly code: number | null;
  /** The deadline passed first: it hung. */
  readonly late: boolean;
  /** Standard output and error, as they came; the last of it. */
  readonly output: string;
}

const KEPT_CHARACTERS = 256 * 1024;
const running = new Set<ChildProcess>();

export function runCommand(
  command: readonly string[],
  { cwd, env, deadlineMs }: { readonly cwd: string; readonly env: Readonly<Record<string, string>>; readonly deadlineMs: number },
): Promise<Finished> {
  const [program, ...given] = command;
  return new Promise((resolve) => {
    const child = spawn(program ?? "", given, {
      cwd,
      env: { ...process.env, ...env },
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(child);
    let output = "";
    let late = false;
    const hear = (text: string): void => {
      output = (output + text).slice(-KEPT_CHARACTERS);
    };
    child.stdout.setEncoding("utf8").on("data", hear);
    child.stderr.setEncoding("utf8").on("data", hear);
    const timer = setTimeout(() => {
      late = true;
      endGroup(child);
    }, deadlineMs);
    const finish = (code: number | null): void => {
      clearTimeout(timer);
      // Whatever it left behind in its group.
      endGroup(child);
      running.delete(child);
      resolve({ code, late, output });
    };
    child.on("error", (error) => {
      hear(`${error.message}\n`);
      finish(null);
    });
    child.on("close", finish);
  });
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group is gone.
  }
}

/** Ends everything that still runs. */
export function endCommands(): void {
  for (const child of running) endGroup(child);
}
