/**
 * A member of a cluster of three, with all that the others make it do to its disk: it votes, appends, cuts off what a later
 * leader replaces, is left behind and takes over snapshots, also over a log that went another way. Its disk is crashed, the other
 * two only give it its past.
 *
 * The promise is what left it in messages: terms, votes, acknowledged entries and installed snapshots. Opened alone, it must
 * honour them, and hold no entry that no leader ever made.
 */
import type { Entry, Index, Message, Term } from "../../core/index.js";
import { crc32c, memberName, type NodeEvent } from "../../runtime/index.js";
import type { Disk, Transport } from "../../runtime/ports.js";
import { decodePayload } from "../../runtime/wire/index.js";
import { SeededRandom } from "../random.js";
import { Scheduler } from "../scheduler.js";
import { VirtualNetwork } from "../virtual-network.js";
import { RecordingDisk } from "./recording-disk.js";
import type { CrashCase } from "./run.js";
import { addressOf, openNode, proposeTo, startNode, type VirtualNode } from "./virtual-node.js";

const SECOND = 1_000_000;
const FOUNDERS = ["a", "b", "c"];
/** The member whose disk is crashed. */
const SUBJECT = "b";

export interface MemberLedger {
  readonly boot: number;
  /** The highest term in a message that left. */
  readonly term: Term;
  readonly vote: { readonly term: Term; readonly candidate: string } | null;
  readonly acknowledged: { readonly index: Index; readonly term: Term };
}

export interface MemberFound {
  readonly boot: number;
  readonly term: Term;
  readonly vote: string | null;
  /** False: it was never founded, and waits for the others. */
  readonly takesPart: boolean;
  readonly snapshotIndex: Index;
  readonly lastIndex: Index;
  readonly termAt: (index: Index) => Term | null;
  readonly entries: readonly Entry[];
  /** What the snapshot and the commit index that it remembers gave. */
  readonly operations: readonly number[];
}

export interface MemberCaseOptions {
  readonly seed: number;
  readonly operations: number;
  /** The log's syncs take so much longer than those of snapshots. Default 1. */
  readonly slowLog?: number;
  readonly wrap?: (disk: Disk) => Disk;
}

export interface MemberCase extends CrashCase<MemberLedger, MemberFound> {
  /** Events that the member went through, by type. */
  readonly happened: ReadonlyMap<string, number>;
}

const NOTHING: MemberLedger = { boot: 0, term: 0, vote: null, acknowledged: { index: 0, term: 0 } };

export function memberCase(options: MemberCaseOptions): MemberCase {
  const past = new Past(options);
  past.run();
  return {
    name: `a member of three, seed ${options.seed}`,
    recording: past.recording,
    happened: past.happened,
    nothing: NOTHING,
    recover,
    judge: (found, ledger) => complain(found, ledger) ?? complainOfInventions(found, past),
    whileRecovering: (ledger) => ledger,
    // Alone it says nothing to anybody; but its boot was said, and its term does not go back.
    afterRecovery: (ledger, { boot, term }) => ({ ...ledger, boot, term: Math.max(term, ledger.term) }),
    unread: (path) => path.endsWith(".tmp"),
  };
}

/** Opens it alone, and lets it try for a while to be elected. */
function recover(disk: Disk): MemberFound {
  const scheduler = new Scheduler();
  const network = new VirtualNetwork({ scheduler, random: new SeededRandom(1, 9) });
  const node = openNode({ name: SUBJECT, founders: FOUNDERS, scheduler, network, disk, random: new SeededRandom(6, 10) });
  const { host } = node;
  const raft = host.running?.raft ?? null;
  const entries: Entry[] = [];
  const terms = new Map<Index, Term | null>();
  if (raft !== null) {
    for (let index = raft.logStart.index; index <= raft.lastLogIndex; index += 1) {
      terms.set(index, raft.termAt(index));
      const entry = raft.entryAt(index);
      if (entry !== null) entries.push(entry);
    }
  }
  const atOpen = {
    boot: host.status().boot,
    takesPart: raft !== null,
    term: raft?.currentTerm ?? 0,
    vote: raft?.votedFor ?? null,
    snapshotIndex: raft?.snapshot.lastIncludedIndex ?? 0,
    lastIndex: raft?.lastLogIndex ?? 0,
  };
  scheduler.runUntil(() => node.failure !== null, 400_000);
  if (node.failure !== null) throw new Error(`it has failed: ${node.failure}`);
  return {
    ...atOpen,
    termAt: (index) => terms.get(index) ?? null,
    entries,
    operations: host.running?.host.machine.operations ?? [],
  };
}

