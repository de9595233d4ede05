/**
 * Reads a TypeScript source just far enough to know its names and its imports: comments, strings, templates and regular
 * expressions are told apart from code, and nothing more is understood. The compiler has no interface for programs, and
 * the rules of this folder need no more than this.
 */

export interface Token {
  readonly kind: "name" | "string" | "number" | "regexp" | "template" | "punctuation";
  /** A string without its quotes, escapes left as they are; anything else as it is written. */
  readonly text: string;
  readonly line: number;
}

export interface Import {
  /** What stands between the quotes; null if a dynamic import computes it. */
  readonly specifier: string | null;
  /** Erased by the compiler: `import type` or `export type`. An inline `{ type A }` is not, the module is still loaded. */
  readonly typeOnly: boolean;
  readonly kind: "import" | "export" | "dynamic";
  readonly line: number;
}

/** After one of these words a slash begins a regular expression; after any other name it divides. */
const WORDS_BEFORE_REGEXP = new Set(
  "return typeof case in of instanceof void delete throw new do else yield await extends default".split(" "),
);

const NAME = /[\p{ID_Start}$_#][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\.?\d(?:[eE][+-]|[\w.])*/y;
const PUNCTUATION = /=>|\?\.(?!\d)|\.\.\.|\*\*|&&|\|\||\?\?|[=!]==?|[<>]=?|\+\+|--|[^\s]/y;

export function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  /** Open braces; true where the brace is the `${` of a template, which goes on after it. */
  const braces: boolean[] = [];
  let place = source.startsWith("#!") ? endOfLine(source, 0) : 0;
  let line = 1;

  const push = (kind: Token["kind"], text: string, end: number): void => {
    tokens.push({ kind, text, line });
    skipTo(end);
  };
  const skipTo = (end: number): void => {
    for (let at = place; at < end; at += 1) if (source.charCodeAt(at) === 10) line += 1;
    place = end;
  };
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = place;
    return pattern.exec(source)?.[0] ?? null;
  };
  /** From after a backtick or after the brace that closes a `${}`. */
  const template = (): void => {
    const end = endOfTemplatePart(source, place);
    if (source.startsWith("${", end)) {
      push("template", source.slice(place, end), end + 2);
      braces.push(true);
    } else {
      push("template", source.slice(place, end), end + 1);
    }
  };

  while (place < source.length) {
    const char = source.charAt(place);
    if (/\s/u.test(char)) skipTo(place + 1);
    else if (source.startsWith("//", place)) skipTo(endOfLine(source, place));
    else if (source.startsWith("/*", place)) skipTo(endAfter(source, "*/", place + 2));
    else if (char === '"' || char === "'") {
      const end = endOfString(source, place);
      push("string", source.slice(place + 1, end - 1), end);
    } else if (char === "`") {
      skipTo(place + 1);
      template();
    } else if (char === "/" && regexpMayFollow(tokens.at(-1))) {
      const end = endOfRegexp(source, place);
      push("regexp", source.slice(place, end), end);
    } else if (char === "}" && braces.pop() === true) {
      skipTo(place + 1);
      template();
    } else {
      const name = match(NAME);
      const number = name === null ? match(NUMBER) : null;
      const text = name ?? number ?? match(PUNCTUATION) ?? char;
      if (text === "{") braces.push(false);
      push(name !== null ? "name" : number !== null ? "number" : "punctuation", text, place + text.length);
    }
  }
  return tokens;
}

export function findImports(tokens: readonly Token[]): Import[] {
  const found: Import[] = [];
  tokens.forEach((token, at) => {
    if (token.kind !== "name" || isMember(tokens, at)) return;
    const next = tokens[at + 1];
    const { line } = token;
    if (token.text === "import" && next?.text === "(") {
      const argument = tokens[at + 2];
      found.push({ specifier: argument?.kind === "string" ? argument.text : null, typeOnly: false, kind: "dynamic", line });
    } else if (token.text === "import" && next?.kind === "string") {
      found.push({ specifier: next.text, typeOnly: false, kind: "import", line });
    } else if (token.text === "import" || token.text === "export") {
      const specifier = specifierOf(tokens, at);
      if (specifier !== null) found.push({ specifier, typeOnly: saysType(tokens, at), kind: token.text, line });
    }
  });
  return found;
}

/** Whether the name is a member of something (`a.b`, `a?.b`), so that it says nothing about a global of that name. */
export function isMember(tokens: readonly Token[], at: number): boolean {
  const before = tokens[at - 1]?.text;
  return tokens[at - 1]?.kind === "punctuation" && (before === "." || before === "?.");
}

/** Where an `import` or `export` clause has its `from "…"`; null if it is an export of something declared here. */
function specifierOf(tokens: readonly Token[], start: number): string | null {
  let depth = 0;
  for (let at = start + 1; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token === undefined) return null;
    if (token.kind === "punctuation") {
      if (token.text === "{") depth += 1;
      else if (token.text === "}") depth -= 1;
      else if (token.text !== "," && token.text !== "*") return null;
    } else if (token.kind === "string") {
      // `from` may itself be imported: only the one in front of a string, outside of the braces, ends the clause.
      if (depth === 0) return tokens[at - 1]?.text === "from" ? token.text : null;
    } else if (token.kind !== "name") {
      return null;
    }
  }
  return null;
}

function saysType(tokens: readonly Token[], start: number): boolean {
  if (tokens[start + 1]?.text !== "type") return false;
  // `import type from "x"` imports a default that is called `type`.
  return !(tokens[start + 2]?.text === "from" && tokens[start + 3]?.kind === "string");
}

function regexpMayFollow(before: Token | undefined): boolean {
  if (before === undefined) return true;
  if (before.kind === "name") return WORDS_BEFORE_REGEXP.has(before.text);
  return before.kind === "punctuation" && !([")", "]", "}", "++", "--"] as readonly string[]).includes(before.text);
}

function endOfLine(source: string, from: number): number {
  const end = source.indexOf("\n", from);
  return end === -1 ? source.length : end;
}

function endAfter(source: string, mark: string, from: number): number {
  const end = source.indexOf(mark, from);
  return end === -1 ? source.length : end + mark.length;
}

function endOfString(source: string, start: number): number {
  const quote = source.charAt(start);
  let at = start + 1;
  while (at < source.length && source.charAt(at) !== quote) at += source.charAt(at) === "\\" ? 2 : 1;
  return at + 1;
}

function endOfTemplatePart(source: string, from: number): number {
  let at = from;
  while (at < source.length && source.charAt(at) !== "`" && !source.startsWith("${", at)) {
    at += source.charAt(at) === "\\" ? 2 : 1;
  }
  return at;
}

function endOfRegexp(source: string, start: number): number {
  let inClass = false;
  let at = start + 1;
  for (; at < source.length; at += 1) {
    const char = source.charAt(at);
    if (char === "\\") at += 1;
    else if (char === "[") inClass = true;
    else if (char === "]") inClass = false;
    else if (char === "\n" || (char === "/" && !inClass)) break;
  }
  at += 1;
  while (/[a-z]/.test(source.charAt(at))) at += 1;
  return at;
}
