/**
 * The rules, each by a name, in one sentence, with where it stands: "Raft" is the paper of Ongaro and Ousterhout (2014, the
 * extended version), "dissertation" is Ongaro's (2014). A refusal names the rule that was broken.
 */
export const RULES = {
  // ---- Servers, terms ----
  oneLife: "a server speaks, hears and changes only while it lives (Raft 2)",
  freshStart: "a new server has term 0, no vote and no log, and the founding configuration or none (Raft figure 2)",
  networkInvents: "a message that arrives was sent: the network loses, delays, doubles, and invents nothing (Raft 2)",
  termRises: "a server's current term only rises (Raft 5.1, figure 2)",
  termHasReason: "a term is entered because a message told it, or by adding one in order to campaign (Raft 5.1, 5.2)",
  higherTermDeposes: "whoever hears of a higher term enters it, as a follower, before it says anything more (Raft 5.1)",
  roleFollows: "followers become candidates, candidates leaders, and all of them followers; nothing else (Raft figure 4)",
  // ---- What is durable ----
  batchIsState: "what is handed to the disk is the term, the vote and every entry as they are (Raft figure 2)",
  durableInOrder: "durable is what the disk has reported, batch by batch, and nothing that was cut off since (Raft figure 2)",
  termIsDurable: "a term is durable before the server says anything in it (Raft figure 2)",
  voteIsDurable: "a vote, also one's own, is durable before anybody hears of it (Raft figure 2, 5.2)",
  ackIsDurable: "entries are durable, as the leader has them, before they are acknowledged (Raft figure 2, 5.3)",
  restartKeeps: "a restart gives back term, vote and log as they were durable (Raft figure 2, 5.5)",
  restartInventsNothing: "a restart gives back no term, vote, entry or commit that the server never had (Raft figure 2)",
  // ---- Elections ----
  preVote: "who asks before it campaigns needs the promises of a quorum; a promise changes nothing (dissertation 9.6)",
  transfer:
    "a leader tells only a voter to campaign whose log is as long as its own; only who was told says so (dissertation 3.10, 4.2.3)",
  campaign: "a campaign begins a term of its own, with a vote for oneself, once (Raft 5.2)",
  voteRequest: "a candidate asks with the last index and term of its log (Raft 5.4.1, figure 2)",
  oneVote: "a server gives at most one vote in a term, also over restarts (Raft 5.2)",
  voteAnswers: "a vote answers a candidate that asked for it in this term (Raft 5.2, figure 2)",
  upToDate: "no vote for a candidate whose log is less up to date than the voter's (Raft 5.4.1)",
  electionQuorum: "a leader has the votes of a quorum of its configuration, its own durable one among them (Raft 5.2)",
  electionSafety: "at most one leader in a term (Raft figure 3)",
  leaderCompleteness: "what was committed in earlier terms is in the log of every leader (Raft 5.4, figure 3)",
  // ---- Lost and repaired (FAST 2018) ----
  recoveringIsSilent: "who has lost part of its log neither votes nor leads until it is repaired (FAST 2018, dissertation 3.8)",
  entryStatus: "who gives an entry gives the one of that name; who may have had it never says that it does not (FAST 2018)",
  discardMajority: "a lost entry is discarded only when a majority, beyond its leaders' reach, does not have it (FAST 2018)",
  repairByLeader: "a leader repairs a server whose log is durably its own, up to where it ended when it was asked (Raft 5.4)",
  repairKeeps: "a repaired server has everything that was durable there and is committed (Raft 5.4, figure 3)",
  // ---- Replication ----
  leaderAppendOnly: "a leader only appends to its log, entries of its own term (Raft 5.3, figure 3)",
  logMatching: "index and term name one entry and everything before it (Raft 5.3, figure 3)",
  onlyTheLeader: "only the leader of a term sends entries, heartbeats and snapshots in it (Raft 5.1, 5.2)",
  leadersLog: "AppendEntries carries the leader's log, after the entry it says (Raft 5.3)",
  appendWhatCame: "a follower appends what its leader sent, where the entry before agrees (Raft 5.3)",
  truncateConflict: "entries are cut off only from where the leader's log differs (Raft 5.3, figure 2)",
  committedStays: "committed entries are never cut off or replaced (Raft 5.3, 5.4)",
  ackWhatCame: "an acknowledgement is for what one request held: prevLogIndex and its entries (Raft figure 2)",
  // ---- Commitment, application ----
  commitRises: "commitIndex only rises, within the log (Raft figure 2)",
  commitQuorum: "a leader commits what a quorum has acknowledged, its own durable log included (Raft 5.3, figure 2)",
  commitOwnTerm: "only entries of the leader's term are committed by counting (Raft 5.4.2, figure 8)",
  leaderCommit: "leaderCommit is what the leader has committed, in a heartbeat what the follower acknowledged of it (Raft 5.3)",
  commitAsTold: "a follower commits at most min(leaderCommit, last entry that came with it) (Raft figure 2)",
  stateMachineSafety: "at each index one entry is committed and applied, on all servers (Raft 5.4.3, figure 3)",
  applyCommitted: "only committed entries are applied (Raft 5.3, figure 2)",
  applyInOrder: "commands are applied once each, in the order of the log (Raft 5.3, figure 2)",
  clusterTime: "within a term, the stamps of sessions' entries never fall along the leader's log (dissertation 6.3)",
  // ---- Membership ----
  configurationInLog: "the newest configuration in the log is in force, from its appending to its cutting off (dissertation 4.1)",
  configurationChange:
    "one change at a time, after an entry of the term is committed, by steps whose quorums meet (dissertation 4)",
  // ---- Snapshots ----
  snapshotCommitted: "a snapshot stands for applied entries, with the configuration in force at its end (Raft 7, figure 13)",
  snapshotFromLeader: "a server installs only what a leader sent it, and only beyond what it has committed (Raft 7)",
  snapshotSuffix: "entries after a snapshot stay if the log agrees at its last entry, otherwise all go (Raft figure 13)",
  snapshotAck: "a snapshot is acknowledged when all it stands for is durable (Raft 7)",
  compactBelow: "only what a durable snapshot stands for is compacted (Raft 7)",
  // ---- Reads ----
  readOwnTerm: "a leader answers reads only after it has committed an entry of its term (dissertation 6.4)",
  readRound: "a read is confirmed by a quorum in a round that began after it was asked (dissertation 6.4)",
  readAnswer: "a follower's read is confirmed by the leader's answer to it, as it was given (dissertation 6.4)",
  readLease: "no read from a lease once somebody was told to campaign (dissertation 6.4.1, 3.10)",
  readFresh: "a read sees everything that was committed before it was asked (dissertation 6.4, Raft 8)",
  // ---- The rest ----
  forwarded: "a leader says of forwarded commands where it has appended them (dissertation 6.2)",
  ownAlarm: "a server that finds a rule of its own broken says so",
} as const;

export type RuleName = keyof typeof RULES;

/** Thrown inside the reference; `Reference.accept` makes a sentence of it. */
export class Refusal extends Error {
  constructor(rule: RuleName, detail: string) {
    super(`${rule}: ${detail}. The rule: ${RULES[rule]}`);
  }
}

export function refuse(rule: RuleName, detail: string): never {
  throw new Refusal(rule, detail);
}
