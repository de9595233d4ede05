/**
 * What the deterministic folders may not touch: time, chance, the platform, whatever differs between engines, and (where a
 * driver must run to rest) promises. One seed replays a whole cluster only because none of these is ever asked.
 */
import { type Folder, folderOf } from "./house.js";
import { isMember, type Token, tokenize } from "./scanner.js";

type Ban = "time" | "platform" | "engine" | "promises";

/** Globals, by name. A member of something (`clock.setImmediate`) or a declared method of that name is not the global. */
const GLOBALS: Readonly<Record<Ban, readonly string[]>> = {
  time: words("Date performance Temporal setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate crypto"),
  // Most of these do not even compile here, for want of their types; a structural declaration could bring them back.
  platform: words(
    "process Buffer global globalThis console TextEncoder TextDecoder structuredClone AbortController AbortSignal " +
      "MessageChannel WebAssembly Atomics SharedArrayBuffer eval",
  ),
  engine: words("Intl WeakRef FinalizationRegistry"),
  promises: words("Promise async await queueMicrotask"),
};

/** Members, by name, whatever they are members of. */
const MEMBERS: Readonly<Record<Ban, readonly string[]>> = {
  time: [],
  platform: [],
  engine: words("localeCompare toLocaleString toLocaleUpperCase toLocaleLowerCase toLocaleDateString toLocaleTimeString"),
  promises: [],
};

/** Members of Math. The transcendental ones may differ in the last bit from one engine to the next. */
const MATH: Readonly<Record<Ban, readonly string[]>> = {
  time: ["random"],
  platform: [],
  engine: words(
    "acos acosh asin asinh atan atan2 atanh cbrt cos cosh exp expm1 hypot log log10 log1p log2 pow sin sinh tan tanh",
  ),
  promises: [],
};

const BANS: Readonly<Partial<Record<Folder, readonly Ban[]>>> = {
  "raft/core": ["time", "platform", "engine", "promises"],
  "raft/runtime": ["time", "platform", "engine", "promises"],
  // What a user's workload returns, and RaftNode itself, are promises: the simulator has to speak them.
  "raft/sim": ["time", "platform", "engine"],
  "raft/check": ["time", "platform"],
  "quorate/store": ["time", "platform", "engine", "promises"],
};

/** The promise face: what a program awaits is made here, and nothing in these files decides anything. */
export const PROMISE_FACE: ReadonlySet<string> = new Set([
  "packages/raft/src/runtime/node.ts",
  "packages/raft/src/runtime/face.ts",
  "packages/raft/src/runtime/event-stream.ts",
]);

/** Uses of banned names, one line each. */
export function bannedUses(sources: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [path, text] of sources) {
    const folder = folderOf(path);
    const bans = (folder === null ? [] : (BANS[folder] ?? [])).filter((ban) => ban !== "promises" || !PROMISE_FACE.has(path));
    if (bans.length === 0) continue;
    const tokens = tokenize(text);
    tokens.forEach((token, at) => {
      const name = usedName(tokens, at);
      const ban = name === null ? undefined : bans.find((each) => isBanned(each, name));
      if (ban !== undefined) found.push(`${path}:${token.line}: ${name} (${ban})`);
    });
  }
  return found;
}

/** `Math.log`, `.localeCompare` or the name of what may be a global; null if the token is none of these. */
function usedName(tokens: readonly Token[], at: number): string | null {
  const token = tokens[at];
  if (token === undefined) return null;
  const [owner, before] = [tokens[at - 2], tokens[at - 1]];
  const ofMath = owner?.text === "Math" && !isMember(tokens, at - 2);
  if (token.kind === "string") return ofMath && before?.text === "[" ? `Math.${token.text}` : null;
  if (token.kind !== "name") return null;
  if (isMember(tokens, at)) return ofMath ? `Math.${token.text}` : `.${token.text}`;
  return isDeclared(tokens, at) ? null : token.text;
}

/** Whether the name is that of a property or a method being declared: `{ Date: 1 }`, `setImmediate(f: F): void;`. */
function isDeclared(tokens: readonly Token[], at: number): boolean {
  const before = tokens[at - 1]?.text ?? "";
  if (!["{", "}", ";", ",", "readonly", "override", "static", "get", "set"].includes(before)) return false;
  let next = at + 1;
  if (tokens[next]?.text === "?") next += 1;
  if (tokens[next]?.text === ":") return true;
  if (tokens[next]?.text !== "(") return false;
  let depth = 0;
  do {
    if (tokens[next]?.text === "(") depth += 1;
    else if (tokens[next]?.text === ")") depth -= 1;
    next += 1;
  } while (depth > 0 && next < tokens.length);
  return tokens[next]?.text === ":" || tokens[next]?.text === "{";
}

function isBanned(ban: Ban, name: string): boolean {
  if (name.startsWith("Math.")) return MATH[ban].includes(name.slice("Math.".length));
  if (name.startsWith(".")) return MEMBERS[ban].includes(name.slice(1));
  return GLOBALS[ban].includes(name);
}

function words(text: string): string[] {
  return text.split(" ");
}
