/**
 * A linearizability checker: records of what concurrent clients asked and were told, held against a model of what one object,
 * asked one thing after another, would have answered.
 */

export { type CheckOptions, type CheckResult, checkHistory, type Failure, type GroupResult, type GroupVerdict } from "./check.js";
export { explain } from "./explain.js";
export { describeOperation, HistoryError, type Key, type Operation } from "./history.js";
export { parseJsonLines, printJsonLines } from "./json-lines.js";
export type { Model, Simplified } from "./models/model.js";
export {
  casRegister,
  casRegisterModel,
  type RegisterOptions,
  type RegisterState,
  register,
  registerModel,
} from "./models/register.js";
export { type Versioned, type VersionedState, type VersionedSwap, versionedRegister } from "./models/versioned-register.js";
export type { LegalPrefix } from "./search.js";
