/**
 * A reader of EDN (the extensible data notation of Clojure), as far as histories need it. Everything becomes plain data, so
 * that models know one kind of data only:
 *
 * - nil, booleans and strings are themselves. So are numbers, but for integers that JavaScript cannot tell from their neighbours,
 *   ratios and big decimals (1/3, 1.5M): these become the text that stands there.
 * - Keywords, symbols and characters become strings, keywords without the colon.
 * - Vectors and lists become arrays; sets become arrays in an order that depends on their content alone.
 * - Maps become objects; a key that is no string becomes the text of what it is.
 * - Of a tagged literal the tag is left out, so that a record is a map. Comments and discarded forms are nothing.
 */

import { HistoryError } from "../history.js";
import { canonicalText } from "../values.js";
import { DEEPEST } from "./pairing.js";

/** A form and the line in which it begins. */
export interface EdnForm {
  readonly value: unknown;
  readonly line: number;
}

/** The forms of a text one by one; where the text is one vector or list, the forms in it. */
export function* readEdnForms(text: string): Generator<EdnForm> {
  const reader = new EdnReader(text);
  if (reader.peek() !== "[" && reader.peek() !== "(") {
    yield* reader.formsUntil(null);
    return;
  }
  yield* reader.formsUntil(reader.open());
  if (reader.peek() !== "") throw reader.error("there is more after the end of the vector: give one vector, or one form a line");
}

/** The first form of a piece of a line, and nothing of what follows it. */
export function readFirstEdnForm(text: string, line: number): unknown {
  const reader = new EdnReader(text, line);
  if (reader.peek() === "") throw reader.error("a value is missing");
  return reader.form();
}

interface Opened {
  readonly closer: string;
  readonly opener: string;
  readonly line: number;
}

const CLOSERS: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}", "#{": "}" };

