/** The log of a directory, segment by segment: what is in it, and everything that is wrong with it. Changes nothing. */
import type { Index } from "../../core/types.js";
import { GROUP } from "../network.js";
import { type Disk, DiskError, type DiskFile } from "../ports.js";
import type { BatchStep } from "../storage/batch.js";
import { readExactly } from "../storage/read.js";
import {
  decodeSegmentHeader,
  foreignOwner,
  LOG_FOLDER,
  type Owner,
  type SegmentHeader,
  segmentId,
  segmentPath,
} from "../storage/segment.js";
import { call, perform, type Task } from "../task.js";
import type { Finding } from "./finding.js";
import { FoundLog } from "./group-log.js";
import { type Chain, type NextSegment, type RemainingPart, type Remains, scanSegment } from "./scan-segment.js";

export interface FoundSegment {
  readonly path: string;
  readonly id: number;
  readonly bytes: number;
  readonly batches: number;
  /** Of the entries that its batches hold; null when there are none. */
  readonly entries: { readonly first: Index; readonly last: Index; readonly count: number } | null;
  /** A newer run of segments stands without it. */
  readonly stale: boolean;
}

export interface ScannedLog {
  readonly log: FoundLog;
  readonly segments: readonly FoundSegment[];
  readonly findings: readonly Finding[];
  /** Groups besides the one that was asked for. */
  readonly otherGroups: readonly number[];
  /** Whose the log is, by its own word. */
  readonly owner: Owner | null;
  /** The log stops at something that can't be read and was perhaps promised: entries above the last one may be lost. */
  readonly endIsLost: boolean;
}

/** How much of a segment is read to find its header. */
const HEADER_READ_BYTES = 2 * 1024 * 1024;
const SLICE_BYTES = 1024 * 1024;

interface Headed {
  readonly path: string;
  readonly id: number;
  readonly bytes: number;
  /** Null: it can't be read, or is somebody else's. */
  readonly found: { readonly header: SegmentHeader; readonly headerLength: number } | null;
}

/** `owner` null: whoever the first segment names. `keeps`: of which entries the content is wanted. */
export function* scanLog(disk: Disk, owner: Owner | null, keeps: (index: Index) => boolean, group = GROUP): Task<ScannedLog> {
  const findings: Finding[] = [];
  const { headed, owner: is } = yield* readHeaders(disk, owner, findings);
  const logs = new Map<number, FoundLog>([[group, new FoundLog()]]);
  const segments: FoundSegment[] = [];
  // A removal that a crash undid leaves a segment without its successor: what counts is the newest unbroken run.
  const runStart = Math.max(
    0,
    headed.findLastIndex(({ id }, place) => place > 0 && id !== (headed[place - 1]?.id ?? 0) + 1),
  );
  const chain: Chain = { sequence: 1, checksum: 0, durable: 0 };
  let isFirst = true;
  let endIsLost = false;
  for (const [place, { path, id, bytes: size, found }] of headed.entries()) {
    const isStale = place < runStart;
    if (isStale || found === null) {
      segments.push({ path, id, bytes: size, batches: 0, entries: null, stale: isStale });
      if (isStale)
        findings.push({
          degree: "note",
          place: path,
          what: "a newer run of segments stands without it; its removal was cut short",
        });
      else endIsLost = true;
      continue;
    }
    const { header } = found;
    if (isFirst || headed[place - 1]?.found === null) {
      chain.sequence = header.firstSequence;
      chain.checksum = header.prevChecksum;
    }
    chain.durable = Math.max(chain.durable, header.durableThrough);
    for (const [number, { hardState, start, last }] of header.groups)
      logOf(logs, number).bounds(path, isFirst, hardState, start, last);
    isFirst = false;
    if (size < header.size)
      findings.push({
        degree: "damage",
        place: path,
        what: `it has ${size} bytes and was made with ${header.size}: its end is gone`,
      });
    const bytes = yield* readWhole(disk, path, size);
    const next = headed[place + 1];
    const content = { keeps, logs, findings };
    const scanned = scanOne(
      { path, ...found },
      bytes,
      next === undefined ? null : (next.found?.header ?? "unreadable"),
      chain,
      content,
    );
    segments.push(scanned.segment);
    endIsLost = scanned.endIsLost || (next === undefined && size < header.size);
  }
  const log = logOf(logs, group);
  findings.push(...log.findings());
  const otherGroups = [...logs.keys()].filter((number) => number !== group);
  return { log, segments, findings, otherGroups, owner: is, endIsLost };
}

