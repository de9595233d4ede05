/**
 * Golden scripts of the session table: each line is an entry of the log. `npx vitest run
 * packages/raft/test/runtime/sessions/table-golden.test.ts --update` writes what happens now; read the difference before you keep it.
 */
import { describe } from "vitest";
import { replayScript, testScripts } from "../../golden-script.js";
import { TableScript } from "./table-script.js";

describe("golden scripts of the session table", () => {
  testScripts(new URL("./golden/", import.meta.url), (script) => {
    const table = new TableScript();
    return replayScript(script, (line) => table.run(line));
  });
});
