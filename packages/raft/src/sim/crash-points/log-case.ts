/**
 * The write-ahead log alone, through everything that its callers do to it: batches of every shape, terms and votes, entries
 * replaced by others of higher and of lower terms, new starts after snapshots, releases, so many batches that segments change
 * and are removed, and lives that end by closing, by a kill, and by a kill in the middle of a start.
 *
 * The promise: what the log called durable is there; and what is found is exactly the log after one of the batches that
 * were handed in, no mixture.
 */
import type { Entry, EntryType, HardState, Index, PersistBatch } from "../../core/index.js";
import type { GroupLog, RecoveredGroup } from "../../runtime/log-store.js";
import type { Disk } from "../../runtime/ports.js";
import type { Owner } from "../../runtime/storage/segment.js";
import { openLog, type WriteAheadLog } from "../../runtime/storage/write-ahead-log.js";
import { runTask } from "../../runtime/task.js";
import { SeededRandom } from "../random.js";
import { Scheduler } from "../scheduler.js";
import { VirtualClock } from "../virtual-clock.js";
import { atOnce, STILL_CLOCK } from "./at-once.js";
import { describeLog, EMPTY_LOG, type LogState, lastOf, matching, termAt, withBatch } from "./log-model.js";
import { RecordingDisk } from "./recording-disk.js";
import type { CrashCase } from "./run.js";

const GROUP = 0;
export const LOG_OWNER: Owner = { clusterId: new Uint8Array(16).fill(9), name: "a", incarnation: 77n };
/** Three or four batches, so that segments change all the time. */
const SEGMENT_BYTES = 20 * 1024;

/** One of `states` from `low` (promised) to `high` (handed in), beginning anywhere up to `released`. */
export interface LogLedger {
  readonly states: readonly LogState[];
  readonly low: number;
  readonly high: number;
  readonly released: Index;
}

export interface LogFound {
  readonly group: RecoveredGroup;
  /** What was handed in next, and called durable. */
  readonly next: PersistBatch;
}

export interface LogCaseOptions {
  readonly seed: number;
  /** The workload ends after so many operations. */
  readonly operations: number;
  /** Stands between the log and the disk: for builds with a mistake. */
  readonly wrap?: (disk: Disk) => Disk;
}

export interface LogCase extends CrashCase<LogLedger, LogFound> {
  /** How often each shape of batch, and each kind of restart, did happen. */
  readonly shapes: ReadonlyMap<string, number>;
}

export function logCase(options: LogCaseOptions): LogCase {
  const workload = new LogWorkload(options);
  workload.run();
  return {
    name: `the log, seed ${options.seed}`,
    recording: workload.disk,
    shapes: workload.shapes,
    nothing: { states: [EMPTY_LOG], low: 0, high: 0, released: 0 },
    recover,
    judge: ({ group }, ledger) => complain(group, ledger),
    whileRecovering: (ledger, found) => ({ ...ledger, ...goneOn(ledger, found) }),
    afterRecovery: (ledger, found) => {
      const { states, high } = goneOn(ledger, found);
      return { ...ledger, states, low: high, high };
    },
    unread: (path) => path.endsWith(".tmp"),
  };
}

/** Opens the log and goes on with it: the first entry after a crash stands where a torn write may have been. */
function recover(disk: Disk): LogFound {
  const { log, groups, damage } = atOnce(() =>
    openLog({ disk, clock: STILL_CLOCK, owner: LOG_OWNER, segmentBytes: SEGMENT_BYTES }),
  );
  if (damage.length > 0) throw new Error(`damage is found where nothing but a crash was: ${damage.join("; ")}`);
  const group = groups.get(GROUP) ?? EMPTY_LOG;
  const term = Math.max(1, group.hardState.currentTerm);
  const next: PersistBatch = {
    ticket: 1,
    hardState: { ...group.hardState, currentTerm: term },
    hardStateChanged: false,
    logStart: null,
    entries: [entryOf(lastOf(group).index + 1, term, 24, 250)],
  };
  let isDurable = false;
  const handler = {
    onDurable: (): void => {
      isDurable = true;
    },
    onError: (error: Error): never => {
      throw error;
    },
  };
  log.forGroup(GROUP, handler).append(next);
  if (!isDurable) throw new Error("the first batch after the start does not become durable");
  return { group, next };
}

