/** The page that explains a verdict: what is on it, that it needs nothing else, and that its drawing tells the truth about time. */
import { describe, expect, test } from "vitest";
import { type Bar, layOut } from "../../src/check/html/layout.js";
import {
  type CheckResult,
  casRegister,
  checkHistory,
  explainHtml,
  type Failure,
  keyValue,
  type Operation,
  register,
  set,
} from "../../src/check/index.js";
import { mutateRegister, randomHistory } from "./random-histories.js";

function operation(process: number, f: string, input: unknown, output: unknown, call: number, end: number | null): Operation {
  return { process, f, key: null, input, output, call, return: end };
}

const five: readonly Operation[] = [
  operation(0, "write", 1, null, 0, 10),
  operation(1, "write", 2, null, 5, 15),
  operation(2, "read", null, 2, 8, 20),
  operation(0, "read", null, 1, 25, 30),
  operation(1, "read", null, 2, 40, 50),
];

/** Throws where a tag is not closed, or another one is. */
function checkTags(html: string): void {
  const open: string[] = [];
  const body = html.replace(/<style>[^<]*<\/style>/, "").replace("<!DOCTYPE html>", "");
  for (const [whole, close, name = "", rest = ""] of body.matchAll(/<(\/?)([a-z0-9]+)((?:"[^"]*"|[^"<>])*)>/g)) {
    if (close === "/") {
      if (open.pop() !== name) throw new Error(`${whole} closes ${open.join(" ")}`);
    } else if (!rest.endsWith("/") && name !== "meta" && name !== "input") open.push(name);
  }
  if (open.length > 0) throw new Error(`never closed: ${open.join(" ")}`);
  if (/[<>]/.test(body.replace(/<(\/?)([a-z0-9]+)((?:"[^"]*"|[^"<>])*)>/g, ""))) throw new Error("a stray bracket");
}

function failureOf<State>(result: CheckResult<State>): Failure<State> {
  if (result.verdict !== "not") throw new Error(result.verdict);
  return result.failure;
}

