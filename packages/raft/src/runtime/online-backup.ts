/**
 * A backup of a node that runs: a snapshot of everything that was acknowledged before it was asked for, in the form of a backup
 * file (offline/backup-file.ts). Given piece by piece, as it is asked for; the snapshot's file is held meanwhile.
 */
import type { LogPosition } from "../core/types.js";
import { RaftError } from "./errors.js";
import type { NodeBehind } from "./face.js";
import { BackupWriter } from "./offline/backup-file.js";
import { notExecuted } from "./proposals.js";
import { submitRead } from "./requests.js";
import type { SnapshotWork } from "./snapshot-work.js";
import type { StateMachine } from "./state-machine.js";
import type { NodeStorage } from "./storage-binding.js";

const PIECE_BYTES = 64 * 1024;

export interface BackupSource {
  /** The next bytes of the file; null after the last ones. One call at a time. */
  next(done: (error: Error | null, bytes: Uint8Array | null) => void): void;
  close(): void;
}

export interface BackupParts {
  readonly storage: NodeStorage;
  readonly snapshots: SnapshotWork;
  readonly clusterId: Uint8Array;
  readonly name: string;
  readonly takenAt: string;
}

export function openBackup<Machine extends StateMachine>(
  behind: NodeBehind<Machine>,
  parts: () => BackupParts | null,
  opened: (error: Error | null, source: BackupSource | null) => void,
): void {
  const failed = (): void => opened(notExecuted("closed", "the node does not run any more"), null);
  // What was acknowledged anywhere before now has been applied here once this read may be answered.
  submitRead(behind, "linearizable", undefined, (error, machine) => {
    if (machine === null) return error === null ? failed() : opened(error, null);
    const found = parts();
    if (found === null) return failed();
    found.snapshots.takeNow((failure, position) => {
      if (position === null) opened(asRaftError(failure), null);
      else opened(null, sourceOf(found, position, behind.running?.raft.currentTerm ?? position.term));
    });
  });
}

function asRaftError(error: Error | null): RaftError {
  const message = `a snapshot for the backup could not be taken: ${error?.message ?? "no reason is known"}`;
  return new RaftError("dataDirectory", message, { outcome: "not-executed", retry: "now" });
}

function sourceOf({ storage, clusterId, name, takenAt }: BackupParts, position: LogPosition, term: number): BackupSource {
  const { files, incarnation } = storage;
  const letGo = files.hold(position);
  const writer = new BackupWriter();
  let stage: "head" | "body" | "end" | "over" = "head";
  let offset = 0;
  return {
    next(done) {
      if (stage === "over") return done(null, null);
      if (stage === "head") {
        stage = "body";
        return done(null, writer.head({ clusterId, name, incarnation, takenAt, snapshot: position, term }));
      }
      if (stage === "end") {
        stage = "over";
        return done(null, writer.end(position));
      }
      files.read(position, offset, PIECE_BYTES, (data, last) => {
        if (data === null)
          return done(asRaftError(new Error(`the one at ${position.index} can't be read any more; take the backup again`)), null);
        offset += data.length;
        if (last) stage = "end";
        done(null, writer.snapshot(data));
      });
    },
    close: letGo,
  };
}