function complain(found: MemberFound, ledger: MemberLedger): string | null {
  if (found.boot <= ledger.boot) return `it starts as boot ${found.boot}, and boot ${ledger.boot} was said already`;
  if (!found.takesPart && ledger.term > 0) return `it took part in term ${ledger.term} and has forgotten that it was founded`;
  if (found.term < ledger.term) return `it comes back in term ${found.term}, and has sent messages of term ${ledger.term}`;
  const { vote } = ledger;
  const votedFor = found.vote === null ? null : memberName(found.vote);
  if (vote !== null && found.term === vote.term && votedFor !== vote.candidate)
    return `it voted for ${vote.candidate} in term ${vote.term}, and comes back with a vote for ${votedFor}`;
  const { index, term } = ledger.acknowledged;
  if (found.lastIndex < index) return `it acknowledged index ${index}, and its log ends at ${found.lastIndex}`;
  const there = found.termAt(index);
  if (there === null && index > found.snapshotIndex) return `it acknowledged index ${index}, and comes back without it`;
  if (there !== null && there !== term)
    return `it acknowledged index ${index} of term ${term}, and comes back with term ${there} there`;
  return null;
}

function complainOfInventions({ entries, operations }: MemberFound, past: Past): string | null {
  const strange = entries.find((entry) => past.made.get(`${entry.index}:${entry.term}`) !== digestOf(entry));
  if (strange !== undefined) return `entry ${strange.index} of term ${strange.term} is found, which no leader made`;
  const place = operations.findIndex((operation, at) => past.order[at] !== operation);
  return place === -1
    ? null
    : `operation ${operations[place]} is applied in place ${place}, the cluster has ${past.order[place]} there`;
}

function digestOf({ type, data }: Entry): string {
  return `${type} ${data.length} ${crc32c(data)}`;
}

/** What the three went through. */
class Past {
  readonly recording: RecordingDisk<MemberLedger>;
  readonly happened = new Map<string, number>();
  /** Every entry that ever stood in a log, by index and term. */
  readonly made = new Map<string, string>();
  /** The operations in the order of the cluster. */
  order: readonly number[] = [];
  readonly #options: MemberCaseOptions;
  readonly #scheduler = new Scheduler();
  readonly #random: SeededRandom;
  readonly #network: VirtualNetwork;
  readonly #disks = new Map<string, RecordingDisk<never>>();
  readonly #nodes = new Map<string, VirtualNode>();
  #ledger = NOTHING;
  #operation = 0;
  #lives = 0;

