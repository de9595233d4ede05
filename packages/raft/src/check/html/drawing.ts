/** The drawing of a layout as SVG: a bar for each operation, and the way of the order through them. */

import type { Bar, Layout } from "./layout.js";
import { callText, escapeHtml, shorten, timesText } from "./words.js";

const ROW_HEIGHT = 28;
const BAR_HEIGHT = 22;
const TOP = 34;
const LEFT_MARGIN = 10;
const RIGHT_MARGIN = 16;
const LONGEST_HINT = 1000;

/** The names of the processes, and what they did: in two drawings side by side, of which the second is scrolled. */
export function drawTimeline(layout: Layout, stateText: string): string {
  const { width, rows, lanes, bars, stuckAt } = layout;
  const fullWidth = Math.ceil(width + LEFT_MARGIN + RIGHT_MARGIN);
  const height = TOP + rows * ROW_HEIGHT + 10;
  // Beside the mark, on the side where there is more room.
  const onLeft = stuckAt > width / 2;
  const state = escapeHtml(shorten(`state: ${stateText}`, 60));
  const stuckX = x(stuckAt);
  const stripes = lanes.map(({ firstRow, rows: laneRows }, at) => {
    const style = `lane${at % 2 === 0 ? " even" : ""}`;
    return `<rect class="${style}" y="${laneTop(firstRow)}" width="100%" height="${laneRows * ROW_HEIGHT}"/>`;
  });
  const names = lanes.map(({ process: client, firstRow }) => {
    return `<text class="name" x="10" y="${laneTop(firstRow) + 18}">process ${client}</text>`;
  });
  const parts = [
    ...stripes,
    `<line class="end" x1="${stuckX}" y1="24" x2="${stuckX}" y2="${height - 6}"/>`,
    `<text class="state" x="${onLeft ? stuckX - 6 : stuckX + 6}" y="18" text-anchor="${onLeft ? "end" : "start"}">${state}</text>`,
    ...bars.map(drawBar),
    drawWay(bars),
  ];
  const namesWidth = 34 + 7 * Math.max(...lanes.map(({ process: client }) => `process ${client}`.length - 2));
  return (
    `<div class="timeline">${drawing(namesWidth, height, [...stripes, ...names], "Processes")}<div class="scroll">` +
    `${drawing(fullWidth, height, parts, "Operations by process, time from left to right")}</div></div>`
  );
}

function drawing(width: number, height: number, parts: readonly string[], label: string): string {
  const size = `width="${width}" height="${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="${label}" ${size}>${parts.join("")}</svg>`;
}

function laneTop(firstRow: number): number {
  return TOP + firstRow * ROW_HEIGHT;
}

function x(left: number): number {
  return Math.round((left + LEFT_MARGIN) * 10) / 10;
}

function barTop({ row }: Bar): number {
  return TOP + row * ROW_HEIGHT + (ROW_HEIGHT - BAR_HEIGHT) / 2;
}

const STANDINGS = {
  legal: "in the order",
  stuck: "cannot come next",
  unused: "would not help",
  later: "not reached",
} as const;

function drawBar(bar: Bar): string {
  const { operation, standing, label, labelLeft, number } = bar;
  const top = barTop(bar);
  const open = operation.return === null;
  const place = number === null ? STANDINGS[standing] : `number ${number} in the order`;
  const key = operation.key === null ? "" : `key ${JSON.stringify(operation.key)}, `;
  const hint = `process ${operation.process}: ${callText(operation)} (${key}${timesText(operation)}); ${place}`;
  return (
    `<g class="${standing}${open ? " open" : ""}"><title>${escapeHtml(shorten(hint, LONGEST_HINT))}</title>` +
    `${shape(bar, top)}<text x="${x(labelLeft) + 8}" y="${top + 15}">${escapeHtml(label)}</text></g>`
  );
}

/** Without an edge on the right where the outcome is unknown, and without one on the left where it began before the drawing. */
function shape({ operation, left, right, beganBefore }: Bar, top: number): string {
  const [begin, end, side] = [x(left), x(right), BAR_HEIGHT - 8];
  const upper = beganBefore ? `M${begin} ${top}` : `M${begin} ${top + 4}q0-4 4-4`;
  const rightEdge = operation.return === null ? `H${end}m0 ${BAR_HEIGHT}` : `H${end - 4}q4 0 4 4v${side}q0 4-4 4`;
  const leftEdge = beganBefore ? `H${begin}` : `H${begin + 4}q-4 0-4-4v-${side}`;
  const area = `<rect x="${begin}" y="${top}" width="${Math.round((end - begin) * 10) / 10}" height="${BAR_HEIGHT}" rx="4"/>`;
  return `${area}<path d="${upper}${rightEdge}${leftEdge}"/>`;
}

/** From one operation to the next, in the order in which they take effect. */
function drawWay(bars: readonly Bar[]): string {
  const points = bars
    .flatMap((bar) => (bar.point === null ? [] : [{ number: bar.number ?? 0, left: x(bar.point), y: barTop(bar) + BAR_HEIGHT }]))
    .sort((one, other) => one.number - other.number);
  if (points.length === 0) return "";
  const line = points.map(({ left, y }) => `${left},${y}`).join(" ");
  const dots = points.map(({ left, y }) => `<circle cx="${left}" cy="${y}" r="3"/>`).join("");
  return `<g class="way"><polyline points="${line}"/>${dots}</g>`;
}
