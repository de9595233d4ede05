/** What `quorate log inspect` and `quorate log verify` print. */
import type { Finding, ScannedDirectory } from "@quorate/raft";
import { hexadecimal, incarnationText, worstOf } from "@quorate/raft/runtime";
import type { ExitCode } from "../failure.js";
import { configurationInWords, entryInWords } from "./words.js";

const WORDS: Readonly<Record<Finding["degree"], string>> = { note: "note", torn: "torn", doubtful: "DOUBTFUL", damage: "DAMAGE" };

function findingLine({ degree, place, what, lost = [] }: Finding): string {
  const names = lost.map(({ index, term }) => `${index} (term ${term})`);
  const named = names.length === 0 ? "" : `; lost: ${names.length === 1 ? "entry" : "entries"} ${shortList(names)}`;
  return `${WORDS[degree]}: ${place}: ${what}${named}`;
}

function shortList(texts: readonly string[]): string {
  return texts.length <= 12 ? texts.join(", ") : `${texts.slice(0, 10).join(", ")}, … ${texts.at(-1)}, ${texts.length} in all`;
}

/** 0 whole, 1 a torn tail or a doubtful one, 2 damaged. */
export function exitCodeOf(found: ScannedDirectory): ExitCode {
  const worst = worstOf(found.findings);
  return worst === "damage" ? 2 : worst === "note" ? 0 : 1;
}

/** One line for each finding, and one for the verdict. */
export function verifyLines(found: ScannedDirectory): readonly string[] {
  const { findings, location, last, entries, hardState, snapshots, blocked } = found;
  const lines = findings.map(findingLine);
  if (blocked !== null) lines.push(`note: no node may start here: ${blocked}`);
  const holds = `${entries.length} entries, the last ${last.index} of term ${last.term}; known to be committed up to ${Math.max(hardState.commitIndex, snapshots.find(({ metadata }) => metadata !== null)?.lastIncludedIndex ?? 0)}`;
  const verdicts: Readonly<Record<Finding["degree"], string>> = {
    note: "whole",
    torn: "whole but for a write that was never finished; a node starts here and leaves it out",
    doubtful: "its last write can't be read, and may have been promised: see docs/disaster.md",
    damage: "damaged: see docs/disaster.md",
  };
  return [...lines, `${location}: ${verdicts[worstOf(findings)]} (${holds})`];
}

/** `range`: the entries that are listed. */
export function inspectLines(found: ScannedDirectory, range: { readonly from: number; readonly to: number }): readonly string[] {
  const { identity, owner, founders, hardState, start, last, segments, snapshots, configurations, entries } = found;
  const lines = [`data directory   ${found.location}`];
  if (owner === null) lines.push("identity         none: no node has ever started here");
  else {
    lines.push(`cluster          ${hexadecimal(owner.clusterId)}`);
    lines.push(`name             ${owner.name}`);
    lines.push(`incarnation      ${incarnationText(owner.incarnation)}`);
    lines.push(`starts           ${identity?.boot ?? "not known: the identity can't be read"}`);
  }
  for (const { name, incarnation } of founders) lines.push(`founder          ${name} ${incarnationText(incarnation)}`);
  lines.push(
    `term             ${hardState.currentTerm}${hardState.votedFor === null ? ", no vote" : `, voted for ${hardState.votedFor}`}`,
  );
  lines.push(`committed        at least up to ${hardState.commitIndex}`);
  lines.push(`log              entries ${start.index + 1} to ${last.index}, the last of term ${last.term}`);
  for (const { index, configuration } of configurations)
    lines.push(`configuration    ${index}: ${configurationInWords(configuration)}`);
  for (const { name, id, address } of configurations.at(-1)?.configuration.members ?? [])
    lines.push(`member           ${name} at ${address} (${id})`);
  for (const { path, lastIncludedIndex, lastIncludedTerm, bytes, metadata } of snapshots)
    lines.push(
      `snapshot         ${path}: up to ${lastIncludedIndex} of term ${lastIncludedTerm}, ${bytes} bytes, ${metadata === null ? "NOT WHOLE" : "whole"}`,
    );
  for (const { path, bytes, batches, entries: held, stale } of segments)
    lines.push(
      `segment          ${path}: ${bytes} bytes, ${batches} batches, ${held === null ? "no entries" : `${held.count} entries from ${held.first} to ${held.last}`}${stale ? ", not used any more" : ""}`,
    );
  if (found.blocked !== null) lines.push(`start forbidden  ${found.blocked}`);
  for (const finding of found.findings) lines.push(findingLine(finding));
  lines.push("", `${"index".padStart(10)} ${"term".padStart(6)} ${"bytes".padStart(8)}  type`);
  const listed = entries.filter(({ index }) => index >= range.from && index <= range.to);
  for (const entry of listed) {
    const words = entry.type === null ? "its content can't be read" : entryInWords(entry);
    const type = entry.type ?? "LOST";
    lines.push(
      `${String(entry.index).padStart(10)} ${String(entry.term).padStart(6)} ${String(entry.bytes).padStart(8)}  ${words === "" ? type : `${type.padEnd(13)} ${words}`}`,
    );
  }
  if (listed.length < entries.length)
    lines.push(`${listed.length} of ${entries.length} entries; choose others with --from and --to`);
  return lines;
}

/** The same as one line of JSON. */
export function inspectJson(found: ScannedDirectory, range: { readonly from: number; readonly to: number }): string {
  const { owner, identity, founders, hardState, start, last, segments, snapshots, configurations, findings, endIsLost, blocked } =
    found;
  return JSON.stringify({
    directory: found.location,
    verdict: worstOf(findings),
    clusterId: owner === null ? null : hexadecimal(owner.clusterId),
    name: owner?.name ?? null,
    incarnation: owner === null ? null : incarnationText(owner.incarnation),
    starts: identity?.boot ?? null,
    founders: founders.map(({ name, incarnation }) => ({ name, incarnation: incarnationText(incarnation) })),
    hardState,
    log: { start, last, endIsLost },
    configurations,
    snapshots: snapshots.map(({ metadata, ...rest }) => ({ ...rest, whole: metadata !== null })),
    segments,
    blocked,
    findings,
    entries: found.entries
      .filter(({ index }) => index >= range.from && index <= range.to)
      .map((entry) => ({
        index: entry.index,
        term: entry.term,
        type: entry.type,
        bytes: entry.bytes,
        says: entryInWords(entry),
      })),
  });
}
