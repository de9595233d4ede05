/** What a node says of itself when it is asked: one picture of the whole, taken at one moment. */
import { isJoint, isLearner, isVoter } from "../core/quorum.js";
import type { Raft } from "../core/raft.js";
import type { MemberId, Micros } from "../core/types.js";
import { hexadecimal } from "./cluster-id.js";
import type { LeaderHint } from "./errors.js";
import { incarnationText, memberName } from "./member-id.js";
import { isPlaceholder } from "./membership.js";
import type { ConfigurationStatus, NodeStatus, PeerStatus, SessionStatus } from "./node.js";
import type { NodeOptions } from "./options.js";
import type { PeerAddress } from "./ports.js";
import { SessionTable } from "./sessions/table.js";
import type { NodeStorage } from "./storage-binding.js";

export interface StatusParts {
  readonly options: NodeOptions;
  readonly clusterId: Uint8Array;
  readonly storage: NodeStorage | null;
  readonly raft: Raft | null;
  readonly state: NodeStatus["state"];
  readonly failure: string | null;
  readonly leader: LeaderHint | null;
  readonly peers: readonly PeerAddress[];
  /** Whether there is a connection to this member, or to whoever was dialled by this name. */
  readonly isConnected: (id: MemberId | null, name: string) => boolean;
  readonly pendingProposals: number;
  readonly pendingReads: number;
  /** Null while there is no machine yet. */
  readonly sessions: SessionTable | null;
  readonly now: Micros;
}

export function statusOf(parts: StatusParts): NodeStatus {
  const { options, storage, raft, state, failure, leader } = parts;
  const { voters, learners, members } = membersOf(raft);
  return {
    id: options.id,
    incarnation: incarnationText(storage?.incarnation ?? 0n),
    clusterId: hexadecimal(parts.clusterId),
    boot: storage?.boot ?? 0,
    state,
    failure,
    role: raft?.role ?? "follower",
    currentTerm: raft?.currentTerm ?? 0,
    leader,
    commitIndex: raft?.commitIndex ?? 0,
    lastApplied: raft?.lastApplied ?? 0,
    lastLogIndex: raft?.lastLogIndex ?? 0,
    durableIndex: raft?.durableIndex ?? 0,
    snapshotIndex: raft?.snapshot.lastIncludedIndex ?? 0,
    firstLogIndex: (raft?.logStart.index ?? 0) + 1,
    leaderHeardMs: millisecondsBetween(raft?.leaderHeardAt ?? null, parts.now),
    leaseMs: millisecondsBetween(parts.now, raft?.leaseUntil ?? null),
    pendingProposals: parts.pendingProposals,
    pendingReads: parts.pendingReads,
    sessions: sessionStatusOf(parts.sessions ?? new SessionTable()),
    voters,
    learners,
    peers: peersOf(parts),
    members,
    configuration: configurationStatusOf(raft),
    recovering: raft === null ? null : recoveringIn(raft),
    warnings: storage?.warnings ?? [],
    log: storage?.counters() ?? { syncs: 0, batches: 0, entries: 0, bytes: 0 },
  };
}

function millisecondsBetween(from: Micros | null, to: Micros | null): number | null {
  return from === null || to === null ? null : Math.max(0, to - from) / 1000;
}

/** What a node that has lost entries waits for, in words; null: it is whole. */
export function recoveringIn({ recovering, configuration, id }: Raft): string | null {
  if (recovering === null) return null;
  const { lost, answers } = recovering;
  if (lost === null) return "part of the log is lost, and which entries is not known: waits for a leader to repair it";
  const said = configuration.members
    .filter((member) => member.id !== id)
    .map((member) => {
      const status = answers.find((answer) => answer.member === member.id)?.status;
      if (status === "dontHave") return `${member.name} does not have it`;
      return status === "haveFaulty" ? `${member.name} can't give it` : `${member.name} has not answered`;
    });
  return `entry ${lost.index} of term ${lost.term} is lost here; ${said.join(", ")}: waits for somebody who has it, for a leader, or for a majority that does not have it`;
}

function membersOf(raft: Raft | null): Pick<NodeStatus, "voters" | "learners" | "members"> {
  if (raft === null) return { voters: [], learners: [], members: [] };
  const { configuration } = raft;
  const members = configuration.members
    .map(({ id, name, address }) => ({
      name,
      address,
      incarnation: id.slice(-16),
      voter: isVoter(configuration, id),
      learner: isLearner(configuration, id),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    voters: members.filter(({ voter }) => voter).map(({ name }) => name),
    learners: members.filter(({ learner }) => learner).map(({ name }) => name),
    members,
  };
}

function peersOf({ options, raft, peers, isConnected }: StatusParts): readonly PeerStatus[] {
  // Members first: which of them is dialled by its address only, because another stood there before, is nobody's concern.
  const members = (raft?.reachable ?? []).filter(({ id }) => !isPlaceholder(id) || isListed(raft, id));
  const others = peers.filter(({ address }) => members.every((member) => member.address !== address));
  return [...members, ...others.map((peer) => ({ ...peer, id: null }))]
    .filter(({ name }) => name !== options.id)
    .map(({ id, name, address }) => {
      const progress = id === null ? undefined : raft?.progress.get(id);
      return {
        name,
        address,
        connected: isConnected(id, name),
        matchIndex: progress?.matchIndex ?? null,
        nextIndex: progress?.nextIndex ?? null,
        state: progress?.state ?? null,
      };
    });
}

function isListed(raft: Raft | null, id: MemberId): boolean {
  return raft?.configuration.members.some((member) => member.id === id) === true;
}

function sessionStatusOf({ sessions, counts }: SessionTable): SessionStatus {
  return { open: sessions.size, ...counts };
}

function configurationStatusOf(raft: Raft | null): ConfigurationStatus {
  if (raft === null) return { index: 0, committed: false, joint: false, staged: null };
  const { configuration, configurationIndex, commitIndex } = raft;
  const { staged } = configuration;
  const names = (ids: readonly string[]): readonly string[] => ids.map(memberName);
  return {
    index: configurationIndex,
    committed: configurationIndex <= commitIndex,
    joint: isJoint(configuration),
    staged:
      staged === null ? null : { promote: names(staged.promote), remove: names(staged.remove), demote: names(staged.demote) },
  };
}
