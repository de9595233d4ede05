/** docs/mutants.md: the table of all mutants with what kills them, and a summary. */
import type { Result } from "./judge.js";
import type { Difficulty, Mutant } from "./mutant.js";
import type { Tier } from "./tiers.js";

const DIFFICULTIES: readonly Difficulty[] = ["easy", "medium", "hard"];

/** A mutant that may not survive: its rule would be guarded by nothing. */
export function mustDie(mutant: Mutant): boolean {
  return mutant.kind === "safety" && mutant.difficulty !== "hard";
}

export function documentation(mutants: readonly Mutant[], results: ReadonlyMap<string, Result>, tiers: readonly Tier[]): string {
  const killed = (mutant: Mutant): boolean => results.get(mutant.id)?.fate.kind === "killed";
  const survivors = mutants.filter((mutant) => !killed(mutant));
  const alone = mutants.filter((mutant) => mutant.fromRuleAlone).length;
  return `# Seeded bugs

Each row is one small edit of the real source that breaks one written rule, and the first of the tests that notices. \`npm run
test:mutants\` plants them one after the other in a copy of the package and runs the tiers below, from cheap to costly, until one
fails; the correct build passes the same tiers. This page is written by \`npm run test:mutants -- --update-docs\`.

${alone} of the ${mutants.length} were written from the rule and the source before any test was looked at. *easy*: wrong in an ordinary run, or with one
message. *medium*: it takes one fault, or one order of messages. *hard*: it takes several that seldom meet. An easy or medium mutant
of a safety rule that survives fails the run.

Rules: 1.n and a letter with a number are rows of the list of what has gone wrong in other Raft systems that this project works
from. WALn and fault n are the rules of its storage and the rows of its table of what disks do. Laws are those of its design; one of
them is that everything that can grow has a limit.

## Summary

${table(
  ["", "mutants", "killed", "by tier"],
  [
    ...DIFFICULTIES.map((difficulty) =>
      summaryRow(
        difficulty,
        mutants.filter((mutant) => mutant.difficulty === difficulty),
        results,
        tiers,
      ),
    ),
    summaryRow(
      "safety",
      mutants.filter((mutant) => mutant.kind === "safety"),
      results,
      tiers,
    ),
    summaryRow("all", mutants, results, tiers),
  ],
)}

${table(
  ["tier", "what it runs", "seeds"],
  tiers.map(({ name, what, seeds }) => [name, what, seeds === undefined ? "" : String(seeds)]),
)}

## Survivors

${survivors.length === 0 ? "None." : survivors.map((mutant) => `- **${mutant.id}** (${mutant.difficulty}, ${mutant.kind}): ${mutant.title}. ${mutant.survives ?? "Not explained yet."}`).join("\n")}

## All

${table(
  ["id", "rule", "what it breaks", "difficulty", "kind", "killed by", "seeds"],
  mutants.map((mutant) => row(mutant, results.get(mutant.id))),
)}
`;
}

function summaryRow(
  name: string,
  mutants: readonly Mutant[],
  results: ReadonlyMap<string, Result>,
  tiers: readonly Tier[],
): readonly string[] {
  const by = new Map<string, number>();
  for (const { id } of mutants) {
    const fate = results.get(id)?.fate;
    if (fate?.kind === "killed") by.set(fate.tier, (by.get(fate.tier) ?? 0) + 1);
  }
  const killed = [...by.values()].reduce((sum, count) => sum + count, 0);
  const shares = tiers.flatMap((tier) => (by.has(tier.name) ? [`${tier.name} ${by.get(tier.name)}`] : []));
  return [name, String(mutants.length), `${killed} (${percent(killed, mutants.length)})`, shares.join(", ")];
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "–" : `${Math.floor((100 * part) / whole)} %`;
}

function row(mutant: Mutant, result: Result | undefined): readonly string[] {
  const { id, rule, title, difficulty, kind } = mutant;
  const fate = result?.fate;
  const seeds = fate?.kind === "killed" && fate.seeds !== null ? String(fate.seeds) : "";
  return [id, rule, title, difficulty, kind, fate?.kind === "killed" ? fate.tier : "**survives**", seeds];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${head.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}
