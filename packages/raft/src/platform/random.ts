/** Real chance, from the system's generator, a block at a time. */
import { randomFillSync } from "node:crypto";
import type { Random } from "../runtime/ports.js";

export function createRandom(): Random {
  const block = new Uint32Array(256);
  let left = 0;
  return {
    nextUint32() {
      if (left === 0) {
        randomFillSync(block);
        left = block.length;
      }
      left -= 1;
      return block[left] ?? 0;
    },
  };
}
