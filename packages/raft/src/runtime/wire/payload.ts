/**
 * What peers say once they have shaken hands: the core's messages, and four notes of the runtime (where I am reached; how
 * far my log goes; who founded this cluster with me; that you are no member any more). Fields are fixed in place and size, little endian; the page docs/wire-format.md is the
 * same layout in words. The protocol's version is settled in the handshake, so a payload carries none.
 *
 * Layout: kind u8, group u32, then by kind; a message of the protocol goes on with its term u64.
 */
import { ByteReader, ByteWriter, DecodeError, decoding } from "../../core/bytes.js";
import type { MembershipRefusal } from "../../core/membership-change.js";
import type {
  AppendEntries,
  EntryStatusResponse,
  Message,
  MessageType,
  ProposeRequest,
  ProposeResponse,
  TransferResponse,
} from "../../core/message.js";
import type { Entry, EntryType, Index, ProposedType, Term } from "../../core/types.js";
import type { AppliedBlock } from "../applied-checksums.js";
import type { FounderRecord, FoundingNotice } from "../founding.js";
import { readChange, writeChange } from "./change.js";

/** The first thing said for each group on a new connection: how far the sender's durable log goes. */
export interface PeerLog {
  readonly lastIndex: Index;
  readonly lastTerm: Term;
  /** Parts of the log are lost: what was acknowledged above `lastIndex` does not count any more. */
  readonly recovering: boolean;
  /** Of the sender, for whoever looks for a new leader; 0 to 100. */
  readonly priority: number;
  /** The sender was a member by a configuration that it knows to be committed: under a name that was added anew it is not taken in. */
  readonly wasMember: boolean;
}

export type Payload =
  | { readonly ok: true; readonly kind: "message"; readonly group: number; readonly message: Message }
  | { readonly ok: true; readonly kind: "peerLog"; readonly group: number; readonly peerLog: PeerLog }
  | { readonly ok: true; readonly kind: "appliedBlock"; readonly group: number; readonly block: AppliedBlock }
  | { readonly ok: true; readonly kind: "founding"; readonly notice: FoundingNotice }
  | { readonly ok: true; readonly kind: "address"; readonly address: string }
  | { readonly ok: true; readonly kind: "notAMember"; readonly group: number; readonly configurationIndex: Index }
  | { readonly ok: false; readonly reason: string };

/** Numbers on the wire; never given to another kind. */
const KINDS = {
  RequestPreVote: 1,
  RequestPreVoteResponse: 2,
  RequestVote: 3,
  RequestVoteResponse: 4,
  AppendEntries: 5,
  AppendEntriesResponse: 6,
  Heartbeat: 7,
  HeartbeatResponse: 8,
  InstallSnapshot: 9,
  InstallSnapshotResponse: 10,
  ReadIndexRequest: 11,
  ReadIndexResponse: 12,
  ProposeRequest: 13,
  ProposeResponse: 14,
  TimeoutNow: 15,
  ChangeRequest: 16,
  ChangeResponse: 17,
  EntryStatusRequest: 18,
  EntryStatusResponse: 19,
  TransferRequest: 20,
  TransferResponse: 21,
} as const satisfies Record<MessageType, number>;
/** A ProposeRequest whose commands are requests of sessions. */
const PROPOSE_SESSION_REQUEST = 22;
/** Messages that came with a later version of the protocol; to a peer that does not speak it they are not sent. */
const SINCE: { readonly [Type in MessageType]?: number } = {
  TimeoutNow: 2,
  ChangeRequest: 2,
  ChangeResponse: 2,
  TransferRequest: 2,
  TransferResponse: 2,
  EntryStatusRequest: 2,
  EntryStatusResponse: 2,
};
const NEWEST = 3;
/** What every member has that does not say so. */
const DEFAULT_PRIORITY = 1;

export function isSpoken(message: Message, version: number): boolean {
  if (version >= 2) return true;
  // Sessions came with version 2 as well.
  if (message.type === "ProposeRequest") return message.entryType !== "session";
  if (message.type === "AppendEntries") return message.entries.every(({ type }) => type !== "session");
  return version >= (SINCE[message.type] ?? 1);
}

const PEER_LOG = 64;
const FOUNDING = 65;
const NOT_A_MEMBER = 66;
const ADDRESS = 67;
const APPLIED_BLOCK = 68;

const TYPE_OF_KIND = new Map<number, MessageType>(
  (Object.entries(KINDS) as [MessageType, number][]).map(([type, kind]) => [kind, type]),
);

