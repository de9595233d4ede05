/** The real clock: CLOCK_MONOTONIC, which runs on while the process is stopped, and Node's timers. */
import type { Clock, TimerHandle } from "../runtime/ports.js";

/** Node's timers hold at most 2^31 - 1 milliseconds; a longer one wakes up in between and is set again. */
const LONGEST_MS = 2_000_000_000;

interface RealTimer extends TimerHandle {
  timer: ReturnType<typeof setTimeout>;
}

export function createClock(): Clock {
  const now = (): number => Math.floor(performance.now() * 1000);
  return {
    now,
    setTimer(at, callback) {
      const wait = (): number => Math.min(LONGEST_MS, Math.max(0, Math.ceil((at - now()) / 1000)));
      // Timers may fire a fraction of a millisecond early; the port promises that they don't.
      const fire = (): void => {
        if (now() >= at) callback();
        else handle.timer = setTimeout(fire, wait());
      };
      const handle: RealTimer = { timer: setTimeout(fire, wait()) };
      return handle;
    },
    clearTimer(handle) {
      clearTimeout((handle as RealTimer).timer);
    },
    setImmediate(callback) {
      setImmediate(callback);
    },
  };
}
