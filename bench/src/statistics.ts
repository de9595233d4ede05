/** Medians of runs, and a histogram of latencies that costs a few nanoseconds a sample and is right to 1 %. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Buckets between one power of two and the next. */
const STEPS = 128;
/** 2^36 µs is 19 hours. */
const POWERS = 36;

/** Times in microseconds: exact below 128 µs, then 128 buckets for each doubling. */
export class Histogram {
  readonly #buckets = new Float64Array(STEPS * (POWERS + 1));
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(micros: number): void {
    const bucket = bucketOf(micros);
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
    this.#count += 1;
  }

  /** The time that the share `share` (0 to 1) of all samples did not exceed, in microseconds; NaN without samples. */
  quantile(share: number): number {
    const rank = Math.max(1, Math.ceil(this.#count * share));
    let seen = 0;
    for (const [bucket, samples] of this.#buckets.entries()) {
      seen += samples;
      if (seen >= rank) return middleOf(bucket);
    }
    return Number.NaN;
  }
}

function bucketOf(micros: number): number {
  const whole = Math.max(0, Math.min(2 ** POWERS - 1, Math.floor(micros)));
  if (whole < STEPS) return whole;
  const power = Math.floor(Math.log2(whole)) - 7;
  return STEPS * (power + 1) + Math.floor(whole / 2 ** power) - STEPS;
}

function middleOf(bucket: number): number {
  const power = Math.floor(bucket / STEPS) - 1;
  if (power < 0) return bucket + 0.5;
  return ((bucket % STEPS) + STEPS + 0.5) * 2 ** power;
}
