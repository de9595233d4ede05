/**
 * A few cores in a glass box, driven by the commands of a golden script. Nothing happens that the script does not say:
 * messages wait until they are delivered, batches until they are persisted, time stands until it is advanced.
 */
import {
  type Configuration,
  type Entry,
  encodeConfiguration,
  type HardState,
  type LogItem,
  type LogPosition,
  type MemberId,
  type MemberRecord,
  type MembershipChange,
  type Message,
  NO_CONFIGURATION,
  type PersistBatch,
  type ProposedType,
  Raft,
  type RaftOptions,
  type SnapshotMetadata,
} from "../../src/core/index.js";
import { formatBatch, formatEntries, formatEntry, formatEvent, formatMessage, formatPosition, formatTerms } from "./format.js";

interface Node {
  raft: Raft;
  now: number;
  /** The random draws for election timeouts: this share of the range, in per mille. */
  drawPerMille: number;
  /** What its disk holds. */
  hardState: HardState;
  snapshot: SnapshotMetadata;
  logStart: LogPosition;
  entries: Entry[];
  /** What follows `entries` since the disk lost something; null: not known. Counts while hardState.recovering is set. */
  remaining: readonly LogItem[] | null;
  lives: number;
  /** Taken and not yet durable. */
  batches: PersistBatch[];
  /** False: batches wait for `persist`. */
  autoPersist: boolean;
  crashed: boolean;
  applied: Entry[];
}

interface InFlight {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly message: Message;
}

const bytes = (value: string): Uint8Array => Uint8Array.from(value, (letter) => letter.charCodeAt(0));

export function configurationOf(
  voters: readonly string[],
  learners: readonly string[] = [],
  outgoing: readonly string[] = [],
  leases = false,
): Configuration {
  const ids = [...new Set([...voters, ...learners, ...outgoing])].sort();
  return {
    voters: [...voters].sort(),
    votersOutgoing: [...outgoing].sort(),
    learners: [...learners].sort(),
    members: ids.map((id) => ({ id, name: id, address: `${id}:1` })),
    leases,
    staged: null,
  };
}

function leaseText(until: number | null): string {
  return until === null ? "no lease" : `a lease until ${until / 1000} ms`;
}

export class GoldenCluster {
  readonly #nodes = new Map<MemberId, Node>();
  #flight: InFlight[] = [];
  #lines: string[] = [];
  #options: Partial<RaftOptions> = {};
  #configuration: Configuration = configurationOf([]);
  #blocked = new Set<string>();
  #snapshotBytes = 600;

