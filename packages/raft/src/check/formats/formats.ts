/** The formats by their names, and what a text looks like. */

import { HistoryError, type Operation } from "../history.js";
import { type JepsenOptions, parseJepsenEdn, parseJepsenLog } from "./jepsen.js";
import { parseJsonLines } from "./json-lines.js";

export type HistoryFormat = "jsonl" | "edn" | "jepsen-log";

export const HISTORY_FORMATS: readonly HistoryFormat[] = ["jsonl", "edn", "jepsen-log"];

export interface HistoryFormatOptions extends JepsenOptions {
  /** By default what the text looks like. */
  readonly format?: HistoryFormat;
}

/** The operations of a history in any of the formats. Throws a `HistoryError`, which names the line if there is one. */
export function parseHistory(text: string, options: HistoryFormatOptions = {}): Operation[] {
  const format = options.format ?? guessFormat(text);
  if (format === null) {
    throw new HistoryError(`this looks like none of the formats ${HISTORY_FORMATS.join(", ")}: name the one that it is`);
  }
  if (format === "jsonl") {
    if (options.keyed === true) throw new HistoryError("values of jsonl are not keyed: there, a key has a field of its own");
    return parseJsonLines(text, options);
  }
  return format === "edn" ? parseJepsenEdn(text, options) : parseJepsenLog(text, options);
}

/** By what it begins with, and for a log by any line that shows an event; null: it looks like none. */
export function guessFormat(text: string): HistoryFormat | null {
  const begin = /^[\s,]*/.exec(text)?.[0].length ?? 0;
  const beginning = text.slice(begin, begin + 200);
  if (/^\{\s*("|\}|$)/.test(beginning)) return "jsonl";
  if (/^(\{|\(|#|;|\[\s*[{(#;\]])/.test(beginning)) return "edn";
  return /\s:(invoke|ok|fail|info)\s/.test(text) ? "jepsen-log" : null;
}
