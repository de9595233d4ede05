/**
 * Snapshots while the node serves: taking one, sending one piece by piece, taking one over from the leader. Long work is
 * done in slices, one piece a turn, so that no snapshot ever costs an election.
 *
 * Taking (dissertation section 5.1): the state is frozen in one turn, together with the index, term and configuration it
 * stands for; its pieces are written while the machine goes on. Only when the file is durable and was read back is the log
 * compacted (storage rule WAL10), and the write-ahead log is kept from the *older* of the two newest snapshots, so that
 * one bad file does not end the node.
 *
 * A machine that keeps itself on disk needs no file: when its own storage is durable up to an index, that is the snapshot, and the
 * log may go up to there. A file is written only when a follower needs one.
 */
import type { SnapshotMetadata, SnapshotReadRequest, SnapshotWriteRequest } from "../core/output.js";
import type { Raft } from "../core/raft.js";
import type { Index, LogPosition, Term } from "../core/types.js";
import type { Driver } from "./driver.js";
import type { GroupLog } from "./log-store.js";
import { guard, type MachineHost, type SnapshotPart, type SnapshotPiece } from "./machine-host.js";
import type { NodeEvent } from "./node.js";
import type { Clock } from "./ports.js";
import type { Proposals } from "./proposals.js";
import type { SessionTable } from "./sessions/table.js";
import { SessionRestore } from "./sessions/table-codec.js";
import type { DurableStorage, StateMachine } from "./state-machine.js";
import { compactionPoint, type TrailingLimits } from "./trailing.js";

/** What this work asks of the files; storage/snapshot-store.ts has them. Callbacks as everywhere: at once or later. */
export interface SnapshotFiles {
  begin(metadata: SnapshotMetadata): SnapshotWriting;
  /** Bytes of a snapshot's portable body, verified. Null: there is no such snapshot any more, it can't be read, or it is damaged. */
  read(position: LogPosition, offset: number, maxBytes: number, done: PieceRead): void;
  /** Begins to receive; an earlier one that is not finished is dropped. */
  receive(position: LogPosition): SnapshotReceiving;
  /** The pieces of a durable snapshot, one a call; null after the last one. */
  load(position: LogPosition, each: (piece: SnapshotPiece, next: () => void) => void, done: (error: Error | null) => void): void;
  /** Removes all but the two newest. Tells the position of the older one that was kept, if there is one. */
  prune(done: (error: Error | null, oldestKept: LogPosition | null) => void): void;
  /** Keeps this one until the function that is returned was called. */
  hold(position: LogPosition): () => void;
}

export type PieceRead = (data: Uint8Array | null, last: boolean, isDamaged: boolean) => void;

export interface SnapshotWriting {
  add(piece: Uint8Array, done: (error: Error | null) => void, part?: SnapshotPart): void;
  /** Durable, renamed and read back. */
  finish(done: (error: Error | null, bytes: number) => void): void;
  abort(): void;
}

export interface SnapshotReceiving {
  write(offset: number, data: Uint8Array, done: (error: Error | null) => void): void;
  /** Validates the whole and makes it durable under its name. */
  finish(done: (error: Error | null, metadata: SnapshotMetadata | null) => void): void;
  abort(): void;
}

export interface SnapshotParts<Machine extends StateMachine> extends TrailingLimits {
  readonly raft: Raft;
  readonly driver: Driver<Machine>;
  readonly clock: Clock;
  readonly host: MachineHost<Machine>;
  readonly proposals: Proposals;
  readonly files: SnapshotFiles;
  readonly log: GroupLog;
  readonly newMachine: () => Machine;
  readonly publish: (event: NodeEvent) => void;
  readonly fail: (reason: string) => void;
  readonly snapshotLogBytes: number;
  readonly snapshotLogEntries: number;
}

export interface SnapshotWork {
  considerTaking(): void;
  readPiece(request: SnapshotReadRequest): void;
  writePiece(request: SnapshotWriteRequest): void;
  /** Has a snapshot of all that is applied, and says which; takes one if the newest is older. */
  takeNow(done: (error: Error | null, position: LogPosition | null) => void): void;
  stop(): void;
}

