/**
 * The handshake: what is said once, in each direction, before the first frame (docs/wire-format.md).
 *
 *     "QUOR" | u16 minVersion | u16 maxVersion | u8 kind | u8 0 | u16 length | body | u32 crc32c(all before)
 *
 * This envelope is the same in every version there will ever be, as is the body of a refusal (a text): so two nodes that
 * have no version in common can still tell each other so in words. The body of an opening is in the layout of the *lowest*
 * version its sender offers, the body of an acceptance in that of the version chosen.
 *
 * Nothing here is believed before the checksum fits, and a handshake is never longer than 4 KiB.
 */
import { ByteReader, ByteWriter, DecodeError, decoding } from "../../core/bytes.js";
import { decodeUtf8, encodeUtf8 } from "../../core/utf8.js";
import { crc32c } from "../crc32c.js";
import type { Channel, Hello, PeerHello } from "../ports.js";

export interface VersionRange {
  readonly min: number;
  readonly max: number;
}

/** What this code speaks. */
export const PROTOCOL_VERSIONS: VersionRange = { min: 1, max: 3 };

export const MAX_HANDSHAKE_BYTES = 4096;
export const MAX_REFUSAL_BYTES = 1024;

const MAGIC = [0x51, 0x55, 0x4f, 0x52] as const; // QUOR
const HEADER_BYTES = 12;
const CHECKSUM_BYTES = 4;
const MAX_BODY_BYTES = MAX_HANDSHAKE_BYTES - HEADER_BYTES - CHECKSUM_BYTES;

const OPENING = 1;
const ACCEPTED = 2;
const REFUSED = 3;

const CHANNELS: readonly Channel[] = ["main", "bulk"];
const CLUSTER_ID_BYTES = 16;
const MAX_NAME_BYTES = 64;
const MAX_FOUNDERS = 15;

/** The envelope of a handshake, whole and with a checksum that fits; the body is not understood yet. */
export interface Envelope {
  readonly kind: number;
  readonly versions: VersionRange;
  readonly body: Uint8Array;
}

export type Opening =
  | { readonly ok: true; readonly version: number; readonly channel: Channel; readonly hello: PeerHello }
  /** `answer`: the caller is of our kind, but there is no understanding; the words are for it. Null: rubbish, no answer. */
  | { readonly ok: false; readonly reason: string; readonly answer: string | null };

export type Answer =
  | { readonly ok: true; readonly kind: "accepted"; readonly version: number; readonly hello: PeerHello }
  | { readonly ok: true; readonly kind: "refused"; readonly versions: VersionRange; readonly reason: string }
  | { readonly ok: false; readonly reason: string };

// ---- Encoding ----

/** What the dialling side says. Throws a RangeError when `hello` breaks a limit: that is a fault of this node. */
export function encodeOpening(channel: Channel, hello: Hello, versions: VersionRange = PROTOCOL_VERSIONS): Uint8Array {
  const body = new ByteWriter(MAX_HANDSHAKE_BYTES);
  body.u8(CHANNELS.indexOf(channel) + 1);
  writeHello(body, hello);
  return envelope(OPENING, versions, body.finish());
}

export function encodeAccepted(version: number, hello: Hello): Uint8Array {
  const body = new ByteWriter(MAX_HANDSHAKE_BYTES);
  writeHello(body, hello);
  return envelope(ACCEPTED, { min: version, max: version }, body.finish());
}

/** The reason is cut to 1 KiB, and never in the middle of a character. */
export function encodeRefused(reason: string, versions: VersionRange = PROTOCOL_VERSIONS): Uint8Array {
  const body = new ByteWriter(MAX_HANDSHAKE_BYTES);
  for (const letter of reason) {
    const bytes = encodeUtf8(letter) ?? REPLACEMENT;
    if (body.length + bytes.length > MAX_REFUSAL_BYTES) break;
    body.raw(bytes);
  }
  return envelope(REFUSED, versions, body.finish());
}

/** U+FFFD, for half a surrogate pair. */
const REPLACEMENT = Uint8Array.of(0xef, 0xbf, 0xbd);

function envelope(kind: number, versions: VersionRange, body: Uint8Array): Uint8Array {
  if (body.length > MAX_BODY_BYTES) throw new RangeError(`a handshake of ${body.length} bytes is longer than ${MAX_BODY_BYTES}`);
  const writer = new ByteWriter(HEADER_BYTES + body.length + CHECKSUM_BYTES);
  writer.raw(Uint8Array.from(MAGIC));
  writer.u16(versions.min);
  writer.u16(versions.max);
  writer.u8(kind);
  writer.u8(0);
  writer.u16(body.length);
  writer.raw(body);
  writer.u32(crc32c(writer.finish()));
  return writer.finish();
}

