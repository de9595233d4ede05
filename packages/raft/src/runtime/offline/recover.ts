/**
 * A cluster whose majority is lost for good is carried on by one of its members, as the only member of a new cluster.
 *
 * What this member holds is all that there is now. Every entry in its log is kept and counts as committed: one that is not known to be
 * committed may have been acknowledged all the same, by a leader that is gone, and to drop it would lose an acknowledged
 * write; to keep one that was never acknowledged breaks no promise, because whoever proposed it was told nothing, or that the
 * outcome is unknown. What only the lost members held is lost, and nobody can say whether there was any.
 *
 * The new member has another incarnation and the new cluster another id, so the lost ones, should they come back, are strangers:
 * no vote, acknowledgement or entry of theirs counts, and their connections are refused. The old directory is left as it is, but
 * for a word that no node may start there.
 */
import type { Index, LogPosition } from "../../core/types.js";
import { clusterIdOf, hexadecimal } from "../cluster-id.js";
import { memberId } from "../member-id.js";
import type { Clock, Disk, Random } from "../ports.js";
import type { Task } from "../task.js";
import { writeBlock } from "./block.js";
import { endOf, firstUnreadable, type NewCluster, type NewClusterMade, newestWhole, newIncarnation, stateOf } from "./brought.js";
import { Refusal } from "./finding.js";
import { lockedFresh, makeFresh } from "./fresh-directory.js";
import { lookingAt, type ScannedDirectory, scanDirectory } from "./scan-directory.js";

export interface RecoveryRequest extends NewCluster {
  /** Drops every entry above this index. Null: keeps all; refused where one of them can't be read. */
  readonly dropAfter: Index | null;
}

/** What will be kept and what may be lost: to be said before it is done. */
export interface RecoveryPlan {
  readonly from: string;
  /** Of the snapshot that is kept; 0: there is none. */
  readonly snapshotIndex: Index;
  /** The last entry that is kept. */
  readonly last: LogPosition;
  /** An index up to which entries are known to be committed; the true one may be higher. */
  readonly knownCommitted: Index;
  /** Entries that are kept although it is not known that they were committed. */
  readonly keptUnknown: { readonly first: Index; readonly last: Index } | null;
  /** Entries that are dropped; `last` null: it is not known how many. */
  readonly dropped: { readonly first: Index; readonly last: Index | null; readonly committed: boolean } | null;
  /** The members of the old cluster, by name, that are left behind. */
  readonly leftBehind: readonly string[];
  /** What is written in the directory about not starting there: it was recovered before. */
  readonly blocked: string | null;
  /** It was a member that votes; a learner may lack what the voters have. */
  readonly wasVoter: boolean;
  readonly oldClusterId: string;
  readonly newClusterId: string;
}

