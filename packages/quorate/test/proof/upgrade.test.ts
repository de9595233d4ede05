/**
 * A rolling upgrade, and back: three real servers under load are restarted one after the other with another build, so that both
 * versions of disk and wire formats meet in one cluster. Nothing that was acknowledged may be lost, and the whole history
 * must be linearizable.
 *
 * OLD_PROGRAM names the other build's command line (`npm run test:upgrade` builds the commit before this one, and sets it).
 */
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { Processes, until } from "../../../raft/test/proof/processes.js";
import { History } from "./history.js";
import { judge } from "./judge.js";
import { Servers } from "./servers.js";
import { Workload } from "./workload.js";

const OLD = process.env["OLD_PROGRAM"] ?? "";
const NEW = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const WRITES_BETWEEN = 300;

let processes = new Processes();
afterEach(async () => {
  await processes.endAll();
  processes = new Processes();
});

test.skipIf(OLD === "")("up and back again, one server after the other, under load", { timeout: 600_000 }, async () => {
  const words = ["--snapshot-entries", "400", "--trailing-entries", "100", "--segment-bytes", "1048576"];
  const servers = await Servers.make(processes, { words });
  servers.startAll(OLD);
  await servers.waitForLeader();
  const history = new History();
  const workload = new Workload({ endpoints: servers.endpoints, clients: 4, keys: 5, history, random: Math.random });
  workload.start();
  let acknowledged = 0;
  const enough = async (): Promise<void> => {
    await until(
      () => {
        servers.checkAlive();
        return history.acknowledged - acknowledged >= WRITES_BETWEEN;
      },
      () => `${WRITES_BETWEEN} acknowledged writes, there are ${history.acknowledged - acknowledged}`,
      120_000,
    );
    acknowledged = history.acknowledged;
  };
  for (const program of [NEW, OLD]) {
    for (const name of servers.names) {
      await enough();
      workload.nextRound();
      await servers.kill(name);
      servers.start(name, program);
      await until(
        () => servers.report(name)?.leader != null,
        () => `${name} to know a leader`,
        60_000,
      );
    }
    await enough();
  }
  await workload.stop();
  expect((await judge(history, servers)).slice(0, 20)).toEqual([]);
  console.log(`${history.acknowledged} acknowledged, ${history.unknown} of unknown outcome, over six restarts`);
});
