/**
 * Cores alone under a random, hostile world: messages are lost, doubled and late, batches become durable late, nodes crash
 * and lose what was not durable, logs are compacted and snapshots sent, disks lose entries. No disk format, no transport: this is the cheapest
 * tier that can refute the algorithm itself. After every step the rules of Figure 3 are checked over all nodes.
 */
import {
  type Entry,
  type HardState,
  type LogItem,
  type LogPosition,
  type MemberId,
  type MembershipChange,
  type Message,
  majority,
  NO_CONFIGURATION,
  type PersistBatch,
  Raft,
  type SnapshotMetadata,
} from "../../src/core/index.js";
import { TracedRaft, type TraceRecord } from "../../src/sim/reference/index.js";
import { configurationOf } from "./golden-cluster.js";

/** A small generator of random numbers (mulberry32): the same seed gives the same run. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

interface Disk {
  hardState: HardState;
  snapshot: SnapshotMetadata;
  logStart: LogPosition;
  entries: Entry[];
  /** What follows them since the disk lost something, if known; counts while hardState.recovering is set. */
  remaining: LogItem[] | null;
}

interface Node {
  readonly id: MemberId;
  raft: Raft;
  readonly disk: Disk;
  batches: PersistBatch[];
  down: boolean;
  /** Fingerprints of what this life applied, by index. */
  applied: Map<number, string>;
  /** Votes that left the node, by term: they must never differ over crashes. */
  readonly votes: Map<number, MemberId>;
  lives: number;
  /** What its disk held when it lost something, until it is durably repaired. */
  owed: Entry[][];
  /** The snapshot being received. */
  incoming: SnapshotMetadata | null;
  /** The configuration, as the events tell it: a turn may commit by one and end with the next. */
  inForce: InForce;
}

export interface Counters {
  elections: number;
  commits: number;
  crashes: number;
  truncations: number;
  snapshotsInstalled: number;
  readsConfirmed: number;
  /** Of the reads, those that were answered from a lease. */
  leaseReads: number;
  /** Members that campaigned because their leader told them to. */
  transfers: number;
  /** Configurations that a leader appended for a change that was asked for, and ones that were committed. */
  changes: number;
  configurationsCommitted: number;
  configurationsTruncated: number;
  damages: number;
  copied: number;
  discarded: number;
  led: number;
  /** The members have changed so that one that has lost entries is needed, and nobody can give them back: it may have to wait. */
  stuck: number;
  steps: number;
}

export interface RandomClusterOptions {
  /** Is told everything that happens, as a trace. */
  readonly record?: (record: TraceRecord) => void;
  /** Output is taken only now and then, so that several inputs share a turn. */
  readonly longTurns?: boolean;
  /** At times the nodes are split in two: leaders are lost with entries that nobody else has. */
  readonly partitions?: boolean;
  /** Nodes that crash are back soon, so that most of the time there is a quorum, and much happens. */
  readonly mostlyUp?: boolean;
  /** Nodes come back with lost entries, at most a minority at a time. */
  readonly damages?: boolean;
  /** What a node can't propose itself it hands to the leader. */
  readonly forwards?: boolean;
  /** Members come and go; three more nodes than the first configuration has stand by. */
  readonly membership?: boolean;
}

interface InForce {
  readonly index: number;
  readonly voters: readonly MemberId[];
  readonly votersOutgoing: readonly MemberId[];
}

function inForce({ configuration, configurationIndex }: Raft): InForce {
  return { index: configurationIndex, voters: configuration.voters, votersOutgoing: configuration.votersOutgoing };
}

const fingerprint = (entry: Entry): string => `${entry.term}:${entry.type}:${[...entry.data].join(".")}`;

