/**
 * A leader that is about to stop hands over first, so that nobody has to wait for an election timeout: to the best voter, and
 * for at most an election timeout, and never longer than whoever stops a process waits. It stays until the new leader is known, because its own vote may be needed, and until what
 * its callers wait for is settled.
 */
import type { Raft } from "../core/raft.js";
import type { Micros } from "../core/types.js";
import type { Driver } from "./driver.js";
import type { Clock } from "./ports.js";
import type { Proposals } from "./proposals.js";
import type { StateMachine } from "./state-machine.js";

export interface HandOverParts<Machine extends StateMachine> {
  readonly raft: Raft;
  readonly driver: Driver<Machine>;
  readonly clock: Clock;
  readonly proposals: Proposals;
  readonly electionMicros: Micros;
}

const MOST_MICROS = 5_000_000;

/** Calls `done` once: at once when there is nothing to hand over or nobody to hand it to. */
export function handOver<Machine extends StateMachine>(parts: HandOverParts<Machine>, done: () => void): void {
  const { raft, driver, clock, proposals, electionMicros } = parts;
  if (raft.role !== "leader" || raft.failed) return done();
  driver.tell((core, now) => core.transferLeadership(now, null));
  if (!raft.transferring) return done();
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    clock.clearTimer(timer);
    driver.afterTurn = null;
    done();
  };
  const timer = clock.setTimer(clock.now() + Math.min(electionMicros, MOST_MICROS), end);
  driver.afterTurn = () => {
    const goesOn = raft.role === "leader" && !raft.transferring;
    const isReplaced = raft.leaderId !== null && raft.leaderId !== raft.id && proposals.count === 0;
    if (raft.failed || goesOn || isReplaced) end();
  };
}
