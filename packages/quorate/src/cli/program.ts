/**
 * The commands and options of `quorate`. What they do is given to it, so that what is understood can be tested without
 * doing it. Every failure ends here as one sentence on standard error and an exit code.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { getHeapStatistics } from "node:v8";
import { HISTORY_FORMATS, MODEL_NAMES } from "@quorate/raft/check";
import { Command, CommanderError } from "commander";
import { type CheckSettings, type CheckWords, checkSettings } from "./check/settings.js";
import { type DevPlan, type DevWords, devPlan } from "./dev-plan.js";
import { describeFailure, type ExitCode } from "./failure.js";
import {
  type AddWords,
  addChange,
  type MemberSettings,
  type MemberWords,
  memberSettings,
  namesChange,
  type ReplaceWords,
  replaceChange,
} from "./member/settings.js";
import { addOffline, type OfflineCommand } from "./offline/commands.js";
import { type ServeSettings, type ServeWords, serveSettings } from "./serve-options.js";
import { type SimulateSettings, type SimulateWords, simulateSettings } from "./simulate/settings.js";
import { parseEndpoints, parseWhole } from "./values.js";

export interface Actions {
  readonly serve: (settings: ServeSettings, jsonStatus: boolean) => Promise<ExitCode>;
  readonly dev: (plan: DevPlan) => Promise<ExitCode>;
  readonly status: (endpoints: readonly string[], timeoutMs: number) => Promise<ExitCode>;
  readonly member: (settings: MemberSettings) => Promise<ExitCode>;
  readonly simulate: (settings: SimulateSettings) => Promise<ExitCode>;
  readonly check: (settings: CheckSettings) => Promise<ExitCode>;
  /** Commands for the directories of stopped nodes. */
  readonly offline: (command: OfflineCommand) => Promise<ExitCode>;
}

export interface Output {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
}

const EXAMPLES = `
Examples:
  quorate dev                          a cluster of three nodes on this machine, to try things on
  quorate status                       how the node at 127.0.0.1:2379 is
  quorate serve --name a --data ./a --cluster a=10.0.0.1:2380,b=10.0.0.2:2380,c=10.0.0.3:2380 \\
    --client-listen 10.0.0.1:2379      one node of a cluster of three machines
  quorate member add 10.0.0.4:2380     a fourth member, which is started with quorate serve --join
  quorate check history.edn --model cas-register --html why.html
                                       whether a recorded history is linearizable

Any etcd v3 client works with a node: etcdctl --endpoints=127.0.0.1:2379 put k v
`;

const SERVE_EXITS = `
Exits with 0 when it was told to stop, 1 when the node failed, 2 when an option makes no sense, and 3 when this node was
removed from its cluster: do not start it again, its directory can be deleted.
`;

/** Runs the command line `words`, without the program's name; returns the exit code. Never throws what a user can cause. */
export async function run(words: readonly string[], actions: Actions, output: Output): Promise<ExitCode> {
  let exitCode: ExitCode = 0;
  const program = build(actions, output, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(words, { from: "user" });
    return exitCode;
  } catch (error) {
    // The parser has said what there was to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const failure = describeFailure(error);
    if (failure === null) throw error;
    output.error(`quorate: ${failure.message}\n`);
    return failure.exitCode;
  }
}

