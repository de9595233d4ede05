/** No folder that must be deterministic asks for time, chance, a platform or a promise. */
import { describe, expect, it } from "vitest";
import { bannedUses, PROMISE_FACE } from "./determinism.js";
import { exists, readSources } from "./house.js";

const uses = (path: string, text: string): string[] => bannedUses(new Map([[path, text]]));

describe("the ban", () => {
  it.each([
    ["core", "const now = Date.now();", "Date (time)"],
    ["core", "const at: Date = given;", "Date (time)"],
    ["core", "const x = Math.random();", "Math.random (time)"],
    ["core", "const x = Math['random']();", "Math.random (time)"],
    ["core", "const x = Math.log(2);", "Math.log (engine)"],
    ["core", "a.sort((x, y) => x.localeCompare(y));", ".localeCompare (engine)"],
    ["core", "setTimeout(tick, 10);", "setTimeout (time)"],
    ["core", "if (late) { setInterval(tick, 10); }", "setInterval (time)"],
    ["core", "const timers = { setTimeout };", "setTimeout (time)"],
    ["core", "const start = late ? setTimeout(f) : null;", "setTimeout (time)"],
    ["core", "queueMicrotask(tick);", "queueMicrotask (promises)"],
    ["core", "const wait = async () => 1;", "async (promises)"],
    ["core", "function f(): Promise<void>;", "Promise (promises)"],
    ["core", "const text = `${Date.now()}`;", "Date (time)"],
    ["runtime", "const rest = await done;", "await (promises)"],
    ["runtime", "for await (const event of events) {}", "await (promises)"],
    ["runtime", "const id = crypto.randomUUID();", "crypto (time)"],
    ["runtime", "const bytes = Buffer.alloc(8);", "Buffer (platform)"],
    ["runtime", "globalThis.setTimeout(f, 1);", "globalThis (platform)"],
    ["sim", "setImmediate(() => world.step());", "setImmediate (time)"],
    ["sim", "console.log(story);", "console (platform)"],
    ["check", "const began = performance.now();", "performance (time)"],
  ])("sees it in %s: %s", (folder, text, expected) => {
    expect(uses(`packages/raft/src/${folder}/example.ts`, text)).toEqual([
      `packages/raft/src/${folder}/example.ts:1: ${expected}`,
    ]);
  });

  it("sees it in the store", () => {
    expect(uses("packages/quorate/src/store/lease.ts", "\nreturn new Date();")).toEqual([
      "packages/quorate/src/store/lease.ts:2: Date (time)",
    ]);
  });

  it.each([
    ["core", '// Date.now() is not asked\nconst text = "Date.now()"; /* setTimeout(f) */'],
    ["core", "interface Clock { setImmediate(callback: () => void): void; setTimeout?: number }"],
    [
      "core",
      "class Real implements Clock { now(): number { return 1; } setImmediate(f: () => void) { this.clock.setImmediate(f); } }",
    ],
    ["core", "const x = Math.floor(Math.sqrt(n)) + Math.max(a, Math.imul(b, c));"],
    ["core", "state.Date = message.async;"],
    ["sim", "export async function simulate(): Promise<void> { await run(); }"],
    ["check", "return new Promise((resolve) => resolve(1));"],
    ["platform", "setTimeout(f, 1); const now = performance.now();"],
  ])("lets this be in %s: %s", (folder, text) => {
    expect(uses(`packages/raft/src/${folder}/example.ts`, text)).toEqual([]);
  });

  it("lets the promise face make promises, and nothing else", () => {
    const text = "const x = new Promise((resolve) => setTimeout(resolve, 1));";
    for (const path of PROMISE_FACE) expect(uses(path, text)).toEqual([`${path}:1: setTimeout (time)`]);
  });
});

describe("the house", () => {
  it("has every file that may make promises", () => {
    expect([...PROMISE_FACE].filter((path) => !exists(path))).toEqual([]);
  });

  it("is deterministic where it says so", () => {
    expect(bannedUses(readSources())).toEqual([]);
  });
});
