/** Payloads come back as they went; everything else is refused in words, and nothing throws. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Entry, Message } from "../../../src/core/index.js";
import { decodePayload, encodeFoundingNotice, encodeMessage, encodePeerLog } from "../../../src/runtime/wire/index.js";

const number = fc.oneof(fc.nat(300), fc.nat({ max: Number.MAX_SAFE_INTEGER - 2_000_000 }));
const bytes = fc.uint8Array({ maxLength: 60 });
const flag = fc.boolean();
const term = number;

const entriesAfter = (prevLogIndex: number): fc.Arbitrary<Entry[]> =>
  fc
    .array(
      fc.record({
        term,
        type: fc.constantFrom("noop" as const, "command" as const, "configuration" as const, "session" as const),
        data: bytes,
      }),
      { maxLength: 8 },
    )
    .map((list) => list.map((entry, place) => ({ index: prevLogIndex + 1 + place, ...entry })));

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    type: fc.constant("RequestPreVote" as const),
    term,
    proposedTerm: number,
    lastLogIndex: number,
    lastLogTerm: number,
  }),
  fc.record({ type: fc.constant("RequestPreVoteResponse" as const), term, proposedTerm: number, voteGranted: flag }),
  fc.record({
    type: fc.constant("RequestVote" as const),
    term,
    lastLogIndex: number,
    lastLogTerm: number,
    leadershipTransfer: flag,
  }),
  fc.record({ type: fc.constant("RequestVoteResponse" as const), term, voteGranted: flag }),
  number.chain((prevLogIndex) =>
    fc.record({
      type: fc.constant("AppendEntries" as const),
      term,
      prevLogIndex: fc.constant(prevLogIndex),
      prevLogTerm: number,
      entries: entriesAfter(prevLogIndex),
      leaderCommit: number,
      leases: fc.boolean(),
    }),
  ),
  fc.record({
    type: fc.constant("AppendEntriesResponse" as const),
    term,
    success: flag,
    prevLogIndex: number,
    matchIndex: number,
    hintIndex: number,
    hintTerm: number,
  }),
  fc.record({ type: fc.constant("Heartbeat" as const), term, leaderCommit: number, readRound: number, leases: fc.boolean() }),
  fc.record({ type: fc.constant("HeartbeatResponse" as const), term, readRound: number, promised: fc.constant(true) }),
  fc.record({
    type: fc.constant("InstallSnapshot" as const),
    term,
    lastIncludedIndex: number,
    lastIncludedTerm: number,
    offset: number,
    data: bytes,
    done: flag,
  }),
  fc.record({
    type: fc.constant("InstallSnapshotResponse" as const),
    term,
    lastIncludedIndex: number,
    lastIncludedTerm: number,
    offset: number,
    status: fc.constantFrom("continue" as const, "installed" as const, "rejected" as const),
  }),
  fc.record({ type: fc.constant("ReadIndexRequest" as const), term, requestId: number }),
  fc.record({ type: fc.constant("ReadIndexResponse" as const), term, requestId: number, readIndex: fc.option(number) }),
  fc.record({
    type: fc.constant("ProposeRequest" as const),
    term,
    requestId: number,
    entryType: fc.constantFrom("command" as const, "session" as const),
    commands: fc.array(bytes, { maxLength: 6 }),
  }),
  fc.record({ type: fc.constant("TimeoutNow" as const), term }),
  fc.record({
    type: fc.constant("TransferRequest" as const),
    term,
    requestId: number,
    target: fc.option(fc.constantFrom("a#0000000000000001", "node-2#ffffffffffffffff")),
  }),
  fc.record({
    type: fc.constant("TransferResponse" as const),
    term,
    requestId: number,
    refusal: fc.constantFrom("failed" as const, "notLeader" as const, "noTarget" as const, "self" as const),
  }),
  fc.record({
    type: fc.constant("ProposeResponse" as const),
    term,
    requestId: number,
    firstIndex: number,
    entryTerm: number,
    refusal: fc.constantFrom(null, "notLeader" as const, "overloaded" as const, "tooLarge" as const, "transferring" as const),
  }),
  fc.record({
    type: fc.constant("EntryStatusRequest" as const),
    term,
    requestId: number,
    durableIndex: number,
    index: number,
    entryTerm: number,
  }),
  fc
    .record({
      term,
      requestId: number,
      index: number,
      entryTerm: number,
      status: fc.constantFrom("have" as const, "dontHave" as const, "haveFaulty" as const),
      leading: fc.boolean(),
      lastLogIndex: number,
      content: fc.option(
        fc.record({ type: fc.constantFrom("noop" as const, "command" as const, "configuration" as const), data: bytes }),
      ),
    })
    .map(({ content, ...rest }) => ({
      type: "EntryStatusResponse" as const,
      ...rest,
      entry: content === null ? null : { index: rest.index, term: rest.entryTerm, ...content },
    })),
);

test("every message comes back as it went", () => {
  fc.assert(
    fc.property(message, fc.nat(9), (sent, group) => {
      expect(decodePayload(encodeMessage(group, sent))).toEqual({ ok: true, kind: "message", group, message: sent });
    }),
    { numRuns: 2000 },
  );
});

test("the notes of the runtime come back as they went", () => {
  const peerLog = { lastIndex: 7, lastTerm: 3, recovering: true, priority: 9, wasMember: false };
  expect(decodePayload(encodePeerLog(4, peerLog))).toEqual({ ok: true, kind: "peerLog", group: 4, peerLog });
  // What an older version does not say.
  const inVersion = (version: number) => decodePayload(encodePeerLog(4, peerLog, version), version);
  expect(inVersion(2)).toMatchObject({ peerLog: { ...peerLog, wasMember: true } });
  expect(inVersion(1)).toMatchObject({ peerLog: { ...peerLog, wasMember: true, priority: 1 } });
  const notice = {
    founded: true,
    records: [
      { name: "a", incarnation: 2n ** 64n - 1n },
      { name: "ö", incarnation: 0n },
    ],
  };
  expect(decodePayload(encodeFoundingNotice(notice))).toEqual({ ok: true, kind: "founding", notice });
});

test("a payload that is cut anywhere, or has a byte too many, is refused", () => {
  fc.assert(
    fc.property(message, (sent) => {
      const whole = encodeMessage(0, sent);
      for (let length = 0; length < whole.length; length += 1) expect(decodePayload(whole.subarray(0, length)).ok).toBe(false);
      const longer = new Uint8Array(whole.length + 1);
      longer.set(whole);
      expect(decodePayload(longer).ok).toBe(false);
    }),
    { numRuns: 100 },
  );
});

test("rubbish and flipped bits never throw, and what is accepted is encoded to the same bytes", () => {
  const check = (payload: Uint8Array): void => {
    const decoded = decodePayload(payload);
    if (decoded.ok && decoded.kind === "message")
      expect(Array.from(encodeMessage(decoded.group, decoded.message))).toEqual(Array.from(payload));
    else if (!decoded.ok) expect(decoded.reason).not.toBe("");
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), check), { numRuns: 5000 });
  const flipped = fc.tuple(message, fc.nat(), fc.integer({ min: 0, max: 7 })).map(([sent, where, bit]) => {
    const whole = encodeMessage(0, sent).slice();
    const place = where % whole.length;
    whole[place] = (whole[place] ?? 0) ^ (1 << bit);
    return whole;
  });
  fc.assert(
    fc.property(flipped, (payload) => {
      const kind = decodePayload(payload);
      // A refused read's index is free on the wire; all other fields have one encoding.
      if (kind.ok && kind.kind === "message" && kind.message.type === "ReadIndexResponse") return;
      check(payload);
    }),
    { numRuns: 5000 },
  );
});

test("an answer of a peer that knows no leases promises nothing", () => {
  const sent = { type: "HeartbeatResponse", term: 7, readRound: 2, promised: true } as const;
  const heard = (version: number): unknown => decodePayload(encodeMessage(0, sent, version), version);
  expect(heard(1)).toMatchObject({ ok: true, message: { readRound: 2, promised: false } });
  expect(heard(2)).toMatchObject({ ok: true, message: { readRound: 2, promised: true } });
});
