/** CPU time that processes have used, from /proc (Linux); elsewhere it is not known. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Clock ticks of /proc a second; 100 on every common build of Linux. */
const ticksPerSecond = (() => {
  try {
    return Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" })) || 100;
  } catch {
    return 100;
  }
})();

/** User and system time of all threads of a process since its start, in seconds; NaN where it can't be read. */
export function cpuSecondsOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name, in brackets, may hold anything; the fields behind it are numbers. utime and stime are fields 14 and 15.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return Number.NaN;
  }
}
