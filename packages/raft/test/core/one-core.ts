/** One core alone, for rules that a script of several can't reach: its messages go nowhere, its disk is always done at once. */
import {
  type Configuration,
  EMPTY_BYTES,
  type Entry,
  encodeConfiguration,
  type Message,
  type Output,
  Raft,
  type RaftStart,
  type SnapshotMetadata,
} from "../../src/core/index.js";
import { configurationOf } from "./golden-cluster.js";

export const ABC: Configuration = configurationOf(["a", "b", "c"]);

export function command(index: number, term: number, data = `${index}`): Entry {
  return { index, term, type: "command", data: Uint8Array.from(data, (letter) => letter.charCodeAt(0)) };
}

export function configurationEntry(index: number, term: number, voters: readonly string[]): Entry {
  return { index, term, type: "configuration", data: encodeConfiguration(configurationOf(voters)) };
}

export function noop(index: number, term: number): Entry {
  return { index, term, type: "noop", data: EMPTY_BYTES };
}

export function snapshotAt(lastIncludedIndex: number, lastIncludedTerm: number, configuration = ABC): SnapshotMetadata {
  return { lastIncludedIndex, lastIncludedTerm, configuration, configurationIndex: 0 };
}

/** A server with id `a` unless it is said otherwise, that has nothing. */
export function startCore(start: Partial<RaftStart> = {}): Raft {
  return new Raft({
    id: "a",
    random: () => 0,
    now: 0,
    hardState: { currentTerm: 0, votedFor: null, commitIndex: 0 },
    snapshot: snapshotAt(0, 0),
    logStart: { index: 0, term: 0 },
    entries: [],
    ...start,
  });
}

/** Takes until there is nothing more; every batch is durable at once, every entry applied unless `applies` is false. */
export function settle(raft: Raft, applies = true): readonly Output[] {
  const outputs: Output[] = [];
  do {
    const output = raft.take();
    outputs.push(output);
    if (output.persist !== null) raft.persisted(0, output.persist.ticket);
    const last = output.committed.at(-1);
    if (applies && last !== undefined) raft.applied(0, last.index);
  } while (raft.hasOutput);
  return outputs;
}

export function hears(raft: Raft, from: string, message: Message): readonly Output[] {
  raft.receive(0, from, message);
  return settle(raft);
}

/** Every invariant that broke. */
export function broken(outputs: readonly Output[]): readonly string[] {
  return outputs.flatMap(({ events }) =>
    events.flatMap((event) => (event.type === "invariantViolated" ? [event.invariant] : [])),
  );
}

/** Wins the election of the next term with the vote of `b`. */
export function becomeLeader(raft: Raft): void {
  raft.advance(raft.take().deadline ?? 0);
  settle(raft);
  const proposedTerm = raft.currentTerm + 1;
  if (raft.role === "preCandidate")
    hears(raft, "b", { type: "RequestPreVoteResponse", term: raft.currentTerm, proposedTerm, voteGranted: true });
  if (raft.role === "candidate") hears(raft, "b", { type: "RequestVoteResponse", term: raft.currentTerm, voteGranted: true });
  if (raft.role !== "leader") throw new Error(`it is ${raft.role}`);
}

/** Where it stands, as plain numbers. */
export function standing(raft: Raft): {
  readonly role: string;
  readonly currentTerm: number;
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly last: readonly [number, number];
} {
  const { role, currentTerm, commitIndex, lastApplied, lastLogIndex, lastLogTerm } = raft;
  return { role, currentTerm, commitIndex, lastApplied, last: [lastLogIndex, lastLogTerm] };
}