function writeHello(writer: ByteWriter, hello: Hello): void {
  if (hello.clusterId.length !== CLUSTER_ID_BYTES)
    throw new RangeError(`hello: clusterId has ${hello.clusterId.length} bytes, it must have ${CLUSTER_ID_BYTES}`);
  if (hello.founders.length > MAX_FOUNDERS)
    throw new RangeError(`hello: ${hello.founders.length} founders, at most ${MAX_FOUNDERS} are possible`);
  writer.raw(hello.clusterId);
  writeName(writer, hello.name);
  writer.big64(hello.incarnation);
  writer.u64(hello.boot);
  writer.u8(hello.founders.length);
  for (const { name, incarnation } of hello.founders) {
    writeName(writer, name);
    writer.big64(incarnation);
  }
}

function writeName(writer: ByteWriter, name: string): void {
  const before = writer.length;
  writer.text(name);
  const length = writer.length - before - 2;
  if (length < 1 || length > MAX_NAME_BYTES)
    throw new RangeError(`hello: a name of ${length} bytes; it must have 1 to ${MAX_NAME_BYTES}`);
}

// ---- Reading the envelope ----

export type HandshakeProgress =
  | { readonly state: "more" }
  /** `rest`: the bytes after it, a view of the last chunk. */
  | { readonly state: "whole"; readonly envelope: Envelope; readonly rest: Uint8Array }
  | { readonly state: "rubbish"; readonly reason: string };

/** Collects one handshake from a stream in pieces of any size. Never holds more than 4 KiB. */
export class HandshakeReader {
  readonly #bytes = new Uint8Array(MAX_HANDSHAKE_BYTES);
  #length = 0;

  /** Bytes that have arrived. */
  get length(): number {
    return this.#length;
  }

