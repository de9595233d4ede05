/**
 * Commands that wait to be handed on, a lane for each caller (`ProposeOptions.caller`), so that one who floods the node delays
 * itself and nobody else: lanes are served in turn, one command each. Within a lane the order is that of the calls.
 */
import type { Proposal } from "./proposals.js";

export class Lanes {
  /** None is empty. The first one is served first. */
  readonly #lanes = new Map<string, Proposal[]>();

  get isEmpty(): boolean {
    return this.#lanes.size === 0;
  }

  add(proposal: Proposal): void {
    const lane = this.#lanes.get(proposal.caller);
    if (lane === undefined) this.#lanes.set(proposal.caller, [proposal]);
    else lane.push(proposal);
  }

  /** Back to the front of their lanes. */
  putBack(proposals: readonly Proposal[]): void {
    const back = new Map<string, Proposal[]>();
    for (const proposal of proposals) {
      const lane = back.get(proposal.caller);
      if (lane === undefined) back.set(proposal.caller, [proposal]);
      else lane.push(proposal);
    }
    for (const [caller, lane] of back) this.#lanes.set(caller, lane.concat(this.#lanes.get(caller) ?? []));
  }

  /** The next ones, all of one type, at most `maxBytes` of commands (at least one) and `maxCount`; they are the taker's now. */
  take(maxCount: number, maxBytes: number): Proposal[] {
    const [first] = this.#lanes.entries();
    if (first === undefined) return [];
    if (this.#lanes.size === 1) return this.#takeAlone(first[0], first[1], maxCount, maxBytes);
    const type = first[1][0]?.entryType;
    const heads = new Map([...this.#lanes.keys()].map((caller) => [caller, 0]));
    const taken: Proposal[] = [];
    let bytes = 0;
    // A round gives each lane its turn; lanes whose next command can't come along have had theirs.
    for (let before = -1; before < taken.length; ) {
      before = taken.length;
      for (const [caller, head] of heads) {
        const proposal = this.#lanes.get(caller)?.[head];
        if (proposal === undefined || proposal.entryType !== type) {
          heads.delete(caller);
          if (proposal !== undefined && head > 0) this.#drop(caller, head);
          if (proposal === undefined) this.#lanes.delete(caller);
          continue;
        }
        bytes += proposal.command.length;
        if (taken.length >= maxCount || (bytes > maxBytes && taken.length > 0)) {
          for (const [each, count] of heads) this.#drop(each, count);
          this.#servedUpTo(caller);
          return taken;
        }
        taken.push(proposal);
        heads.set(caller, head + 1);
      }
    }
    return taken;
  }

  #takeAlone(caller: string, lane: Proposal[], maxCount: number, maxBytes: number): Proposal[] {
    const type = lane[0]?.entryType;
    let bytes = 0;
    let count = 0;
    for (const { command, entryType } of lane) {
      bytes += command.length;
      if (count >= maxCount || (bytes > maxBytes && count > 0) || entryType !== type) break;
      count += 1;
    }
    if (count < lane.length) return lane.splice(0, count);
    this.#lanes.delete(caller);
    return lane;
  }

  #drop(caller: string, count: number): void {
    const lane = this.#lanes.get(caller);
    if (lane === undefined || count === 0) return;
    if (count >= lane.length) this.#lanes.delete(caller);
    else lane.splice(0, count);
  }

  /** The lane whose turn it is comes first the next time. */
  #servedUpTo(caller: string): void {
    for (const [each, lane] of [...this.#lanes]) {
      if (each === caller) return;
      this.#lanes.delete(each);
      this.#lanes.set(each, lane);
    }
  }

  remove(proposal: Proposal): void {
    const rest = (this.#lanes.get(proposal.caller) ?? []).filter((each) => each !== proposal);
    if (rest.length === 0) this.#lanes.delete(proposal.caller);
    else this.#lanes.set(proposal.caller, rest);
  }

  clear(): void {
    this.#lanes.clear();
  }

  *[Symbol.iterator](): Generator<Proposal> {
    for (const lane of this.#lanes.values()) yield* lane;
  }
}
