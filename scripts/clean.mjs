// Removes what `npm run build` made.
import { rmSync } from "node:fs";

for (const folder of [
  "packages/raft",
  "packages/raft/test/proof/fixtures",
  "packages/raft/test/mutants/program",
  "packages/quorate",
  "bench",
  "examples",
]) {
  rmSync(new URL(`../${folder}/dist`, import.meta.url), { recursive: true, force: true });
}
rmSync(new URL("../node_modules/.cache/scripts.tsbuildinfo", import.meta.url), { force: true });
