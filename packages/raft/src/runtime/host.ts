/**
 * A node, callback style: everything between the four ports and the promise face (face.ts). It opens the data directory,
 * finds the other founders, builds the core from what the disk gave back, and ties core, log, snapshots and network
 * together. The simulator runs this very class on virtual ports.
 *
 * The order of a start is the order of trust: lock the directory, know who we are, read the log, load the newest snapshot
 * that is whole, and only then speak.
 */
import { type Configuration, type MemberRecord, NO_CONFIGURATION } from "../core/configuration.js";
import { decodeConfiguration } from "../core/configuration-codec.js";
import { InvariantViolation } from "../core/invariants.js";
import type { Message } from "../core/message.js";
import type { SnapshotMetadata } from "../core/output.js";
import { Raft, type RaftStart } from "../core/raft.js";
import type { Entry, LogPosition, MemberId } from "../core/types.js";
import { type AppliedBlock, AppliedChecksums, BLOCK_ENTRIES } from "./applied-checksums.js";
import { clusterIdOf, hexadecimal } from "./cluster-id.js";
import { Driver } from "./driver.js";
import { type CheckpointOwner, durableStorageOf, readCheckpoint } from "./durable.js";
import { type LeaderHint, RaftError } from "./errors.js";
import { EventStream } from "./event-stream.js";
import type { NodeBehind, RunningParts } from "./face.js";
import { Founding, type FoundingNotice, foundingConfiguration } from "./founding.js";
import { Guests, toDial } from "./guests.js";
import { handOver } from "./hand-over.js";
import type { RecoveredGroup } from "./log-store.js";
import { MachineHost } from "./machine-host.js";
import { memberId, memberName } from "./member-id.js";
import { isPlaceholder, MembershipWork } from "./membership.js";
import { GROUP, Network } from "./network.js";
import type { NodeEvent, NodeStatus, RaftNodeOptions } from "./node.js";
import { type BackupParts, type BackupSource, openBackup } from "./online-backup.js";
import { checkNodeOptions, type NodeOptions } from "./options.js";
import type { Channel, Clock, Hello, PeerAddress, PeerHello, Ports, TimerHandle, TransportHandler } from "./ports.js";
import { Proposals } from "./proposals.js";
import { Reads } from "./reads.js";
import { SessionTable } from "./sessions/table.js";
import { createSnapshotWork, metadataAt, type Restored, restoreFrom, type SnapshotWork } from "./snapshot-work.js";
import type { DurableStorage, StateMachine } from "./state-machine.js";
import { recoveringIn, statusOf } from "./status.js";
import { type NodeStorage, openStorage } from "./storage-binding.js";
import { call, runTask, type Task } from "./task.js";
import { Transfers } from "./transfers.js";
import {
  decodePayload,
  encodeAddress,
  encodeAppliedBlock,
  encodeFoundingNotice,
  encodeNotAMember,
  encodePeerLog,
  type PeerLog,
} from "./wire/index.js";

/** Numbers of requests never repeat: each start has so many of its own, and so many starts fit into a safe integer. */
const REQUESTS_A_BOOT = 2 ** 32;
const BOOTS = 2 ** 20;

/** A guest is kept for so many election timeouts after it was last heard. */
const GUEST_TIMEOUTS = 20;
/** How long a node that was removed stays, so that its last words arrive. */
const LAST_WORDS_HEARTBEATS = 3;
/** Events after which others are to be reached than before. */
const REACHES_OTHERS: ReadonlySet<NodeEvent["type"]> = new Set([
  "configurationChanged",
  "configurationCommitted",
  "farewellEnded",
  "roleChanged",
]);
/** Events after which a change of the members may be done, or its next step due. */
const CONCERNS_MEMBERS: ReadonlySet<NodeEvent["type"]> = new Set([...REACHES_OTHERS, "leaderChanged", "catchUpRound"]);

/** Opens a node. `opened` is called once: with the node, or with the reason why it can't be. */
export function openHost<Machine extends StateMachine>(
  given: RaftNodeOptions<Machine>,
  makePorts: (options: NodeOptions) => Ports,
  opened: (error: Error | null, node: NodeHost<Machine> | null) => void,
): void {
  let node: NodeHost<Machine>;
  try {
    const options = checkNodeOptions(given);
    node = new NodeHost(options, makePorts(options), given.stateMachine);
  } catch (error) {
    opened(error instanceof Error ? error : new Error(String(error)), null);
    return;
  }
  node.open((error) => opened(error, error === null ? node : null));
}

