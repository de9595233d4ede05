import { mkdtempSync, rmSync } from "node:fs";
import { openCluster } from "./embedded/cluster.js";
import { checkDirectory } from "./file-system.js";

checkDirectory("bench-data");
const dir = mkdtempSync("bench-data/x-");
const cluster = await openCluster(dir, process.env["PROF"] ? ["--cpu-prof", "--cpu-prof-dir=/tmp/bench-prof"] : []);
for (const n of (process.env["N"] ?? "1,64,256,4096").split(",").map(Number))
  console.log(await cluster.load(n, { payloadBytes: 256, warmUpMs: 1000, measureMs: 2000 }));
await cluster.close();
rmSync(dir, { recursive: true });
