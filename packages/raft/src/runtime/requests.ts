/**
 * What callers ask of a node, callback style: whether it may be asked now, its limits and deadlines, and where it goes. The
 * promise face (face.ts) and the simulator's clients both come through here, so what the simulator proves of limits and
 * outcomes holds for programs.
 *
 * Every `settle` is called exactly once: before the call returns (a refusal), by the driver, by the deadline, or when the
 * node is closed or fails.
 */
import type { Index, Micros } from "../core/types.js";
import { RaftError } from "./errors.js";
import type { NodeBehind, RunningParts } from "./face.js";
import { memberName } from "./member-id.js";
import type { SettleChange, WantedChange } from "./membership.js";
import type { Consistency, MembershipProgress } from "./node.js";
import { checkAddress, checkName, type NodeOptions } from "./options.js";
import { notExecuted, type Proposal, type Proposals, type SettleProposal } from "./proposals.js";
import type { Read } from "./reads.js";
import type { StateMachine } from "./state-machine.js";
import { type TransferWish, transferRefused } from "./transfers.js";

const DEFAULT_TIMEOUT_MS = 5000;
/** A new member may have much to catch up with. */
const DEFAULT_CHANGE_TIMEOUT_MS = 60_000;
const MAX_TIMEOUT_MS = 86_400_000;
const MAX_CALLER_LENGTH = 256;

/** With the machine as it is at a moment that satisfies the consistency asked for, or with the reason why not. */
export type SettleRead<Machine> = (error: RaftError | null, machine: Machine | null) => void;

/** Hands a command in. Returns how to give it up, or null when it was refused at once (`settle` has been called then). */
export function submitProposal<Machine extends StateMachine>(
  behind: NodeBehind<Machine>,
  command: Uint8Array,
  timeoutMs: number | undefined,
  settle: SettleProposal,
  caller = "",
): ((code: "aborted") => void) | null {
  const refusal =
    unavailable(behind) ??
    checkTimeout(timeoutMs) ??
    checkCaller(caller) ??
    refuseSize(behind, command) ??
    refuseMore(behind, command, caller);
  if (refusal !== null) {
    settle(refusal, null);
    return null;
  }
  return add(behind, { entryType: "command", caller, command, expiresAt: deadline(behind, timeoutMs), settle });
}

/** Hands a session's request in, whose size and deadline were looked at by the session; for sessions only. */
export function submitSessionRequest<Machine extends StateMachine>(
  behind: NodeBehind<Machine>,
  request: Uint8Array,
  expiresAt: Micros,
  settle: SettleProposal,
  caller: string,
): ((code: "aborted") => void) | null {
  const refusal = unavailable(behind) ?? refuseMore(behind, request, caller);
  if (refusal === null) return add(behind, { entryType: "session", caller, command: request, expiresAt, settle });
  settle(refusal, null);
  return null;
}

function add<Machine extends StateMachine>(
  behind: NodeBehind<Machine>,
  given: Pick<Proposal, "entryType" | "caller" | "command" | "expiresAt" | "settle">,
): (code: "aborted") => void {
  const proposal: Proposal = {
    ...given,
    state: "waiting",
    index: 0,
    term: 0,
    next: null,
  };
  if (behind.running === null) {
    behind.proposals.add(proposal);
    expireUndriven(behind, proposal.expiresAt);
  } else {
    behind.running.driver.propose(proposal);
  }
  return (code) => behind.proposals.abandon(proposal, code);
}

/** Asks for a read. Returns how to give it up, or null when it was settled at once. */
export function submitRead<Machine extends StateMachine>(
  behind: NodeBehind<Machine>,
  consistency: Exclude<Consistency, "lease">,
  timeoutMs: number | undefined,
  settle: SettleRead<Machine>,
): (() => void) | null {
  const { running, reads, options } = behind;
  const atLeast = consistency === "linearizable" || consistency === "stale" ? null : consistency.atLeast;
  const refusal = unavailable(behind) ?? checkTimeout(timeoutMs) ?? (atLeast === null ? null : checkIndex("atLeast", atLeast));
  if (refusal !== null) {
    settle(refusal, null);
    return null;
  }
  const answer = ({ host }: RunningParts<Machine>): null => {
    settle(null, host.machine);
    return null;
  };
  if (consistency === "stale") {
    if (running !== null) return answer(running);
    settle(notExecuted("notLeader", "the cluster is not founded yet: all founders must be up once"), null);
    return null;
  }
  if (running !== null && atLeast !== null && atLeast <= running.raft.lastApplied) return answer(running);
  if (reads.count >= options.maxPendingReads) {
    settle(notExecuted("overloaded", `${reads.count} reads wait already (maxPendingReads): try again shortly`), null);
    return null;
  }
  const read: Read = {
    expiresAt: deadline(behind, timeoutMs),
    settled: false,
    settle(error) {
      const now = behind.running;
      if (error !== null || now === null) settle(error ?? unexplained(), null);
      else settle(null, now.host.machine);
    },
  };
  if (running !== null) {
    running.driver.read(read, atLeast);
  } else {
    if (atLeast === null) reads.addLinearizable(read);
    else reads.addAtLeast(read, atLeast);
    expireUndriven(behind, read.expiresAt);
  }
  return () => reads.abandon(read, notExecuted("aborted", "the signal was aborted before the read was confirmed"));
}

