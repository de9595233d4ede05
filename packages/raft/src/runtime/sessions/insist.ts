/**
 * A request of a session, repeated until it is known what became of it, or until its time is over. This is what sessions are for:
 * whoever applies a repetition finds the first answer, so an unknown outcome is no reason to give up. Only what will not get
 * better is passed on at once.
 */
import type { Micros } from "../../core/types.js";
import { RaftError } from "../errors.js";
import type { NodeBehind } from "../face.js";
import type { TimerHandle } from "../ports.js";
import { notExecuted, type SettleProposal, unknownOutcome } from "../proposals.js";
import { submitSessionRequest, unexplained } from "../requests.js";
import type { StateMachine } from "../state-machine.js";
import type { SessionReply } from "./table.js";

export type SettleInsisted = (error: RaftError | null, reply: SessionReply | null, inDoubt: boolean) => void;

export interface Insisted {
  readonly request: Uint8Array;
  readonly expiresAt: Micros;
  readonly caller: string;
}

/**
 * `settle` is called once: with the reply, or with an error whose outcome holds for all repetitions. `inDoubt`: besides the one
 * that was answered there are others, of which nothing is known. Returns how to give up early; it settles what waits.
 */
export function insist<Machine extends StateMachine>(
  behind: NodeBehind<Machine>,
  { request, expiresAt, caller }: Insisted,
  settle: SettleInsisted,
): (code: "aborted") => void {
  const { clock, options } = behind;
  const pause = Math.ceil((options.heartbeatIntervalMs * 1000) / 2);
  // A message can be lost without a word: an attempt gets the time in which a new leader is usually found, and then more.
  let patience = 2 * options.electionTimeoutMs * 1000;
  let inDoubt = false;
  let settled = false;
  let timer: TimerHandle | null = null;
  let abandon: ((code: "aborted") => void) | null = null;

  const finish = (error: RaftError | null, reply: SessionReply | null): void => {
    if (settled) return;
    settled = true;
    settle(error !== null && inDoubt ? asUnknown(error) : error, reply, inDoubt);
  };

  const attempt = (): void => {
    timer = null;
    behind.whenStopped.delete(goOn);
    const until = Math.min(expiresAt, clock.now() + patience);
    patience *= 2;
    let answered = false;
    const heard: SettleProposal = (error, _place, reply) => {
      answered = true;
      abandon = null;
      if (error !== null) failed(error);
      else finish(reply === undefined ? unexplained() : null, reply ?? null);
    };
    const submitted = submitSessionRequest(behind, request, until, heard, caller);
    if (!answered) abandon = submitted;
  };

  const failed = (error: RaftError): void => {
    if (settled) return;
    if (error.outcome !== "not-executed") inDoubt = true;
    const again = clock.now() + pause;
    if (!mayGetBetter(error, inDoubt) || again >= expiresAt) return finish(error, null);
    timer = clock.setTimer(again, attempt);
    behind.whenStopped.add(goOn);
  };

  /** The node ends while this pauses: the next attempt, at once, is told so. */
  const goOn = (): void => {
    if (timer !== null) clock.clearTimer(timer);
    attempt();
  };

  attempt();
  return (code) => {
    if (timer !== null) {
      clock.clearTimer(timer);
      behind.whenStopped.delete(goOn);
      finish(notExecuted(code, "the signal was aborted; the request was not executed"), null);
    } else {
      abandon?.(code);
    }
  };
}

function mayGetBetter({ code }: RaftError, inDoubt: boolean): boolean {
  switch (code) {
    case "notLeader":
    case "leadershipLost":
    case "timeout":
    case "resultUnavailable":
      return true;
    // The caller is to hear of it, unless there is something that only a repetition can tell.
    case "overloaded":
      return inDoubt;
    default:
      return false;
  }
}

/** Something was asked before of which nothing is known: what is certain of the last attempt is not certain of all. */
function asUnknown(error: RaftError): RaftError {
  if (error.outcome !== "not-executed") return error;
  switch (error.code) {
    case "timeout":
    case "aborted":
    case "closed":
    case "failed":
      return unknownOutcome(error.code, `${error.message}; an earlier attempt may have been`, error.leader);
    default:
      return new RaftError(error.code, `${error.message}; an earlier attempt may have been executed`, {
        outcome: "unknown",
        retry: error.retry,
        leader: error.leader,
        cause: error,
      });
  }
}