/** What the directory gave back, until the core begins. */
interface PendingStart<Machine> {
  readonly machine: Machine;
  readonly sessions: SessionTable;
  /** What the machine stands for; null: nothing. */
  readonly snapshot: SnapshotMetadata | null;
  readonly recovered: RecoveredGroup;
}

export class NodeHost<Machine extends StateMachine> implements NodeBehind<Machine>, TransportHandler {
  readonly options: NodeOptions;
  readonly proposals = new Proposals();
  readonly reads = new Reads();
  readonly transfers = new Transfers();
  readonly events = new EventStream();
  readonly whenStopped = new Set<() => void>();
  running: RunningParts<Machine> | null = null;
  failure: string | null = null;

  readonly #ports: Ports;
  readonly #newMachine: () => Machine;
  readonly #newRaft: (start: RaftStart) => Raft;
  readonly #network: Network;
  readonly #clusterId: Uint8Array;
  #state: NodeStatus["state"] = "founding";
  #storage: NodeStorage | null = null;
  #founding: Founding | null = null;
  #snapshots: SnapshotWork | null = null;
  /** The machine's own storage, if it has one. */
  #durable: DurableStorage | null = null;
  readonly #guests: Guests;
  #opened: ((error: Error | null) => void) | null = null;
  #listening = false;
  #transportStarted = false;
  #membership: MembershipWork | null = null;
  /** Those that are dialled because the configuration says so, and where. */
  #reached: ReadonlyMap<MemberId, string> = new Map();
  #guestTimer: TimerHandle | null = null;
  /** What peers said of themselves before this node took part, by name. */
  readonly #earlyNotes = new Map<string, { readonly from: MemberId; readonly note: PeerLog }>();
  /** Who was at the other end of a connection that was lost, until it is known whether there is another. By name. */
  readonly #lost = new Map<string, MemberId>();
  /** The latest life of each peer that has shaken hands, by name. */
  readonly #boots = new Map<string, { readonly member: MemberId; readonly boot: number }>();
  readonly #senders = new WeakMap<Hello, MemberId>();
  /** Where those who talk to us say that they are reached. */
  readonly #addresses = new WeakMap<Hello, string>();
  /** The core was started in this life; notices may say that this node takes part. */
  #takesPart = false;
  /** A listener that sees every event as it happens, for tools that run in the same thread. */
  onEvent: ((event: NodeEvent) => void) | null = null;
  onFailure: ((reason: string) => void) | null = null;

