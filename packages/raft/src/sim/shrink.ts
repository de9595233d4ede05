/**
 * Makes a failing plan small. Things are taken out of it, and what is still a failure of the same kind is kept: incidents by
 * halves and then one by one (delta debugging, Zeller and Hildebrandt 2002), foul weather, drifting clocks, clients, and the time after the
 * failure. Chance is drawn by each consumer for itself, so what is left goes on much as before.
 */

import type { Incident, Plan } from "./plan.js";
import { FAIR_WEATHER } from "./virtual-network.js";
import type { Finding } from "./world.js";

export interface Shrunk {
  readonly plan: Plan;
  readonly finding: Finding;
  /** How many runs it took. */
  readonly runs: number;
}

const DEFAULT_RUNS = 300;

/** `fails` runs a plan and returns what it found, or null. */
export function shrink(
  plan: Plan,
  finding: Finding,
  fails: (plan: Plan) => Finding | null,
  maxRuns: number = DEFAULT_RUNS,
): Shrunk {
  const kind = kindOf(finding.complaint);
  let best = plan;
  let found = finding;
  let runs = 0;
  const attempt = (candidate: Plan): boolean => {
    if (runs >= maxRuns) return false;
    runs += 1;
    const again = fails(candidate);
    if (again === null || kindOf(again.complaint) !== kind) return false;
    best = candidate;
    found = again;
    return true;
  };
  const cutTime = (): void => {
    const late = best.incidents.filter(({ at }) => at <= found.at);
    if (late.length < best.incidents.length) attempt({ ...best, incidents: late });
    if (found.at < best.stormMicros) attempt({ ...best, stormMicros: found.at + 1000 });
  };

  cutTime();
  for (const calmer of calmerWorlds(best)) attempt({ ...best, ...calmer });
  removeInHalves(
    () => best.incidents,
    (incidents) => attempt({ ...best, incidents }),
  );
  for (let count = 1; count < best.clients.count; count *= 2)
    if (attempt({ ...best, clients: { ...best.clients, count } })) break;
  for (const calmer of calmerWorlds(best)) attempt({ ...best, ...calmer });
  cutTime();
  removeInHalves(
    () => best.incidents,
    (incidents) => attempt({ ...best, incidents }),
  );
  return { plan: best, finding: found, runs };
}

/** Removes as many as can be removed: halves first, then smaller pieces, then each. */
function removeInHalves(current: () => readonly Incident[], attempt: (rest: readonly Incident[]) => boolean): void {
  for (let size = Math.ceil(current().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = current().length - size; at > -size; at -= size) {
      const from = Math.max(0, at);
      const all = current();
      attempt([...all.slice(0, from), ...all.slice(from + size)]);
    }
  }
}

function calmerWorlds({ weather, drift, syncMicros, clients }: Plan): readonly Partial<Plan>[] {
  const { lossPerMille, duplicatePerMille, reorderPerMille, maxQueueBytes } = FAIR_WEATHER;
  const worlds: Partial<Plan>[] = [
    { weather: FAIR_WEATHER, drift: drift.map(() => 0) },
    { weather: { ...weather, lossPerMille } },
    { weather: { ...weather, duplicatePerMille } },
    { weather: { ...weather, reorderPerMille } },
    { weather: { ...weather, maxQueueBytes } },
    { weather: { ...weather, delayHigh: Math.min(weather.delayHigh, FAIR_WEATHER.delayHigh) } },
    { drift: drift.map(() => 0) },
    { syncMicros: Math.min(syncMicros, 4000) },
    { clients: { ...clients, pauseHigh: Math.max(clients.pauseHigh, 60_000) } },
    { clients: { ...clients, sessions: null } },
  ];
  return worlds;
}

/** Two findings are of one kind if they say the same of other nodes, numbers and moments. */
function kindOf(complaint: string): string {
  const [first = ""] = complaint.split("\n");
  return first.replaceAll(/n?\d+(\.\d+)?/g, "#").slice(0, 80);
}
