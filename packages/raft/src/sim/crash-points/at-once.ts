/** Tasks on a disk that answers at once: run like a function. And a clock for what never waits. */
import type { Clock } from "../../runtime/ports.js";
import { runTask, type Task } from "../../runtime/task.js";

/** The task's result. Throws its error, or when it waits for something. */
export function atOnce<T>(body: () => Task<T>): T {
  const outcome: { error: Error | null; result: { readonly value: T } | null } = {
    error: new Error("it waits for something that never comes"),
    result: null,
  };
  runTask(body, (error, value) => {
    outcome.error = error;
    if (error === null) outcome.result = { value: value as T };
  });
  if (outcome.error !== null || outcome.result === null) throw outcome.error ?? new Error("it ended without a result");
  return outcome.result.value;
}

/** Time stands still; a timer never fires. */
export const STILL_CLOCK: Clock = {
  now: () => 0,
  setTimer: () => ({ timer: null }),
  clearTimer: () => undefined,
  setImmediate: (callback) => callback(),
};
