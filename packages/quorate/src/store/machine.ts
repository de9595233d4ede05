/**
 * The key-value store as a replicated state machine: commands from the log go in (commands.ts), results come out
 * (results.ts), and the whole is frozen into snapshots (snapshot.ts). Equal commands give equal states and results on every
 * member; a command that makes no sense is answered with an error and changes nothing.
 *
 * Reads do not go through the log: `range` and `answerRange` read the state as it is now. Whoever calls them sees to it that
 * "now" is recent enough (a linearizable read waits until the machine has applied what was committed when it was asked).
 */
import type { CommittedEntry, StateMachine } from "@quorate/raft/runtime";
import { checkDeleteRangeRequest, checkPutRequest, checkRangeRequest, checkTxnRequest, MAX_TXN_OPS } from "./checks.js";
import { CommandKind, decodeAttributes, type MemberAttributes } from "./commands.js";
import { COMPACTED, FUTURE_REVISION, malformed, RESPONSE_TOO_LARGE, type StoreFault } from "./faults.js";
import { MvccStore } from "./mvcc.js";
import { ProtobufError, WireWriter, WriterFullError } from "./protobuf.js";
import type { RangeRequest, RangeResponse } from "./protocol.js";
import { estimateBytes, selectRange, toRangeResponse, writeSelection } from "./range.js";
import { decodeCompactionRequest, decodeDeleteRangeRequest, decodePutRequest, decodeTxnRequest } from "./request-codec.js";
import { writeHeader } from "./response-codec.js";
import { beginDone, encodeFault, type ResponseOrigin } from "./results.js";
import { freeze, SnapshotError, SnapshotReader, snapshotPieces } from "./snapshot.js";
import {
  checkPut,
  createBudget,
  executeDeleteRange,
  executePut,
  executeTxn,
  type LeaseExists,
  type Outcome,
  writeOutcome,
} from "./txn.js";

/** Members whose attributes are kept; the one that has been silent longest is forgotten first. */
export const MEMBERS_LIMIT = 256;

/** They are part of what the log means: every member of a cluster must have the same. */
export interface KvMachineOptions {
  /** Operations in a transaction: see checks.ts. Default 128. */
  readonly maxTxnOps?: number;
  /** Bytes of one answer; beyond, RESPONSE_TOO_LARGE. Default 1 GiB. */
  readonly maxResponseBytes?: number;
  /** Which leases exist, as far as the log has been applied. Default: none do. */
  readonly leaseExists?: LeaseExists;
}

/** What a read answers: the data and the store's revision, or why not. */
export type RangeResult =
  | { readonly ok: true; readonly revision: number; readonly response: RangeResponse }
  | { readonly ok: false; readonly fault: StoreFault };

export class KvMachine implements StateMachine {
  private readonly store = new MvccStore();
  private readonly attributes = new Map<bigint, MemberAttributes>();
  private readonly maxTxnOps: number;
  private readonly maxResponseBytes: number;
  private readonly leaseExists: LeaseExists;
  private used = false;
  private reader: SnapshotReader | null = null;

  constructor(options: KvMachineOptions = {}) {
    this.maxTxnOps = options.maxTxnOps ?? MAX_TXN_OPS;
    this.maxResponseBytes = options.maxResponseBytes ?? 2 ** 30;
    this.leaseExists = options.leaseExists ?? ((): boolean => false);
  }

  /** The revision of the last write; 1 before the first. */
  get currentRevision(): number {
    return this.store.currentRevision;
  }

  /** The oldest revision that can be read; -1 when nothing was ever compacted. */
  get compactedRevision(): number {
    return this.store.compactedRevision;
  }

  /** What the members published about themselves, the latest word of each, the longest silent first. */
  get members(): ReadonlyMap<bigint, MemberAttributes> {
    return this.attributes;
  }

  /** Bytes of memory that the versions take, what compaction has yet to give back included: for a quota. */
  get sizeInBytes(): number {
    return this.store.sizeInBytes;
  }

  /** Bytes of that which hold versions. */
  get sizeInUseInBytes(): number {
    return this.store.sizeInUseInBytes;
  }

  /** Whether memory is still to be given back after a compaction. */
  get tidying(): boolean {
    return this.store.tidying.busy;
  }

  /** Gives memory back, some tenths of a millisecond's worth. `apply` does one such step a call; an idle host may do more. */
  tidy(): void {
    this.store.tidying.step();
  }

  apply(entries: readonly CommittedEntry[]): readonly Uint8Array[] {
    this.used = true;
    const results = entries.map((entry) => this.applyCommand(entry.data));
    this.store.tidying.step();
    return results;
  }

  snapshot(): Iterable<Uint8Array> {
    return snapshotPieces(freeze(this.store, this.attributes.values()));
  }