const ENTRY_TYPES: readonly EntryType[] = ["noop", "command", "configuration", "session"];
const REFUSALS: readonly ProposeResponse["refusal"][] = [null, "notLeader", "overloaded", "tooLarge", "transferring"];
const TRANSFER_REFUSALS: readonly TransferResponse["refusal"][] = [
  "failed",
  "notLeader",
  "transferInProgress",
  "configurationChanging",
  "unknownTarget",
  "notVoter",
  "self",
  "noTarget",
];
const CHANGE_REFUSALS: readonly (MembershipRefusal | null)[] = [
  null,
  "notLeader",
  "termNotCommitted",
  "changePending",
  "transferring",
  "configurationMoved",
  "unknownMember",
  "alreadyMember",
  "memberTwice",
  "noVoterLeft",
  "tooManyMembers",
  "nothingToDo",
];
const STATUSES = ["continue", "installed", "rejected"] as const;
const ENTRY_STATUSES = ["have", "dontHave", "haveFaulty"] as const;

/** Term, type and length before an entry's data. */
export const ENTRY_HEADER_BYTES = 13;
const MAX_ITEMS = 1_000_000;
const MAX_FOUNDERS = 15;
const MAX_NAME_BYTES = 64;
const MAX_ADDRESS_BYTES = 256;
/** A name, `#` and sixteen digits. */
const MAX_MEMBER_ID_BYTES = MAX_NAME_BYTES + 17;

// ---- Encoding ----

/** In the layout of a version of the protocol: what a connection agreed on. */
export function encodeMessage(group: number, message: Message, version = NEWEST): Uint8Array {
  const writer = new ByteWriter(sizeHint(message));
  writer.u8(kindOf(message));
  writer.u32(group);
  writer.u64(message.term);
  writeBody(writer, message, version);
  return writer.finish();
}

function kindOf(message: Message): number {
  return message.type === "ProposeRequest" && message.entryType === "session" ? PROPOSE_SESSION_REQUEST : KINDS[message.type];
}

function sizeHint(message: Message): number {
  switch (message.type) {
    case "AppendEntries":
      return 64 + message.entries.reduce((sum, entry) => sum + ENTRY_HEADER_BYTES + entry.data.length, 0);
    case "InstallSnapshot":
      return 64 + message.data.length;
    case "ProposeRequest":
      return 64 + message.commands.reduce((sum, command) => sum + 4 + command.length, 0);
    case "EntryStatusResponse":
      return 64 + (message.entry?.data.length ?? 0);
    default:
      return 64;
  }
}

