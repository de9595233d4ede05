/**
 * What a disk holds, as a process sees it and as it is durable, and how one operation after the other changes it. A
 * recording (recording-disk.ts) is a beginning and a list of effects; walking along it gives the disk at every moment, and
 * images.ts says what a crash may leave of it then.
 *
 * Contents and names are apart, as file systems keep them: content is durable after the file's own sync, a name after the
 * sync of its folder. A new folder is durable at once; that is the port's promise (runtime/ports.ts, `makeDirectory`).
 */
export const SECTOR_BYTES = 512;

/** What an operation did. Files are named by a number, because their names change. */
export type Effect =
  | { readonly kind: "create"; readonly path: string; readonly file: number }
  | { readonly kind: "write"; readonly file: number; readonly position: number; readonly data: Uint8Array }
  | { readonly kind: "truncate"; readonly file: number; readonly length: number }
  | { readonly kind: "sync"; readonly file: number }
  | { readonly kind: "rename"; readonly from: string; readonly to: string }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "makeDirectory"; readonly path: string }
  | { readonly kind: "syncDirectory"; readonly path: string };

/** Files by path, and the folders. What somebody finds who looks after a crash. */
export interface DiskImage {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly folders: ReadonlySet<string>;
}

export const EMPTY_IMAGE: DiskImage = { files: new Map(), folders: new Set([""]) };

export interface Content {
  readonly file: number;
  /** What reads see. */
  bytes: Uint8Array;
  durable: Uint8Array;
  /** Sectors written since the last sync, by number. */
  readonly dirty: Set<number>;
  /** The arrays belong to somebody else as well and are copied before the first change. */
  borrowed: boolean;
}

/** A change of names that is not durable yet: what each name stands for from then on, null for nothing. */
export interface NameChange {
  readonly folder: string;
  readonly names: readonly (readonly [path: string, content: Content | null])[];
}

/** The write that an effect made, and what stood there before: for tears. */
export interface LastWrite {
  readonly content: Content;
  readonly position: number;
  readonly data: Uint8Array;
  readonly before: Uint8Array;
  readonly sizeBefore: number;
}

export interface DiskState {
  readonly contents: Map<number, Content>;
  readonly names: Map<string, Content>;
  readonly durableNames: Map<string, Content>;
  changes: NameChange[];
  readonly folders: Set<string>;
  /** Set by the latest effect if it was a write. */
  lastWrite: LastWrite | null;
  nextFile: number;
}

export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** A disk on which all of the image is durable. The image's arrays are never changed. */
export function stateOf(image: DiskImage): DiskState {
  const contents = new Map<number, Content>();
  const names = new Map<string, Content>();
  for (const [path, bytes] of image.files) {
    const content: Content = { file: contents.size, bytes, durable: bytes, dirty: new Set(), borrowed: true };
    contents.set(content.file, content);
    names.set(path, content);
  }
  return {
    contents,
    names,
    durableNames: new Map(names),
    changes: [],
    folders: new Set(image.folders),
    lastWrite: null,
    nextFile: contents.size,
  };
}

/** Another disk in the same state, with the same unsynced writes; neither changes the other. */
export function copyOf(state: DiskState): DiskState {
  const contents = new Map<number, Content>();
  for (const content of state.contents.values()) {
    content.borrowed = true;
    contents.set(content.file, { ...content, dirty: new Set(content.dirty) });
  }
  const same = (content: Content): Content => contents.get(content.file) ?? content;
  const sameNames = (names: ReadonlyMap<string, Content>): Map<string, Content> =>
    new Map([...names].map(([path, content]) => [path, same(content)]));
  return {
    contents,
    names: sameNames(state.names),
    durableNames: sameNames(state.durableNames),
    changes: state.changes.map(({ folder, names }) => ({
      folder,
      names: names.map(([path, content]) => [path, content === null ? null : same(content)] as const),
    })),
    folders: new Set(state.folders),
    lastWrite: null,
    nextFile: state.nextFile,
  };
}

