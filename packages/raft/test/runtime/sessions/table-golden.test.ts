/**
 * Golden scripts of the session table: each line is an entry of the log. `npx vitest run
 * packages/raft/test/runtime/sessions/table-golden.test.ts --update` writes what happens now; read the difference before you keep it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { replayScript } from "../../golden-script.js";
import { TableScript } from "./table-script.js";

const folder = new URL("./golden/", import.meta.url);

function replay(script: string): string {
  const table = new TableScript();
  return replayScript(script, (line) => table.run(line));
}

describe("golden scripts of the session table", () => {
  for (const name of readdirSync(folder)
    .filter((each) => each.endsWith(".txt"))
    .sort()) {
    it(name.replace(/\.txt$/, "").replaceAll("-", " "), async () => {
      const path = fileURLToPath(new URL(name, folder));
      await expect(replay(readFileSync(path, "utf8"))).toMatchFileSnapshot(path);
    });
  }
});
