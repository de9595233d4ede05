/**
 * A state machine of your own in the simulator: clusters of it crash, lose their power and are cut apart, in one thread.
 *
 *   node simulate.js               the machine as it should be: nothing is found
 *   node simulate.js forgetful     one that forgets something in its snapshots: caught, and told in a few lines
 */
import { simulate } from "@quorate/raft/sim";
import { tickets } from "./tickets.js";

const workload = tickets(process.argv[2] === "forgetful");
const { runs, events, failure } = simulate({ workload, seeds: 30 });
if (failure === null) console.log(`${runs} runs, ${events} events: nothing found`);
else console.log(failure.story.join("\n"));
process.exitCode = failure === null ? 0 : 1;
