/**
 * A state machine under test: a shop that hands out numbered tickets, one to each customer. It is right, unless it is told to
 * forget, as a program may whose author did not think of snapshots: then a restored copy no longer knows who has a ticket.
 */
import type { CommittedEntry, StateMachine } from "@quorate/raft/runtime";
import type { Workload } from "@quorate/raft/sim";

export class Tickets implements StateMachine {
  readonly holders = new Map<number, number>();
  next = 1;
  readonly #forgetful: boolean;

  constructor(forgetful = false) {
    this.#forgetful = forgetful;
  }

  /** A command is one byte, the customer; the answer is the number of the ticket. */
  apply(entries: readonly CommittedEntry[]): Uint8Array[] {
    return entries.map(({ data: [customer = 0] }) => {
      const ticket = this.holders.get(customer) ?? this.next++;
      this.holders.set(customer, ticket);
      return Uint8Array.of(ticket);
    });
  }

  snapshot(): Uint8Array[] {
    const held = this.#forgetful ? [] : [...this.holders].sort(([a], [b]) => a - b).flat();
    return [Uint8Array.of(this.next, ...held)];
  }

  restore(piece: Uint8Array): void {
    this.next = piece[0] ?? 1;
    for (let at = 1; at < piece.length; at += 2) this.holders.set(piece[at] ?? 0, piece[at + 1] ?? 0);
  }
}

export function tickets(forgetful: boolean): Workload<Tickets> {
  return {
    name: "tickets",
    stateMachine: () => new Tickets(forgetful),
    operation(random) {
      const customer = random.below(40);
      if (random.chance(300)) return { f: "show", key: customer, query: (shop) => shop.holders.get(customer) ?? null };
      return { f: "take", key: customer, command: Uint8Array.of(customer), answer: ([ticket]) => ticket };
    },
    invariant: (shop) => (new Set(shop.holders.values()).size === shop.holders.size ? null : "two customers hold one ticket"),
  };
}
