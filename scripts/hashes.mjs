// Prints a line for each of some simulated runs: seed, event hash, events. The same on every machine and every Node.js that
// runs the same build: `node scripts/hashes.mjs --seeds 20`.
import { parseArgs } from "node:util";
import { drawPlan, registers, World } from "../packages/raft/dist/sim/index.js";

const { values } = parseArgs({ options: { seeds: { type: "string", default: "20" } } });
for (let seed = 1; seed <= Number(values.seeds); seed += 1) {
  const { hash, events } = new World({ plan: drawPlan(seed), workload: registers }).run();
  console.log(`${seed} ${hash.toString(16)} ${events}`);
}
