/**
 * What a loss of power may leave of a disk. Of the changes of names that are not durable: none, all, and each beginning of
 * those of a folder. With each of these, of the content that is not durable: nothing, everything, everything but one sector,
 * one sector alone, only the sizes, and of the write that was under way each beginning, byte by byte.
 *
 * Only images that differ are given: a sector that holds what is durable anyway is neither lost nor kept, and a write that
 * ends with what stood there before is whole earlier.
 */
import {
  applyNames,
  type Content,
  type DiskImage,
  type DiskState,
  type LastWrite,
  longer,
  type NameChange,
  SECTOR_BYTES,
} from "./disk-state.js";

export interface CrashImage {
  /** What was kept, in words. */
  readonly keeps: string;
  readonly image: DiskImage;
}

export interface ImageOptions {
  /** How many of the places at which a write can be cut are tried, evenly spread; those at the ends of sectors always are. */
  readonly tears: number;
  /** Files whose content nobody reads: it is kept or lost as a whole. Their names still count. */
  readonly unread?: (path: string) => boolean;
}

/** Everything that a crash may leave of the disk in this state. The images share arrays with it: they are for now only. */
export function* imagesOf(state: DiskState, options: ImageOptions): Generator<CrashImage> {
  const { folders } = state;
  for (const { keeps, names } of nameOutcomes(state)) {
    for (const content of contentOutcomes(names, state.lastWrite, options)) {
      const files = new Map<string, Uint8Array>();
      for (const [path, each] of names) files.set(path, content.bytesOf(each));
      yield { keeps: keeps === "" ? content.keeps : `${content.keeps}, ${keeps}`, image: { files, folders } };
    }
  }
}

// ---- Names ----

interface NameOutcome {
  readonly keeps: string;
  readonly names: ReadonlyMap<string, Content>;
}

function* nameOutcomes(state: DiskState): Generator<NameOutcome> {
  const seen = new Set<string>();
  for (const { keeps, changes } of nameChoices(state.changes)) {
    const names = new Map(state.durableNames);
    for (const change of changes) applyNames(names, change);
    const key = [...names]
      .map(([path, { file }]) => `${path} ${file}`)
      .sort()
      .join("\n");
    if (seen.has(key)) continue;
    seen.add(key);
    yield { keeps, names };
  }
}

function* nameChoices(changes: readonly NameChange[]): Generator<{ keeps: string; changes: readonly NameChange[] }> {
  if (changes.length === 0) {
    yield { keeps: "", changes };
    return;
  }
  yield { keeps: "no change of names", changes: [] };
  yield { keeps: "all changes of names", changes };
  const folders = new Set(changes.map(({ folder }) => folder));
  for (const folder of folders) {
    const inside = changes.filter((change) => change.folder === folder);
    for (let count = 0; count <= inside.length; count += 1) {
      const kept = inside.slice(0, count);
      const what = `the first ${count} of ${inside.length} changes of names in "${folder}"`;
      yield { keeps: `${what} and none elsewhere`, changes: kept };
      if (folders.size > 1)
        yield {
          keeps: `${what} and all elsewhere`,
          changes: changes.filter((each) => each.folder !== folder || kept.includes(each)),
        };
    }
  }
}

// ---- Content ----

interface ContentOutcome {
  readonly keeps: string;
  readonly bytesOf: (content: Content) => Uint8Array;
}

const kept = (content: Content): Uint8Array => content.bytes;
const lost = (content: Content): Uint8Array => content.durable;

/** All content as `others` says, but this one. */
function withOne(one: Content, bytes: Uint8Array, others: (content: Content) => Uint8Array): (content: Content) => Uint8Array {
  return (content) => (content === one ? bytes : others(content));
}

