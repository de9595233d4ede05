/** The model that docs/checker.md shows, word for word. */
import type { Model } from "../../src/check/index.js";

/** Last in, first out. `push` puts its input on top; the output of `pop` is what was on top, null if nothing was. */
export const stack: Model<readonly unknown[]> = {
  name: "stack",
  init: () => [],
  step: (state, { f, input, output, return: end }) => {
    if (f === "push") return [...state, input];
    const top = state.at(-1) ?? null;
    // An open operation, whose return is null, may have had any answer.
    return end === null || output === top ? state.slice(0, -1) : null;
  },
  identity: (state) => JSON.stringify(state),
};