/** Throws a Refusal when it can't be done. */
export function planRecovery(found: ScannedDirectory, request: RecoveryRequest): RecoveryPlan {
  const { owner, location } = found;
  if (owner === null || (found.last.index === 0 && newestWhole(found) === null))
    throw new Refusal(`${location} holds no state of a cluster: there is nothing to go on with`);
  const snapshotIndex = newestWhole(found)?.lastIncludedIndex ?? 0;
  if (snapshotIndex < found.start.index)
    throw new Refusal(
      `${location}: the log goes on after ${found.start.index}, and no whole snapshot reaches so far: its beginning is lost. Use the directory of another member, or a backup`,
    );
  const newClusterId = hexadecimal(clusterIdOf([request.name], request.token));
  const oldClusterId = hexadecimal(owner.clusterId);
  if (newClusterId === oldClusterId)
    throw new Refusal(
      `clusterToken is "${request.token}": with it the new cluster would have the id of the old one, and its members could come back into it; choose another`,
    );
  const unreadable = firstUnreadable(found);
  const logEnd = endOf(found);
  const upTo = request.dropAfter ?? logEnd;
  if (upTo < snapshotIndex)
    throw new Refusal(
      `dropAfter is ${upTo}: the snapshot holds everything up to ${snapshotIndex} in one piece; no lower index is possible`,
    );
  if (upTo > logEnd) throw new Refusal(`dropAfter is ${upTo}: the log ends at ${logEnd}; leave it out to keep everything`);
  const knownCommitted = Math.max(snapshotIndex, Math.min(found.hardState.commitIndex, logEnd));
  if (unreadable !== null && (upTo >= unreadable || request.dropAfter === null))
    throw new Refusal(
      `${location}: entry ${unreadable} can't be read (quorate log verify says why). Entries from it on, ${unreadable <= knownCommitted ? `of which those up to ${knownCommitted} are known to be committed` : "which may be committed"}, are lost here: use the directory of another member or a backup; or, if you accept the loss, say --drop-after ${unreadable - 1}`,
    );
  const id = memberId(owner.name, owner.incarnation);
  const newest = found.configurations.filter(({ index }) => index <= upTo).at(-1)?.configuration;
  const members = newest?.members.map(({ name }) => name) ?? [owner.name, ...found.founders.map(({ name }) => name)];
  return {
    from: location,
    snapshotIndex,
    last: stateEnd(found, upTo, snapshotIndex),
    knownCommitted: Math.min(knownCommitted, upTo),
    keptUnknown: upTo > knownCommitted ? { first: knownCommitted + 1, last: upTo } : null,
    dropped: droppedOf(found, request.dropAfter, knownCommitted, logEnd),
    leftBehind: members.filter((name) => name !== owner.name).sort(),
    blocked: found.blocked,
    wasVoter: newest === undefined || newest.voters.includes(id) || newest.votersOutgoing.includes(id),
    oldClusterId,
    newClusterId,
  };
}

function stateEnd(found: ScannedDirectory, upTo: Index, snapshotIndex: Index): LogPosition {
  const entry = found.entries.find(({ index }) => index === upTo);
  const term = entry?.term ?? (upTo === snapshotIndex ? newestWhole(found)?.lastIncludedTerm : undefined) ?? 0;
  return { index: upTo, term };
}

function droppedOf(
  found: ScannedDirectory,
  dropAfter: Index | null,
  knownCommitted: Index,
  logEnd: Index,
): RecoveryPlan["dropped"] {
  if (dropAfter === null || (dropAfter >= logEnd && !found.endIsLost)) return null;
  const last = found.endIsLost ? null : logEnd;
  return { first: dropAfter + 1, last, committed: dropAfter < Math.max(knownCommitted, found.hardState.commitIndex) };
}

/** Looks, and says what would be done. Nothing is changed. */
export function* lookForRecovery(disk: Disk, request: RecoveryRequest): Task<RecoveryPlan> {
  return yield* lookingAt(disk, function* () {
    return planRecovery(yield* scanDirectory(disk), request);
  });
}

export interface RecoveryMade extends NewClusterMade {
  readonly plan: RecoveryPlan;
  /** Why the old directory could not be marked; null when no node will start there any more. */
  readonly unmarked: string | null;
}

/** Does it. The old directory stays as it was, but for the mark; a second attempt after a crash begins anew and gives the same. */
export function* recoverDirectory(
  disk: Disk,
  target: Disk,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  request: RecoveryRequest,
): Task<RecoveryMade> {
  return yield* lookingAt(disk, function* () {
    const found = yield* scanDirectory(disk, () => true);
    const plan = planRecovery(found, request);
    const state = stateOf(disk, found, plan.last.index);
    const owner = {
      clusterId: clusterIdOf([request.name], request.token),
      name: request.name,
      incarnation: newIncarnation(random),
    };
    let unmarked: string | null = null;
    const mark = function* (): Task<void> {
      try {
        yield* writeBlock(
          disk,
          `recovered: the cluster of this directory goes on as cluster ${plan.newClusterId} in ${target.location}; a node that starts here would be a member of the old one. Remove this file only if you give up the new one`,
        );
      } catch (error) {
        unmarked = error instanceof Error ? error.message : String(error);
      }
    };
    const member = { owner, address: request.address };
    const end = yield* lockedFresh(target, () => makeFresh(target, clock, member, state, mark));
    return { ...owner, end, plan, unmarked };
  });
}