function* contentOutcomes(
  names: ReadonlyMap<string, Content>,
  lastWrite: LastWrite | null,
  { tears, unread = () => false }: ImageOptions,
): Generator<ContentOutcome> {
  const visible = [...names].filter(([, content]) => isUnsynced(content));
  if (visible.length === 0) {
    yield { keeps: "everything", bytesOf: kept };
    return;
  }
  yield { keeps: "nothing that was not synced", bytesOf: lost };
  yield { keeps: "everything", bytesOf: kept };
  if (visible.some(([, { bytes, durable }]) => bytes.length > durable.length))
    yield { keeps: "of what was not synced only the sizes", bytesOf: sizesOnly };
  const read = visible.filter(([path]) => !unread(path));
  const sectors = read.flatMap(([path, content]) => changedSectors(content).map((sector) => ({ path, content, sector })));
  // With one sector or two, these are the images above, or each other's.
  if (sectors.length > 1)
    for (const { path, content, sector } of sectors)
      yield {
        keeps: `everything but sector ${sector} of ${path}`,
        bytesOf: withOne(content, withoutSector(content, sector), kept),
      };
  if (sectors.length > 2)
    for (const { path, content, sector } of sectors)
      yield {
        keeps: `of what was not synced only sector ${sector} of ${path}`,
        bytesOf: withOne(content, withSectorOnly(content, sector), lost),
      };
  if (lastWrite === null) return;
  const { content, position, data } = lastWrite;
  const path = read.find(([, each]) => each === content)?.[0];
  if (path === undefined) return;
  for (const length of tearsOf(lastWrite, tears))
    yield {
      keeps: `everything, and ${length} of ${data.length} bytes of the write at ${position} of ${path}`,
      bytesOf: withOne(content, torn(lastWrite, length), kept),
    };
}

function isUnsynced({ dirty, bytes, durable }: Content): boolean {
  return dirty.size > 0 || bytes.length !== durable.length;
}

function sizesOnly({ bytes, durable }: Content): Uint8Array {
  return longer(durable, bytes.length);
}

/** Dirty sectors that hold something else than the durable file, which is zero behind its end. */
function changedSectors({ dirty, bytes, durable }: Content): readonly number[] {
  return [...dirty]
    .sort((a, b) => a - b)
    .filter((sector) => {
      const from = sector * SECTOR_BYTES;
      for (let at = from; at < from + SECTOR_BYTES; at += 1) if ((bytes[at] ?? 0) !== (durable[at] ?? 0)) return true;
      return false;
    });
}

/** The file is as long as its last sector that is there. */
function withoutSector({ bytes, durable }: Content, sector: number): Uint8Array {
  const from = sector * SECTOR_BYTES;
  const isLast = from + SECTOR_BYTES >= bytes.length;
  const image = bytes.slice(0, isLast ? Math.max(from, durable.length) : bytes.length);
  image.subarray(from, from + SECTOR_BYTES).fill(0);
  if (from < durable.length) image.set(durable.subarray(from, from + SECTOR_BYTES), from);
  return image;
}

function withSectorOnly({ bytes, durable }: Content, sector: number): Uint8Array {
  const from = sector * SECTOR_BYTES;
  const piece = bytes.subarray(from, from + SECTOR_BYTES);
  const image = longer(durable, from + piece.length).slice();
  image.set(piece, from);
  return image;
}

/** The lengths at which the write can be cut so that each gives another file, in order. */
function tearsOf({ data, before }: LastWrite, wanted: number): readonly number[] {
  const lengths: number[] = [];
  let last = data.length;
  while (last > 0 && data[last - 1] === before[last - 1]) last -= 1;
  for (let length = 1; length < last; length += 1) if (data[length - 1] !== before[length - 1]) lengths.push(length);
  if (lengths.length <= wanted) return lengths;
  const spread = new Set(Array.from({ length: wanted }, (_, place) => Math.round((place * (lengths.length - 1)) / (wanted - 1))));
  return lengths.filter((length, place) => spread.has(place) || crossesSector(lengths[place - 1] ?? 0, length));
}

/** The cut before was the last one that leaves this sector of the write out. Writes of the log begin at a sector. */
function crossesSector(before: number, length: number): boolean {
  return Math.floor((before - 1) / SECTOR_BYTES) !== Math.floor((length - 1) / SECTOR_BYTES);
}

function torn({ content, position, before, sizeBefore }: LastWrite, length: number): Uint8Array {
  const image = content.bytes.slice(0, Math.max(sizeBefore, position + length));
  image.set(before.subarray(length, Math.max(length, image.length - position)), position + length);
  return image;
}
