/**
 * One process a data directory. Node has no flock, and a file with a process id goes stale; a listening Unix socket does
 * neither: the system closes it with its process, whatever ended it (storage rule WAL18).
 *
 * The sockets are numbered, `lock.1`, `lock.2`, …: the highest one counts. A starter asks it by connecting: whoever answers
 * lives. If nobody listens there, the starter gives its own socket the next number by a hard link, which only one can
 * do; looks again, and gives way if somebody has gone further meanwhile. Only the holder removes lower, dead ones.
 */
import { closeSync, linkSync, openSync, readdirSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";

export interface DirectoryLock {
  release(done: () => void): void;
}

/** The longest path of a Unix socket, without its closing zero. */
const MAX_SOCKET_PATH_BYTES = 107;
const ATTEMPTS = 200;

/** Null: somebody else has it. Throws the system's error when it can't be told. */
export async function lockDirectory(directory: string): Promise<DirectoryLock | null> {
  const sockets = openSocketFolder(directory);
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const highest = highestLock(directory);
      if (highest > 0 && (await isAlive(sockets.pathOf(`lock.${highest}`)))) return null;
      const lock = await claim(directory, sockets, highest + 1);
      if (lock !== null) return lock;
    }
    return null;
  } finally {
    sockets.close();
  }
}

interface SocketFolder {
  pathOf(name: string): string;
  close(): void;
}

/** Where the path would be too long for a socket, it is given through the open folder's descriptor instead. */
function openSocketFolder(directory: string): SocketFolder {
  const longest = join(directory, "lock.tmp-0123456789-0123456789");
  if (Buffer.byteLength(longest) <= MAX_SOCKET_PATH_BYTES)
    return { pathOf: (name) => join(directory, name), close: () => undefined };
  const descriptor = openSync(directory, "r");
  return { pathOf: (name) => `/proc/self/fd/${descriptor}/${name}`, close: () => closeSync(descriptor) };
}

function lockNumbers(directory: string): number[] {
  return readdirSync(directory)
    .map((name) => /^lock\.(\d{1,15})$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

function highestLock(directory: string): number {
  return lockNumbers(directory).at(-1) ?? 0;
}

/** Any answer but "nobody listens" and "no such file" means that somebody may be there. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"));
  });
}

let temporaries = 0;

/** Null: another one was quicker; look again. */
async function claim(directory: string, sockets: SocketFolder, number: number): Promise<DirectoryLock | null> {
  temporaries += 1;
  const temporary = `lock.tmp-${process.pid}-${temporaries}`;
  const server = createServer((socket) => socket.destroy());
  removeQuietly(join(directory, temporary));
  await listen(server, sockets.pathOf(temporary));
  const own = join(directory, `lock.${number}`);
  let linked = false;
  try {
    linkSync(join(directory, temporary), own);
    linked = true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
      await close(server);
      throw error;
    }
  } finally {
    removeQuietly(join(directory, temporary));
  }
  if (linked && highestLock(directory) === number) {
    for (const lower of lockNumbers(directory)) if (lower < number) removeQuietly(join(directory, `lock.${lower}`));
    return {
      release(done) {
        removeQuietly(own);
        server.close(() => done());
      },
    };
  }
  if (linked) removeQuietly(own);
  await close(server);
  return null;
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      server.unref();
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Gone already, or never there.
  }
}
