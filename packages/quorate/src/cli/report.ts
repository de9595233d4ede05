/**
 * What a `serve` process tells whoever started it, once a second and at each change: over the channel of child processes
 * where there is one, and as lines of JSON with `--json-status`. The receiver checks it, because it comes from outside.
 */
import { z } from "zod";

const count = z.number().int().nonnegative();

const statusReport = z.object({
  type: z.literal("status"),
  name: z.string(),
  pid: count,
  /** The URL that clients are told. */
  clientUrl: z.string(),
  state: z.enum(["founding", "joining", "running", "removed", "failed", "closed"]),
  failure: z.string().nullable(),
  role: z.enum(["follower", "preCandidate", "candidate", "leader"]),
  term: count,
  /** The leader's name. */
  leader: z.string().nullable(),
  commitIndex: count,
  lastApplied: count,
  snapshotIndex: count,
  /** Peers with a connection, and all peers. */
  connectedPeers: count,
  peers: count,
});

const eventReport = z.object({
  type: z.literal("event"),
  level: z.enum(["info", "warning", "error"]),
  text: z.string(),
});

const report = z.discriminatedUnion("type", [statusReport, eventReport]);

export type StatusReport = Readonly<z.infer<typeof statusReport>>;
export type EventReport = Readonly<z.infer<typeof eventReport>>;
export type Report = StatusReport | EventReport;
export type EventLevel = EventReport["level"];

/** The report in a message, or null when it is none. */
export function parseReport(message: unknown): Report | null {
  const parsed = report.safeParse(message);
  return parsed.success ? parsed.data : null;
}
