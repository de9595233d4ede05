/**
 * Straight-line code over callback ports. Opening a log or writing a snapshot is a long sequence of disk operations;
 * written with callbacks it can't be read, written with promises it can't be replayed. A task is a generator that yields
 * operations; each resumes it when it completes, also when that happens at once. No queue, no promise, no timer:
 * the order of effects is exactly the order of the code and of the ports' callbacks.
 *
 * ```ts
 * runTask(function* () {
 *   const file = yield* call<DiskFile>((done) => disk.open("identity", "read", done));
 *   const bytes = yield* call<Uint8Array>((done) => file.read(0, 4096, done));
 *   yield* perform((done) => file.close(done));
 *   return bytes;
 * }, (error, bytes) => { … });
 * ```
 */

/** An operation: it is started with a callback and calls it once with an error or a result. */
export type Operation = (done: (error: Error | null, result: unknown) => void) => void;

/** A piece of work made of operations, with a result of type T. */
export type Task<T> = Generator<Operation, T, unknown>;

/** Runs one operation that has a result. Throws its error inside the task. */
export function* call<T>(start: (done: (error: Error | null, result: T | null) => void) => void): Task<T> {
  return (yield start) as T;
}

/** Runs one operation without a result. Throws its error inside the task. */
export function* perform(start: (done: (error: Error | null) => void) => void): Task<void> {
  yield start as Operation;
}

/** Runs a task to its end; `finished` is called once, with the error that ended it or with its result. */
export function runTask<T>(body: () => Task<T>, finished: (error: Error | null, result: T | null) => void): void {
  const task = body();
  // Operations that complete at once are taken in a loop, not by recursion, so a long task can't overflow the stack.
  const drive = (error: Error | null, value: unknown): void => {
    let nextError = error;
    let nextValue = value;
    for (;;) {
      let step: IteratorResult<Operation, T>;
      try {
        step = nextError === null ? task.next(nextValue) : task.throw(nextError);
      } catch (thrown) {
        finished(thrown instanceof Error ? thrown : new Error(String(thrown)), null);
        return;
      }
      if (step.done === true) {
        finished(null, step.value);
        return;
      }
      let atOnce = true;
      let completed: { error: Error | null; value: unknown } | null = null;
      step.value((operationError, result) => {
        if (atOnce) completed = { error: operationError, value: result };
        else drive(operationError, result);
      });
      atOnce = false;
      const outcome = completed as { error: Error | null; value: unknown } | null;
      if (outcome === null) return;
      nextError = outcome.error;
      nextValue = outcome.value;
    }
  };
  drive(null, undefined);
}
