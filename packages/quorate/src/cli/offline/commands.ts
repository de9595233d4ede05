/** The commands for data directories that no node uses, as the command line gives them. */
import type { Command } from "commander";
import { usage } from "../failure.js";
import { checkAddress, parseCluster, parseWhole, shown, splitAddress } from "../values.js";

export interface EntryRange {
  readonly from: number;
  readonly to: number;
}

export interface NewClusterWords {
  readonly name: string;
  readonly address: string;
  /** Null: one is drawn, and said. */
  readonly token: string | null;
}

export type OfflineCommand =
  | { readonly kind: "inspect"; readonly directory: string; readonly range: EntryRange; readonly json: boolean }
  | { readonly kind: "verify"; readonly directory: string }
  | { readonly kind: "backup"; readonly source: string; readonly file: string; readonly uncommitted: boolean }
  | { readonly kind: "check"; readonly file: string }
  | { readonly kind: "restore"; readonly file: string; readonly directory: string; readonly cluster: NewClusterWords }
  | {
      readonly kind: "recover";
      readonly directory: string;
      readonly into: string;
      readonly cluster: NewClusterWords;
      readonly dropAfter: number | null;
      readonly yes: boolean;
    };

export type Take = (command: OfflineCommand) => Promise<void>;

const LOG_EXITS = `
Exits with 0 when everything is whole, 1 when the last write was never finished or can't be judged, and 2 when something is
damaged or the directory can't be read. See docs/disaster.md.
`;

export function addOffline(program: Command, take: Take): void {
  const log = program
    .command("log")
    .description("Look at the data directory of a node that is stopped; nothing in it is changed.");
  addInspect(log, take);
  log
    .command("verify")
    .description("Check everything in a data directory, one line for each thing that is wrong.")
    .argument("<directory>", "the data directory")
    .addHelpText("after", LOG_EXITS)
    .action((directory: string) => take({ kind: "verify", directory }));
  addBackup(program, take);
  addRestore(program, take);
  addRecover(program, take);
}

function addInspect(log: Command, take: Take): void {
  log
    .command("inspect")
    .description("Show what a data directory holds: whose it is, members, snapshots, segments, entries, and what is wrong.")
    .argument("<directory>", "the data directory")
    .option("--from <index>", "the first entry that is listed (default: the last 20)")
    .option("--to <index>", "the last entry that is listed")
    .option("--json", "print one line of JSON")
    .addHelpText("after", LOG_EXITS)
    .action((directory: string, words: { readonly from?: string; readonly to?: string; readonly json?: true }) => {
      const from = words.from === undefined ? null : parseWhole("--from", words.from, 1);
      const to = words.to === undefined ? Number.MAX_SAFE_INTEGER : parseWhole("--to", words.to, 1);
      if (from !== null && from > to) throw usage(`--from is ${from} and --to is ${to}: give them in this order`);
      const range = { from: from ?? (words.to === undefined ? -20 : 1), to };
      return take({ kind: "inspect", directory, range, json: words.json === true });
    });
}

function addBackup(program: Command, take: Take): void {
  program
    .command("backup")
    .description("Write the state of a running server, or of a stopped node's directory, into one file.")
    .argument("<source>", "host:port where clients reach the server, or a data directory; with --check the backup")
    .argument("[file]", "the new file; an existing one is never replaced")
    .option("--uncommitted", "of a directory: also entries that are not known to be committed")
    .option("--check", "write nothing, look whether a backup is whole")
    .action((source: string, file: string | undefined, words: { readonly uncommitted?: true; readonly check?: true }) => {
      if (words.check === true) return take({ kind: "check", file: source });
      if (file === undefined) throw usage("the file is missing: say where the backup is to be written");
      return take({ kind: "backup", source, file, uncommitted: words.uncommitted === true });
    });
}

function addRestore(program: Command, take: Take): void {
  program
    .command("restore")
    .description("Make a new cluster of one member out of a backup, in a directory that is empty or missing.")
    .argument("<file>", "a backup")
    .requiredOption("--name <name>", "the name of the only member")
    .requiredOption("--cluster <member>", "the only member and where its peers will reach it: name=host:port")
    .requiredOption("--data <directory>", "its data directory")
    .option("--cluster-token <text>", "tells the new cluster from the old one (default: drawn, and printed)")
    .action(
      (
        file: string,
        words: { readonly name: string; readonly cluster: string; readonly data: string; readonly clusterToken?: string },
      ) => {
        const members = parseCluster("--cluster", words.cluster);
        const [only] = members;
        if (members.length !== 1 || only === undefined || only.name !== words.name)
          throw usage(
            `--cluster is ${shown(words.cluster)}: a restored cluster begins with one member, --name ${words.name}; the others are added when it runs (quorate member add)`,
          );
        const cluster = { name: only.name, address: only.address, token: words.clusterToken ?? null };
        return take({ kind: "restore", file, directory: words.data, cluster });
      },
    );
}

function addRecover(program: Command, take: Take): void {
  program
    .command("recover")
    .description(
      "For a cluster whose majority is lost for good: go on with one member's directory, as the only member of a new cluster.",
    )
    .argument("<directory>", "the data directory of the member that is left; it stays as it is")
    .requiredOption("--name <name>", "the member's name in the new cluster; its old one may stay")
    .requiredOption("--peer-address <host:port>", "where its peers will reach it")
    .option("--to <directory>", "the new data directory (default: the old one's name with .recovered)")
    .option("--cluster-token <text>", "tells the new cluster from the old one (default: drawn, and printed)")
    .option("--drop-after <index>", "drop every entry above this one: for a log that is damaged there")
    .option("--yes", "do it, without asking")
    .action(
      (
        directory: string,
        words: {
          readonly name: string;
          readonly peerAddress: string;
          readonly to?: string;
          readonly clusterToken?: string;
          readonly dropAfter?: string;
          readonly yes?: true;
        },
      ) => {
        const address = checkAddress("--peer-address", words.peerAddress);
        const dropAfter = words.dropAfter === undefined ? null : parseWhole("--drop-after", words.dropAfter);
        const into = words.to ?? `${directory.replace(/\/+$/, "")}.recovered`;
        const cluster = { name: words.name, address, token: words.clusterToken ?? null };
        return take({ kind: "recover", directory, into, cluster, dropAfter, yes: words.yes === true });
      },
    );
}

/** A source that is an address, and no directory. */
export function isEndpoint(source: string): boolean {
  return splitAddress(source.replace(/^http:\/\//, "")) !== null;
}
