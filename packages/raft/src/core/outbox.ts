/**
 * Messages on their way out, and the ones that must wait for the disk (design law 2).
 *
 * A message leaves only when the batch whose ticket it names is durable. Which ticket that is, is decided where the message
 * is made: never less than the ticket of the present term and vote, and for an acknowledgement the one of its last entry.
 * A message of an earlier term is dropped when its turn comes: the answer of somebody we no longer are.
 */
import type { Message } from "./message.js";
import type { Envelope } from "./output.js";
import type { RaftState } from "./state.js";
import type { MemberId } from "./types.js";

interface Held extends Envelope {
  readonly ticket: number;
}

export interface Outbox {
  ready: Envelope[];
  /** In the order in which they were made. */
  held: Held[];
}

/** Sends when the present term and vote are durable, and batch `ticket` as well. */
export function send(state: RaftState, to: MemberId, message: Message, ticket = 0): void {
  const needed = Math.max(ticket, state.persistence.hardStateTicket);
  if (needed <= state.persistence.completedTicket) state.outbox.ready.push({ to, message });
  else state.outbox.held.push({ to, message, ticket: needed });
}

/** Lets go what the completed batches allow; keeps the order among what goes. */
export function releaseHeld(state: RaftState): void {
  const { outbox, persistence } = state;
  if (outbox.held.length === 0) return;
  const waiting: Held[] = [];
  for (const held of outbox.held) {
    if (held.message.term < state.currentTerm) continue;
    if (held.ticket <= persistence.completedTicket) outbox.ready.push({ to: held.to, message: held.message });
    else waiting.push(held);
  }
  outbox.held = waiting;
}
