/**
 * Who the members are (dissertation chapter 4): each server uses the newest configuration in its log, committed or not, and
 * the one before when that is cut off. The node's own word (configurationChanged) is held against this; quorums are counted
 * by this.
 */
import type { Index } from "../../core/index.js";
import { type Cluster, type ConfigurationAt, configurationOf, ownLeadership, type Server, serverOf } from "./facts.js";
import { mayFollow, sameConfiguration } from "./quorum.js";
import { confirmRounds } from "./read.js";
import { refuse } from "./rules.js";
import type { TraceConfiguration, TracedEvent, TraceSnapshot } from "./trace.js";

/** A configuration is in the log from now on. Its members are known from now on, so that what they need is not forgotten. */
export function addConfiguration(cluster: Cluster, server: Server, at: ConfigurationAt): void {
  const { voters, votersOutgoing, learners } = at.configuration;
  for (const id of [...voters, ...votersOutgoing, ...learners]) if (!cluster.gone.has(id)) serverOf(cluster, id);
  server.configurations.push(at);
}

/** Entries from `from` on were cut off, and their configurations with them. */
export function dropConfigurations(server: Server, from: Index): void {
  while (server.configurations.length > 1 && (server.configurations.at(-1)?.index ?? 0) >= from) server.configurations.pop();
}

/** The configuration in force at `index` on this server. */
export function configurationAt(configurations: readonly ConfigurationAt[], index: Index): ConfigurationAt | null {
  return configurations.findLast((at) => at.index <= index) ?? null;
}

/** The node says which configuration is in force: the newest in its log, or, several at once, one after the other. */
export function configurationChanged(cluster: Cluster, server: Server, event: TracedEvent<"configurationChanged">): void {
  const { index, voters, votersOutgoing, learners } = event;
  const said = { voters, votersOutgoing, learners };
  if (index > (server.configurations.at(-1)?.index ?? 0)) beginChange(cluster, server, index, said);
  const known = server.configurations.find((at) => at.index === index);
  if (known === undefined || !sameConfiguration(known.configuration, said))
    refuse("configurationInLog", `${server.id} says that configuration ${index} is in force, which is not what its log holds`);
  server.announced = index;
}

/** A leader has appended a configuration of its own; what it holds is known from its word. */
function beginChange(cluster: Cluster, server: Server, index: Index, configuration: TraceConfiguration): void {
  const leadership = ownLeadership(cluster, server);
  const term = server.log.termAt(index);
  if (leadership === null || term !== server.term)
    refuse("configurationInLog", `${server.id} says that configuration ${index} is in force, which is not in its log`);
  const before = server.configurations.at(-1);
  if (leadership.commitIndex < leadership.first || leadership.commitIndex < (before?.index ?? 0))
    refuse("configurationChange", `${server.id} changes the configuration at ${index} with ${leadership.commitIndex} committed`);
  if (!mayFollow(configurationOf(server), configuration))
    refuse(
      "configurationChange",
      `${server.id} puts a configuration at ${index} whose quorums need not meet those of the one before`,
    );
  const facts = cluster.book.find(index, term);
  if (facts !== null) Object.assign(facts, { type: "configuration", configuration });
  addConfiguration(cluster, server, { index, configuration });
  confirmRounds(server, leadership);
}

/** What a snapshot says of the configuration is what is committed there. */
export function checkSnapshotConfiguration(known: ConfigurationAt | null, snapshot: TraceSnapshot, of: string): void {
  // A member that joined later knows no founding configuration until an entry or a snapshot brings one.
  if (known?.index === 0 && snapshot.configurationIndex === 0 && snapshot.configuration.voters.length === 0) return;
  if (
    known === null ||
    known.index !== snapshot.configurationIndex ||
    !sameConfiguration(known.configuration, snapshot.configuration)
  )
    refuse(
      "snapshotCommitted",
      `${of}: the snapshot at ${snapshot.lastIncludedIndex} says that configuration ${snapshot.configurationIndex} is in force there; it is ${known?.index ?? "none"}`,
    );
}
