/** The small parts of the reference, against the plainest way to say the same. */
import { describe, expect, it } from "vitest";
import { isQuorum, mayFollow } from "../../../src/sim/reference/quorum.js";
import { addRange, covers, createRanges } from "../../../src/sim/reference/ranges.js";
import { TermLog } from "../../../src/sim/reference/term-log.js";
import { randomOf } from "../../core/random-cluster.js";

const IDS = ["a", "b", "c", "d", "e"];

function subsets(of: readonly string[]): string[][] {
  const [first, ...rest] = of;
  if (first === undefined) return [[]];
  return subsets(rest).flatMap((each) => [each, [first, ...each]]);
}

const isMajority = (members: readonly string[], having: readonly string[]): boolean =>
  members.filter((member) => having.includes(member)).length * 2 > members.length;

describe("a quorum", () => {
  it("is a majority of the voters, and of the outgoing ones while there are any", () => {
    for (const voters of subsets(IDS))
      for (const votersOutgoing of subsets(IDS))
        for (const having of subsets(IDS)) {
          const learners = IDS.filter((id) => !voters.includes(id) && !votersOutgoing.includes(id));
          const expected = isMajority(voters, having) && (votersOutgoing.length === 0 || isMajority(votersOutgoing, having));
          expect(isQuorum({ voters, votersOutgoing, learners }, (id) => having.includes(id))).toBe(expected);
        }
  });

  it("meets every quorum of a configuration that may follow", () => {
    const configurations = subsets(["a", "b", "c", "d"])
      .filter((voters) => voters.length > 0)
      .flatMap((voters) => subsets(["a", "b", "c", "d"]).map((votersOutgoing) => ({ voters, votersOutgoing, learners: [] })));
    let followed = 0;
    for (const before of configurations)
      for (const after of configurations) {
        if (!mayFollow(before, after)) continue;
        followed += 1;
        for (const one of subsets(["a", "b", "c", "d"]))
          for (const other of [["a", "b", "c", "d"].filter((id) => !one.includes(id))])
            expect(isQuorum(before, (id) => one.includes(id)) && isQuorum(after, (id) => other.includes(id))).toBe(false);
      }
    expect(followed).toBeGreaterThan(500);
  });
});

describe("ranges", () => {
  it("hold what was added and nothing else", () => {
    const random = randomOf(7);
    for (let round = 0; round < 300; round += 1) {
      const ranges = createRanges();
      const there = new Set<number>();
      for (let add = 0; add < 12; add += 1) {
        const first = 1 + (random() % 40);
        const last = first - 1 + (random() % 8);
        addRange(ranges, first, last);
        for (let index = first; index <= last; index += 1) there.add(index);
        const from = 1 + (random() % 40);
        const to = from + (random() % 8);
        const all = Array.from({ length: to - from + 1 }, (_, place) => from + place).every((index) => there.has(index));
        expect(covers(ranges, from, to)).toBe(all);
      }
      for (const [place, range] of ranges.entries()) expect(range.first).toBeGreaterThan((ranges[place - 1]?.last ?? -1) + 1);
    }
  });
});

describe("a log of terms", () => {
  it("is what a list of terms would be", () => {
    const random = randomOf(11);
    for (let round = 0; round < 200; round += 1) {
      const log = new TermLog({ index: 0, term: 0 });
      let terms: number[] = [0];
      let start = 0;
      for (let step = 0; step < 40; step += 1) {
        const last = terms.length - 1;
        const roll = random() % 10;
        if (roll < 6) {
          const count = 1 + (random() % 4);
          const term = (terms.at(-1) ?? 0) + (random() % 3);
          log.append(last + count, term);
          for (let more = 0; more < count; more += 1) terms.push(term);
        } else if (roll < 8 && last > start) {
          const from = start + 1 + (random() % (last - start));
          log.truncate(from);
          terms = terms.slice(0, from);
        } else if (last > start) {
          start += random() % (last - start + 1);
          log.compact(start);
        }
        expect(log.last).toEqual({ index: terms.length - 1, term: terms.at(-1) });
        for (let index = 0; index <= terms.length; index += 1)
          expect(log.termAt(index)).toBe(index < start ? null : (terms[index] ?? null));
        const copy = new TermLog({ index: start, term: terms[start] ?? 0 });
        copy.appendFrom(log, terms.length - 1);
        expect([...copy.ends()]).toEqual([...log.ends()]);
      }
    }
  });
});
