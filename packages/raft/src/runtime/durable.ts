/**
 * What a node keeps beside the data of a machine that keeps itself on disk: how far the log is applied, the configuration there,
 * and the sessions. The machine stores these records without reading them, in the transaction that changes its data, so that
 * after a crash they always say of which index the data is (pitfalls D12: applied index and data, written apart, have lost writes).
 *
 * Records: `checkpoint` (version u8, cluster id, incarnation u64, index u64, term u64, index of the configuration u64, the
 * configuration, cluster time: time u64, term u64, beginning u64), and `session/<id>` for each session (table-codec.ts). A
 * transaction writes the checkpoint and the sessions that it changed.
 */
import { ByteReader, ByteWriter, DecodeError, decoding } from "../core/bytes.js";
import { NO_CONFIGURATION } from "../core/configuration.js";
import { decodeConfiguration, encodeConfiguration } from "../core/configuration-codec.js";
import type { SnapshotMetadata } from "../core/output.js";
import { EMPTY_BYTES, type Index } from "../core/types.js";
import { hexadecimal } from "./cluster-id.js";
import { SessionTable } from "./sessions/table.js";
import { readSession, writeSession } from "./sessions/table-codec.js";
import type { DurableStorage, KeptRecord, StateMachine } from "./state-machine.js";

const VERSION = 1;
const CHECKPOINT = "checkpoint";
const SESSION = "session/";

/** Whose data it is. */
export interface CheckpointOwner {
  readonly clusterId: Uint8Array;
  readonly incarnation: bigint;
}

/** What a durable machine holds at a start. */
export interface Checkpoint {
  readonly metadata: SnapshotMetadata;
  readonly sessions: SessionTable;
}

/** Null: the machine lives in memory. */
export function durableStorageOf(machine: StateMachine): DurableStorage | null {
  return machine.durable ?? null;
}

const sessionKey = (id: Index): string => `${SESSION}${id}`;

/** All records for a state that replaces another, whose sessions are named. */
export function recordsOf(
  owner: CheckpointOwner,
  metadata: SnapshotMetadata,
  table: SessionTable,
  before: Iterable<Index>,
): KeptRecord[] {
  const gone = [...before]
    .filter((id) => !table.sessions.has(id))
    .map((id): KeptRecord => ({ key: sessionKey(id), value: null }));
  const sessions = [...table.sessions.keys()].map((id) => sessionRecord(table, id));
  return [...gone, ...sessions, checkpointRecord(owner, metadata, table)];
}

/** The records that differ since this was last asked. */
export function changedRecords(owner: CheckpointOwner, metadata: SnapshotMetadata, table: SessionTable): KeptRecord[] {
  const sessions = table.takeChanged().map((id) => sessionRecord(table, id));
  return [...sessions, checkpointRecord(owner, metadata, table)];
}

function sessionRecord(table: SessionTable, id: Index): KeptRecord {
  const session = table.sessions.get(id);
  if (session === undefined) return { key: sessionKey(id), value: null };
  const writer = new ByteWriter();
  writeSession(writer, session);
  return { key: sessionKey(id), value: writer.finish() };
}

function checkpointRecord(
  owner: CheckpointOwner,
  metadata: SnapshotMetadata,
  { time, term, termBegan }: SessionTable,
): KeptRecord {
  const writer = new ByteWriter();
  writer.u8(VERSION);
  writer.raw(owner.clusterId);
  writer.big64(owner.incarnation);
  writer.u64(metadata.lastIncludedIndex);
  writer.u64(metadata.lastIncludedTerm);
  writer.u64(metadata.configurationIndex);
  // A member that was just taken in may not know any configuration yet.
  writer.blob(metadata.configuration.voters.length === 0 ? EMPTY_BYTES : encodeConfiguration(metadata.configuration));
  writer.u64(time);
  writer.u64(term);
  writer.u64(termBegan);
  return { key: CHECKPOINT, value: writer.finish() };
}

/** What the records of a machine say; null for one that is new. Throws when they can't be this node's. */
export function readCheckpoint(owner: CheckpointOwner, records: Iterable<KeptRecord>): Checkpoint | null {
  const table = new SessionTable();
  const sessions = new Map<Index, Uint8Array>();
  let metadata: SnapshotMetadata | null = null;
  const decoded = decoding(() => {
    for (const { key, value } of records) {
      if (value === null) continue;
      if (key === CHECKPOINT) metadata = readMetadata(owner, new ByteReader(value), table);
      else if (key.startsWith(SESSION)) sessions.set(Number(key.slice(SESSION.length)), value);
      else throw new DecodeError(`holds a record "${key}", which no node has given it`);
    }
    // In the order in which they were opened, as in a table that was never stored.
    for (const id of [...sessions.keys()].sort((a, b) => a - b))
      readSession(new ByteReader(sessions.get(id) ?? new Uint8Array(0)), table);
    if (metadata === null && sessions.size > 0) throw new DecodeError("holds sessions and no checkpoint");
  });
  if (!decoded.ok) throw new Error(`the state machine's own storage ${decoded.reason}`);
  if (metadata === null) return null;
  table.restored();
  return { metadata, sessions: table };
}

function readMetadata(owner: CheckpointOwner, reader: ByteReader, table: SessionTable): SnapshotMetadata {
  const version = reader.u8();
  if (version !== VERSION) throw new DecodeError(`has a checkpoint of version ${version}, this node reads version ${VERSION}`);
  const clusterId = hexadecimal(reader.raw(16));
  if (clusterId !== hexadecimal(owner.clusterId)) throw new DecodeError(`belongs to another cluster (${clusterId})`);
  if (reader.big64() !== owner.incarnation)
    throw new DecodeError("belongs to another data directory: each node has its own, and they are kept and removed together");
  const position = { lastIncludedIndex: reader.u64(), lastIncludedTerm: reader.u64(), configurationIndex: reader.u64() };
  const encoded = reader.blob();
  const configuration = encoded.length === 0 ? NO_CONFIGURATION : decodeConfiguration(encoded);
  table.time = reader.u64();
  table.term = reader.u64();
  table.termBegan = reader.u64();
  reader.end();
  if (configuration === null) throw new DecodeError("has a checkpoint without a configuration");
  return { ...position, configuration };
}
