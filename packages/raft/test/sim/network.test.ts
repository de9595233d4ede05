/** The virtual network and clocks do what they say: order where TCP keeps it, cuts that hold up, loss where it is asked for. */
import { expect, test } from "vitest";
import type { Hello, TransportHandler } from "../../src/runtime/ports.js";
import { FAIR_WEATHER, type NetworkWeather, Scheduler, SeededRandom, VirtualClock, VirtualNetwork } from "../../src/sim/index.js";

interface Side {
  readonly transport: ReturnType<VirtualNetwork<number>["attach"]>;
  readonly clock: VirtualClock;
  readonly received: number[];
  readonly news: string[];
}

class Pair {
  readonly scheduler = new Scheduler();
  readonly network: VirtualNetwork<number>;
  readonly a: Side;
  readonly b: Side;

  constructor(weather: Partial<NetworkWeather> = {}, seed = 1) {
    const random = new SeededRandom(seed);
    this.network = new VirtualNetwork<number>({ scheduler: this.scheduler, random, weather: { ...FAIR_WEATHER, ...weather } });
    this.a = this.#side("a", "b");
    this.b = this.#side("b", "a");
    this.run(1_000_000);
  }

  #side(name: string, peer: string): Side {
    const clock = new VirtualClock(this.scheduler);
    const transport = this.network.attach(`${name}:1`, clock);
    const side: Side = { transport, clock, received: [], news: [] };
    const hello: Hello = { clusterId: new Uint8Array(16), name, address: `${name}:1`, incarnation: 1n, boot: 1, founders: [] };
    const handler: TransportHandler = {
      listening: () => side.news.push("listening"),
      hello: () => hello,
      greet: () => null,
      opened: (other, channel) => side.news.push(`opened ${other} ${channel}`),
      closed: (other, channel) => {
        side.news.push(`closed ${other} ${channel}`);
        // What is said to be closed takes nothing more.
        if (transport.sendNoted(other, channel, Uint8Array.of(0), 0)) side.news.push(`${other} ${channel} is open all the same`);
      },
      received: (_hello, _channel, payload) => side.received.push(payload[0] ?? -1),
      warning: () => undefined,
      failed: () => undefined,
    };
    transport.setPeers([{ name: peer, address: `${peer}:1` }]);
    transport.start(handler);
    return side;
  }

  run(micros: number): void {
    this.scheduler.runUntil(() => false, micros);
  }

  send(from: number, to: number): void {
    for (let number = from; number < to; number += 1) {
      if (!this.a.transport.sendNoted("b", "main", Uint8Array.of(number), number)) throw new Error(`${number} was refused`);
      this.a.transport.flush();
    }
  }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);

test("both dial, and what is sent on a connection arrives in order", () => {
  const pair = new Pair();
  expect(pair.a.news).toContain("opened b main");
  expect(pair.b.news).toContain("opened a bulk");
  pair.send(0, 50);
  pair.run(100_000);
  expect(pair.b.received).toEqual(range(0, 50));
});

test("a cut holds up what is sent; mended soon, all of it arrives, late and in order", () => {
  const pair = new Pair();
  const mend = pair.network.cut("a:1", "b:1");
  pair.send(0, 10);
  pair.run(15_000);
  expect(pair.b.received).toEqual([]);
  mend();
  pair.run(100_000);
  expect(pair.b.received).toEqual(range(0, 10));
});

test("a cut that lasts breaks the connection; it is dialled again when the link is whole", () => {
  const pair = new Pair();
  const mends = [pair.network.cut("a:1", "b:1"), pair.network.cut("b:1", "a:1")];
  pair.send(0, 10);
  pair.run(5_000_000);
  expect(pair.b.received).toEqual([]);
  expect(pair.a.news).toContain("closed b main");
  expect(pair.a.transport.sendNoted("b", "main", Uint8Array.of(1), 1)).toBe(false);
  for (const mend of mends) mend();
  pair.run(1_000_000);
  pair.send(10, 20);
  pair.run(100_000);
  expect(pair.b.received).toEqual(range(10, 20));
});