/** Ends a token: whitespace (a comma too) and whatever begins or ends something else. */
const TOKEN = /[^\s,()[\]{}";]*/y;
const SPACE = /[\s,]*/y;

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", '"': '"', "\\": "\\" };

const NUMBERS: ReadonlyMap<string, number> = new Map([
  ["Inf", Number.POSITIVE_INFINITY],
  ["-Inf", Number.NEGATIVE_INFINITY],
  ["NaN", Number.NaN],
]);

const CHARACTERS: Readonly<Record<string, string>> = { newline: "\n", space: " ", tab: "\t", return: "\r" };

class EdnReader {
  readonly #text: string;
  #at = 0;
  #line: number;
  #depth = 0;

  constructor(text: string, line = 1) {
    this.#text = text;
    this.#line = line;
  }

  error(message: string, line = this.#line): HistoryError {
    return new HistoryError(message, line);
  }

  /** The character with which the next form begins, or that ends what is open; "" at the end of the text. */
  peek(): string {
    for (let discarded = 0; ; ) {
      this.#skip(SPACE);
      const next = this.#text[this.#at] ?? "";
      if (next === ";") this.#skipComment();
      else if (next === "#" && this.#text[this.#at + 1] === "_") {
        this.#at += 2;
        discarded += 1;
      } else if (discarded === 0) return next;
      else if (next === "") throw this.error("#_ discards the form after it, and there is none");
      else {
        this.form();
        discarded -= 1;
      }
    }
  }

  /** After `peek` found an opening bracket. */
  open(): Opened {
    const opener = this.#text.startsWith("#{", this.#at) ? "#{" : (this.#text[this.#at] ?? "");
    this.#at += opener.length;
    return { opener, closer: CLOSERS[opener] ?? "", line: this.#line };
  }

  /** The forms up to the bracket that closes, or to the end of the text. */
  *formsUntil(opened: Opened | null): Generator<EdnForm> {
    for (;;) {
      const next = this.peek();
      if (next === "" && opened === null) return;
      if (next === "") throw this.error(`the ${opened?.opener} of this line is never closed`, opened?.line);
      if (next === opened?.closer) {
        this.#at += 1;
        return;
      }
      const line = this.#line;
      yield { value: this.form(), line };
    }
  }

  /** The form that begins here, after `peek`. */
  form(): unknown {
    this.#depth += 1;
    if (this.#depth > DEEPEST) throw this.error(`nested more than ${DEEPEST} deep`);
    const value = this.#form();
    this.#depth -= 1;
    return value;
  }

  #form(): unknown {
    const next = this.#text[this.#at] ?? "";
    if (next === '"') return this.#string();
    if (next === "[" || next === "(") return this.#list();
    if (next === "{") return this.#map();
    if (next === "#") return this.#dispatch();
    if (next === "\\") return this.#character();
    if (next === ")" || next === "]" || next === "}") throw this.error(`${next} closes nothing`);
    return this.#atom(this.#token());
  }

  #list(): unknown[] {
    return [...this.formsUntil(this.open())].map(({ value }) => value);
  }

  #map(): Record<string, unknown> {
    const opened = this.open();
    const parts = [...this.formsUntil(opened)].map(({ value }) => value);
    if (parts.length % 2 !== 0) throw this.error("a map has a key without a value", opened.line);
    const fields = new Map<string, unknown>();
    for (let at = 0; at < parts.length; at += 2) {
      const key = typeof parts[at] === "string" ? (parts[at] as string) : canonicalText(parts[at]);
      if (fields.has(key)) throw this.error(`a map has the key ${key} twice`, opened.line);
      fields.set(key, parts[at + 1]);
    }
    return Object.fromEntries(fields);
  }

  /** Sets, tags and the numbers that have no digits. */
  #dispatch(): unknown {
    const after = this.#text[this.#at + 1];
    if (after === "{") return this.#list().sort((left, right) => (canonicalText(left) < canonicalText(right) ? -1 : 1));
    this.#at += after === "#" ? 2 : 1;
    const name = this.#token();
    if (after === "#") {
      const value = NUMBERS.get(name);
      if (value === undefined) throw this.error(`##${name} is no number`);
      return value;
    }
    if (name === "" || name === ":") throw this.error("# must be followed by a tag, a set or _");
    if (this.peek() === "") throw this.error(`the tag #${name} must be followed by a form`);
    return this.form();
  }

  #string(): string {
    const begin = this.#line;
    let value = "";
    for (this.#at += 1; ; this.#at += 1) {
      const next = this.#text[this.#at];
      if (next === undefined) throw this.error("the string that begins in this line is never closed", begin);
      if (next === '"') break;
      if (next === "\n") this.#line += 1;
      value += next === "\\" ? this.#escape() : next;
    }
    this.#at += 1;
    return value;
  }

  /** Ends at the last character of the escape. */
  #escape(): string {
    this.#at += 1;
    const kind = this.#text[this.#at] ?? "";
    if (kind === "u") {
      const digits = this.#text.slice(this.#at + 1, this.#at + 5);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.error("\\u must be followed by four hexadecimal digits");
      this.#at += 4;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const value = ESCAPES[kind];
    if (value === undefined) throw this.error(`\\${kind} means nothing in a string`);
    return value;
  }

  #character(): string {
    this.#at += 1;
    // Brackets and the like are characters too.
    const first = this.#text[this.#at] ?? "";
    const name = this.#token();
    if (name === "") this.#at += 1;
    const code = /^u([0-9a-fA-F]{4})$/.exec(name)?.[1];
    if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
    const value = CHARACTERS[name] ?? (name === "" ? first : name);
    if (value.length !== 1) throw this.error(`\\${name} is no character`);
    return value;
  }

  #atom(token: string): unknown {
    if (token === "nil") return null;
    if (token === "true" || token === "false") return token === "true";
    if (/^[+-]?\d/.test(token)) return this.#number(token);
    if (!token.startsWith(":")) return token;
    if (token === ":") throw this.error("a keyword has no name");
    return token.slice(1);
  }

  #number(token: string): number | string {
    if (/^[+-]?\d+N?$/.test(token)) {
      const digits = token.replace(/^\+/, "").replace(/N$/, "");
      const value = Number(digits);
      return Number.isSafeInteger(value) ? value : digits;
    }
    if (/^[+-]?\d+\/\d+$/.test(token) || /^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M$/.test(token)) return token;
    if (/^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$/.test(token)) return Number(token);
    if (/^[+-]?0[xX][0-9a-fA-F]+$/.test(token)) return Number.parseInt(token, 16);
    throw this.error(`${token} is no number`);
  }

  #token(): string {
    return this.#match(TOKEN);
  }

  #skip(pattern: RegExp): void {
    for (const character of this.#match(pattern)) if (character === "\n") this.#line += 1;
  }

  #skipComment(): void {
    const end = this.#text.indexOf("\n", this.#at);
    this.#at = end === -1 ? this.#text.length : end;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const matched = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += matched.length;
    return matched;
  }
}
