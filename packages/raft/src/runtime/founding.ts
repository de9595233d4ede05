/**
 * How a cluster begins. Each founder durably records the first incarnation that it hears for every other founder's name,
 * and takes part only when all founders have said the very same records: they are configuration 0. So all founders must be
 * up once at the same time, and a founder whose disk is lost before or after can never slip back in under its old name.
 *
 * A cluster that was founded is recognised by its log: a node with a term above 0 has been through this.
 */
import type { Configuration } from "../core/configuration.js";
import { memberId } from "./member-id.js";
import type { Founder } from "./node.js";

export interface FounderRecord {
  readonly name: string;
  readonly incarnation: bigint;
}

/** What founders tell each other, whenever something changed and at every new connection. */
export interface FoundingNotice {
  /** Sorted by name; complete when it has all founders. */
  readonly records: readonly FounderRecord[];
  /** The sender has seen everyone agree, and takes part from now on. */
  readonly founded: boolean;
}

export type Heard = "nothing" | "record" | { readonly refused: string };

export class Founding {
  readonly #founders: readonly Founder[];
  readonly #own: FounderRecord;
  readonly #records = new Map<string, bigint>();
  /** The latest notice of each other founder. */
  readonly #notices = new Map<string, FoundingNotice>();

  constructor(founders: readonly Founder[], own: FounderRecord, recorded: readonly FounderRecord[]) {
    this.#founders = founders;
    this.#own = own;
    for (const { name, incarnation } of recorded) this.#records.set(name, incarnation);
    this.#records.set(own.name, own.incarnation);
  }

  get records(): readonly FounderRecord[] {
    return [...this.#records].map(([name, incarnation]) => ({ name, incarnation })).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Names that are not recorded, or that have not said the same records. */
  get missing(): readonly string[] {
    return this.#founders.map((founder) => founder.name).filter((name) => name !== this.#own.name && !this.#agrees(name));
  }

  /** Everybody is recorded, and everybody has said the same. */
  get isComplete(): boolean {
    return this.#records.size === this.#founders.length && this.missing.length === 0;
  }

  /** Everybody has said that it takes part. */
  get everyoneFounded(): boolean {
    return this.#founders.every(
      (founder) => founder.name === this.#own.name || this.#notices.get(founder.name)?.founded === true,
    );
  }

  /** A founder shook hands. `record`: write it down, durably, then call `recorded`. */
  heard(name: string, incarnation: bigint): Heard {
    if (name === this.#own.name || !this.#founders.some((founder) => founder.name === name)) return "nothing";
    const known = this.#records.get(name);
    if (known === undefined) return "record";
    if (known === incarnation) return "nothing";
    return {
      refused: `founder ${name} is recorded with another data directory: its disk was lost or replaced. Remove it from the cluster and add it again as a new member, or remove the data of all founders and begin anew`,
    };
  }

  recorded(name: string, incarnation: bigint): void {
    this.#records.set(name, incarnation);
  }

  noticed(name: string, notice: FoundingNotice): void {
    if (name !== this.#own.name) this.#notices.set(name, notice);
  }

  #agrees(name: string): boolean {
    const theirs = this.#notices.get(name)?.records;
    const ours = this.records;
    if (theirs === undefined || theirs.length !== ours.length) return false;
    return ours.every(
      (record, place) => record.name === theirs[place]?.name && record.incarnation === theirs[place]?.incarnation,
    );
  }
}

/** Configuration 0: all founders vote. Null while one of them is not recorded. */
export function foundingConfiguration(
  founders: readonly Founder[],
  records: readonly FounderRecord[],
  leases = false,
): Configuration | null {
  const members: { readonly id: string; readonly name: string; readonly address: string }[] = [];
  for (const { name, address } of founders) {
    const record = records.find((each) => each.name === name);
    if (record === undefined) return null;
    members.push({ id: memberId(name, record.incarnation), name, address });
  }
  members.sort((a, b) => (a.id < b.id ? -1 : 1));
  return { voters: members.map((member) => member.id), votersOutgoing: [], learners: [], members, leases, staged: null };
}