/** With `remembers`, the state knows afterwards what the write has covered. */
export function applyEffect(state: DiskState, effect: Effect, remembers = false): void {
  state.lastWrite = null;
  switch (effect.kind) {
    case "create": {
      const content: Content = {
        file: effect.file,
        bytes: new Uint8Array(0),
        durable: new Uint8Array(0),
        dirty: new Set(),
        borrowed: false,
      };
      state.contents.set(effect.file, content);
      state.nextFile = Math.max(state.nextFile, effect.file + 1);
      changeNames(state, effect.path, [[effect.path, content]]);
      return;
    }
    case "write":
      if (remembers) state.lastWrite = beforeWrite(contentOf(state, effect.file), effect.position, effect.data);
      write(contentOf(state, effect.file), effect.position, effect.data);
      return;
    case "truncate":
      truncate(contentOf(state, effect.file), effect.length);
      return;
    case "sync":
      sync(contentOf(state, effect.file));
      return;
    case "rename": {
      const content = state.names.get(effect.from);
      if (content === undefined) throw new Error(`there is no ${effect.from} to rename`);
      // One change: the new name appears together with the loss of the old one.
      changeNames(state, effect.to, [
        [effect.to, content],
        [effect.from, null],
      ]);
      return;
    }
    case "remove":
      changeNames(state, effect.path, [[effect.path, null]]);
      return;
    case "makeDirectory":
      state.folders.add(effect.path);
      return;
    case "syncDirectory":
      for (const change of state.changes) if (change.folder === effect.path) applyNames(state.durableNames, change);
      state.changes = state.changes.filter((change) => change.folder !== effect.path);
      return;
  }
}

function contentOf(state: DiskState, file: number): Content {
  const content = state.contents.get(file);
  if (content === undefined) throw new Error(`there is no file number ${file}`);
  return content;
}

function changeNames(state: DiskState, path: string, names: NameChange["names"]): void {
  const change: NameChange = { folder: folderOf(path), names };
  applyNames(state.names, change);
  state.changes.push(change);
}

export function applyNames(names: Map<string, Content>, change: NameChange): void {
  for (const [path, content] of change.names) {
    if (content === null) names.delete(path);
    else names.set(path, content);
  }
}

function own(content: Content): void {
  if (!content.borrowed) return;
  content.borrowed = false;
  content.bytes = content.bytes.slice();
  content.durable = content.durable.slice();
}

export function longer(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length >= length) return bytes;
  const more = new Uint8Array(length);
  more.set(bytes);
  return more;
}

function beforeWrite(content: Content, position: number, data: Uint8Array): LastWrite {
  const before = longer(content.bytes.slice(position, position + data.length), data.length);
  return { content, position, data, before, sizeBefore: content.bytes.length };
}

function write(content: Content, position: number, data: Uint8Array): void {
  own(content);
  const end = position + data.length;
  content.bytes = longer(content.bytes, end);
  content.bytes.set(data, position);
  for (let sector = Math.floor(position / SECTOR_BYTES); sector * SECTOR_BYTES < end; sector += 1) content.dirty.add(sector);
}

function truncate(content: Content, length: number): void {
  own(content);
  const sizeBefore = content.bytes.length;
  content.bytes = longer(content.bytes.slice(0, length), length);
  const from = Math.floor(Math.min(length, sizeBefore) / SECTOR_BYTES);
  for (let sector = from; sector * SECTOR_BYTES < Math.max(length, sizeBefore); sector += 1) content.dirty.add(sector);
}

function sync(content: Content): void {
  own(content);
  content.durable = longer(content.durable, content.bytes.length);
  if (content.durable.length > content.bytes.length) content.durable = content.durable.slice(0, content.bytes.length);
  for (const sector of content.dirty) {
    const from = sector * SECTOR_BYTES;
    if (from < content.bytes.length) content.durable.set(content.bytes.subarray(from, from + SECTOR_BYTES), from);
  }
  content.dirty.clear();
}

/** In words, for complaints. */
export function describeEffect(state: DiskState, effect: Effect): string {
  const nameOf = (file: number): string => {
    for (const [path, content] of state.names) if (content.file === file) return path;
    return `a file without a name (number ${file})`;
  };
  switch (effect.kind) {
    case "write":
      return `write of ${effect.data.length} bytes at ${effect.position} of ${nameOf(effect.file)}`;
    case "truncate":
      return `truncation of ${nameOf(effect.file)} to ${effect.length} bytes`;
    case "sync":
      return `sync of ${nameOf(effect.file)}`;
    case "rename":
      return `rename of ${effect.from} to ${effect.to}`;
    case "syncDirectory":
      return `sync of the folder "${effect.path}"`;
    default:
      return `${effect.kind} ${effect.path}`;
  }
}
