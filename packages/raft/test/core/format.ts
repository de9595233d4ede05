/** How the golden tests print things: one short line for each event, message and batch. */
import {
  type Entry,
  type HardState,
  type LogPosition,
  type MemberId,
  type Message,
  type PersistBatch,
  type RaftEvent,
  readStamp,
} from "../../src/core/index.js";

const text = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "?")).join("");

/** `session +300ms "x"`: appended by a leader that had led for so long. */
function formatSession(data: Uint8Array): string {
  const stamp = readStamp(data);
  return stamp === null ? "session without a stamp" : `session +${stamp.ledFor / 1000}ms "${text(stamp.request)}"`;
}

/** `5/2` is the entry at index 5 with term 2; a command shows its text, a no-op `noop`, a configuration `conf`. */
export function formatEntry(entry: Entry): string {
  const what =
    entry.type === "command"
      ? `"${text(entry.data)}"`
      : entry.type === "noop"
        ? "noop"
        : entry.type === "session"
          ? formatSession(entry.data)
          : "conf";
  return `${entry.index}/${entry.term} ${what}`;
}

export function formatEntries(entries: readonly Entry[]): string {
  if (entries.length <= 3) return `[${entries.map(formatEntry).join(", ")}]`;
  const [first, last] = [entries[0], entries.at(-1)];
  return first === undefined || last === undefined ? "[]" : `[${formatEntry(first)} .. ${formatEntry(last)}]`;
}

export const formatPosition = (position: LogPosition): string => `${position.index}/${position.term}`;

/** The terms of a log, as Figure 7 of the paper draws them. */
export function formatTerms(entries: readonly Entry[]): string {
  return entries.map((entry) => entry.term).join(" ");
}

export function formatHardState(state: HardState): string {
  return `term=${state.currentTerm} vote=${state.votedFor ?? "-"} commit=${state.commitIndex}${state.recovering === true ? " recovering" : ""}`;
}

export function formatBatch(batch: PersistBatch): string {
  const parts = [`#${batch.ticket}`, formatHardState(batch.hardState)];
  if (batch.logStart !== null)
    parts.push(`start=${formatPosition(batch.logStart.position)}${batch.logStart.keepSuffix ? " keep-suffix" : ""}`);
  if (batch.entries.length > 0) parts.push(formatEntries(batch.entries));
  return parts.join(" ");
}

export function formatMessage(message: Message): string {
  const head = `${message.type} term=${message.term}`;
  switch (message.type) {
    case "RequestPreVote":
      return `${head} proposed=${message.proposedTerm} last=${message.lastLogIndex}/${message.lastLogTerm}`;
    case "RequestPreVoteResponse":
      return `${head} proposed=${message.proposedTerm} ${message.voteGranted ? "granted" : "refused"}`;
    case "RequestVote":
      return `${head} last=${message.lastLogIndex}/${message.lastLogTerm}${message.leadershipTransfer ? " transfer" : ""}`;
    case "RequestVoteResponse":
      return `${head} ${message.voteGranted ? "granted" : "refused"}`;
    case "AppendEntries":
      return `${head} prev=${message.prevLogIndex}/${message.prevLogTerm} commit=${message.leaderCommit}${message.leases ? " leases" : ""} ${formatEntries(message.entries)}`;
    case "AppendEntriesResponse":
      return message.success
        ? `${head} prev=${message.prevLogIndex} match=${message.matchIndex}`
        : `${head} prev=${message.prevLogIndex} refused hint=${message.hintIndex}/${message.hintTerm}`;
    case "Heartbeat":
      return `${head} commit=${message.leaderCommit} round=${message.readRound}${message.leases ? " leases" : ""}`;
    case "HeartbeatResponse":
      return `${head} round=${message.readRound}${message.promised ? " promised" : ""}`;
    case "InstallSnapshot":
      return `${head} last=${message.lastIncludedIndex}/${message.lastIncludedTerm} offset=${message.offset} bytes=${message.data.length}${message.done ? " done" : ""}`;
    case "InstallSnapshotResponse":
      return `${head} last=${message.lastIncludedIndex}/${message.lastIncludedTerm} ${message.status} offset=${message.offset}`;
    case "ReadIndexRequest":
      return `${head} id=${message.requestId}`;
    case "ReadIndexResponse":
      return `${head} id=${message.requestId} index=${message.readIndex ?? "refused"}`;
    case "ProposeRequest":
      return `${head} id=${message.requestId}${message.entryType === "session" ? " session" : ""} [${message.commands.map((each) => `"${text(each)}"`).join(", ")}]`;
    case "ProposeResponse":
      return `${head} id=${message.requestId} ${message.refusal ?? `${message.firstIndex}/${message.entryTerm}`}`;
    case "ChangeRequest":
      return `${head} id=${message.requestId} ${message.change.kind}`;
    case "ChangeResponse":
      return `${head} id=${message.requestId} ${message.refusal ?? `${message.index}/${message.entryTerm}`}`;
    case "TimeoutNow":
      return head;
    case "TransferRequest":
      return `${head} id=${message.requestId} to=${message.target ?? "the best"}`;
    case "TransferResponse":
      return `${head} id=${message.requestId} ${message.refusal}`;
    case "EntryStatusRequest":
      return `${head} id=${message.requestId} ${message.index}/${message.entryTerm} durable=${message.durableIndex}`;
    case "EntryStatusResponse":
      return `${head} id=${message.requestId} ${message.index}/${message.entryTerm} ${message.status}${message.entry === null ? "" : ` [${formatEntry(message.entry)}]`}${message.leading ? " leading" : ""} last=${message.lastLogIndex}`;
  }
}

