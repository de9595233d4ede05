/**
 * Disks that lose what they had promised, and how a server becomes one like the others again (Alagappan and others, "Protocol-Aware
 * Recovery for Consensus-Based Storage", FAST 2018). The paper of Raft knows no such disk; what follows from its rules is
 * that a server may not help to elect anybody while it can't tell what it has helped to commit.
 */
import type { Index, MemberId, Term } from "../../core/index.js";
import { type Cluster, configurationOf, type Judge, ledBy, type Server, show } from "./facts.js";
import { isQuorum } from "./quorum.js";
import { refuse } from "./rules.js";
import type { TermLog } from "./term-log.js";
import type { TracedEvent } from "./trace.js";

/** What was durable on a server's disk at the end of a life, some of which was lost later. */
export interface Owed {
  readonly log: TermLog;
  readonly durableIndex: Index;
}

/** What a recovering server has to make good, and what it has heard about it. */
export interface Repair {
  /** Of every life since it was whole. */
  readonly owed: readonly Owed[];
  /** It has acknowledged nothing in a later term, before this life. */
  readonly promisedTerm: Term;
  /** index/term: who does not have it, and in which terms they have said so. */
  readonly absent: Map<string, Map<MemberId, Term>>;
  /** For each term, where its leader's log ended, as that one has told. */
  readonly ends: Map<Term, Index>;
}

export function beginRepair(server: Server, promisedTerm: Term): Repair {
  const before = server.repair ?? server.repaired;
  const owed = [...(before?.owed ?? []), { log: server.log.copy(), durableIndex: server.durableIndex }];
  return { owed, promisedTerm, absent: new Map(), ends: new Map() };
}

/** Whoever is being repaired helps nobody to lead. */
export function checkWhole(server: Server, what: string): void {
  if (server.repair !== null) refuse("recoveringIsSilent", `${server.id} ${what}, and part of its log is lost`);
}

/** Its own log of before, as far as it goes on after what is left; null: something else must be the source. */
export function ownLogOf({ repair, log }: Server, last: Index): TermLog | null {
  const goesOn = ({ log: before }: Owed): boolean => before.agrees(log.lastIndex, log.lastTerm) && before.lastIndex >= last;
  return repair?.owed.findLast(goesOn)?.log ?? null;
}

export function recovered(cluster: Cluster, server: Server, { how, lastIndex }: TracedEvent<"recovered">): void {
  const { id, repair, log, term } = server;
  if (repair === null) refuse("repairKeeps", `${id} says that it is whole again, and was never anything else`);
  if (lastIndex !== log.lastIndex) refuse("repairKeeps", `${id} says that its log ends at ${lastIndex}: ${show(log.last)}`);
  if (how === "led") {
    const end = repair.ends.get(term);
    if (end === undefined || server.durableIndex < end)
      refuse(
        "repairByLeader",
        `${id} takes itself for whole with ${server.durableIndex} durable; the leader of term ${term} said ${end ?? "nothing"}`,
      );
  }
  const newest = repair.owed.at(-1);
  if (how === "copied" && newest !== undefined) {
    const durableTerm = newest.log.termAt(newest.durableIndex);
    if (durableTerm !== null && !log.agrees(newest.durableIndex, durableTerm))
      refuse(
        "repairKeeps",
        `${id} has copied its log up to ${show(log.last)}, and ${newest.durableIndex}/${durableTerm} was in it`,
      );
  }
  if (how === "discarded") checkDiscard(server, repair, lastIndex + 1);
  for (const owed of repair.owed) checkCommittedIsBack(cluster, server, owed);
  server.repaired = repair;
  server.repair = null;
}

function checkDiscard(server: Server, { owed, absent, promisedTerm }: Repair, first: Index): void {
  const { id, log } = server;
  const names = owed.filter((each) => each.log.agrees(log.lastIndex, log.lastTerm)).map((each) => each.log.termAt(first));
  const isAbsent = names.some((name) => {
    const said = absent.get(`${first}/${name}`);
    return isQuorum(configurationOf(server), (voter) => voter !== id && (said?.get(voter) ?? 0) > promisedTerm);
  });
  if (!isAbsent)
    refuse(
      "discardMajority",
      `${id} discards ${first}/${names.at(-1)} and what follows; said in terms after ${promisedTerm}: ${JSON.stringify(
        [...absent].map(([name, said]) => [name, ...said]),
      )}`,
    );
}

/** The highest of its entries that is committed: it, and so everything before it, is there again. */
function checkCommittedIsBack({ committed }: Cluster, { id, log }: Server, { log: before, durableIndex }: Owed): void {
  for (let index = Math.min(durableIndex, committed.lastIndex); index > before.start.index; index -= 1) {
    const term = before.termAt(index);
    if (term === null || committed.termAt(index) !== term) continue;
    if (!log.agrees(index, term))
      refuse("repairKeeps", `${id} takes itself for whole without ${index}/${term}, which was durable there and is committed`);
    return;
  }
}

// ---- Questions and answers ----

const nameOf = ({ index, entryTerm }: { readonly index: Index; readonly entryTerm: Term }): string => `${index}/${entryTerm}`;

export const receiveEntryStatusRequest: Judge<"EntryStatusRequest"> = (_cluster, server, from, message) => {
  const has = server.log.termAt(message.index) === message.entryTerm;
  server.asked.set(`${from}/${message.requestId}`, has);
};

export const sendEntryStatusResponse: Judge<"EntryStatusResponse"> = (cluster, server, to, message) => {
  const { id, log } = server;
  const { index, entryTerm, status, leading, lastLogIndex, entry } = message;
  if (leading && ledBy(cluster, message.term, server).log.lastIndex < lastLogIndex)
    refuse("repairByLeader", `${id} says that its log of term ${message.term} ends at ${lastLogIndex}`);
  if (entry !== null) {
    if (entry.index !== index || entry.term !== entryTerm)
      refuse("entryStatus", `${id} gives ${show(entry)} for ${nameOf(message)}`);
    cluster.book.see(entry);
  }
  const hadIt = server.asked.get(`${to}/${message.requestId}`) ?? false;
  const hasIt = index > log.start.index && log.termAt(index) === entryTerm;
  if (status === "dontHave" && (server.repair !== null || index <= log.start.index || (hadIt && hasIt)))
    refuse("entryStatus", `${id} says that it does not have ${nameOf(message)}, and it may well have had it`);
};

export const receiveEntryStatusResponse: Judge<"EntryStatusResponse"> = (_cluster, server, from, message) => {
  const { repair } = server;
  if (repair === null) return;
  if (message.leading) repair.ends.set(message.term, Math.min(repair.ends.get(message.term) ?? Infinity, message.lastLogIndex));
  if (message.status !== "dontHave") return;
  const said = repair.absent.get(nameOf(message)) ?? new Map<MemberId, Term>();
  said.set(from, Math.max(said.get(from) ?? 0, message.term));
  repair.absent.set(nameOf(message), said);
};
