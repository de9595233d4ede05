/**
 * A node that is a cluster by itself, with everything that a node does to its disk: identity, log, snapshots, compaction,
 * and starts after closings and kills, also in the middle of a start.
 *
 * The promise: a boot that was said comes once, terms and the vote in the newest stay, what was durable is in the log or in
 * the snapshot, and every acknowledged operation is applied, in its order; nothing is applied twice or that nobody asked for.
 */
import type { Index, Term } from "../../core/index.js";
import { crc32c } from "../../runtime/index.js";
import type { Disk } from "../../runtime/ports.js";
import { SeededRandom } from "../random.js";
import { Scheduler } from "../scheduler.js";
import { VirtualNetwork } from "../virtual-network.js";
import { RecordingDisk } from "./recording-disk.js";
import type { CrashCase } from "./run.js";
import { commandOf, openNode, proposeTo, startNode, type VirtualNode } from "./virtual-node.js";

const SECOND = 1_000_000;
const NAME = "a";

export interface NodeLedger {
  /** The newest boot that was finished: the next one is higher. */
  readonly boot: number;
  readonly term: Term;
  readonly vote: string | null;
  readonly durable: { readonly index: Index; readonly term: Term };
  /** Operations in the order in which they were acknowledged: the first so many of a list that grows. */
  readonly acknowledged: readonly number[];
  readonly acknowledgedCount: number;
  /** Operations 1 to this were asked for. */
  readonly asked: number;
}

export interface NodeFound {
  readonly boot: number;
  /** As the node opened. */
  readonly term: Term;
  readonly vote: string | null;
  readonly snapshotIndex: Index;
  readonly lastIndex: Index;
  readonly termAt: (index: Index) => Term | null;
  /** Once it led and had applied its log. */
  readonly operations: readonly number[];
  readonly chain: number;
  readonly end: Pick<NodeLedger, "term" | "vote" | "durable">;
}

export interface NodeCaseOptions {
  readonly seed: number;
  readonly operations: number;
  readonly wrap?: (disk: Disk) => Disk;
}

const NOTHING: NodeLedger = {
  boot: 0,
  term: 0,
  vote: null,
  durable: { index: 0, term: 0 },
  acknowledged: [],
  acknowledgedCount: 0,
  asked: 0,
};

export function nodeCase(options: NodeCaseOptions): CrashCase<NodeLedger, NodeFound> {
  return {
    name: `a single node, seed ${options.seed}`,
    recording: record(options),
    nothing: NOTHING,
    recover,
    judge: complain,
    whileRecovering: (ledger) => ledger,
    afterRecovery: (ledger, { boot, operations, end }) => ({
      ...ledger,
      ...end,
      boot,
      acknowledged: operations,
      acknowledgedCount: operations.length,
    }),
    unread: (path) => path.endsWith(".tmp"),
  };
}

function recover(disk: Disk): NodeFound {
  const scheduler = new Scheduler();
  const network = new VirtualNetwork({ scheduler, random: new SeededRandom(1, 9) });
  const node = openNode({ name: NAME, founders: [NAME], scheduler, network, disk, random: new SeededRandom(5, 10) });
  const { host } = node;
  // The core of a directory that was never used starts a moment after the opening.
  scheduler.runUntil(() => host.running !== null, SECOND);
  const raft = host.running?.raft;
  if (raft === undefined) throw new Error("it does not take part");
  const { currentTerm, votedFor, lastLogIndex, snapshot } = raft;
  const termsThere = new Map<Index, Term | null>();
  for (let index = raft.logStart.index; index <= lastLogIndex; index += 1) termsThere.set(index, raft.termAt(index));
  const leads = (): boolean =>
    node.failure !== null ||
    (raft.role === "leader" && raft.lastApplied === raft.lastLogIndex && raft.lastLogTerm === raft.currentTerm);
  if (!scheduler.runUntil(leads, 20 * SECOND)) throw new Error("it does not become leader within 20 s");
  if (node.failure !== null) throw new Error(`it has failed: ${node.failure}`);
  const { machine } = host.running?.host ?? { machine: null };
  return {
    boot: host.status().boot,
    term: currentTerm,
    vote: votedFor,
    snapshotIndex: snapshot.lastIncludedIndex,
    lastIndex: lastLogIndex,
    termAt: (index) => termsThere.get(index) ?? null,
    operations: machine?.operations ?? [],
    chain: machine?.chain ?? 0,
    end: {
      term: raft.currentTerm,
      vote: raft.votedFor,
      durable: { index: raft.durableIndex, term: raft.termAt(raft.durableIndex) ?? 0 },
    },
  };
}

