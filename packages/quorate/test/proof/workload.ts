/** Clients that fight over a few keys: compare-and-swap, puts and gets, each one operation at a time, all recorded. */
import type { Etcd3 } from "etcd3";
import { pause } from "../../../raft/test/proof/processes.js";
import { connect, found, wasNeverSent } from "./etcd.js";
import type { History } from "./history.js";

export interface WorkloadOptions {
  readonly endpoints: readonly string[];
  readonly clients: number;
  readonly keys: number;
  readonly history: History;
  /** In [0, 1). */
  readonly random: () => number;
}

/** An operation that takes longer than this is given up, its outcome unknown. */
const DEADLINE_MS = 4000;
/** After a failure, so that a dead endpoint is not asked a thousand times a second. */
const PAUSE_AFTER_FAILURE_MS = 10;

export class Workload {
  readonly #options: WorkloadOptions;
  readonly #clients: Etcd3[] = [];
  readonly #running: Promise<void>[] = [];
  #stopped = false;
  #round = 1;
  #sequence = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
  }

  start(): void {
    for (let client = 0; client < this.#options.clients; client += 1) {
      const etcd = connect(this.#options.endpoints, DEADLINE_MS);
      this.#clients.push(etcd);
      this.#running.push(this.#run(client, etcd));
    }
  }

  /** Goes on with fresh keys. A history is judged key by key, and the effort grows with what stays open on a key. */
  nextRound(): void {
    this.#round += 1;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#running);
    for (const client of this.#clients) client.close();
  }

  async #run(client: number, etcd: Etcd3): Promise<void> {
    const { random, keys } = this.#options;
    while (!this.#stopped) {
      const key = `round-${String(this.#round).padStart(4, "0")}/key-${Math.floor(random() * keys)}`;
      const choice = random();
      const went =
        choice < 0.55
          ? await this.#swap(client, etcd, key)
          : choice < 0.8
            ? await this.#put(client, etcd, key)
            : await this.#get(client, etcd, key);
      if (!went) await pause(PAUSE_AFTER_FAILURE_MS);
    }
  }

  async #get(client: number, etcd: Etcd3, key: string): Promise<boolean> {
    const { history } = this.#options;
    const operation = history.read(client, key);
    try {
      history.wasRead(operation, found(await etcd.get(key).exec()));
      return true;
    } catch {
      history.drop(operation);
      return false;
    }
  }

  async #put(client: number, etcd: Etcd3, key: string): Promise<boolean> {
    const { history } = this.#options;
    const operation = history.write(client, key, this.#freshValue(client));
    try {
      const response = await etcd.put(key).value(operation.value).exec();
      history.wasWritten(operation, Number(response.header.revision));
      return true;
    } catch (error) {
      if (wasNeverSent(error)) history.drop(operation);
      else history.leaveOpen(operation);
      return false;
    }
  }

  /** Reads, and replaces what it saw if nobody else was quicker. */
  async #swap(client: number, etcd: Etcd3, key: string): Promise<boolean> {
    const { history } = this.#options;
    const read = history.read(client, key);
    try {
      history.wasRead(read, found(await etcd.get(key).exec()));
    } catch {
      history.drop(read);
      return false;
    }
    const operation = history.cas(client, key, read.result, this.#freshValue(client));
    try {
      const response = await etcd
        .if(key, "Mod", "==", read.result?.revision ?? 0)
        .then(etcd.put(key).value(operation.value))
        .else(etcd.get(key))
        .commit();
      if (response.succeeded) history.wasWritten(operation, Number(response.header.revision));
      else history.wasRefused(operation, found(response.responses[0]?.response_range));
      return true;
    } catch (error) {
      if (wasNeverSent(error)) history.drop(operation);
      else history.leaveOpen(operation);
      return false;
    }
  }

  /** Never written before; long enough that the log has something to carry. */
  #freshValue(client: number): string {
    this.#sequence += 1;
    return `${client}-${this.#sequence}-${"x".repeat(64)}`;
  }
}