function* readHeaders(
  disk: Disk,
  owner: Owner | null,
  findings: Finding[],
): Task<{ readonly headed: readonly Headed[]; readonly owner: Owner | null }> {
  const headed: Headed[] = [];
  let is = owner;
  for (const name of yield* listFolder(disk, LOG_FOLDER)) {
    const id = segmentId(name);
    if (id === null) {
      const what = name.endsWith(".tmp") ? "a segment that was being prepared; a start removes it" : "no file of a log";
      findings.push({ degree: "note", place: `${LOG_FOLDER}/${name}`, what });
      continue;
    }
    const path = segmentPath(id);
    const { beginning, size } = yield* readBeginning(disk, path);
    const decoded = decodeSegmentHeader(beginning);
    let wrong: string | null = null;
    if (!decoded.ok) wrong = decoded.reason;
    else {
      const { header } = decoded.value;
      is ??= { clusterId: header.clusterId, name: header.name, incarnation: header.incarnation };
      wrong = foreignOwner(is, header) ?? (header.id === id ? null : `says that it is segment ${header.id}`);
    }
    if (wrong !== null) findings.push({ degree: "damage", place: path, what: `it ${wrong}; what it holds is not known` });
    const found = decoded.ok && wrong === null ? { header: decoded.value.header, headerLength: decoded.value.length } : null;
    headed.push({ path, id, bytes: size, found });
  }
  return { headed, owner: is };
}

function scanOne(
  segment: { readonly path: string; readonly header: SegmentHeader; readonly headerLength: number },
  bytes: Uint8Array,
  next: NextSegment,
  chain: Chain,
  {
    keeps,
    logs,
    findings,
  }: {
    readonly keeps: (index: Index) => boolean;
    readonly logs: Map<number, FoundLog>;
    readonly findings: Finding[];
  },
): { readonly segment: FoundSegment; readonly endIsLost: boolean } {
  const { path, header } = segment;
  let batches = 0;
  let first = Number.MAX_SAFE_INTEGER;
  let last = 0;
  let count = 0;
  const step = (each: BatchStep, at: number): void => {
    const log = logOf(logs, each.group);
    if (each.kind === "logStart") return log.restart(each.position, each.keepSuffix);
    if (each.kind !== "entry") return;
    const { index, term, type, data } = each.entry;
    first = Math.min(first, index);
    last = Math.max(last, index);
    count += 1;
    log.append({ index, term, type, bytes: data.length, path, at, data: keeps(index) || type === "configuration" ? data : null });
  };
  const endIsLost = scanSegment(segment, bytes, next, chain, {
    onBatch: (batch, at) => {
      batches += 1;
      for (const each of batch.steps) step(each, at);
      for (const [group, hardState] of batch.hardStates) logOf(logs, group).state(path, hardState);
    },
    onRemains: ({ at, hardStates, parts }: Remains) => {
      for (const part of parts) takePart(logOf(logs, part.group), part, path, at, keeps);
      for (const [group, hardState] of hardStates) logOf(logs, group).state(path, hardState);
    },
    onFinding: (finding) => findings.push(finding),
  });
  const entries = count === 0 ? null : { first, last, count };
  return { segment: { path, id: header.id, bytes: bytes.length, batches, entries, stale: false }, endIsLost };
}

function takePart(log: FoundLog, part: RemainingPart, path: string, at: number, keeps: (index: Index) => boolean): void {
  const { kind, position, header, payload } = part;
  if (kind === "logStart") return log.restart(position, payload?.[0] === 1);
  const type = header?.entryType ?? null;
  const data = keeps(position.index) || type === "configuration" ? payload : null;
  log.append({ ...position, type, bytes: payload?.length ?? 0, path, at, data });
}

function logOf(logs: Map<number, FoundLog>, group: number): FoundLog {
  const known = logs.get(group) ?? new FoundLog();
  logs.set(group, known);
  return known;
}

/** Names in a folder that may be missing. */
export function* listFolder(disk: Disk, folder: string): Task<readonly string[]> {
  try {
    return yield* call<readonly string[]>((done) => disk.list(folder, done));
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") return [];
    throw error;
  }
}

function* readBeginning(disk: Disk, path: string): Task<{ readonly beginning: Uint8Array; readonly size: number }> {
  const file = yield* call<DiskFile>((done) => disk.open(path, "read", done));
  try {
    const size = yield* call<number>((done) => file.size(done));
    return { beginning: yield* readExactly(file, 0, Math.min(size, HEADER_READ_BYTES)), size };
  } finally {
    yield* perform((done) => file.close(done));
  }
}

function* readWhole(disk: Disk, path: string, size: number): Task<Uint8Array> {
  const file = yield* call<DiskFile>((done) => disk.open(path, "read", done));
  try {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += SLICE_BYTES) bytes.set(yield* readExactly(file, at, Math.min(SLICE_BYTES, size - at)), at);
    return bytes;
  } finally {
    yield* perform((done) => file.close(done));
  }
}
