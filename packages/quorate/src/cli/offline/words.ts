/** Entries of the log in words that a person can read. */
import { type Configuration, decodeConfiguration } from "@quorate/raft/core";
import {
  CommandKind,
  decodeAttributes,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeTxnRequest,
  ProtobufError,
} from "../../store/index.js";

const MOST_LETTERS = 60;

export interface EntryContent {
  readonly type: string | null;
  readonly data: Uint8Array | null;
}

/** What an entry says; "" when its content is not known. */
export function entryInWords({ type, data }: EntryContent): string {
  if (data === null || type === null) return "";
  if (type === "configuration") {
    const configuration = decodeConfiguration(data);
    return configuration === null ? "no possible configuration" : configurationInWords(configuration);
  }
  if (type !== "command") return "";
  try {
    return commandInWords(data);
  } catch (error) {
    if (error instanceof ProtobufError) return `a command that can't be read: ${error.message}`;
    throw error;
  }
}

function commandInWords(command: Uint8Array): string {
  switch (command[0]) {
    case CommandKind.put: {
      const { key, value, lease } = decodePutRequest(command, 1);
      return `put ${quoted(key)} = ${quoted(value)}${lease === 0n ? "" : ` with lease ${lease.toString(16)}`}`;
    }
    case CommandKind.deleteRange: {
      const { key, rangeEnd } = decodeDeleteRangeRequest(command, 1);
      return `delete ${quoted(key)}${rangeEnd.length === 0 ? "" : ` to ${quoted(rangeEnd)}`}`;
    }
    case CommandKind.txn: {
      const { compare, success, failure } = decodeTxnRequest(command, 1);
      return `txn: ${compare.length} compared, then ${success.length} operations, else ${failure.length}`;
    }
    case CommandKind.compact:
      return `compact up to revision ${decodeCompactionRequest(command, 1).revision}`;
    case CommandKind.attributes: {
      const { name, clientUrls } = decodeAttributes(command, 1);
      return `member ${name} serves clients at ${clientUrls.join(", ")}`;
    }
    default:
      return `a command of unknown kind ${command[0] ?? "(empty)"}`;
  }
}

/** In quotation marks, shortened; bytes that are no letters as \xhh. */
function quoted(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes.subarray(0, MOST_LETTERS))
    text += byte >= 0x20 && byte < 0x7f && byte !== 0x22 ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  return bytes.length > MOST_LETTERS ? `"${text}…" (${bytes.length} bytes)` : `"${text}"`;
}

export function configurationInWords({ voters, votersOutgoing, learners, members, staged }: Configuration): string {
  const named = (ids: readonly string[]): string =>
    ids.map((id) => members.find((member) => member.id === id)?.name ?? id).join(", ");
  const parts = [`voters ${named(voters)}`];
  if (votersOutgoing.length > 0) parts.push(`together with the old voters ${named(votersOutgoing)}`);
  if (learners.length > 0) parts.push(`learners ${named(learners)}`);
  if (staged !== null) parts.push(`to be promoted ${named(staged.promote)}`);
  return parts.join("; ");
}
