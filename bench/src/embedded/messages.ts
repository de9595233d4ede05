/** What the benchmark's parent and its three members say to each other, over the channel that `fork` opens. */
import type { Founder } from "@quorate/raft";

export interface OpenOrder {
  readonly type: "open";
  readonly id: string;
  readonly cluster: readonly Founder[];
  readonly directory: string;
}

export interface LoadOrder {
  readonly type: "load";
  readonly outstanding: number;
  readonly payloadBytes: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** The processes whose CPU time is read at the beginning and the end of the measured window. */
  readonly pids: readonly number[];
}

export type Order = OpenOrder | LoadOrder | { readonly type: "report" } | { readonly type: "close" };

export interface LoadResult {
  readonly outstanding: number;
  readonly seconds: number;
  readonly commits: number;
  readonly commitsPerSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly p999Micros: number;
  /** fdatasyncs of the leader's log in the measured window. */
  readonly syncs: number;
  readonly commitsPerSync: number;
  /** Microseconds of CPU for each commit, by process in the order of `pids`. */
  readonly cpuMicrosPerCommit: readonly number[];
}

/** Each answers one order; `failed` answers any. */
export type Answer =
  | { readonly type: "opened" }
  | { readonly type: "report"; readonly role: string; readonly applied: number; readonly checksum: number }
  | { readonly type: "loaded"; readonly result: LoadResult }
  | { readonly type: "failed"; readonly message: string };
