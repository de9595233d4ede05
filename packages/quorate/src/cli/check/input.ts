/** The text of a history, from a file or from standard input; and a page, into a file. What goes wrong is one sentence. */
import { readFileSync, writeFileSync } from "node:fs";
import { CommandFailure, usage } from "../failure.js";

/** What text is read from instead of a file. */
export type StandardInput = AsyncIterable<Uint8Array>;

/** A text longer than this cannot be held as one. */
const LONGEST_BYTES = 500 * 2 ** 20;

export async function readHistoryText(history: string, standardInput: StandardInput): Promise<string> {
  const name = nameOf(history);
  const bytes = history === "-" ? await readAll(standardInput) : readFile(history);
  if (bytes.length > LONGEST_BYTES) throw tooLong(name);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw usage(`${name} is not a text in UTF-8: give a history as text (docs/checker.md has the formats)`);
  }
}

export function nameOf(history: string): string {
  return history === "-" ? "standard input" : history;
}

async function readAll(input: StandardInput): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of input) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > LONGEST_BYTES) throw tooLong(nameOf("-"));
  }
  return Buffer.concat(chunks);
}

function readFile(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw usage(`${path} can't be read: ${reasonOf(error)}`);
  }
}

function tooLong(name: string): CommandFailure {
  return usage(`${name} is longer than ${LONGEST_BYTES / 2 ** 20} MiB: check it key by key, in files of their own`);
}

/** With 2, since the verdict is known by then, and 1 would say that it is bad. */
export function writePage(path: string, html: string): void {
  try {
    writeFileSync(path, html);
  } catch (error) {
    throw new CommandFailure(`the page can't be written to ${path}: ${reasonOf(error)}`, 2);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a directory",
  ENOTDIR: "it is not below a directory",
  EACCES: "no permission",
  EPERM: "no permission",
  EROFS: "the file system is read-only",
  ENOSPC: "there is no room left",
  ERR_FS_FILE_TOO_LARGE: "it is too large",
};

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return REASONS[code] ?? error.message;
}
