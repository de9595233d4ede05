/** What `quorate member` prints: the table of members, how far a change is, and how it ended. Functions and nothing else. */
import type { ChangeProgress, MembersView, MemberView, WantedMemberChange } from "../../services/members/protocol.js";
import { alignColumns } from "../table.js";

const HEADINGS = ["NAME", "ID", "ROLE", "PEERS AT", "CLIENTS AT", "LOG"] as const;

export function renderMembers(view: MembersView): string[] {
  const rows = view.members.map((member) => [
    member.name === member.address ? "-" : member.name,
    member.id,
    roleOf(view, member),
    member.address,
    member.clientUrls.join(",") || "-",
    logOf(view, member),
  ]);
  return [...alignColumns(HEADINGS, rows, new Set()), ...remarks(view)];
}

function roleOf({ configuration: { staged } }: MembersView, { name, started, voter, leader }: MemberView): string {
  const role = leader ? "leader" : voter ? "voter" : "learner";
  if (staged?.promote.includes(name) === true) return started ? "learner, becomes a voter" : "not started, becomes a voter";
  if (staged?.remove.includes(name) === true) return `${role}, leaves`;
  if (staged?.demote.includes(name) === true) return `${role}, becomes a learner`;
  return started ? role : "learner, not started";
}

function logOf({ lastLogIndex }: MembersView, { matchIndex, connected, started }: MemberView): string {
  if (!started) return "-";
  const link = connected ? "" : ", not connected";
  return matchIndex === null ? `-${link}` : `${grouped(matchIndex)} of ${grouped(lastLogIndex)}${link}`;
}

function remarks({ leader, configuration, answeredBy, state, members }: MembersView): string[] {
  const { joint, staged, committed } = configuration;
  const under = staged !== null || joint || !committed;
  return [
    ...(members.length === 0 ? [`${answeredBy} is ${state}: it knows no members yet`] : []),
    ...(leader === null && members.length > 0 ? ["no leader is known: nothing can be changed until there is one"] : []),
    ...(leader !== null && leader.name !== answeredBy
      ? [`answered by ${answeredBy}; how far the logs are only the leader knows`]
      : []),
    ...(under ? ["a change is under way: quorate member wait waits for it, quorate member cancel takes it back"] : []),
  ];
}

// ---- While a change goes on ----

const BAR_CELLS = 30;

/** One line; without a bar for a pipe. */
export function renderProgress(progress: ChangeProgress, bar: boolean): string {
  const { waitingFor, catchingUp, joint, committed, configurationIndex } = progress;
  const parts = [
    ...waitingFor.map((name) => `waits for ${name} to start (quorate serve --join)`),
    ...catchingUp.map((learner) => catchUpLine(learner, bar)),
  ];
  if (parts.length > 0) return parts.join("; ");
  if (joint) return `old and new voters decide together (configuration ${configurationIndex})`;
  return `configuration ${configurationIndex} ${committed ? "is committed" : "waits for a majority"}`;
}

function catchUpLine(
  { name, matchIndex, lastLogIndex, receivesSnapshot }: ChangeProgress["catchingUp"][number],
  bar: boolean,
): string {
  if (matchIndex === null) return `${name} catches up`;
  const share = lastLogIndex === 0 ? 1 : Math.min(1, matchIndex / lastLogIndex);
  const percent = `${String(Math.floor(share * 100)).padStart(bar ? 3 : 0)} %`;
  const count = receivesSnapshot ? "receives a snapshot" : `${grouped(matchIndex)} of ${grouped(lastLogIndex)} entries`;
  const filled = Math.floor(share * BAR_CELLS);
  const cells = bar ? `[${"#".repeat(filled)}${"-".repeat(BAR_CELLS - filled)}] ` : "";
  return `${name} catches up ${cells}${percent} (${count})`;
}

/** What changes seldom: a pipe gets a line when this differs. */
export function stageOf({ waitingFor, catchingUp, joint, configurationIndex }: ChangeProgress): string {
  const tenths = catchingUp.map(({ name, matchIndex, lastLogIndex, receivesSnapshot }) => [
    name,
    receivesSnapshot,
    matchIndex === null ? null : Math.floor((10 * matchIndex) / Math.max(1, lastLogIndex)),
  ]);
  return JSON.stringify([waitingFor, tenths, joint ? configurationIndex : null]);
}

// ---- The end ----

export function renderDone({ members, configuration }: MembersView): string {
  const named = (fits: (member: MemberView) => boolean): string =>
    members
      .filter(fits)
      .map(({ name }) => name)
      .join(", ");
  const learners = named(({ voter }) => !voter);
  return `done (configuration ${configuration.index}): voters ${named(({ voter }) => voter)}${learners === "" ? "" : `; learners ${learners}`}`;
}

/** Nothing is under way, and the members are as was asked. */
export function isDone({ members, configuration }: MembersView, wanted: WantedMemberChange): boolean {
  if (!configuration.committed || configuration.joint || configuration.staged !== null) return false;
  const is = (fits: (member: MemberView) => boolean, voter: boolean | null): boolean => {
    const found = members.find(fits);
    return voter === null ? found === undefined : found?.voter === voter;
  };
  const listed = ({ name, address }: { readonly name?: string | undefined; readonly address: string }, voter: boolean): boolean =>
    is((member) => (name === undefined ? member.address === address : member.name === name) && member.started, voter);
  const named = (names: readonly string[], voter: boolean | null): boolean =>
    names.every((name) => is((member) => member.name === name, voter));
  switch (wanted.kind) {
    case "add":
      return wanted.members.every((member) => listed(member, !wanted.learner));
    case "remove":
      return named(wanted.names, null);
    case "replace":
      return named(wanted.remove, null) && wanted.add.every((member) => listed(member, true));
    case "promote":
      return named(wanted.names, true);
    case "demote":
      return named(wanted.names, false);
    case "cancel":
    case "wait":
      return true;
  }
}

function grouped(value: number): string {
  return String(value).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}
