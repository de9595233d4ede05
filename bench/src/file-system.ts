/** What the data directory lies on. A file system in memory syncs for nothing, so nothing measured on it would be true. */
import { mkdirSync, readFileSync, realpathSync, statfsSync } from "node:fs";
import { BenchFailure } from "./failure.js";

/** `f_type` of statfs(2), from linux/magic.h. */
const IN_MEMORY: ReadonlyMap<number, string> = new Map([
  [0x0102_1994, "tmpfs"],
  [0x8584_58f6, "ramfs"],
]);

/** Makes the directory if it is missing and tells its file system; throws if that one is in memory. */
export function checkDirectory(directory: string): string {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    throw new BenchFailure(`--dir ${directory} can't be made (${messageOf(error)}): name a directory on a disk you may write to`);
  }
  // Some kernels give the magic number as a negative 32-bit number.
  const inMemory = IN_MEMORY.get(statfsSync(directory).type >>> 0);
  if (inMemory !== undefined) {
    throw new BenchFailure(
      `--dir ${directory} lies on ${inMemory}, a file system in memory, where a sync costs nothing and keeps nothing: name a directory on a disk`,
    );
  }
  return mountOf(realpathSync(directory));
}

/** The type and device of the mount that holds `path`, like "ext4 on /dev/vda1". */
function mountOf(path: string): string {
  let best = "";
  let found = "unknown";
  for (const line of linesOf("/proc/self/mounts")) {
    const [device = "", point = "", type = ""] = line.split(" ");
    const holds = point === "/" || path === point || path.startsWith(`${point}/`);
    if (!holds || point.length < best.length) continue;
    best = point;
    found = `${type} on ${device}`;
  }
  return found;
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, "utf8").trim().split("\n");
  } catch {
    return [];
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
