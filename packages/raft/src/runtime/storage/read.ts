/** Reading what must be there. */
import type { DiskFile } from "../ports.js";
import { call, type Task } from "../task.js";

/**
 * Bytes that the file's size says are there. A read that gives fewer is neither the end of the file nor damage (storage rule
 * WAL14): nothing is concluded from it, and nothing is cut.
 */
export function* readExactly(file: DiskFile, position: number, length: number): Task<Uint8Array> {
  const bytes = yield* call<Uint8Array>((done) => file.read(position, length, done));
  if (bytes.length !== length)
    throw new Error(
      `${file.path}: ${bytes.length} bytes were read at ${position} where ${length} must be; check the disk and start again`,
    );
  return bytes;
}
