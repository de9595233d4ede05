/**
 * A data directory as a whole: who it belongs to, what it holds, and everything that is wrong with it. Works where no node would
 * start, because that is where it is needed, and changes nothing.
 */
import type { Configuration } from "../../core/configuration.js";
import { decodeConfiguration } from "../../core/configuration-codec.js";
import type { HardState, Index, LogPosition } from "../../core/types.js";
import type { FounderRecord } from "../founding.js";
import { type Disk, DiskError, type DiskFile } from "../ports.js";
import { type Identity, readIdentity } from "../storage/identity.js";
import { readExactly } from "../storage/read.js";
import { BLOCK_BYTES } from "../storage/record.js";
import type { Owner } from "../storage/segment.js";
import { call, perform, type Task } from "../task.js";
import { readBlock } from "./block.js";
import type { Finding } from "./finding.js";
import type { FoundEntry } from "./group-log.js";
import { type FoundSegment, scanLog } from "./scan-log.js";
import { type FoundSnapshot, scanSnapshots } from "./scan-snapshots.js";

export interface FoundConfiguration {
  /** Of its entry; 0: the founding one, which no entry holds. */
  readonly index: Index;
  readonly configuration: Configuration;
}

export interface ScannedDirectory {
  readonly location: string;
  /** Null when it can't be read; then `owner` is what the other files say. */
  readonly identity: Identity | null;
  readonly owner: Owner | null;
  readonly founders: readonly FounderRecord[];
  readonly hardState: HardState;
  /** The position before the first entry of the log. */
  readonly start: LogPosition;
  readonly last: LogPosition;
  readonly entries: readonly FoundEntry[];
  readonly segments: readonly FoundSegment[];
  /** Newest first. */
  readonly snapshots: readonly FoundSnapshot[];
  /** In the order of their indexes; the last one is in force. */
  readonly configurations: readonly FoundConfiguration[];
  readonly findings: readonly Finding[];
  /** Entries above the last one may be lost. */
  readonly endIsLost: boolean;
  /** Why no node may start here, where somebody wrote that down. */
  readonly blocked: string | null;
}

/** `keeps`: of which entries the content is wanted; that of configurations is read in any case. */
export function* scanDirectory(disk: Disk, keeps: (index: Index) => boolean = () => false): Task<ScannedDirectory> {
  const findings: Finding[] = [];
  const identity = yield* lookAtIdentity(disk, findings);
  const scanned = yield* scanLog(disk, identity, keeps);
  const { log, segments, owner } = scanned;
  findings.push(...scanned.findings);
  for (const group of scanned.otherGroups) findings.push({ degree: "note", place: "log", what: `also holds group ${group}` });
  const { snapshots, findings: ofSnapshots } = yield* scanSnapshots(disk, owner);
  findings.push(...ofSnapshots);
  if (identity === null && segments.length > 0)
    findings.push({
      degree: "damage",
      place: "identity",
      what: "it can't be read, and there is a log: nobody can say how this node voted",
    });
  if (identity !== null && identity.boot > 0 && segments.length === 0)
    findings.push({ degree: "damage", place: "log", what: `the node was started ${identity.boot} times, and its log is gone` });
  const { entries, start, last, hardState } = log;
  const reached = snapshots.find(({ metadata }) => metadata !== null)?.lastIncludedIndex ?? 0;
  if (reached < start.index)
    findings.push({
      degree: "damage",
      place: "snapshots",
      what: `the log goes on after ${start.index}, and ${reached === 0 ? "no snapshot is whole" : `the newest whole snapshot ends at ${reached}`}: what came before is nowhere`,
    });
  const block = yield* readBlock(disk);
  const configurations = configurationsOf(snapshots, entries, findings);
  return {
    location: disk.location,
    identity,
    owner,
    founders: identity?.founders ?? [],
    hardState,
    start,
    last,
    entries,
    segments,
    snapshots,
    configurations,
    findings,
    endIsLost: scanned.endIsLost,
    blocked: block?.reason ?? null,
  };
}

function* lookAtIdentity(disk: Disk, findings: Finding[]): Task<Identity | null> {
  let file: DiskFile;
  try {
    file = yield* call<DiskFile>((done) => disk.open("identity", "read", done));
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") return null;
    throw error;
  }
  let copiesDiffer = false;
  try {
    const size = yield* call<number>((done) => file.size(done));
    const bytes = yield* readExactly(file, 0, Math.min(size, 2 * BLOCK_BYTES));
    copiesDiffer =
      bytes.length < 2 * BLOCK_BYTES || bytes.some((byte, at) => at < BLOCK_BYTES && byte !== bytes[at + BLOCK_BYTES]);
  } finally {
    yield* perform((done) => file.close(done));
  }
  try {
    const identity = yield* readIdentity(disk);
    if (copiesDiffer)
      findings.push({ degree: "damage", place: "identity", what: "one of its two copies is damaged; a start uses the other" });
    return identity;
  } catch (error) {
    if (error instanceof DiskError || !(error instanceof Error) || !error.message.includes("damaged in both copies")) throw error;
    findings.push({
      degree: "damage",
      place: "identity",
      what: "both its copies are damaged: nobody can say whose directory this is",
    });
    return null;
  }
}

function configurationsOf(
  snapshots: readonly FoundSnapshot[],
  entries: readonly FoundEntry[],
  findings: Finding[],
): readonly FoundConfiguration[] {
  const found: FoundConfiguration[] = [];
  const base = snapshots.find(({ metadata }) => metadata !== null)?.metadata ?? null;
  if (base !== null) found.push({ index: base.configurationIndex, configuration: base.configuration });
  for (const { index, type, data, path } of entries) {
    if (type !== "configuration" || data === null || index <= (found[0]?.index ?? 0)) continue;
    const configuration = decodeConfiguration(data);
    if (configuration === null)
      findings.push({ degree: "damage", place: path, what: `entry ${index} is no possible configuration` });
    else found.push({ index, configuration });
  }
  return found;
}

/** Looks at a directory that exists, with the lock that keeps nodes out; where that can't be had because nothing can be written, without. */
export function* lookingAt<T>(disk: Disk, body: () => Task<T>): Task<T> {
  // Taking the lock makes a directory that is missing.
  yield* call<readonly string[]>((done) => disk.list("", done));
  let locked = true;
  try {
    yield* perform((done) => disk.lock(done));
  } catch (error) {
    if (!(error instanceof DiskError) || (error.code !== "EROFS" && error.code !== "EACCES")) throw error;
    locked = false;
  }
  try {
    return yield* body();
  } finally {
    if (locked) yield* perform((done) => disk.unlock(() => done(null)));
  }
}
