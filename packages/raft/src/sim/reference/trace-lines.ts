/**
 * A trace as lines of text (docs/trace-format.md): a header that names the format and its version, then one record a line, each a
 * JSON object. Fields that are not known are ignored, and so are empty lines; a field that is missing or makes no sense is an error.
 */
import type { TraceMessage, TraceRecord } from "./trace.js";

const FORMAT = "quorate-raft-trace";
const VERSION = 1;

export const TRACE_HEADER = JSON.stringify({ format: FORMAT, version: VERSION });

/** A line that is no part of a trace. */
export class TraceError extends Error {
  readonly line: number;

  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`);
    this.line = line;
  }
}

export function printTrace(records: Iterable<TraceRecord>): string {
  let text = `${TRACE_HEADER}\n`;
  for (const record of records) text += `${JSON.stringify(record)}\n`;
  return text;
}

/** Throws a `TraceError` that names the line. */
export function parseTrace(text: string): TraceRecord[] {
  const records: TraceRecord[] = [];
  let headed = false;
  for (const [place, content] of text.split("\n").entries()) {
    if (content.trim() === "") continue;
    const value = parseLine(content, place + 1);
    if (headed) records.push(asRecord(value, place + 1));
    else checkHeader(value, place + 1);
    headed = true;
  }
  if (!headed) throw new TraceError(1, "there is no header");
  return records;
}

function parseLine(content: string, line: number): unknown {
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new TraceError(line, `not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function checkHeader(value: unknown, line: number): void {
  const { format, version } = isObject(value) ? value : {};
  if (format !== FORMAT) throw new TraceError(line, `the first line must be the header, ${TRACE_HEADER}`);
  if (version !== VERSION) throw new TraceError(line, `version ${String(version)} of the format is unknown, this is ${VERSION}`);
}

function asRecord(value: unknown, line: number): TraceRecord {
  const wrong = wrongWithRecord(value);
  if (wrong !== null) throw new TraceError(line, wrong);
  return value as TraceRecord;
}

// ---- What each field must be ----

/** What is wrong with a value, or null. */
type Check = (value: unknown) => string | null;
/** One for every field of a type, so that the compiler complains of one that is forgotten. */
type Checks<Fields> = { readonly [Name in Exclude<keyof Fields, "type">]-?: Check };

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const count: Check = (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? null : "must be an integer of at least 0";
const text: Check = (value) => (typeof value === "string" ? null : "must be a string");
const flag: Check = (value) => (typeof value === "boolean" ? null : "must be true or false");
const oneOf =
  (...values: readonly (string | null)[]): Check =>
  (value) =>
    values.some((each) => each === value) ? null : `must be one of ${values.map((each) => JSON.stringify(each)).join(", ")}`;
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null ? null : check(value);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined ? null : check(value);
const listOf =
  (check: Check): Check =>
  (value) => {
    if (!Array.isArray(value)) return "must be a list";
    const wrong = value.map(check).find((each) => each !== null);
    return wrong === undefined ? null : `has an element that ${wrong}`;
  };

function wrongWith(value: unknown, checks: Readonly<Record<string, Check>>): string | null {
  if (!isObject(value)) return "must be an object";
  for (const [name, check] of Object.entries(checks)) {
    const wrong = check(value[name]);
    if (wrong !== null) return `"${name}" ${wrong}`;
  }
  return null;
}

const object =
  (checks: Readonly<Record<string, Check>>): Check =>
  (value) =>
    wrongWith(value, checks);

/** An object whose `type` says which fields it has. */
function wrongWithOneOf(value: unknown, kinds: Readonly<Record<string, Readonly<Record<string, Check>>>>): string | null {
  if (!isObject(value)) return "must be an object";
  const { type } = value;
  const checks = typeof type === "string" && Object.hasOwn(kinds, type) ? kinds[type] : undefined;
  if (checks === undefined) return `type ${JSON.stringify(type)} is unknown`;
  const wrong = wrongWith(value, checks);
  return wrong === null ? null : `${String(type)}: ${wrong}`;
}

const role = oneOf("follower", "preCandidate", "candidate", "leader");
const members = listOf(text);
const configuration = object({ voters: members, votersOutgoing: members, learners: members });
const position = { index: count, term: count };
const entry = object({
  ...position,
  type: oneOf("noop", "command", "configuration", "session"),
  digest: count,
  configuration: optional(configuration),
  stamp: optional(count),
});
const hardState = { currentTerm: count, votedFor: orNull(text), commitIndex: count, recovering: optional(flag) };
const snapshotEnd = { lastIncludedIndex: count, lastIncludedTerm: count };
const snapshot = { ...snapshotEnd, configuration, configurationIndex: count };
const lastLog = { lastLogIndex: count, lastLogTerm: count };

const MESSAGES: { readonly [Type in TraceMessage["type"]]: Checks<Extract<TraceMessage, { readonly type: Type }>> } = {
  RequestPreVote: { term: count, proposedTerm: count, ...lastLog },
  RequestPreVoteResponse: { term: count, proposedTerm: count, voteGranted: flag },
  RequestVote: { term: count, ...lastLog, leadershipTransfer: flag },
  RequestVoteResponse: { term: count, voteGranted: flag },
  AppendEntries: {
    term: count,
    prevLogIndex: count,
    prevLogTerm: count,
    entries: listOf(entry),
    leaderCommit: count,
    leases: flag,
  },
  AppendEntriesResponse: {
    term: count,
    success: flag,
    prevLogIndex: count,
    matchIndex: count,
    hintIndex: count,
    hintTerm: count,
  },
  Heartbeat: { term: count, leaderCommit: count, readRound: count, leases: flag },
  HeartbeatResponse: { term: count, readRound: count, promised: flag },
  InstallSnapshot: { term: count, ...snapshotEnd, offset: count, length: count, done: flag },
  InstallSnapshotResponse: { term: count, ...snapshotEnd, offset: count, status: oneOf("continue", "installed", "rejected") },
  ReadIndexRequest: { term: count, requestId: count },
  ReadIndexResponse: { term: count, requestId: count, readIndex: orNull(count) },
  ProposeRequest: { term: count, requestId: count, commands: listOf(count) },
  ProposeResponse: {
    term: count,
    requestId: count,
    firstIndex: count,
    entryTerm: count,
    refusal: oneOf("notLeader", "overloaded", "tooLarge", "transferring", null),
  },
  ChangeRequest: { term: count, requestId: count, expectedIndex: orNull(count) },
  ChangeResponse: { term: count, requestId: count, index: count, entryTerm: count, refusal: orNull(text) },
  TimeoutNow: { term: count },
  TransferRequest: { term: count, requestId: count, target: orNull(text) },
  TransferResponse: { term: count, requestId: count, refusal: text },
  EntryStatusRequest: { term: count, requestId: count, durableIndex: count, index: count, entryTerm: count },
  EntryStatusResponse: {
    term: count,
    requestId: count,
    index: count,
    entryTerm: count,
    status: oneOf("have", "dontHave", "haveFaulty"),
    leading: flag,
    lastLogIndex: count,
    entry: orNull(entry),
  },
};

const message: Check = (value) => wrongWithOneOf(value, MESSAGES);

const RECORDS: { readonly [Type in TraceRecord["type"]]: Checks<Extract<TraceRecord, { readonly type: Type }>> } = {
  start: { node: text, ...hardState, snapshot: object(snapshot), logStart: object(position), entries: listOf(entry) },
  stop: { node: text, forGood: optional(flag) },
  send: { node: text, to: text, message },
  receive: { node: text, from: text, message },
  persist: {
    node: text,
    ticket: count,
    ...hardState,
    logStart: orNull(object({ ...position, keepSuffix: flag })),
    entries: listOf(entry),
  },
  persisted: { node: text, ticket: count },
  snapshot: { node: text, ...snapshot, received: flag },
  read: { node: text, id: count },
  apply: { node: text, entry },
  roleChanged: { node: text, role, previous: role, term: count, reason: text },
  termChanged: { node: text, term: count, previous: count },
  voteCast: { node: text, candidate: text, term: count },
  entriesAppended: { node: text, first: count, last: count, term: count },
  entriesRestored: { node: text, first: count, last: count, term: count },
  logTruncated: { node: text, from: count, previousLast: count },
  entriesDurable: { node: text, durableIndex: count },
  commitAdvanced: { node: text, commitIndex: count, term: count },
  configurationChanged: { node: text, index: count, voters: members, votersOutgoing: members, learners: members },
  readConfirmed: { node: text, id: count, readIndex: count, lease: flag },
  snapshotInstalled: { node: text, ...snapshotEnd, keptSuffix: flag },
  logCompacted: { node: text, purgedIndex: count },
  recovered: { node: text, how: oneOf("copied", "discarded", "led"), lastIndex: count },
  invariantViolated: { node: text, invariant: text, detail: text },
};

const wrongWithRecord: Check = (value) => wrongWithOneOf(value, RECORDS);