/** A log that may be compacted waits for a transfer until it is so many times as long as it would be. */
const MOST_WAITS = 4;

export function createSnapshotWork<Machine extends StateMachine>(parts: SnapshotParts<Machine>): SnapshotWork {
  const { raft, driver, clock, host, files, log } = parts;
  let taking: SnapshotWriting | null = null;
  let receiving: { readonly position: LogPosition; readonly file: SnapshotReceiving } | null = null;
  /** The size of the last snapshot: a new one is worth its while when the log since then outgrew it. */
  let lastBytes = 0;
  let stopped = false;
  /** A durable machine is asked to be durable. */
  let syncing = false;
  /** Who waits for the snapshot that is being taken. */
  let waiting: ((error: Error | null) => void)[] = [];

  const ended = (error: Error | null): void => {
    taking = null;
    const told = waiting;
    waiting = [];
    for (const each of told) each(error);
  };

  const positionOf = (of: { readonly lastIncludedIndex: number; readonly lastIncludedTerm: number }): LogPosition => ({
    index: of.lastIncludedIndex,
    term: of.lastIncludedTerm,
  });

  /** User code runs in slices between turns; what it throws fails the node here as it would inside a turn. */
  const inTurn = (body: () => void): void => {
    clock.setImmediate(() => {
      if (stopped) return;
      try {
        body();
      } catch (error) {
        parts.fail(error instanceof Error ? error.message : String(error));
      }
    });
  };

  function isDue(): boolean {
    if (host.entriesSinceSnapshot >= parts.snapshotLogEntries) return true;
    return host.bytesSinceSnapshot >= Math.max(parts.snapshotLogBytes, lastBytes);
  }

  /** All that is applied up to now is to survive without the log. */
  function makeDurable(durable: DurableStorage): void {
    const metadata = metadataAt(raft, raft.lastApplied);
    if (metadata.configuration.voters.length === 0) return;
    host.countAnew();
    syncing = true;
    durable.sync((error) => {
      if (stopped) return;
      syncing = false;
      if (error !== null) return parts.fail(`the state machine's storage can't be made durable: ${error.message}`);
      const { lastIncludedIndex } = metadata;
      let start = raft.logStart;
      driver.tell((core, now) => {
        core.snapshotTaken(now, metadata);
        start = core.compact(now, compactionPoint(core, lastIncludedIndex, parts));
      });
      parts.publish({ type: "snapshotTaken", lastIncludedIndex, bytes: 0 });
      log.release(start);
    });
  }

  /** While a follower is being sent a file it stays the newest snapshot, or the transfer would begin again and again (pitfalls F22). */
  function isSending(): boolean {
    if (host.entriesSinceSnapshot >= MOST_WAITS * parts.snapshotLogEntries) return false;
    if (host.bytesSinceSnapshot >= MOST_WAITS * parts.snapshotLogBytes) return false;
    return taking !== null || [...raft.progress.values()].some(({ state }) => state === "snapshot");
  }

  function take(): void {
    const index = raft.lastApplied;
    const metadata = metadataAt(raft, index);
    // A member that was just taken in is not told yet who the members are there; a snapshot must say it.
    if (metadata.configuration.voters.length === 0) return;
    const pieces = host.freeze();
    // Only where the file lets the log go up to here.
    if (host.durable === null) host.countAnew();
    const writing = files.begin(metadata);
    taking = writing;
    const failed = (error: Error): void => {
      writing.abort();
      ended(error);
      parts.publish({
        type: "warning",
        message: `a snapshot at ${index} could not be written: ${error.message}; the log is kept and it is tried again later`,
      });
    };
    const step = (): void => {
      const next = guard("snapshot", () => pieces.next());
      if (next.done === true) {
        writing.finish((error, bytes) => {
          if (stopped) return;
          if (error !== null) return failed(error);
          if (host.durable === null) lastBytes = bytes;
          parts.publish({ type: "snapshotTaken", lastIncludedIndex: index, bytes });
          driver.tell((core, now) => core.snapshotTaken(now, metadata));
          ended(null);
          afterFile();
        });
        return;
      }
      const { part, bytes } = next.value;
      const added = (error: Error | null): void => {
        if (stopped) return;
        if (error !== null) return failed(error);
        inTurn(step);
      };
      writing.add(bytes, added, part);
    };
    inTurn(step);
  }

  /** A durable machine's log waits for the machine's own storage. */
  function afterFile(): void {
    if (host.durable === null) return compact();
    files.prune((error) => {
      if (!stopped && error !== null) pruneFailed(error);
    });
  }

  function pruneFailed(error: Error): void {
    parts.publish({ type: "warning", message: `old snapshots could not be removed: ${error.message}` });
  }

  /** What is on the disk is damaged, and nothing of it was sent. The state itself is in memory: it is written anew. */
  function replace(index: number): void {
    if (taking !== null || index !== raft.snapshot.lastIncludedIndex) return;
    parts.publish({
      type: "warning",
      message: `the snapshot at ${index} is damaged; nothing of it was sent, and a new one is taken`,
    });
    take();
  }

  function compact(): void {
    files.prune((error, oldestKept) => {
      if (stopped) return;
      if (error !== null) pruneFailed(error);
      let start = raft.logStart;
      driver.tell((core, now) => {
        start = core.compact(now, compactionPoint(core, core.snapshot.lastIncludedIndex, parts));
      });
      if (oldestKept !== null) log.release(oldestKept.index < start.index ? oldestKept : start);
    });
  }

  /** The last piece is written: validates, restores into a fresh machine, and swaps it in if the core still wants it. */
  function install(position: LogPosition, file: SnapshotReceiving): void {
    const rejected = (error: Error): void => {
      if (stopped) return;
      if (receiving?.file === file) receiving = null;
      parts.publish({ type: "warning", message: `a snapshot from the leader was refused: ${error.message}` });
      driver.tell((core, now) => core.snapshotRejected(now, position.index, position.term));
    };
    file.finish((error, metadata) => {
      if (stopped) return;
      if (error !== null || metadata === null) return rejected(error ?? new Error("it has no metadata"));
      if (receiving?.file === file) receiving = null;
      if (position.index <= raft.commitIndex) {
        // It has come further by itself meanwhile: the core hears that the transfer is over, and nothing is replaced.
        driver.tell((core, now) => core.snapshotInstalled(now, metadata));
        return afterFile();
      }
      const machine = host.durable === null ? parts.newMachine() : host.machine;
      restoreFrom(files, position, machine, inTurn, (failure, restored) => {
        if (stopped) return;
        if (failure !== null || restored === null)
          return parts.fail(
            `the snapshot at ${position.index} could not be restored: ${failure?.message ?? "no reason is known"}`,
          );
        const { sessions, lastPiece } = restored;
        try {
          if (host.durable === null) lastPiece();
          driver.tell((core, now) => {
            if (!core.snapshotInstalled(now, metadata)) return;
            if (host.durable === null) host.replace(machine, sessions);
            else host.replaceDurable(metadata, sessions, lastPiece);
            parts.proposals.skippedTo(position.index);
            parts.publish({ type: "snapshotRestored", lastIncludedIndex: position.index });
          });
        } catch (error) {
          return parts.fail(
            `the snapshot at ${position.index} could not be restored: ${error instanceof Error ? error.message : String(error)}`,
          );
        }
        afterFile();
      });
    });
  }

  const nothingToTake = (): Error =>
    new Error(stopped ? "the node was closed" : "this node is no member yet: there is no state to take a snapshot of");

  function takeNow(done: (error: Error | null, position: LogPosition | null) => void): void {
    if (stopped) return done(nothingToTake(), null);
    if (taking === null && raft.snapshot.lastIncludedIndex >= raft.lastApplied) return done(null, positionOf(raft.snapshot));
    if (taking !== null) {
      // It was begun before, and may lack what is applied now.
      waiting.push(() => takeNow(done));
      return;
    }
    const position = { index: raft.lastApplied, term: raft.termAt(raft.lastApplied) ?? 0 };
    take();
    if (taking === null) return done(nothingToTake(), null);
    waiting.push((error) => done(error, error === null ? position : null));
  }

  return {
    takeNow,
    considerTaking() {
      if (taking !== null && host.durable === null) return;
      if (stopped || syncing || raft.lastApplied <= raft.snapshot.lastIncludedIndex || !isDue()) return;
      if (host.durable === null) take();
      else if (!isSending()) makeDurable(host.durable);
    },
    readPiece(request) {
      files.read(positionOf(request), request.offset, request.maxBytes, (data, last, isDamaged) => {
        if (stopped) return;
        if (isDamaged) replace(request.lastIncludedIndex);
        // There is no such file, or no good one. The follower is asked again, and by then it may be there.
        else if (data === null && host.durable !== null && taking === null) take();
        driver.tell((core, now) =>
          core.snapshotChunkRead(now, request.to, request.lastIncludedIndex, request.offset, data, last),
        );
      });
    },
    writePiece(request) {
      const position = positionOf(request);
      if (request.offset === 0) {
        receiving?.file.abort();
        receiving = { position, file: files.receive(position) };
      }
      const current = receiving;
      if (current === null || current.position.index !== position.index || current.position.term !== position.term) return;
      current.file.write(request.offset, request.data, (error) => {
        if (stopped) return;
        if (error !== null) {
          current.file.abort();
          if (receiving === current) receiving = null;
          parts.publish({ type: "warning", message: `a snapshot from the leader could not be written: ${error.message}` });
          driver.tell((core, now) => core.snapshotRejected(now, position.index, position.term));
        } else if (request.done) {
          install(position, current.file);
        } else {
          driver.tell((core, now) =>
            core.snapshotChunkWritten(now, position.index, position.term, request.offset + request.data.length),
          );
        }
      });
    },
    stop() {
      stopped = true;
      taking?.abort();
      ended(nothingToTake());
      receiving?.file.abort();
    },
  };
}

