/**
 * The values of options: addresses, URLs, lists of members, whole numbers, node names. Each check says which option, what
 * was given and how it is written. Ranges of the node's own numbers are not repeated here: the node checks them before it
 * touches anything, and its sentence is put in the words of the command line (failure.ts).
 */
import { z } from "zod";
import { usage } from "./failure.js";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Member {
  readonly name: string;
  /** host:port */
  readonly address: string;
}

const ADDRESS = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s/,=]+):(\d{1,5})$/;

/** What was given, short enough for a sentence. */
export function shown(text: string): string {
  return `"${text.length > 80 ? `${text.slice(0, 80)}…` : text}"`;
}

const port = z.coerce.number().int().min(1).max(65_535);

/** host:port as its two parts, or null. */
export function splitAddress(text: string): Address | null {
  const [, host, digits] = ADDRESS.exec(text) ?? [];
  const parsed = port.safeParse(digits);
  return host === undefined || !parsed.success ? null : { host, port: parsed.data };
}

export function checkAddress(option: string, text: string): string {
  if (splitAddress(text) === null) {
    throw usage(`${option} is ${shown(text)}: write it as host:port, with a port from 1 to 65535, like 127.0.0.1:2379`);
  }
  return text;
}

/** `a=host:port,b=host:port,c=host:port`. */
export function parseCluster(option: string, text: string): readonly Member[] {
  const members = text.split(",").map((part): Member => {
    const equals = part.indexOf("=");
    const name = part.slice(0, equals).trim();
    const address = part.slice(equals + 1).trim();
    if (equals < 0 || name === "" || splitAddress(address) === null) {
      throw usage(
        `${option} has the part ${shown(part)}: write each member as name=host:port, joined by commas, like a=10.0.0.1:2380,b=10.0.0.2:2380,c=10.0.0.3:2380`,
      );
    }
    return { name, address };
  });
  for (const field of ["name", "address"] as const) {
    const seen = new Set<string>();
    for (const member of members) {
      if (seen.has(member[field]))
        throw usage(`${option} has the ${field} ${shown(member[field])} twice: each member has its own`);
      seen.add(member[field]);
    }
  }
  return members;
}

const whole = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number)
  .refine(Number.isSafeInteger);

/** A whole number in decimal digits, with no range but that of the options given. */
export function parseWhole(option: string, text: string, lowest = 0, highest = Number.MAX_SAFE_INTEGER): number {
  const parsed = whole.safeParse(text);
  if (!parsed.success || parsed.data < lowest || parsed.data > highest) {
    const range = highest === Number.MAX_SAFE_INTEGER ? `of at least ${lowest}` : `from ${lowest} to ${highest}`;
    throw usage(`${option} is ${shown(text)}: it must be a whole number ${range}`);
  }
  return parsed.data;
}

const clientUrl = z.url({ protocol: /^https?$/ });

/** http://host:port, without a path. */
export function checkUrl(option: string, text: string): string {
  const parsed = clientUrl.safeParse(text);
  const url = parsed.success ? new URL(parsed.data) : null;
  if (url === null || url.port === "" || url.pathname !== "/" || url.search !== "" || url.hash !== "" || url.username !== "") {
    throw usage(`${option} is ${shown(text)}: write it as a URL with a port and no path, like http://10.0.0.1:2379`);
  }
  return text.replace(/\/$/, "");
}

/** `host:port,host:port`; `http://` before each is allowed, as other tools write endpoints so. */
export function parseEndpoints(option: string, text: string): readonly string[] {
  return text.split(",").map((part) => {
    const trimmed = part.trim();
    if (trimmed.startsWith("https://")) {
      throw usage(`${option} has ${shown(trimmed)}: TLS is not spoken yet; give the plain port as http://host:port or host:port`);
    }
    return checkAddress(option, trimmed.replace(/^http:\/\//, "").replace(/\/$/, ""));
  });
}
