/**
 * Whether everything that clients were told is still true at the end.
 *
 * The store keeps every version of a key, so the whole chain of writes to it can be walked backwards: the newest version,
 * the one before the revision that wrote it, and so on. What was acknowledged must have its place in the chain, at the very
 * revision that the client was told; what is in the chain must have been asked for; and a swap must follow directly on the
 * version it expected.
 */
import type { Etcd3 } from "etcd3";
import { found } from "./etcd.js";
import type { Found, Operation, Write } from "./history.js";

/** Every version of a key, oldest first. Read at explicit revisions, so that it can be had while others write. */
export async function chainOf(etcd: Etcd3, key: string): Promise<Found[]> {
  const chain: Found[] = [];
  let response = await etcd.get(key).exec();
  const version = Number(response.kvs[0]?.version ?? 0);
  for (;;) {
    const newest = found(response);
    if (newest === null) break;
    chain.push(newest);
    if (newest.revision <= 1) break;
    response = await etcd
      .get(key)
      .revision(newest.revision - 1)
      .exec();
  }
  if (chain.length !== version)
    throw new Error(`${key} says that it was written ${version} times, but ${chain.length} versions were found`);
  return chain.reverse();
}

/** What is wrong with what clients were told about one key, one line each. */
export function complaints(key: string, operations: readonly Operation[], chain: readonly Found[]): string[] {
  const wrong: string[] = [];
  const place = new Map(chain.map((version, at) => [version.value, at]));
  if (place.size !== chain.length) wrong.push(`${key}: a value was written twice`);
  const writes = operations.filter((operation): operation is Write => operation.kind !== "read");
  const asked = new Map(writes.map((write) => [write.value, write]));
  for (const version of chain)
    if (!asked.has(version.value))
      wrong.push(`${key}: revision ${version.revision} holds ${version.value.slice(0, 20)}, which nobody wrote`);
  for (const write of writes) {
    const at = place.get(write.value);
    const version = at === undefined ? undefined : chain[at];
    if (version === undefined || at === undefined) {
      if (write.returnedAt !== null)
        wrong.push(`${key}: ${write.value.slice(0, 20)} was acknowledged at revision ${write.revision} and is lost`);
      continue;
    }
    if (write.returnedAt !== null && write.revision !== version.revision) {
      wrong.push(
        `${key}: ${write.value.slice(0, 20)} was acknowledged at revision ${write.revision}, but is at ${version.revision}`,
      );
    }
    const before = chain[at - 1]?.revision ?? 0;
    if (write.kind === "cas" && before !== (write.expected?.revision ?? 0)) {
      wrong.push(
        `${key}: ${write.value.slice(0, 20)} replaced revision ${before}, but expected ${write.expected?.revision ?? 0}`,
      );
    }
  }
  for (const read of operations) {
    if (read.kind !== "read" || read.result === null) continue;
    const at = place.get(read.result.value);
    if (at === undefined) wrong.push(`${key}: a read saw ${read.result.value.slice(0, 20)}, which is not in the chain`);
    else if (chain[at]?.revision !== read.result.revision)
      wrong.push(
        `${key}: a read saw ${read.result.value.slice(0, 20)} at revision ${read.result.revision}, but it is at ${chain[at]?.revision}`,
      );
  }
  return wrong;
}

/** Runs a task for each item, so many at a time. */
export async function inParallel<Item>(
  items: readonly Item[],
  width: number,
  task: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (;;) {
      const item = items[next];
      next += 1;
      if (item === undefined) return;
      await task(item);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
}
