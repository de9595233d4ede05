/** The npm client `etcd3` against every member of a real cluster, before and after its leader is killed with -9. */
import type { Etcd3 } from "etcd3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connect } from "../proof/etcd.js";
import { ClientCluster } from "./clients.js";

const cluster = new ClientCluster();
beforeAll(() => cluster.start());
afterAll(() => cluster.end());

async function withClient(endpoints: readonly string[], use: (etcd: Etcd3) => Promise<void>): Promise<void> {
  const etcd = connect(endpoints, 20_000);
  try {
    await use(etcd);
  } finally {
    etcd.close();
  }
}

/** Put, get, delete, range and transactions, on keys of their own. */
async function everything(etcd: Etcd3, prefix: string): Promise<void> {
  await etcd.put(`${prefix}/a`).value("one");
  await etcd.put(`${prefix}/b`).value("two");
  await etcd.put(`${prefix}/c`).value(Buffer.from([0, 255, 10]));
  expect(await etcd.get(`${prefix}/a`).string()).toBe("one");
  expect(await etcd.get(`${prefix}/c`).buffer()).toEqual(Buffer.from([0, 255, 10]));
  expect(await etcd.get(`${prefix}/nothing`)).toBeNull();
  expect(await etcd.getAll().prefix(`${prefix}/`).keys()).toEqual([`${prefix}/a`, `${prefix}/b`, `${prefix}/c`]);
  expect(
    await etcd
      .getAll()
      .inRange({ start: `${prefix}/a`, end: `${prefix}/c` })
      .strings(),
  ).toEqual({ [`${prefix}/a`]: "one", [`${prefix}/b`]: "two" });
  expect(await etcd.getAll().prefix(`${prefix}/`).count()).toBe(3);
  expect(await etcd.getAll().prefix(`${prefix}/`).sort("Key", "Descend").limit(1).keys()).toEqual([`${prefix}/c`]);

  const [first] = (await etcd.get(`${prefix}/a`).exec()).kvs;
  expect(first).toMatchObject({ version: "1", create_revision: first?.mod_revision });
  for (const [compare, fits] of [
    [etcd.if(`${prefix}/a`, "Value", "==", "one"), true],
    [etcd.if(`${prefix}/a`, "Version", "==", 2), false],
    [etcd.if(`${prefix}/a`, "Mod", "==", Number(first?.mod_revision)), true],
    [etcd.if(`${prefix}/nothing`, "Create", "==", 0).and(`${prefix}/a`, "Create", ">", 0), true],
  ] as const) {
    const answer = await compare
      .then(etcd.get(`${prefix}/a`))
      .else(etcd.get(`${prefix}/b`))
      .commit();
    expect(answer.succeeded).toBe(fits);
    expect(answer.responses[0]?.response_range?.kvs[0]?.value.toString()).toBe(fits ? "one" : "two");
  }
  const swapped = await etcd
    .if(`${prefix}/a`, "Value", "==", "one")
    .then(etcd.put(`${prefix}/a`).value("three"), etcd.delete().key(`${prefix}/b`))
    .commit();
  expect(swapped.succeeded).toBe(true);
  expect(await etcd.get(`${prefix}/a`)).toBe("three");
  expect(await etcd.get(`${prefix}/b`)).toBeNull();
  expect((await etcd.delete().prefix(`${prefix}/`)).deleted).toBe("2");
  expect(await etcd.getAll().prefix(`${prefix}/`).count()).toBe(0);
  await expect(etcd.put("").value("x").exec()).rejects.toThrow(/key is not provided/);
}

test("put, get, delete, range and transactions work at every endpoint, before and after the leader is killed", async () => {
  const { servers } = cluster;
  for (const name of servers.names) await withClient([servers.endpoint(name)], (etcd) => everything(etcd, `before/${name}`));
  await withClient(servers.endpoints, async (etcd) => {
    await etcd.put("kept").value("through all of it");
  });
  const { killed, rest } = await cluster.killLeader();
  for (const name of rest) {
    await withClient([servers.endpoint(name)], async (etcd) => {
      expect(await etcd.get("kept").string()).toBe("through all of it");
      await everything(etcd, `after/${name}`);
    });
  }
  await cluster.restart(killed);
  await withClient([servers.endpoint(killed)], async (etcd) => {
    expect(await etcd.get("kept").string()).toBe("through all of it");
    await everything(etcd, `back/${killed}`);
  });
});
