/** Recognises rare situations in what nodes say and do, and counts them (coverage.ts has the list). */
import type { Raft } from "../core/raft.js";
import type { Index, MemberId } from "../core/types.js";
import type { NodeEvent, StateMachine } from "../runtime/index.js";
import type { Cluster, Observer } from "./cluster.js";
import type { Coverage } from "./coverage.js";

interface NodeMemory {
  /** Refusals of a follower in a row, by follower. */
  readonly refusals: Map<string, number>;
  durableIndex: Index;
  commitIndex: Index;
  /** It cast a vote of which nobody has heard: a crash may forget it. */
  votedInSilence: boolean;
  /** A snapshot is on its way to somebody. */
  sending: boolean;
  /** It campaigns because its leader told it to. */
  told: boolean;
  configurationIndex: Index;
  /** That configuration is joint, or waits for new voters. */
  unfinished: boolean;
}

export interface SituationsOptions<Machine extends StateMachine> {
  readonly coverage: Coverage;
  readonly cluster: () => Cluster<Machine>;
  /** Whether a node is cut off from a majority at this moment. */
  readonly isCutOff: (name: string) => boolean;
  /** State machines keep themselves on disk: then files of snapshots are the exception. */
  readonly isOnDisk: boolean;
  /** Whether this member leads at this moment. */
  readonly isLeading: (id: MemberId) => boolean;
  /** How many nodes lead right now. */
  readonly leadersNow: () => number;
}