/** The states up to the one that was found, and one more, which the recovery itself has added. */
function goneOn({ states, low, high, released }: LogLedger, { group, next }: LogFound): Pick<LogLedger, "states" | "high"> {
  const place = matching(group, states, low, high, released) ?? high;
  const found = states[place] ?? EMPTY_LOG;
  return { states: [...states.slice(0, place + 1), withBatch(found, next)], high: place + 1 };
}

function complain(group: RecoveredGroup, { states, low, high, released }: LogLedger): string | null {
  if (matching(group, states, low, high, released) !== null) return null;
  const earlier = matching(group, states, 0, low - 1, released);
  const owed = describeLog(states[low] ?? EMPTY_LOG);
  if (earlier !== null) return `the log after batch ${earlier} is found, and batch ${low} was called durable (${owed})`;
  return `what is found was never the log (${describeLog(group)}); called durable was ${owed}`;
}

const SHAPES = [
  "hard state",
  "vote",
  "one entry",
  "many entries",
  "large entry",
  "zeros",
  "no-op",
  "higher term replaces",
  "lower term replaces",
  "new start, suffix kept",
  "new start, all gone",
  "release",
  "several at once",
  "close",
  "kill",
  "kill while opening",
] as const;
type Shape = (typeof SHAPES)[number];
const WITHIN_A_LIFE: readonly Shape[] = SHAPES.slice(0, -3);
/** Those that are one batch. */
type BatchShape = Exclude<Shape, "close" | "kill" | "kill while opening" | "release" | "several at once">;

class LogWorkload {
  readonly disk: RecordingDisk<LogLedger>;
  readonly shapes = new Map<string, number>(SHAPES.map((shape) => [shape, 0]));
  readonly #options: LogCaseOptions;
  readonly #scheduler = new Scheduler();
  readonly #random: SeededRandom;
  #ledger: LogLedger = { states: [EMPTY_LOG], low: 0, high: 0, released: 0 };
  #life: { readonly clock: VirtualClock; readonly log: WriteAheadLog; readonly group: GroupLog } | null = null;
  #ticket = 0;

