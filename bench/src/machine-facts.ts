/** What a reader needs to know of the machine to make sense of the numbers. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem, type } from "node:os";

export interface MachineFacts {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly fileSystem: string;
  readonly node: string;
  /** Tasks that wanted a core in the minute before the run; much above 0 means that the machine was not quiet. */
  readonly loadBefore: number;
  /** The first line of `--version`; null where the program is not installed. */
  readonly etcd: string | null;
  readonly h2load: string | null;
  readonly startedAt: string;
}

export function machineFacts(fileSystem: string): MachineFacts {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? "unknown",
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    fileSystem,
    node: process.version,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    etcd: versionOf("etcd"),
    h2load: versionOf("h2load"),
    startedAt: new Date().toISOString(),
  };
}

function versionOf(program: string): string | null {
  try {
    return execFileSync(program, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split("\n")[0] ?? "";
  } catch {
    return null;
  }
}
