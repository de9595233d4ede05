/**
 * The session table in a snapshot: pieces that stand before those of the machine. A table that nothing was ever written to has
 * none, so whoever uses no sessions has the snapshots that they would have without them.
 *
 * The first piece: version u8, time u64, term u64, the term's beginning u64. Each piece then holds whole sessions: id u64,
 * expireAfter u64, maxRequests u32, maxResultBytes u32, lastUsed u64, lowestWaiting u64, count u32, and for each command that
 * was executed: sequence u64, index u64, term u64, kept u8 and, if it is 1, length u32 and the result.
 */
import { ByteReader, ByteWriter, DecodeError } from "../../core/bytes.js";
import { type Session, SessionTable } from "./table.js";

const VERSION = 1;
const PIECE_BYTES = 64 * 1024;
const EXECUTED_BYTES = 25;

/** What of a session can still change is copied now; results never do. */
type FrozenSession = Pick<
  Session,
  "id" | "expireAfter" | "maxRequests" | "maxResultBytes" | "lastUsed" | "lowestWaiting" | "executed"
>;

/** Freezes the table before it returns; the pieces are made as they are pulled. */
export function freezeSessions(table: SessionTable): Iterator<Uint8Array> {
  if (table.isPristine) return [][Symbol.iterator]();
  const head = new ByteWriter();
  head.u8(VERSION);
  head.u64(table.time);
  head.u64(table.term);
  head.u64(table.termBegan);
  const sessions = [...table.sessions.values()].map(
    (session): FrozenSession => ({ ...session, executed: new Map(session.executed) }),
  );
  return (function* () {
    yield head.finish();
    let piece = new ByteWriter(PIECE_BYTES);
    for (const session of sessions) {
      writeSession(piece, session);
      if (piece.length < PIECE_BYTES) continue;
      yield piece.finish();
      piece = new ByteWriter(PIECE_BYTES);
    }
    if (piece.length > 0) yield piece.finish();
  })();
}

export function writeSession(writer: ByteWriter, session: FrozenSession): void {
  writer.u64(session.id);
  writer.u64(session.expireAfter);
  writer.u32(session.maxRequests);
  writer.u32(session.maxResultBytes);
  writer.u64(session.lastUsed);
  writer.u64(session.lowestWaiting);
  writer.u32(session.executed.size);
  for (const [sequence, { index, term, result }] of session.executed) {
    writer.u64(sequence);
    writer.u64(index);
    writer.u64(term);
    writer.u8(result === null ? 0 : 1);
    if (result !== null) writer.blob(result);
  }
}

/** Fills a fresh table, piece by piece. */
export class SessionRestore {
  readonly table = new SessionTable();
  #begun = false;

  /** Throws a DecodeError when the piece is none of a table's. */
  piece(bytes: Uint8Array): void {
    const reader = new ByteReader(bytes);
    if (!this.#begun) {
      this.#begun = true;
      const version = reader.u8();
      if (version !== VERSION) throw new DecodeError(`holds sessions of version ${version}, this node reads version ${VERSION}`);
      this.table.time = reader.u64();
      this.table.term = reader.u64();
      this.table.termBegan = reader.u64();
    }
    while (reader.remaining > 0) readSession(reader, this.table);
  }

  finish(): SessionTable {
    this.table.restored();
    return this.table;
  }
}

/** Puts the session that was written into the table. */
export function readSession(reader: ByteReader, table: SessionTable): void {
  const session: Session = {
    id: reader.u64(),
    expireAfter: reader.u64(),
    maxRequests: reader.u32(),
    maxResultBytes: reader.u32(),
    lastUsed: reader.u64(),
    lowestWaiting: reader.u64(),
    executed: new Map(),
    keptBytes: 0,
  };
  const count = reader.count(EXECUTED_BYTES, session.maxRequests);
  for (let place = 0; place < count; place += 1) {
    const sequence = reader.u64();
    const at = { index: reader.u64(), term: reader.u64() };
    const result = reader.flag() ? reader.blob().slice() : null;
    session.keptBytes += result?.length ?? 0;
    session.executed.set(sequence, { ...at, result });
  }
  table.sessions.set(session.id, session);
}
