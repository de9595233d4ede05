/**
 * Golden tests of the core: each file in golden/ is a script of commands and, after `----`, everything that came of them.
 * They are the documentation of the core. `npx vitest run packages/raft/test/core/golden.test.ts --update` writes what
 * happens now; read the difference before you keep it.
 */
import { describe, expect, it } from "vitest";
import { replayScript, testScripts } from "../golden-script.js";
import { GoldenCluster } from "./golden-cluster.js";

const folder = new URL("./golden/", import.meta.url);

function replay(script: string): string {
  const cluster = new GoldenCluster();
  return replayScript(script, (line) => cluster.run(line));
}

describe("golden scripts of the core", () => {
  testScripts(folder, replay);

  it("a script that expects something else fails", () => {
    const right = replay("cluster a\n");
    expect(replay("cluster a b c\n\ntimeout a\n")).not.toBe(right);
  });
});