describe("the page of a history that is not linearizable", () => {
  test("shows every operation of a small one, the way through them, and what cannot come next", () => {
    const html = explainHtml(checkHistory(five, register), { title: "five.jsonl" });
    checkTags(html);
    expect(html).toContain("<title>Not linearizable: five.jsonl</title>");
    expect(html.match(/<g class="legal">/g)).toHaveLength(4);
    expect(html.match(/<g class="stuck">/g)).toHaveLength(1);
    expect(html.match(/<circle /g)).toHaveLength(4);
    for (const text of ["process 0", "process 1", "process 2", "✗ read → 2", "state: 1"]) expect(html).toContain(text);
    expect(html).not.toContain("Not shown");
  });

  test("has a view for each of the longest orders", () => {
    const writes = [1, 2, 3].map((value) => operation(value, "write", value, null, 0, 9));
    const html = explainHtml(checkHistory([...writes, operation(0, "read", null, 7, 10, 11)], register));
    checkTags(html);
    for (const at of [0, 1, 2]) {
      expect(html).toContain(`<label for="tab${at}">`);
      expect(html).toContain(`<div class="view view${at}">`);
      expect(html).toContain(`#tab${at}:checked ~ .views .view${at}`);
    }
    expect(html.match(/type="radio"/g)).toHaveLength(html.match(/<div class="view /g)?.length ?? 0);
    expect(html.match(/ checked>/g)).toHaveLength(1);
  });

  test("needs nothing else, and does nothing", () => {
    const html = explainHtml(checkHistory(five, register));
    expect(html.replaceAll('xmlns="http://www.w3.org/2000/svg"', "")).not.toMatch(
      /https?:|\b(src|href)=|url\(|@import|<script|\bon\w+=/,
    );
  });

  test("takes nothing in the history for its own", () => {
    const evil = `</title><script>alert("1")</script>'&`;
    const history = [
      { ...operation(0, "put", evil, null, 0, 1), key: evil },
      { ...operation(0, "get", null, { [evil]: evil }, 2, 3), key: evil },
      { ...operation(1, "put", evil, null, 2, null), key: evil },
      { ...operation(1, "get", null, null, 2, 3), key: "other" },
    ];
    const html = explainHtml(checkHistory(history, keyValue), { title: evil });
    checkTags(html);
    expect(html).not.toContain("<script");
    expect(html).toContain("&#60;script&#62;");
  });

  test("of five thousand operations is no longer than of fifty: a window around the failure", () => {
    const history = randomHistory(11, { kind: "cas-register", operations: 5000, clients: 8, openPerMille: 10, values: 0 });
    const at = history.findIndex(({ f, output }, place) => place > 3000 && f === "read" && output !== null);
    const wrong = {
      ...(history[at] as Operation),
      output: history.find(({ f, output }) => f === "read" && output !== null)?.output,
    };
    history[at] = wrong;
    const result = checkHistory(history, casRegister);
    const html = explainHtml(result);
    checkTags(html);
    expect(html.length).toBeLessThan(100_000);
    expect(html).toContain(`✗ read → ${JSON.stringify(wrong.output)}`);
    expect(html).toMatch(
      /Not shown: [\d,]+ operations at the beginning of the order; \d+ more with an unknown outcome; [\d,]+ operations later/,
    );
    const failure = failureOf(result);
    const { bars } = layOut(failure.operations, failure.prefixes[0] as (typeof failure.prefixes)[0]);
    expect(bars.length).toBeLessThan(50);
    expect(bars.filter(({ standing }) => standing === "stuck").map((bar) => bar.operation)).toContain(wrong);
  });

  test("shortens what is long", () => {
    const many = Array.from({ length: 3000 }, (_, element) => element);
    const history = [
      ...many.map((element) => operation(0, "add", element, null, element, element + 0.5)),
      operation(1, "read", null, many.slice(1), 5000, 5001),
    ];
    expect(explainHtml(checkHistory(history, set)).length).toBeLessThan(60_000);
  });
});

describe("other pages", () => {
  test("a history that is linearizable", () => {
    const html = explainHtml(checkHistory(five.slice(0, 4), register));
    checkTags(html);
    expect(html).toContain('<h1><span class="good">Linearizable</span></h1>');
    expect(html).not.toContain("<svg");
  });

  test("one that is undecided says why, and which keys", () => {
    const history = Array.from({ length: 20 }, (_, at) => ({ ...operation(at, "write", at, null, 0, 1), key: `k${at % 2}` }));
    const html = explainHtml(
      checkHistory([...history, { ...operation(0, "read", null, 99, 2, 3), key: "k0" }], register, { maxSteps: 50 }),
    );
    checkTags(html);
    expect(html).toContain('<span class="open">Unknown</span>');
    expect(html).toContain("The budget of steps ran out with 2 groups undecided");
    expect(html).toMatch(/&#34;k0&#34;<\/td><td>undecided/);
  });
});

describe("the drawing", () => {
  const failures = Array.from({ length: 400 }, (_, seed) => {
    const kind = seed % 2 === 0 ? "register" : "cas-register";
    const shape = {
      kind,
      operations: 6 + (seed % 60),
      clients: 2 + (seed % 4),
      openPerMille: seed % 3 === 0 ? 100 : 0,
      values: 0,
    } as const;
    return checkHistory(mutateRegister(seed, randomHistory(seed, shape)), kind === "register" ? register : casRegister);
  }).filter((result) => result.verdict === "not");

  test("keeps the order of time, and touching is overlapping", () => {
    expect(failures.length).toBeGreaterThan(50);
    for (const result of failures) {
      const { operations, prefixes } = failureOf(result);
      for (const prefix of prefixes) {
        const { bars, width } = layOut(operations, prefix);
        for (const one of bars) {
          expect(one.left).toBeGreaterThanOrEqual(0);
          expect(one.right).toBeGreaterThan(one.left);
          expect(one.right).toBeLessThanOrEqual(width);
          for (const other of bars) {
            const before = one.operation.return !== null && one.operation.return < other.operation.call;
            expect(one.right < other.left).toBe(before);
          }
        }
      }
    }
  });

  test("lets every operation of the order take effect within its bar, in the order", () => {
    for (const result of failures) {
      const { operations, prefixes } = failureOf(result);
      for (const prefix of prefixes) {
        const { bars, stuckAt } = layOut(operations, prefix);
        const inOrder = bars
          .filter(({ standing }) => standing === "legal")
          .sort((left, right) => numberOf(left) - numberOf(right));
        expect(inOrder.map((bar) => bar.operation)).toEqual(prefix.operations.slice(prefix.operations.length - inOrder.length));
        let last = Number.NEGATIVE_INFINITY;
        for (const { point, left, right } of inOrder) {
          expect(point).toBeGreaterThan(Math.max(last, left));
          expect(point).toBeLessThan(right);
          last = point ?? last;
        }
        expect(stuckAt).toBeGreaterThan(last);
        // Whatever must come next has not returned where the order ends.
        for (const bar of bars) if (bar.standing === "stuck") expect(bar.right).toBeGreaterThan(stuckAt);
      }
    }
  });

  test("lays no bar over another", () => {
    for (const result of failures) {
      const { operations, prefixes } = failureOf(result);
      const { bars, lanes, rows } = layOut(operations, prefixes[0] as (typeof prefixes)[0]);
      for (const [at, one] of bars.entries()) {
        const lane = lanes.find(({ process: client }) => client === one.operation.process);
        expect(one.row - (lane?.firstRow ?? 0)).toBeLessThan(lane?.rows ?? 0);
        for (const other of bars.slice(at + 1)) {
          expect(one.row === other.row && one.left < other.right && other.left < one.right).toBe(false);
        }
      }
      expect(lanes.reduce((sum, lane) => sum + lane.rows, 0)).toBe(rows);
    }
  });
});

function numberOf(bar: Bar): number {
  return bar.number ?? 0;
}
