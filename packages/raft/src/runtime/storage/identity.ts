/**
 * Who this directory belongs to: cluster, name, and the 64 random bits that were drawn with it; how often it was started; and
 * the incarnations of the founders as they were first heard. One small file with two checksummed copies in different
 * blocks, always replaced as a whole (storage rule WAL9). Without it the directory is nobody's: with both copies bad a node
 * does not start (WAL15), because the votes it gave can't be told from those of another life.
 *
 * Copy: magic u32, format u16, length u32, crc32c u32, then cluster id (16 bytes), name text, incarnation u64, boot u64, founder
 * count u8 and for each: name text, incarnation u64. A copy takes 4 KiB.
 */
import { ByteReader, ByteWriter, DecodeError, decoding } from "../../core/bytes.js";
import { crc32c } from "../crc32c.js";
import type { FounderRecord } from "../founding.js";
import { type Disk, DiskError, type DiskFile } from "../ports.js";
import { call, perform, type Task } from "../task.js";
import { readExactly } from "./read.js";
import { BLOCK_BYTES } from "./record.js";
import { FORMAT_VERSION, type Owner } from "./segment.js";

export interface Identity extends Owner {
  /** 0 while the directory is being made; counts the starts afterwards. */
  readonly boot: number;
  /** Sorted by name, without this node. */
  readonly founders: readonly FounderRecord[];
}

const PATH = "identity";
const TEMPORARY = "identity.tmp";
const MAGIC = 0x44495551;
const PREFIX_BYTES = 14;

function encodeCopy(identity: Identity): Uint8Array {
  const body = new ByteWriter();
  body.raw(identity.clusterId);
  body.text(identity.name);
  body.big64(identity.incarnation);
  body.u64(identity.boot);
  body.u8(identity.founders.length);
  for (const { name, incarnation } of identity.founders) {
    body.text(name);
    body.big64(incarnation);
  }
  const fields = body.finish();
  const writer = new ByteWriter(BLOCK_BYTES);
  writer.u32(MAGIC);
  writer.u16(FORMAT_VERSION);
  writer.u32(fields.length);
  writer.u32(crc32c(fields));
  writer.raw(fields);
  writer.raw(new Uint8Array(BLOCK_BYTES - writer.length));
  return writer.finish();
}

function decodeCopy(bytes: Uint8Array): Identity {
  const prefix = new ByteReader(bytes);
  if (prefix.u32() !== MAGIC) throw new DecodeError("does not begin like an identity");
  const format = prefix.u16();
  if (format !== FORMAT_VERSION) throw new DecodeError(otherFormat(format));
  const length = prefix.u32();
  const crc = prefix.u32();
  if (length > prefix.remaining || crc32c(bytes, PREFIX_BYTES, PREFIX_BYTES + length) !== crc)
    throw new DecodeError("is damaged");
  const reader = new ByteReader(bytes, PREFIX_BYTES, PREFIX_BYTES + length);
  const owner = { clusterId: reader.raw(16).slice(), name: reader.text(64), incarnation: reader.big64() };
  const boot = reader.u64();
  const founders: FounderRecord[] = [];
  for (let left = reader.u8(); left > 0; left -= 1) founders.push({ name: reader.text(64), incarnation: reader.big64() });
  reader.end();
  return { ...owner, boot, founders };
}

/** The identity is the first file that is read: what another version wrote is refused here, before anything is looked at. */
function otherFormat(format: number): string {
  if (format < FORMAT_VERSION)
    return `has format ${format}, which was given up before the first release: begin with an empty directory`;
  return `has format ${format}, and this version reads up to ${FORMAT_VERSION}: start it with the version that wrote it, or a newer one`;
}

/** Null: the directory has no identity yet. Throws when both copies are bad, with the remedy. */
export function* readIdentity(disk: Disk): Task<Identity | null> {
  let file: DiskFile;
  try {
    file = yield* call<DiskFile>((done) => disk.open(PATH, "read", done));
  } catch (error) {
    if (error instanceof DiskError && error.code === "ENOENT") return null;
    throw error;
  }
  try {
    const size = yield* call<number>((done) => file.size(done));
    const bytes = yield* readExactly(file, 0, Math.min(size, 2 * BLOCK_BYTES));
    const reasons: string[] = [];
    for (const at of [0, BLOCK_BYTES]) {
      const copy = decoding(() => decodeCopy(bytes.subarray(at, at + BLOCK_BYTES)));
      if (copy.ok) return copy.value;
      reasons.push(copy.reason);
    }
    const other = reasons.find((reason) => reason.startsWith("has format"));
    if (other !== undefined) throw new Error(`${disk.location} ${other}. Nothing was changed`);
    throw new Error(
      `${disk.location}/${PATH} is damaged in both copies (${reasons[0]}): this node can't know who it is and how it voted. Remove this member from the cluster, keep the directory aside, and add the member again with an empty one`,
    );
  } finally {
    yield* perform((done) => file.close(done));
  }
}

/** Durable under its name when this returns. */
export function* writeIdentity(disk: Disk, identity: Identity): Task<void> {
  const copy = encodeCopy(identity);
  const bytes = new Uint8Array(2 * BLOCK_BYTES);
  bytes.set(copy);
  bytes.set(copy, BLOCK_BYTES);
  yield* perform((done) => disk.remove(TEMPORARY, () => done(null)));
  const file = yield* call<DiskFile>((done) => disk.open(TEMPORARY, "create", done));
  try {
    yield* perform((done) => file.write(0, bytes, done));
    yield* perform((done) => file.sync(done));
  } finally {
    yield* perform((done) => file.close(done));
  }
  yield* perform((done) => disk.rename(TEMPORARY, PATH, done));
  yield* perform((done) => disk.syncDirectory("", done));
}
