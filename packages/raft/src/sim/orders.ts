/**
 * What people order of a simulated cluster: they ask for leadership to move, tell a leader to step down, and stop nodes in an
 * orderly way. What they are owed: an answer by its deadline, and a true one.
 */
import type { Micros } from "../core/types.js";
import { submitTransfer } from "../runtime/requests.js";
import type { StateMachine } from "../runtime/state-machine.js";
import type { Cluster, Member } from "./cluster.js";
import type { Coverage } from "./coverage.js";
import type { Scheduler } from "./scheduler.js";

export interface OrdersOptions<Machine extends StateMachine> {
  readonly cluster: Cluster<Machine>;
  readonly scheduler: Scheduler;
  readonly coverage: Coverage;
  readonly complain: (text: string) => never;
  readonly told: (text: string) => void;
}

/** How long after its deadline an answer may come. */
const GRACE_MICROS = 1_000_000;

export class Orders<Machine extends StateMachine> {
  readonly #options: OrdersOptions<Machine>;

  constructor(options: OrdersOptions<Machine>) {
    this.#options = options;
  }

  /** Asks one node for leadership to move to another, or to the best. */
  transfer(at: Member<Machine>, to: Member<Machine> | null, timeoutMicros: Micros): void {
    const { coverage, told, complain } = this.#options;
    const { life } = at;
    if (life === null || !life.opened || life.failed) return;
    const target = to?.name ?? null;
    told(`${at.name} is asked to move leadership to ${target ?? "the best"}`);
    coverage.note("transferAsked");
    let settled = false;
    submitTransfer(life.host, target, timeoutMicros / 1000, (error, leader) => {
      if (settled) complain(`the request to move leadership at ${at.name} was settled twice`);
      settled = true;
      if (leader === null) {
        coverage.note(error?.code === "transferFailed" || error?.code === "timeout" ? "transferFailed" : "transferRefused");
      } else {
        if (target !== null && leader !== target) complain(`${leader} leads, and leadership was to move to ${target}`);
        coverage.note("transferAnswered");
      }
    });
    const look = (wasLate: boolean): void => {
      if (settled || at.life !== life) return;
      const late = !life.clock.isPaused;
      if (late && wasLate) complain(`the request to move leadership at ${at.name} was not settled by its deadline`);
      this.#options.scheduler.schedule(GRACE_MICROS, () => look(late));
    };
    this.#options.scheduler.schedule(2 * timeoutMicros + GRACE_MICROS, () => look(false));
  }

  stepDown({ name, life }: Member<Machine>): void {
    if (life === null || life.failed || life.host.running?.raft.role !== "leader") return;
    this.#options.told(`${name} is told to step down`);
    this.#options.coverage.note("toldToStepDown");
    life.clock.asNode(() => life.host.stepDown());
  }

  /** Stops a node as SIGTERM does: it hands over if it leads. It is started again later. */
  close(member: Member<Machine>, down: Micros): void {
    const { cluster, coverage, told, scheduler, complain } = this.#options;
    const { life, name } = member;
    if (life === null || !life.opened || life.failed) return;
    const led = life.host.running?.raft.role === "leader";
    told(`${name} is closed, for ${Math.round(down / 1000)} ms`);
    coverage.note("closed");
    const begun = life.clock.now();
    life.clock.asNode(() =>
      life.host.close(() => {
        if (member.life !== life) return;
        // At most an election timeout for the handing over; what is besides is the disk's.
        if (life.clock.now() - begun > 60_000_000) complain(`${name} took more than a minute to close`);
        const leader = life.host.leader();
        if (led && leader !== null && leader.name !== name) coverage.note("handedOverOnClose");
        scheduler.schedule(0, () => {
          if (member.life !== life) return;
          cluster.kill(member);
          cluster.startAfter(member, down);
        });
      }, true),
    );
  }
}
