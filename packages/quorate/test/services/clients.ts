/** A cluster of three real servers for the tests of clients that nobody here wrote. */
import { Processes, until } from "../../../raft/test/proof/processes.js";
import { type Name, Servers } from "../proof/servers.js";

export class ClientCluster {
  readonly #processes = new Processes();
  #servers: Servers | null = null;

  get servers(): Servers {
    if (this.#servers === null) throw new Error("the cluster is not started");
    return this.#servers;
  }

  async start(): Promise<void> {
    this.#servers = await Servers.make(this.#processes);
    this.#servers.startAll();
    await this.settled(this.servers.names);
  }

  /** All of these know one leader. */
  async settled(names: readonly Name[]): Promise<void> {
    await until(
      () =>
        names.every((name) => this.servers.isRunning(name) && this.servers.report(name)?.leader === this.servers.leader()) &&
        this.servers.leader() !== null,
      () => `${names.join(", ")} to know their leader`,
    );
  }

  /** Kill -9; tells who led, and who is left. */
  async killLeader(): Promise<{ readonly killed: Name; readonly rest: readonly Name[] }> {
    const killed = await this.servers.waitForLeader();
    await this.servers.kill(killed);
    const rest = this.servers.names.filter((name) => name !== killed);
    await this.settled(rest);
    return { killed, rest };
  }

  async restart(name: Name): Promise<void> {
    this.servers.start(name);
    await this.settled(this.servers.names);
  }

  async end(): Promise<void> {
    await this.#processes.endAll();
  }
}
