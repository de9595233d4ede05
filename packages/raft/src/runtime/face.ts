/**
 * The promise face of a node: turns calls into proposals and reads for the driver, and their settling into promises. It
 * holds no state of the protocol. Every promise made here settles: by the driver, by `timeoutMs`, by the caller's signal,
 * or by `close`.
 */
import type { Raft } from "../core/raft.js";
import type { Index, Micros } from "../core/types.js";
import type { Driver } from "./driver.js";
import { type LeaderHint, RaftError } from "./errors.js";
import type { EventStream } from "./event-stream.js";
import type { MachineHost } from "./machine-host.js";
import type { AbortSignalLike, NodeEvent, NodeStatus, ProposeOptions, ProposeResult, RaftNode, ReadOptions } from "./node.js";
import type { NodeOptions } from "./options.js";
import type { Clock } from "./ports.js";
import { notExecuted, type Proposal, type Proposals } from "./proposals.js";
import type { Read, Reads } from "./reads.js";
import type { StateMachine } from "./state-machine.js";

const DEFAULT_TIMEOUT_MS = 5000;
const MAX_TIMEOUT_MS = 86_400_000;

/** The live parts of a node once it is founded; before that there is no core to drive. */
export interface RunningParts<Machine extends StateMachine> {
  readonly raft: Raft;
  readonly driver: Driver<Machine>;
  readonly host: MachineHost<Machine>;
}

/** What the face asks of the node behind it (open.ts). */
export interface NodeBehind<Machine extends StateMachine> {
  readonly options: NodeOptions;
  readonly clock: Clock;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly events: EventStream;
  readonly running: RunningParts<Machine> | null;
  readonly state: NodeStatus["state"];
  readonly failure: string | null;
  leader(): LeaderHint | null;
  status(): NodeStatus;
  close(done: () => void): void;
}

export function createFace<Machine extends StateMachine>(behind: NodeBehind<Machine>): RaftNode<Machine> {
  const { options, clock, proposals, reads } = behind;
  let closing: Promise<void> | null = null;

  function deadline(timeoutMs: number | undefined): Micros {
    const wait = timeoutMs ?? DEFAULT_TIMEOUT_MS;
    if (!Number.isFinite(wait) || wait <= 0 || wait > MAX_TIMEOUT_MS) {
      throw new RaftError("invalidArgument", `timeoutMs is ${wait}: it must be above 0 and at most ${MAX_TIMEOUT_MS}`, {
        outcome: "not-executed",
        retry: "never",
      });
    }
    return clock.now() + Math.round(wait * 1000);
  }

  /** Why nothing can be asked of this node now; null when it can. */
  function unavailable(): RaftError | null {
    if (behind.state === "closed") return notExecuted("closed", "the node is closed");
    if (behind.state === "failed")
      return notExecuted("failed", `the node has failed: ${behind.failure ?? "unknown reason"}`, behind.leader());
    return null;
  }

  function checkCommand(command: Uint8Array): RaftError | null {
    if (!(command instanceof Uint8Array))
      return new RaftError("invalidArgument", "command must be a Uint8Array", { outcome: "not-executed", retry: "never" });
    if (command.length > options.maxEntryBytes) {
      return notExecuted(
        "tooLarge",
        `the command has ${command.length} bytes, more than maxEntryBytes (${options.maxEntryBytes}): split it, or raise maxEntryBytes on every node`,
      );
    }
    if (proposals.count >= options.maxPendingProposals)
      return notExecuted("overloaded", `${proposals.count} commands wait already (maxPendingProposals): try again shortly`);
    if (proposals.count > 0 && proposals.bytes + command.length > options.maxPendingBytes) {
      return notExecuted("overloaded", `${proposals.bytes} bytes of commands wait already (maxPendingBytes): try again shortly`);
    }
    return null;
  }

  function propose(command: Uint8Array, given: ProposeOptions = {}): Promise<ProposeResult> {
    return new Promise((resolve, reject) => {
      const refusal = unavailable() ?? checkCommand(command) ?? aborted(given.signal);
      if (refusal !== null) return reject(refusal);
      const { signal } = given;
      const onAbort = (): void => proposals.abandon(proposal, "aborted");
      const proposal: Proposal = {
        command,
        expiresAt: deadline(given.timeoutMs),
        settle(error, result) {
          signal?.removeEventListener("abort", onAbort);
          if (result === null) reject(error ?? unexplained());
          else resolve(result);
        },
        state: "waiting",
        index: 0,
        term: 0,
        next: null,
      };
      signal?.addEventListener("abort", onAbort);
      if (behind.running === null) proposals.add(proposal);
      else behind.running.driver.propose(proposal);
    });
  }

  function read<T>(query: (machine: Machine) => T, given: ReadOptions = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      const refusal = unavailable() ?? aborted(given.signal);
      if (refusal !== null) return reject(refusal);
      const answer = (running: RunningParts<Machine>): void => {
        try {
          resolve(query(running.host.machine));
        } catch (error) {
          reject(error);
        }
      };
      const consistency = given.consistency ?? "linearizable";
      const { running } = behind;
      if (consistency === "stale") {
        if (running === null) reject(notExecuted("notLeader", "the cluster is not founded yet: all founders must be up once"));
        else answer(running);
        return;
      }
      if (reads.count >= options.maxPendingReads)
        return reject(notExecuted("overloaded", `${reads.count} reads wait already (maxPendingReads): try again shortly`));
      const atLeast = consistency === "linearizable" ? null : checkIndex(consistency.atLeast);
      const { signal } = given;
      const onAbort = (): void =>
        reads.abandon(waiting, notExecuted("aborted", "the signal was aborted before the read was confirmed"));
      const waiting: Read = {
        expiresAt: deadline(given.timeoutMs),
        settled: false,
        settle(error) {
          signal?.removeEventListener("abort", onAbort);
          if (error !== null || behind.running === null) reject(error ?? unexplained());
          else answer(behind.running);
        },
      };
      signal?.addEventListener("abort", onAbort);
      if (running === null) {
        if (atLeast === null) reads.addLinearizable(waiting);
        else reads.addAtLeast(waiting, atLeast);
      } else if (atLeast !== null && atLeast <= running.raft.lastApplied) {
        waiting.settled = true;
        waiting.settle(null);
      } else {
        running.driver.read(waiting, atLeast);
      }
    });
  }

  function close(): Promise<void> {
    closing ??= new Promise((resolve) => behind.close(resolve));
    return closing;
  }

  return {
    propose,
    read,
    status: () => behind.status(),
    events: (): AsyncIterableIterator<NodeEvent> => behind.events.listen(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A settling without result and error can't be; if it ever is, the caller is told that nothing is known. */
function unexplained(): RaftError {
  return new RaftError("failed", "the request was settled without a reason", { outcome: "unknown", retry: "now" });
}

function aborted(signal: AbortSignalLike | undefined): RaftError | null {
  return signal?.aborted === true ? notExecuted("aborted", "the signal was aborted before the request was made") : null;
}

function checkIndex(index: Index): Index {
  if (!Number.isSafeInteger(index) || index < 0)
    throw new RaftError("invalidArgument", `atLeast is ${index}: it must be an index, a whole number from 0`, {
      outcome: "not-executed",
      retry: "never",
    });
  return index;
}
