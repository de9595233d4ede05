/**
 * A core that writes its own trace: the class that a driver drives, and for each input and output a record. Only the end of its
 * life it can't tell; whoever ends it says so (`stop`). It adds nothing to what the core does.
 */
import {
  type Configuration,
  decodeConfiguration,
  type Entry,
  type Index,
  type MemberId,
  type Message,
  type Micros,
  type Output,
  type PersistBatch,
  Raft,
  type RaftStart,
  readStamp,
  type SnapshotMetadata,
} from "../../core/index.js";
import {
  TRACED_EVENTS,
  type TraceConfiguration,
  type TracedEvent,
  type TraceEntry,
  type TraceMessage,
  type TraceRecord,
  type TraceSnapshot,
} from "./trace.js";

const traced: ReadonlySet<string> = new Set(TRACED_EVENTS);

const isTraced = (event: Output["events"][number]): event is TracedEvent => traced.has(event.type);

/** Two sums of 26 bits each, in one safe integer. */
export function digestOf(bytes: Uint8Array): number {
  let low = 0x811c9dc5;
  let high = 0x9e3779b9 ^ bytes.length;
  for (const byte of bytes) {
    low = Math.imul(low ^ byte, 0x01000193);
    high = Math.imul(high ^ byte ^ (high >>> 15), 0x85ebca6b);
  }
  return (high >>> 6) * 2 ** 26 + ((low ^ (low >>> 15)) >>> 6);
}

function configurationIn({ voters, votersOutgoing, learners }: Configuration): TraceConfiguration {
  return { voters, votersOutgoing, learners };
}

/** Entries are immutable and are sent to many: each is looked at once. */
const seen = new WeakMap<Entry, TraceEntry>();

export function traceEntry(entry: Entry): TraceEntry {
  const known = seen.get(entry);
  if (known !== undefined) return known;
  const { index, term, type, data } = entry;
  const configuration = type === "configuration" ? decodeConfiguration(data) : null;
  const plain = { index, term, type, digest: digestOf(data) };
  const stamp = type === "session" ? (readStamp(data)?.ledFor ?? null) : null;
  const made = {
    ...plain,
    ...(configuration === null ? {} : { configuration: configurationIn(configuration) }),
    ...(stamp === null ? {} : { stamp }),
  };
  seen.set(entry, made);
  return made;
}

export function traceMessage(message: Message): TraceMessage {
  switch (message.type) {
    case "AppendEntries":
      return { ...message, entries: message.entries.map(traceEntry) };
    case "InstallSnapshot": {
      const { data, ...rest } = message;
      return { ...rest, length: data.length };
    }
    case "EntryStatusResponse":
      return { ...message, entry: message.entry === null ? null : traceEntry(message.entry) };
    case "ProposeRequest": {
      const { commands, entryType: _, ...rest } = message;
      return { ...rest, commands: commands.map(digestOf) };
    }
    case "ChangeRequest": {
      const { change: _, ...rest } = message;
      return rest;
    }
    default:
      return message;
  }
}

function traceSnapshot({
  lastIncludedIndex,
  lastIncludedTerm,
  configuration,
  configurationIndex,
}: SnapshotMetadata): TraceSnapshot {
  return { lastIncludedIndex, lastIncludedTerm, configuration: configurationIn(configuration), configurationIndex };
}

function traceBatch(node: MemberId, { ticket, hardState, logStart, entries }: PersistBatch): TraceRecord {
  return {
    type: "persist",
    node,
    ticket,
    ...hardState,
    logStart: logStart === null ? null : { ...logStart.position, keepSuffix: logStart.keepSuffix },
    entries: entries.map(traceEntry),
  };
}

export class TracedRaft extends Raft {
  readonly #record: (record: TraceRecord) => void;

  constructor(start: RaftStart, record: (record: TraceRecord) => void) {
    super(start);
    this.#record = record;
    const { id, hardState, snapshot, logStart, entries, recovering } = start;
    record({
      type: "start",
      node: id,
      currentTerm: hardState.currentTerm,
      votedFor: hardState.votedFor,
      commitIndex: hardState.commitIndex,
      snapshot: traceSnapshot(snapshot),
      logStart,
      entries: entries.map(traceEntry),
      ...(recovering === undefined ? {} : { recovering: true }),
    });
  }

  override receive(now: Micros, from: MemberId, message: Message): void {
    this.#record({ type: "receive", node: this.id, from, message: traceMessage(message) });
    super.receive(now, from, message);
  }

  override persisted(now: Micros, ticket: number): void {
    this.#record({ type: "persisted", node: this.id, ticket });
    super.persisted(now, ticket);
  }

  override read(now: Micros, id: number): "accepted" | "notLeader" | "overloaded" {
    const outcome = super.read(now, id);
    if (outcome === "accepted") this.#record({ type: "read", node: this.id, id });
    return outcome;
  }

  override readByLease(now: Micros, id: number): Index | null {
    const index = super.readByLease(now, id);
    if (index !== null) this.#record({ type: "read", node: this.id, id });
    return index;
  }

  override snapshotTaken(now: Micros, metadata: SnapshotMetadata): void {
    this.#snapshot(metadata, false);
    super.snapshotTaken(now, metadata);
  }

  override snapshotInstalled(now: Micros, metadata: SnapshotMetadata): boolean {
    const inForce = super.snapshotInstalled(now, metadata);
    if (inForce) this.#snapshot(metadata, true);
    return inForce;
  }

  #snapshot(metadata: SnapshotMetadata, received: boolean): void {
    this.#record({ type: "snapshot", node: this.id, ...traceSnapshot(metadata), received });
  }

  override take(): Output {
    const output = super.take();
    const node = this.id;
    for (const event of output.events) if (isTraced(event)) this.#record({ ...event, node });
    if (output.persist !== null) this.#record(traceBatch(node, output.persist));
    for (const { to, message } of output.messages) this.#record({ type: "send", node, to, message: traceMessage(message) });
    for (const entry of output.committed) this.#record({ type: "apply", node, entry: traceEntry(entry) });
    return output;
  }
}
