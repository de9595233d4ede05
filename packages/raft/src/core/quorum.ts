/**
 * Counting. A decision (an election, a commit, a confirmation) needs a majority of the voters; while the configuration is
 * joint it needs a majority of the old voters and a majority of the new ones, separately (Raft section 6).
 *
 * Everything here filters at the counter: whatever arrives from somebody who is not a voter of the configuration in force
 * is simply never looked at. Learners are in no quorum.
 */
import type { Configuration } from "./configuration.js";
import type { MemberId } from "./types.js";

/** How many of `size` voters make a majority. */
export function majority(size: number): number {
  return Math.floor(size / 2) + 1;
}

export function isVoter(configuration: Configuration, id: MemberId): boolean {
  return configuration.voters.includes(id) || configuration.votersOutgoing.includes(id);
}

export function isLearner(configuration: Configuration, id: MemberId): boolean {
  return configuration.learners.includes(id);
}

/** A joint configuration still has voters to leave behind. */
export function isJoint(configuration: Configuration): boolean {
  return configuration.votersOutgoing.length > 0;
}

/** Everyone who gets the log: voters of both sets and learners, each once, sorted. */
export function replicationTargets(configuration: Configuration): readonly MemberId[] {
  return [...new Set([...configuration.voters, ...configuration.votersOutgoing, ...configuration.learners])].sort();
}

/**
 * The highest value that a quorum has reached: of matchIndex it is the index that may be committed, of acknowledged
 * round numbers the round that is confirmed, of contact times the moment at which a quorum was last heard.
 * 0 when there are no voters: nobody can decide anything.
 */
export function quorumValue(configuration: Configuration, valueAt: (id: MemberId) => number): number {
  const incoming = majorityValue(configuration.voters, valueAt);
  if (!isJoint(configuration)) return incoming;
  return Math.min(incoming, majorityValue(configuration.votersOutgoing, valueAt));
}

/** The value that a majority of `voters` has reached: with the values in descending order, the one at place majority. */
function majorityValue(voters: readonly MemberId[], valueAt: (id: MemberId) => number): number {
  if (voters.length === 0) return 0;
  const values = voters.map(valueAt).sort((a, b) => b - a);
  return values[majority(voters.length) - 1] ?? 0;
}

export type VoteOutcome = "won" | "lost" | "pending";

/** The state of an election, given the answers so far (true: granted). */
export function voteOutcome(configuration: Configuration, answers: ReadonlyMap<MemberId, boolean>): VoteOutcome {
  const incoming = majorityOutcome(configuration.voters, answers);
  if (!isJoint(configuration)) return incoming;
  const outgoing = majorityOutcome(configuration.votersOutgoing, answers);
  if (incoming === "lost" || outgoing === "lost") return "lost";
  return incoming === "won" && outgoing === "won" ? "won" : "pending";
}

function majorityOutcome(voters: readonly MemberId[], answers: ReadonlyMap<MemberId, boolean>): VoteOutcome {
  let granted = 0;
  let open = 0;
  for (const id of voters) {
    const answer = answers.get(id);
    if (answer === undefined) open += 1;
    else if (answer) granted += 1;
  }
  const needed = majority(voters.length);
  if (granted >= needed) return "won";
  return granted + open < needed ? "lost" : "pending";
}
