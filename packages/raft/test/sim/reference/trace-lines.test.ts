/** A trace as text is the same trace. */
import { describe, expect, it } from "vitest";
import { parseTrace, printTrace, TRACE_HEADER, TraceError } from "../../../src/sim/reference/index.js";
import { throughJoint } from "./membership-traces.js";
import { judge, randomTrace } from "./traces.js";

describe("a trace in lines", () => {
  it.each([3, 6, 7])("comes back as it was (seed %d)", (seed) => {
    const trace = randomTrace(seed, 1500, "longTurns");
    const read = parseTrace(printTrace(trace));
    expect(read).toEqual(trace);
    expect(judge(read).refusal).toBeNull();
  });

  it("comes back as it was, with changes of membership", () => {
    const { records } = throughJoint(1);
    expect(parseTrace(printTrace(records))).toEqual(records);
  });

  it("takes empty lines and fields that it does not know", () => {
    const text = `\n${TRACE_HEADER}\n\n{"type":"persisted","node":"a","ticket":1,"at":12}\n`;
    expect(parseTrace(text)).toMatchObject([{ type: "persisted", node: "a", ticket: 1 }]);
  });

  it.each([
    ["", 1, "there is no header"],
    ["nonsense", 1, "not JSON"],
    ['{"type":"stop","node":"a"}', 1, "the first line must be the header"],
    ['{"format":"quorate-raft-trace","version":2}', 1, "version 2 of the format is unknown"],
    [`${TRACE_HEADER}\n[]`, 2, "must be an object"],
    [`${TRACE_HEADER}\n{"type":"stopped","node":"a"}`, 2, 'type "stopped" is unknown'],
    [`${TRACE_HEADER}\n{"type":"constructor","node":"a"}`, 2, 'type "constructor" is unknown'],
    [`${TRACE_HEADER}\n{"type":"stop","node":"a"}\n{"type":"stop"}`, 3, 'stop: "node" must be a string'],
    [`${TRACE_HEADER}\n{"type":"read","node":"a","id":-1}`, 2, 'read: "id" must be an integer of at least 0'],
    [
      `${TRACE_HEADER}\n{"type":"send","node":"a","to":"b","message":{"type":"RequestVoteResponse","term":1.5,"voteGranted":true}}`,
      2,
      'send: "message" RequestVoteResponse: "term" must be an integer of at least 0',
    ],
    [
      `${TRACE_HEADER}\n{"type":"apply","node":"a","entry":{"index":1,"term":1,"type":"query","digest":5}}`,
      2,
      'apply: "entry" "type" must be one of "noop", "command", "configuration", "session"',
    ],
  ])("says what is wrong in which line: %s", (text, line, what) => {
    const parse = (): unknown => parseTrace(text);
    expect(parse).toThrow(TraceError);
    expect(parse).toThrow(`line ${line}: ${what}`);
  });
});