  /** Not to be called again after "whole" or "rubbish". */
  push(chunk: Uint8Array): HandshakeProgress {
    let taken = 0;
    // First the header, then as much as it announces: what follows is not ours.
    for (;;) {
      const wanted = this.#length < HEADER_BYTES ? HEADER_BYTES : HEADER_BYTES + this.#bodyLength + CHECKSUM_BYTES;
      const count = Math.min(wanted - this.#length, chunk.length - taken);
      this.#bytes.set(chunk.subarray(taken, taken + count), this.#length);
      this.#length += count;
      taken += count;
      const reason = this.#faultOfHeader();
      if (reason !== null) return { state: "rubbish", reason };
      if (this.#length < wanted) return { state: "more" };
      if (wanted > HEADER_BYTES) return this.#whole(wanted, chunk.subarray(taken));
    }
  }

  get #bodyLength(): number {
    return (this.#bytes[10] ?? 0) | ((this.#bytes[11] ?? 0) << 8);
  }

  /** As soon as there is something to say about it: a stranger is not listened to for longer than needed. */
  #faultOfHeader(): string | null {
    const seen = this.#bytes.subarray(0, Math.min(this.#length, MAGIC.length));
    if (seen.some((byte, place) => byte !== MAGIC[place])) {
      const spoken = Array.from(this.#bytes.subarray(0, Math.min(this.#length, 8)), (byte) =>
        byte.toString(16).padStart(2, "0"),
      ).join(" ");
      return `it does not speak the peer protocol (it begins with ${spoken})${guess(this.#bytes)}`;
    }
    if (this.#length < HEADER_BYTES) return null;
    if (this.#bodyLength > MAX_BODY_BYTES)
      return `its handshake announces ${this.#bodyLength} bytes, at most ${MAX_BODY_BYTES} are allowed`;
    return null;
  }

  #whole(length: number, rest: Uint8Array): HandshakeProgress {
    const end = length - CHECKSUM_BYTES;
    const view = new DataView(this.#bytes.buffer, 0, length);
    if (crc32c(this.#bytes, 0, end) !== view.getUint32(end, true))
      return { state: "rubbish", reason: "its handshake is damaged: the checksum does not fit" };
    const versions = { min: view.getUint16(4, true), max: view.getUint16(6, true) };
    if (versions.min < 1 || versions.max < versions.min)
      return { state: "rubbish", reason: `its handshake offers versions ${versions.min} to ${versions.max}, which is no range` };
    if (view.getUint8(9) !== 0) return { state: "rubbish", reason: `its handshake holds ${view.getUint8(9)} where 0 is wanted` };
    return { state: "whole", envelope: { kind: view.getUint8(8), versions, body: this.#bytes.slice(HEADER_BYTES, end) }, rest };
  }
}

/** The usual strangers, so that the message names the mistake. */
function guess(bytes: Uint8Array): string {
  const start = String.fromCharCode(...bytes.subarray(0, 4));
  if (/^(GET|POST|PUT|HEAD|PRI|OPTI)/.test(start)) return ": that is HTTP; a client was given the peers' port";
  if (bytes[0] === 0x16 && bytes[1] === 3) return ": that is TLS, which is not spoken on this port";
  return "";
}

// ---- Understanding the body ----

export function decodeOpening(envelope: Envelope, ours: VersionRange = PROTOCOL_VERSIONS): Opening {
  if (envelope.kind !== OPENING)
    return { ok: false, reason: `its handshake is of kind ${envelope.kind}, ${OPENING} is wanted`, answer: null };
  const theirs = envelope.versions;
  if (theirs.min > ours.max || theirs.max < ours.min) {
    const words = `speaks peer protocol version ${rangeText(theirs)}, this node speaks ${rangeText(ours)}: upgrade ${theirs.min > ours.max ? "this node" : "the caller"} first`;
    return { ok: false, reason: `it ${words}`, answer: `the caller ${words}` };
  }
  const decoded = decoding(() => {
    const reader = new ByteReader(envelope.body);
    const channel = CHANNELS[reader.u8() - 1];
    if (channel === undefined) throw new DecodeError("names a channel that is unknown here");
    const hello = readHello(reader);
    reader.end();
    return { channel, hello };
  });
  if (decoded.ok) {
    const version = Math.min(ours.max, theirs.max);
    const { channel, hello } = decoded.value;
    return { ok: true, version, channel, hello: { ...hello, version } };
  }
  const words = `handshake can't be understood: it ${decoded.reason}`;
  return { ok: false, reason: `its ${words}`, answer: `the caller's ${words}` };
}

export function decodeAnswer(envelope: Envelope, ours: VersionRange = PROTOCOL_VERSIONS): Answer {
  const { kind, versions, body } = envelope;
  if (kind === REFUSED) {
    const reason = body.length <= MAX_REFUSAL_BYTES ? decodeUtf8(body) : null;
    if (reason === null) return { ok: false, reason: "its refusal can't be read: it is not a text, or too long" };
    return { ok: true, kind: "refused", versions, reason: printable(reason) };
  }
  if (kind === OPENING) return { ok: false, reason: "it answers with an opening: it only echoes, or dials a port that dials" };
  if (kind !== ACCEPTED) return { ok: false, reason: `its answer is of kind ${kind}, which is unknown here` };
  if (versions.min !== versions.max || versions.min < ours.min || versions.max > ours.max) {
    return { ok: false, reason: `it chose version ${rangeText(versions)}, which was not offered` };
  }
  const decoded = decoding(() => {
    const reader = new ByteReader(body);
    const hello = readHello(reader);
    reader.end();
    return hello;
  });
  return decoded.ok
    ? { ok: true, kind: "accepted", version: versions.min, hello: { ...decoded.value, version: versions.min } }
    : { ok: false, reason: `its answer ${decoded.reason}` };
}

function readHello(reader: ByteReader): Hello {
  const clusterId = reader.raw(CLUSTER_ID_BYTES).slice();
  const name = readName(reader);
  const incarnation = reader.big64();
  const boot = reader.u64();
  const count = reader.u8();
  if (count > MAX_FOUNDERS) throw new DecodeError(`lists ${count} founders, at most ${MAX_FOUNDERS} are possible`);
  const founders: { name: string; incarnation: bigint }[] = [];
  for (let place = 0; place < count; place += 1) {
    const founder = { name: readName(reader), incarnation: reader.big64() };
    const before = founders.at(-1);
    if (before !== undefined && before.name >= founder.name) throw new DecodeError("lists founders out of order");
    founders.push(founder);
  }
  return { clusterId, name, incarnation, boot, founders };
}

function readName(reader: ByteReader): string {
  const name = reader.text(MAX_NAME_BYTES);
  if (name === "") throw new DecodeError("holds an empty name");
  return name;
}

function rangeText({ min, max }: VersionRange): string {
  return min === max ? String(min) : `${min} to ${max}`;
}

/** A text from outside, for a message to a person: control characters could rewrite what a terminal shows. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");
}
