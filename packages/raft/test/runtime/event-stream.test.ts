/** Events: a listener that is too slow is told how many it missed, and costs a bounded amount of memory (pitfall G17). */
import { expect, test } from "vitest";
import { EventStream } from "../../src/runtime/event-stream.js";

test("a slow listener gets the first 1,024, then the number of those that were dropped, then what comes", async () => {
  const stream = new EventStream();
  const events = stream.listen();
  for (let count = 0; count < 3000; count += 1) stream.publish({ type: "warning", message: `${count}` });
  for (let count = 0; count < 1024; count += 1)
    expect((await events.next()).value).toEqual({ type: "warning", message: `${count}` });
  expect((await events.next()).value).toEqual({ type: "dropped", count: 3000 - 1024 });
  const next = events.next();
  stream.publish({ type: "warning", message: "later" });
  expect((await next).value).toEqual({ type: "warning", message: "later" });
  stream.close();
  expect((await events.next()).done).toBe(true);
});
