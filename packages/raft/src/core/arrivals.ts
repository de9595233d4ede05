/**
 * Requests that must not be carried out twice. A network may deliver a message again, late; commands handed on by a follower
 * would then be in the log twice. Their numbers never repeat in the life of a member's directory, so the receiver can tell.
 */
import type { MemberId } from "./types.js";

/** How far back the requests of one member are remembered: more than may be under way at once, in disorder. */
const REMEMBERED = 256;
/** Members that are remembered: many more than a cluster has, so that strangers in turn do not add up. */
const MEMBERS = 64;

export interface Arrivals {
  newest: number;
  readonly recent: Set<number>;
}

/**
 * True the first time. A request that arrives again must be ignored, not refused: the asker would take a refusal for the
 * answer to the first. One too old to be told apart is ignored too; to the asker its outcome is then unknown, which is true.
 */
export function isFirstArrival(arrivals: Map<MemberId, Arrivals>, from: MemberId, requestId: number): boolean {
  let known = arrivals.get(from);
  if (known === undefined) {
    known = { newest: 0, recent: new Set() };
    arrivals.set(from, known);
    for (const member of arrivals.keys()) if (arrivals.size > MEMBERS) arrivals.delete(member);
  }
  const { recent } = known;
  if (recent.has(requestId) || requestId <= known.newest - REMEMBERED) return false;
  recent.add(requestId);
  if (requestId > known.newest) known.newest = requestId;
  if (recent.size > 2 * REMEMBERED) for (const each of recent) if (each <= known.newest - REMEMBERED) recent.delete(each);
  return true;
}
