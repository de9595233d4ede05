/** Judges a whole history against what the servers hold at the end, and by the search checker. */
import { type Operation as Checked, checkHistory, versionedRegister } from "@quorate/raft/check";
import { connect } from "./etcd.js";
import type { History, Operation } from "./history.js";
import type { Servers } from "./servers.js";
import { chainOf, complaints, inParallel } from "./verdict.js";

/** An operation as the checker wants it. */
function forChecker(operation: Operation): Checked {
  const common = { process: operation.client, key: operation.key, call: operation.invokedAt, return: operation.returnedAt };
  if (operation.kind === "read") return { ...common, f: "read", input: null, output: operation.result };
  const output = operation.revision;
  if (operation.kind === "write") return { ...common, f: "write", input: operation.value, output };
  return { ...common, f: "cas", input: { value: operation.value, expected: operation.expected?.revision ?? 0 }, output };
}

/** Everything that is wrong, one line each. Every endpoint is asked, so that each server's own state is judged. */
export async function judge(history: History, servers: Servers): Promise<string[]> {
  const wrong: string[] = [];
  const clients = servers.names.map((name) => connect([servers.endpoint(name)], 20_000));
  await inParallel(history.keys, 4, async (key) => {
    const etcd = clients[history.keys.indexOf(key) % clients.length];
    if (etcd !== undefined) wrong.push(...complaints(key, history.of(key), await chainOf(etcd, key)));
  });
  for (const client of clients) client.close();
  for (const key of history.keys) {
    const { verdict } = checkHistory(history.of(key).map(forChecker), versionedRegister);
    if (verdict !== "linearizable") wrong.push(`the history of ${key} is judged: ${verdict}`);
  }
  return wrong;
}
