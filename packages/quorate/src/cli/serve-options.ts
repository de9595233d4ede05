/** The options of `quorate serve`: from the words of the command line to what the server is opened with. */
import { usage } from "./failure.js";
import { checkAddress, checkUrl, type Member, parseCluster, parseWhole, shown, splitAddress } from "./values.js";

/** As the command line gives them: texts, absent where nothing was given. */
export interface ServeWords {
  readonly name: string;
  readonly cluster: string;
  readonly data: string;
  readonly clientListen: string;
  readonly peerListen?: string;
  readonly peerAddress?: string;
  readonly join?: true;
  readonly advertiseClient?: string;
  readonly clusterToken?: string;
  readonly leases?: true;
  readonly priority?: string;
  readonly heartbeatMs?: string;
  readonly electionMs?: string;
  readonly snapshotEntries?: string;
  readonly snapshotBytes?: string;
  readonly trailingEntries?: string;
  readonly segmentBytes?: string;
  readonly jsonStatus?: true;
}

/** What a server is opened with; absent fields have the server's defaults. */
export interface ServeSettings {
  readonly name: string;
  readonly cluster: readonly Member[];
  readonly directory: string;
  readonly listenClient: string;
  readonly advertiseClient: string;
  readonly listenPeer?: string;
  /** Where peers reach this node, if not at its address in `cluster`. */
  readonly peerAddress?: string;
  /** It is no founder: a leader must take it in. */
  readonly join?: boolean;
  readonly clusterToken?: string;
  readonly leases?: true;
  readonly priority?: number;
  readonly heartbeatIntervalMs?: number;
  readonly electionTimeoutMs?: number;
  readonly snapshotLogEntries?: number;
  readonly snapshotLogBytes?: number;
  readonly trailingEntries?: number;
  readonly segmentBytes?: number;
}

const EVERY_ADDRESS = new Set(["0.0.0.0", "[::]", "*"]);

export function serveSettings(words: ServeWords): ServeSettings {
  const cluster = parseCluster("--cluster", words.cluster);
  checkMembership(words, cluster);
  if (words.data === "") throw usage("--data is empty: name the directory that holds this node's data");
  const listenClient = checkAddress("--client-listen", words.clientListen);
  return {
    name: words.name,
    cluster,
    directory: words.data,
    listenClient,
    advertiseClient: advertised(words, listenClient),
    ...(words.peerListen !== undefined && { listenPeer: checkAddress("--peer-listen", words.peerListen) }),
    ...(words.peerAddress !== undefined && { peerAddress: checkAddress("--peer-address", words.peerAddress) }),
    ...(words.join === true && { join: true }),
    ...(words.clusterToken !== undefined && { clusterToken: words.clusterToken }),
    ...(words.leases === true && { leases: true }),
    ...number("priority", "--priority", words.priority),
    ...number("heartbeatIntervalMs", "--heartbeat-ms", words.heartbeatMs),
    ...number("electionTimeoutMs", "--election-ms", words.electionMs),
    ...number("snapshotLogEntries", "--snapshot-entries", words.snapshotEntries),
    ...number("snapshotLogBytes", "--snapshot-bytes", words.snapshotBytes),
    ...number("trailingEntries", "--trailing-entries", words.trailingEntries),
    ...number("segmentBytes", "--segment-bytes", words.segmentBytes),
  };
}

/** A node is a founder, or says that it joins: a name with a slip in it shall not become a member that nobody expects. */
function checkMembership({ name, join, peerAddress }: ServeWords, cluster: readonly Member[]): void {
  if (cluster.some((founder) => founder.name === name)) return;
  const names = cluster.map((founder) => founder.name).join(", ");
  if (join !== true)
    throw usage(
      `--name is ${shown(name)}, which is not in --cluster (${names}): give one of these; or, for a node that joins the running cluster, --join and --peer-address host:port`,
    );
  if (peerAddress === undefined)
    throw usage(
      `--join is given, and --name ${shown(name)} is not in --cluster (${names}): say with --peer-address host:port where its peers reach this node`,
    );
}

/** The URL that clients are told. It follows from the address listened on, unless that is "every address". */
function advertised(words: ServeWords, listenClient: string): string {
  if (words.advertiseClient !== undefined) return checkUrl("--advertise-client", words.advertiseClient);
  if (EVERY_ADDRESS.has(splitAddress(listenClient)?.host ?? "")) {
    throw usage(
      `--client-listen is ${shown(listenClient)}, which is every address of this machine: say with --advertise-client at which URL clients reach this node, like http://10.0.0.1:2379`,
    );
  }
  return `http://${listenClient}`;
}

function number<Field extends string>(
  field: Field,
  option: string,
  text: string | undefined,
): { readonly [Name in Field]?: number } {
  return (text === undefined ? {} : { [field]: parseWhole(option, text) }) as { readonly [Name in Field]?: number };
}
