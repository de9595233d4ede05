/**
 * @quorate/raft: Raft consensus for a Node.js program.
 *
 * ```ts
 * const node = await openRaftNode({ id: "a", cluster, directory: "./data/a", stateMachine: () => new Counter() });
 * const { result } = await node.propose(command);
 * const value = await node.read((counter) => counter.value);
 * ```
 */
import { createClock, createDisk, createRandom, createTcpTransport, parseAddress } from "./platform/index.js";
import {
  createFace,
  openHost,
  type Ports,
  RaftError,
  type RaftNode,
  type RaftNodeOptions,
  type StateMachine,
} from "./runtime/index.js";

export type { Index, Micros, Role, Term } from "./core/index.js";
export {
  type BackupSummary,
  backUpDirectory,
  checkBackup,
  type DirectoryBackup,
  type Finding,
  inspectDirectory,
  planRecovery,
  type RecoveryMade,
  type RecoveryPlan,
  Refusal,
  type RestoreMade,
  recoverDirectory,
  restoreDirectory,
  type ScannedDirectory,
  writeBackupFile,
} from "./offline.js";
export {
  type AbortSignalLike,
  type ChangeOptions,
  type CommittedEntry,
  type ConfigurationStatus,
  type Consistency,
  type DurableStorage,
  type Founder,
  type KeptRecord,
  type LeaderHint,
  type MemberStatus,
  type Membership,
  type MembershipProgress,
  type MembershipResult,
  type NewMember,
  type NodeEvent,
  type NodeStatus,
  type OpenSessionOptions,
  type PeerStatus,
  type ProposeOptions,
  type ProposeResult,
  RaftError,
  type RaftErrorCode,
  type RaftNode,
  type RaftNodeOptions,
  type ReadOptions,
  type Session,
  type SessionStatus,
  type StateMachine,
} from "./runtime/index.js";

export interface OpenExtras {
  /** Puts something between the node and its ports: to watch what it does, or to make a port fail. */
  readonly wrapPorts?: (ports: Ports) => Ports;
}

/**
 * Opens a node: takes the data directory, recovers what it holds, listens, and joins its cluster in the background. The
 * promise resolves when the node listens; it may still wait for its founders or a leader (`status()` tells). Rejects with a
 * RaftError: `invalidArgument` for an option, `dataDirectory` for a directory that is locked, foreign, damaged or not
 * writable, `address` for an address that can't be listened on; then nothing stays open.
 */
export function openRaftNode<Machine extends StateMachine>(
  options: RaftNodeOptions<Machine>,
  extras: OpenExtras = {},
): Promise<RaftNode<Machine>> {
  const { wrapPorts } = extras;
  const makePorts = (): Ports => {
    const own = options.address ?? options.cluster.find((founder) => founder.name === options.id)?.address ?? "";
    const listen = parseAddress(options.listenAddress ?? own);
    if (listen === null)
      throw new RaftError("invalidArgument", `listenAddress is "${options.listenAddress ?? own}": write it as host:port`, {
        outcome: "not-executed",
        retry: "never",
      });
    const ports = {
      clock: createClock(),
      random: createRandom(),
      disk: createDisk(options.directory),
      transport: createTcpTransport({ listen }),
    };
    return wrapPorts === undefined ? ports : wrapPorts(ports);
  };
  return new Promise((opened, refused) => {
    openHost(options, makePorts, (error, node) => {
      if (error !== null || node === null) refused(error ?? new Error("the node could not be opened"));
      else opened(createFace(node));
    });
  });
}
