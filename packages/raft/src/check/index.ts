/**
 * A linearizability checker: records of what concurrent clients asked and were told, held against a model of what one object,
 * asked one thing after another, would have answered.
 */

export { type CheckOptions, type CheckResult, checkHistory, type Failure, type GroupResult, type GroupVerdict } from "./check.js";
export { explain } from "./explain.js";
export {
  guessFormat,
  HISTORY_FORMATS,
  type HistoryFormat,
  type HistoryFormatOptions,
  parseHistory,
} from "./formats/formats.js";
export { type JepsenOptions, parseJepsenEdn, parseJepsenLog } from "./formats/jepsen.js";
export { parseJsonLines, printJsonLines } from "./formats/json-lines.js";
export type { PairingOptions } from "./formats/pairing.js";
export { describeOperation, HistoryError, type Key, type Operation } from "./history.js";
export { explainHtml, type PageOptions } from "./html/page.js";
export { MODEL_NAMES, modelByName } from "./models/by-name.js";
export { type CounterState, counter, counterModel } from "./models/counter.js";
export { type KeyValueState, keyValue, keyValueModel } from "./models/key-value.js";
export type { Model, ModelOptions, Simplified } from "./models/model.js";
export { type MultiRegisterState, multiRegister } from "./models/multi-register.js";
export { type MutexState, mutex } from "./models/mutex.js";
export { type QueueState, queue } from "./models/queue.js";
export { casRegister, casRegisterModel, type RegisterState, register, registerModel } from "./models/register.js";
export { type SetState, set } from "./models/set.js";
export { type Versioned, type VersionedState, type VersionedSwap, versionedRegister } from "./models/versioned-register.js";
export type { LegalPrefix } from "./search.js";
