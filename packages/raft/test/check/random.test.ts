/** The checker against histories that are linearizable by construction, and against every permutation of small ones. */
import { describe, expect, test } from "vitest";
import { casRegister, checkHistory, type Model, type Operation, register, versionedRegister } from "../../src/check/index.js";
import { bruteForce, isWitness, type Legal, registerLegal, versionedLegal } from "./brute-force.js";
import { type Kind, mutateRegister, randomHistory } from "./random-histories.js";

type Verdict = "linearizable" | "not" | "unknown";

interface Subject {
  readonly kind: Kind;
  readonly legal: Legal;
  check(operations: readonly Operation[], simplified: boolean): { verdict: Verdict; order: readonly Operation[] };
}

function subject<State>(kind: Kind, model: Model<State>, legal: Legal): Subject {
  const { simplify: _, ...plain } = model;
  return {
    kind,
    legal,
    check: (operations, simplified) => {
      const result = checkHistory(operations, simplified ? model : plain);
      return { verdict: result.verdict, order: result.groups[0]?.order ?? [] };
    },
  };
}

const subjects: readonly Subject[] = [
  subject("register", register, registerLegal),
  subject("cas-register", casRegister, registerLegal),
  subject("versioned-register", versionedRegister, versionedLegal),
];

describe.each(subjects)("$kind", ({ kind, legal, check }) => {
  test("small histories get the verdict of every permutation", () => {
    const counts = { linearizable: 0, not: 0, open: 0 };
    for (let seed = 1; seed <= 3000; seed += 1) {
      const operations = smallHistory(seed, kind);
      const expected = bruteForce(operations, legal) ? "linearizable" : "not";
      counts[expected] += 1;
      if (operations.some((operation) => operation.return === null)) counts.open += 1;
      for (const simplified of [true, false]) {
        const { verdict, order } = check(operations, simplified);
        if (verdict === expected && (verdict === "not" || isWitness(order, operations, legal))) continue;
        const history = JSON.stringify(operations, null, 1);
        expect.fail(`seed ${seed}, simplified ${simplified}: ${verdict} instead of ${expected}: ${history}`);
      }
    }
    console.log(`${kind}: ${counts.linearizable} linearizable, ${counts.not} not, ${counts.open} with open operations`);
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(300);
  });

  test("long histories of a real one are linearizable, and the order found is one", () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const shape = { kind, operations: 300, clients: 2 + (seed % 7), openPerMille: (seed % 3) * 20, values: (seed % 2) * 4 };
      // Open writes of values that others write too are what no register knows how to simplify: keep them few.
      const few = shape.values > 0 ? Math.min(shape.openPerMille, 10) : shape.openPerMille;
      const operations = randomHistory(seed, { ...shape, openPerMille: few });
      const { verdict, order } = check(operations, true);
      expect(`seed ${seed}: ${verdict}`).toBe(`seed ${seed}: linearizable`);
      expect(isWitness(order, operations, legal)).toBe(true);
    }
  });

  test("one wrong answer among hundreds is found", () => {
    let found = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const operations = randomHistory(seed, { kind, operations: 300, clients: 4, openPerMille: 0, values: 0 });
      const at = operations.findIndex((operation, place) => place >= 150 && operation.f === "read" && operation.output !== null);
      const read = operations[at];
      const old = operations.find((operation) => operation.f === "read" && operation.output !== null);
      if (read === undefined || old === undefined || read.output === old.output) continue;
      operations[at] = { ...read, output: old.output };
      expect(`seed ${seed}: ${check(operations, true).verdict}`).toBe(`seed ${seed}: not`);
      found += 1;
    }
    expect(found).toBeGreaterThan(30);
  });
});

function smallHistory(seed: number, kind: Kind): Operation[] {
  const operations = randomHistory(seed, {
    kind,
    operations: 4 + (seed % 3),
    clients: 2 + (seed % 2),
    openPerMille: seed % 3 === 0 ? 100 : 0,
    values: seed % 2 === 0 ? 0 : 2,
    guessedPerMille: 500,
  });
  return seed % 6 === 0 ? operations : mutateRegister(seed, operations);
}
