/** What `quorate check` was asked to do, from its words. */
import {
  HISTORY_FORMATS,
  HistoryError,
  type HistoryFormat,
  type HistoryFormatOptions,
  MODEL_NAMES,
  type Model,
  modelByName,
} from "@quorate/raft/check";
import { usage } from "../failure.js";
import { parseWhole, shown } from "../values.js";

export interface CheckWords {
  readonly model: string;
  readonly format?: string;
  readonly initial?: string;
  /** `--keyed`, `--no-keyed`, or neither. */
  readonly keyed?: boolean;
  readonly failedCas?: string;
  readonly maxSeconds: string;
  readonly maxMemoryMb?: string;
  readonly html?: string;
  readonly json?: true;
}

export interface CheckSettings {
  /** A file, or `-` for standard input. */
  readonly history: string;
  readonly model: Model<unknown>;
  readonly reading: HistoryFormatOptions;
  readonly maxSeconds: number;
  readonly maxMemoryMb: number;
  /** Where the page is written; null: nowhere. */
  readonly html: string | null;
  readonly json: boolean;
}

const DEFAULT_MEMORY_MB = 1024;
/** States are kept in the heap, where other things are too. */
const SHARE_OF_HEAP = 0.7;

/** `heapLimitMb` is what this process may take at most for its heap: beyond it, it would end without a word. */
export function checkSettings(history: string, words: CheckWords, heapLimitMb: number): CheckSettings {
  return {
    history,
    model: modelOf(words),
    reading: readingOf(words),
    maxSeconds: parseWhole("--max-seconds", words.maxSeconds, 1, 1_000_000),
    maxMemoryMb: memoryOf(words, heapLimitMb),
    html: words.html ?? null,
    json: words.json === true,
  };
}

function memoryOf({ maxMemoryMb }: CheckWords, heapLimitMb: number): number {
  const highest = Math.floor(heapLimitMb * SHARE_OF_HEAP);
  if (maxMemoryMb === undefined) return Math.min(DEFAULT_MEMORY_MB, highest);
  const asked = parseWhole("--max-memory-mb", maxMemoryMb, 1, 1_000_000);
  if (asked <= highest) return asked;
  const heap = `Node.js has a heap of ${Math.floor(heapLimitMb)} MB here`;
  throw usage(
    `--max-memory-mb is ${asked}, and ${heap}: set NODE_OPTIONS=--max-old-space-size=${Math.ceil(asked / SHARE_OF_HEAP)}`,
  );
}

function modelOf({ model, initial }: CheckWords): Model<unknown> {
  if (!MODEL_NAMES.includes(model)) throw usage(`--model is ${shown(model)}: it must be one of ${MODEL_NAMES.join(", ")}`);
  try {
    return modelByName(model, initial === undefined ? {} : { initial: parseInitial(initial) });
  } catch (error) {
    if (error instanceof HistoryError) throw usage(`--initial can't be used: ${error.message}`);
    throw error;
  }
}

function parseInitial(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw usage(`--initial is ${shown(text)}: write the value as JSON, like 0 or '""'`);
  }
}

function readingOf({ format, keyed, failedCas = "not-done" }: CheckWords): HistoryFormatOptions {
  if (failedCas !== "not-done" && failedCas !== "refused") {
    throw usage(`--failed-cas is ${shown(failedCas)}: it must be not-done or refused`);
  }
  const known = HISTORY_FORMATS.find((name): name is HistoryFormat => name === format);
  if (format !== undefined && known === undefined) {
    throw usage(`--format is ${shown(format)}: it must be one of ${HISTORY_FORMATS.join(", ")}`);
  }
  return { failedCas, ...(known === undefined ? {} : { format: known }), ...(keyed === undefined ? {} : { keyed }) };
}
