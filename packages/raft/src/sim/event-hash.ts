/** One number for all that happened, in order: two runs with the same number were the same run. */
import type { Message } from "../core/message.js";
import type { NodeEvent } from "../runtime/index.js";

export class EventHash {
  #hash = 0x9dc5;

  get value(): number {
    return this.#hash >>> 0;
  }

  add(at: number, name: string, ...values: readonly number[]): void {
    this.#number(at);
    this.#text(name);
    for (const value of values) this.#number(value);
  }

  addEvent(at: number, name: string, event: NodeEvent): void {
    this.#number(at);
    this.#text(name);
    this.#fields(event);
  }

  addMessage(at: number, from: string, to: string, message: Message): void {
    this.#number(at);
    this.#text(from);
    this.#text(to);
    this.#text(message.type);
    this.#number(message.term);
    if (message.type === "AppendEntries") {
      this.#number(message.prevLogIndex);
      this.#number(message.entries.length);
      this.#number(message.leaderCommit);
    } else if (message.type === "AppendEntriesResponse") {
      this.#number(message.matchIndex);
      this.#number(message.hintIndex);
    } else if (message.type === "Heartbeat" || message.type === "HeartbeatResponse") {
      this.#number(message.readRound);
    }
  }

  /** Every plain field of an object, whatever its type, in the order in which the object was made. */
  #fields(value: object): void {
    for (const name in value) {
      const field: unknown = value[name as keyof typeof value];
      if (typeof field === "number") this.#number(field);
      else if (typeof field === "string") this.#text(field);
      else if (typeof field === "boolean") this.#mix(field ? 1 : 2);
      else if (field === null) this.#mix(3);
      else if (typeof field === "object") this.#fields(field);
    }
  }

  #number(value: number): void {
    this.#mix(value | 0);
    this.#mix(Math.floor(value / 2 ** 32));
  }

  #text(text: string): void {
    this.#mix(text.length);
    for (let at = 0; at < text.length; at += 1) this.#mix(text.charCodeAt(at));
  }

  #mix(value: number): void {
    let mixed = Math.imul(this.#hash ^ value, 0x01000193);
    mixed ^= mixed >>> 15;
    this.#hash = mixed;
  }
}
