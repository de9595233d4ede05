/**
 * How the command fails: with one sentence that names what was given and what to do, and an exit code. 1: it could not do
 * what was asked. 2: what was asked makes no sense; nothing was touched. 3: of `serve` alone: the node is no member any more.
 */

export type ExitCode = 0 | 1 | 2 | 3;

/** The sentence is for a reader at a terminal: no code, no stack. `quorate: ` is put before it when it is printed. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = 1, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}

/** An option or an argument that can't be used: names the option, what was given, and the remedy. */
export function usage(message: string): CommandFailure {
  return new CommandFailure(message, 2);
}

/** The library names its own fields; at the command line they are options. */
const OPTION_OF_FIELD: Readonly<Record<string, string>> = {
  heartbeatIntervalMs: "--heartbeat-ms",
  electionTimeoutMs: "--election-ms",
  snapshotLogEntries: "--snapshot-entries",
  snapshotLogBytes: "--snapshot-bytes",
  trailingEntries: "--trailing-entries",
  segmentBytes: "--segment-bytes",
  clusterToken: "--cluster-token",
  listenPeer: "--peer-listen",
  peerAddress: "--peer-address",
  listenAddress: "--peer-listen",
  listenClient: "--client-listen",
  advertiseClient: "--advertise-client",
};

const FIELD = new RegExp(`\\b(${Object.keys(OPTION_OF_FIELD).join("|")})\\b`, "g");

/** The sentence of an error that came from below, in the words of the command line. */
export function inOptionWords(message: string): string {
  const named = message.replaceAll(FIELD, (field) => OPTION_OF_FIELD[field] ?? field);
  // These are ordinary words too; only at its beginning does a sentence mean the field.
  return named
    .replace(/^id is\b/, "--name is")
    .replace(/^address is\b/, "--peer-address is")
    .replace(/^cluster(?=:| lists\b)/, "--cluster")
    .replace(/^directory is\b/, "--data is");
}

interface SystemError extends Error {
  readonly code: string;
  readonly address?: string;
  readonly port?: number;
  readonly path?: string;
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && "code" in error && typeof error.code === "string" && "syscall" in error;
}

const SYSTEM_SENTENCES: Readonly<Record<string, (where: string) => string>> = {
  EADDRINUSE: (where) => `the address ${where} is in use: stop the program that listens there, or choose another port`,
  EADDRNOTAVAIL: (where) => `the address ${where} is not one of this machine: listen on one that is, or on 0.0.0.0`,
  ENOTFOUND: (where) => `the host of ${where} is unknown: check its spelling, or give an IP address`,
  EACCES: (where) => `no permission for ${where}: choose another, or change who may use it`,
  EPERM: (where) => `no permission for ${where}: choose another, or change who may use it`,
  EROFS: (where) => `${where} is on a read-only file system: choose another directory`,
  ENOSPC: (where) => `there is no room left for ${where}: free some, or choose another directory`,
  ENOENT: (where) => `${where} does not exist and can't be made: choose another directory`,
  ENOTDIR: (where) => `${where} is not below a directory: choose another`,
  EEXIST: (where) => `${where} exists and is not a directory: choose another`,
};

/**
 * What to say and how to exit for anything that was thrown; null for what nobody foresaw, which is a mistake of ours and
 * must be seen with its stack.
 */
export function describeFailure(error: unknown): { readonly message: string; readonly exitCode: ExitCode } | null {
  if (error instanceof CommandFailure) return { message: error.message, exitCode: error.exitCode };
  // By shape and not by class: the error may come from another copy of the library.
  if (error instanceof Error && "outcome" in error && "code" in error) {
    return { message: inOptionWords(oneLine(error.message)), exitCode: error.code === "invalidArgument" ? 2 : 1 };
  }
  if (isSystemError(error)) {
    const where = error.path ?? (error.port === undefined ? (error.address ?? "it") : `${error.address ?? "*"}:${error.port}`);
    return { message: SYSTEM_SENTENCES[error.code]?.(where) ?? oneLine(error.message), exitCode: 1 };
  }
  return null;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ").trim();
}
