/**
 * Changes of the members as a program asks for them: by name, on any node, with a promise that settles when the whole change
 * is committed. The steps are the core's (core/membership.ts); here is who waits for what, and the two things that the core
 * can't know: who a member is that was added by its address alone, and that this node was removed while it was away.
 */
import type { Configuration, MemberRecord } from "../core/configuration.js";
import type { MembershipOutcome } from "../core/membership.js";
import type { MembershipChange, MembershipRefusal } from "../core/membership-change.js";
import type { ChangeResponse } from "../core/message.js";
import { isJoint } from "../core/quorum.js";
import type { Raft } from "../core/raft.js";
import type { Index, MemberId, Micros, Term } from "../core/types.js";
import { type LeaderHint, RaftError } from "./errors.js";
import { memberId, memberName } from "./member-id.js";
import type { MembershipProgress, MembershipResult, NewMember } from "./node.js";
import type { Clock, TimerHandle } from "./ports.js";

/** What is asked for, in names. Lists that are left out are empty. */
export type WantedChange =
  | {
      readonly kind: "members";
      readonly add?: readonly NewMember[];
      readonly addLearners?: readonly NewMember[];
      readonly promote?: readonly string[];
      readonly demote?: readonly string[];
      readonly remove?: readonly string[];
    }
  | { readonly kind: "cancel" }
  | { readonly kind: "readdress"; readonly name: string; readonly address: string }
  | { readonly kind: "leases"; readonly on: boolean }
  /** Nothing: waits until whatever is under way is done. */
  | { readonly kind: "wait" };

export type SettleChange = (error: RaftError | null, result: MembershipResult | null) => void;

interface Pending {
  readonly wanted: WantedChange;
  readonly settle: SettleChange;
  readonly onProgress: ((progress: MembershipProgress) => void) | null;
  /** Its first configuration is enough. */
  readonly untilCommitted: boolean;
  readonly timer: TimerHandle;
  /** Handed to the leader under this number, and not answered yet. */
  requestId: number | null;
  /** Which leader, in which term. */
  askedOf: string;
  /** Where it was appended; 0: not known. */
  index: Index;
  term: Term;
}

export interface MembershipParts {
  readonly raft: Raft;
  readonly clock: Clock;
  readonly tell: (input: (raft: Raft, now: Micros) => void) => void;
  readonly newRequestId: () => number;
  /** Who leads, and in which term. */
  readonly leadership: () => string;
  readonly leader: () => LeaderHint | null;
  readonly warn: (message: string) => void;
  /** Who is at the other end of the connection that was dialled to this member. */
  readonly connectedAs: (member: MemberRecord) => MemberId | null;
}

const PROGRESS_MICROS = 500_000;
/** Peers whose word is remembered; many more than a cluster has. */
const MAX_PEERS = 64;
const UNHEARD = "0000000000000000";

/** The id under which a member stands that nobody has heard yet. */
export function placeholderId(name: string): MemberId {
  return `${name}#${UNHEARD}`;
}

export function isPlaceholder(id: MemberId): boolean {
  return id.endsWith(`#${UNHEARD}`);
}

