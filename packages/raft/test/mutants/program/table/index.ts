/** All mutants, in the order of the parts of the house. */
import type { Mutant } from "../mutant.js";
import { DURABLE } from "./durable.js";
import { ELECTION } from "./election.js";
import { FILES } from "./files.js";
import { FLOW } from "./flow.js";
import { LEADERSHIP } from "./leadership.js";
import { LOG } from "./log.js";
import { MEMBERS } from "./members.js";
import { NODE } from "./node.js";
import { OFFLINE } from "./offline.js";
import { READS } from "./reads.js";
import { REPAIR } from "./repair.js";
import { REPLICATION } from "./replication.js";
import { SESSIONS } from "./sessions.js";
import { SNAPSHOT } from "./snapshot.js";

export const MUTANTS: readonly Mutant[] = [
  ...ELECTION,
  ...REPLICATION,
  ...READS,
  ...LEADERSHIP,
  ...SNAPSHOT,
  ...LOG,
  ...FILES,
  ...NODE,
  ...SESSIONS,
  ...DURABLE,
  ...FLOW,
  ...MEMBERS,
  ...OFFLINE,
  ...REPAIR,
];
