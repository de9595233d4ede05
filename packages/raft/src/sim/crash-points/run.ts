/**
 * The runner: for every effect of a recording, and everything that a crash after it may leave of the disk, a new process
 * looks at what is there and is held to what had been promised by then. Some of these starts are crashed themselves, at each of
 * their own effects; what the next one finds must be the same, or older and still honour every promise.
 *
 * All of it is one thread without clocks or chance. The first thing that is wrong is returned in words that name the effect and
 * what was kept, so that it can be looked at again.
 */
import type { Disk } from "../../runtime/ports.js";
import { applyEffect, copyOf, type DiskState, describeEffect, stateOf } from "./disk-state.js";
import { imagesOf } from "./images.js";
import { type Promised, type Recording, RecordingDisk } from "./recording-disk.js";

export interface CrashCase<Ledger, Found> {
  readonly name: string;
  readonly recording: Recording<Ledger>;
  /** Before anything was promised. */
  readonly nothing: Ledger;
  /** What a new process does first: it opens what is there, at once. Throws if it refuses. */
  readonly recover: (disk: Disk) => Found;
  /** What is wrong with what was found, given what was promised; null for nothing. */
  readonly judge: (found: Found, ledger: Ledger) => string | null;
  /** What a start that is crashed owes, when it was about to find this. */
  readonly whileRecovering: (ledger: Ledger, found: Found) => Ledger;
  /** What is owed when the start was finished and somebody may have acted on what it found. */
  readonly afterRecovery: (ledger: Ledger, found: Found) => Ledger;
  /** Files whose content nobody reads; see ImageOptions. */
  readonly unread?: (path: string) => boolean;
}

export interface CrashPlan {
  /** How many cuts of each write are tried; Infinity: at every byte that makes a difference. */
  readonly tears: number;
  /** Every n-th image is also crashed during its recovery. 1: all. */
  readonly secondCrashEvery: number;
  /**
   * After every n-th effect, and after each renaming, the process is also killed; the next one starts on what is in the cache,
   * and the power goes while it does.
   */
  readonly killEvery: number;
  /** Cuts of each write of a recovery. */
  readonly secondTears: number;
}

export interface CrashReport {
  readonly name: string;
  /** Operations of the workload, of every kind. */
  readonly operations: number;
  /** Those that changed something: at each there was a crash. */
  readonly effects: number;
  /** Disks that were looked at. */
  readonly images: number;
  /** Starts that were crashed themselves, and the disks that this left. */
  readonly secondCrashes: number;
  readonly secondImages: number;
  /** The first thing that was wrong. */
  readonly complaint: string | null;
}

class Complaint extends Error {}

export function runCrashPoints<Ledger, Found>(of: CrashCase<Ledger, Found>, plan: CrashPlan): CrashReport {
  const { name, recording } = of;
  const { operations } = recording;
  const counts = { images: 0, secondCrashes: 0, secondImages: 0 };
  const report = (complaint: string | null): CrashReport => ({
    name,
    operations,
    effects: recording.effects.length,
    ...counts,
    complaint,
  });
  try {
    walk(of, recording, plan, counts);
    return report(null);
  } catch (error) {
    if (error instanceof Complaint) return report(error.message);
    throw error;
  }
}

function walk<Ledger, Found>(
  of: CrashCase<Ledger, Found>,
  recording: Recording<Ledger>,
  plan: CrashPlan,
  counts: { images: number; secondCrashes: number; secondImages: number },
): void {
  const state = copyOf(recording.beginning);
  const ledgers = ledgerFinder(recording.promises, of.nothing);
  for (let at = 0; at <= recording.effects.length; at += 1) {
    const effect = recording.effects[at - 1];
    const where = effect === undefined ? "at the beginning" : `after effect ${at} (${describeEffect(state, effect)})`;
    if (effect !== undefined) applyEffect(state, effect, true);
    const ledger = ledgers(at);
    for (const { keeps, image } of imagesOf(state, { tears: plan.tears, ...unreadOf(of) })) {
      const words = `${of.name}: a crash ${where} that keeps ${keeps}`;
      const deep = counts.images % plan.secondCrashEvery === 0;
      counts.images += 1;
      const disk = new RecordingDisk<Ledger>(stateOf(image), undefined, deep);
      const found = lookAt(of, disk, ledger, words);
      if (!deep) continue;
      counts.secondCrashes += 1;
      crashAgain(of, disk, found, ledger, plan, words, counts);
    }
    // A process that is killed leaves the cache as it was, and the next one builds on it.
    if ((at % plan.killEvery !== 0 && effect?.kind !== "rename") || !hasUnsynced(state)) continue;
    const words = `${of.name}: a kill ${where}`;
    const disk = new RecordingDisk<Ledger>(state);
    const found = lookAt(of, disk, ledger, words);
    counts.secondCrashes += 1;
    crashAgain(of, disk, found, ledger, plan, words, counts);
  }
}

function hasUnsynced(state: DiskState): boolean {
  return state.changes.length > 0 || [...state.contents.values()].some(({ dirty }) => dirty.size > 0);
}

function unreadOf<Ledger, Found>({ unread }: CrashCase<Ledger, Found>): { unread?: (path: string) => boolean } {
  return unread === undefined ? {} : { unread };
}

/** Opens the disk and holds what is found to the ledger. */
function lookAt<Ledger, Found>(
  { recover, judge }: CrashCase<Ledger, Found>,
  disk: RecordingDisk<Ledger>,
  ledger: Ledger,
  words: string,
): Found {
  let found: Found;
  try {
    found = recover(disk.mount());
  } catch (error) {
    throw new Complaint(`${words}: it is not opened: ${error instanceof Error ? error.message : String(error)}`);
  }
  const complaint = judge(found, ledger);
  if (complaint !== null) throw new Complaint(`${words}: ${complaint}`);
  return found;
}

/** The recovery that the disk has recorded is crashed at each of its effects. */
function crashAgain<Ledger, Found>(
  of: CrashCase<Ledger, Found>,
  recovery: RecordingDisk<Ledger>,
  found: Found,
  ledger: Ledger,
  plan: CrashPlan,
  words: string,
  counts: { secondImages: number },
): void {
  const state = copyOf(recovery.beginning);
  const during = of.whileRecovering(ledger, found);
  const { effects } = recovery;
  for (let at = 0; at <= effects.length; at += 1) {
    const effect = effects[at - 1];
    const where = effect === undefined ? "before its first effect" : `after its effect ${at} (${describeEffect(state, effect)})`;
    if (effect !== undefined) applyEffect(state, effect, true);
    const owed = at === effects.length ? of.afterRecovery(ledger, found) : during;
    for (const { keeps, image } of imagesOf(state, { tears: plan.secondTears, ...unreadOf(of) })) {
      counts.secondImages += 1;
      lookAt(
        of,
        new RecordingDisk<Ledger>(stateOf(image), undefined, false),
        owed,
        `${words}; then a crash of the recovery ${where} that keeps ${keeps}`,
      );
    }
  }
}

/** The newest promise that was made before the next effect. To be asked with rising numbers. */
function ledgerFinder<Ledger>(promises: readonly Promised<Ledger>[], nothing: Ledger): (at: number) => Ledger {
  let next = 0;
  let ledger = nothing;
  return (at) => {
    for (let promised = promises[next]; promised !== undefined && promised.at <= at; promised = promises[next]) {
      ledger = promised.ledger;
      next += 1;
    }
    return ledger;
  };
}