  constructor(options: LogCaseOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed, 1);
    const latency = new SeededRandom(options.seed, 2);
    this.disk = new RecordingDisk(undefined, (operation, _path, complete) => {
      const isSync = operation === "sync" || operation === "syncDirectory";
      this.#scheduler.schedule(isSync ? latency.between(50, 900) : latency.between(1, 60), complete);
    });
  }

  run(): void {
    this.#open(false);
    // Every shape once, in the order of the list; then as chance draws them.
    for (const shape of SHAPES) this.#step(shape);
    while (this.disk.operations < this.#options.operations) {
      const shape = this.#random.pick(this.#random.chance(900) ? WITHIN_A_LIFE : SHAPES);
      if (shape !== undefined) this.#step(shape);
    }
    this.#settle();
  }

  #promise(change: Partial<LogLedger>): void {
    this.#ledger = { ...this.#ledger, ...change };
    this.disk.promise(this.#ledger);
  }

  /** Lets time pass until nothing is under way any more. */
  #settle(): void {
    this.#scheduler.runUntil(() => false, 60_000_000);
  }

  get #newest(): LogState {
    return this.#ledger.states[this.#ledger.high] ?? EMPTY_LOG;
  }

  // ---- Lives ----

  /** Opens the log, or begins to and is killed on the way. */
  #open(isKilled: boolean): void {
    const { wrap = (disk: Disk) => disk } = this.#options;
    const clock = new VirtualClock(this.#scheduler);
    const disk = wrap(this.disk.mount());
    const opening: { ended: boolean; failure: Error | null; log: WriteAheadLog | null; group: RecoveredGroup } = {
      ended: false,
      failure: null,
      log: null,
      group: EMPTY_LOG,
    };
    runTask(
      () => openLog({ disk, clock, owner: LOG_OWNER, segmentBytes: SEGMENT_BYTES }),
      (error, result) => {
        opening.ended = true;
        opening.failure = error;
        opening.log = result?.log ?? null;
        opening.group = result?.groups.get(GROUP) ?? EMPTY_LOG;
      },
    );
    if (isKilled) {
      this.#scheduler.runUntil(() => opening.ended, this.#random.between(1, 3000));
      clock.kill();
      this.disk.mount();
      this.#scheduler.runUntil(() => false, 10_000);
      return this.#open(false);
    }
    this.#scheduler.runUntil(() => opening.ended, 60_000_000);
    const { failure, log, group } = opening;
    if (log === null) throw failure ?? new Error("the log does not open");
    const { states, low, high, released } = this.#ledger;
    const place = matching(group, states, low, high, released);
    // The image of a kill keeps everything; the runner judges the very same, and says more.
    const found = states[place ?? low] ?? EMPTY_LOG;
    this.#promise({ states: [found], low: 0, high: 0 });
    this.#ticket = 0;
    const handler = {
      onDurable: (ticket: number): void => this.#promise({ low: ticket }),
      onError: (error: Error): never => {
        throw error;
      },
    };
    this.#life = { clock, log, group: log.forGroup(GROUP, handler) };
  }

  #restart(shape: "close" | "kill" | "kill while opening"): void {
    const life = this.#life;
    if (life === null) return;
    if (shape === "close") {
      let closed = false;
      life.log.close(() => {
        closed = true;
      });
      this.#scheduler.runUntil(() => closed, 60_000_000);
    } else {
      this.#scheduler.runUntil(() => false, this.#random.below(1500));
    }
    life.clock.kill();
    this.#life = null;
    this.#open(shape === "kill while opening");
  }

  // ---- Batches ----

  #step(shape: Shape): void {
    this.shapes.set(shape, (this.shapes.get(shape) ?? 0) + 1);
    switch (shape) {
      case "close":
      case "kill":
      case "kill while opening":
        this.#restart(shape);
        return;
      case "release":
        this.#release();
        return;
      case "several at once":
        for (let count = this.#random.between(2, 5); count > 0; count -= 1)
          this.#append(this.#random.pick(["one entry", "vote", "many entries", "higher term replaces"] as const) ?? "one entry");
        break;
      default:
        this.#append(shape);
    }
    if (this.#random.chance(700)) this.#settle();
    else this.#scheduler.runUntil(() => false, this.#random.below(1000));
  }

  /** Entries up to some place are covered by a snapshot: they are on the disk, and will never be replaced. */
  #release(): void {
    this.#settle();
    const state = this.#newest;
    const index = this.#random.between(state.start.index, lastOf(state).index);
    const term = termAt(state, index);
    if (term === null || this.#life === null) return;
    this.#promise({ released: Math.max(this.#ledger.released, index) });
    this.#life.group.release({ index, term });
  }

  #append(shape: BatchShape): void {
    const batch = this.#batch(shape);
    const { states, high } = this.#ledger;
    this.#promise({ states: [...states, withBatch(this.#newest, batch)], high: high + 1 });
    this.#ticket += 1;
    this.#life?.group.append({ ...batch, ticket: this.#ticket });
  }

  #batch(shape: BatchShape): PersistBatch {
    const random = this.#random;
    const state = this.#newest;
    const last = lastOf(state);
    const { currentTerm, commitIndex } = state.hardState;
    const hardState = (term: number, vote: string | null = state.hardState.votedFor): HardState => ({
      currentTerm: term,
      votedFor: vote,
      commitIndex: Math.min(last.index, commitIndex + random.below(2)),
    });
    const batch = (hard: HardState, entries: readonly Entry[] = [], logStart: PersistBatch["logStart"] = null): PersistBatch => ({
      ticket: 0,
      hardState: hard,
      hardStateChanged: true,
      logStart,
      entries,
    });
    const follow = (count: number, size: () => number, fill = random.between(0, 255)): readonly Entry[] =>
      Array.from({ length: count }, (_, place) => entryOf(last.index + 1 + place, Math.max(1, currentTerm), size(), fill));
    const now = hardState(Math.max(1, currentTerm));
    switch (shape) {
      case "hard state":
        return batch(hardState(currentTerm + 1, null));
      case "vote":
        return batch(hardState(currentTerm + 1, random.pick(["a#0000000000000001", "b#0000000000000002"]) ?? null));
      case "one entry":
        return batch(
          now,
          follow(1, () => random.below(60)),
        );
      case "many entries":
        return batch(
          now,
          follow(random.between(3, 7), () => random.below(200)),
        );
      case "large entry":
        return batch(
          now,
          follow(1, () => random.between(3000, random.chance(200) ? 30_000 : 6000)),
        );
      case "zeros":
        return batch(
          now,
          follow(2, () => random.between(900, 2000), 0),
        );
      case "no-op":
        return batch(now, [
          entryOf(last.index + 1, now.currentTerm, 0, 0, "noop"),
          entryOf(last.index + 2, now.currentTerm, 40, 5, "configuration"),
        ]);
      case "higher term replaces":
        return this.#replacement(state, currentTerm + 1, batch, hardState(currentTerm + 1, null));
      case "lower term replaces":
        return this.#replacement(state, null, batch, hardState(currentTerm + 2, null));
      case "new start, suffix kept": {
        const index = random.between(Math.min(last.index, this.#floor + 1), last.index);
        const position = { index, term: termAt(state, index) ?? last.term };
        return batch({ ...now, commitIndex: index }, [], { position, keepSuffix: true });
      }
      case "new start, all gone": {
        const position = { index: last.index + random.between(1, 9), term: now.currentTerm };
        const entries = random.chance(500) ? [entryOf(position.index + 1, now.currentTerm, 30, 1)] : [];
        return batch({ ...now, commitIndex: position.index }, entries, { position, keepSuffix: false });
      }
    }
  }

  /** Below this nothing is replaced. */
  get #floor(): Index {
    return Math.max(this.#newest.start.index, this.#ledger.released);
  }

  /** A leader of a new term replaces the end of the log: by entries of its own term, or (figure 8) of one before the replaced. */
  #replacement(
    state: LogState,
    ownTerm: number | null,
    batch: (hard: HardState, entries: readonly Entry[]) => PersistBatch,
    hardState: HardState,
  ): PersistBatch {
    const last = lastOf(state).index;
    const index = this.#random.between(Math.min(last + 1, this.#floor + 1), Math.min(last + 1, this.#floor + 6));
    const before = Math.max(1, termAt(state, index - 1) ?? 0);
    const replaced = termAt(state, index) ?? hardState.currentTerm;
    const term = ownTerm ?? Math.max(before, replaced - 1);
    return batch(
      hardState,
      Array.from({ length: this.#random.between(1, 3) }, (_, place) => entryOf(index + place, term, this.#random.below(90), 200)),
    );
  }
}

function entryOf(index: Index, term: number, size: number, fill: number, type: EntryType = "command"): Entry {
  const data = new Uint8Array(size).fill(fill);
  // Each is like no other.
  if (fill !== 0 && size >= 8) new DataView(data.buffer).setUint32(2, (index * 7919 + term) >>> 0);
  return { index, term, type, data };
}
