/** A write-ahead log on a disk of arrays, opened, written and opened again in one breath. */
import { expect } from "vitest";
import type { Entry, HardState, LogPosition } from "../../../src/core/index.js";
import type { GroupLog, RecoveredGroup } from "../../../src/runtime/log-store.js";
import type { Clock, Disk } from "../../../src/runtime/ports.js";
import { LogDamage } from "../../../src/runtime/storage/recovery.js";
import { type Owner, segmentPath } from "../../../src/runtime/storage/segment.js";
import { openLog, type WriteAheadLog } from "../../../src/runtime/storage/write-ahead-log.js";
import { runTask } from "../../../src/runtime/task.js";
import { BytesDisk } from "./bytes-disk.js";

export const OWNER: Owner = { clusterId: new Uint8Array(16).fill(7), name: "a", incarnation: 42n };
export const SEGMENT_BYTES = 64 * 1024;
export const EMPTY: RecoveredGroup = {
  hardState: { currentTerm: 0, votedFor: null, commitIndex: 0 },
  start: { index: 0, term: 0 },
  entries: [],
};

/** A clock that stands still; its timers are fired by hand. */
export class StillClock implements Clock {
  readonly timers: (() => void)[] = [];
  now(): number {
    return 0;
  }
  setTimer(_at: number, callback: () => void): { timer: unknown } {
    this.timers.push(callback);
    return { timer: callback };
  }
  clearTimer(): void {}
  setImmediate(callback: () => void): void {
    callback();
  }
}

export class Opened {
  readonly log: WriteAheadLog;
  readonly found: RecoveredGroup;
  readonly torn: boolean;
  readonly clock: StillClock;
  readonly durable: number[] = [];
  readonly errors: string[] = [];
  readonly group: GroupLog;
  #ticket = 0;

  constructor(log: WriteAheadLog, found: RecoveredGroup, torn: boolean, clock: StillClock) {
    this.log = log;
    this.found = found;
    this.torn = torn;
    this.clock = clock;
    this.group = log.forGroup(0, {
      onDurable: (ticket) => this.durable.push(ticket),
      onError: (error, fatal) => this.errors.push(`${error.code}${fatal ? " fatal" : ""}`),
    });
  }

  append(
    hardState: HardState,
    entries: readonly Entry[],
    logStart: { position: LogPosition; keepSuffix: boolean } | null = null,
  ): void {
    this.#ticket += 1;
    this.group.append({ ticket: this.#ticket, hardState, hardStateChanged: true, logStart, entries });
  }
}

/** Throws what the log throws. */
export function open(disk: Disk, owner = OWNER, segmentBytes = SEGMENT_BYTES): Opened {
  const clock = new StillClock();
  let opened: Opened | null = null;
  let failure: Error | null = null;
  runTask(
    () => openLog({ disk, clock, owner, segmentBytes }),
    (error, result) => {
      failure = error;
      if (result !== null) opened = new Opened(result.log, result.groups.get(0) ?? EMPTY, result.torn, clock);
    },
  );
  if (failure !== null) throw failure as Error;
  if (opened === null) throw new Error("the log did not open at once");
  return opened;
}

export function entry(index: number, term: number, data: Uint8Array | string = `entry ${index} of term ${term}`): Entry {
  const bytes = typeof data === "string" ? Uint8Array.from(data, (letter) => letter.charCodeAt(0)) : data;
  return { index, term, type: "command", data: bytes };
}

export function state(currentTerm: number, votedFor: string | null = "a#0", commitIndex = 0): HardState {
  return { currentTerm, votedFor, commitIndex };
}

export const SECTOR = 512;

/** Three batches in one segment, and where each begins and ends. */
export function threeBatches(last: readonly Entry[] = [entry(4, 2), entry(5, 2, new Uint8Array(1500).fill(9))]): {
  disk: BytesDisk;
  path: string;
  ends: number[];
  log: Opened;
} {
  const disk = new BytesDisk();
  const log = open(disk);
  const path = segmentPath(1);
  const ends: number[] = [4096];
  const end = (): void => {
    const bytes = disk.bytesOf(path);
    let at = bytes.length;
    while (at > 0 && bytes[at - 1] === 0) at -= 1;
    ends.push(Math.ceil(at / SECTOR) * SECTOR);
  };
  log.append(state(1), [entry(1, 1), entry(2, 1)]);
  end();
  log.append(state(1, "a#0", 1), [entry(3, 1)]);
  end();
  log.append(state(2, "b#1", 2), last);
  end();
  expect(log.durable).toEqual([1, 2, 3]);
  return { disk, path, ends, log };
}

export const terms = (entries: readonly Entry[]): string => entries.map(({ index, term }) => `${index}:${term}`).join(" ");

export type Verdict = "refused" | "recovering" | "whole";

/**
 * A damaged log gives back the truth or less of it, and never says that less is all: it is refused and left as it was; or every item
 * is the true one or says that it is lost, and the log is whole or knows that it is not. The hard state is always the newest. A
 * second start finds the same.
 */
export function honest(disk: BytesDisk, truth: RecoveredGroup, what: string): Verdict {
  const before = new Map([...disk.files].map(([path, bytes]) => [path, bytes.slice()]));
  let found: RecoveredGroup;
  try {
    ({ found } = open(disk));
  } catch (error) {
    expect(error, what).toBeInstanceOf(LogDamage);
    for (const [path, bytes] of before) expect(Buffer.compare(bytes, disk.bytesOf(path)), `${what}: ${path}`).toBe(0);
    return "refused";
  }
  const { recovering, ...hardState } = found.hardState;
  const commitIndex = Math.min(truth.hardState.commitIndex, found.start.index + found.entries.length);
  expect(hardState, what).toEqual({ ...truth.hardState, commitIndex });
  expect(recovering === true, what).toBe(found.recovering !== undefined);
  expect(found.start, what).toEqual(truth.start);
  const items = [...found.entries, ...(found.recovering?.remaining ?? [])];
  for (const [place, item] of items.entries()) {
    const is = truth.entries[place];
    expect([item.index, item.term], what).toEqual([is?.index, is?.term]);
    if (item.type !== "lost") expect(item, what).toEqual(is);
  }
  expect(found.recovering?.remaining?.[0]?.type ?? "lost", what).toBe("lost");
  if (found.recovering?.remaining !== null) expect(items.length, what).toBe(truth.entries.length);
  expect(open(disk.copy()).found, what).toEqual(found);
  return found.recovering === undefined ? "whole" : "recovering";
}

/** What the log holds that `threeBatches` writes. */
export const THREE: RecoveredGroup = {
  hardState: state(2, "b#1", 2),
  start: { index: 0, term: 0 },
  entries: [entry(1, 1), entry(2, 1), entry(3, 1), entry(4, 2), entry(5, 2, new Uint8Array(1500).fill(9))],
};

/** The log is damaged, says so, and is left as it was. */
export function refused(disk: BytesDisk, what: string): void {
  const before = new Map([...disk.files].map(([path, bytes]) => [path, bytes.slice()]));
  expect(() => open(disk), what).toThrow(LogDamage);
  expect([...disk.files.keys()], what).toEqual([...before.keys()]);
  for (const [path, bytes] of disk.files)
    expect(Buffer.compare(bytes, before.get(path) ?? new Uint8Array(0)), `${what}: ${path}`).toBe(0);
}