function complain(found: NodeFound, ledger: NodeLedger): string | null {
  if (found.boot <= ledger.boot) return `it starts as boot ${found.boot}, and boot ${ledger.boot} was there already`;
  if (found.term < ledger.term) return `it comes back in term ${found.term}, term ${ledger.term} was durable`;
  if (found.term === ledger.term && found.vote !== ledger.vote)
    return `it comes back with a vote for ${found.vote} in term ${found.term}, the durable one was for ${ledger.vote}`;
  const { index, term } = ledger.durable;
  if (found.lastIndex < index) return `its log ends at ${found.lastIndex}, entry ${index} was durable`;
  const there = found.termAt(index);
  if (there === null && index > found.snapshotIndex) return `entry ${index} was durable and is gone`;
  if (there !== null && there !== term) return `entry ${index} has term ${there}, the durable one had ${term}`;
  return complainOfOperations(found, ledger);
}

function complainOfOperations({ operations, chain }: NodeFound, ledger: NodeLedger): string | null {
  const place = new Map(operations.map((operation, at) => [operation, at]));
  if (place.size !== operations.length) return "an operation is applied twice";
  const unknown = operations.find((operation) => operation < 1 || operation > ledger.asked);
  if (unknown !== undefined) return `operation ${unknown} is applied, and nobody asked for it`;
  let before = -1;
  for (const operation of ledger.acknowledged.slice(0, ledger.acknowledgedCount)) {
    const at = place.get(operation);
    if (at === undefined) return `operation ${operation} was acknowledged and is lost`;
    if (at < before) return `operation ${operation} is applied in another order than it was acknowledged in`;
    before = at;
  }
  const expected = operations.reduce((sum, operation) => {
    const command = commandOf(operation);
    return crc32c(command, 0, command.length, sum);
  }, 0);
  return chain === expected ? null : "the state is not what the operations make";
}

// ---- The workload ----

function record({ seed, operations, wrap = (disk) => disk }: NodeCaseOptions): RecordingDisk<NodeLedger> {
  const scheduler = new Scheduler();
  const random = new SeededRandom(seed, 1);
  const latency = new SeededRandom(seed, 2);
  const recording = new RecordingDisk<NodeLedger>(undefined, (operation, _path, complete) => {
    const isSync = operation === "sync" || operation === "syncDirectory";
    scheduler.schedule(isSync ? latency.between(50, 2000) : latency.between(1, 60), complete);
  });
  const acknowledged: number[] = [];
  let ledger: NodeLedger = { ...NOTHING, acknowledged };
  const promise = (change: Partial<NodeLedger>): void => {
    ledger = { ...ledger, ...change };
    recording.promise(ledger);
  };
  let lives = 0;
  const start = (): VirtualNode => {
    lives += 1;
    const network = new VirtualNetwork({ scheduler, random: new SeededRandom(seed, 1000 + lives) });
    const node: VirtualNode = startNode({
      name: NAME,
      founders: [NAME],
      scheduler,
      network,
      disk: wrap(recording.mount()),
      random: new SeededRandom(seed, 2000 + lives),
      onEvent: (event) => {
        const raft = node.host.running?.raft;
        if (raft === undefined) return;
        // It counted its own vote, so term and vote are durable.
        if (event.type === "roleChanged" && event.role === "leader") promise({ term: raft.currentTerm, vote: raft.votedFor });
        if (event.type === "entriesDurable")
          promise({ durable: { index: event.durableIndex, term: raft.termAt(event.durableIndex) ?? 0 } });
      },
    });
    return node;
  };
  const opened = (node: VirtualNode): VirtualNode => {
    scheduler.runUntil(() => node.opened !== null || node.failure !== null, 20 * SECOND);
    if (node.failure !== null || node.opened?.error != null)
      throw node.opened?.error ?? new Error(node.failure ?? "it does not open");
    promise({ boot: node.host.status().boot });
    return node;
  };
  const propose = (node: VirtualNode): void => {
    const operation = ledger.asked + 1;
    promise({ asked: operation });
    proposeTo(node, operation, () => {
      acknowledged.push(operation);
      promise({ acknowledgedCount: acknowledged.length });
    });
  };
  const kill = (node: VirtualNode): void => {
    node.clock.kill();
    recording.mount();
  };

  let node = opened(start());
  while (recording.operations < operations) {
    for (let count = random.between(1, 4); count > 0; count -= 1) propose(node);
    scheduler.runUntil(() => node.failure !== null, random.below(30_000));
    if (node.failure !== null) throw new Error(node.failure);
    if (!random.chance(80)) continue;
    if (random.chance(300)) {
      let closed = false;
      node.host.close(() => {
        closed = true;
      });
      scheduler.runUntil(() => closed, 20 * SECOND);
    }
    kill(node);
    if (random.chance(400)) {
      const short = start();
      scheduler.runUntil(() => short.opened !== null, random.below(12_000));
      kill(short);
    }
    node = opened(start());
  }
  return recording;
}
