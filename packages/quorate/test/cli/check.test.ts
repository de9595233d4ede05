/** `quorate check` from its words to its exit code: nothing but a verdict ends with 0 or 1. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MODEL_NAMES } from "@quorate/raft/check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkCommand } from "../../src/cli/check/check.js";
import { type CheckSettings, checkSettings } from "../../src/cli/check/settings.js";
import { run } from "../../src/cli/program.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quorate-check-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

interface Said {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Runs the command; `clock` gives the time at each look. */
async function say(words: readonly string[], standardInput = "", clock: () => number = () => 0): Promise<Said> {
  let out = "";
  let error = "";
  const never = (): Promise<never> => Promise.reject(new Error("another command"));
  const check = (settings: CheckSettings) =>
    checkCommand(settings, {
      print: (line) => {
        out += `${line}\n`;
      },
      standardInput: chunksOf(standardInput),
      nowMs: clock,
    });
  const output = {
    out: (text: string) => {
      out += text;
    },
    error: (text: string) => {
      error += text;
    },
  };
  const code = await run(
    ["check", ...words],
    { serve: never, dev: never, status: never, member: never, simulate: never, check, offline: never },
    output,
  );
  return { code, out, error };
}

/** A text in pieces that cut its characters. */
async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
}

function file(name: string, text: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function lines(...events: readonly object[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join("");
}

const GOOD = lines({ process: 0, type: "invoke", f: "write", value: "é" }, { process: 0, type: "ok" });
const STALE = lines(
  { process: 0, type: "invoke", f: "write", value: 1 },
  { process: 0, type: "ok" },
  { process: 1, type: "invoke", f: "read" },
  { process: 1, type: "ok", value: null },
);

/** Every set of so many concurrent writes must be tried. */
function hard(writes: number): string {
  const processes = Array.from({ length: writes }, (_, at) => at);
  return lines(
    ...processes.map((process) => ({ process, type: "invoke", f: "write", value: process, time: 0 })),
    ...processes.map((process) => ({ process, type: "ok", time: 1 })),
    { process: 0, type: "invoke", f: "read", time: 2 },
    { process: 0, type: "ok", value: "nobody wrote this", time: 3 },
  );
}

describe("the exit code is the verdict", () => {
  it("0: linearizable", async () => {
    const said = await say([file("good.jsonl", GOOD), "--model", "register"]);
    expect(said).toEqual({ code: 0, out: "linearizable: 1 operations, 1 steps\nchecked in 0.00 s\n", error: "" });
  });

  it("1: not, and why", async () => {
    const { code, out, error } = await say([file("stale.jsonl", STALE), "--model", "register"]);
    expect({ code, error }).toEqual({ code: 1, error: "" });
    expect(out).toContain("not linearizable: 2 operations");
    expect(out).toContain("  x process 1: read -> null [3, 4]");
  });

  it("2: unknown, when the time is over; and what to do", async () => {
    let now = 0;
    const said = await say(["-", "--model", "register", "--max-seconds", "3"], hard(24), () => {
      now += 500;
      return now;
    });
    expect(said).toMatchObject({ code: 2, error: "" });
    expect(said.out).toMatch(
      /^unknown, out of time: 25 operations, \d+ steps\nthat is neither good nor bad: give more than --max-seconds 3,/,
    );
  });

  it("2: unknown, when the memory is used up", async () => {
    const said = await say(["-", "--model", "register", "--max-memory-mb", "2"], hard(24));
    expect(said).toMatchObject({ code: 2, error: "" });
    expect(said.out).toMatch(/^unknown, out of memory: .*\nthat is neither good nor bad: give more than --max-memory-mb 2,/);
  });

  it("2: a mistake of its own, with the stack", async () => {
    const settings = checkSettings(file("good.jsonl", GOOD), { model: "register", maxSeconds: "1", maxMemoryMb: "1" }, 4000);
    const model = {
      ...settings.model,
      step: () => {
        throw new Error("broken");
      },
    };
    const terminal = { print: () => {}, standardInput: chunksOf(""), nowMs: () => 0 };
    await expect(checkCommand({ ...settings, model }, terminal)).rejects.toMatchObject({
      name: "CommandFailure",
      exitCode: 2,
      message: expect.stringMatching(/came to no verdict, by a mistake of its own: Error: broken\n\s+at /),
    });
  });
});

describe("histories", () => {
  it("come from standard input", async () => {
    expect(await say(["-", "--model", "register"], GOOD)).toMatchObject({ code: 0 });
  });

  const edn =
    "{:process 0 :type :invoke :f :cas :value [nil 1]}\n{:process 0 :type :fail :f :cas :value [nil 1]}\n" +
    "{:process 1 :type :invoke :f :read :value nil}\n{:process 1 :type :ok :f :read :value nil}";
  const log = "INFO jepsen.util - 0\t:invoke\t:read\t[7 nil]\nINFO jepsen.util - 0\t:ok\t:read\t[7 nil]\n";

  it.each<readonly [string, string, readonly string[], number, string]>([
    ["EDN, guessed", edn, ["--model", "cas-register"], 0, "1 operations"],
    ["EDN, named", edn, ["--model", "cas-register", "--format", "edn"], 0, "1 operations"],
    ["EDN, in which a failed cas was refused", edn, ["--model", "cas-register", "--failed-cas", "refused"], 1, "2 operations"],
    ["a log, keyed by the looks of it", log, ["--model", "register"], 0, "1 operations"],
    ["a log that is said not to be keyed", log, ["--model", "register", "--no-keyed"], 1, "1 operations"],
    ["a log that is said to be", log, ["--model", "register", "--keyed"], 0, "1 operations"],
    ["another value to begin with", STALE, ["--model", "register", "--initial", "7"], 1, "2 operations"],
    [
      "an open operation at the end",
      lines({ process: 0, type: "invoke", f: "read" }),
      ["--model", "register"],
      0,
      "1 operations",
    ],
  ])("%s", async (_what, text, words, code, size) => {
    const said = await say(["-", ...words], text);
    expect(said).toMatchObject({ code, error: "" });
    expect(said.out).toContain(size);
  });

  it("a byte order mark is none of it", async () => {
    expect(await say(["-", "--model", "register"], `\uFEFF${GOOD}`)).toMatchObject({ code: 0 });
  });
});

describe("what it says for programs and pages", () => {
  it("--json: one line with the verdict", async () => {
    const good = await say(["-", "--model", "register", "--json"], GOOD);
    expect(JSON.parse(good.out)).toEqual({
      verdict: "linearizable",
      model: "register",
      operations: 1,
      groups: 1,
      steps: 1,
      seconds: 0,
    });
    const bad = await say(["-", "--model", "register", "--json"], STALE);
    expect(bad.code).toBe(1);
    expect(bad.out.trim()).not.toContain("\n");
    const step = { operation: "process 0: write 1 -> null [1, 2]", state: "1" };
    expect(JSON.parse(bad.out)).toMatchObject({
      verdict: "not",
      failure: {
        key: null,
        operations: 2,
        prefixes: [{ length: 1, state: "1", trail: [step], stuck: ["process 1: read -> null [3, 4]"], open: [] }],
      },
    });
    const unknown = await say(["-", "--model", "register", "--json", "--max-memory-mb", "1"], hard(24));
    expect(unknown.code).toBe(2);
    expect(JSON.parse(unknown.out)).toMatchObject({ verdict: "unknown", reason: "memory", undecided: [null] });
  });

  it("--html: a page", async () => {
    const page = join(folder, "why.html");
    const said = await say(["-", "--model", "register", "--html", page], STALE);
    expect(said.code).toBe(1);
    expect(said.out).toContain(`explained in ${page}\n`);
    expect(readFileSync(page, "utf8")).toContain("<title>Not linearizable: standard input</title>");
    const json = await say(["-", "--model", "register", "--json", "--html", page], GOOD);
    expect(JSON.parse(json.out)).toMatchObject({ verdict: "linearizable" });
    expect(readFileSync(page, "utf8")).toContain("<title>Linearizable: standard input</title>");
  });

  it("--html that can't be written: the verdict is said, and the exit code is not the one of a bad history", async () => {
    const page = join(folder, "nowhere", "why.html");
    const said = await say(["-", "--model", "register", "--html", page], STALE);
    expect(said.code).toBe(2);
    expect(said.out).toContain("not linearizable");
    expect(said.error).toBe(`quorate: the page can't be written to ${page}: there is no such file\n`);
  });
});

describe("what can't be used: one sentence, exit code 2, and no verdict", () => {
  it.each<readonly [string, readonly string[], string]>([
    ["", ["-"], "required option '--model <name>' not specified; see quorate --help"],
    ["", ["--model", "register"], "missing required argument 'history'; see quorate --help"],
    ["", ["-", "--model", "stack"], `--model is "stack": it must be one of ${MODEL_NAMES.join(", ")}`],
    ["", ["-", "--model", "register", "--format", "csv"], '--format is "csv": it must be one of jsonl, edn, jepsen-log'],
    ["", ["-", "--model", "register", "--failed-cas", "yes"], '--failed-cas is "yes": it must be not-done or refused'],
    ["", ["-", "--model", "register", "--initial", "x"], `--initial is "x": write the value as JSON, like 0 or '""'`],
    [
      "",
      ["-", "--model", "queue", "--initial", "1"],
      "--initial can't be used: a queue always begins empty: it takes no initial value",
    ],
    [
      "",
      ["-", "--model", "counter", "--initial", '"x"'],
      '--initial can\'t be used: a counter begins with an integer, not with "x"',
    ],
    ["", ["-", "--model", "register", "--max-seconds", "0"], '--max-seconds is "0": it must be a whole number from 1 to 1000000'],
    [
      "",
      ["-", "--model", "register", "--max-memory-mb", "many"],
      '--max-memory-mb is "many": it must be a whole number from 1 to 1000000',
    ],
    [
      "",
      ["-", "--model", "register"],
      "standard input: this looks like none of the formats jsonl, edn, jepsen-log: name the one that it is",
    ],
    ["", ["-", "--model", "register", "--format", "jsonl"], "standard input holds no operations: there is nothing to check"],
    ["# nothing\n", ["-", "--model", "register"], "standard input: line 1: # must be followed by a tag, a set or _"],
    ["[]", ["-", "--model", "register"], "standard input holds no operations: there is nothing to check"],
    [`${GOOD}{"process"`, ["-", "--model", "register"], "standard input: line 3: not JSON: "],
    [GOOD, ["-", "--model", "register", "--keyed"], "standard input: values of jsonl are not keyed: there, a key has a field"],
    [
      GOOD,
      ["-", "--model", "queue"],
      'standard input: f is "write"; the model queue knows enqueue, dequeue (process 0: write "é" -> null [1, 2])',
    ],
  ])("%j %j", async (text, words, sentence) => {
    const said = await say(words, text);
    expect({ code: said.code, out: said.out }).toEqual({ code: 2, out: "" });
    expect(said.error).toMatch(/^quorate: [^\n]*\n$/);
    expect(said.error).toContain(`quorate: ${sentence}`);
  });

  it("a file that can't be read", async () => {
    const missing = join(folder, "missing.jsonl");
    const missed = await say([missing, "--model", "register"]);
    expect(missed).toEqual({ code: 2, out: "", error: `quorate: ${missing} can't be read: there is no such file\n` });
    mkdirSync(join(folder, "directory"), { recursive: true });
    const directory = await say([join(folder, "directory"), "--model", "register"]);
    expect(directory).toMatchObject({ code: 2, error: expect.stringContaining("can't be read: it is a directory\n") });
    const binary = await say([file("binary", Uint8Array.of(0x1f, 0x8b, 0x08, 0xff)), "--model", "register"]);
    expect(binary).toMatchObject({ code: 2, error: expect.stringContaining("is not a text in UTF-8") });
  });

  it("more memory than Node.js would give", () => {
    const words = { model: "register", maxSeconds: "1", maxMemoryMb: "3000" };
    expect(() => checkSettings("-", words, 4000)).toThrow(
      "--max-memory-mb is 3000, and Node.js has a heap of 4000 MB here: set NODE_OPTIONS=--max-old-space-size=4286",
    );
    expect(checkSettings("-", words, 4300).maxMemoryMb).toBe(3000);
    // Nobody asked for the default, so it gives way.
    expect(checkSettings("-", { model: "register", maxSeconds: "1" }, 4000).maxMemoryMb).toBe(1024);
    expect(checkSettings("-", { model: "register", maxSeconds: "1" }, 500).maxMemoryMb).toBe(350);
  });
});

describe("the program", () => {
  const program = (words: readonly string[], input: string) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, "check", ...words], { input, encoding: "utf8" });
    return { status, stdout, stderr };
  };

  it("ends with the verdict, also behind a pipe", () => {
    expect(program(["-", "--model", "register"], GOOD)).toMatchObject({ status: 0, stderr: "" });
    expect(program(["-", "--model", "register"], STALE)).toMatchObject({ status: 1, stderr: "" });
    const unknown = program(["-", "--model", "register", "--max-seconds", "1", "--max-memory-mb", "16"], hard(30));
    expect(unknown).toMatchObject({ status: 2, stderr: "" });
    expect(unknown.stdout).toMatch(/^unknown, out of (time|memory)/);
    expect(program(["-", "--model", "register"], "nothing")).toMatchObject({ status: 2, stdout: "" });
  });

  it("help says what the exit codes mean, and names every option", () => {
    const { status, stdout } = program(["--help"], "");
    expect(status).toBe(0);
    for (const word of [
      ...[
        "--model",
        "--format",
        "--initial",
        "--keyed",
        "--no-keyed",
        "--failed-cas",
        "--max-seconds",
        "--max-memory-mb",
        "--html",
      ],
      ...["--json", "Exits with 0 if it is", ...MODEL_NAMES],
    ]) {
      expect(stdout.replaceAll(/\s+/g, " ")).toContain(word);
    }
  });
});