export class RandomCluster {
  readonly counters: Counters = {
    elections: 0,
    commits: 0,
    crashes: 0,
    truncations: 0,
    snapshotsInstalled: 0,
    readsConfirmed: 0,
    leaseReads: 0,
    transfers: 0,
    changes: 0,
    configurationsCommitted: 0,
    configurationsTruncated: 0,
    damages: 0,
    copied: 0,
    discarded: 0,
    led: 0,
    stuck: 0,
    steps: 0,
  };
  readonly #random: () => number;
  readonly #nodes: Node[] = [];
  #flight: { from: MemberId; to: MemberId; message: Message }[] = [];
  #now = 0;
  #commands = 0;
  readonly #leaders = new Map<number, MemberId>();
  readonly #committed = new Map<number, string>();
  /** In which term an index was committed first. */
  readonly #committedIn = new Map<number, number>();
  #highestCommitted = 0;
  /** For each read: the highest index committed anywhere when it began. */
  readonly #reads = new Map<string, number>();
  #readId = 1;
  readonly #lossPerMille: number;
  readonly #size: number;
  readonly #snapshotsAt = new Map<string, SnapshotMetadata>();
  readonly #record: ((record: TraceRecord) => void) | null;
  #longTurns: boolean;
  readonly #forwards: boolean;
  readonly #partitions: boolean;
  readonly #mostlyUp: boolean;
  readonly #membership: boolean;
  readonly #damages: boolean;
  readonly #voters: readonly MemberId[];
  /** Those on one side; nothing passes between them and the others. */
  #apart: ReadonlySet<MemberId> = new Set();

