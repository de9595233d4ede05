/** The reason for a verdict, as one page of HTML that needs nothing else: no script, no font, no picture from anywhere. */

import type { CheckResult, Failure, GroupResult } from "../check.js";
import type { Operation } from "../history.js";
import type { LegalPrefix } from "../search.js";
import { drawTimeline } from "./drawing.js";
import { type Layout, layOut } from "./layout.js";
import { STYLE, tabStyle } from "./style.js";
import { callText, escapeHtml, shorten, timesText } from "./words.js";

export interface PageOptions {
  /** What the history is, or where it comes from. Default: nothing. */
  readonly title?: string;
}

/** How much of the order is listed at once; the rest of what is kept can be unfolded. */
const LISTED = 12;
const GROUPS_LISTED = 200;
const LONGEST_CELL = 300;

export function explainHtml<State>(result: CheckResult<State>, options: PageOptions = {}): string {
  const { title = "" } = options;
  const verdicts = { linearizable: "Linearizable", not: "Not linearizable", unknown: "Unknown" } as const;
  const classes = { linearizable: "good", not: "bad", unknown: "open" } as const;
  const verdict = verdicts[result.verdict];
  const views = result.verdict === "not" ? result.failure.prefixes.length : 0;
  return [
    "<!DOCTYPE html>",
    '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeHtml(title === "" ? verdict : `${verdict}: ${title}`)}</title>`,
    `<style>${STYLE}${tabStyle(views)}</style></head><body><main>`,
    `<h1><span class="${classes[result.verdict]}">${verdict}</span>${title === "" ? "" : ` · ${escapeHtml(title)}`}</h1>`,
    `<p class="facts">${factsText(result)}</p>`,
    result.verdict === "not" ? failureSection(result.failure) : "",
    result.verdict === "unknown" ? unknownSection(result) : "",
    result.verdict === "linearizable" ? "<p>There is a legal order of all operations that respects time.</p>" : "",
    groupsSection(result.groups),
    "</main></body></html>",
    "",
  ].join("\n");
}

function factsText<State>({ model, groups, steps }: CheckResult<State>): string {
  const operations = groups.reduce((sum, group) => sum + group.operations, 0);
  const parts = [
    `model ${escapeHtml(model)}`,
    countOf(operations, "operation"),
    countOf(groups.length, "group"),
    countOf(steps, "step"),
  ];
  return parts.join(" · ");
}

function countOf(count: number, what: string): string {
  return `${String(count).replace(/\B(?=(\d{3})+$)/g, ",")} ${what}${count === 1 ? "" : "s"}`;
}

function unknownSection<State>(result: CheckResult<State> & { readonly verdict: "unknown" }): string {
  const undecided = result.groups.filter(({ verdict }) => verdict === "undecided").length;
  return (
    `<p>The budget of ${result.reason} ran out with ${countOf(undecided, "group")} undecided. ` +
    "That says nothing about the history, neither good nor bad: give more, or record shorter histories over more keys.</p>"
  );
}

function failureSection<State>({ key, operations, prefixes }: Failure<State>): string {
  const subject = key === null ? "" : ` of key <code>${escapeHtml(JSON.stringify(key))}</code>`;
  const [longest] = prefixes;
  const reached = longest?.operations.length ?? 0;
  const open = operations.filter((operation) => operation.return === null).length;
  const openText = open === 0 ? "" : ` (the outcome of ${open} of them is unknown)`;
  const several = prefixes.length > 1 ? ` There are several such orders; here are ${prefixes.length}.` : "";
  return [
    `<p>No order of the ${countOf(operations.length, "operation")}${subject}${openText} respects time and explains every answer. ` +
      `The longest ones that begin legally have ${countOf(reached, "operation")}; of those that must come next, none can.${several}</p>`,
    ...prefixes.map((_, at) => `<input class="tab" type="radio" name="tab" id="tab${at}"${at === 0 ? " checked" : ""}>`),
    prefixes.length > 1 ? `<div class="tabs">${prefixes.map((prefix, at) => tabLabel(prefix, at)).join("")}</div>` : "",
    `<div class="views">${prefixes.map((prefix, at) => viewOf(operations, prefix, at)).join("\n")}</div>`,
  ].join("\n");
}

function tabLabel<State>({ stateText }: LegalPrefix<State>, at: number): string {
  return `<label for="tab${at}">order ${at + 1}: state ${escapeHtml(shorten(stateText, 24))}</label>`;
}

