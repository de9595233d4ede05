/** What `quorate status` prints: a table of the endpoints that answered, and a line for each that did not. */
import { alignColumns } from "./table.js";

export interface EndpointStatus {
  readonly endpoint: string;
  /** Null when the member list does not have it. */
  readonly name: string | null;
  readonly memberId: bigint;
  readonly version: string;
  readonly dbSizeBytes: number;
  readonly isLeader: boolean;
  readonly isLearner: boolean;
  readonly term: number;
  readonly raftIndex: number;
  readonly appliedIndex: number;
  readonly errors: readonly string[];
}

export interface Unreachable {
  readonly endpoint: string;
  readonly why: string;
}

export type Answer = EndpointStatus | Unreachable;

const HEADINGS = ["ENDPOINT", "NAME", "MEMBER ID", "VERSION", "DB SIZE", "LEADER", "TERM", "INDEX", "APPLIED"];
const RIGHT_ALIGNED = new Set(["DB SIZE", "TERM", "INDEX", "APPLIED"]);

export function isUnreachable(answer: Answer): answer is Unreachable {
  return "why" in answer;
}

export function renderStatus(answers: readonly Answer[]): string[] {
  const reached = answers.filter((answer): answer is EndpointStatus => !isUnreachable(answer));
  return [
    ...(reached.length === 0 ? [] : alignColumns(HEADINGS, reached.map(cellsOf), RIGHT_ALIGNED)),
    ...reached.flatMap(({ endpoint, errors }) => errors.map((error) => `${endpoint} says: ${error}`)),
    ...answers.filter(isUnreachable).map(({ endpoint, why }) => `unreachable: ${endpoint}: ${why}`),
  ];
}

function cellsOf(status: EndpointStatus): string[] {
  return [
    status.endpoint,
    status.name ?? "-",
    status.memberId.toString(16),
    status.version,
    formatBytes(status.dbSizeBytes),
    status.isLeader ? "yes" : status.isLearner ? "learner" : "no",
    String(status.term),
    String(status.raftIndex),
    String(status.appliedIndex),
  ];
}

/** Decimal units, three digits at most before one after the point. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 999.95) return unit === "B" ? `${value} B` : `${value.toFixed(1)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} TB`;
}
