/**
 * What the nodes of a cluster did, as records in one order: the input of the reference, and of any other tool that judges
 * a run (docs/trace-format.md has the form in lines of text).
 *
 * The order is that of one observer who sees everything: a message is sent before it is received. A core works at a
 * `receive`, but what came of it is known only when its output is taken, at the end of the turn; then the records of
 * the turn follow in this order: events, batch, messages, applied entries. So several `receive` may stand before the
 * events that they caused, and a message may leave when its sender has long moved on.
 *
 * Bytes do not matter to Raft, only whether they are the same: in the place of data there is a digest.
 */
import type {
  AppendEntries,
  ChangeRequest,
  Configuration,
  EntryStatusResponse,
  EntryType,
  HardState,
  Index,
  InstallSnapshot,
  LogPosition,
  MemberId,
  Message,
  ProposeRequest,
  RaftEvent,
  RaftEventType,
  SnapshotMetadata,
  Term,
} from "../../core/index.js";

/** Who counts, and in which quorum. */
export type TraceConfiguration = Pick<Configuration, "voters" | "votersOutgoing" | "learners">;

export interface TraceEntry {
  readonly index: Index;
  readonly term: Term;
  readonly type: EntryType;
  /** Stands for the entry's data: equal data have equal digests, and others, but for rare luck, others. */
  readonly digest: number;
  /** With a configuration entry, and only there. */
  readonly configuration?: TraceConfiguration;
  /** With a session's entry, and only there: for how many microseconds its leader had led. */
  readonly stamp?: number;
}

/** The messages of core/message.ts, with entries and commands as digests and without the bytes of snapshots. */
export type TraceMessage =
  | Exclude<Message, AppendEntries | InstallSnapshot | ProposeRequest | ChangeRequest | EntryStatusResponse>
  | (Omit<AppendEntries, "entries"> & { readonly entries: readonly TraceEntry[] })
  | (Omit<InstallSnapshot, "data"> & { readonly length: number })
  | (Omit<EntryStatusResponse, "entry"> & { readonly entry: TraceEntry | null })
  | (Omit<ProposeRequest, "commands" | "entryType"> & { readonly commands: readonly number[] })
  /** What is asked for shows in the configuration that the leader appends. */
  | Omit<ChangeRequest, "change">;

export type MessageOf<Type extends TraceMessage["type"]> = Extract<TraceMessage, { readonly type: Type }>;

export type TraceSnapshot = Omit<SnapshotMetadata, "configuration"> & { readonly configuration: TraceConfiguration };

/** A life of a node begins, with what its disk gave back; for a member that is new, with nothing. */
export interface StartRecord extends HardState {
  readonly type: "start";
  readonly node: MemberId;
  readonly snapshot: TraceSnapshot;
  readonly logStart: LogPosition;
  readonly entries: readonly TraceEntry[];
}

/** A life ends: a crash, a kill, a close. What was not durable is gone. */
export interface StopRecord {
  readonly type: "stop";
  readonly node: MemberId;
  /** Its disk is gone too, and this member will never be seen again. */
  readonly forGood?: boolean;
}

/** A message is handed to the transport. It may be lost. */
export interface SendRecord {
  readonly type: "send";
  readonly node: MemberId;
  readonly to: MemberId;
  readonly message: TraceMessage;
}

/** A message is handed to the core. */
export interface ReceiveRecord {
  readonly type: "receive";
  readonly node: MemberId;
  readonly from: MemberId;
  readonly message: TraceMessage;
}

/** A batch is handed to the disk: the node's persistent state as it is at this moment, but for what earlier batches hold. */
export interface PersistRecord extends HardState {
  readonly type: "persist";
  readonly node: MemberId;
  readonly ticket: number;
  /** The log begins anew after this position. */
  readonly logStart: (LogPosition & { readonly keepSuffix: boolean }) | null;
  readonly entries: readonly TraceEntry[];
}

/** The batch of this ticket, and all before it, are durable. */
export interface PersistedRecord {
  readonly type: "persisted";
  readonly node: MemberId;
  readonly ticket: number;
}

/** A snapshot is whole and durable on the node's disk, and its core is told: one of its own, or one it received. */
export interface SnapshotRecord extends TraceSnapshot {
  readonly type: "snapshot";
  readonly node: MemberId;
  readonly received: boolean;
}

/** Somebody asks this node for a linearizable read, and it is accepted. */
export interface ReadRecord {
  readonly type: "read";
  readonly node: MemberId;
  readonly id: number;
}

/** The state machine gets an entry. No-ops and configurations may be left out. */
export interface ApplyRecord {
  readonly type: "apply";
  readonly node: MemberId;
  readonly entry: TraceEntry;
}

/** The events of core/event.ts that a trace holds; the others explain, and change nothing. */
export const TRACED_EVENTS = [
  "roleChanged",
  "termChanged",
  "voteCast",
  "entriesAppended",
  "entriesRestored",
  "logTruncated",
  "entriesDurable",
  "commitAdvanced",
  "configurationChanged",
  "readConfirmed",
  "snapshotInstalled",
  "logCompacted",
  "recovered",
  "invariantViolated",
] as const satisfies readonly RaftEventType[];

export type TracedEventType = (typeof TRACED_EVENTS)[number];
export type TracedEvent<Type extends TracedEventType = TracedEventType> = Extract<RaftEvent, { readonly type: Type }>;
export type EventRecord = TracedEvent & { readonly node: MemberId };

export type TraceRecord =
  | StartRecord
  | StopRecord
  | SendRecord
  | ReceiveRecord
  | PersistRecord
  | PersistedRecord
  | SnapshotRecord
  | ReadRecord
  | ApplyRecord
  | EventRecord;
