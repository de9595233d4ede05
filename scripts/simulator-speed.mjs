// How fast the simulator is, on one core: events a second of processor time in storms with all checks on, and how much faster
// than real time a quiet cluster of five runs. `node scripts/simulator-speed.mjs` after `npm run build`.
import { drawPlan, FAIR_WEATHER, registers, World } from "../packages/raft/dist/sim/index.js";

Error.stackTraceLimit = 0;

/** @param {readonly import("../packages/raft/dist/sim/index.js").Plan[]} plans */
function measure(plans) {
  const before = process.cpuUsage();
  let events = 0;
  let simulatedSeconds = 0;
  for (const plan of plans) {
    const report = new World({ plan, workload: registers }).run();
    events += report.events;
    simulatedSeconds += report.simulatedMicros / 1e6;
  }
  const used = process.cpuUsage(before);
  const seconds = (used.user + used.system) / 1e6;
  return { perSecond: Math.round(events / seconds), timesReal: Math.round(simulatedSeconds / seconds) };
}

const storms = Array.from({ length: 60 }, (_, seed) => drawPlan(seed + 1));
measure(storms.slice(0, 10));
const stormy = measure(storms);
console.log(`storms: ${stormy.perSecond} events a second of processor time, ${stormy.timesReal} × real time`);

const plan = drawPlan(1, { nodes: 5 });
const quiet = measure([
  {
    ...plan,
    options: { ...plan.options, electionTimeoutMs: 1000, heartbeatIntervalMs: 100 },
    weather: FAIR_WEATHER,
    drift: plan.drift.map(() => 0),
    clients: { ...plan.clients, count: 0 },
    stormMicros: 1800e6,
    stormEvents: Number.MAX_SAFE_INTEGER,
    incidents: [],
  },
]);
console.log(`a quiet cluster of five: ${quiet.perSecond} events a second of processor time, ${quiet.timesReal} × real time`);
