/**
 * The file that says who this is, replaced again and again: as a node is founded, and at each of its starts. What was
 * written last and reported is there, or a later one that was begun; never none and never a mixture.
 */
import type { Disk } from "../../runtime/ports.js";
import { type Identity, readIdentity, writeIdentity } from "../../runtime/storage/identity.js";
import { runTask } from "../../runtime/task.js";
import { atOnce } from "./at-once.js";
import { RecordingDisk } from "./recording-disk.js";
import type { CrashCase } from "./run.js";

/** Boots from `low` (reported) to `high` (begun); below 0 there is no identity yet. */
export interface IdentityLedger {
  readonly low: number;
  readonly high: number;
}

export interface IdentityCaseOptions {
  readonly operations: number;
  readonly wrap?: (disk: Disk) => Disk;
}

/** Each boot's differs in length, so that a mixture of two is found. */
function identityOf(boot: number): Identity {
  return {
    clusterId: new Uint8Array(16).fill(3),
    name: "founder",
    incarnation: 0xfedcba9876543210n,
    boot,
    founders: Array.from({ length: boot % 5 }, (_, place) => ({
      name: `founder-${"x".repeat((boot * 7) % 50)}${place}`,
      incarnation: BigInt(boot) * 1_000_003n + BigInt(place),
    })),
  };
}

const inWords = (identity: Identity | null): string =>
  identity === null
    ? "none"
    : JSON.stringify({ ...identity, clusterId: [...identity.clusterId] }, (_key, value: unknown) =>
        typeof value === "bigint" ? value.toString() : value,
      );

export function identityCase({
  operations,
  wrap = (disk) => disk,
}: IdentityCaseOptions): CrashCase<IdentityLedger, Identity | null> {
  const recording = new RecordingDisk<IdentityLedger>();
  const disk = wrap(recording.mount());
  for (let boot = 0; recording.operations < operations; boot += 1) {
    recording.promise({ low: boot - 1, high: boot });
    runTask(
      () => writeIdentity(disk, identityOf(boot)),
      (error) => {
        if (error !== null) throw error;
        recording.promise({ low: boot, high: boot });
      },
    );
  }
  const bootOf = (found: Identity | null): number => found?.boot ?? -1;
  return {
    name: "the identity",
    recording,
    nothing: { low: -1, high: -1 },
    // As a start does: it reads who it is, and writes that it was started once more.
    recover: (again) => {
      const found = atOnce(() => readIdentity(again));
      atOnce(() => writeIdentity(again, identityOf(bootOf(found) + 1)));
      return found;
    },
    judge: (found, { low, high }) => {
      const boot = bootOf(found);
      if (boot < low || boot > high) return `boot ${boot} is found, between ${low} and ${high} are possible`;
      return inWords(found) === inWords(boot < 0 ? null : identityOf(boot)) ? null : `a mixture is found: ${inWords(found)}`;
    },
    whileRecovering: ({ low }, found) => ({ low, high: bootOf(found) + 1 }),
    afterRecovery: (_ledger, found) => ({ low: bootOf(found) + 1, high: bootOf(found) + 1 }),
  };
}