  /** Throws a SnapshotError when the pieces are no snapshot of this store; the instance is then of no use. */
  restore(piece: Uint8Array, last: boolean): void {
    if (this.reader === null) {
      if (this.used) throw new SnapshotError("a snapshot is restored into a fresh store only");
      this.used = true;
      this.reader = new SnapshotReader(this.store, (member) => this.publish(member));
    }
    this.reader.feed(piece, last);
    if (last) this.reader = null;
  }

  /** Reads as plain data. Keys and values are views of memory that never changes: copy what is to be kept long. */
  range(request: RangeRequest): RangeResult {
    const selection = checkRangeRequest(request) ?? selectRange(this.store, request);
    if ("code" in selection) return { ok: false, fault: selection };
    return { ok: true, revision: selection.revision, response: toRangeResponse(this.store, selection) };
  }

  /** Reads straight into the bytes of an answer, header and all; this is the fast way. */
  answerRange(request: RangeRequest, origin: ResponseOrigin): Uint8Array | StoreFault {
    const selection = checkRangeRequest(request) ?? selectRange(this.store, request);
    if ("code" in selection) return selection;
    const { clusterId, memberId, raftTerm } = origin;
    const writer = new WireWriter(48 + estimateBytes(this.store, selection), this.maxResponseBytes);
    try {
      writeHeader(writer, { clusterId, memberId, revision: selection.revision, raftTerm });
      writeSelection(this.store, writer, selection);
    } catch (error) {
      if (error instanceof WriterFullError) return RESPONSE_TOO_LARGE;
      throw error;
    }
    return writer.finish();
  }

  private applyCommand(command: Uint8Array): Uint8Array {
    try {
      switch (command[0]) {
        case CommandKind.put:
          return this.applyPut(command);
        case CommandKind.deleteRange:
          return this.applyDeleteRange(command);
        case CommandKind.txn:
          return this.applyTxn(command);
        case CommandKind.compact:
          return this.applyCompact(command);
        case CommandKind.attributes:
          this.publish(decodeAttributes(command, 1));
          return this.done(null);
        default:
          return encodeFault(malformed(command.length === 0 ? "it is empty" : `unknown kind ${command[0]}`));
      }
    } catch (error) {
      // Everything is decoded before anything is changed.
      if (error instanceof ProtobufError) return encodeFault(malformed(error.message));
      throw error;
    }
  }

  private applyPut(command: Uint8Array): Uint8Array {
    const request = decodePutRequest(command, 1);
    const fault = checkPutRequest(request) ?? checkPut(this.store, request, this.leaseExists);
    if (fault !== null) return encodeFault(fault);
    const outcome = executePut(this.store, request);
    this.store.commit();
    return this.done(outcome);
  }

  private applyDeleteRange(command: Uint8Array): Uint8Array {
    const request = decodeDeleteRangeRequest(command, 1);
    const fault = checkDeleteRangeRequest(request);
    if (fault !== null) return encodeFault(fault);
    const budget = createBudget();
    const outcome = executeDeleteRange(this.store, request, budget);
    this.store.commit();
    return budget.passed ? encodeFault(RESPONSE_TOO_LARGE) : this.done(outcome);
  }

  private applyTxn(command: Uint8Array): Uint8Array {
    const request = decodeTxnRequest(command, 1);
    const budget = createBudget();
    const outcome = checkTxnRequest(request, this.maxTxnOps) ?? executeTxn(this.store, request, this.leaseExists, budget);
    if ("code" in outcome) return encodeFault(outcome);
    this.store.commit();
    return budget.passed ? encodeFault(RESPONSE_TOO_LARGE) : this.done(outcome);
  }

  /** `physical` asks to wait until the memory is given back; who answers the client waits until `tidying` is over. */
  private applyCompact(command: Uint8Array): Uint8Array {
    const { revision } = decodeCompactionRequest(command, 1);
    if (revision <= this.store.compactedRevision) return encodeFault(COMPACTED);
    if (revision > this.store.currentRevision) return encodeFault(FUTURE_REVISION);
    this.store.compact(revision);
    return this.done(null);
  }

  private publish(member: MemberAttributes): void {
    this.attributes.delete(member.memberId);
    this.attributes.set(member.memberId, member);
    for (const oldest of this.attributes.keys()) {
      if (this.attributes.size <= MEMBERS_LIMIT) break;
      this.attributes.delete(oldest);
    }
  }

  private done(outcome: Outcome | null): Uint8Array {
    const writer = beginDone(this.store.currentRevision, 0, this.maxResponseBytes);
    if (outcome === null) return writer.finish();
    try {
      writeOutcome(this.store, writer, outcome);
    } catch (error) {
      if (error instanceof WriterFullError) return encodeFault(RESPONSE_TOO_LARGE);
      throw error;
    }
    return writer.finish();
  }
}