/** What a query gave. */
export interface Answer<T> {
  readonly value: T;
}
export type SettleQuery<T> = (error: RaftError | null, answer: Answer<T> | null) => void;

/**
 * Asks for a read and looks at the machine. With a lease nobody is asked, but the clock is looked at twice: when the read begins
 * and again when the answer is there; if the lease is over by then, the read is made in the usual way. Returns how to give it
 * up, or null when it was settled at once.
 */
export function submitQuery<Machine extends StateMachine, T>(
  behind: NodeBehind<Machine>,
  consistency: Consistency,
  timeoutMs: number | undefined,
  query: (machine: Machine) => T,
  settle: SettleQuery<T>,
): (() => void) | null {
  let giveUp: (() => void) | null = null;
  const usually = (asked: Exclude<Consistency, "lease">, leftMs: number | undefined): void => {
    giveUp = submitRead(behind, asked, leftMs, (error, machine) => {
      settle(error, machine === null ? null : { value: query(machine) });
    });
  };
  const index = consistency === "lease" ? (behind.running?.driver.readByLease() ?? null) : null;
  if (index === null) {
    usually(consistency === "lease" ? "linearizable" : consistency, timeoutMs);
    return giveUp;
  }
  const begun = behind.clock.now();
  let isOver = false;
  const waiting = submitRead(behind, { atLeast: index }, timeoutMs, (error, machine) => {
    isOver = true;
    if (machine === null) return settle(error, null);
    const value = query(machine);
    if (behind.running?.driver.leaseHolds() === true) return settle(null, { value });
    const leftMs = (timeoutMs ?? DEFAULT_TIMEOUT_MS) - (behind.clock.now() - begun) / 1000;
    usually("linearizable", Math.max(1, leftMs));
  });
  if (!isOver) giveUp = waiting;
  return giveUp === null ? null : () => giveUp?.();
}

/** With the name of the new leader, or with the reason why leadership did not move. */
export type SettleTransfer = (error: RaftError | null, leader: string | null) => void;

const MAX_TRANSFERS = 64;

/** Asks that leadership move to the member of this name, or to the best. Returns how to give it up, or null when it was settled at once. */
export function submitTransfer<Machine extends StateMachine>(
  behind: NodeBehind<Machine>,
  to: string | null,
  timeoutMs: number | undefined,
  settle: SettleTransfer,
): (() => void) | null {
  const { running, transfers } = behind;
  const refusal = unavailable(behind) ?? checkTimeout(timeoutMs);
  const target = running?.raft.configuration.members.find(({ name }) => name === to)?.id ?? null;
  const settled = (error: RaftError | null, leader: string | null): null => {
    settle(error, leader);
    return null;
  };
  if (refusal !== null) return settled(refusal, null);
  if (running === null || running.raft.leaderId === null) return settled(transferRefused("notLeader"), null);
  if (to !== null && target === null) return settled(transferRefused("unknownTarget"), null);
  if (to !== null && target === running.raft.leaderId) return settled(null, to);
  if (transfers.count >= MAX_TRANSFERS) return settled(transferRefused("transferInProgress"), null);
  const wish: TransferWish = {
    to: target,
    expiresAt: deadline(behind, timeoutMs),
    settle: (error, leader) => settle(error, leader === null ? null : memberName(leader)),
  };
  running.driver.transfer(wish);
  return () => transfers.abandon(wish);
}

export interface SubmitChangeOptions {
  readonly expectedIndex: Index | null;
  readonly timeoutMs: number | undefined;
  readonly onProgress: ((progress: MembershipProgress) => void) | null;
  /** Its first configuration is enough. */
  readonly untilCommitted: boolean;
}

/** Asks for a change of the members. Returns how to stop waiting, or null when it was refused at once. */
export function submitChange<Machine extends StateMachine>(
  behind: NodeBehind<Machine>,
  wanted: WantedChange,
  { expectedIndex, timeoutMs, onProgress, untilCommitted }: SubmitChangeOptions,
  settle: SettleChange,
): ((error: RaftError) => void) | null {
  const { membership } = behind;
  const refusal =
    unavailable(behind) ??
    checkTimeout(timeoutMs) ??
    (expectedIndex === null ? null : checkIndex("expectedIndex", expectedIndex)) ??
    checkChange(wanted) ??
    (membership === null ? notExecuted("notLeader", "the cluster is not founded yet: all founders must be up once") : null);
  if (refusal === null && membership !== null)
    return membership.submit(wanted, expectedIndex, timeoutMs ?? DEFAULT_CHANGE_TIMEOUT_MS, onProgress, settle, untilCommitted);
  settle(refusal ?? unexplained(), null);
  return null;
}