function build(actions: Actions, output: Output, ended: (code: ExitCode) => void): Command {
  const program = new Command("quorate")
    .description("A replicated key-value store that every etcd v3 client speaks to.")
    .version(version(), "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .addHelpText("after", EXAMPLES)
    .exitOverride()
    .configureOutput({
      writeOut: output.out,
      writeErr: output.error,
      outputError: (text, write) => write(`${complaint(text)}\n`),
    });
  addServe(program, actions, ended);
  addDev(program, actions, ended);
  addStatus(program, actions, ended);
  addMember(program, actions, ended);
  addSimulate(program, actions, ended);
  addCheck(program, actions, ended);
  addOffline(program, async (command) => ended(await actions.offline(command)));
  return program;
}

function addServe(program: Command, actions: Actions, ended: (code: ExitCode) => void): void {
  program
    .command("serve")
    .description("Run one node of a cluster, until SIGINT or SIGTERM.")
    .requiredOption("--name <name>", "this node's name: one of those in --cluster, or with --join another")
    .requiredOption(
      "--cluster <members>",
      "the founding members and where their peers reach them: a=host:port,b=host:port,…; the same on every node",
    )
    .requiredOption("--data <directory>", "where this node's data lives; made if missing, one process at a time")
    .option("--client-listen <host:port>", "where to listen for clients", "127.0.0.1:2379")
    .option("--peer-listen <host:port>", "where to listen for peers, if it differs from this node's address in --cluster")
    .option("--join", "this node is no founder: it waits until a leader takes it in (quorate member add)")
    .option("--peer-address <host:port>", "where peers reach this node, if it is not in --cluster or has moved since")
    .option("--advertise-client <url>", "the URL at which clients reach this node (default: http:// and --client-listen)")
    .option("--cluster-token <text>", "tells clusters of equal names apart; the same on every node")
    .option("--leases", "leaders may answer reads from a lease; decided when the cluster is founded, the same on every node")
    .option("--priority <n>", "whom a leader that stops hands over to: the highest; 0: to this one only in need (default: 1)")
    .option("--heartbeat-ms <n>", "how often a leader says that it lives (default: 100)")
    .option("--election-ms <n>", "how long to hear nothing before an election, at least twice --heartbeat-ms (default: 1000)")
    .option("--snapshot-entries <n>", "take a snapshot after so many entries (default: 100000)")
    .option("--snapshot-bytes <n>", "or after so many bytes of log (default: 67108864)")
    .option("--trailing-entries <n>", "keep so many entries behind a snapshot for slow peers (default: 10000)")
    .option("--segment-bytes <n>", "size of a file of the log (default: 67108864)")
    .option("--json-status", "print the state as lines of JSON, once a second and at each change; the log goes to standard error")
    .addHelpText("after", SERVE_EXITS)
    .action(async (words: ServeWords) => ended(await actions.serve(serveSettings(words), words.jsonStatus === true)));
}

function addDev(program: Command, actions: Actions, ended: (code: ExitCode) => void): void {
  program
    .command("dev")
    .description("Run a cluster on this machine, one process a node, and watch it.")
    .option("--nodes <n>", "how many nodes", "3")
    .option("--data <directory>", "where the nodes' data lives; stays, so that the next run goes on with it", "./quorate-data")
    .option("--base-client-port <port>", "the first node's port for clients; the others' are 20000, 30000, … higher", "2379")
    .option("--base-peer-port <port>", "the first node's port for peers; the others' are 20000, 30000, … higher", "2380")
    .action(async (words: DevWords) => ended(await actions.dev(devPlan(words))));
}

function addStatus(program: Command, actions: Actions, ended: (code: ExitCode) => void): void {
  program
    .command("status")
    .description("Ask nodes how they are. Exits with 1 if one can't be reached.")
    .option("--endpoints <list>", "where clients reach the nodes: host:port,host:port,…", "127.0.0.1:2379")
    .option("--timeout-ms <n>", "how long to wait for each", "3000")
    .action(async (words: { readonly endpoints: string; readonly timeoutMs: string }) =>
      ended(
        await actions.status(
          parseEndpoints("--endpoints", words.endpoints),
          parseWhole("--timeout-ms", words.timeoutMs, 1, 600_000),
        ),
      ),
    );
}

const MEMBER_HELP = `
A new member is added by the address at which its peers will reach it, before it is started or after:
  quorate member add 10.0.0.4:2380
  quorate serve --name d --join --peer-address 10.0.0.4:2380 --cluster (as on the others) --data ./d
It first receives the log, and votes once it has caught up. A removed member ends by itself; its directory can be deleted.
`;

function addMember(program: Command, actions: Actions, ended: (code: ExitCode) => void): void {
  const member = program
    .command("member")
    .description("Show the members of a running cluster, and change them.")
    .helpCommand(false)
    .addHelpText("after", MEMBER_HELP);
  const sub = (words: string, description: string): Command =>
    member
      .command(words)
      .description(description)
      .option("--endpoints <list>", "where clients reach nodes of the cluster: host:port,host:port,…", "127.0.0.1:2379")
      .option("--timeout-ms <n>", `how long to try (default: ${words === "list" ? 3000 : 60_000})`);
  const act = async (words: MemberWords, change: Parameters<typeof memberSettings>[1]): Promise<void> =>
    ended(await actions.member(memberSettings(words, change)));
  sub("list", "Show the members, and how far their logs are.").action((words: MemberWords) => act(words, null));
  sub("add <host:port>", "Add a voter, at the address where its peers reach it; stays until it has caught up and votes.")
    .option("--name <name>", "only a node of this name (default: whichever is there)")
    .option("--learner", "it receives the log and does not vote")
    .action((address: string, words: AddWords) => act(words, addChange(address, words)));
  sub("remove <name...>", "Remove members, in one change.").action((names: string[], words: MemberWords) =>
    act(words, namesChange("remove", names)),
  );
  sub("replace", "Remove members and add others in one change; the old ones leave when the new ones vote.")
    .requiredOption("--remove <names>", "who leaves: a,b,…")
    .requiredOption("--add <members>", "who comes: host:port,host:port,… or name=host:port,…")
    .action((words: ReplaceWords) => act(words, replaceChange(words)));
  sub("promote <name...>", "Make voters of learners; stays until they have caught up.").action(
    (names: string[], words: MemberWords) => act(words, namesChange("promote", names)),
  );
  sub("demote <name...>", "Make learners of voters.").action((names: string[], words: MemberWords) =>
    act(words, namesChange("demote", names)),
  );
  sub("cancel", "Take back a change that still waits for its new voters; they stay, as learners.").action((words: MemberWords) =>
    act(words, { kind: "cancel" }),
  );
  sub("wait", "Wait until no change is under way.").action((words: MemberWords) => act(words, { kind: "wait" }));
}

function addSimulate(program: Command, actions: Actions, ended: (code: ExitCode) => void): void {
  program
    .command("simulate")
    .description("Torture whole clusters of this code in one thread each. Exits with 1 if something is found.")
    .option("--seeds <n>", "how many runs (default: 100, or as many as fit into --minutes)")
    .option("--minutes <n>", "run for so long")
    .option("--seed <n>", "run this one seed")
    .option("--first-seed <n>", "the first seed; the others follow (default: drawn, and printed)")
    .option("--nodes <n>", "nodes of each cluster, 1 to 7 (default: drawn for each seed)")
    .option("--jobs <n>", "how many threads (default: one a core)")
    .option(
      "--workload <name>",
      "what is replicated: registers, or forgetful-registers to see what a finding looks like",
      "registers",
    )
    .option("--coverage", "show which rare situations came how often; with 1,000 runs and more, fail where one never did")
    .option("--out <directory>", "where a finding is written", "quorate-findings")
    .option("--replay <file>", "play the plan in this file, and tell what happens")
    .action(async (words: SimulateWords) =>
      ended(await actions.simulate(simulateSettings(words, () => Date.now() % 2 ** 40, availableParallelism()))),
    );
}

function addCheck(program: Command, actions: Actions, ended: (code: ExitCode) => void): void {
  program
    .command("check")
    .description(
      "Check whether a recorded history is linearizable. Exits with 0 if it is, 1 if it is not, 2 if that can't be said: " +
        "the budget ran out, or the history can't be read.",
    )
    .argument("<history>", "the file, or - for standard input")
    .requiredOption("--model <name>", `what the history is of: ${MODEL_NAMES.join(", ")}`)
    .option("--format <name>", `how it is written: ${HISTORY_FORMATS.join(", ")} (default: what it looks like)`)
    .option("--initial <json>", "the value before the first write, as JSON (default: null; of a counter 0)")
    .option("--keyed", "in edn and jepsen-log: each value is [key value] (default: guessed)")
    .option("--no-keyed", "in edn and jepsen-log: it is not")
    .option("--failed-cas <meaning>", "what fail says of a cas: not-done, or refused: it found another value", "not-done")
    .option("--max-seconds <n>", "search no longer than this", "60")
    .option("--max-memory-mb <n>", "nor with more memory than this (default: 1024, or what Node.js has room for)")
    .option("--html <file>", "write a page that explains the verdict")
    .option("--json", "print the result as one line of JSON")
    .action(async (history: string, words: CheckWords) =>
      ended(await actions.check(checkSettings(history, words, getHeapStatistics().heap_size_limit / 2 ** 20))),
    );
}

/** The parser's complaint as one sentence of ours: "error: unknown option '--x'\n(Did you mean --y?)". */
function complaint(text: string): string {
  const sentence = text
    .trim()
    .replace(/^error: /, "")
    .replace(/\. Expected/, ", expected")
    .replace(/\.$/, "")
    .replaceAll(/\s*\n\s*/g, " ")
    .replace(/\(Did you mean (.*)\?\)$/, "(did you mean $1?)");
  return `quorate: ${sentence}; see quorate --help`;
}

function version(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "unknown";
}
