/** How the page looks, in light and in dark. */

export const STYLE = `
:root { color-scheme: light dark; --back: #ffffff; --text: #1c2430; --faint: #5b6675; --line: #d9dee6; --panel: #f5f7fa;
  --legal: #dcefe3; --legal-edge: #2f7d52; --stuck: #fbdcdc; --stuck-edge: #c02b2b; --later: #eceff3; --later-edge: #8a94a3; --way: #2456a6; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14181f; --text: #e6eaf0; --faint: #9aa6b5; --line: #2c3542; --panel: #1b212b;
    --legal: #1d3d2c; --legal-edge: #57b483; --stuck: #4a1f22; --stuck-edge: #f07171; --later: #262e39; --later-edge: #6f7b8b; --way: #7fb0ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1500px; margin: 0 auto; padding: 28px 28px 60px; }
h1 { font-size: 24px; margin: 0 0 4px; }
h1 .bad { color: var(--stuck-edge); } h1 .good { color: var(--legal-edge); } h1 .open { color: var(--way); }
h2 { font-size: 17px; margin: 30px 0 8px; }
p { margin: 6px 0; max-width: 90ch; }
.facts { color: var(--faint); }
code, td.operation, td.value, li { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 13px; }
code { overflow-wrap: anywhere; }
.timeline { display: flex; width: fit-content; max-width: 100%; border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.timeline > svg { flex: none; border-right: 1px solid var(--line); }
/* From right to left, so that the end is what is seen at first. */
.scroll { overflow-x: auto; direction: rtl; }
.timeline svg { direction: ltr; display: block; }
svg text { font: 11px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--text); }
svg .name { fill: var(--faint); }
svg .lane { fill: var(--back); } svg .lane.even { fill: var(--panel); }
svg path { fill: none; stroke-width: 1.2; }
svg .legal rect { fill: var(--legal); } svg .legal path { stroke: var(--legal-edge); }
svg .stuck rect { fill: var(--stuck); } svg .stuck path { stroke: var(--stuck-edge); stroke-width: 1.8; }
svg .later rect, svg .unused rect { fill: var(--later); } svg .later path, svg .unused path { stroke: var(--later-edge); }
svg .later text, svg .unused text { fill: var(--faint); }
svg .open path { stroke-dasharray: 5 3; }
svg .end { stroke: var(--stuck-edge); stroke-width: 1.5; stroke-dasharray: 2 3; }
svg .state { fill: var(--stuck-edge); font-weight: 600; }
svg .way polyline { fill: none; stroke: var(--way); stroke-width: 1; opacity: 0.45; }
svg .way circle { fill: var(--way); stroke: var(--back); stroke-width: 1; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 20px; margin: 8px 0 10px; color: var(--faint); font-size: 13px; }
.legend i { display: inline-block; width: 22px; height: 12px; margin-right: 7px; border: 1.5px solid; border-radius: 3px; vertical-align: -1px; }
.legend .legal { background: var(--legal); border-color: var(--legal-edge); }
.legend .stuck { background: var(--stuck); border-color: var(--stuck-edge); }
.legend .later { background: var(--later); border-color: var(--later-edge); }
.legend .open { border-style: dashed; border-color: var(--faint); }
.legend .dot { width: 8px; height: 8px; border-radius: 50%; background: var(--way); border-color: var(--way); vertical-align: 1px; }
table { border-collapse: collapse; font-size: 13px; min-width: 60%; }
th { text-align: left; font-weight: 600; color: var(--faint); }
th, td { padding: 4px 28px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.operation, td.value { overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.number, th.number { padding-right: 14px; }
td.times { white-space: nowrap; color: var(--faint); font-variant-numeric: tabular-nums; }
tr.stuck td { color: var(--stuck-edge); } tr.unused td { color: var(--faint); }
tr.rule td { color: var(--text); font-size: 14px; padding: 12px 0 6px; }
.tab { position: absolute; opacity: 0; pointer-events: none; }
.tabs { display: flex; flex-wrap: wrap; gap: 8px; margin: 10px 0 14px; }
.tabs label { border: 1px solid var(--line); border-radius: 6px; padding: 3px 12px; cursor: pointer; font-size: 13px; }
.view { display: none; }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--faint); }
`;

/** Which of the views is shown follows from which of the buttons before them is chosen; so the page needs no script. */
export function tabStyle(count: number): string {
  return Array.from({ length: count }, (_, at) => {
    const chosen = `#tab${at}:checked ~`;
    return (
      `${chosen} .views .view${at} { display: block; }\n` +
      `${chosen} .tabs label[for=tab${at}] { border-color: var(--way); color: var(--way); }\n` +
      `#tab${at}:focus-visible ~ .tabs label[for=tab${at}] { outline: 2px solid var(--way); }`
    );
  }).join("\n");
}