/** Names, addresses and incarnations of what is asked for. */
function checkChange(wanted: WantedChange): RaftError | null {
  try {
    if (wanted.kind === "readdress") checkAddress("address", wanted.address);
    if (wanted.kind !== "members") return null;
    for (const { name, address, incarnation } of [...(wanted.add ?? []), ...(wanted.addLearners ?? [])]) {
      checkAddress(`address of ${name ?? "the new member"}`, address);
      checkName("name", name ?? address);
      if (incarnation !== undefined && !/^[0-9a-f]{16}$/.test(incarnation))
        return invalid(`incarnation is "${incarnation.slice(0, 40)}": it has sixteen hexadecimal digits, as status() shows it`);
    }
    return null;
  } catch (error) {
    if (error instanceof RaftError) return error;
    throw error;
  }
}

/** Until the cluster is founded there is no driver to look at deadlines. */
function expireUndriven<Machine extends StateMachine>(behind: NodeBehind<Machine>, at: Micros): void {
  const { clock, proposals, reads } = behind;
  clock.setTimer(at, () => {
    const now = clock.now();
    proposals.expire(now);
    reads.expire(now, readTimedOut);
  });
}

/** A read that could not be confirmed in time was not made. */
export function readTimedOut(): RaftError {
  return notExecuted("timeout", "timeoutMs went by before the read could be confirmed");
}

/** Why nothing can be asked of this node now; null when it can. */
function unavailable<Machine extends StateMachine>(behind: NodeBehind<Machine>): RaftError | null {
  if (behind.state === "closed") return notExecuted("closed", "the node is closed");
  if (behind.state === "removed") return notExecuted("removed", behind.failure ?? "this member was removed", behind.leader());
  if (behind.state === "failed")
    return notExecuted("failed", `the node has failed: ${behind.failure ?? "unknown reason"}`, behind.leader());
  return null;
}

export function refuseSize<Machine extends StateMachine>(
  { options }: NodeBehind<Machine>,
  command: Uint8Array,
): RaftError | null {
  if (!(command instanceof Uint8Array)) return invalid("command must be a Uint8Array");
  if (command.length > options.maxEntryBytes) {
    return notExecuted(
      "tooLarge",
      `the command has ${command.length} bytes, more than maxEntryBytes (${options.maxEntryBytes}): split it, or raise maxEntryBytes on every node`,
    );
  }
  return null;
}

function refuseMore<Machine extends StateMachine>(
  { options, proposals, running }: NodeBehind<Machine>,
  command: Uint8Array,
  caller: string,
): RaftError | null {
  const lag = running === null ? 0 : running.raft.commitIndex - running.raft.lastApplied;
  if (lag > options.maxApplyLag)
    return notExecuted(
      "overloaded",
      `the state machine is ${lag} entries behind what is committed (maxApplyLag): try again shortly`,
    );
  if (proposals.count >= options.maxPendingProposals)
    return notExecuted("overloaded", `${proposals.count} commands wait already (maxPendingProposals): try again shortly`);
  if (proposals.count > 0 && proposals.bytes + command.length > options.maxPendingBytes)
    return notExecuted("overloaded", `${proposals.bytes} bytes of commands wait already (maxPendingBytes): try again shortly`);
  return caller === "" ? null : refuseShare(options, proposals, caller);
}

/** A caller with a name has at most as much as is still free, so one who floods the node leaves room for all others. */
function refuseShare(
  { maxPendingProposals, maxPendingBytes }: NodeOptions,
  proposals: Proposals,
  caller: string,
): RaftError | null {
  const { count, bytes } = proposals.heldBy(caller);
  if (count === 0 || (count <= maxPendingProposals - proposals.count && bytes <= maxPendingBytes - proposals.bytes)) return null;
  return notExecuted(
    "overloaded",
    `${count} commands (${bytes} bytes) of this caller wait already, as many as are left to all others: try again shortly`,
  );
}

function checkCaller(caller: string): RaftError | null {
  if (typeof caller === "string" && caller.length <= MAX_CALLER_LENGTH) return null;
  return invalid(`caller has ${String(caller).length} characters: it is a text of at most ${MAX_CALLER_LENGTH}`);
}

export function checkTimeout(timeoutMs: number | undefined): RaftError | null {
  if (timeoutMs === undefined || (Number.isFinite(timeoutMs) && timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS)) return null;
  return invalid(`timeoutMs is ${timeoutMs}: it must be above 0 and at most ${MAX_TIMEOUT_MS}`);
}

function checkIndex(field: string, index: Index): RaftError | null {
  if (Number.isSafeInteger(index) && index >= 0) return null;
  return invalid(`${field} is ${index}: it must be an index, a whole number from 0`);
}

export function deadline<Machine extends StateMachine>({ clock }: NodeBehind<Machine>, timeoutMs: number | undefined): number {
  return clock.now() + Math.round((timeoutMs ?? DEFAULT_TIMEOUT_MS) * 1000);
}

export function invalid(message: string): RaftError {
  return new RaftError("invalidArgument", message, { outcome: "not-executed", retry: "never" });
}

/** A settling without result and error can't be; if it ever is, the caller is told that nothing is known. */
export function unexplained(): RaftError {
  return new RaftError("failed", "the request was settled without a reason", { outcome: "unknown", retry: "now" });
}
