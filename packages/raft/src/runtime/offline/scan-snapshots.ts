/** The files of the snapshots, each read as a whole. Changes nothing. */
import type { SnapshotMetadata } from "../../core/output.js";
import type { Disk } from "../ports.js";
import { foreignOwner, type Owner } from "../storage/segment.js";
import { SNAPSHOT_FOLDER, verifySnapshot } from "../storage/snapshot-store.js";
import type { Task } from "../task.js";
import type { Finding } from "./finding.js";
import { listFolder } from "./scan-log.js";

export interface FoundSnapshot {
  readonly path: string;
  /** By its name. */
  readonly lastIncludedIndex: number;
  readonly lastIncludedTerm: number;
  /** Of the file. */
  readonly bytes: number;
  /** Null: it is not whole. */
  readonly metadata: SnapshotMetadata | null;
}

/** Newest first. `owner` null: it is not asked whose they are. */
export function* scanSnapshots(
  disk: Disk,
  owner: Owner | null,
): Task<{ readonly snapshots: readonly FoundSnapshot[]; readonly findings: readonly Finding[] }> {
  const snapshots: FoundSnapshot[] = [];
  const findings: Finding[] = [];
  for (const name of yield* listFolder(disk, SNAPSHOT_FOLDER)) {
    const place = `${SNAPSHOT_FOLDER}/${name}`;
    if (name.endsWith(".tmp"))
      findings.push({ degree: "note", place, what: "a snapshot that was never finished; a start removes it" });
    else if (name.endsWith(".damaged"))
      findings.push({ degree: "note", place, what: "was found damaged at an earlier start, and put aside" });
    const looked = yield* verifySnapshot(disk, name);
    if (looked === null) continue;
    const { position, bytes } = looked;
    const foreign = owner === null || looked.owner === null ? null : foreignOwner(owner, looked.owner);
    const wrong = looked.reason ?? foreign;
    const metadata = wrong === null ? looked.metadata : null;
    snapshots.unshift({ path: place, lastIncludedIndex: position.index, lastIncludedTerm: position.term, bytes, metadata });
    if (wrong !== null) findings.push({ degree: "damage", place, what: `it ${wrong}` });
  }
  return { snapshots, findings };
}
