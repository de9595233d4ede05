/** What `quorate member` was asked to do, from its words. */
import type { WantedMemberChange } from "../../services/members/protocol.js";
import { usage } from "../failure.js";
import { checkAddress, parseEndpoints, parseWhole, shown } from "../values.js";

export interface MemberWords {
  readonly endpoints: string;
  readonly timeoutMs?: string;
}

export interface AddWords extends MemberWords {
  readonly name?: string;
  readonly learner?: true;
}

export interface ReplaceWords extends MemberWords {
  readonly remove: string;
  readonly add: string;
}

export interface MemberSettings {
  readonly endpoints: readonly string[];
  readonly timeoutMs: number;
  /** Null: only look. */
  readonly change: WantedMemberChange | null;
}

const LOOK_TIMEOUT_MS = 3000;
const CHANGE_TIMEOUT_MS = 60_000;
const LONGEST_TIMEOUT_MS = 86_400_000;

export function memberSettings(words: MemberWords, change: WantedMemberChange | null): MemberSettings {
  const usual = change === null ? LOOK_TIMEOUT_MS : CHANGE_TIMEOUT_MS;
  return {
    endpoints: parseEndpoints("--endpoints", words.endpoints),
    timeoutMs: words.timeoutMs === undefined ? usual : parseWhole("--timeout-ms", words.timeoutMs, 1, LONGEST_TIMEOUT_MS),
    change,
  };
}

export function addChange(address: string, words: AddWords): WantedMemberChange {
  const member = { address: checkAddress("the member's address", address) };
  if (words.name !== undefined) checkName("--name", words.name);
  return {
    kind: "add",
    members: [words.name === undefined ? member : { ...member, name: words.name }],
    learner: words.learner === true,
  };
}

export function namesChange(kind: "remove" | "promote" | "demote", names: readonly string[]): WantedMemberChange {
  for (const name of names) checkName("a name", name);
  return { kind, names: [...names] };
}

export function replaceChange(words: ReplaceWords): WantedMemberChange {
  const remove = words.remove.split(",").map((name) => checkName("--remove", name.trim()));
  const add = words.add.split(",").map((part) => newMember(part.trim()));
  return { kind: "replace", remove, add };
}

/** `host:port`, or `name=host:port`. */
function newMember(text: string): { readonly name?: string; readonly address: string } {
  const equals = text.indexOf("=");
  const address = checkAddress("--add", text.slice(equals + 1));
  return equals < 0 ? { address } : { name: checkName("--add", text.slice(0, equals)), address };
}

function checkName(option: string, name: string): string {
  const bytes = Buffer.byteLength(name, "utf8");
  if (bytes < 1 || bytes > 64) throw usage(`${option} is ${shown(name)}: a member's name has 1 to 64 bytes, this has ${bytes}`);
  return name;
}
