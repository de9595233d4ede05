/**
 * Snapshots while the node serves: taking one, sending one piece by piece, taking one over from the leader. Long work is
 * done in slices, one piece a turn, so that no snapshot ever costs an election.
 *
 * Taking (dissertation section 5.1): the state is frozen in one turn, together with the index, term and configuration it
 * stands for; its pieces are written while the machine goes on. Only when the file is durable and was read back is the log
 * compacted (storage rule WAL10), and the write-ahead log is kept from the *older* of the two newest snapshots, so that
 * one bad file does not end the node.
 */
import type { SnapshotMetadata, SnapshotReadRequest, SnapshotWriteRequest } from "../core/output.js";
import type { Raft } from "../core/raft.js";
import type { LogPosition } from "../core/types.js";
import type { Driver } from "./driver.js";
import type { GroupLog } from "./log-store.js";
import { guard, type MachineHost } from "./machine-host.js";
import type { NodeEvent } from "./node.js";
import type { Clock } from "./ports.js";
import type { Proposals } from "./proposals.js";
import type { StateMachine } from "./state-machine.js";

/** What this work asks of the files; storage/snapshot-store.ts has them. Callbacks as everywhere: at once or later. */
export interface SnapshotFiles {
  begin(metadata: SnapshotMetadata): SnapshotWriting;
  /** Bytes of a snapshot's portable body, verified. Null: there is no such snapshot any more, it can't be read, or it is damaged. */
  read(position: LogPosition, offset: number, maxBytes: number, done: PieceRead): void;
  /** Begins to receive; an earlier one that is not finished is dropped. */
  receive(position: LogPosition): SnapshotReceiving;
  /** The pieces of a durable snapshot, one a call; null after the last one. */
  load(position: LogPosition, each: (piece: Uint8Array, next: () => void) => void, done: (error: Error | null) => void): void;
  /** Removes all but the two newest. Tells the position of the older one that was kept, if there is one. */
  prune(done: (error: Error | null, oldestKept: LogPosition | null) => void): void;
}

export type PieceRead = (data: Uint8Array | null, last: boolean, isDamaged: boolean) => void;

export interface SnapshotWriting {
  add(piece: Uint8Array, done: (error: Error | null) => void): void;
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

export interface SnapshotParts<Machine extends StateMachine> {
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
  readonly trailingEntries: number;
}

export interface SnapshotWork {
  considerTaking(): void;
  readPiece(request: SnapshotReadRequest): void;
  writePiece(request: SnapshotWriteRequest): void;
  stop(): void;
}

export function createSnapshotWork<Machine extends StateMachine>(parts: SnapshotParts<Machine>): SnapshotWork {
  const { raft, driver, clock, host, files, log } = parts;
  let taking: SnapshotWriting | null = null;
  let receiving: { readonly position: LogPosition; readonly file: SnapshotReceiving } | null = null;
  /** The size of the last snapshot: a new one is worth its while when the log since then outgrew it. */
  let lastBytes = 0;
  let stopped = false;

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

  function take(): void {
    const index = raft.lastApplied;
    const { configuration, index: configurationIndex } = raft.configurationAt(index);
    // A member that was just taken in is not told yet who the members are there; a snapshot must say it.
    if (configuration.voters.length === 0) return;
    const metadata: SnapshotMetadata = {
      lastIncludedIndex: index,
      lastIncludedTerm: raft.termAt(index) ?? 0,
      configuration,
      configurationIndex,
    };
    const pieces = host.freeze();
    const writing = files.begin(metadata);
    taking = writing;
    const failed = (error: Error): void => {
      writing.abort();
      taking = null;
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
          taking = null;
          lastBytes = bytes;
          parts.publish({ type: "snapshotTaken", lastIncludedIndex: index, bytes });
          driver.tell((core, now) => core.snapshotTaken(now, metadata));
          compact();
        });
        return;
      }
      writing.add(next.value, (error) => {
        if (stopped) return;
        if (error !== null) return failed(error);
        inTurn(step);
      });
    };
    inTurn(step);
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
      if (error !== null) parts.publish({ type: "warning", message: `old snapshots could not be removed: ${error.message}` });
      let start = raft.logStart;
      driver.tell((core, now) => {
        start = core.compact(now, core.snapshot.lastIncludedIndex - parts.trailingEntries);
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
        return compact();
      }
      const machine = parts.newMachine();
      restoreFrom(files, position, machine, inTurn, (failure) => {
        if (stopped) return;
        if (failure !== null) return parts.fail(`the snapshot at ${position.index} could not be restored: ${failure.message}`);
        driver.tell((core, now) => {
          if (!core.snapshotInstalled(now, metadata)) return;
          host.replace(machine);
          parts.proposals.skippedTo(position.index);
          parts.publish({ type: "snapshotRestored", lastIncludedIndex: position.index });
        });
        compact();
      });
    });
  }

  return {
    considerTaking() {
      if (taking === null && !stopped && raft.lastApplied > raft.snapshot.lastIncludedIndex && isDue()) take();
    },
    readPiece(request) {
      files.read(positionOf(request), request.offset, request.maxBytes, (data, last, isDamaged) => {
        if (stopped) return;
        if (isDamaged) replace(request.lastIncludedIndex);
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
      receiving?.file.abort();
    },
  };
}

/** Feeds a durable snapshot to a fresh machine, one piece a turn. Each piece is held back until it is known whether it is the last. */
export function restoreFrom(
  files: SnapshotFiles,
  position: LogPosition,
  machine: StateMachine,
  inTurn: (body: () => void) => void,
  done: (error: Error | null) => void,
): void {
  let held: Uint8Array | null = null;
  let finished = false;
  const finish = (error: Error | null): void => {
    if (finished) return;
    finished = true;
    done(error);
  };
  const attempt = (body: () => void): boolean => {
    try {
      guard("restore", body);
      return true;
    } catch (error) {
      finish(error instanceof Error ? error : new Error(String(error)));
      return false;
    }
  };
  files.load(
    position,
    (piece, next) => {
      const before = held;
      held = piece;
      if (before !== null && !attempt(() => machine.restore(before, false))) return;
      inTurn(next);
    },
    (error) => {
      if (error !== null) return finish(error);
      if (attempt(() => machine.restore(held ?? new Uint8Array(0), true))) finish(null);
    },
  );
}