export class MembershipWork {
  readonly #parts: MembershipParts;
  readonly #pending = new Set<Pending>();
  #progressTimer: TimerHandle | null = null;
  /** What each peer said last: whether it was a member before. */
  readonly #wereMembers = new Map<MemberId, boolean>();
  readonly #warned = new Set<MemberId>();

  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  /** Returns how to stop waiting; the change itself goes on. Null: it was refused at once. */
  submit(
    wanted: WantedChange,
    expectedIndex: Index | null,
    timeoutMs: number,
    onProgress: ((progress: MembershipProgress) => void) | null,
    settle: SettleChange,
    untilCommitted = false,
  ): ((error: RaftError) => void) | null {
    const { raft, clock } = this.#parts;
    const change = wanted.kind === "wait" ? null : resolve(raft.configuration, wanted);
    if (typeof change === "string") {
      settle(refusalError(change, this.#parts.leader()), null);
      return null;
    }
    const timer = clock.setTimer(clock.now() + Math.round(timeoutMs * 1000), () => this.#finish(pending, timedOut(timeoutMs)));
    const asked = { requestId: null, askedOf: "", index: 0, term: 0 };
    const pending: Pending = { wanted, settle, onProgress, untilCommitted, timer, ...asked };
    this.#pending.add(pending);
    if (change !== null) this.#ask(pending, change, expectedIndex);
    if (this.#pending.has(pending)) this.consider();
    return (error) => this.#finish(pending, error);
  }

  #ask(pending: Pending, change: MembershipChange, expectedIndex: Index | null): void {
    const { tell, newRequestId } = this.#parts;
    tell((raft, now) => {
      if (raft.role === "leader") return this.#placed(pending, raft.changeMembership(now, change, expectedIndex));
      const requestId = newRequestId();
      pending.requestId = requestId;
      pending.askedOf = this.#parts.leadership();
      if (!raft.forwardChange(now, requestId, change, expectedIndex)) this.#placed(pending, { refusal: "notLeader" });
    });
  }

  #placed(pending: Pending, outcome: MembershipOutcome): void {
    pending.requestId = null;
    if ("refusal" in outcome) return this.#finish(pending, refusalError(outcome.refusal, this.#parts.leader()));
    pending.index = outcome.index;
    pending.term = outcome.term;
  }

  answered({ requestId, index, entryTerm, refusal }: ChangeResponse): void {
    for (const pending of this.#pending)
      if (pending.requestId === requestId) this.#placed(pending, refusal === null ? { index, term: entryTerm } : { refusal });
    this.consider();
  }

  /** It never left this node. */
  notSent(requestId: number): void {
    for (const pending of this.#pending) if (pending.requestId === requestId) this.#placed(pending, { refusal: "notLeader" });
  }

  /** What was handed to the leader that is gone may be in its log, or not. */
  leaderLost(): void {
    const leadership = this.#parts.leadership();
    for (const pending of this.#pending)
      if (pending.requestId !== null && pending.askedOf !== leadership)
        this.#finish(
          pending,
          new RaftError(
            "leadershipLost",
            "the leader was lost while it had this change; look at the members before you ask again",
            { outcome: "unknown", retry: "now", leader: this.#parts.leader() },
          ),
        );
  }

  /** The configuration at this index is committed, as somebody else knows: it leaves this node out. */
  left(configurationIndex: Index): void {
    const { configuration, configurationIndex: newest } = this.#parts.raft;
    for (const pending of this.#pending)
      if (newest === configurationIndex && isDone(configuration, pending.wanted))
        this.#finish(pending, null, { configurationIndex });
  }

  /** Whether a peer has been a member before, by its own word. */
  heardPast(id: MemberId, wasMember: boolean): void {
    this.#wereMembers.delete(id);
    this.#wereMembers.set(id, wasMember);
    const [eldest] = this.#wereMembers.keys();
    if (this.#wereMembers.size > MAX_PEERS && eldest !== undefined) this.#wereMembers.delete(eldest);
    this.consider();
  }

  /** Something was committed. Until the leader has committed an entry of its term, it can make no step. */
  committed(): void {
    const { raft } = this.#parts;
    if (raft.role === "leader" && raft.configuration.members.some(({ id }) => isPlaceholder(id))) this.consider();
  }

  /** Something about configurations, connections or the leader has changed. */
  consider(): void {
    // What a member said before it was one is no longer so.
    const { raft } = this.#parts;
    for (const { id } of raft.configurationAt(raft.commitIndex).configuration.members) this.#wereMembers.delete(id);
    this.#identify();
    this.#tellProgress();
    for (const pending of this.#pending) this.#considerOne(pending);
    this.#setProgressTimer();
  }

  #considerOne(pending: Pending): void {
    if (pending.requestId !== null) return;
    const { raft } = this.#parts;
    const { configuration, configurationIndex, commitIndex } = raft;
    const { index, term, wanted } = pending;
    const first = pending.untilCommitted && index > 0;
    if (commitIndex < (first ? index : Math.max(index, configurationIndex))) return;
    const there = raft.termAt(index);
    if (index > 0 && there !== null && there !== term)
      return this.#finish(
        pending,
        new RaftError("notLeader", "the leader was replaced before it could commit this change; it was not made", {
          outcome: "not-executed",
          retry: "now",
          leader: this.#parts.leader(),
        }),
      );
    if (first) return this.#finish(pending, null, { configurationIndex: index });
    // Nothing is left to be done: then this is how it ended.
    if (isJoint(configuration) || configuration.staged !== null) return;
    if (!isDone(configuration, wanted))
      return this.#finish(
        pending,
        new RaftError("changeCancelled", "the change was taken back, or another one has undone it", {
          outcome: "not-executed",
          retry: "never",
        }),
      );
    this.#finish(pending, null, { configurationIndex });
  }

  /**
   * The leader gives a member that was added by name or address the id that its handshake showed. One that has been a member
   * before is not taken in: removed members need new ids (pitfalls, rule 33). A log alone is no sign of it: the leader before may
   * have begun to take it in, and have been deposed before that was committed.
   */
  #identify(): void {
    const { raft, connectedAs, tell } = this.#parts;
    if (raft.role !== "leader") return;
    const { members } = raft.configuration;
    for (const member of members) {
      const { id, name, address } = member;
      if (!isPlaceholder(id)) continue;
      const found = connectedAs(member);
      if (found === null || isPlaceholder(found)) continue;
      const realName = memberName(found);
      if (realName !== name && name !== address) continue;
      if (members.some((other) => other !== member && (other.id === found || other.name === realName))) {
        this.#warnOnce(found, `${realName}, which answers at ${address}, is a member already; ${name} can't be taken in there`);
        continue;
      }
      const wasMember = this.#wereMembers.get(found);
      if (wasMember === undefined) continue;
      if (wasMember) {
        this.#warnOnce(
          found,
          `${realName} at ${address} can't join: its directory holds the log of an earlier membership; delete it, and start the node again`,
        );
        continue;
      }
      tell((core, now) => core.changeMembership(now, { kind: "identify", from: id, to: found, name: realName }));
      return;
    }
  }

  #warnOnce(about: MemberId, message: string): void {
    if (this.#warned.has(about) || this.#warned.size >= MAX_PEERS) return;
    this.#warned.add(about);
    this.#parts.warn(message);
  }

  // ---- Progress ----

  #setProgressTimer(): void {
    const { clock } = this.#parts;
    const wants = [...this.#pending].some(({ onProgress }) => onProgress !== null);
    if (!wants || this.#progressTimer !== null) return;
    this.#progressTimer = clock.setTimer(clock.now() + PROGRESS_MICROS, () => {
      this.#progressTimer = null;
      this.#tellProgress();
      this.#setProgressTimer();
    });
  }

  #tellProgress(): void {
    if (this.#pending.size === 0) return;
    const progress = progressOf(this.#parts.raft);
    for (const { onProgress } of this.#pending) onProgress?.(progress);
  }

  // ---- Ending ----

  #finish(pending: Pending, error: RaftError | null, result: MembershipResult | null = null): void {
    if (!this.#pending.delete(pending)) return;
    this.#parts.clock.clearTimer(pending.timer);
    pending.settle(error, result);
  }

  settleAll(error: () => RaftError): void {
    if (this.#progressTimer !== null) this.#parts.clock.clearTimer(this.#progressTimer);
    for (const pending of this.#pending) this.#finish(pending, error());
  }
}

/** How far the change that is under way has come, as this node knows it. */
export function progressOf(raft: Raft): MembershipProgress {
  const { configuration, configurationIndex, commitIndex, lastLogIndex } = raft;
  const catchingUp = (configuration.staged?.promote ?? []).map((id) => ({
    name: memberName(id),
    matchIndex: raft.progress.get(id)?.matchIndex ?? null,
    lastLogIndex,
  }));
  return {
    configurationIndex,
    committed: configurationIndex <= commitIndex,
    joint: isJoint(configuration),
    waitingFor: configuration.members.filter(({ id }) => isPlaceholder(id)).map(({ name }) => name),
    catchingUp,
  };
}

/** From names to ids, by the configuration that this node knows. */
function resolve(
  { members }: Configuration,
  wanted: Exclude<WantedChange, { readonly kind: "wait" }>,
): MembershipChange | MembershipRefusal {
  const idOf = (name: string): MemberId | undefined => members.find((member) => member.name === name)?.id;
  switch (wanted.kind) {
    case "cancel":
    case "leases":
      return wanted;
    case "readdress": {
      const id = idOf(wanted.name);
      return id === undefined ? "unknownMember" : { kind: "readdress", id, address: wanted.address };
    }
    case "members": {
      const { add = [], addLearners = [], promote = [], demote = [], remove = [] } = wanted;
      const ids = (names: readonly string[]): readonly MemberId[] => names.map((name) => idOf(name) ?? name);
      if ([...promote, ...demote, ...remove].some((name) => idOf(name) === undefined)) return "unknownMember";
      return {
        kind: "members",
        add: add.map(recordOf),
        addLearners: addLearners.map(recordOf),
        promote: ids(promote),
        demote: ids(demote),
        remove: ids(remove),
      };
    }
  }
}

/** Nobody has heard it yet; without a name it is known by its address until it says one. */
function recordOf({ name, address, incarnation }: NewMember): MemberRecord {
  const known = name ?? address;
  const id = incarnation === undefined ? placeholderId(known) : memberId(known, BigInt(`0x${incarnation}`));
  return { id, name: known, address };
}

function isDone({ voters, learners, members, leases }: Configuration, wanted: WantedChange): boolean {
  const idOf = ({ name, address }: NewMember): MemberId =>
    members.find((member) => (name === undefined ? member.address === address : member.name === name))?.id ?? "";
  const byName = (name: string): MemberId => idOf({ name, address: "" });
  switch (wanted.kind) {
    case "wait":
    case "cancel":
      return true;
    case "leases":
      return leases === wanted.on;
    case "readdress":
      return members.some(({ name, address }) => name === wanted.name && address === wanted.address);
    case "members": {
      const { add = [], addLearners = [], promote = [], demote = [], remove = [] } = wanted;
      return (
        add.every((member) => voters.includes(idOf(member))) &&
        addLearners.every((member) => learners.includes(idOf(member))) &&
        promote.every((name) => voters.includes(byName(name))) &&
        demote.every((name) => learners.includes(byName(name))) &&
        remove.every((name) => !members.some((member) => member.name === name))
      );
    }
  }
}

const WHY: Readonly<Record<MembershipRefusal, string>> = {
  notLeader: "no leader could be asked",
  termNotCommitted: "the leader has committed nothing in its term yet: ask again in a moment",
  changePending:
    "another change of the members is not finished: wait for it (membership.wait) or take it back (membership.cancel)",
  transferring: "leadership is on its way to another member: ask again in a moment",
  configurationMoved: "the members have changed since the configuration that was expected: look at them and ask again",
  unknownMember: "no member has that name",
  alreadyMember: "a member has that name or id already; one that lost its data is removed first and then added",
  memberTwice: "a member is named twice in one change",
  noVoterLeft: "the change would leave no voter",
  tooManyMembers: "a cluster has at most 64 members",
  nothingToDo: "that is how it is already",
};

const TRANSIENT: ReadonlySet<MembershipRefusal> = new Set(["notLeader", "termNotCommitted", "changePending", "transferring"]);

function refusalError(refusal: MembershipRefusal, leader: LeaderHint | null): RaftError {
  const retry = refusal === "notLeader" && leader !== null ? "elsewhere" : TRANSIENT.has(refusal) ? "now" : "never";
  return new RaftError(refusal, WHY[refusal], { outcome: "not-executed", retry, leader });
}

function timedOut(timeoutMs: number): RaftError {
  return new RaftError(
    "timeout",
    `the change was not finished within ${timeoutMs} ms; it goes on: membership.wait waits for it, membership.cancel takes back what is not joint yet`,
    { outcome: "unknown", retry: "now" },
  );
}