function writeBody(writer: ByteWriter, message: Message, version: number): void {
  switch (message.type) {
    case "RequestPreVote":
      writer.u64(message.proposedTerm);
      writer.u64(message.lastLogIndex);
      writer.u64(message.lastLogTerm);
      return;
    case "RequestPreVoteResponse":
      writer.u64(message.proposedTerm);
      writer.u8(message.voteGranted ? 1 : 0);
      return;
    case "RequestVote":
      writer.u64(message.lastLogIndex);
      writer.u64(message.lastLogTerm);
      writer.u8(message.leadershipTransfer ? 1 : 0);
      return;
    case "RequestVoteResponse":
      writer.u8(message.voteGranted ? 1 : 0);
      return;
    case "AppendEntries":
      writeAppendEntries(writer, message, version);
      return;
    case "AppendEntriesResponse":
      writer.u8(message.success ? 1 : 0);
      writer.u64(message.prevLogIndex);
      writer.u64(message.matchIndex);
      writer.u64(message.hintIndex);
      writer.u64(message.hintTerm);
      return;
    case "Heartbeat":
      writer.u64(message.leaderCommit);
      writer.u64(message.readRound);
      if (version >= 2) writer.u8(message.leases ? 1 : 0);
      return;
    case "HeartbeatResponse":
      writer.u64(message.readRound);
      return;
    case "InstallSnapshot":
      writer.u64(message.lastIncludedIndex);
      writer.u64(message.lastIncludedTerm);
      writer.u64(message.offset);
      writer.u8(message.done ? 1 : 0);
      writer.blob(message.data);
      return;
    case "InstallSnapshotResponse":
      writer.u64(message.lastIncludedIndex);
      writer.u64(message.lastIncludedTerm);
      writer.u64(message.offset);
      writer.u8(STATUSES.indexOf(message.status));
      return;
    case "ReadIndexRequest":
      writer.u64(message.requestId);
      return;
    case "ReadIndexResponse":
      writer.u64(message.requestId);
      writer.u8(message.readIndex === null ? 0 : 1);
      writer.u64(message.readIndex ?? 0);
      return;
    case "ProposeRequest":
      writer.u64(message.requestId);
      writer.u32(message.commands.length);
      for (const command of message.commands) writer.blob(command);
      return;
    case "ProposeResponse":
      writer.u64(message.requestId);
      writer.u64(message.firstIndex);
      writer.u64(message.entryTerm);
      // Version 1 knows no leader that gives way.
      writer.u8(REFUSALS.indexOf(version < 2 && message.refusal === "transferring" ? "notLeader" : message.refusal));
      return;
    case "TimeoutNow":
      return;
    case "TransferRequest":
      writer.u64(message.requestId);
      // No member has an empty name.
      writer.text(message.target ?? "");
      return;
    case "TransferResponse":
      writer.u64(message.requestId);
      writer.u8(TRANSFER_REFUSALS.indexOf(message.refusal));
      return;
    case "ChangeRequest":
      writer.u64(message.requestId);
      writer.u8(message.expectedIndex === null ? 0 : 1);
      writer.u64(message.expectedIndex ?? 0);
      writeChange(writer, message.change);
      return;
    case "ChangeResponse":
      writer.u64(message.requestId);
      writer.u64(message.index);
      writer.u64(message.entryTerm);
      writer.u8(CHANGE_REFUSALS.indexOf(message.refusal));
      return;
    case "EntryStatusRequest":
      writer.u64(message.requestId);
      writer.u64(message.durableIndex);
      writer.u64(message.index);
      writer.u64(message.entryTerm);
      return;
    case "EntryStatusResponse":
      writer.u64(message.requestId);
      writer.u64(message.index);
      writer.u64(message.entryTerm);
      writer.u8(ENTRY_STATUSES.indexOf(message.status));
      writer.u8(message.leading ? 1 : 0);
      writer.u64(message.lastLogIndex);
      writer.u8(message.entry === null ? 0 : 1);
      if (message.entry === null) return;
      // Its index and term are the ones that were asked for.
      writer.u8(ENTRY_TYPES.indexOf(message.entry.type));
      writer.blob(message.entry.data);
      return;
  }
}

/** The indexes are not repeated: the entries follow `prevLogIndex` without a gap. */
function writeAppendEntries(writer: ByteWriter, message: AppendEntries, version: number): void {
  writer.u64(message.prevLogIndex);
  writer.u64(message.prevLogTerm);
  writer.u64(message.leaderCommit);
  if (version >= 2) writer.u8(message.leases ? 1 : 0);
  writer.u32(message.entries.length);
  for (const entry of message.entries) {
    writer.u64(entry.term);
    writer.u8(ENTRY_TYPES.indexOf(entry.type));
    writer.blob(entry.data);
  }
}

export function encodePeerLog(group: number, peerLog: PeerLog, version = NEWEST): Uint8Array {
  const writer = new ByteWriter(32);
  writer.u8(PEER_LOG);
  writer.u32(group);
  writer.u64(peerLog.lastIndex);
  writer.u64(peerLog.lastTerm);
  writer.u8(peerLog.recovering ? 1 : 0);
  if (version >= 2) writer.u8(peerLog.priority);
  if (version >= 3) writer.u8(peerLog.wasMember ? 1 : 0);
  return writer.finish();
}

/** "By the committed configuration at this index you are no member": to somebody who is connected all the same. */
export function encodeNotAMember(group: number, configurationIndex: Index): Uint8Array {
  const writer = new ByteWriter(16);
  writer.u8(NOT_A_MEMBER);
  writer.u32(group);
  writer.u64(configurationIndex);
  return writer.finish();
}

/** "There I am reached": the first thing said on a connection, so that whoever does not list the sender can answer it. */
export function encodeAddress(address: string): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u8(ADDRESS);
  // Of the node, not of one of its groups.
  writer.u32(0);
  writer.text(address);
  return writer.finish();
}

export function encodeAppliedBlock(group: number, { through, checksum }: AppliedBlock): Uint8Array {
  const writer = new ByteWriter(32);
  writer.u8(APPLIED_BLOCK);
  writer.u32(group);
  writer.u64(through);
  writer.u32(checksum);
  return writer.finish();
}