/** What a snapshot at `index`, which is applied, stands for. */
export function metadataAt(raft: Raft, index: Index, term: Term = raft.termAt(index) ?? 0): SnapshotMetadata {
  const { configuration, index: configurationIndex } = raft.configurationAt(index);
  return { lastIncludedIndex: index, lastIncludedTerm: term, configuration, configurationIndex };
}

export interface Restored {
  readonly sessions: SessionTable;
  /** The machine's last piece, which completes its state. */
  readonly lastPiece: () => void;
}

/**
 * Feeds a durable snapshot to a machine, one piece a turn, and gives the sessions that were frozen with it. Each piece of the
 * machine is held back until it is known whether it is the last; the last one is left to the caller.
 */
export function restoreFrom(
  files: SnapshotFiles,
  position: LogPosition,
  machine: StateMachine,
  inTurn: (body: () => void) => void,
  done: (error: Error | null, restored: Restored | null) => void,
): void {
  const sessions = new SessionRestore();
  let held: Uint8Array | null = null;
  let finished = false;
  const finish = (error: Error | null): void => {
    if (finished) return;
    finished = true;
    if (error !== null) return done(error, null);
    const last = held ?? new Uint8Array(0);
    done(null, { sessions: sessions.finish(), lastPiece: () => guard("restore", () => machine.restore(last, true)) });
  };
  const attempt = (body: () => void): boolean => {
    try {
      body();
      return true;
    } catch (error) {
      finish(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
  };
  if (!attempt(() => guard("restore", () => machine.durable?.beginRestore()))) return;
  files.load(
    position,
    ({ part, bytes }, next) => {
      const before = held;
      if (part === "machine") held = bytes;
      const fits = attempt(() => {
        if (part === "sessions") sessions.piece(bytes);
        else if (before !== null) guard("restore", () => machine.restore(before, false));
      });
      if (fits) inTurn(next);
    },
    finish,
  );
}
