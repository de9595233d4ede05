/**
 * Numbers of questions never come again, also when the asker has been restarted: a leader may answer the question of a life
 * that is over (its round of heartbeats is confirmed late, perhaps by the very node that asked and came back). If the new
 * life asked under the same number, it would take that answer, with an older read index, for its own: a stale read.
 */
import { expect, test } from "vitest";
import { drawPlan, Finding, type Observer, registers, runPlan } from "../../src/sim/index.js";

/** What one member asked, under one kind of message. */
interface Asked {
  readonly numbers: Set<number>;
  life: number;
}

test("no number of a question is used twice, over all lives of a member", () => {
  const repeated: string[] = [];
  const overRestarts = { ReadIndexRequest: 0, ProposeRequest: 0 };
  for (let seed = 1; seed <= 6; seed += 1) {
    const lives = new Map<string, number>();
    const asked = new Map<string, Asked>();
    const watch: Observer = {
      started: (_name, { id }) => void lives.set(id, (lives.get(id) ?? 0) + 1),
      sent(_from, _to, message, raft) {
        if (raft === null || (message.type !== "ReadIndexRequest" && message.type !== "ProposeRequest")) return;
        const { type, requestId } = message;
        const life = lives.get(raft.id) ?? 0;
        const before = asked.get(`${raft.id} ${type}`) ?? { numbers: new Set(), life };
        if (before.numbers.has(requestId)) repeated.push(`seed ${seed}: ${raft.id} in life ${life}: ${type} ${requestId}`);
        if (before.life < life) overRestarts[type] += 1;
        before.numbers.add(requestId);
        before.life = life;
        asked.set(`${raft.id} ${type}`, before);
      },
    };
    const outcome = runPlan(drawPlan(seed), registers, [watch]);
    if (outcome instanceof Finding) throw outcome;
  }
  expect(repeated).toEqual([]);
  expect(overRestarts.ReadIndexRequest).toBeGreaterThan(3);
  expect(overRestarts.ProposeRequest).toBeGreaterThan(3);
});
