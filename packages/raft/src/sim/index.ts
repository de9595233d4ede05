/**
 * @quorate/raft/sim: whole clusters in one thread. `World` runs one from a seed; the virtual ports can also be used alone.
 */
export { Platter, type PlatterOptions } from "./platter.js";
export { SeededRandom } from "./random.js";
export { encodeOperation, operationOf, RecordMachine } from "./record-machine.js";
export { Referee } from "./referee.js";
export { Scheduler } from "./scheduler.js";
export { VirtualClock } from "./virtual-clock.js";
export { VirtualNetwork, type VirtualNetworkOptions } from "./virtual-network.js";
export { World, type WorldCounters, type WorldOptions } from "./world.js";
