/**
 * The options of a node, checked and completed. Each error names the field, what was given, the range and the remedy, and
 * is thrown before anything is touched.
 */
import { RaftError } from "./errors.js";
import type { Founder, RaftNodeOptions } from "./node.js";

const MEBIBYTE = 1024 * 1024;

/** Defaults, lowest and highest value of every number. */
const NUMBERS = {
  heartbeatIntervalMs: [100, 5, 60_000],
  electionTimeoutMs: [1000, 10, 600_000],
  maxEntryBytes: [2 * MEBIBYTE, 1, 64 * MEBIBYTE],
  maxPendingBytes: [64 * MEBIBYTE, 1, 4096 * MEBIBYTE],
  maxPendingProposals: [65_536, 1, 1_000_000],
  maxPendingReads: [65_536, 1, 1_000_000],
  maxApplyLag: [100_000, 1, 1_000_000_000],
  maxSessions: [1000, 1, 1_000_000],
  maxSessionRequests: [64, 1, 4096],
  maxSessionResultBytes: [65_536, 0, 8 * MEBIBYTE],
  snapshotLogBytes: [64 * MEBIBYTE, 1024, 65_536 * MEBIBYTE],
  snapshotLogEntries: [100_000, 1, 1_000_000_000],
  trailingEntries: [10_000, 0, 1_000_000_000],
  maxTrailingBytes: [64 * MEBIBYTE, 0, 65_536 * MEBIBYTE],
  segmentBytes: [64 * MEBIBYTE, 65_536, 1024 * MEBIBYTE],
  priority: [1, 0, 100],
  clockDriftPerMille: [100, 0, 500],
} as const satisfies { readonly [name: string]: readonly [number, number, number] };

export type NumberOptions = { readonly [Name in keyof typeof NUMBERS]: number };

export interface NodeOptions extends NumberOptions {
  readonly id: string;
  /** Sorted by name. */
  readonly cluster: readonly Founder[];
  readonly clusterToken: string;
  readonly leases: boolean;
  /** Where peers reach this node. */
  readonly address: string;
  readonly join: boolean;
}

function invalid(message: string): RaftError {
  return new RaftError("invalidArgument", message, { outcome: "not-executed", retry: "never" });
}

const utf8Length = (text: string): number => {
  let bytes = 0;
  for (const letter of text) {
    const point = letter.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
};

export function checkName(field: string, name: string): void {
  const length = utf8Length(name);
  if (length < 1 || length > 64)
    throw invalid(`${field} is "${name.slice(0, 80)}": a name has 1 to 64 bytes of UTF-8, this has ${length}`);
}

/** host:port, with the port in range; hosts in brackets may hold colons. */
export function checkAddress(field: string, address: string): void {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(address);
  const port = Number(match?.[2] ?? -1);
  if (match === null || port < 1 || port > 65_535)
    throw invalid(`${field} is "${address.slice(0, 80)}": write it as host:port, with a port from 1 to 65535`);
}

export function checkNodeOptions(options: RaftNodeOptions): NodeOptions {
  checkName("id", options.id);
  if (options.cluster.length < 1 || options.cluster.length > 15)
    throw invalid(`cluster lists ${options.cluster.length} founders: between 1 and 15 are possible`);
  for (const { name, address } of options.cluster) {
    checkName("cluster: name", name);
    checkAddress(`cluster: address of ${name}`, address);
  }
  for (const field of ["name", "address"] as const) {
    const seen = new Set<string>();
    for (const founder of options.cluster) {
      if (seen.has(founder[field]))
        throw invalid(`cluster: the ${field} "${founder[field]}" occurs twice: each founder has its own`);
      seen.add(founder[field]);
    }
  }
  const founder = options.cluster.find(({ name }) => name === options.id);
  const join = options.join ?? founder === undefined;
  const founders = options.cluster.map(({ name }) => name).join(", ");
  if (founder === undefined && !join)
    throw invalid(`join is false, but id "${options.id}" is not among the founders in cluster (${founders})`);
  const address = options.address ?? founder?.address;
  if (address === undefined)
    throw invalid(
      `id is "${options.id}", which is not among the founders in cluster (${founders}): a node that joins later needs address, where its peers reach it`,
    );
  checkAddress("address", address);
  const clusterToken = options.clusterToken ?? "";
  if (utf8Length(clusterToken) > 256) throw invalid("clusterToken is longer than 256 bytes: shorten it");
  if (options.listenAddress !== undefined) checkAddress("listenAddress", options.listenAddress);
  if (options.directory === "") throw invalid("directory is empty: name the folder that holds this node's data");
  const numbers = checkNumbers(options);
  if (numbers.heartbeatIntervalMs * 2 > numbers.electionTimeoutMs) {
    throw invalid(
      `heartbeatIntervalMs is ${numbers.heartbeatIntervalMs}: it must be at most half of electionTimeoutMs (${numbers.electionTimeoutMs}), or one late heartbeat starts an election`,
    );
  }
  const cluster = [...options.cluster].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { ...numbers, id: options.id, cluster, clusterToken, leases: options.leases ?? false, address, join };
}

function checkNumbers(options: RaftNodeOptions): NumberOptions {
  const checked = {} as { -readonly [Name in keyof NumberOptions]: number };
  for (const name of Object.keys(NUMBERS) as (keyof NumberOptions)[]) {
    const [standard, low, high] = NUMBERS[name];
    const value = options[name] ?? standard;
    if (!Number.isSafeInteger(value) || value < low || value > high)
      throw invalid(`${name} is ${value}: it must be a whole number from ${low} to ${high} (default ${standard})`);
    checked[name] = value;
  }
  return checked;
}