  constructor(options: MemberCaseOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed, 1);
    this.#network = new VirtualNetwork({ scheduler: this.#scheduler, random: new SeededRandom(options.seed, 3) });
    const latency = new SeededRandom(options.seed, 2);
    const pace = (operation: string, path: string, complete: () => void): void => {
      const isSync = operation === "sync" || operation === "syncDirectory";
      const factor = path.startsWith("log/") ? (options.slowLog ?? 1) : 1;
      this.#scheduler.schedule(isSync ? factor * latency.between(50, 1500) : latency.between(1, 60), complete);
    };
    this.recording = new RecordingDisk<MemberLedger>(undefined, pace);
    for (const name of FOUNDERS) if (name !== SUBJECT) this.#disks.set(name, new RecordingDisk<never>(undefined, pace));
  }

  run(): void {
    for (const name of FOUNDERS) this.#start(name);
    this.#untilLeader();
    // Each once, in the order of the list; then as chance draws them.
    const kinds: readonly (() => void)[] = [
      () => this.#leaveDown(false),
      () => this.#isolateAsLeader(),
      () => this.#leaveDown(true),
      () => this.#restart(SUBJECT),
      () => this.#leaveBehind(this.#random.chance(500)),
      () => this.#restart(this.#random.pick(FOUNDERS.filter((name) => name !== SUBJECT)) ?? "a"),
    ];
    for (let step = 0; step < kinds.length || this.recording.operations < this.#options.operations; step += 1) {
      this.#load(this.#random.between(2, 6));
      (kinds[step] ?? this.#random.pick(kinds))?.();
      this.#untilLeader();
    }
    this.#load(3);
    const longest = [...this.#nodes.values()].map((node) => node.host.running?.host.machine.operations ?? []);
    this.order = longest.reduce((best, each) => (each.length > best.length ? each : best), []);
  }

  #promise(change: Partial<MemberLedger>): void {
    this.#ledger = { ...this.#ledger, ...change };
    this.recording.promise(this.#ledger);
  }

  // ---- Time ----

  /** Steps, and looks at every log in between: an entry may be replaced soon after it was made. */
  #run(done: () => boolean, limit: number): boolean {
    const look = (): boolean => {
      for (const [name, { host, failure }] of this.#nodes) {
        if (failure !== null) throw new Error(`${name} has failed: ${failure}`);
        const raft = host.running?.raft;
        if (raft === undefined) continue;
        for (let index = raft.logStart.index + 1; index <= raft.lastLogIndex; index += 1) {
          const entry = raft.entryAt(index);
          if (entry !== null) this.made.set(`${index}:${entry.term}`, digestOf(entry));
        }
      }
      return done();
    };
    return this.#scheduler.runUntil(look, limit);
  }

  #pass(limit: number): void {
    this.#run(() => false, limit);
  }

  #leader(among: readonly string[] = FOUNDERS): string | null {
    return (
      among.find((name) => {
        const raft = this.#nodes.get(name)?.host.running?.raft;
        return raft?.role === "leader" && raft.commitIndex > 0 && raft.termAt(raft.commitIndex) === raft.currentTerm;
      }) ?? null
    );
  }

  #untilLeader(among: readonly string[] = FOUNDERS): string {
    if (!this.#run(() => this.#leader(among) !== null, 20 * SECOND)) throw new Error("no leader within 20 s");
    return this.#leader(among) ?? "";
  }

  // ---- What happens to them ----

  #load(count: number, to: string = this.#untilLeader()): void {
    const node = this.#nodes.get(to);
    if (node === undefined) return;
    for (let left = count; left > 0; left -= 1) {
      this.#operation += 1;
      proposeTo(node, this.#operation, () => undefined);
      this.#pass(this.#random.below(3000));
    }
    this.#pass(this.#random.below(20_000));
  }

  /** Nobody hears it, and it hears nobody. Returns how to mend that. */
  #cut(name: string): () => void {
    const mends = FOUNDERS.filter((other) => other !== name).flatMap((other) => [
      this.#network.cut(addressOf(name), addressOf(other)),
      this.#network.cut(addressOf(other), addressOf(name)),
    ]);
    return () => {
      for (const mend of mends) mend();
    };
  }

  /** It is cut off while the others write more than they keep; then it is sent a snapshot. */
  #leaveBehind(isKilled: boolean): void {
    const mend = this.#cut(SUBJECT);
    const others = FOUNDERS.filter((name) => name !== SUBJECT);
    this.#load(14, this.#untilLeader(others));
    mend();
    this.#takeOver(isKilled);
  }

  /** It is down while the others elect a leader and write more than they keep: the snapshot comes together with a new term. */
  #leaveDown(isKilled: boolean): void {
    const others = FOUNDERS.filter((name) => name !== SUBJECT);
    this.#kill(SUBJECT);
    const before = this.#untilLeader(others);
    this.#kill(before);
    this.#start(before);
    this.#load(14, this.#untilLeader(others));
    this.#start(SUBJECT);
    this.#takeOver(isKilled);
  }

  /** It may be killed when the snapshot has just got its name. */
  #takeOver(isKilled: boolean): void {
    const isNamed = (): boolean => {
      const last = this.recording.effects.at(-1);
      return last?.kind === "rename" && last.from.includes("/receiving-");
    };
    if (isKilled && this.#run(isNamed, SECOND)) {
      this.happened.set("killed while installing", (this.happened.get("killed while installing") ?? 0) + 1);
      this.#kill(SUBJECT);
      this.#start(SUBJECT);
    }
    this.#caughtUp();
  }

  /** It leads, is cut off with entries of its own that will never be committed, and comes back to a cluster that went on. */
  #isolateAsLeader(): void {
    for (let attempt = 0; attempt < 6 && this.#untilLeader() !== SUBJECT; attempt += 1) this.#restart(this.#untilLeader());
    if (this.#untilLeader() !== SUBJECT) return;
    const mend = this.#cut(SUBJECT);
    this.#load(this.#random.between(1, 4), SUBJECT);
    const others = FOUNDERS.filter((name) => name !== SUBJECT);
    this.#load(this.#random.chance(600) ? 12 : 2, this.#untilLeader(others));
    mend();
    this.#caughtUp();
  }

  #caughtUp(): void {
    const equal = (): boolean => {
      const applied = FOUNDERS.map((name) => this.#nodes.get(name)?.host.running?.raft.lastApplied ?? 0);
      return applied.every((index) => index === Math.max(...applied));
    };
    if (!this.#run(equal, 20 * SECOND)) throw new Error("they are not equal within 20 s");
  }

  #restart(name: string): void {
    this.#pass(this.#random.below(3000));
    this.#kill(name);
    this.#pass(this.#random.below(400_000));
    this.#start(name);
  }

  #kill(name: string): void {
    this.#nodes.get(name)?.clock.kill();
    this.#nodes.delete(name);
    this.#network.crash(addressOf(name));
    this.#mount(name);
  }

  #mount(name: string): Disk {
    const { wrap = (disk: Disk) => disk } = this.#options;
    return name === SUBJECT ? wrap(this.recording.mount()) : (this.#disks.get(name) ?? this.recording).mount();
  }

  #start(name: string): void {
    this.#lives += 1;
    const isSubject = name === SUBJECT;
    const node: VirtualNode = startNode({
      name,
      founders: FOUNDERS,
      scheduler: this.#scheduler,
      network: this.#network,
      disk: this.#mount(name),
      random: new SeededRandom(this.#options.seed, 1000 + this.#lives),
      ...(isSubject
        ? {
            watch: (transport: Transport) => this.#watch(transport, () => node),
            onEvent: (event: NodeEvent) => this.#event(node, event),
          }
        : {}),
    });
    this.#nodes.set(name, node);
    this.#run(() => node.opened !== null, 20 * SECOND);
    if (node.opened?.error != null) throw node.opened.error;
    if (isSubject) this.#promise({ boot: node.host.status().boot });
  }

  // ---- What the member promises ----

  #watch(transport: Transport, nodeNow: () => VirtualNode): Transport {
    return {
      ...transport,
      send: (peer, channel, payload) => {
        const sent = transport.send(peer, channel, payload);
        const decoded = decodePayload(payload);
        if (sent && decoded.ok && decoded.kind === "message") this.#left(peer, decoded.message, nodeNow());
        return sent;
      },
    };
  }

  #left(peer: string, message: Message, node: VirtualNode): void {
    if (message.term > this.#ledger.term) this.#promise({ term: message.term });
    const { term } = message;
    if (message.type === "RequestVote") this.#promise({ vote: { term, candidate: SUBJECT } });
    if (message.type === "RequestVoteResponse" && message.voteGranted) this.#promise({ vote: { term, candidate: peer } });
    if (message.type === "AppendEntriesResponse" && message.success) this.#acknowledged(message.matchIndex, node);
    if (message.type === "InstallSnapshotResponse" && message.status === "installed")
      this.#acknowledged(message.lastIncludedIndex, node);
  }

  #acknowledged(index: Index, node: VirtualNode): void {
    const term = node.host.running?.raft.termAt(index) ?? null;
    if (term !== null && index > this.#ledger.acknowledged.index) this.#promise({ acknowledged: { index, term } });
  }

  #event(node: VirtualNode, event: NodeEvent): void {
    const kept = event.type === "snapshotInstalled" && event.keptSuffix ? "snapshotInstalled, suffix kept" : event.type;
    this.happened.set(kept, (this.happened.get(kept) ?? 0) + 1);
    // A leader of a later term replaced what was acknowledged and never committed: that is not owed any more.
    if (event.type !== "logTruncated" || event.from > this.#ledger.acknowledged.index) return;
    const index = event.from - 1;
    this.#promise({ acknowledged: { index, term: node.host.running?.raft.termAt(index) ?? 0 } });
  }
}