export function encodeFoundingNotice(notice: FoundingNotice): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(FOUNDING);
  // The cluster is founded as a whole; the group is there so that every payload begins alike.
  writer.u32(0);
  writer.u8(notice.founded ? 1 : 0);
  writer.u8(notice.records.length);
  for (const { name, incarnation } of notice.records) {
    writer.text(name);
    writer.big64(incarnation);
  }
  return writer.finish();
}

// ---- Decoding ----

/** Never throws. The data of entries and commands are views of `bytes`. */
export function decodePayload(bytes: Uint8Array, version = NEWEST): Payload {
  const decoded = decoding((): Payload => {
    const reader = new ByteReader(bytes);
    const kind = reader.u8();
    const group = reader.u32();
    const payload = readPayload(reader, kind, group, version);
    reader.end();
    return payload;
  });
  return decoded.ok ? decoded.value : { ok: false, reason: `it ${decoded.reason}` };
}

function readPeerLog(reader: ByteReader, version: number): PeerLog {
  const lastIndex = reader.u64();
  return {
    lastIndex,
    lastTerm: reader.u64(),
    recovering: reader.flag(),
    priority: version >= 2 ? reader.u8() : DEFAULT_PRIORITY,
    // Where it is not said, a log is taken for the sign of it.
    wasMember: version >= 3 ? reader.flag() : lastIndex > 0,
  };
}

function readPayload(reader: ByteReader, kind: number, group: number, version: number): Payload {
  if (kind === PEER_LOG) return { ok: true, kind: "peerLog", group, peerLog: readPeerLog(reader, version) };
  if (kind === APPLIED_BLOCK)
    return { ok: true, kind: "appliedBlock", group, block: { through: reader.u64(), checksum: reader.u32() } };
  if (kind === FOUNDING) return { ok: true, kind: "founding", notice: readFoundingNotice(reader) };
  if (kind === NOT_A_MEMBER) return { ok: true, kind: "notAMember", group, configurationIndex: reader.u64() };
  if (kind === ADDRESS) return { ok: true, kind: "address", address: reader.text(MAX_ADDRESS_BYTES) };
  if (kind === PROPOSE_SESSION_REQUEST)
    return { ok: true, kind: "message", group, message: readProposeRequest(reader, reader.u64(), "session") };
  const type = TYPE_OF_KIND.get(kind);
  if (type === undefined) throw new DecodeError(`is of kind ${kind}, which is unknown here`);
  return { ok: true, kind: "message", group, message: readMessage(reader, type, version) };
}

function readFoundingNotice(reader: ByteReader): FoundingNotice {
  const founded = reader.flag();
  const count = reader.u8();
  if (count > MAX_FOUNDERS) throw new DecodeError(`lists ${count} founders`);
  const records: FounderRecord[] = [];
  for (let place = 0; place < count; place += 1) {
    const record = { name: reader.text(MAX_NAME_BYTES), incarnation: reader.big64() };
    const before = records.at(-1);
    if (before !== undefined && before.name >= record.name) throw new DecodeError("lists founders out of order");
    records.push(record);
  }
  return { records, founded };
}

