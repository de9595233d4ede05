/**
 * Whether those that stay can go on deciding when some leave, as far as this node is connected to them. A change that a
 * majority can't commit is not lost, but the cluster stands still until it can: nobody should be able to ask for that by
 * mistake. One that is down may always leave, because no decision needs it.
 */
import type { NodeStatus } from "@quorate/raft";

export interface Shortage {
  readonly staying: readonly string[];
  readonly up: readonly string[];
  /** How many of those that stay are needed. */
  readonly needed: number;
}

/** Null: nothing is in the way. `coming`: new voters, which have proved by catching up that they are there. */
export function shortageAfter(
  { voters, peers, id }: NodeStatus,
  leaving: readonly string[],
  coming: readonly string[] = [],
): Shortage | null {
  const isUp = (name: string): boolean => name === id || peers.some((peer) => peer.name === name && peer.connected);
  if (!leaving.some((name) => voters.includes(name) && isUp(name))) return null;
  const old = voters.filter((name) => !leaving.includes(name));
  const staying = [...old, ...coming];
  const up = [...old.filter(isUp), ...coming];
  const needed = Math.floor(staying.length / 2) + 1;
  return up.length >= needed ? null : { staying, up, needed };
}
