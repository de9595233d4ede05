/**
 * Somebody who changes the members of a simulated cluster, at bad moments: adds nodes that stand by, removes, replaces,
 * promotes, demotes, takes changes back, and puts nodes with empty disks back in. Like a careful person it never asks for a
 * change after which a majority of the voters could be lost for good by what the plan has in store; and it always says which
 * configuration it has seen.
 */
import type { Configuration } from "../core/configuration.js";
import type { Index } from "../core/types.js";
import type { WantedChange } from "../runtime/membership.js";
import type { StateMachine } from "../runtime/state-machine.js";
import type { Cluster, Member } from "./cluster.js";
import type { Coverage } from "./coverage.js";
import type { Incident, Plan } from "./plan.js";
import { SeededRandom } from "./random.js";

export interface OperatorOptions<Machine extends StateMachine> {
  readonly plan: Plan;
  readonly cluster: Cluster<Machine>;
  readonly coverage: Coverage;
  readonly isCutOff: (name: string) => boolean;
  readonly told: (text: string) => void;
}

const PATIENCE_MS = 5000;

export class Operator<Machine extends StateMachine> {
  readonly #options: OperatorOptions<Machine>;
  /** Nodes that the plan may damage or wipe: they count as lost wherever voters are counted. */
  readonly #fragile: ReadonlySet<number>;

  constructor(options: OperatorOptions<Machine>) {
    this.#options = options;
    this.#fragile = new Set(
      options.plan.incidents.flatMap((incident) =>
        incident.kind === "damage" || incident.kind === "wipe" ? [incident.node] : [],
      ),
    );
  }

  strike(incident: Extract<Incident, { kind: "members" }>): void {
    const { cluster, told, coverage, isCutOff } = this.#options;
    const asked = this.#asked(incident.node);
    const membership = asked?.life?.host.membership ?? null;
    const raft = asked === null ? null : cluster.raftOf(asked);
    if (asked === null || membership === null || raft === null) return;
    const { configuration, configurationIndex } = raft;
    const wanted = this.#wanted(configuration, incident.what, new SeededRandom(incident.choice, 1));
    if (wanted === null || !this.#leavesEnough(configuration, wanted)) return;
    told(`${asked.name} is asked to ${describe(wanted)}`);
    if (isCutOff(asked.name)) coverage.note("changeWhileCutOff");
    const expected: Index = configurationIndex;
    membership.submit(wanted, expected, PATIENCE_MS, null, (error) => {
      if (error === null) coverage.note("changeDone");
      else if (error.outcome === "not-executed") coverage.note("changeRefused");
      else coverage.note("changeUnknown");
    });
  }

  /** The node that is asked: the one named, or the next that runs as a member. */
  #asked(place: number): Member<Machine> | null {
    const { members } = this.#options.cluster;
    for (let step = 0; step < members.length; step += 1) {
      const member = members[(place + step) % members.length];
      if (member?.life?.opened === true && !member.life.failed && member.life.host.state === "running") return member;
    }
    return null;
  }

  /** A removed member comes back only with an empty directory: if it was not emptied yet, this is when that is done. */
  #standsBy(member: Member<Machine>): boolean {
    const { cluster } = this.#options;
    const { configuredAs, spoilt } = member;
    if (configuredAs === null || !cluster.everMembers.has(configuredAs)) return member.joins;
    const { committedConfiguration } = cluster;
    if (committedConfiguration === null || committedConfiguration.members.some(({ id }) => id === configuredAs)) return false;
    if (cluster.configurationsInForce.some(({ members }) => members.some(({ id }) => id === configuredAs))) return false;
    if (spoilt === null || spoilt === "wiped") cluster.retire(member);
    return false;
  }

  #wanted(
    configuration: Configuration,
    what: Extract<Incident, { kind: "members" }>["what"],
    random: SeededRandom,
  ): WantedChange | null {
    const { members } = this.#options.cluster;
    const nameOf = (id: string): string => configuration.members.find((member) => member.id === id)?.name ?? id;
    const listed = new Set(configuration.members.map(({ name }) => name));
    // Nodes that are none of the members; they may be down at the moment.
    const absent = members.filter((member) => this.#standsBy(member) && !listed.has(member.name));
    const voters = configuration.voters.map(nameOf);
    const learners = configuration.learners.map(nameOf);
    const some = <T>(from: readonly T[], most: number): T[] => {
      const left = [...from];
      const chosen: T[] = [];
      const count = random.between(1, most);
      while (chosen.length < count && left.length > 0) chosen.push(...left.splice(random.below(left.length), 1));
      return chosen;
    };
    const added = (most: number): { readonly name?: string; readonly address: string }[] =>
      some(absent, most).map(({ name, address }) => (random.chance(700) ? { name, address } : { address }));
    switch (what) {
      case "add":
        return nonEmpty({ kind: "members", add: added(2) });
      case "addLearner":
        return nonEmpty({ kind: "members", addLearners: added(2) });
      case "remove":
        return nonEmpty({ kind: "members", remove: some([...voters, ...learners], 2) });
      case "replace":
        return nonEmpty({ kind: "members", add: added(3), remove: some(voters, 3) });
      case "promote":
        return nonEmpty({ kind: "members", promote: some(learners, 2) });
      case "demote":
        return nonEmpty({ kind: "members", demote: some(voters, 1) });
      case "cancel":
        return { kind: "cancel" };
      case "leases":
        return { kind: "leases", on: !configuration.leases };
      case "readdWiped": {
        const wiped = members.find(({ name, spoilt }) => spoilt === "wiped" && listed.has(name));
        return wiped === undefined ? nonEmpty({ kind: "members", add: added(1) }) : { kind: "members", remove: [wiped.name] };
      }
    }
  }

  /** Whether a majority of the voters that come of it can't be lost for good, whatever the plan has in store. */
  #leavesEnough({ voters, members }: Configuration, wanted: WantedChange): boolean {
    if (wanted.kind !== "members") return true;
    const { add = [], promote = [], demote = [], remove = [] } = wanted;
    const names = new Set(voters.map((id) => members.find((member) => member.id === id)?.name ?? id));
    for (const name of [...demote, ...remove]) names.delete(name);
    for (const name of promote) names.add(name);
    for (const { address } of add) names.add(address.slice(0, address.indexOf(":")));
    const lost = [...names].filter((name) => {
      const member = this.#options.cluster.members.find((each) => each.name === name);
      return member === undefined || this.#fragile.has(member.place) || member.damaged;
    });
    return names.size > 0 && lost.length <= Math.floor((names.size - 1) / 2);
  }
}

function nonEmpty(wanted: Extract<WantedChange, { kind: "members" }>): WantedChange | null {
  const { add = [], addLearners = [], promote = [], demote = [], remove = [] } = wanted;
  return add.length + addLearners.length + promote.length + demote.length + remove.length > 0 ? wanted : null;
}

function describe(wanted: WantedChange): string {
  if (wanted.kind !== "members") return `${wanted.kind} a change of the members`;
  const { add = [], addLearners = [], promote = [], demote = [], remove = [] } = wanted;
  const named = (what: string, names: readonly string[]): string[] => (names.length === 0 ? [] : [`${what} ${names.join(", ")}`]);
  const of = (members: readonly { readonly name?: string; readonly address: string }[]): string[] =>
    members.map(({ name, address }) => name ?? address);
  return [
    ...named("add", of(add)),
    ...named("add as learners", of(addLearners)),
    ...named("promote", promote),
    ...named("demote", demote),
    ...named("remove", remove),
  ].join(" and ");
}