const list = (ids: readonly MemberId[]): string => (ids.length === 0 ? "-" : ids.join(","));

export function formatEvent(event: RaftEvent): string {
  switch (event.type) {
    case "roleChanged":
      return `${event.previous} -> ${event.role} in term ${event.term} (${event.reason})`;
    case "termChanged":
      return `term ${event.previous} -> ${event.term}`;
    case "leaderChanged":
      return `leader of term ${event.term}: ${event.leader ?? "unknown"}`;
    case "electionTimeout":
      return `election timeout in term ${event.term}`;
    case "voteCast":
      return `votes for ${event.candidate} in term ${event.term}`;
    case "voteRefused":
      return `refuses ${event.preVote ? "pre-vote" : "vote"} of ${event.candidate} for term ${event.term}: ${event.reason}`;
    case "voteReceived":
      return `${event.preVote ? "pre-vote" : "vote"} of ${event.voter} for term ${event.term}: ${event.granted ? "granted" : "refused"}`;
    case "entriesAppended":
      return `appends ${event.first}..${event.last}`;
    case "entriesRestored":
      return `restores ${event.first}..${event.last}`;
    case "logTruncated":
      return `truncates from ${event.from} (last was ${event.previousLast})`;
    case "entriesDurable":
      return `durable up to ${event.durableIndex}`;
    case "commitAdvanced":
      return `committed up to ${event.commitIndex}`;
    case "appendRefused":
      return `refuses entries of ${event.peer} after ${event.prevLogIndex}, hint ${event.hintIndex}/${event.hintTerm}`;
    case "progressChanged":
      return `${event.peer}: ${event.state} next=${event.nextIndex}`;
    case "configurationChanged":
      return `configuration ${event.index}: voters ${list(event.voters)} outgoing ${list(event.votersOutgoing)} learners ${list(event.learners)}`;
    case "configurationCommitted":
      return `configuration ${event.index} is committed`;
    case "memberRemoved":
      return `is no member any more (configuration ${event.index})`;
    case "catchUpRound":
      return `${event.peer} reached ${event.target} in round ${event.round}, after ${event.tookMicros / 1000} ms${event.done ? ": close enough" : ""}`;
    case "farewellEnded":
      return `sends no more to ${event.peer}, which ${event.told ? "knows that it left" : "could not be told"}`;
    case "readConfirmed":
      return `read ${event.id} confirmed at ${event.readIndex}${event.lease ? " by the lease" : ""}`;
    case "leaseRefused":
      return `no read from the lease: ${event.reason}`;
    case "quorumLost":
      return `no quorum answers in term ${event.term}`;
    case "leaderRefused":
      return `${event.leader}, which leads, refuses connections${event.held ? "; its lease may run" : ""}`;
    case "leaderRestarted":
      return `${event.leader}, which led, began anew${event.hadPromise ? "; its lease is over" : ""}`;
    case "transferStarted":
      return `hands over to ${event.target} in term ${event.term}`;
    case "transferEnded":
      return `handing over to ${event.target} ends: ${event.reason}`;
    case "transferAnswered":
      return `${event.from} answers transfer ${event.requestId}: ${event.refusal}`;
    case "snapshotSending":
      return `sends snapshot ${event.lastIncludedIndex} to ${event.peer}`;
    case "snapshotSent":
      return `snapshot ${event.lastIncludedIndex} is at ${event.peer}`;
    case "snapshotInstalled":
      return `installed snapshot ${event.lastIncludedIndex}/${event.lastIncludedTerm}${event.keptSuffix ? ", kept the log after it" : ""}`;
    case "logCompacted":
      return `log compacted up to ${event.purgedIndex}`;
    case "durableRegressed":
      return `ALARM ${event.peer} acknowledged ${event.matchIndex} and now has ${event.durableIndex}`;
    case "followerRecovering":
      return `${event.peer} acknowledged ${event.matchIndex}, has lost some of it, and now has ${event.durableIndex}`;
    case "recoveryWaits":
      return `has lost ${event.index}/${event.term} and knows no leader; said so far: ${event.answers.map(({ member, status }) => `${member} ${status}`).join(", ") || "nothing"}`;
    case "recovered":
      return `is whole again, ${event.how}: its log ends at ${event.lastIndex}`;
    case "messageIgnored":
      return `ignores ${event.message} of ${event.from}: ${event.reason}`;
    case "invariantViolated":
      return `INVARIANT VIOLATED: ${event.invariant}: ${event.detail}`;
  }
}
