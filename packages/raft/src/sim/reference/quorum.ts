/**
 * What a quorum is: a majority of the voters, and while a configuration is joint a majority of each of the two sets by
 * itself (Raft section 6, dissertation 4.3). Learners count nowhere.
 */
import type { MemberId } from "../../core/index.js";
import type { TraceConfiguration } from "./trace.js";

/** The greatest value that a majority has reached. Of no members there is no majority: nothing is ever reached. */
function reachedByMajority(members: readonly MemberId[], reachedBy: (member: MemberId) => number): number {
  const descending = members.map(reachedBy).sort((left, right) => right - left);
  return descending[Math.floor(members.length / 2)] ?? Number.NEGATIVE_INFINITY;
}

/** The greatest value that a quorum has reached. */
export function reachedByQuorum(configuration: TraceConfiguration, reachedBy: (member: MemberId) => number): number {
  const { voters, votersOutgoing } = configuration;
  const reached = reachedByMajority(voters, reachedBy);
  return votersOutgoing.length === 0 ? reached : Math.min(reached, reachedByMajority(votersOutgoing, reachedBy));
}

export function isVoter({ voters, votersOutgoing }: TraceConfiguration, member: MemberId): boolean {
  return voters.includes(member) || votersOutgoing.includes(member);
}

export function isQuorum(configuration: TraceConfiguration, has: (member: MemberId) => boolean): boolean {
  return reachedByQuorum(configuration, (member) => (has(member) ? 1 : 0)) === 1;
}

const sameMembers = (left: readonly MemberId[], right: readonly MemberId[]): boolean =>
  left.length === right.length && left.every((member) => right.includes(member));

export function sameConfiguration(left: TraceConfiguration, right: TraceConfiguration): boolean {
  return (
    sameMembers(left.voters, right.voters) &&
    sameMembers(left.votersOutgoing, right.votersOutgoing) &&
    sameMembers(left.learners, right.learners)
  );
}

/**
 * Whether every quorum of one meets every quorum of the other, by the steps that the paper knows: into a joint
 * configuration whose old half is the one before, out of it into its new half, one voter more or less, or no change of voters.
 */
export function mayFollow(before: TraceConfiguration, after: TraceConfiguration): boolean {
  if (before.votersOutgoing.length > 0)
    return (
      sameMembers(before.voters, after.voters) &&
      (after.votersOutgoing.length === 0 || sameMembers(before.votersOutgoing, after.votersOutgoing))
    );
  if (after.votersOutgoing.length > 0) return sameMembers(before.voters, after.votersOutgoing);
  const gone = before.voters.filter((member) => !after.voters.includes(member)).length;
  const come = after.voters.filter((member) => !before.voters.includes(member)).length;
  return gone + come <= 1 && after.voters.length > 0;
}
