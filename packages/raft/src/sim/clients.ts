/**
 * The clients of a simulated cluster. Each does one thing at a time, at a node of its choice, through the same door as a
 * program's promises (runtime/requests.ts); its node may die under it, and then it never learns what became of its request.
 *
 * What clients are owed is checked as it happens (docs/invariants.md).
 * - Linearizability: one operation has one place in the log; an answer is the one that the log gives; whoever begins after
 *   another was answered sees at least what that one saw.
 * - True refusals: what was "not executed" never is.
 * - Everything settles: whatever is asked of a node that lives, and in time.
 */
import type { Operation } from "../check/index.js";
import type { Index, Micros } from "../core/types.js";
import { crc32c } from "../runtime/crc32c.js";
import type { NodeHost, StateMachine } from "../runtime/index.js";
import type { SettleProposal } from "../runtime/proposals.js";
import { submitProposal, submitQuery, submitRead } from "../runtime/requests.js";
import type { Coverage } from "./coverage.js";
import type { PlannedClients } from "./plan.js";
import { SeededRandom } from "./random.js";
import type { Scheduler } from "./scheduler.js";
import { SessionClient, type SessionWrite } from "./session-client.js";
import { numbered, type Witness, type WitnessedMachine } from "./witness.js";
import type { ClientOperation, ReadOperation, Workload, WriteOperation } from "./workload.js";

/** A node that a client can talk to, in one life of it. */
export interface Contact<Machine extends StateMachine> {
  readonly name: string;
  readonly host: NodeHost<WitnessedMachine<Machine>>;
  readonly isPaused: () => boolean;
}

export interface ClientsOptions<Machine extends StateMachine, State> {
  readonly seed: number;
  readonly plan: PlannedClients;
  readonly workload: Workload<Machine, State>;
  readonly scheduler: Scheduler;
  readonly witness: Witness<Machine>;
  readonly coverage: Coverage;
  readonly complain: (text: string) => never;
  /** No clock of a node jumps. */
  readonly clocksAreFair: boolean;
  /** Whom a client may ask now. */
  readonly contacts: () => readonly Contact<Machine>[];
}

interface Client<Machine extends StateMachine> {
  readonly number: number;
  /** Writes in a session. */
  readonly session: SessionClient<Machine> | null;
  readonly random: SeededRandom;
  /** Index of the contact of last time, and of its newest acknowledged write. */
  contact: number;
  lastIndex: Index;
  /** What it asks next, because it does not know that it was done. */
  again: ClientOperation<Machine> | null;
  /** A new one after each outcome that was never learned, as histories want it. */
  process: number;
}

interface Pending<Machine extends StateMachine> {
  readonly contact: Contact<Machine>;
  readonly expiresAt: Micros;
  /** It should have been settled at the last look. */
  late: boolean;
  /** The client has gone on; the node still owes an answer. */
  givenUp: boolean;
  readonly gone: () => void;
}

/** What a read saw of a machine. */
interface Look {
  readonly place: number;
  readonly appliedIndex: Index;
  readonly output: unknown;
}

interface ReadSeen<Machine> {
  readonly place: number;
  readonly query: (machine: Machine) => unknown;
  readonly output: string;
  readonly describe: string;
}

const SWEEP_MICROS = 500_000;
/** Progress is owed in time, also where all clients may be away. */
const LONGEST_AWAY_MICROS = 3_000_000;

export class Clients<Machine extends StateMachine, State> {
  readonly #options: ClientsOptions<Machine, State>;
  readonly #clients: Client<Machine>[];
  readonly #pending = new Set<Pending<Machine>>();
  readonly history: Operation[] = [];
  readonly #reads: ReadSeen<Machine>[] = [];
  /** Digests of the commands that were asked for, by operation. */
  readonly #asked = new Map<number, number>();
  readonly #notExecuted = new Set<number>();
  readonly #unknown = new Set<number>();
  /** Operations that a client knows to be done, with their index. */
  readonly acknowledged = new Map<number, Index>();
  #operations = 0;
  #processes = 0;
  #active = false;
  /** How often they began. */
  #beginning = 0;
  #sweeping = false;
  /** Whatever was answered so far had seen so many commands. */
  #seen = 0;
  writes = 0;
  reads = 0;

