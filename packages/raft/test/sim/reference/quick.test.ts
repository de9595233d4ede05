import { it } from "vitest";
import { Reference, type TraceRecord } from "../../../src/sim/reference/index.js";
import { RandomCluster } from "../../core/random-cluster.js";
it("quick", () => {
  const seeds = Number(process.env["SEEDS"] ?? 200);
  const reasons = new Map<string, string[]>();
  let records = 0;
  for (let seed = 1; seed <= seeds; seed += 1) {
    const reference = new Reference();
    const trace: TraceRecord[] = [];
    let said: string | null = null;
    let at = 0;
    const cluster = new RandomCluster(seed, (r) => { records += 1; trace.push(r); if (said === null) { said = reference.accept(r); at = trace.length - 1; } });
    cluster.run(2000);
    if (said !== null) {
      const key = (said as string).split(":")[0]!;
      const list = reasons.get(key) ?? [];
      list.push(`seed ${seed} at ${at}: ${said}`);
      reasons.set(key, list);
      if (process.env["SHOW"] === String(seed)) for (const r of trace.slice(Math.max(0, at - Number(process.env["BACK"] ?? 30)), at + 1)) console.log(JSON.stringify(r));
    }
  }
  console.log(records, "records");
  for (const [key, list] of reasons) console.log(key, list.length, "\n  ", list.slice(0, 4).join("\n   "));
});
