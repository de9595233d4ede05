/**
 * What a change of the members is, and what follows from it: pure functions from one configuration to the next (membership.ts
 * says when). Voters change only through the joint configuration (Raft section 6).
 */
import type { Configuration, MemberRecord, StagedChange } from "./configuration.js";
import { MAX_MEMBERS } from "./configuration-codec.js";
import type { MemberId } from "./types.js";

/** A change that was staged goes on until it is done, or cancelled. */
export type MembershipChange =
  | {
      readonly kind: "members";
      /** New voters: learners until they have caught up. */
      readonly add: readonly MemberRecord[];
      /** New learners that stay learners. */
      readonly addLearners: readonly MemberRecord[];
      /** Learners that are to vote. */
      readonly promote: readonly MemberId[];
      /** Voters that are to be learners. */
      readonly demote: readonly MemberId[];
      readonly remove: readonly MemberId[];
    }
  /** Takes back what is staged. Members that were added for it stay, as learners. */
  | { readonly kind: "cancel" }
  /** A learner that was listed before anybody had heard it is known by its id and its name from now on. */
  | { readonly kind: "identify"; readonly from: MemberId; readonly to: MemberId; readonly name: string }
  | { readonly kind: "readdress"; readonly id: MemberId; readonly address: string }
  /** Whether leaders may answer reads from a lease. */
  | { readonly kind: "leases"; readonly on: boolean };

export type MembershipRefusal =
  | "notLeader"
  /** No entry of this term is committed yet: the leader can't know which configuration is (dissertation, the 2015 bug). */
  | "termNotCommitted"
  /** The last change is not committed, or joint, or waits for its new voters. */
  | "changePending"
  /** Leadership is on its way to another member. */
  | "transferring"
  /** The configuration is not the one at `expectedIndex` any more. */
  | "configurationMoved"
  | "unknownMember"
  | "alreadyMember"
  /** A member is named twice in one change. */
  | "memberTwice"
  | "noVoterLeft"
  | "tooManyMembers"
  | "nothingToDo";

/** The configuration that a change asks for first: staged, joint, or (where no voter changes) the thing itself. */
export function changed(now: Configuration, change: MembershipChange): Configuration | MembershipRefusal {
  switch (change.kind) {
    case "members":
      return now.staged === null ? withMembers(now, change) : "changePending";
    case "cancel":
      return now.staged === null ? "nothingToDo" : { ...now, staged: null };
    case "identify":
      return identified(now, change.from, change.to, change.name);
    case "readdress": {
      const member = now.members.find(({ id }) => id === change.id);
      if (member === undefined) return "unknownMember";
      if (member.address === change.address) return "nothingToDo";
      const members = now.members.map((each) => (each === member ? { ...each, address: change.address } : each));
      return { ...now, members };
    }
    case "leases":
      return now.leases === change.on ? "nothingToDo" : { ...now, leases: change.on };
  }
}

type MembersChange = Extract<MembershipChange, { readonly kind: "members" }>;

function withMembers(now: Configuration, change: MembersChange): Configuration | MembershipRefusal {
  const { add, addLearners, promote, demote, remove } = change;
  const added = [...add, ...addLearners];
  const named = [...added.map(({ id }) => id), ...promote, ...demote, ...remove];
  if (named.length === 0) return "nothingToDo";
  if (new Set(named).size < named.length) return "memberTwice";
  const names = new Set(now.members.map(({ name }) => name));
  for (const { id, name } of added) {
    if (names.has(name) || now.members.some((member) => member.id === id)) return "alreadyMember";
    names.add(name);
  }
  for (const id of [...promote, ...demote, ...remove])
    if (!now.members.some((member) => member.id === id)) return "unknownMember";
  if (promote.some((id) => now.voters.includes(id)) || demote.some((id) => !now.voters.includes(id))) return "nothingToDo";

  const leaving = remove.filter((id) => now.voters.includes(id));
  const learnersGone = remove.filter((id) => !now.voters.includes(id));
  const learners = sorted([...without(now.learners, learnersGone), ...added.map(({ id }) => id)]);
  const members = sortedMembers([...now.members.filter(({ id }) => !learnersGone.includes(id)), ...added]);
  if (members.length > MAX_MEMBERS) return "tooManyMembers";
  const toPromote = sorted([...promote, ...add.map(({ id }) => id)]);
  if (now.voters.length + toPromote.length <= leaving.length + demote.length) return "noVoterLeft";
  const staged: StagedChange = { promote: toPromote, remove: sorted(leaving), demote: sorted(demote) };
  const base = { ...now, learners, members, staged: null };
  if (toPromote.length > 0) return { ...base, staged };
  return leaving.length + demote.length > 0 ? joint(base, staged) : base;
}

function identified(now: Configuration, from: MemberId, to: MemberId, name: string): Configuration | MembershipRefusal {
  const member = now.members.find(({ id }) => id === from);
  if (member === undefined || !now.learners.includes(from)) return "unknownMember";
  if (now.members.some((each) => each !== member && (each.id === to || each.name === name))) return "alreadyMember";
  const renamed = (ids: readonly MemberId[]): readonly MemberId[] => sorted(ids.map((id) => (id === from ? to : id)));
  return {
    ...now,
    learners: renamed(now.learners),
    members: sortedMembers(now.members.map((each) => (each === member ? { ...each, id: to, name } : each))),
    staged: now.staged === null ? null : { ...now.staged, promote: renamed(now.staged.promote) },
  };
}

/** C_old,new: the new voters beside all of the old ones (Raft section 6). Who leaves is a member until C_new. */
export function joint(now: Configuration, { promote, remove, demote }: StagedChange): Configuration {
  return {
    ...now,
    voters: sorted([...without(now.voters, [...remove, ...demote]), ...promote]),
    votersOutgoing: now.voters,
    learners: sorted([...without(now.learners, promote), ...demote]),
    staged: null,
  };
}

/** C_new: the old voters decide nothing any more, and whoever is neither voter nor learner is no member. */
export function leftJoint(now: Configuration): Configuration {
  const stay = new Set([...now.voters, ...now.learners]);
  return { ...now, votersOutgoing: [], members: now.members.filter(({ id }) => stay.has(id)) };
}

const sorted = (ids: readonly MemberId[]): readonly MemberId[] => [...ids].sort();
const without = (ids: readonly MemberId[], gone: readonly MemberId[]): readonly MemberId[] =>
  ids.filter((id) => !gone.includes(id));
const sortedMembers = (members: readonly MemberRecord[]): readonly MemberRecord[] =>
  [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
