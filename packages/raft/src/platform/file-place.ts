/** A file by its path, as the folder that holds it and its name there: what reads and writes single files works on a Disk too. */
import { basename, dirname, resolve } from "node:path";
import type { Disk } from "../runtime/ports.js";
import { createDisk } from "./disk.js";

export function placeOf(file: string): { readonly disk: Disk; readonly name: string } {
  const path = resolve(file);
  return { disk: createDisk(dirname(path)), name: basename(path) };
}
