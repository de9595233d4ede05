/**
 * The status of a gRPC call: a number, a text, and how the two travel in HTTP/2 headers.
 *
 * Source: the gRPC documents "Status codes" and "gRPC over HTTP2" (Responses; Percent-encoded status message).
 */

export const GrpcCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type GrpcCode = (typeof GrpcCode)[keyof typeof GrpcCode];

/** How a call ends other than with an answer. The text is part of the API: clients of etcd match on it. */
export class GrpcError extends Error {
  override readonly name = "GrpcError";
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * A status text as the value of `grpc-message`: UTF-8, where every byte outside of printable ASCII, and `%`, is written
 * as `%XX`. Nearly every text is plain already and is returned as it is.
 */
export function encodeGrpcMessage(message: string): string {
  if (isPlain(message)) {
    return message;
  }
  let encoded = "";
  for (const byte of Buffer.from(message, "utf8")) {
    encoded += byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : `%${hex(byte)}`;
  }
  return encoded;
}

/** The reverse, lenient as the specification asks: what can't be decoded is kept as it came. */
export function decodeGrpcMessage(encoded: string): string {
  if (!encoded.includes("%")) {
    return encoded;
  }
  const source = Buffer.from(encoded, "latin1");
  const bytes: number[] = [];
  for (let at = 0; at < source.length; at++) {
    const digits = source.toString("latin1", at + 1, at + 3);
    if (source[at] === 0x25 && /^[0-9a-fA-F]{2}$/.test(digits)) {
      bytes.push(Number.parseInt(digits, 16));
      at += 2;
    } else {
      bytes.push(source[at] ?? 0);
    }
  }
  return Buffer.from(bytes).toString("utf8");
}

function isPlain(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit > 0x7e || unit === 0x25) {
      return false;
    }
  }
  return true;
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}

const TIMEOUT_UNITS_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000_001,
};

/**
 * The value of `grpc-timeout` (at most eight digits and a unit) in milliseconds, rounded up; null when it is not one.
 */
export function parseGrpcTimeout(value: string): number | null {
  const unit = TIMEOUT_UNITS_MS[value.slice(-1)];
  const digits = value.slice(0, -1);
  if (unit === undefined || digits.length > 8 || !/^[0-9]+$/.test(digits)) {
    return null;
  }
  return Math.ceil(Number(digits) * unit);
}
