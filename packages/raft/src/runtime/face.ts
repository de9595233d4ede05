/**
 * The promise face of a node: turns calls into proposals and reads for the driver, and their settling into promises. It
 * holds no state of the protocol. Every promise made here settles: by the driver, by `timeoutMs`, by the caller's signal,
 * or by `close`.
 */
import type { Raft } from "../core/raft.js";
import type { Driver } from "./driver.js";
import type { LeaderHint, RaftError } from "./errors.js";
import type { EventStream } from "./event-stream.js";
import type { MachineHost } from "./machine-host.js";
import type { MembershipWork, WantedChange } from "./membership.js";
import type {
  AbortSignalLike,
  ChangeOptions,
  CloseOptions,
  Membership,
  MembershipResult,
  NodeEvent,
  NodeStatus,
  OpenSessionOptions,
  ProposeOptions,
  ProposeResult,
  RaftNode,
  ReadOptions,
  Session,
  TransferOptions,
} from "./node.js";
import type { BackupSource } from "./online-backup.js";
import type { NodeOptions } from "./options.js";
import type { Clock } from "./ports.js";
import { notExecuted, type Proposals, unknownOutcome } from "./proposals.js";
import type { Reads } from "./reads.js";
import { submitChange, submitProposal, submitQuery, submitTransfer, unexplained } from "./requests.js";
import { type ClientSession, openClientSession } from "./sessions/client-session.js";
import type { StateMachine } from "./state-machine.js";
import type { Transfers } from "./transfers.js";

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
  /** Called when the node closes or fails, and then forgotten. */
  readonly whenStopped: Set<() => void>;
  readonly running: RunningParts<Machine> | null;
  readonly membership: MembershipWork | null;
  readonly state: NodeStatus["state"];
  readonly failure: string | null;
  leader(): LeaderHint | null;
  status(): NodeStatus;
  readonly transfers: Transfers;
  stepDown(): void;
  openBackup(takenAt: string, opened: (error: Error | null, source: BackupSource | null) => void): void;
  close(done: () => void, handsOver?: boolean): void;
}