function readMessage(reader: ByteReader, type: MessageType, version: number): Message {
  const term = reader.u64();
  switch (type) {
    case "RequestPreVote":
      return { type, term, proposedTerm: reader.u64(), lastLogIndex: reader.u64(), lastLogTerm: reader.u64() };
    case "RequestPreVoteResponse":
      return { type, term, proposedTerm: reader.u64(), voteGranted: reader.flag() };
    case "RequestVote":
      return { type, term, lastLogIndex: reader.u64(), lastLogTerm: reader.u64(), leadershipTransfer: reader.flag() };
    case "RequestVoteResponse":
      return { type, term, voteGranted: reader.flag() };
    case "AppendEntries":
      return readAppendEntries(reader, term, version);
    case "AppendEntriesResponse":
      return {
        type,
        term,
        success: reader.flag(),
        prevLogIndex: reader.u64(),
        matchIndex: reader.u64(),
        hintIndex: reader.u64(),
        hintTerm: reader.u64(),
      };
    case "Heartbeat":
      return { type, term, leaderCommit: reader.u64(), readRound: reader.u64(), leases: version >= 2 && reader.flag() };
    case "HeartbeatResponse":
      // Not written: whoever speaks version 2 promises when it answers a leader that uses leases; version 1 knows none.
      return { type, term, readRound: reader.u64(), promised: version >= 2 };
    case "InstallSnapshot":
      return {
        type,
        term,
        lastIncludedIndex: reader.u64(),
        lastIncludedTerm: reader.u64(),
        offset: reader.u64(),
        done: reader.flag(),
        data: reader.blob(),
      };
    case "InstallSnapshotResponse":
      return {
        type,
        term,
        lastIncludedIndex: reader.u64(),
        lastIncludedTerm: reader.u64(),
        offset: reader.u64(),
        status: oneOf(STATUSES, reader.u8()),
      };
    case "ReadIndexRequest":
      return { type, term, requestId: reader.u64() };
    case "ReadIndexResponse": {
      const requestId = reader.u64();
      const answered = reader.flag();
      const readIndex = reader.u64();
      return { type, term, requestId, readIndex: answered ? readIndex : null };
    }
    case "ProposeRequest":
      return readProposeRequest(reader, term, "command");
    case "ProposeResponse":
      return {
        type,
        term,
        requestId: reader.u64(),
        firstIndex: reader.u64(),
        entryTerm: reader.u64(),
        refusal: oneOf(REFUSALS, reader.u8()),
      };
    case "TimeoutNow":
      return { type, term };
    case "TransferRequest": {
      const requestId = reader.u64();
      const target = reader.text(MAX_MEMBER_ID_BYTES);
      return { type, term, requestId, target: target === "" ? null : target };
    }
    case "TransferResponse":
      return { type, term, requestId: reader.u64(), refusal: oneOf(TRANSFER_REFUSALS, reader.u8()) };
    case "ChangeRequest": {
      const requestId = reader.u64();
      const expects = reader.flag();
      const expectedIndex = reader.u64();
      return { type, term, requestId, expectedIndex: expects ? expectedIndex : null, change: readChange(reader) };
    }
    case "ChangeResponse":
      return {
        type,
        term,
        requestId: reader.u64(),
        index: reader.u64(),
        entryTerm: reader.u64(),
        refusal: oneOf(CHANGE_REFUSALS, reader.u8()),
      };
    case "EntryStatusRequest":
      return {
        type,
        term,
        requestId: reader.u64(),
        durableIndex: reader.u64(),
        index: reader.u64(),
        entryTerm: reader.u64(),
      };
    case "EntryStatusResponse":
      return readEntryStatus(reader, term);
  }
}

function readProposeRequest(reader: ByteReader, term: Term, entryType: ProposedType): ProposeRequest {
  const requestId = reader.u64();
  const count = reader.count(4, MAX_ITEMS);
  const commands: Uint8Array[] = [];
  for (let place = 0; place < count; place += 1) commands.push(reader.blob());
  return { type: "ProposeRequest", term, requestId, entryType, commands };
}

function readEntryStatus(reader: ByteReader, term: Term): EntryStatusResponse {
  const requestId = reader.u64();
  const index = reader.u64();
  const entryTerm = reader.u64();
  const status = oneOf(ENTRY_STATUSES, reader.u8());
  const leading = reader.flag();
  const lastLogIndex = reader.u64();
  const entry = reader.flag() ? { index, term: entryTerm, type: oneOf(ENTRY_TYPES, reader.u8()), data: reader.blob() } : null;
  return { type: "EntryStatusResponse", term, requestId, index, entryTerm, status, leading, lastLogIndex, entry };
}

function readAppendEntries(reader: ByteReader, term: Term, version: number): AppendEntries {
  const prevLogIndex = reader.u64();
  const prevLogTerm = reader.u64();
  const leaderCommit = reader.u64();
  const leases = version >= 2 && reader.flag();
  const count = reader.count(ENTRY_HEADER_BYTES, MAX_ITEMS);
  if (prevLogIndex + count > Number.MAX_SAFE_INTEGER) throw new DecodeError("holds indexes above 2^53");
  const entries: Entry[] = [];
  for (let place = 1; place <= count; place += 1) {
    const entryTerm = reader.u64();
    const type = oneOf(ENTRY_TYPES, reader.u8());
    entries.push({ index: prevLogIndex + place, term: entryTerm, type, data: reader.blob() });
  }
  return { type: "AppendEntries", term, prevLogIndex, prevLogTerm, entries, leaderCommit, leases };
}

function oneOf<T>(values: readonly T[], place: number): T {
  if (place >= values.length) throw new DecodeError(`holds ${place} where at most ${values.length - 1} is known`);
  return values[place] as T;
}