  constructor(options: ClientsOptions<Machine, State>) {
    this.#options = options;
    const { plan, seed, witness, complain } = options;
    this.#clients = Array.from({ length: plan.count }, (_, number) => {
      const random = new SeededRandom(seed, 5000 + number);
      const client: Client<Machine> = {
        number,
        session: this.#sessionOf(number, random, () => client),
        random,
        contact: number,
        lastIndex: 0,
        again: null,
        process: this.#newProcess(),
      };
      return client;
    });
    witness.onFirst = (operation) => {
      const digest = this.#asked.get(operation);
      if (digest === undefined) complain(`operation ${operation} was applied, and nobody asked for it`);
      if (this.#notExecuted.has(operation))
        complain(`operation ${operation} was applied, and a client was told that it was not executed`);
    };
  }

  /** Begins to act, or goes on. */
  begin(): void {
    if (this.#active) return;
    this.#active = true;
    this.#beginning += 1;
    const { scheduler, plan } = this.#options;
    for (const client of this.#clients)
      scheduler.schedule(client.random.between(plan.pauseLow, plan.pauseHigh), () => this.#act(client, this.#beginning));
    if (!this.#sweeping) this.#sweep();
  }

  /** Begins nothing new; what is under way ends in its own time. */
  pause(): void {
    this.#active = false;
    for (const { session } of this.#clients) session?.rest();
  }

  /** Somebody waits for an answer. */
  get busy(): boolean {
    return this.#pending.size > 0 || this.#clients.some(({ session }) => session?.busy === true);
  }

  /** That life of a node is over: nobody will ever settle what it was asked. */
  nodeGone(host: NodeHost<WitnessedMachine<Machine>>): void {
    for (const pending of [...this.#pending]) {
      if (pending.contact.host !== host) continue;
      this.#pending.delete(pending);
      if (!pending.givenUp) pending.gone();
    }
  }

  /** At the end: all that was read is what the order gives, and unknown outcomes are counted. */
  judge(): void {
    const { witness, coverage, complain } = this.#options;
    for (const operation of this.#unknown)
      coverage.note(witness.placeOf(operation) >= 0 ? "writeUnknownExecuted" : "writeUnknownLost");
    for (const [operation, index] of this.acknowledged) {
      const place = witness.placeOf(operation);
      if (place < 0 || witness.order[place]?.index !== index)
        complain(`operation ${operation} was acknowledged at index ${index} and is not there`);
    }
    const reads = [...this.#reads].sort((a, b) => a.place - b.place);
    let next = 0;
    witness.replay((place, machine) => {
      for (; next < reads.length && reads[next]?.place === place; next += 1) {
        const read = reads[next];
        if (read === undefined) continue;
        const output = textOf(read.query(machine));
        if (output !== read.output)
          complain(`${read.describe} was answered ${read.output} after ${place} commands, which give ${output}`);
      }
    });
    if (next < reads.length) complain("a read saw more commands than any node applied");
  }

  #newProcess(): number {
    this.#processes += 1;
    return this.#processes - 1;
  }

  /** `beginning`: what was left to do when clients were paused is not taken up beside what they do now. */
  #act(client: Client<Machine>, beginning: number): void {
    if (!this.#active || beginning !== this.#beginning) return;
    const { scheduler, workload, coverage } = this.#options;
    const again = (): void => {
      scheduler.schedule(this.#pauseOf(client), () => this.#act(client, beginning));
    };
    const contact = this.#contactOf(client);
    if (contact === null || client.session?.busy === true) return again();
    if (client.lastIndex > 0 && client.random.chance(30)) return this.#readOwn(client, contact, again);
    this.#operations += 1;
    const { again: repeated } = client;
    client.again = null;
    if (repeated !== null) coverage.note("writeRepeated");
    const operation = repeated ?? workload.operation(client.random, { client: client.number, number: this.#operations });
    if ("query" in operation) this.#read(client, contact, operation, again);
    else if (client.session !== null) this.#writeInSession(client, client.session, operation, again);
    else this.#write(client, contact, operation, this.#operations, again);
  }

  /** The node of last time, or another. */
  #contactOf(client: Client<Machine>): Contact<Machine> | null {
    const { contacts, plan } = this.#options;
    const available = contacts();
    if (client.random.chance(plan.restlessPerMille)) client.contact = client.random.below(1024);
    return available[client.contact % Math.max(1, available.length)] ?? null;
  }

  #pauseOf({ random, session }: Client<Machine>): Micros {
    const { pauseLow, pauseHigh, sessions } = this.#options.plan;
    if (session !== null && sessions !== null && random.chance(sessions.awayPerMille))
      return random.between(pauseLow, Math.min(2000 * sessions.expireAfterMs, LONGEST_AWAY_MICROS));
    return random.between(pauseLow, pauseHigh);
  }

  #sessionOf(number: number, random: SeededRandom, client: () => Client<Machine>): SessionClient<Machine> | null {
    const { plan, scheduler, coverage, complain, clocksAreFair } = this.#options;
    // Plans of earlier versions know nothing of sessions.
    const sessions = plan.sessions ?? null;
    if (sessions === null || number >= sessions.clients) return null;
    return new SessionClient<Machine>({
      plan: sessions,
      timeoutMs: plan.timeoutMs,
      scheduler,
      coverage,
      random,
      complain,
      clocksAreFair,
      contact: () => this.#contactOf(client()),
      expect: (contact, gone) => {
        const pending = this.#expect(client(), contact, gone);
        return () => this.#pending.delete(pending) && !pending.givenUp;
      },
    });
  }

  // ---- Writing ----

  #write(client: Client<Machine>, contact: Contact<Machine>, write: WriteOperation, number: number, again: () => void): void {
    const { command, done, refused, unknown } = this.#begin(client, write, number);
    const pending = this.#expect(client, contact, () => {
      unknown();
      again();
    });
    const settle: SettleProposal = (error, result) => {
      if (!this.#pending.delete(pending) || pending.givenUp) return;
      if (result !== null) done(result);
      else if (error?.outcome === "not-executed") refused(error);
      else unknown();
      again();
    };
    // Every other client gives a name, and has a lane of its own.
    const caller = client.number % 2 === 0 ? "" : `client ${client.number}`;
    submitProposal(contact.host, command, this.#options.plan.timeoutMs, settle, caller);
  }

  /** A burst that begins with this write; one process does one thing at a time, so each is a process of its own. */
  #writeInSession(client: Client<Machine>, session: SessionClient<Machine>, first: WriteOperation, again: () => void): void {
    const { plan, workload } = this.#options;
    const writes = [this.#begin(client, first, this.#operations)];
    for (let more = client.random.between(1, plan.sessions?.burst ?? 1); more > 1; more -= 1) {
      this.#operations += 1;
      const operation = workload.operation(client.random, { client: client.number, number: this.#operations });
      if ("query" in operation) continue;
      client.process = this.#newProcess();
      writes.push(this.#begin(client, operation, this.#operations));
    }
    session.write(writes, again);
  }

  /** What is noted of a write, and of what becomes of it. */
  #begin(client: Client<Machine>, write: WriteOperation, number: number): SessionWrite {
    const { plan, scheduler, coverage, witness, complain } = this.#options;
    const command = numbered(number, write.command);
    this.#asked.set(number, crc32c(command));
    const floor = this.#seen;
    const record = this.#recorder(client, write, scheduler.now());
    const insist = (): void => {
      if (client.random.chance(plan.stubbornPerMille)) client.again = write;
    };
    return {
      command,
      done: ({ index, result }) => {
        const place = witness.placeOf(number);
        if (witness.order[place]?.index !== index)
          complain(`operation ${number} was acknowledged at index ${index}, and is not what was applied there`);
        if (crc32c(result) !== witness.order[place]?.resultDigest)
          complain(`the client of operation ${number} was given another answer than the state machines gave`);
        if (place < floor)
          complain(`operation ${number} has place ${place}, and a client that was answered before it began had seen ${floor}`);
        this.acknowledged.set(number, index);
        this.#seen = Math.max(this.#seen, place + 1);
        client.lastIndex = index;
        this.writes += 1;
        record(write.answer?.(result) ?? null, scheduler.now());
      },
      refused: (error) => {
        this.#notExecuted.add(number);
        if (witness.placeOf(number) >= 0)
          complain(
            `operation ${number} was applied, and a client is told that it was not executed (${error?.message ?? "several times"})`,
          );
        coverage.note(error?.code === "overloaded" ? "overloaded" : "writeRefused");
        if (error?.message.includes("maxApplyLag") === true) coverage.note("overloadedByLag");
        if (error?.message.includes("was replaced") === true) coverage.note("writeReplaced");
        insist();
      },
      unknown: () => {
        this.#unknown.add(number);
        coverage.note("writeUnknown");
        insist();
        record(null, null);
      },
    };
  }

  // ---- Reading ----

  #read(client: Client<Machine>, contact: Contact<Machine>, read: ReadOperation<Machine>, again: () => void): void {
    const { plan, scheduler, coverage, complain } = this.#options;
    const consistency = read.consistency ?? (client.random.chance(plan.leasePerMille) ? "lease" : "linearizable");
    const call = scheduler.now();
    const floor = this.#seen;
    const pending = this.#expect(client, contact, again);
    const look = (machine: WitnessedMachine<Machine>): Look => ({
      place: machine.place,
      appliedIndex: machine.appliedIndex,
      output: read.query(machine.inner),
    });
    submitQuery(contact.host, consistency, plan.timeoutMs, look, (error, answer) => {
      if (!this.#pending.delete(pending) || pending.givenUp) return;
      if (answer === null) {
        coverage.note(error?.code === "overloaded" ? "overloaded" : "readRefused");
        return again();
      }
      const { place, output, appliedIndex } = answer.value;
      if (consistency === "linearizable" || consistency === "lease") {
        if (place < floor)
          complain(
            `a read at ${contact.name} saw ${place} commands, and a client that was answered before it began had seen ${floor}`,
          );
        this.#seen = Math.max(this.#seen, place);
        this.reads += 1;
        if (contact.host.running?.raft.role === "follower") coverage.note("readOnFollower");
        const describe = `${read.f} ${textOf(read.key ?? null)} at ${contact.name}`;
        this.#reads.push({ place, query: read.query, output: textOf(output), describe });
        this.#recorder(client, read, call)(output, scheduler.now());
      } else if (consistency !== "stale") {
        this.#checkAtLeast(contact, appliedIndex, consistency.atLeast);
      }
      again();
    });
  }

  /** Reads what it wrote itself, on whatever node, without a round of messages. */
  #readOwn(client: Client<Machine>, contact: Contact<Machine>, again: () => void): void {
    const { plan } = this.#options;
    const { lastIndex } = client;
    const pending = this.#expect(client, contact, again);
    submitRead(contact.host, { atLeast: lastIndex }, plan.timeoutMs, (_error, machine) => {
      if (!this.#pending.delete(pending) || pending.givenUp) return;
      if (machine !== null) this.#checkAtLeast(contact, machine.appliedIndex, lastIndex);
      again();
    });
  }

  #checkAtLeast(contact: Contact<Machine>, appliedIndex: Index, index: Index): void {
    if (appliedIndex < index && (contact.host.running?.raft.lastApplied ?? 0) < index)
      this.#options.complain(`a read of at least index ${index} at ${contact.name} saw ${appliedIndex} only`);
  }

  // ---- Keeping account ----

  #recorder(
    client: Client<Machine>,
    operation: ClientOperation<Machine>,
    call: Micros,
  ): (output: unknown, end: Micros | null) => void {
    // Taken now: the client may be another process when this one ends.
    const own = client.process;
    const { f, key = null, input = null } = operation;
    return (output, end) => {
      this.history.push({ process: own, f, key, input, output, call, return: end });
      if (end === null) client.process = this.#newProcess();
    };
  }

  /** What a client waits for. It has a clock of its own, and does not wait for ever for a node that stands still. */
  #expect(client: Client<Machine>, contact: Contact<Machine>, gone: () => void): Pending<Machine> {
    const { plan, scheduler } = this.#options;
    const { timeoutMs } = plan;
    const pending: Pending<Machine> = {
      contact,
      expiresAt: contact.host.clock.now() + timeoutMs * 1000,
      late: false,
      givenUp: false,
      gone,
    };
    this.#pending.add(pending);
    scheduler.schedule(2 * timeoutMs * 1000, () => {
      if (!this.#pending.has(pending)) return;
      pending.givenUp = true;
      client.contact += 1;
      gone();
    });
    return pending;
  }

  /** Whatever is asked settles by its deadline, whatever happens: two looks half a second apart leave no excuse. */
  #sweep(): void {
    const { scheduler, complain } = this.#options;
    for (const pending of this.#pending) {
      const { contact, expiresAt } = pending;
      if (contact.isPaused() || contact.host.clock.now() <= expiresAt + SWEEP_MICROS) pending.late = false;
      else if (pending.late) complain(`a request at ${contact.name} was not settled by its deadline`);
      else pending.late = true;
    }
    this.#sweeping = this.#active || this.busy;
    if (this.#sweeping) scheduler.schedule(SWEEP_MICROS, () => this.#sweep());
  }
}

function textOf(value: unknown): string {
  return JSON.stringify(value) ?? "undefined";
}
