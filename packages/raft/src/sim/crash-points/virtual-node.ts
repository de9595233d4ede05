/** A whole node on virtual ports and a given disk: for workloads that are crashed, and for looking at what a crash leaves. */
import type { NodeEvent, RaftNodeOptions } from "../../runtime/index.js";
import { checkNodeOptions, NodeHost } from "../../runtime/index.js";
import type { Disk, Transport } from "../../runtime/ports.js";
import { submitProposal } from "../../runtime/requests.js";
import type { SeededRandom } from "../random.js";
import type { Scheduler } from "../scheduler.js";
import { VirtualClock } from "../virtual-clock.js";
import type { VirtualNetwork } from "../virtual-network.js";
import { encodeOperation, RecordMachine } from "./record-machine.js";

const SECOND = 1_000_000;

export interface NodePlace {
  readonly name: string;
  /** Names of all founders; the address of each follows from its name. */
  readonly founders: readonly string[];
  readonly scheduler: Scheduler;
  readonly network: VirtualNetwork;
  readonly disk: Disk;
  readonly random: SeededRandom;
  readonly watch?: (transport: Transport) => Transport;
  readonly onEvent?: (event: NodeEvent) => void;
}

export interface VirtualNode {
  readonly host: NodeHost<RecordMachine>;
  readonly clock: VirtualClock;
  /** Null: not yet. */
  readonly opened: { error: Error | null } | null;
  readonly failure: string | null;
}

export function addressOf(name: string): string {
  return `${name}:7000`;
}

export function startNode({ name, founders, scheduler, network, disk, random, watch, onEvent }: NodePlace): VirtualNode {
  const clock = new VirtualClock(scheduler);
  const attached = network.attach(addressOf(name), clock);
  // So small that segments change, snapshots are taken and the log is compacted within a few dozen commands.
  const options: RaftNodeOptions<RecordMachine> = {
    id: name,
    cluster: founders.map((founder) => ({ name: founder, address: addressOf(founder) })),
    directory: name,
    stateMachine: () => new RecordMachine(),
    heartbeatIntervalMs: 20,
    electionTimeoutMs: 100,
    segmentBytes: 64 * 1024,
    snapshotLogEntries: 8,
    snapshotLogBytes: 1024,
    trailingEntries: 2,
  };
  const transport = watch?.(attached) ?? attached;
  const host = new NodeHost<RecordMachine>(checkNodeOptions(options), { clock, random, disk, transport }, options.stateMachine);
  const node: { -readonly [Key in keyof VirtualNode]: VirtualNode[Key] } = { host, clock, opened: null, failure: null };
  if (onEvent !== undefined) host.onEvent = onEvent;
  host.onFailure = (reason) => {
    node.failure = reason;
  };
  host.open((error) => {
    node.opened = { error };
  });
  return node;
}

/** Opens a node; throws if it can't be. */
export function openNode(place: NodePlace): VirtualNode {
  const node = startNode(place);
  place.scheduler.runUntil(() => node.opened !== null || node.failure !== null, 20 * SECOND);
  if (node.failure !== null) throw new Error(`it has failed: ${node.failure}`);
  if (node.opened === null) throw new Error("it does not open within 20 s");
  if (node.opened.error !== null) throw node.opened.error;
  // A crash is never taken for damage, which this node would have left behind.
  const damage = node.host.status().warnings.filter((warning) => /left behind|is lost/.test(warning));
  if (damage.length > 0) throw new Error(`damage is found where nothing but a crash was: ${damage.join("; ")}`);
  return node;
}

/** The command of an operation; its size follows from its number. */
export function commandOf(operation: number): Uint8Array {
  return encodeOperation(operation, (operation * 37) % (operation % 11 === 0 ? 7000 : 150));
}

export function proposeTo({ host }: VirtualNode, operation: number, acknowledged: () => void): void {
  submitProposal(host, commandOf(operation), 2000, (_error, result) => {
    if (result !== null) acknowledged();
  });
}
