/** The models by their names, for whoever is told a name: a command line, a file of settings. */

import { HistoryError } from "../history.js";
import { counterModel } from "./counter.js";
import { keyValueModel } from "./key-value.js";
import type { Model, ModelOptions } from "./model.js";
import { multiRegister } from "./multi-register.js";
import { mutex } from "./mutex.js";
import { queue } from "./queue.js";
import { casRegisterModel, registerModel } from "./register.js";
import { set } from "./set.js";
import { versionedRegister } from "./versioned-register.js";

/** What can begin with another value than its own. */
const WITH_INITIAL = new Map<string, (options: ModelOptions) => Model<unknown>>([
  ["register", registerModel],
  ["cas-register", casRegisterModel],
  ["key-value", keyValueModel],
  ["counter", counterModel],
]);

const OTHERS = new Map<string, Model<unknown>>(
  [versionedRegister, set, queue, mutex, multiRegister].map((model) => [model.name, model]),
);

export const MODEL_NAMES: readonly string[] = [...WITH_INITIAL.keys(), ...OTHERS.keys()];

/** Throws a `HistoryError` where there is no model of that name, or it cannot begin so. */
export function modelByName(name: string, options: ModelOptions = {}): Model<unknown> {
  const make = WITH_INITIAL.get(name);
  if (make !== undefined) return make(options);
  const model = OTHERS.get(name);
  if (model === undefined)
    throw new HistoryError(`there is no model ${JSON.stringify(name)}; there are ${MODEL_NAMES.join(", ")}`);
  if (options.initial !== undefined) throw new HistoryError(`a ${name} always begins empty: it takes no initial value`);
  return model;
}