  /** `newRaft`: for tools that watch the core itself; the core must be one all the same. */
  constructor(
    options: NodeOptions,
    ports: Ports,
    newMachine: () => Machine,
    newRaft: (start: RaftStart) => Raft = (start) => new Raft(start),
  ) {
    this.#newRaft = newRaft;
    this.options = options;
    this.#ports = ports;
    this.#newMachine = newMachine;
    this.#network = new Network(ports.transport, options.id);
    this.#guests = new Guests(GUEST_TIMEOUTS * options.electionTimeoutMs * 1000);
    this.#clusterId = clusterIdOf(
      options.cluster.map((founder) => founder.name),
      options.clusterToken,
      options.leases,
    );
  }

  get clock(): Clock {
    return this.#ports.clock;
  }

  get state(): NodeStatus["state"] {
    const raft = this.running?.raft;
    if (this.#state !== "running" || raft === undefined) return this.#state;
    return raft.configuration.members.some(({ id }) => id === raft.id) ? "running" : "joining";
  }

  // ---- Starting ----

  open(done: (error: Error | null) => void): void {
    this.#opened = done;
    runTask(
      () => this.#openDirectory(),
      (error, found) => {
        if (error !== null || found === null)
          return this.#openFailed(error ?? new Error("the data directory could not be opened"));
        try {
          this.#directoryOpened(found);
        } catch (thrown) {
          this.#openFailed(asContradiction(thrown, this.#ports.disk.location));
        }
      },
    );
  }

  *#openDirectory(): Task<PendingStart<Machine>> {
    const { disk, clock, random, transport } = this.#ports;
    const machine = this.#newMachine();
    const durable = durableStorageOf(machine);
    this.#durable = durable;
    const storage = yield* openStorage({
      disk,
      clock,
      random,
      clusterId: this.#clusterId,
      name: this.options.id,
      segmentBytes: this.options.segmentBytes,
      openMachine: (owner) => (durable === null ? null : readCheckpoint(owner, durable.open())),
      syncMachine: (done) => (durable === null ? done(null) : durable.sync(done)),
      beforeChanges: (done) => {
        if (transport.check === undefined) done(null);
        else transport.check((error) => done(error === null ? null : asAddressError(error)));
      },
      beyondRepair: ({ recovered, snapshot, founders, incarnation }) => {
        const { id, cluster } = this.options;
        const records = new Founding(cluster, { name: id, incarnation }, founders).records;
        const known = newestConfiguration(recovered, snapshot?.configuration ?? foundingConfiguration(cluster, records));
        if (known === null || known.voters.length === 0) return "nothing that is left says who the other members are";
        const others = known.members.some((member) => member.id !== memberId(id, incarnation));
        return others ? null : "there is no other member who could hold what is lost";
      },
    });
    this.#storage = storage;
    const { snapshot, recovered, checkpoint } = storage;
    // What a durable machine holds by itself is as good as a snapshot, and often newer.
    if (checkpoint !== null && checkpoint.metadata.lastIncludedIndex >= (snapshot?.lastIncludedIndex ?? 0))
      return { machine, sessions: checkpoint.sessions, snapshot: checkpoint.metadata, recovered };
    if (snapshot === null) return { machine, sessions: new SessionTable(), snapshot, recovered };
    const position = { index: snapshot.lastIncludedIndex, term: snapshot.lastIncludedTerm };
    const { sessions, lastPiece } = yield* call<Restored>((done) =>
      restoreFrom(storage.files, position, machine, (body) => clock.setImmediate(body), done),
    );
    if (durable === null) {
      lastPiece();
    } else {
      const context = { owner: this.#ownerOf(storage), metadataAt: () => snapshot };
      const before = new MachineHost(machine, checkpoint?.sessions ?? new SessionTable(), context);
      before.replaceDurable(snapshot, sessions, lastPiece);
    }
    return { machine, sessions, snapshot, recovered };
  }

  #ownerOf({ incarnation }: NodeStorage): CheckpointOwner {
    return { clusterId: this.#clusterId, incarnation };
  }

  /** The directory is ours and readable; nothing was said to anybody yet. */
  #directoryOpened(found: PendingStart<Machine>): void {
    const { recovered } = found;
    const storage = this.#storage;
    if (storage === null) return;
    this.#pendingStart = found;
    const { cluster, id } = this.options;
    const hasLived = recovered.hardState.currentTerm > 0 || found.snapshot !== null;
    // A founder with a log has heard all the others; one that has a log and no record of them was taken in later.
    const joins = this.options.join || (hasLived && cluster.length > 1 && storage.founders.length === 0);
    if (!joins) this.#founding = new Founding(cluster, { name: id, incarnation: storage.incarnation }, storage.founders);
    const founding =
      this.#founding === null ? NO_CONFIGURATION : foundingConfiguration(cluster, this.#founding.records, this.options.leases);
    if (hasLived || joins) {
      const known = found.snapshot?.configuration ?? founding;
      if (known === null)
        return this.#openFailed(
          new RaftError(
            "dataDirectory",
            `${this.#ports.disk.location} holds a log but no complete list of founders: the directory is damaged; remove this member and add it again as a new one`,
            { outcome: "not-executed", retry: "never" },
          ),
        );
      this.#startCore(known);
    }
    this.#network.setPeers(this.#peers());
    this.#transportStarted = true;
    this.#ports.transport.start(this);
    // A transport that can't listen says so by `failed`, in this turn or a later one.
    this.#ports.clock.setImmediate(() => this.#considerFounding());
  }

  #pendingStart: PendingStart<Machine> | null = null;

  /** Whom this node keeps connections to: the members, and guests. */
  #peers(): readonly PeerAddress[] {
    const members = this.running?.raft.reachable ?? this.options.cluster;
    return toDial(members, this.#guests, { name: this.options.id, address: this.options.address }, (name) =>
      this.#network.connectedAs(name),
    );
  }

  /** The transport listens: the node is open, although it may still wait for its founders. */
  listening(): void {
    this.#listening = true;
    const opened = this.#opened;
    this.#opened = null;
    opened?.(null);
  }

  #openFailed(error: Error): void {
    const opened = this.#opened;
    this.#opened = null;
    this.close(() => opened?.(asDataDirectoryError(error)));
  }

  /** Once every founder agrees: configuration 0 is in force, and the first founder campaigns at once. */
  #considerFounding(): void {
    const founding = this.#founding;
    if (founding === null || this.#state === "closed" || this.#state === "failed") return;
    if (!this.#takesPart && founding.isComplete) {
      const configuration = foundingConfiguration(this.options.cluster, founding.records, this.options.leases);
      if (configuration === null) return;
      this.#startCore(configuration);
      this.#publish({ type: "founded", voters: configuration.members.map((member) => member.name) });
      this.#notifyFounders();
    }
    const isFirst = this.options.cluster[0]?.name === this.options.id;
    if (isFirst && founding.everyoneFounded && this.running?.raft.currentTerm === 0) {
      this.running.driver.tell((raft, now) => raft.campaign(now));
    }
  }

  #startCore(founding: Configuration): void {
    const storage = this.#storage;
    const pending = this.#pendingStart;
    if (storage === null || pending === null || this.running !== null) return;
    this.#pendingStart = null;
    const id = memberId(this.options.id, storage.incarnation);
    const start = reconcile(pending.snapshot, pending.recovered, founding);
    const firstRequestId = (storage.boot % BOOTS) * REQUESTS_A_BOOT + 1;
    const { recovering } = pending.recovered;
    const raft = this.#newRaft({
      id,
      random: () => this.#ports.random.nextUint32(),
      now: this.clock.now(),
      options: {
        heartbeatIntervalMicros: this.options.heartbeatIntervalMs * 1000,
        electionTimeoutMicros: this.options.electionTimeoutMs * 1000,
        maxEntryBytes: this.options.maxEntryBytes,
        maxUncommittedBytes: Math.max(this.options.maxPendingBytes, this.options.maxEntryBytes),
        maxPendingReads: this.options.maxPendingReads,
        maxApplyLag: this.options.maxApplyLag,
        priority: this.options.priority,
        clockDriftPerMille: this.options.clockDriftPerMille,
      },
      ...start,
      ...(recovering === undefined ? {} : { recovering: { ...recovering, firstRequestId } }),
    });
    const host = new MachineHost(
      pending.machine,
      pending.sessions,
      this.#durable === null
        ? null
        : {
            owner: this.#ownerOf(storage),
            metadataAt: (index, term) => metadataAt(raft, index, term),
          },
    );
    const parts = { raft, clock: this.clock, host, proposals: this.proposals };
    const publish = (event: NodeEvent): void => this.#publish(event);
    const fail = (reason: string): void => this.fail(reason);
    const driver = new Driver<Machine>({
      ...parts,
      reads: this.reads,
      transfers: this.transfers,
      send: (to, message) => this.#network.send(to, message),
      flush: () => this.#network.flush(),
      takeReadActivity: () => this.#ports.transport.takeReadActivity(),
      onApplied: (entries) => this.#applied(entries),
      publish,
      fail,
      changeAnswered: (response) => this.#membership?.answered(response),
      changeNotSent: (requestId) => this.#membership?.notSent(requestId),
      firstRequestId,
      heartbeatMicros: this.options.heartbeatIntervalMs * 1000,
      electionMicros: this.options.electionTimeoutMs * 1000,
    });
    const log = storage.openLog(driver);
    const { snapshotLogBytes, snapshotLogEntries, trailingEntries, maxTrailingBytes } = this.options;
    this.#snapshots = createSnapshotWork<Machine>({
      ...parts,
      driver,
      files: storage.files,
      log,
      newMachine: this.#newMachine,
      publish,
      fail,
      snapshotLogBytes,
      snapshotLogEntries,
      trailingEntries,
      maxTrailingBytes,
    });
    this.running = { raft, driver, host };
    this.#membership = new MembershipWork({
      raft,
      clock: this.clock,
      tell: (input) => driver.tell(input),
      newRequestId: () => driver.newRequestId(),
      leadership: () => driver.leadership,
      leader: () => this.leader(),
      warn: (message) => this.warning(message),
      connectedAs: ({ name, address }) => this.#network.connectedAs(name) ?? this.#network.connectedAs(address),
    });
    this.#takesPart = true;
    this.#state = "running";
    this.#reached = addressesOf(raft);
    driver.start(log, this.#snapshots);
    for (const { from, note } of this.#earlyNotes.values()) this.#tellPeerLog(this.running, from, note);
    this.#earlyNotes.clear();
    for (const { name } of raft.reachable)
      if (name !== this.options.id && this.#network.isConnected(name)) this.#sendPeerLog(name, this.running);
  }

  // ---- The network ----

  hello(): Hello {
    const storage = this.#storage;
    return {
      clusterId: this.#clusterId,
      name: this.options.id,
      incarnation: storage?.incarnation ?? 0n,
      boot: storage?.boot ?? 0,
      founders: this.#founding?.records ?? [],
    };
  }

  greet(hello: Hello): string | null {
    if (hexadecimal(hello.clusterId) !== hexadecimal(this.#clusterId)) {
      return `${hello.name} belongs to another cluster (${hexadecimal(hello.clusterId)}, this is ${hexadecimal(this.#clusterId)}): the founders, the token or the use of leases differ; check --cluster, --cluster-token and --leases on both`;
    }
    if (hello.name === this.options.id)
      return `a peer calls itself ${hello.name}, which is this node's name: check that each node has its own name and address`;
    this.#heardBoot(hello);
    return null;
  }

  /** Whoever is no member, or is elsewhere, is dialled back, so that it can be answered (guests.ts). */
  #welcome(hello: Hello): void {
    const address = this.#addresses.get(hello);
    if (this.running === null || address === undefined || this.#reached.get(this.#senderOf(hello)) === address) return;
    if (!this.#guests.introduced(hello, address, this.clock.now())) return;
    this.clock.setImmediate(() => this.#reach());
    this.#pruneGuestsLater();
  }

  #pruneGuestsLater(): void {
    if (this.#guestTimer !== null) return;
    this.#guestTimer = this.clock.setTimer(this.clock.now() + GUEST_TIMEOUTS * this.options.electionTimeoutMs * 1000, () => {
      this.#guestTimer = null;
      if (this.#guests.prune(this.clock.now())) this.#reach();
      if (this.#guests.size > 0) this.#pruneGuestsLater();
    });
  }

  #reach(): void {
    if (this.#state !== "running" || this.running === null) return;
    this.#reached = addressesOf(this.running.raft);
    this.#network.setPeers(this.#peers());
  }

  opened(peer: string, channel: Channel, hello: PeerHello): void {
    const member = this.#network.opened(peer, channel, hello);
    if (channel !== "main") return;
    if (hello.version >= 2) this.#network.sendPayload(peer, encodeAddress(this.options.address));
    this.#lost.delete(peer);
    this.#publish({ type: "peerConnected", name: peer, boot: hello.boot });
    this.#heardFounder(hello);
    this.#sendNotice(peer);
    const { running } = this;
    if (running !== null) {
      this.#sendPeerLog(peer, running);
      this.#tellStranger(peer, member);
      running.driver.connected(member);
      this.#membership?.consider();
    }
    this.#network.flush();
  }

  /** It may have been removed while it was away, or by a leader that left as well. */
  #tellStranger(peer: string, member: MemberId): void {
    const { raft } = this.running ?? {};
    if (raft === undefined || this.#network.connectedAs(peer) !== member) return;
    const { configuration, index } = raft.configurationAt(raft.commitIndex);
    // One that was added by its name or address, and is not known by its id yet, is still to be taken in.
    const isListed = ({ id, name }: MemberRecord): boolean =>
      id === member || (isPlaceholder(id) && this.#network.connectedAs(name) === member);
    if (configuration.voters.length === 0 || configuration.members.some(isListed)) return;
    if (this.#network.speaks(peer, 2)) this.#network.sendPayload(peer, encodeNotAMember(GROUP, index));
  }

  /** A configuration that is committed, and as new as any that this node knows, does not list it. */
  #toldNotAMember(configurationIndex: number): void {
    const raft = this.running?.raft;
    if (raft !== undefined && configurationIndex >= raft.configurationIndex && raft.wasMember) this.#leave(configurationIndex);
  }

  closed(peer: string, channel: Channel, reason: string, refused: boolean): void {
    const member = this.#network.closed(peer, channel);
    if (member === null) {
      if (refused && channel === "main") this.#refused(peer);
      return;
    }
    if (channel === "main") this.#lost.set(peer, member);
    if (channel !== "main") return this.running?.driver.tell((raft, now) => raft.peerUnreachable(now, member));
    this.#publish({ type: "peerDisconnected", name: peer, reason });
    this.running?.driver.disconnected(member);
    // It may be reached where it said that it is.
    if (this.#guests.has(member)) this.clock.setImmediate(() => this.#reach());
  }

  /** A connection that was lost can't be had again: said once, for a member that was there. */
  #refused(peer: string): void {
    const member = this.#lost.get(peer);
    if (member === undefined) return;
    this.#lost.delete(peer);
    this.running?.driver.tell((raft, now) => raft.peerRefused(now, member));
  }

  /** Whoever shakes hands in a later life than before has lost what it was. */
  #heardBoot({ name, incarnation, boot }: Hello): void {
    if (!this.#peers().some((peer) => peer.name === name)) return;
    const member = memberId(name, incarnation);
    const known = this.#boots.get(name);
    if (known !== undefined && known.member === member && boot <= known.boot) return;
    this.#boots.set(name, { member, boot });
    if (known?.member === member) this.running?.driver.tell((raft, now) => raft.peerRestarted(now, member));
  }

  received(hello: PeerHello, _channel: Channel, payload: Uint8Array): void {
    const decoded = decodePayload(payload, hello.version);
    if (!decoded.ok) {
      this.warning(`${hello.name} sent a message that can't be read (${decoded.reason}); it is ignored`);
      return;
    }
    const from = this.#senderOf(hello);
    const address = this.#reached.get(from);
    if (address === undefined || address !== (this.#addresses.get(hello) ?? address)) {
      this.#welcome(hello);
      this.#guests.heard(hello.name, this.clock.now());
    }
    switch (decoded.kind) {
      case "message":
        if (decoded.group !== GROUP) break;
        this.#receivedMessage(from, decoded.message);
        if (decoded.message.type === "RequestPreVote" && !this.#reached.has(from)) this.#tellStranger(hello.name, from);
        break;
      case "peerLog":
        if (decoded.group !== GROUP) break;
        this.#receivedPeerLog(from, decoded.peerLog);
        this.#membership?.heardPast(from, decoded.peerLog.wasMember);
        break;
      case "address":
        this.#addresses.set(hello, decoded.address);
        this.#welcome(hello);
        break;
      case "notAMember":
        if (decoded.group === GROUP) this.#toldNotAMember(decoded.configurationIndex);
        break;
      case "appliedBlock":
        if (decoded.group === GROUP) this.#compare(hello.name, decoded.block);
        break;
      case "founding":
        this.#heardFounder(hello);
        this.#founding?.noticed(hello.name, decoded.notice);
        this.#considerFounding();
        break;
    }
  }

  /** The same hello comes with every payload of a connection. */
  #senderOf(hello: Hello): MemberId {
    const known = this.#senders.get(hello);
    if (known !== undefined) return known;
    const member = memberId(hello.name, hello.incarnation);
    this.#senders.set(hello, member);
    return member;
  }

  #receivedMessage(from: string, message: Message): void {
    this.running?.driver.received(from, message);
  }

  #receivedPeerLog(from: MemberId, note: PeerLog): void {
    const { running } = this;
    if (running !== null) return this.#tellPeerLog(running, from, note);
    // Said by a founder that was ready before this node.
    const name = memberName(from);
    if (this.options.cluster.some((founder) => founder.name === name)) this.#earlyNotes.set(name, { from, note });
  }

  #tellPeerLog({ driver }: RunningParts<Machine>, from: MemberId, { lastIndex, recovering, priority }: PeerLog): void {
    driver.tell((raft, now) => raft.peerLog(now, from, lastIndex, recovering, priority));
  }

  #sendPeerLog(peer: string, { raft }: RunningParts<Machine>): void {
    const peerLog = {
      lastIndex: raft.durableIndex,
      lastTerm: raft.termAt(raft.durableIndex) ?? 0,
      recovering: raft.recovering !== null,
      priority: this.options.priority,
      wasMember: raft.wasCommittedMember,
    };
    this.#network.sendPayload(peer, encodePeerLog(GROUP, peerLog, this.#network.versionOf(peer)));
  }

  warning(message: string): void {
    this.#publish({ type: "warning", message });
  }

  failed(error: Error): void {
    if (this.#opened !== null) this.#openFailed(asAddressError(error));
    else this.fail(error.message);
  }

  // ---- What was applied ----

  readonly #checksums = new AppliedChecksums();
  /** Followers of which it was said that they differ. */
  readonly #differing = new Set<string>();

  #applied(entries: readonly Entry[]): void {
    const leader = this.leader();
    for (const block of this.#checksums.add(entries))
      if (leader !== null && leader.name !== this.options.id && this.#network.speaks(leader.name, 2))
        this.#network.sendPayload(leader.name, encodeAppliedBlock(GROUP, block));
  }

  #compare(name: string, block: AppliedBlock): void {
    if (this.running?.raft.role !== "leader" || this.#checksums.differs(block) !== true || this.#differing.has(name)) return;
    this.#differing.add(name);
    this.#publish({ type: "appliedDiffers", name, first: block.through - BLOCK_ENTRIES + 1, last: block.through });
  }

  // ---- Founding ----

  #heardFounder(hello: Hello): void {
    const founding = this.#founding;
    if (founding === null) return;
    const heard = founding.heard(hello.name, hello.incarnation);
    if (heard === "nothing") return;
    if (heard !== "record") return this.warning(heard.refused);
    // Durable before it is said to anybody: after a crash the same incarnation must be remembered.
    this.#storage?.recordFounder(hello.name, hello.incarnation, (error) => {
      if (error !== null) return this.fail(`a founder could not be recorded: ${error.message}`);
      founding.recorded(hello.name, hello.incarnation);
      this.#notifyFounders();
      this.#considerFounding();
    });
  }

  #notifyFounders(): void {
    for (const { name } of this.options.cluster)
      if (name !== this.options.id && this.#network.isConnected(name)) this.#sendNotice(name);
    this.#network.flush();
  }

  #sendNotice(name: string): void {
    const notice: FoundingNotice = { records: this.#founding?.records ?? [], founded: this.#takesPart };
    this.#network.sendPayload(name, encodeFoundingNotice(notice));
  }

  // ---- Looking, failing, closing ----

  openBackup(takenAt: string, opened: (error: Error | null, source: BackupSource | null) => void): void {
    const parts = (): BackupParts | null =>
      this.#storage === null || this.#snapshots === null
        ? null
        : { storage: this.#storage, snapshots: this.#snapshots, clusterId: this.#clusterId, name: this.options.id, takenAt };
    openBackup(this, parts, opened);
  }

  get membership(): MembershipWork | null {
    return this.#membership;
  }

  leader(): LeaderHint | null {
    const leaderId = this.running?.raft.leaderId ?? null;
    if (leaderId === null) return null;
    const member = this.running?.raft.configuration.members.find((each) => each.id === leaderId);
    return { name: member?.name ?? memberName(leaderId), address: member?.address ?? "" };
  }

  status(): NodeStatus {
    return statusOf({
      options: this.options,
      clusterId: this.#clusterId,
      storage: this.#storage,
      raft: this.running?.raft ?? null,
      state: this.state,
      failure: this.failure,
      leader: this.leader(),
      peers: this.#peers(),
      isConnected: (id, name) => (id !== null && this.#network.reaches(id)) || this.#network.isConnected(name),
      pendingProposals: this.proposals.count,
      pendingReads: this.reads.count,
      sessions: this.running?.host.sessions ?? null,
      now: this.clock.now(),
    });
  }

  #toldRecovery: string | null = null;

  /** A warning, when something new is known of it. */
  #tellRecovery(): void {
    const recovering = this.running === null ? null : recoveringIn(this.running.raft);
    if (recovering === null || recovering === this.#toldRecovery) return;
    this.#toldRecovery = recovering;
    this.warning(recovering);
  }

  #publish(event: NodeEvent): void {
    if (event.type === "recoveryWaits") this.#tellRecovery();
    if (REACHES_OTHERS.has(event.type)) this.#reach();
    this.onEvent?.(event);
    this.events.publish(event);
    if (event.type === "leaderChanged") this.#membership?.leaderLost();
    if (event.type === "memberRemoved") this.#leave(event.index);
    if (CONCERNS_MEMBERS.has(event.type)) this.#membership?.consider();
    if (event.type === "commitAdvanced") this.#membership?.committed();
  }

  /**
   * No member any more: says so, and stops, once what it still has to say has arrived. That takes a moment, because a connection
   * that is closed with something unread on it takes along what the other side has not read yet: the word to campaign was lost.
   */
  #leave(configurationIndex: number): void {
    this.clock.setImmediate(() => {
      if (this.#state !== "running") return;
      this.#membership?.left(configurationIndex);
      const { heartbeatIntervalMs } = this.options;
      this.clock.setTimer(this.clock.now() + LAST_WORDS_HEARTBEATS * heartbeatIntervalMs * 1000, () =>
        this.#left(configurationIndex),
      );
    });
  }

  #left(configurationIndex: number): void {
    if (this.#state !== "running") return;
    const reason = `this member was removed from the cluster (configuration ${configurationIndex}); its data directory can be deleted`;
    this.#state = "removed";
    this.failure = reason;
    this.#publish({ type: "removed", reason });
    this.#stop("removed", reason, () => this.onFailure?.(reason));
  }

  /** Something happened that this node can't go on from. It says nothing more to anybody, and settles whoever waits. */
  fail(reason: string): void {
    if (this.#state !== "founding" && this.#state !== "running") return;
    this.#state = "failed";
    this.failure = reason;
    this.#publish({ type: "failed", reason });
    this.#stop("failed", `the node has failed: ${reason}`, () => this.onFailure?.(reason));
  }

  stepDown(): void {
    this.running?.driver.tell((raft, now) => raft.role === "leader" && raft.stepDown(now, "this node was told to step down"));
  }

  /** Nothing new is taken from now on. A leader hands over before it goes, unless it is not to. */
  close(done: () => void, handsOver = false): void {
    if (this.#state === "closed") return done();
    const hasStopped = this.#state === "failed" || this.#state === "removed";
    this.#state = "closed";
    if (hasStopped) {
      this.events.close();
      return done();
    }
    const stop = (): void =>
      this.#stop("closed", "the node was closed", () => {
        this.events.close();
        done();
      });
    const { running, clock, proposals } = this;
    if (!handsOver || running === null) return stop();
    const { raft, driver } = running;
    handOver({ raft, driver, clock, proposals, electionMicros: this.options.electionTimeoutMs * 1000 }, stop);
  }

  /** User code, at a time when nothing can be made of its errors but a warning. */
  #closeMachine(): void {
    const durable = this.#durable;
    this.#durable = null;
    try {
      durable?.close();
    } catch (error) {
      this.warning(`the state machine did not close: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #stop(code: "closed" | "failed" | "removed", reason: string, done: () => void): void {
    this.running?.driver.stop();
    this.#snapshots?.stop();
    for (const stop of [...this.whenStopped]) stop();
    this.proposals.settleAll(code, reason);
    this.transfers.settleAll(code, reason);
    this.reads.settleAll(() => new RaftError(code, reason, { outcome: "not-executed", retry: "elsewhere" }));
    this.#membership?.settleAll(() => new RaftError(code, reason, { outcome: "unknown", retry: "elsewhere" }));
    if (this.#guestTimer !== null) this.clock.clearTimer(this.#guestTimer);
    const closeStorage = (): void => {
      this.#closeMachine();
      if (this.#storage === null) this.#ports.disk.unlock(() => done());
      else this.#storage.close(done);
    };
    if (this.#listening || this.#transportStarted) this.#ports.transport.close(closeStorage);
    else closeStorage();
  }
}

function addressesOf({ reachable }: Raft): ReadonlyMap<MemberId, string> {
  return new Map(reachable.map(({ id, address }) => [id, address]));
}

/** The newest configuration that can be read. */
function newestConfiguration({ entries }: RecoveredGroup, known: Configuration | null): Configuration | null {
  const newest = entries.findLast(({ type }) => type === "configuration");
  return newest === undefined ? known : decodeConfiguration(newest.data);
}

/** What the core starts from. A snapshot may be newer than the log (WAL11): then the log begins anew after it. */
function reconcile(
  snapshot: SnapshotMetadata | null,
  recovered: RecoveredGroup,
  founding: Configuration,
): {
  hardState: RecoveredGroup["hardState"];
  snapshot: SnapshotMetadata;
  logStart: LogPosition;
  entries: readonly Entry[];
  logReset: boolean;
} {
  const { start, entries } = recovered;
  if (snapshot === null) {
    return {
      hardState: recovered.hardState,
      snapshot: { lastIncludedIndex: 0, lastIncludedTerm: 0, configuration: founding, configurationIndex: 0 },
      logStart: start,
      entries,
      logReset: false,
    };
  }
  const at = snapshot.lastIncludedIndex;
  // A snapshot may be on the disk before the term that its leader brought. Then nothing of that term was ever said by this
  // node (votes and answers wait for the log), so it takes the term without a vote.
  const hardState =
    snapshot.lastIncludedTerm > recovered.hardState.currentTerm
      ? { ...recovered.hardState, currentTerm: snapshot.lastIncludedTerm, votedFor: null }
      : recovered.hardState;
  const termThere = at === start.index ? start.term : (entries[at - start.index - 1]?.term ?? null);
  if (termThere === snapshot.lastIncludedTerm) return { hardState, snapshot, logStart: start, entries, logReset: false };
  return { hardState, snapshot, logStart: { index: at, term: snapshot.lastIncludedTerm }, entries: [], logReset: true };
}

function asAddressError(error: Error): Error {
  return new RaftError("address", error.message, { outcome: "not-executed", retry: "never", cause: error });
}

/** What the disk gave back is whole, piece by piece, and can't be. */
function asContradiction(thrown: unknown, location: string): Error {
  if (!(thrown instanceof InvariantViolation)) return thrown instanceof Error ? thrown : new Error(String(thrown));
  return new RaftError(
    "dataDirectory",
    `${location} contradicts itself (${thrown.message}). Remove this member from the cluster, keep the directory aside, and add the member again with an empty one`,
    { outcome: "not-executed", retry: "never", cause: thrown },
  );
}

function asDataDirectoryError(error: Error): Error {
  if (error instanceof RaftError) return error;
  return new RaftError("dataDirectory", error.message, { outcome: "not-executed", retry: "never", cause: error });
}
