/**
 * Which rare situations a run has been in. A simulation that finds nothing says something only if what it promises to try did
 * happen; so each situation has a name and is counted, and a long run in which one never came is a failure.
 *
 * A dozen names are the misfortunes themselves, the others are what came of them.
 */
export const SITUATIONS = {
  // Elections
  electionWon: "a leader was elected",
  electionLost: "a candidate was refused by a quorum, or met the leader of its term",
  electionTimedOut: "a candidate's election timed out with the votes split or lost",
  preVoteLost: "a pre-candidate gave up because a quorum would not vote for it",
  preVoteRefusedLeaderAlive: "a pre-vote was refused because a leader is alive",
  preVoteRefusedLog: "a pre-vote was refused because of an older log",
  voteRefusedLog: "a vote was refused because of an older log",
  voteRefusedOther: "a vote was refused because another had it",
  voteForgottenByCrash: "a node crashed between casting a vote and its being durable",
  voteKeptOverRestart: "a node came back with a vote in its present term",
  twoLeaders: "two nodes led at once, in different terms",
  leaderLostQuorum: "a leader stepped down because no quorum answered",
  leaderDeposed: "a leader stepped down before a higher term",
  leaderCrashed: "a leader crashed",
  candidateCrashed: "a candidate crashed",
  // Leadership that moves
  transferAsked: "somebody asked for leadership to move",
  transferAnswered: "… and was told that it did",
  transferFailed: "… and was told that it did not, or not in time",
  transferRefused: "… and was refused",
  transferStarted: "a leader began to hand over",
  transferWon: "whoever was told to campaign by its leader was elected",
  transferLost: "whoever was told to campaign by its leader was not elected",
  transferTimedOut: "a leader gave up handing over after an election timeout",
  transferTargetLost: "a leader gave up handing over because it lost the target",
  transferWhilePartitioned: "a leader handed over while some node was cut off",
  transferLeaderCrashed: "a leader crashed while it handed over",
  timeoutNowIgnored: "a node was told to campaign, and had reason not to",
  writeHeld: "a leader that was handing over told a follower to hold its commands",
  toldToStepDown: "a leader was told to step down",
  closed: "a node was stopped in an orderly way",
  handedOverOnClose: "a leader that was stopped handed over before it went",
  // Leaders whose process ended, or seems to have
  connectionsRefused: "a node that lives refused connections",
  leaderRefused: "a follower was refused by its leader's address, and acted on it",
  leaderRefusedAlive: "… while the leader lived",
  leaderRefusedHeld: "a follower was refused by its leader's address, and a promise to its lease forbade to act on it",
  leaderRestarted: "a follower saw its leader's node begin another life",
  promiseVoided: "… and was free of what it had promised to the lease of the earlier one",
  // Leases
  leaseRead: "a read was answered from a lease",
  leaseExpired: "a read was not answered from a lease because it had run out",
  leaseHandedOver: "a read was not answered from a lease because somebody had been told to campaign",
  leaseNothingCommitted: "a read was not answered from a lease because nothing of the term was committed",
  leaseFellBack: "a client that would have been served from a lease was served by a round of heartbeats, or by none",
  voteRefusedLease: "a vote was refused because of a promise to a lease",
  voteRefusedJustStarted: "a vote was refused because a lease promised in an earlier life may run",
  // The log
  appendRefused: "a follower refused entries that do not follow its log",
  backtrackedTwice: "a leader had to go back twice to find where two logs agree",
  logTruncated: "a follower's entries were replaced",
  durableTruncated: "entries that were durable were replaced",
  longTruncated: "ten entries or more were replaced at once",
  oldTermCommitted: "an entry of an earlier term was committed together with one of the present",
  hintUsedAfterRestart: "a node came back knowing that something is committed",
  probedAgain: "a leader lost what was on its way and began to ask again",
  // Snapshots
  snapshotTaken: "a snapshot was taken",
  snapshotSent: "a leader sent a snapshot",
  snapshotInstalled: "a follower installed a snapshot and dropped its log",
  snapshotKeptSuffix: "a follower installed a snapshot and kept what followed",
  snapshotWhilePartitioned: "a snapshot was taken by a node that was cut off",
  snapshotTransferCut: "a crash or a cut interrupted a snapshot on its way",
  snapshotLeftBehind: "the leader compacted its log again while a snapshot was on its way",
  snapshotPutAside: "a damaged snapshot was found at a start and an older state used",
  // The members
  changeDone: "a change of the members was carried out to its end while somebody waited for it",
  changeRefused: "a change of the members was refused, or taken back",
  changeUnknown: "somebody stopped waiting for a change of the members without knowing what becomes of it",
  changeWhileCutOff: "a change of the members was asked of a node that was cut off",
  configurationJoint: "a configuration became joint",
  configurationTruncated: "a configuration was truncated away, and the one before was in force again",
  changeCarriedOn: "a new leader took the next step of a change that another had begun",
  leaderLeft: "a leader was left out by a change, and gave way when that was committed",
  removedTold: "a member that was removed learned of it",
  caughtUp: "a new member came close enough to vote",
  caughtUpLate: "a new member needed several rounds to come close enough",
  farewellGivenUp: "a leader gave up telling a member that it was removed",
  votedForStranger: "a node voted for a candidate that its own configuration does not list",
  wipedAddedAgain: "a node that had lost its disk was removed and added again",
  // Machines that keep themselves on disk
  machineKeptItself: "a node came back with what its machine had kept by itself",
  machineLostTransactions: "a loss of power took transactions of a machine, which the log still had",
  machineFileOnDemand: "a snapshot's file was written because a follower needed one",
  machineReplaced: "a machine on disk was replaced by a snapshot of another node",
  // The disk
  powerLost: "one node lost its power",
  blackout: "all nodes lost their power at once",
  killed: "a process was killed",
  killedWhileOpening: "a node went down while it was opening its directory",
  tornTail: "a torn write was found at a start and left out",
  tornTailAfterConflict: "a torn write was found by a node whose last act was to replace entries",
  segmentsPurged: "segments of the log were removed",
  syncFailed: "a sync failed, and the node with it",
  writeFailed: "a write failed",
  readFailed: "a read failed",
  readFellShort: "a read gave fewer bytes than there are",
  noSpace: "the log found no space",
  noSpaceLeader: "a leader gave way because it found no space",
  slowDiskLeader: "a leader gave way because its disk stood still",
  damageRecovering: "damage was found at a start and the node took part again only to be repaired",
  recoveryAsked: "a node that had lost entries and knew no leader asked the others for them",
  repairedByCopies: "a node that had lost entries got them back",
  repairedWithoutLeader: "a node that had lost entries got them back while it knew no leader",
  repairedByDiscard: "a lost entry was discarded because a majority does not have it",
  repairedByLeader: "a node that had lost entries has its leader's log instead",
  repairedBySnapshot: "a node that had lost entries was sent a snapshot",
  recoveringRefusedVote: "a node that had lost entries was asked for its vote and refused",
  followerFellBack: "a leader heard that a follower no longer holds what it had acknowledged",
  faultyAnswer: "a node could not say whether it had had an entry that another has lost",
  damageRefused: "damage was found at a start and the node refused to take part",
  damageHarmless: "a node came up whole although something on its disk was damaged",
  wiped: "a node came back with an empty disk and was not let in as the one it was",
  // The network
  oneWayCut: "a link was cut in one direction",
  bridge: "two halves could reach each other only through one node",
  majorityCut: "a partition left no majority anywhere",
  arrivedLate: "messages that a cut had held up arrived after it was mended",
  messageLost: "a message was lost",
  messageDuplicated: "a message arrived twice",
  messageReordered: "a message arrived after later ones",
  queueFull: "a message was dropped because too much waited for the peer",
  connectionReset: "a connection was reset",
  // Time
  pausedLong: "a process stood still for longer than an election timeout",
  pausedLeader: "a leader stood still",
  clockJumped: "a clock jumped ahead",
  loopLate: "a node found that it was late",
  // Clients
  forwarded: "a follower handed a command on to the leader",
  writeUnknown: "a client never learned whether its command was executed",
  writeUnknownExecuted: "a command whose outcome was unknown had been executed",
  writeUnknownLost: "a command whose outcome was unknown had not been executed",
  writeRefused: "a command was refused, certainly not executed",
  writeReplaced: "a command was appended and then replaced before it was committed",
  writeRepeated: "a client asked the same again, not knowing whether it was done",
  overloaded: "a node refused a request because too many waited",
  overloadedByLag: "a node refused a command because its state machine was behind",
  readOnFollower: "a follower answered a linearizable read",
  readRefused: "a read was refused",
  // Sessions
  sessionAnsweredAgain: "a command that was repeated was answered from the session table",
  sessionAnsweredAcrossTerms: "a command stood in the log twice, by two leaders",
  sessionExpired: "a session expired",
  sessionRefused: "a session was not opened because there were as many as may be",
  sessionRestored: "a node came by a table with sessions through a snapshot of another",
  sessionResumed: "a client went on with its session at another node",
  sessionToldExpired: "a client was told that its session is over",
  sessionResultNotKept: "a command that was repeated had an answer too large to be kept",
} as const satisfies Record<string, string>;

export type Situation = keyof typeof SITUATIONS;

export class Coverage {
  readonly #counts = new Map<Situation, number>();

  note(situation: Situation, count = 1): void {
    this.#counts.set(situation, (this.#counts.get(situation) ?? 0) + count);
  }

  count(situation: Situation): number {
    return this.#counts.get(situation) ?? 0;
  }

  /** Every situation with how often it came, in the order of the list. */
  counts(): Readonly<Record<Situation, number>> {
    const all = {} as Record<Situation, number>;
    for (const name of Object.keys(SITUATIONS) as Situation[]) all[name] = this.count(name);
    return all;
  }
}
