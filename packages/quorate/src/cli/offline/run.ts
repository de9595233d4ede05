/** Does what the commands for stopped nodes ask for, and says what was done and what to do next. */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import {
  type BackupSummary,
  backUpDirectory,
  checkBackup,
  inspectDirectory,
  planRecovery,
  type RecoveryPlan,
  Refusal,
  recoverDirectory,
  restoreDirectory,
  type ScannedDirectory,
  writeBackupFile,
} from "@quorate/raft";
import { checkName, hexadecimal, incarnationText } from "@quorate/raft/runtime";
import { WireReader } from "../../store/index.js";
import { CommandFailure, type ExitCode } from "../failure.js";
import { CallFailure, GrpcChannel } from "../grpc-call.js";
import { isEndpoint, type NewClusterWords, type OfflineCommand } from "./commands.js";
import { exitCodeOf, inspectJson, inspectLines, verifyLines } from "./log-view.js";

/** How long a server may say nothing: it may take a snapshot first. */
const SILENCE_MS = 60_000;
/** SnapshotResponse.blob, field 3. */
const BLOB_TAG = 0x1a;

export interface OfflineHost {
  readonly print: (line: string) => void;
  /** Asks, and resolves with the answer; null where nobody can be asked. */
  readonly ask: ((question: string) => Promise<string>) | null;
}

type Command<Kind extends OfflineCommand["kind"]> = Extract<OfflineCommand, { readonly kind: Kind }>;

export async function offlineCommand(command: OfflineCommand, host: OfflineHost): Promise<ExitCode> {
  const isLooking = command.kind === "inspect" || command.kind === "verify";
  try {
    return await perform(command, host);
  } catch (error) {
    const sentence = sentenceOf(error);
    if (sentence === null) throw error;
    // For a directory that can't be read nobody can say that it is whole.
    throw new CommandFailure(sentence, isLooking ? 2 : 1, error);
  }
}

/** Null for a mistake of ours, which must be seen with its stack. */
function sentenceOf(error: unknown): string | null {
  if (error instanceof Refusal)
    return error.message.replace(/^clusterToken is/, "--cluster-token is").replace(/^dropAfter is/, "--drop-after is");
  // What the disk says, and what reading it found: whose files these are, which version wrote them, that a read was short.
  if (error instanceof Error && (error.name === "DiskError" || error.name === "Error")) return error.message;
  return null;
}

function perform(command: OfflineCommand, host: OfflineHost): Promise<ExitCode> {
  switch (command.kind) {
    case "inspect":
      return inspect(command, host);
    case "verify":
      return verify(command, host);
    case "backup":
      return backUp(command, host);
    case "check":
      return check(command, host);
    case "restore":
      return restore(command, host);
    case "recover":
      return recover(command, host);
  }
}

async function inspect({ directory, range, json }: Command<"inspect">, { print }: OfflineHost): Promise<ExitCode> {
  const everything = { from: 1, to: Number.MAX_SAFE_INTEGER };
  const found = someNodes(await inspectDirectory(directory, range.from > 0 ? range : everything));
  // From the end: so many entries.
  const from = range.from > 0 ? range.from : found.last.index + range.from + 1;
  const listed = { from, to: range.to };
  if (json) print(inspectJson(found, listed));
  else for (const line of inspectLines(found, listed)) print(line);
  return exitCodeOf(found);
}

async function verify({ directory }: Command<"verify">, { print }: OfflineHost): Promise<ExitCode> {
  const found = someNodes(await inspectDirectory(directory));
  for (const line of verifyLines(found)) print(line);
  return exitCodeOf(found);
}

/** A wrong path shall not be called whole. */
function someNodes(found: ScannedDirectory): ScannedDirectory {
  if (found.owner === null && found.snapshots.length === 0 && found.segments.length === 0 && found.findings.length === 0)
    throw new Refusal(`${found.location} holds no data of a node: check the path`);
  return found;
}

function summaryLine(file: string, { head, last, snapshotBytes, entries, bytes }: BackupSummary): string {
  const parts = head.snapshot.index === 0 ? "no snapshot" : `a snapshot up to ${head.snapshot.index} (${snapshotBytes} bytes)`;
  return `${file}: whole, ${bytes} bytes: ${parts} and ${entries} entries, up to ${last.index} of term ${last.term}; of ${head.name} in cluster ${hexadecimal(head.clusterId)}, taken ${head.takenAt}`;
}

/** The pieces of a backup that a running server gives. */
async function* backupFrom(endpoint: string): AsyncGenerator<Uint8Array> {
  const channel = await GrpcChannel.open(endpoint, SILENCE_MS);
  try {
    for await (const message of channel.stream("/etcdserverpb.Maintenance/Snapshot", new Uint8Array(0))) {
      const reader = new WireReader(message);
      for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
        if (tag === BLOB_TAG) yield Uint8Array.from(reader.view());
        else reader.skip(tag);
      }
    }
  } finally {
    channel.close();
  }
}

async function backUpServer(endpoint: string, file: string, { print }: OfflineHost): Promise<ExitCode> {
  try {
    print(summaryLine(file, await writeBackupFile(file, backupFrom(endpoint))));
    return 0;
  } catch (error) {
    if (error instanceof CallFailure) throw new CommandFailure(`${endpoint}: ${error.message}; no backup was written`, 1, error);
    throw error;
  }
}