export function createFace<Machine extends StateMachine>(behind: NodeBehind<Machine>): RaftNode<Machine> {
  let closing: Promise<void> | null = null;

  function propose(command: Uint8Array, { timeoutMs, signal, caller }: ProposeOptions = {}): Promise<ProposeResult> {
    return promised(signal, (settle) => submitProposal(behind, command, timeoutMs, settle, caller));
  }

  function openSession({ signal, ...request }: OpenSessionOptions = {}): Promise<Session> {
    return promised(signal, (settle) =>
      openClientSession(behind, request, (error, session) => settle(error, session === null ? null : sessionFace(session))),
    );
  }

  function read<T>(
    query: (machine: Machine) => T,
    { consistency = "linearizable", timeoutMs, signal }: ReadOptions = {},
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const refusal = aborted(signal);
      if (refusal !== null) return reject(refusal);
      const abandon = submitQuery(behind, consistency, timeoutMs, caught(query), (error, answer) => {
        signal?.removeEventListener("abort", onAbort);
        if (answer === null) reject(error ?? unexplained());
        else if ("thrown" in answer.value) reject(answer.value.thrown);
        else resolve(answer.value.result);
      });
      function onAbort(): void {
        abandon?.();
      }
      if (abandon !== null) signal?.addEventListener("abort", onAbort);
    });
  }

  function transferLeadership({ to, timeoutMs, signal }: TransferOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const refusal = aborted(signal);
      if (refusal !== null) return reject(refusal);
      const abandon = submitTransfer(behind, to ?? null, timeoutMs, (error, leader) => {
        signal?.removeEventListener("abort", onAbort);
        if (leader === null) reject(error ?? unexplained());
        else resolve(leader);
      });
      function onAbort(): void {
        abandon?.();
      }
      if (abandon !== null) signal?.addEventListener("abort", onAbort);
    });
  }

  function close({ handOver = true }: CloseOptions = {}): Promise<void> {
    closing ??= new Promise((resolve) => behind.close(resolve, handOver));
    return closing;
  }

  function change(wanted: WantedChange, options: ChangeOptions = {}): Promise<MembershipResult> {
    const { expectedIndex = null, timeoutMs, signal, onProgress = null, waitFor = "done" } = options;
    const asked = { expectedIndex, timeoutMs, onProgress, untilCommitted: waitFor === "committed" };
    return new Promise((resolve, reject) => {
      const refusal = aborted(signal);
      if (refusal !== null) return reject(refusal);
      const abandon = submitChange(behind, wanted, asked, (error, result) => {
        signal?.removeEventListener("abort", onAbort);
        if (result === null) reject(error ?? unexplained());
        else resolve(result);
      });
      function onAbort(): void {
        abandon?.(unknownOutcome("aborted", "the signal was aborted; the change goes on"));
      }
      if (abandon !== null) signal?.addEventListener("abort", onAbort);
    });
  }

  const membership: Membership = {
    add: (members, options = {}) => {
      const listed = [members].flat();
      return change({ kind: "members", ...(options.learner === true ? { addLearners: listed } : { add: listed }) }, options);
    },
    remove: (names, options) => change({ kind: "members", remove: [names].flat() }, options),
    replace: ({ remove, add }, options) => change({ kind: "members", remove, add }, options),
    promote: (names, options) => change({ kind: "members", promote: [names].flat() }, options),
    demote: (names, options) => change({ kind: "members", demote: [names].flat() }, options),
    readdress: (name, address, options) => change({ kind: "readdress", name, address }, options),
    cancel: (options) => change({ kind: "cancel" }, options),
    wait: (options) => change({ kind: "wait" }, options),
  };

  return {
    propose,
    openSession,
    read,
    membership,
    transferLeadership,
    stepDown: () => behind.stepDown(),
    backup: (takenAt = "") => backup(behind, takenAt),
    status: () => behind.status(),
    events: (): AsyncIterableIterator<NodeEvent> => behind.events.listen(),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

/** What a caller's query throws is the caller's to hear. */
function caught<Machine, T>(
  query: (machine: Machine) => T,
): (machine: Machine) => { readonly result: T } | { readonly thrown: unknown } {
  return (machine) => {
    try {
      return { result: query(machine) };
    } catch (thrown) {
      return { thrown };
    }
  };
}

/** A promise around what settles by a callback, and can be given up when the signal says so. */
function promised<T>(
  signal: AbortSignalLike | undefined,
  submit: (settle: (error: RaftError | null, result: T | null) => void) => ((code: "aborted") => void) | null,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const refusal = aborted(signal);
    if (refusal !== null) return reject(refusal);
    let settled = false;
    const abandon = submit((error, result) => {
      settled = true;
      signal?.removeEventListener("abort", onAbort);
      if (result === null) reject(error ?? unexplained());
      else resolve(result);
    });
    function onAbort(): void {
      abandon?.("aborted");
    }
    if (abandon !== null && !settled) signal?.addEventListener("abort", onAbort);
  });
}

function sessionFace<Machine extends StateMachine>(session: ClientSession<Machine>): Session {
  const done = (settle: (error: RaftError | null, result: true | null) => void) => (error: RaftError | null) =>
    settle(error, error === null ? true : null);
  return {
    id: session.id,
    expireAfterMs: session.expireAfter / 1000,
    get nextSequence() {
      return session.nextSequence;
    },
    propose: (command, { timeoutMs, signal } = {}) => promised(signal, (settle) => session.propose(command, timeoutMs, settle)),
    keepAlive: async ({ timeoutMs, signal } = {}) => {
      await promised<true>(signal, (settle) => session.keepAlive(timeoutMs, done(settle)));
    },
    detach: () => session.detach(),
    close: async ({ timeoutMs, signal } = {}) => {
      await promised<true>(signal, (settle) => session.close(timeoutMs, done(settle)));
    },
  };
}

async function* backup<Machine extends StateMachine>(behind: NodeBehind<Machine>, takenAt: string): AsyncGenerator<Uint8Array> {
  const source = await new Promise<BackupSource>((resolve, reject) => {
    behind.openBackup(takenAt, (error, opened) => (opened === null ? reject(error ?? unexplained()) : resolve(opened)));
  });
  try {
    for (;;) {
      const bytes = await new Promise<Uint8Array | null>((resolve, reject) => {
        source.next((error, next) => (error === null ? resolve(next) : reject(error)));
      });
      if (bytes === null) return;
      yield bytes;
    }
  } finally {
    source.close();
  }
}

function aborted(signal: AbortSignalLike | undefined): RaftError | null {
  return signal?.aborted === true ? notExecuted("aborted", "the signal was aborted before the request was made") : null;
}
