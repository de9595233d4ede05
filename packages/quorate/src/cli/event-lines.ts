/** The node's events as sentences for a log. Most events are for machines and say nothing here. */
import type { NodeEvent } from "@quorate/raft";
import type { EventLevel } from "./report.js";

export interface EventLine {
  readonly level: EventLevel;
  readonly text: string;
}

/** A member's id is its name, `#` and its incarnation. */
export function nameOfMember(id: string): string {
  const hash = id.lastIndexOf("#");
  return hash === -1 ? id : id.slice(0, hash);
}

const ROLE_WORDS = { follower: "follower", preCandidate: "pre-candidate", candidate: "candidate", leader: "leader" } as const;

export function roleWord(role: keyof typeof ROLE_WORDS): string {
  return ROLE_WORDS[role];
}

/** What to print for an event; null for nothing. */
export function describeEvent(event: NodeEvent): EventLine | null {
  switch (event.type) {
    case "roleChanged":
      return info(`is ${roleWord(event.role)} (was ${roleWord(event.previous)}), term ${event.term}: ${event.reason}`);
    case "leaderChanged":
      return info(
        event.leader === null
          ? `knows no leader in term ${event.term}`
          : `leader is ${nameOfMember(event.leader)}, term ${event.term}`,
      );
    case "founded":
      return info(`the cluster is founded: ${event.voters.map(nameOfMember).join(", ")}`);
    case "snapshotTaken":
      return info(`took a snapshot up to index ${event.lastIncludedIndex} (${event.bytes} bytes)`);
    case "snapshotRestored":
      return info(`restored a snapshot up to index ${event.lastIncludedIndex}`);
    case "snapshotSending":
      return info(`sends ${nameOfMember(event.peer)} a snapshot up to index ${event.lastIncludedIndex}`);
    case "peerConnected":
      return info(`connected to ${event.name}`);
    case "peerDisconnected":
      return info(`lost the connection to ${event.name}: ${event.reason}`);
    case "quorumLost":
      return warning(`no longer hears a majority: steps down in term ${event.term}`);
    case "durableRegressed":
      return warning(
        `${nameOfMember(event.peer)} came back with less than it had confirmed (${event.durableIndex}, was ${event.matchIndex}): its disk lost data`,
      );
    case "followerRecovering":
      return warning(
        `${nameOfMember(event.peer)} has lost part of its log (it holds ${event.durableIndex}, and had confirmed ${event.matchIndex}): it is being repaired`,
      );
    case "recovered":
      return info(`its log is whole again, up to index ${event.lastIndex}`);
    case "appliedDiffers":
      return warning(
        `${event.name} has applied something else than this node, from index ${event.first} to ${event.last}: one of the two is wrong; compare their data before you trust either`,
      );
    case "loopLate":
      return warning(`was held up for ${Math.round(event.byMs)} ms: the machine is overloaded, or the process was stopped`);
    case "dropped":
      return warning(`${event.count} events were too many to be told`);
    case "warning":
      return warning(event.message);
    case "invariantViolated":
      return { level: "error", text: `an invariant is broken: ${event.invariant}: ${event.detail}` };
    case "removed":
      return { level: "error", text: `removed: ${event.reason}` };
    case "failed":
      return { level: "error", text: `failed: ${event.reason}` };
    default:
      return null;
  }
}

function info(text: string): EventLine {
  return { level: "info", text };
}

function warning(text: string): EventLine {
  return { level: "warning", text };
}

/** `12:03:04.123 a warning: …` */
export function formatEventLine(name: string, line: EventLine, at: Date): string {
  return `${at.toISOString().slice(11, 23)} ${name} ${line.level === "info" ? "" : `${line.level}: `}${line.text}`;
}