async function backUp({ source, file, uncommitted }: Command<"backup">, host: OfflineHost): Promise<ExitCode> {
  const { print } = host;
  if (isEndpoint(source) && !existsSync(source)) return backUpServer(source.replace(/^http:\/\//, ""), file, host);
  const backup = await backUpDirectory(source, file, { uncommitted });
  print(summaryLine(file, backup));
  if (backup.leftOut !== null)
    print(
      `left out: ${entriesText(backup.leftOut.first, backup.leftOut.last)}, not known to be committed here; with --uncommitted it is taken as well`,
    );
  return 0;
}

async function check({ file }: Command<"check">, { print }: OfflineHost): Promise<ExitCode> {
  print(summaryLine(file, await checkBackup(file)));
  return 0;
}

function clusterOf({ name, address, token }: NewClusterWords): {
  readonly name: string;
  readonly address: string;
  readonly token: string;
} {
  checkName("--name", name);
  return { name, address, token: token ?? `after-${randomBytes(6).toString("hex")}` };
}

/** How the new member is started, in words that can be pasted. */
function startLines(cluster: ReturnType<typeof clusterOf>, directory: string): readonly string[] {
  const shared = `--cluster ${cluster.name}=${cluster.address} --cluster-token ${cluster.token}`;
  return [
    "start it with:",
    `  quorate serve --name ${cluster.name} ${shared} --data ${directory}`,
    "then add members, each with an empty directory, a name and addresses of its own:",
    `  quorate serve --name NAME --join --peer-address HOST:PORT ${shared} --data DIRECTORY`,
    "  quorate member add HOST:PORT",
  ];
}

async function restore({ file, directory, cluster: words }: Command<"restore">, { print }: OfflineHost): Promise<ExitCode> {
  const cluster = clusterOf(words);
  const made = await restoreDirectory(file, directory, cluster);
  print(summaryLine(file, made.backup));
  print(
    `${directory}: the only member of the new cluster ${hexadecimal(made.clusterId)}, with incarnation ${incarnationText(made.incarnation)}`,
  );
  for (const line of startLines(cluster, directory)) print(line);
  return 0;
}

async function recover(command: Command<"recover">, { print, ask }: OfflineHost): Promise<ExitCode> {
  const { directory, into, dropAfter } = command;
  const cluster = clusterOf(command.cluster);
  const request = { ...cluster, dropAfter };
  for (const line of planLines(await planRecovery(directory, request), into)) print(line);
  if (!command.yes && !(await agreed(ask))) {
    print("nothing was done");
    return 1;
  }
  const made = await recoverDirectory(directory, into, request);
  print(
    `${into}: the only member of the new cluster ${hexadecimal(made.clusterId)}, with incarnation ${incarnationText(made.incarnation)}`,
  );
  if (made.unmarked === null) print(`${directory}: unchanged; a node does not start there any more (file do-not-start)`);
  else print(`${directory}: could not be marked (${made.unmarked}): make sure that no node starts there again`);
  for (const line of startLines(cluster, into)) print(line);
  return 0;
}

async function agreed(ask: OfflineHost["ask"]): Promise<boolean> {
  if (ask === null)
    throw new CommandFailure("nothing was done: say --yes if this is what you want; there is no terminal to ask at", 2);
  return (await ask("type yes to go on: ")).trim() === "yes";
}

function entriesText(first: number, last: number): string {
  return first === last ? `entry ${first}` : `entries ${first} to ${last}`;
}

export function planLines(plan: RecoveryPlan, into: string): readonly string[] {
  const { last, snapshotIndex, knownCommitted, keptUnknown, dropped, leftBehind } = plan;
  const lines = [
    `This makes a new cluster of one member in ${into} out of ${plan.from}.`,
    "",
    `kept:         everything up to entry ${last.index} of term ${last.term}${snapshotIndex === 0 ? "" : ` (up to ${snapshotIndex} as a snapshot)`}`,
    `              known to be committed here: up to ${knownCommitted}`,
  ];
  if (keptUnknown !== null)
    lines.push(
      `kept as well: ${entriesText(keptUnknown.first, keptUnknown.last)}: the lost members may have committed them, so they count as committed from now on,`,
      "              also those that were never acknowledged to anybody",
    );
  if (dropped !== null)
    lines.push(
      `DROPPED:      ${dropped.last === null ? `whatever came after entry ${dropped.first - 1}` : entriesText(dropped.first, dropped.last)}, ${dropped.committed ? "of which some ARE KNOWN TO BE COMMITTED: acknowledged writes are lost" : "which may have been committed and acknowledged"}`,
    );
  lines.push(
    `may be lost:  writes after entry ${last.index} that only the other members held, if there were any. If another directory is left,`,
    "              compare the last entry (quorate log verify): take the one with the higher term, and of equal terms the higher index",
  );
  if (plan.blocked !== null)
    lines.push(`CAUTION:      it was recovered before (${plan.blocked}): this makes yet another cluster`);
  if (!plan.wasVoter)
    lines.push("CAUTION:      this member did not vote in the old cluster: it may lack what the voters had committed");
  lines.push(
    `left behind:  ${leftBehind.length === 0 ? "nobody" : leftBehind.join(", ")}. If they come back they are strangers to the new cluster, and are refused; but do not`,
    "              run them beside it: clients that reach them would see the old cluster. Add them again with empty directories",
    `cluster id:   ${plan.oldClusterId} becomes ${plan.newClusterId}`,
    "",
  );
  return lines;
}