  /** Runs one command line and returns what came of it. */
  run(line: string): string {
    this.#lines = [];
    const [command = "", ...words] = line.trim().split(/\s+/);
    const named = new Map(
      words
        .filter((word) => word.includes("="))
        .map((word): [string, string] => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]),
    );
    const plain = words.filter((word) => !word.includes("="));
    this.#dispatch(command, plain, named);
    return this.#lines.length === 0 ? "ok\n" : `${this.#lines.join("\n")}\n`;
  }

  #dispatch(command: string, plain: string[], named: Map<string, string>): void {
    const first = plain[0] ?? "";
    switch (command) {
      case "options":
        this.#options = { ...this.#options, ...Object.fromEntries([...named].map(([name, value]) => [name, Number(value)])) };
        return;
      case "cluster":
        return this.#cluster(plain, named);
      case "node":
        return this.#createNode(first, named);
      case "draw":
        this.#node(first).drawPerMille = Number(plain[1]);
        return;
      case "timeout":
        return this.#timeout(first);
      case "elect":
        return this.#elect(first);
      case "advance":
        return this.#advance(plain);
      // A process that stands still: its time goes on, and nothing fires.
      case "stand-still":
        this.#node(first).now += Number(plain[1]) * 1000;
        return;
      case "campaign":
        return this.#input(first, (node) => node.raft.campaign(node.now));
      case "step-down":
        return this.#input(first, (node) => node.raft.stepDown(node.now, "told to", plain[1] === "over"));
      case "transfer":
        return this.#transfer(first, plain[1] ?? null);
      case "ask-transfer":
        return this.#input(first, (node) =>
          this.#say(
            `${first}: ${node.raft.forwardTransfer(node.now, Number(plain[1]), plain[2] ?? null) ? "asks its leader" : "knows no leader"}`,
          ),
        );
      case "unreachable":
        return this.#input(first, (node) => node.raft.peerUnreachable(node.now, plain[1] ?? ""));
      case "refused":
        return this.#input(first, (node) => node.raft.peerRefused(node.now, plain[1] ?? ""));
      case "restarted":
        return this.#input(first, (node) => node.raft.peerRestarted(node.now, plain[1] ?? ""));
      case "connected":
        return this.#input(first, (node) => node.raft.peerConnected(node.now, plain[1] ?? ""));
      case "peer-log":
        return this.#input(first, (node) =>
          node.raft.peerLog(
            node.now,
            plain[1] ?? "",
            Number(named.get("durable")),
            named.get("recovering") === "true",
            Number(named.get("priority") ?? 1),
          ),
        );
      case "propose":
        return this.#propose(first, plain.slice(1), "command");
      case "propose-session":
        return this.#propose(first, plain.slice(1), "session");
      case "forward":
      case "forward-session":
        return this.#input(first, (node) =>
          this.#say(
            `${first}: forward ${node.raft.forward(node.now, Number(plain[1]), plain.slice(2).map(bytes), command === "forward" ? "command" : "session") ? "sent" : "refused: no leader"}`,
          ),
        );
      case "read":
        return this.#input(first, (node) =>
          this.#say(`${first}: read ${plain[1]} ${node.raft.read(node.now, Number(plain[1]))}`),
        );
      case "lease-read":
        return this.#input(first, (node) => {
          const index = node.raft.readByLease(node.now, Number(plain[1]));
          this.#say(
            index === null ? `${first}: read ${plain[1]} must ask` : `${first}: read ${plain[1]} may be answered at ${index}`,
          );
        });
      case "lease-holds":
        return this.#input(first, (node) =>
          this.#say(`${first}: the lease ${node.raft.leaseHolds(node.now) ? "still runs" : "is over"}`),
        );
      case "lease":
        return this.#say(`${first}: ${leaseText(this.#node(first).raft.leaseUntil)}`);
      case "join":
        // A member with an empty directory, which nobody has told anything.
        return this.#createNode(first, named, NO_CONFIGURATION);
      case "change":
        return this.#change(first, this.#membersChange(named), named);
      case "cancel":
        return this.#change(first, { kind: "cancel" }, named);
      case "identify":
        return this.#change(
          first,
          { kind: "identify", from: plain[1] ?? "", to: plain[2] ?? "", name: (plain[2] ?? "").split("#")[0] ?? "" },
          named,
        );
      case "readdress":
        return this.#change(first, { kind: "readdress", id: plain[1] ?? "", address: plain[2] ?? "" }, named);
      case "leases":
        return this.#change(first, { kind: "leases", on: plain[1] === "on" }, named);
      case "configuration":
        return this.#configurationOf(first);
      case "deliver":
        return this.#deliver(plain);
      case "drop":
        return this.#drop(plain);
      case "duplicate":
        return this.#duplicate(plain);
      case "reverse":
        this.#flight.reverse();
        return this.#showFlight();
      case "flight":
        return this.#showFlight();
      case "block":
        for (const link of plain) this.#blocked.add(link);
        return;
      case "heal":
        this.#blocked.clear();
        return;
      case "settle":
        return this.#settle();
      case "hold":
        this.#node(first).autoPersist = false;
        return;
      case "release":
        this.#node(first).autoPersist = true;
        return this.#persist(first, "all");
      case "persist":
        return this.#persist(first, plain[1] ?? "all");
      case "crash":
        this.#node(first).crashed = true;
        this.#node(first).batches = [];
        this.#flight = this.#flight.filter((each) => each.to !== first);
        return;
      case "restart":
        return this.#restart(first);
      case "lose":
        return this.#lose(first, plain.slice(1).map(Number), named);
      case "snapshot":
        return this.#snapshot(first);
      case "compact":
        return this.#input(first, (node) =>
          this.#say(`${first}: log starts after ${formatPosition(node.raft.compact(node.now, Number(plain[1])))}`),
        );
      case "inject":
        return this.#inject(plain, named);
      case "status":
        return this.#status();
      case "log":
        return this.#say(`${first}: ${this.#logOf(first)}`);
      case "logs":
        for (const id of this.#nodes.keys()) this.#say(`${id}: ${this.#logOf(id)}`);
        return;
      case "progress":
        return this.#progress(first);
      case "applied":
        return this.#say(`${first}: ${this.#node(first).applied.map(formatEntry).join(", ") || "nothing"}`);
      default:
        throw new Error(`unknown command "${command}"`);
    }
  }

  #say(line: string): void {
    this.#lines.push(line);
  }

  #node(id: MemberId): Node {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`no node "${id}"`);
    return node;
  }

  #cluster(voters: string[], named: Map<string, string>): void {
    const part = (name: string): string[] => named.get(name)?.split(",") ?? [];
    this.#configuration = configurationOf(voters, part("learners"), part("outgoing"), named.get("leases") === "on");
    for (const { id } of this.#configuration.members) this.#createNode(id, new Map());
  }

  /** `log=1,1,4` gives the terms of its entries; `vote`, `term`, `commit` its hard state; `snapshot=5/2` what is compacted. */
  #createNode(id: MemberId, named: Map<string, string>, known: Configuration = this.#configuration): void {
    const [snapshotIndex = 0, snapshotTerm = 0] = (named.get("snapshot") ?? "0/0").split("/").map(Number);
    const terms = (named.get("log") ?? "")
      .split(",")
      .filter((term) => term !== "")
      .map(Number);
    const voters = named.get("conf-voters")?.split(",");
    const configuration = voters === undefined ? known : configurationOf(voters, named.get("conf-learners")?.split(",") ?? []);
    const entries = terms.map(
      (term, place): Entry => ({
        index: snapshotIndex + place + 1,
        term,
        type: "command",
        data: bytes(`${term}.${snapshotIndex + place + 1}`),
      }),
    );
    const hardState = {
      currentTerm: Number(named.get("term") ?? terms.at(-1) ?? snapshotTerm),
      votedFor: named.get("vote") ?? null,
      commitIndex: Number(named.get("commit") ?? 0),
    };
    const snapshot = { lastIncludedIndex: snapshotIndex, lastIncludedTerm: snapshotTerm, configuration, configurationIndex: 0 };
    const disk = { hardState, snapshot, logStart: { index: snapshotIndex, term: snapshotTerm }, entries };
    const now = this.#nodes.get(id)?.now ?? 0;
    // Election timeouts differ by member, so that "timeout" is the script's choice and never a tie.
    const drawPerMille = this.#nodes.get(id)?.drawPerMille ?? 100 * (this.#nodes.size + 1);
    const node: Node = {
      ...disk,
      now,
      drawPerMille,
      remaining: null,
      lives: 0,
      batches: [],
      autoPersist: true,
      crashed: false,
      applied: [],
      raft: undefined as unknown as Raft,
    };
    node.raft = this.#start(id, node);
    this.#nodes.set(id, node);
    this.#after(id);
  }

  #start(id: MemberId, node: Node): Raft {
    node.lives += 1;
    const recovering = { remaining: node.remaining, firstRequestId: node.lives * 1000 + 1 };
    return new Raft({
      ...(node.hardState.recovering === true ? { recovering } : {}),
      id,
      options: { snapshotChunkBytes: 256, ...this.#options },
      random: () => Math.floor((node.drawPerMille / 1000) * 2 ** 32),
      now: node.now,
      hardState: node.hardState,
      snapshot: node.snapshot,
      logStart: node.logStart,
      entries: node.entries,
    });
  }

  /** `lose a 3 5`: its disk has lost these entries, and has their names; `lose a from=3`: and has nothing from there on. */
  #lose(id: MemberId, indexes: readonly number[], named: Map<string, string>): void {
    const node = this.#node(id);
    if (!node.crashed) throw new Error(`${id} is up`);
    const from = Number(named.get("from") ?? indexes[0]);
    const remaining = node.entries.filter(({ index }) => index >= from);
    node.remaining = named.has("from")
      ? null
      : remaining.map((entry) =>
          indexes.includes(entry.index) ? { index: entry.index, term: entry.term, type: "lost" } : entry,
        );
    node.entries = node.entries.filter(({ index }) => index < from);
    const commitIndex = Math.min(node.hardState.commitIndex, from - 1);
    node.hardState = { ...node.hardState, commitIndex, recovering: true };
  }

  #restart(id: MemberId): void {
    const node = this.#node(id);
    node.crashed = false;
    node.batches = [];
    node.applied = [];
    node.raft = this.#start(id, node);
    this.#after(id);
  }

  #input(id: MemberId, body: (node: Node) => void): void {
    const node = this.#node(id);
    if (node.crashed) return this.#say(`${id} is down`);
    body(node);
    this.#after(id);
  }

  #timeout(id: MemberId): void {
    this.#input(id, (node) => {
      node.now = Math.max(node.now, node.raft.take().deadline ?? node.now);
      for (const other of this.#nodes.values()) other.now = Math.max(other.now, node.now);
      node.raft.advance(node.now);
    });
  }

  /** An ordinary election, told in one line; election-three-nodes.txt shows all of it. */
  #elect(id: MemberId): void {
    this.#timeout(id);
    this.#settle();
    const { raft } = this.#node(id);
    this.#lines = [`${id}: ${raft.role} of term ${raft.currentTerm}, committed up to ${raft.commitIndex}`];
  }

  /** `advance 300` moves everyone's clock by 300 ms, and fires what is due; `advance a 300` only a's. */
  #advance(plain: string[]): void {
    const ids = plain.length > 1 ? [plain[0] ?? ""] : [...this.#nodes.keys()];
    const micros = Number(plain.at(-1)) * 1000;
    for (const id of ids) this.#node(id).now += micros;
    for (const id of ids) {
      if (!this.#node(id).crashed) this.#input(id, (node) => node.raft.advance(node.now));
    }
  }

  #propose(id: MemberId, commands: string[], type: ProposedType): void {
    this.#input(id, (node) => {
      const outcome = node.raft.propose(node.now, commands.map(bytes), type);
      this.#say(
        "refusal" in outcome ? `${id}: refused: ${outcome.refusal}` : `${id}: proposed at ${outcome.firstIndex}/${outcome.term}`,
      );
    });
  }

  #transfer(id: MemberId, target: MemberId | null): void {
    this.#input(id, (node) => {
      const outcome = node.raft.transferLeadership(node.now, target);
      if ("refusal" in outcome) this.#say(`${id}: refused: ${outcome.refusal}`);
    });
  }

  /** Takes a node's output: prints it, queues messages and batches, applies. */
  #after(id: MemberId): void {
    const node = this.#node(id);
    for (let rounds = 0; rounds < 100; rounds += 1) {
      const output = node.raft.take();
      for (const event of output.events) this.#say(`${id}: ${formatEvent(event)}`);
      if (output.persist !== null) {
        node.batches.push(output.persist);
        this.#say(`${id}: ${node.autoPersist ? "persists" : "wants to persist"} ${formatBatch(output.persist)}`);
      }
      for (const { to, message } of output.messages) {
        this.#flight.push({ from: id, to, message });
        this.#say(`${id} -> ${to} ${formatMessage(message)}`);
      }
      if (output.committed.length > 0) {
        this.#say(`${id}: applies ${formatEntries(output.committed)}`);
        node.applied.push(...output.committed);
        node.raft.applied(node.now, output.committed.at(-1)?.index ?? 0);
      }
      for (const read of output.readsReady) this.#say(`${id}: read ${read.id} may be answered at ${read.index}`);
      for (const read of output.readsFailed) this.#say(`${id}: read ${read} failed`);
      for (const response of output.proposeResponses)
        this.#say(
          `${id}: answer to ${response.requestId}: ${response.refusal ?? `${response.firstIndex}/${response.entryTerm}`}`,
        );
      for (const request of output.snapshotReads) {
        const size = Math.max(0, Math.min(request.maxBytes, this.#snapshotBytes - request.offset));
        node.raft.snapshotChunkRead(
          node.now,
          request.to,
          request.lastIncludedIndex,
          request.offset,
          new Uint8Array(size),
          request.offset + size >= this.#snapshotBytes,
        );
      }
      for (const request of output.snapshotWrites)
        this.#writePiece(
          id,
          node,
          request.lastIncludedIndex,
          request.lastIncludedTerm,
          request.offset + request.data.length,
          request.done,
        );
      if (node.autoPersist && node.batches.length > 0) this.#complete(node, node.batches.length);
      if (!node.raft.hasOutput) return;
    }
    throw new Error("a node does not come to rest");
  }

  #writePiece(id: MemberId, node: Node, lastIncludedIndex: number, lastIncludedTerm: number, next: number, done: boolean): void {
    if (!done) return node.raft.snapshotChunkWritten(node.now, lastIncludedIndex, lastIncludedTerm, next);
    const sender = [...this.#nodes.values()].find((each) => each.snapshot.lastIncludedIndex === lastIncludedIndex);
    const metadata = sender?.snapshot ?? {
      lastIncludedIndex,
      lastIncludedTerm,
      configuration: this.#configuration,
      configurationIndex: 0,
    };
    node.snapshot = metadata;
    this.#say(
      `${id}: snapshot ${lastIncludedIndex}/${lastIncludedTerm} is whole: ${node.raft.snapshotInstalled(node.now, metadata) ? "in force" : "not needed"}`,
    );
  }

  /** The disk: applies whole batches, in order. */
  #complete(node: Node, count: number): void {
    for (const batch of node.batches.splice(0, count)) {
      node.hardState = batch.hardState;
      if (batch.logStart !== null) {
        const { position, keepSuffix } = batch.logStart;
        node.entries = keepSuffix ? node.entries.filter((entry) => entry.index > position.index) : [];
        node.logStart = position;
      }
      const first = batch.entries[0];
      if (first !== undefined || batch.logStart !== null) node.remaining = null;
      if (first !== undefined) node.entries = [...node.entries.filter((entry) => entry.index < first.index), ...batch.entries];
      node.raft.persisted(node.now, batch.ticket);
    }
  }

  #persist(id: MemberId, which: string): void {
    const node = this.#node(id);
    if (node.batches.length === 0) return this.#say(`${id}: nothing to persist`);
    this.#complete(node, which === "all" ? node.batches.length : Number(which));
    this.#after(id);
  }

  // ---- Membership ----

  #membersChange(named: Map<string, string>): MembershipChange {
    const ids = (name: string): string[] => named.get(name)?.split(",") ?? [];
    const records = (name: string): MemberRecord[] =>
      ids(name).map((id) => ({ id, name: id.split("#")[0] ?? id, address: `${id}:1` }));
    return {
      kind: "members",
      add: records("add"),
      addLearners: records("learners"),
      promote: ids("promote"),
      demote: ids("demote"),
      remove: ids("remove"),
    };
  }

  #change(id: MemberId, change: MembershipChange, named: Map<string, string>): void {
    const expected = named.get("expect");
    this.#input(id, (node) => {
      const outcome = node.raft.changeMembership(node.now, change, expected === undefined ? null : Number(expected));
      this.#say(
        "refusal" in outcome ? `${id}: refused: ${outcome.refusal}` : `${id}: changes at ${outcome.index}/${outcome.term}`,
      );
    });
  }

  #configurationOf(id: MemberId): void {
    const { configuration, configurationIndex } = this.#node(id).raft;
    const { voters, votersOutgoing, learners, members, leases, staged } = configuration;
    const list = (ids: readonly string[]): string => ids.join(",") || "-";
    this.#say(
      `${id}: configuration ${configurationIndex}: voters ${list(voters)} outgoing ${list(votersOutgoing)} learners ${list(learners)} leases ${leases ? "on" : "off"}`,
    );
    for (const { id: member, address } of members) this.#say(`  ${member} at ${address}`);
    if (staged !== null)
      this.#say(`  staged: promote ${list(staged.promote)} remove ${list(staged.remove)} demote ${list(staged.demote)}`);
  }

  #selected(plain: string[]): (each: InFlight) => boolean {
    const [link = "", type = ""] = plain;
    if (link === "") return () => true;
    const [from = "", to = ""] = link.split("->");
    return (each) =>
      (from === "*" || each.from === from) && (to === "*" || to === "" || each.to === to) && each.message.type.startsWith(type);
  }

  #isBlocked(each: InFlight): boolean {
    return (
      this.#blocked.has(`${each.from}->${each.to}`) ||
      this.#blocked.has(`${each.from}->*`) ||
      this.#blocked.has(`*->${each.to}`) ||
      this.#node(each.to).crashed
    );
  }

  /** `deliver` everything in flight now; `deliver a->b`, `deliver *->b AppendEntries` a part of it. */
  #deliver(plain: string[]): void {
    const chosen = this.#flight.filter(this.#selected(plain));
    if (chosen.length === 0) return this.#say("nothing in flight");
    this.#flight = this.#flight.filter((each) => !chosen.includes(each));
    for (const each of chosen) this.#hand(each);
  }

  #hand(each: InFlight): void {
    if (!this.#nodes.has(each.to) || this.#isBlocked(each))
      return this.#say(`(lost) ${each.from} -> ${each.to} ${each.message.type}`);
    this.#input(each.to, (node) => node.raft.receive(node.now, each.from, each.message));
  }

  #drop(plain: string[]): void {
    const selected = this.#selected(plain);
    for (const each of this.#flight.filter(selected))
      this.#say(`(dropped) ${each.from} -> ${each.to} ${formatMessage(each.message)}`);
    this.#flight = this.#flight.filter((each) => !selected(each));
  }

  #duplicate(plain: string[]): void {
    const selected = this.#selected(plain);
    this.#flight = this.#flight.flatMap((each) => (selected(each) ? [each, each] : [each]));
    this.#showFlight();
  }

  #showFlight(): void {
    for (const each of this.#flight) this.#say(`${each.from} -> ${each.to} ${formatMessage(each.message)}`);
    if (this.#flight.length === 0) this.#say("nothing in flight");
  }

  /** Delivers and answers until nothing moves. */
  #settle(): void {
    for (let steps = 0; this.#flight.length > 0; steps += 1) {
      if (steps > 2000) throw new Error("does not settle");
      const [next, ...rest] = this.#flight;
      this.#flight = rest;
      if (next !== undefined) this.#hand(next);
    }
  }

  /** Everything applied becomes a snapshot. */
  #snapshot(id: MemberId): void {
    this.#input(id, (node) => {
      const index = node.raft.lastApplied;
      const { configuration, index: configurationIndex } = node.raft.configurationAt(index);
      node.snapshot = {
        lastIncludedIndex: index,
        lastIncludedTerm: node.raft.termAt(index) ?? 0,
        configuration,
        configurationIndex,
      };
      node.raft.snapshotTaken(node.now, node.snapshot);
      this.#say(`${id}: snapshot at ${formatPosition({ index, term: node.snapshot.lastIncludedTerm })}`);
    });
  }

  /** `inject a->b Heartbeat term=9 leaderCommit=100 readRound=0`: a message nobody sent. */
  #inject(plain: string[], named: Map<string, string>): void {
    const [link = "", type = ""] = plain;
    const [from = "", to = ""] = link.split("->");
    const fields = Object.fromEntries(
      [...named].map(([name, value]) => [
        name,
        value === "true" ? true : value === "false" ? false : value === "null" ? null : /^\d/.test(value) ? Number(value) : value,
      ]),
    );
    const entries = (named.get("entries") ?? "").split(",").filter((each) => each !== "");
    const parsed = entries.map((each): Entry => {
      const [position = "", what = ""] = each.split(":");
      const [index = 0, term = 0] = position.split("/").map(Number);
      if (what.startsWith("conf.") || what.startsWith("leaseconf.")) {
        const [kind, ...voters] = what.split(".");
        const configuration = configurationOf(voters, [], [], kind === "leaseconf");
        return { index, term, type: "configuration", data: encodeConfiguration(configuration) };
      }
      return { index, term, type: what === "badconf" ? "configuration" : "command", data: bytes(what) };
    });
    const message = {
      type,
      ...fields,
      ...(type === "AppendEntries" ? { entries: parsed } : {}),
      ...(type === "InstallSnapshot" ? { data: new Uint8Array(Number(named.get("bytes") ?? 0)) } : {}),
    } as unknown as Message;
    this.#input(to, (node) => node.raft.receive(node.now, from, message));
  }

  #logOf(id: MemberId): string {
    const { raft } = this.#node(id);
    const entries: Entry[] = [];
    for (let index = raft.logStart.index + 1; index <= raft.lastLogIndex; index += 1) {
      const entry = raft.entryAt(index);
      if (entry !== null) entries.push(entry);
    }
    const start = raft.logStart.index > 0 ? `after ${formatPosition(raft.logStart)}: ` : "";
    return `${start}${formatTerms(entries) || "empty"}`;
  }

  #status(): void {
    for (const [id, node] of this.#nodes) {
      const { raft } = node;
      if (node.crashed) this.#say(`${id}: down`);
      else
        this.#say(
          `${id}: ${raft.failed ? "FAILED " : ""}${raft.role} term=${raft.currentTerm} vote=${raft.votedFor ?? "-"} leader=${raft.leaderId ?? "-"}${raft.recovering === null ? "" : " RECOVERING"} commit=${raft.commitIndex} applied=${raft.lastApplied} durable=${raft.durableIndex} last=${raft.lastLogIndex}/${raft.lastLogTerm}`,
        );
    }
  }

  #progress(id: MemberId): void {
    for (const peer of this.#node(id).raft.progress.values())
      this.#say(`${peer.id}: ${peer.state} match=${peer.matchIndex} next=${peer.nextIndex} inflight=${peer.inflight.length}`);
  }
}