test("foul weather loses, doubles and delays single messages, and only these", () => {
  const pair = new Pair({ lossPerMille: 200, duplicatePerMille: 200, reorderPerMille: 200 });
  pair.send(0, 200);
  // Without a note: what connections carry besides messages is never lost alone.
  pair.a.transport.send("b", "main", Uint8Array.of(255));
  pair.a.transport.flush();
  pair.run(2_000_000);
  const { received } = pair.b;
  const counts = new Map<number, number>();
  for (const number of received) counts.set(number, (counts.get(number) ?? 0) + 1);
  expect(counts.get(255)).toBe(1);
  expect(range(0, 200).filter((number) => !counts.has(number)).length).toBeGreaterThan(10);
  expect([...counts.values()].filter((count) => count === 2).length).toBeGreaterThan(10);
  expect(received.some((number, at) => number < (received[at - 1] ?? -1))).toBe(true);
});

test("a queue that is full refuses, and takes again what was delivered", () => {
  const pair = new Pair({ maxQueueBytes: 10 });
  const send = (): boolean => pair.a.transport.sendNoted("b", "main", new Uint8Array(6), 1);
  expect([send(), send()]).toEqual([true, false]);
  pair.a.transport.flush();
  for (let round = 0; round < 20; round += 1) {
    pair.run(50_000);
    expect([send(), send()]).toEqual([true, false]);
    pair.a.transport.flush();
  }
});

test("clocks run at their own rate, jump, and stand still for nobody while their process does", () => {
  const scheduler = new Scheduler();
  const fast = new VirtualClock(scheduler, 50_000);
  const slow = new VirtualClock(scheduler, -50_000);
  const fired: string[] = [];
  fast.setTimer(1_000_000, () => fired.push(`fast at ${scheduler.now()}`));
  slow.setTimer(1_000_000, () => fired.push(`slow at ${scheduler.now()}`));
  scheduler.runUntil(() => false, 2_000_000);
  expect(fired).toEqual(["fast at 952381", "slow at 1052632"]);

  slow.setTimer(slow.now() + 1_000_000, () => fired.push("after the jump"));
  slow.jump(2_000_000);
  scheduler.runUntil(() => false, 1);
  expect(fired.at(-1)).toBe("after the jump");

  fast.setTimer(fast.now() + 1000, () => fired.push("after the pause"));
  fast.pause();
  const before = fast.now();
  scheduler.runUntil(() => false, 5000);
  expect(fired.at(-1)).toBe("after the jump");
  expect(fast.now()).toBeGreaterThan(before);
  fast.resume();
  scheduler.runUntil(() => false, 1);
  expect(fired.at(-1)).toBe("after the pause");
});

test("a timer fires once, also when its clock jumps while it waits for a paused process", () => {
  const scheduler = new Scheduler();
  const clock = new VirtualClock(scheduler);
  let fired = 0;
  clock.setTimer(1000, () => {
    fired += 1;
  });
  clock.pause();
  scheduler.runUntil(() => false, 2000);
  clock.jump(500);
  scheduler.runUntil(() => false, 2000);
  expect(fired).toBe(0);
  clock.resume();
  scheduler.runUntil(() => false, 2000);
  expect(fired).toBe(1);
});

test("peers named again and again do not dial a second time: what is said of a connection is said in turn", () => {
  const pair = new Pair({ delayLow: 1000, delayHigh: 20_000 });
  for (let round = 0; round < 40; round += 1) {
    const mends = [pair.network.cut("a:1", "b:1"), pair.network.cut("b:1", "a:1")];
    pair.network.reset("a:1", "b:1");
    for (let tick = 0; tick < 100; tick += 1) {
      if (tick === round) for (const mend of mends) mend();
      pair.a.transport.setPeers([{ name: "b", address: "b:1" }]);
      pair.run(5000);
    }
  }
  pair.run(5_000_000);
  expect(pair.a.news.filter((line) => line === "opened b main").length).toBeGreaterThan(20);
  expect(pair.a.news).not.toContain("b main is open all the same");
  expect(pair.a.transport.sendNoted("b", "main", Uint8Array.of(1), 1)).toBe(true);
});