export function watchSituations<Machine extends StateMachine>(options: SituationsOptions<Machine>): Observer {
  const { coverage } = options;
  const memories = new Map<string, NodeMemory>();
  const memoryOf = (name: string): NodeMemory => {
    let memory = memories.get(name);
    if (memory === undefined) {
      memory = {
        refusals: new Map(),
        durableIndex: 0,
        commitIndex: 0,
        votedInSilence: false,
        sending: false,
        told: false,
        configurationIndex: 0,
        unfinished: false,
      };
      memories.set(name, memory);
    }
    return memory;
  };

  function roleChanged(event: Extract<NodeEvent, { type: "roleChanged" }>): void {
    if (event.role === "leader") {
      coverage.note("electionWon");
      if (options.leadersNow() > 1) coverage.note("twoLeaders");
    }
    if (event.previous === "candidate" && event.role === "follower") coverage.note("electionLost");
    if (event.previous === "preCandidate" && event.role === "follower" && event.reason.includes("would not vote"))
      coverage.note("preVoteLost");
    if (event.previous !== "leader") return;
    if (event.reason.includes("higher term") || event.reason.includes("asked for a vote")) coverage.note("leaderDeposed");
    if (event.reason.includes("no space")) coverage.note("noSpaceLeader");
    if (event.reason.includes("the disk has not")) coverage.note("slowDiskLeader");
    if (event.reason.includes("was paused")) coverage.note("pausedLeader");
    if (event.reason.includes("no voter any more")) coverage.note("leaderLeft");
  }

  /** What is about leaders that hand over, seem gone, or hold leases. */
  function leadershipEvent(name: string, event: NodeEvent): void {
    switch (event.type) {
      case "transferStarted":
        coverage.note("transferStarted");
        if (options.cluster().members.some((member) => options.isCutOff(member.name))) coverage.note("transferWhilePartitioned");
        break;
      case "transferEnded":
        if (event.reason === "timedOut") coverage.note("transferTimedOut");
        if (event.reason === "targetLost") coverage.note("transferTargetLost");
        break;
      case "messageIgnored":
        if (event.message === "TimeoutNow") coverage.note("timeoutNowIgnored");
        break;
      case "leaderRefused":
        coverage.note(event.held ? "leaderRefusedHeld" : "leaderRefused");
        if (!event.held && options.isLeading(event.leader)) coverage.note("leaderRefusedAlive");
        break;
      case "leaderRestarted":
        coverage.note("leaderRestarted");
        if (event.hadPromise) coverage.note("promiseVoided");
        break;
      case "readConfirmed":
        if (event.lease) coverage.note("leaseRead");
        break;
      case "leaseRefused":
        if (event.reason === "expired") coverage.note("leaseExpired");
        if (event.reason === "handedOver") coverage.note("leaseHandedOver");
        if (event.reason === "nothingCommitted") coverage.note("leaseNothingCommitted");
        if (event.reason !== "off") coverage.note("leaseFellBack");
        break;
      case "voteRefused":
        if (event.reason === "leasePromised") coverage.note("voteRefusedLease");
        if (event.reason === "justStarted") coverage.note("voteRefusedJustStarted");
        break;
      case "roleChanged":
        roleOfTold(name, event);
        break;
      default:
        break;
    }
  }

  function roleOfTold(name: string, event: Extract<NodeEvent, { type: "roleChanged" }>): void {
    const memory = memoryOf(name);
    if (memory.told) coverage.note(event.role === "leader" ? "transferWon" : "transferLost");
    memory.told = event.role === "candidate" && event.previous === "follower";
  }

  function logEvent(name: string, memory: NodeMemory, event: NodeEvent, raft: Raft | null): void {
    switch (event.type) {
      case "logTruncated":
        coverage.note("logTruncated");
        if (event.from <= memory.durableIndex) coverage.note("durableTruncated");
        if (event.previousLast - event.from >= 9) coverage.note("longTruncated");
        memory.durableIndex = Math.min(memory.durableIndex, event.from - 1);
        options.cluster().replacing.add(name);
        break;
      case "entriesDurable":
        memory.durableIndex = event.durableIndex;
        options.cluster().replacing.delete(name);
        break;
      case "commitAdvanced":
        if (raft?.role === "leader" && (raft.termAt(memory.commitIndex + 1) ?? raft.currentTerm) < raft.currentTerm)
          coverage.note("oldTermCommitted");
        memory.commitIndex = event.commitIndex;
        break;
      case "progressChanged":
        if (event.state === "probe") coverage.note("probedAgain");
        if (event.state === "replicate") memory.refusals.delete(event.peer);
        break;
      default:
        break;
    }
  }

  function membersChange(memory: NodeMemory, event: NodeEvent, raft: Raft | null): void {
    switch (event.type) {
      case "configurationChanged":
        if (event.votersOutgoing.length > 0) coverage.note("configurationJoint");
        if (event.index < memory.configurationIndex) coverage.note("configurationTruncated");
        if (
          raft !== null &&
          raft.role === "leader" &&
          event.index > Math.max(memory.configurationIndex, raft.snapshot.configurationIndex)
        ) {
          const before = raft.termAt(memory.configurationIndex);
          if (before !== null && before < raft.currentTerm && memory.unfinished) coverage.note("changeCarriedOn");
        }
        memory.unfinished =
          event.votersOutgoing.length > 0 || (raft !== null && raft.configurationAt(event.index).configuration.staged !== null);
        memory.configurationIndex = event.index;
        break;
      case "removed":
        coverage.note("removedTold");
        break;
      case "catchUpRound":
        if (event.done) coverage.note(event.round > 1 ? "caughtUpLate" : "caughtUp");
        break;
      case "farewellEnded":
        if (!event.told) coverage.note("farewellGivenUp");
        break;
      default:
        break;
    }
  }

  return {
    event(name, event, raft) {
      const memory = memoryOf(name);
      leadershipEvent(name, event);
      switch (event.type) {
        case "roleChanged":
          roleChanged(event);
          break;
        case "electionTimeout":
          if (raft?.role === "candidate") coverage.note("electionTimedOut");
          break;
        case "voteCast":
          memory.votedInSilence = true;
          if (raft !== null && !raft.configuration.members.some(({ id }) => id === event.candidate))
            coverage.note("votedForStranger");
          break;
        case "voteRefused":
          if (event.reason === "recovering") coverage.note("recoveringRefusedVote");
          if (event.preVote && event.reason === "leaderAlive") coverage.note("preVoteRefusedLeaderAlive");
          if (event.preVote && event.reason === "logNotUpToDate") coverage.note("preVoteRefusedLog");
          if (!event.preVote && event.reason === "logNotUpToDate") coverage.note("voteRefusedLog");
          if (!event.preVote && event.reason === "votedForOther") coverage.note("voteRefusedOther");
          break;
        case "quorumLost":
          coverage.note("leaderLostQuorum");
          break;
        case "appendRefused":
          coverage.note("appendRefused");
          break;
        case "snapshotTaken":
          coverage.note("snapshotTaken");
          if (event.bytes > 0 && options.isOnDisk) coverage.note("machineFileOnDemand");
          if (options.isCutOff(name)) coverage.note("snapshotWhilePartitioned");
          break;
        case "snapshotSending":
          if (memory.sending) coverage.note("snapshotLeftBehind");
          memory.sending = true;
          break;
        case "snapshotSent":
          memory.sending = false;
          coverage.note("snapshotSent");
          break;
        case "snapshotInstalled":
          coverage.note(event.keptSuffix ? "snapshotKeptSuffix" : "snapshotInstalled");
          if ((raft?.recovering ?? null) !== null) coverage.note("repairedBySnapshot");
          break;
        case "recoveryWaits":
          coverage.note("recoveryAsked");
          break;
        case "followerRecovering":
          coverage.note("followerFellBack");
          break;
        case "recovered":
          if (event.how === "led") coverage.note("repairedByLeader");
          if (event.how === "discarded") coverage.note("repairedByDiscard");
          if (event.how === "copied") coverage.note("repairedByCopies");
          if (event.how === "copied" && raft?.leaderId === null) coverage.note("repairedWithoutLeader");
          break;
        case "configurationChanged":
        case "memberRemoved":
        case "removed":
        case "catchUpRound":
        case "farewellEnded":
          membersChange(memory, event, raft);
          break;
        case "snapshotRestored": {
          const life = options.cluster().members.find((member) => member.name === name)?.life;
          if (life?.host.running?.host.durable !== null) coverage.note("machineReplaced");
          if ((life?.host.running?.host.sessions.sessions.size ?? 0) > 0) coverage.note("sessionRestored");
          break;
        }
        case "loopLate":
          coverage.note("loopLate");
          break;
        default:
          logEvent(name, memory, event, raft);
          break;
      }
    },
    sent(from, _to, message) {
      if (message.type === "ProposeRequest") coverage.note("forwarded");
      if (message.type === "EntryStatusResponse" && message.status === "haveFaulty" && message.index > 0)
        coverage.note("faultyAnswer");
      else if (message.type === "ProposeResponse") {
        if (message.refusal === "transferring") coverage.note("writeHeld");
      } else if (message.type === "RequestVote" || message.type === "RequestVoteResponse") memoryOf(from).votedInSilence = false;
    },
    received(to, from, message) {
      if (message.type !== "AppendEntriesResponse" || message.success) return;
      const { refusals } = memoryOf(to);
      const count = (refusals.get(from) ?? 0) + 1;
      refusals.set(from, count);
      if (count === 2) coverage.note("backtrackedTwice");
    },
    stopped(name) {
      const memory = memoryOf(name);
      if (memory.votedInSilence) coverage.note("voteForgottenByCrash");
      if (memory.sending) coverage.note("snapshotTransferCut");
      memories.delete(name);
    },
  };
}
