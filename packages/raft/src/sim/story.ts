/** What happened, in words: collected while a run is played again, and told in a few lines. */
import type { Micros } from "../core/types.js";
import type { NodeEvent } from "../runtime/index.js";
import type { Observer } from "./cluster.js";

interface StoryLine {
  readonly at: Micros;
  readonly text: string;
  /** An incident of the plan, or what a node said of it: these lines are kept before others. */
  readonly isIncident: boolean;
}

/** Lines of a story, the last one the complaint. */
const MOST_LINES = 10;
/** More than a story can use; beyond it the oldest lines of ordinary life go. */
const KEPT = 400;

export class Story {
  readonly #now: () => Micros;
  #lines: StoryLine[] = [];

  constructor(now: () => Micros) {
    this.#now = now;
  }

  told(at: Micros, text: string): void {
    this.#add({ at, text, isIncident: true });
  }

  /** Follows the nodes' events. */
  readonly observer: Observer = {
    started: (name, raft) => {
      if (raft.currentTerm > 0) this.#note(`${name} is up again, in term ${raft.currentTerm}, with ${raft.lastLogIndex} entries`);
    },
    event: (name, event) => {
      const text = wordsFor(event);
      if (text !== null) this.#note(`${name} ${text}`);
    },
  };

  /** At most ten lines that end with the complaint. */
  tell(complaintAt: Micros, complaint: string): readonly string[] {
    const [first = ""] = complaint.split("\n");
    const room = MOST_LINES - 1;
    const incidents = this.#lines.filter((line) => line.isIncident).slice(-room);
    const others = this.#lines.filter((line) => !line.isIncident);
    const chosen = [...incidents, ...others.slice(Math.max(0, others.length - (room - incidents.length)))];
    chosen.sort((a, b) => a.at - b.at);
    return [...chosen.map(({ at, text }) => `${seconds(at)}  ${text}`), `${seconds(complaintAt)}  WRONG: ${first}`];
  }

  #note(text: string): void {
    this.#add({ at: this.#now(), text, isIncident: false });
  }

  #add(line: StoryLine): void {
    this.#lines.push(line);
    if (this.#lines.length <= KEPT) return;
    const oldest = this.#lines.findIndex((each) => !each.isIncident);
    this.#lines.splice(Math.max(0, oldest), 1);
  }
}

function wordsFor(event: NodeEvent): string | null {
  switch (event.type) {
    case "roleChanged":
      if (event.role === "leader") return `leads in term ${event.term}`;
      return event.previous === "leader" ? `does not lead any more: ${event.reason}` : null;
    case "logTruncated":
      return `drops its entries from ${event.from} to ${event.previousLast}`;
    case "snapshotTaken":
      return `has a snapshot up to ${event.lastIncludedIndex}`;
    case "snapshotInstalled":
      return `installs a snapshot up to ${event.lastIncludedIndex}`;
    default:
      return null;
  }
}

function seconds(at: Micros): string {
  const whole = Math.floor(at / 1_000_000);
  return `${String(whole).padStart(3)}.${String(at % 1_000_000).padStart(6, "0")} s`;
}
