/**
 * The table is a function of the log alone: however its entries are cut into batches, and wherever a node is restored from a
 * snapshot between two of them, the same replies come out, the same commands are executed, and the same table stands at the end.
 * And it keeps its limits at every moment.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Entry } from "../../../src/core/index.js";
import { MachineHost } from "../../../src/runtime/machine-host.js";
import type { SessionRequest } from "../../../src/runtime/sessions/request.js";
import { EchoMachine, replyText, sessionEntry, tableLines, throughSnapshot } from "./table-script.js";

const SESSIONS = 3;
const REQUESTS = 4;
const BYTES = 9;

/** Ids are places in the log: the first two entries open sessions, and others do here and there. */
const session = fc.constantFrom(1, 1, 1, 2, 2, 3, 5);
const request = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("open" as const), expireAfter: fc.integer({ min: 1, max: 60 }) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("command" as const),
      session,
      sequence: fc.constantFrom(0, 1, 1, 2, 2, 3, 4, 5, 6),
      back: fc.constantFrom(0, 1, 2, 3, 3, 3, 5),
      length: fc.integer({ min: 0, max: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("keepAlive" as const, "close" as const), session }) },
);
const step = fc.record({
  request,
  passes: fc.integer({ min: 0, max: 3 }),
  newTerm: fc.nat(9),
  cut: fc.constantFrom("goOn", "goOn", "batch", "snapshot"),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const full = { maxSessions: SESSIONS, maxRequests: REQUESTS, maxResultBytes: BYTES };

function logOf(steps: readonly Step[]): Entry[] {
  let term = 1;
  let ledFor = 0;
  return steps.map(({ request: drawn, passes, newTerm }, place) => {
    const asked = place < 2 ? { kind: "open" as const, expireAfter: 20 + 20 * place } : drawn;
    if (newTerm === 0) {
      term += 1;
      ledFor = 0;
    }
    ledFor += passes;
    const made: SessionRequest =
      asked.kind === "open"
        ? { ...asked, ...full }
        : asked.kind === "command"
          ? {
              kind: "command",
              session: asked.session,
              sequence: asked.sequence,
              lowestWaiting: Math.max(0, asked.sequence - asked.back),
              command: new Uint8Array(asked.length).fill(97),
            }
          : asked;
    return sessionEntry(place + 1, term, ledFor, made);
  });
}

interface Outcome {
  readonly replies: readonly string[];
  readonly executed: readonly string[];
  readonly table: readonly string[];
}

function play(log: readonly Entry[], cutAfter: (place: number) => Step["cut"]): Outcome {
  let host = new MachineHost(new EchoMachine());
  const replies: string[] = [];
  let batch: Entry[] = [];
  for (const [place, entry] of log.entries()) {
    batch.push(entry);
    const cut = place === log.length - 1 ? "batch" : cutAfter(place);
    if (cut === "goOn") continue;
    host.apply(batch, (_index, _term, _result, reply) => replies.push(reply === undefined ? "none" : replyText(reply)));
    batch = [];
    const { sessions } = host.sessions;
    expect(sessions.size).toBeLessThanOrEqual(SESSIONS);
    for (const { executed, keptBytes, lowestWaiting } of sessions.values()) {
      expect(executed.size).toBeLessThanOrEqual(REQUESTS);
      expect(keptBytes).toBeLessThanOrEqual(BYTES);
      let kept = 0;
      for (const [sequence, { result }] of executed) {
        expect(sequence).toBeGreaterThanOrEqual(lowestWaiting);
        kept += result?.length ?? 0;
      }
      expect(keptBytes).toBe(kept);
    }
    if (cut === "snapshot") ({ host } = throughSnapshot(host));
  }
  return { replies, executed: host.machine.executed, table: tableLines(host) };
}

test("the table is the same however the log is cut into batches and snapshots", () => {
  let repeated = 0;
  let expired = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 80 }), (steps) => {
      const log = logOf(steps);
      const one = play(log, () => "batch");
      expect(play(log, (place) => steps[place]?.cut ?? "goOn")).toEqual(one);
      expect(play(log, () => "goOn")).toEqual(one);
      for (const [place, reply] of one.replies.entries()) {
        if (reply.includes("of index") && !reply.includes(`of index ${place + 1}/`)) repeated += 1;
        if (reply === "expired") expired += 1;
      }
    }),
    { numRuns: 300, seed: 7 },
  );
  // Logs in which nothing happens would prove nothing.
  expect(repeated).toBeGreaterThan(300);
  expect(expired).toBeGreaterThan(300);
});