  constructor(seed: number, options: RandomClusterOptions = {}) {
    this.#record = options.record ?? null;
    this.#longTurns = options.longTurns ?? false;
    this.#forwards = options.forwards ?? false;
    this.#partitions = options.partitions ?? false;
    this.#mostlyUp = options.mostlyUp ?? false;
    this.#membership = options.membership ?? false;
    this.#damages = options.damages ?? false;
    this.#random = randomOf(seed);
    this.#size = 1 + this.#below(5);
    this.#lossPerMille = this.#below(300);
    const ids = ["a", "b", "c", "d", "e"].slice(0, this.#size);
    const learners = this.#size > 3 && this.#below(2) === 0 ? ids.splice(-1) : [];
    const outgoing = ids.length > 3 && this.#below(3) === 0 ? ids.slice(0, 3) : [];
    const configuration = configurationOf(ids, learners, outgoing, seed % 2 === 0);
    this.#voters = outgoing.length > 0 ? outgoing : ids;
    const standby = this.#membership ? ["f", "g", "h"] : [];
    for (const id of [...ids, ...learners, ...standby]) {
      const known = standby.includes(id) ? NO_CONFIGURATION : configuration;
      const snapshot = { lastIncludedIndex: 0, lastIncludedTerm: 0, configuration: known, configurationIndex: 0 };
      const disk: Disk = {
        hardState: { currentTerm: 0, votedFor: null, commitIndex: 0 },
        snapshot,
        logStart: { index: 0, term: 0 },
        entries: [],
        remaining: null,
      };
      const raft = this.#start(id, disk, 1);
      this.#nodes.push({
        id,
        disk,
        raft,
        lives: 1,
        owed: [],
        batches: [],
        down: false,
        applied: new Map(),
        votes: new Map(),
        incoming: null,
        inForce: inForce(raft),
      });
    }
  }

  #below(limit: number): number {
    return this.#random() % limit;
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[this.#below(Math.max(1, from.length))];
  }

  #start(id: MemberId, disk: Disk, life: number): Raft {
    const recovering = { remaining: disk.remaining, firstRequestId: life * 1_000_000 + 1 };
    const start = {
      ...(disk.hardState.recovering === true ? { recovering } : {}),
      id,
      options: {
        maxEntriesPerMessage: 3,
        maxInflightMessages: 4,
        snapshotChunkBytes: 8,
        maxUnappliedEntries: 5,
        heartbeatIntervalMicros: 100_000,
      },
      random: this.#random,
      now: this.#now,
      hardState: disk.hardState,
      snapshot: disk.snapshot,
      logStart: disk.logStart,
      entries: disk.entries,
    };
    return this.#record === null ? new Raft(start) : new TracedRaft(start, this.#record);
  }

  #fail(what: string): never {
    throw new Error(`${what} (step ${this.counters.steps})`);
  }

  run(steps: number): void {
    for (let step = 0; step < steps; step += 1) {
      this.counters.steps += 1;
      this.#step();
      this.#check();
    }
    this.#heal();
  }

  #step(): void {
    if (this.#partitions && this.#below(150) === 0)
      this.#apart = new Set(this.#nodes.filter(() => this.#below(3) === 0).map((node) => node.id));
    const roll = this.#below(1000);
    const node = this.#pick(this.#nodes);
    if (node === undefined) return;
    if (roll < 550) this.#deliverOne(this.#below(10) < 7 ? 0 : this.#below(Math.max(1, this.#flight.length)));
    else if (roll < 750) this.#persist(node, 1 + this.#below(2));
    else if (roll < 850) this.#pass(this.#below(200_000));
    else if (roll < 930) this.#propose(node);
    else if (roll < 955) this.#read(node);
    else if (roll < 975) this.#crashOrRestart(node);
    else if (roll < 990) this.#snapshot(node);
    else if (roll < 993) this.#input(node, () => node.raft.peerUnreachable(this.#now, this.#pick(this.#nodes)?.id ?? ""));
    else if (this.#membership && roll < 998) this.#changeMembership();
    else this.#transfer(node);
  }

  /** Somebody asks a node that leads, or thinks that it does. */
  #changeMembership(): void {
    const leader = this.#pick(this.#nodes.filter((node) => !node.down && node.raft.role === "leader"));
    if (leader === undefined) return;
    const { members, voters, learners, staged } = leader.raft.configuration;
    const some = <T>(from: readonly T[]): T[] => from.filter(() => this.#below(3) === 0);
    const absent = this.#nodes.map(({ id }) => id).filter((id) => !members.some((member) => member.id === id));
    const records = some(absent).map((id) => ({ id, name: id, address: `${id}:1` }));
    const remove = some(members.map(({ id }) => id));
    const left = (from: readonly MemberId[]): MemberId[] => some(from).filter((id) => !remove.includes(id));
    const change: MembershipChange =
      staged !== null && this.#below(3) === 0
        ? { kind: "cancel" }
        : {
            kind: "members",
            add: records.slice(0, 2),
            addLearners: records.slice(2),
            promote: left(learners),
            demote: left(voters),
            remove,
          };
    this.#input(leader, () => {
      if (!("refusal" in leader.raft.changeMembership(this.#now, change))) this.counters.changes += 1;
    });
  }

  #pass(micros: number): void {
    this.#now += micros;
    for (const node of this.#nodes) this.#input(node, () => node.raft.advance(this.#now));
  }

  #deliverOne(at: number): void {
    const [message] = this.#flight.splice(at, 1);
    if (message === undefined) return this.#pass(20_000);
    if (this.#below(1000) < this.#lossPerMille) return;
    if (this.#apart.has(message.from) !== this.#apart.has(message.to)) return;
    if (this.#below(20) === 0) this.#flight.push(message);
    const target = this.#nodes.find((node) => node.id === message.to);
    if (target !== undefined) this.#input(target, () => target.raft.receive(this.#now, message.from, message.message));
  }

  #propose(node: Node): void {
    if (node.down) return;
    this.#commands += 1;
    const command = Uint8Array.from([this.#commands & 255, (this.#commands >> 8) & 255]);
    const type = this.#commands % 3 === 0 ? "session" : "command";
    this.#input(node, () => {
      const outcome = node.raft.propose(this.#now, [command], type);
      if (this.#forwards && "refusal" in outcome) node.raft.forward(this.#now, this.#commands, [command], type);
    });
  }

  #read(node: Node): void {
    if (node.down) return;
    const id = this.#readId;
    this.#readId += 1;
    this.#reads.set(`${node.id}/${id}`, this.#highestCommitted);
    this.#input(node, () => {
      const index = node.raft.readByLease(this.#now, id);
      if (index === null) {
        node.raft.read(this.#now, id);
        return;
      }
      this.counters.leaseReads += 1;
      this.#checkRead(node, id, index);
    });
  }

  /** Leadership shall move: to somebody, or to the best; asked of whoever leads, most often. */
  #transfer(node: Node): void {
    const leader = this.#nodes.find((each) => !each.down && each.raft.role === "leader") ?? node;
    const target = this.#below(3) === 0 ? null : (this.#pick(this.#nodes)?.id ?? null);
    this.#input(leader, () => leader.raft.transferLeadership(this.#now, target));
  }

  #crashOrRestart(node: Node): void {
    if (node.down) {
      node.down = false;
      node.applied = new Map();
      node.batches = [];
      node.incoming = null;
      node.lives += 1;
      if (this.#damages && this.#below(3) > 0) this.#damage(node);
      node.raft = this.#start(node.id, node.disk, node.lives);
      node.inForce = inForce(node.raft);
      this.#after(node);
    } else if (!this.#mostlyUp || this.#below(8) === 0) {
      this.counters.crashes += 1;
      // A crash in the middle of writing: the oldest batch may have made it, later ones may not.
      if (node.batches.length > 0 && this.#below(2) === 0) this.#writeBatch(node, node.batches[0]);
      node.batches = [];
      node.down = true;
      this.#record?.({ type: "stop", node: node.id });
      this.#flight = this.#flight.filter((each) => each.to !== node.id || this.#below(2) === 0);
    }
  }

  /** Its disk loses some entries, or all from one on without their names. */
  #damage(node: Node): void {
    const { disk } = node;
    const hurt = this.#nodes.filter(
      (each) => each === node || each.raft.recovering !== null || each.disk.hardState.recovering === true,
    );
    const last = disk.entries.at(-1)?.index ?? 0;
    const from = Math.max(disk.logStart.index, disk.snapshot.lastIncludedIndex) + 1;
    if (hurt.length > Math.floor((this.#voters.length - 1) / 2) || last < from) return;
    this.counters.damages += 1;
    const first = from + this.#below(last - from + 1);
    node.owed.push(disk.entries);
    const rest: readonly LogItem[] = [...disk.entries.filter(({ index }) => index >= first), ...(disk.remaining ?? [])];
    const isKnown = this.#below(4) > 0 && (disk.hardState.recovering !== true || disk.remaining !== null);
    disk.remaining = isKnown
      ? rest.map((item) =>
          item.index === first || this.#below(4) === 0 ? { index: item.index, term: item.term, type: "lost" } : item,
        )
      : null;
    disk.entries = disk.entries.filter(({ index }) => index < first);
    const commitIndex = Math.min(disk.hardState.commitIndex, first - 1);
    disk.hardState = { ...disk.hardState, commitIndex, recovering: true };
  }

  #snapshot(node: Node): void {
    if (node.down || node.raft.lastApplied <= node.raft.snapshot.lastIncludedIndex) return;
    const index = node.raft.lastApplied;
    const { configuration, index: configurationIndex } = node.raft.configurationAt(index);
    // It was not told yet who the members are there.
    if (configuration.voters.length === 0) return;
    const metadata = {
      lastIncludedIndex: index,
      lastIncludedTerm: node.raft.termAt(index) ?? 0,
      configuration,
      configurationIndex,
    };
    this.#snapshotsAt.set(`${index}/${metadata.lastIncludedTerm}`, metadata);
    node.disk.snapshot = metadata;
    this.#input(node, () => {
      node.raft.snapshotTaken(this.#now, metadata);
      node.raft.compact(this.#now, Math.max(0, index - this.#below(4)));
    });
    this.#reconcile(node);
  }

  /** What a log store does after a snapshot: the disk's log begins where the core's does. */
  #reconcile(node: Node): void {
    const { disk } = node;
    const start = node.raft.logStart;
    if (start.index <= disk.logStart.index) return;
    disk.entries = disk.entries.filter((entry) => entry.index > start.index);
    disk.logStart = start;
  }

  #input(node: Node, body: () => void): void {
    if (node.down) return;
    body();
    if (!this.#longTurns || this.#below(2) === 0) this.#after(node);
  }

  #after(node: Node): void {
    for (let rounds = 0; rounds < 1000; rounds += 1) {
      const output = node.raft.take();
      for (const event of output.events) {
        if (event.type === "invariantViolated") this.#fail(`${node.id}: ${event.invariant}: ${event.detail}`);
        if (event.type === "roleChanged" && event.role !== "follower" && node.raft.recovering !== null)
          this.#fail(`${node.id} is ${event.role}, and has lost entries`);
        if (event.type === "recovered") {
          this.counters[event.how] += 1;
        }
        if (event.type === "roleChanged" && event.role === "leader") this.#noteLeader(event.term, node.id);
        if (event.type === "logTruncated") this.counters.truncations += 1;
        if (event.type === "roleChanged" && event.reason.includes("hands over")) this.counters.transfers += 1;
        if (event.type === "configurationCommitted") this.counters.configurationsCommitted += 1;
        if (event.type === "configurationChanged" && event.index < node.inForce.index) this.counters.configurationsTruncated += 1;
        if (event.type === "configurationChanged") node.inForce = event;
        if (event.type === "commitAdvanced") this.#noteCommit(node, event.term);
      }
      if (output.persist !== null) node.batches.push(output.persist);
      for (const { to, message } of output.messages) this.#noteSent(node, to, message);
      for (const entry of output.committed) this.#apply(node, entry);
      const last = output.committed.at(-1);
      if (last !== undefined) node.raft.applied(this.#now, last.index);
      for (const read of output.readsReady) this.#checkRead(node, read.id, read.index);
      for (const request of output.snapshotReads) {
        const whole = 20;
        const size = Math.min(request.maxBytes, whole - request.offset);
        const known = this.#snapshotsAt.has(`${request.lastIncludedIndex}/${request.lastIncludedTerm}`);
        node.raft.snapshotChunkRead(
          this.#now,
          request.to,
          request.lastIncludedIndex,
          request.offset,
          known && size >= 0 ? new Uint8Array(size) : null,
          request.offset + size >= whole,
        );
      }
      for (const request of output.snapshotWrites) {
        const { lastIncludedIndex, lastIncludedTerm, offset, data, done } = request;
        if (!done) {
          node.raft.snapshotChunkWritten(this.#now, lastIncludedIndex, lastIncludedTerm, offset + data.length);
          continue;
        }
        const metadata = this.#snapshotsAt.get(`${lastIncludedIndex}/${lastIncludedTerm}`);
        if (metadata === undefined || this.#below(10) === 0) {
          node.raft.snapshotRejected(this.#now, lastIncludedIndex, lastIncludedTerm);
        } else {
          if (node.raft.snapshotInstalled(this.#now, metadata)) {
            this.counters.snapshotsInstalled += 1;
            // The snapshot's file is durable before the core hears of it; a crash now finds it on the disk.
            node.disk.snapshot = metadata;
            node.disk.remaining = null;
            const matching = node.disk.entries.find(
              (entry) => entry.index === lastIncludedIndex && entry.term === lastIncludedTerm,
            );
            node.disk.entries =
              matching === undefined ? [] : node.disk.entries.filter((entry) => entry.index > lastIncludedIndex);
            node.disk.logStart = { index: lastIncludedIndex, term: lastIncludedTerm };
            node.disk.hardState = {
              ...node.disk.hardState,
              commitIndex: Math.max(node.disk.hardState.commitIndex, lastIncludedIndex),
            };
          }
        }
      }
      if (!node.raft.hasOutput) return;
    }
    this.#fail(`${node.id} does not come to rest`);
  }

  #noteSent(node: Node, to: MemberId, message: Message): void {
    // The promise ledger: a vote or acknowledgement that leaves must be backed by what the disk holds now.
    if (message.term > node.disk.hardState.currentTerm)
      this.#fail(`${node.id} spoke in term ${message.term} before it was durable`);
    if (message.type === "RequestVoteResponse" && message.voteGranted) this.#noteVote(node, message.term, to);
    if (message.type === "RequestVote") this.#noteVote(node, message.term, node.id);
    if (message.type === "AppendEntriesResponse" && message.success && message.term === node.disk.hardState.currentTerm) {
      const last = node.disk.entries.at(-1)?.index ?? node.disk.logStart.index;
      if (message.matchIndex > last) this.#fail(`${node.id} acknowledged ${message.matchIndex}, its disk ends at ${last}`);
    }
    this.#flight.push({ from: node.id, to, message });
    if (this.#flight.length > 400) this.#flight.shift();
  }

  #noteVote(node: Node, term: number, candidate: MemberId): void {
    const before = node.votes.get(term);
    if (node.disk.hardState.recovering === true) this.#fail(`${node.id} votes in term ${term}, and has lost entries`);
    if (before !== undefined && before !== candidate)
      this.#fail(`${node.id} voted for ${before} and ${candidate} in term ${term}`);
    if (node.disk.hardState.currentTerm === term && node.disk.hardState.votedFor !== candidate)
      this.#fail(`${node.id}'s vote for ${candidate} in term ${term} is not on its disk`);
    node.votes.set(term, candidate);
  }

  #noteLeader(term: number, id: MemberId): void {
    this.counters.elections += 1;
    const known = this.#leaders.get(term);
    if (known !== undefined && known !== id) this.#fail(`election safety: ${known} and ${id} lead term ${term}`);
    this.#leaders.set(term, id);
    // Leader completeness (Figure 3): whatever was committed in earlier terms is in the log of every later leader.
    const leader = this.#nodes.find((node) => node.id === id);
    for (const [index, print] of this.#committed) {
      if ((this.#committedIn.get(index) ?? 0) >= term) continue;
      const entry = leader?.raft.entryAt(index);
      if (entry === undefined || (entry === null && index > (leader?.raft.logStart.index ?? 0)))
        this.#fail(`leader completeness: ${id} of term ${term} misses ${index}`);
      if (entry !== null && fingerprint(entry) !== print)
        this.#fail(`leader completeness: ${id} of term ${term} has another entry at ${index}`);
    }
  }

  /** A leader that moves its commit index: the entries are durable on a quorum, at this moment. */
  #noteCommit(node: Node, committedIn: number): void {
    if (node.raft.role === "leader") {
      const { voters, votersOutgoing } = node.inForce;
      const index = node.raft.commitIndex;
      const term = node.raft.termAt(index);
      for (const group of [voters, votersOutgoing]) {
        if (group.length === 0) continue;
        const holding = this.#nodes.filter(
          (each) =>
            group.includes(each.id) &&
            (each.disk.snapshot.lastIncludedIndex >= index ||
              // What its disk has lost it acknowledged all the same, and acts accordingly.
              [each.disk.entries, ...each.owed].some((entries) =>
                entries.some((entry) => entry.index === index && entry.term === term),
              )),
        );
        if (holding.length < majority(group.length))
          this.#fail(`${node.id} committed ${index} durable on ${holding.length} of ${group.length}`);
      }
      this.counters.commits += 1;
    }
    for (let index = node.raft.logStart.index + 1; index <= node.raft.commitIndex; index += 1) {
      const entry = node.raft.entryAt(index);
      if (entry === null) continue;
      const print = fingerprint(entry);
      const known = this.#committed.get(index);
      if (known !== undefined && known !== print)
        this.#fail(`state machine safety: ${node.id} committed another entry at ${index}`);
      if (known === undefined) this.#committedIn.set(index, committedIn);
      this.#committed.set(index, print);
      if (index > this.#highestCommitted) this.#highestCommitted = index;
    }
  }

  #apply(node: Node, entry: Entry): void {
    if (this.#committed.get(entry.index) !== fingerprint(entry))
      this.#fail(`${node.id} applies something else at ${entry.index}`);
    if (node.applied.has(entry.index)) this.#fail(`${node.id} applies ${entry.index} twice`);
    node.applied.set(entry.index, fingerprint(entry));
  }

  #checkRead(node: Node, id: number, index: number): void {
    this.counters.readsConfirmed += 1;
    const atLeast = this.#reads.get(`${node.id}/${id}`) ?? 0;
    if (index < atLeast)
      this.#fail(`stale read on ${node.id}: may be answered at ${index}, but ${atLeast} was committed before it began`);
  }

  #writeBatch(node: Node, batch: PersistBatch | undefined): void {
    if (batch === undefined) return;
    const { disk } = node;
    disk.hardState = batch.hardState;
    if (batch.hardState.recovering !== true) node.owed = [];
    if (batch.entries.length > 0 || batch.logStart !== null) disk.remaining = null;
    if (batch.logStart !== null && batch.logStart.position.index >= disk.logStart.index) {
      const { position, keepSuffix } = batch.logStart;
      disk.entries = keepSuffix ? disk.entries.filter((entry) => entry.index > position.index) : [];
      disk.logStart = position;
    }
    const entries = batch.entries.filter((entry) => entry.index > disk.logStart.index);
    const first = entries[0];
    if (first !== undefined) disk.entries = [...disk.entries.filter((entry) => entry.index < first.index), ...entries];
  }

  #persist(node: Node, count: number): void {
    if (node.down) return;
    for (const batch of node.batches.splice(0, count)) {
      this.#writeBatch(node, batch);
      this.#input(node, () => node.raft.persisted(this.#now, batch.ticket));
    }
  }

  /** Log matching (Figure 3), and that nothing goes back, over all nodes that are up. */
  #check(): void {
    if (this.counters.steps % 16 !== 0) return;
    const up = this.#nodes.filter((node) => !node.down);
    for (const one of up) {
      for (const other of up) {
        if (one.id >= other.id) continue;
        const from = Math.max(one.raft.logStart.index, other.raft.logStart.index) + 1;
        let agreed = false;
        for (let index = Math.min(one.raft.lastLogIndex, other.raft.lastLogIndex); index >= from; index -= 1) {
          const [a, b] = [one.raft.entryAt(index), other.raft.entryAt(index)];
          if (a === null || b === null) break;
          if (a.term === b.term) agreed = true;
          if (agreed && fingerprint(a) !== fingerprint(b))
            this.#fail(`log matching: ${one.id} and ${other.id} differ at ${index}`);
        }
      }
    }
  }

  /** By the newest configuration of some node, those that are whole are no quorum. */
  #isStuck(): boolean {
    const whole = this.#nodes.filter(({ raft }) => raft.recovering === null).map(({ id }) => id);
    return this.#nodes.some(({ raft }) =>
      [raft.configuration.voters, raft.configuration.votersOutgoing].some(
        (voters) => voters.length > 0 && voters.filter((id) => whole.includes(id)).length < majority(voters.length),
      ),
    );
  }

  /** Liveness: once faults stop there is a leader, a new command commits, and all are equal. */
  #heal(): void {
    this.#longTurns = false;
    this.#apart = new Set();
    for (const node of this.#nodes) if (node.down) this.#crashOrRestart(node);
    const before = this.#highestCommitted;
    for (let round = 0; round < 400; round += 1) {
      for (const node of this.#nodes) this.#persist(node, 1000);
      const wave = this.#flight;
      this.#flight = [];
      for (const { from, to, message } of wave) {
        const target = this.#nodes.find((node) => node.id === to);
        if (target !== undefined) this.#input(target, () => target.raft.receive(this.#now, from, message));
      }
      if (this.#flight.length > 0 || this.#nodes.some((node) => node.batches.length > 0)) continue;
      this.#pass(50_000);
      const leader = this.#nodes.find((node) => node.raft.role === "leader");
      if (leader === undefined) continue;
      if (this.#highestCommitted === before || leader.raft.commitIndex < leader.raft.lastLogIndex) {
        if (leader.raft.commitIndex === leader.raft.lastLogIndex) this.#propose(leader);
        continue;
      }
      const { configuration } = leader.raft;
      const isWell = ({ raft }: Node): boolean => raft.lastApplied === leader.raft.lastApplied && raft.recovering === null;
      if (configuration.votersOutgoing.length > 0 || configuration.staged !== null) continue;
      const members = this.#nodes.filter(({ id }) => configuration.members.some((member) => member.id === id));
      if (members.every((node) => isWell(node))) return;
    }
    if (this.#isStuck()) {
      this.counters.stuck += 1;
      return;
    }
    this.#fail(
      `no progress after the faults stopped: ${this.#nodes.map((node) => `${node.id} ${node.raft.role} term ${node.raft.currentTerm} commit ${node.raft.commitIndex} last ${node.raft.lastLogIndex}${node.raft.recovering === null ? "" : " recovering"}`).join("; ")}`,
    );
  }
}