function viewOf<State>(operations: readonly Operation[], prefix: LegalPrefix<State>, at: number): string {
  const layout = layOut(operations, prefix);
  return [
    `<div class="view view${at}">`,
    LEGEND,
    drawTimeline(layout, prefix.stateText),
    hiddenText(layout),
    "<h2>The end of the order, and what cannot come next</h2>",
    orderTable(prefix),
    "</div>",
  ].join("\n");
}

const LEGEND = `<div class="legend"><span><i class="legal"></i>in the order, with its number</span>
<span><i class="dot"></i>where it takes effect</span>
<span><i class="stuck"></i>cannot come next, though one of these must</span>
<span><i class="later"></i>not reached, or of no help</span>
<span><i class="open"></i>dashed: outcome unknown</span></div>`;

function hiddenText({ hidden }: Layout): string {
  const parts = [
    hidden.legal > 0 ? `${countOf(hidden.legal, "operation")} at the beginning of the order` : "",
    hidden.stuck > 0 ? `${hidden.stuck} more that cannot come next` : "",
    hidden.unused > 0 ? `${hidden.unused} more with an unknown outcome` : "",
    hidden.later > 0 ? `${countOf(hidden.later, "operation")} later` : "",
  ].filter((part) => part !== "");
  return parts.length === 0 ? "" : `<p class="facts">Not shown: ${parts.join("; ")}.</p>`;
}

function orderTable<State>({ operations, trail, stateText, stuck, open }: LegalPrefix<State>): string {
  const first = operations.length - trail.length;
  const rows = trail.map(({ operation, stateText: after }, at) => {
    return row("", first + at + 1, operation, escapeHtml(shorten(after, LONGEST_CELL)));
  });
  const folded = rows.slice(0, Math.max(0, rows.length - LISTED));
  const state = `<code>${escapeHtml(stateText)}</code>`;
  return [
    folded.length === 0 ? "" : `<details><summary>${countOf(folded.length, "operation")} before</summary>`,
    folded.length === 0 ? "" : `<table>${HEAD}<tbody>${folded.join("\n")}</tbody></table></details>`,
    `<table>${HEAD}<tbody>${rows.slice(folded.length).join("\n")}`,
    rule(`The state is ${state}. One of these must come next, and none can:`),
    ...someRows("stuck", stuck),
    open.length === 0 ? "" : rule("Nor do these help, which may have happened at any time or never:"),
    ...someRows("unused", open),
    "</tbody></table>",
  ].join("\n");
}

const HEAD =
  '<thead><tr><th class="number">#</th><th>operation</th><th>process</th><th>time</th><th>state after it</th></tr></thead>';

function rule(text: string): string {
  return `<tr class="rule"><td></td><td colspan="4">${text}</td></tr>`;
}

function someRows(style: "stuck" | "unused", operations: readonly Operation[]): readonly string[] {
  const rows = operations.slice(0, LISTED).map((operation) => row(style, style === "stuck" ? "✗" : "?", operation, ""));
  return operations.length > LISTED ? [...rows, rule(`… and ${operations.length - LISTED} more.`)] : rows;
}

function row(style: string, number: number | string, operation: Operation, state: string): string {
  const asked = escapeHtml(shorten(callText(operation), LONGEST_CELL));
  return (
    `<tr class="${style}"><td class="number">${number}</td><td class="operation">${asked}</td><td>${operation.process}</td>` +
    `<td class="times">${timesText(operation)}</td><td class="value">${state}</td></tr>`
  );
}

function groupsSection(groups: readonly GroupResult[]): string {
  if (groups.length <= 1) return "";
  const importance = { not: 0, undecided: 1, linearizable: 2 } as const;
  const sorted = groups.toSorted((left, right) => importance[left.verdict] - importance[right.verdict]);
  const words = { not: "not linearizable", undecided: "undecided", linearizable: "linearizable" } as const;
  const rows = sorted.slice(0, GROUPS_LISTED).map(({ key, verdict, operations, steps }) => {
    const name = escapeHtml(shorten(JSON.stringify(key), LONGEST_CELL));
    return `<tr${verdict === "not" ? ' class="stuck"' : ""}><td class="value">${name}</td><td>${words[verdict]}</td><td class="number">${operations}</td><td class="number">${steps}</td></tr>`;
  });
  const more = groups.length > GROUPS_LISTED ? `<p class="facts">… and ${groups.length - GROUPS_LISTED} more.</p>` : "";
  const head =
    '<thead><tr><th>key</th><th>verdict</th><th class="number">operations</th><th class="number">steps</th></tr></thead>';
  return `<h2>Groups</h2><details open><summary>${countOf(groups.length, "group")}</summary><table>${head}<tbody>${rows.join("\n")}</tbody></table>${more}</details>`;
}
