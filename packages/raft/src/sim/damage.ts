/**
 * Damage behind a node's back: bytes of its files change while nobody looks. Only what a node can find out by itself is done to
 * it; what no log can see (the very last write lost as if it had never been asked for, storage rows D9, D23 and D26) is outside of
 * what Raft promises on a disk that lies.
 */
import { RECORD_HEADER_BYTES, RecordType, readHeader } from "../runtime/storage/record.js";
import type { Incident } from "./plan.js";
import type { Platter } from "./platter.js";
import { SECTOR_BYTES } from "./platter-content.js";
import type { SeededRandom } from "./random.js";

type Damage = Extract<Incident, { kind: "damage" }>;

const BLOCK_BYTES = 4096;

/** Does it, and says what was done; null if there is nothing of the kind to damage. */
export function damageDisk(platter: Platter, { how, where, place }: Damage, chance: SeededRandom): string | null {
  if (how === "newestVote") return damageVote(platter, chance);
  const files = platter.files;
  const paths = [...files.keys()].filter((path) => belongsTo(path, where)).sort();
  // Zeros and old content look like a write that was never finished, if nothing follows: then they may be cut off, and must
  // not be. So they strike only segments that others follow.
  const candidates = where === "log" && how !== "flip" ? paths.slice(0, -2) : paths;
  const path = candidates[Math.floor((place / 2 ** 32) * candidates.length)];
  const bytes = path === undefined ? undefined : files.get(path);
  if (path === undefined || bytes === undefined) return null;
  const used = usedLength(bytes);
  if (used === 0) return null;
  const at = chance.below(used);
  if (how === "flip" || where === "identity") return flip(platter, path, bytes, at, chance);
  const start = at - (at % SECTOR_BYTES);
  if (how === "misdirected") {
    const source = chance.below(Math.ceil(used / BLOCK_BYTES)) * BLOCK_BYTES;
    const target = at - (at % BLOCK_BYTES);
    if (source === target) return null;
    const piece = bytes.slice(source, source + BLOCK_BYTES);
    platter.damage(path, (content) => content.set(piece.subarray(0, content.length - target), target));
    return `what belongs to byte ${source} of ${path} was written to byte ${target} too`;
  }
  const length = how === "zeros" ? SECTOR_BYTES : BLOCK_BYTES;
  if (isZero(bytes, start, start + length)) return null;
  platter.damage(path, (content) => content.fill(0, start, start + length));
  return `${length} bytes of ${path} from byte ${start} on ${how === "zeros" ? "are zeros now" : "were never written"}`;
}

/** One bit of one of the newest commands of the log, the last one most often. */
export function damageNewest(platter: Platter, chance: SeededRandom): string | null {
  const newest = newestSegment(platter);
  if (newest === null) return null;
  const commands = recordsIn(newest.bytes, RecordType.entry);
  const at = commands.at(-1 - (chance.chance(600) ? 0 : chance.below(3)));
  return at === undefined ? null : flip(platter, newest.path, newest.bytes, at, chance);
}

/** A bit of each of the two copies of the newest vote: nobody can tell any more how this node has voted. */
function damageVote(platter: Platter, chance: SeededRandom): string | null {
  let what: string | null = null;
  for (const type of [RecordType.batchStart, RecordType.batchEnd]) {
    const newest = newestSegment(platter);
    const at = newest === null ? undefined : recordsIn(newest.bytes, type).at(-1);
    if (newest === null || at === undefined) return what;
    what = flip(platter, newest.path, newest.bytes, at, chance) ?? what;
  }
  return what;
}

function newestSegment({ files }: Platter): { readonly path: string; readonly bytes: Uint8Array } | null {
  const path = [...files.keys()]
    .filter((each) => belongsTo(each, "log"))
    .sort()
    .at(-1);
  const bytes = path === undefined ? undefined : files.get(path);
  return path === undefined || bytes === undefined ? null : { path, bytes };
}

/** Where the content of the records of this type begins. */
function recordsIn(bytes: Uint8Array, type: number): readonly number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: number[] = [];
  for (let at = BLOCK_BYTES; at + RECORD_HEADER_BYTES < bytes.length; at += 8) {
    const header = readHeader(bytes, view, at);
    if (header?.type === type && header.payloadLength > 0) found.push(at + RECORD_HEADER_BYTES);
  }
  return found;
}

/** One bit. Where that would leave a sector of zeros, another. */
function flip(platter: Platter, path: string, bytes: Uint8Array, at: number, chance: SeededRandom): string | null {
  const bit = chance.below(8);
  const changed = bytes.slice();
  changed[at] = (changed[at] ?? 0) ^ (1 << bit);
  const start = at - (at % SECTOR_BYTES);
  if (isZero(changed, start, start + SECTOR_BYTES)) return null;
  platter.damage(path, (content) => content.set(changed));
  return `bit ${bit} of byte ${at} of ${path} is flipped`;
}

function belongsTo(path: string, where: Damage["where"]): boolean {
  if (where === "log") return path.endsWith(".segment");
  if (where === "snapshot") return path.startsWith("snapshot") && !path.endsWith(".tmp");
  return path === "identity";
}

/** Up to the last byte that is not zero. */
function usedLength(bytes: Uint8Array): number {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length -= 1;
  return length;
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < Math.min(end, bytes.length); at += 1) if (bytes[at] !== 0) return false;
  return true;
}
