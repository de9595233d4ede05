/**
 * @quorate/raft/sim: whole clusters in one thread. `simulate` runs a workload of yours through many seeds; `World` runs one
 * plan; the virtual ports can also be used alone.
 */
export type { ClientsOptions, Contact } from "./clients.js";
export type { Member, Note, Observer } from "./cluster.js";
export { Coverage, SITUATIONS, type Situation } from "./coverage.js";
export * from "./crash-points/index.js";
export { drawPlan, type Incident, type Plan, type PlanLimits } from "./plan.js";
export { type DiskTrouble, Platter, type PlatterOptions } from "./platter.js";
export { SeededRandom } from "./random.js";
export {
  parseTrace,
  printTrace,
  Reference,
  TRACE_HEADER,
  TracedRaft,
  TraceError,
  type TraceRecord,
} from "./reference/index.js";
export { forgetfulRegisters, Registers, registers } from "./registers.js";
export { Scheduler } from "./scheduler.js";
export { type Shrunk, shrink } from "./shrink.js";
export {
  explainFinding,
  runPlan,
  type SimulationFailure,
  type SimulationOptions,
  type SimulationResult,
  simulate,
  tellPlan,
} from "./simulate.js";
export { VirtualClock } from "./virtual-clock.js";
export {
  FAIR_WEATHER,
  type NetworkWeather,
  VirtualNetwork,
  type VirtualNetworkOptions,
  type WatchedTransport,
} from "./virtual-network.js";
export type { ClientOperation, ReadOperation, Workload, WriteOperation } from "./workload.js";
export { Finding, type RunReport, World, type WorldOptions } from "./world.js";
