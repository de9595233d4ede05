/**
 * A configuration as bytes: the data of its log entry, and a part of every snapshot. One configuration has exactly one
 * encoding, and a decoder refuses all others, so that equal configurations are equal bytes on every node.
 *
 * Layout: version u8 = 1, flags u8 (bit 0: leases), count u8, then for each member, sorted by id: id text, name text,
 * address text, part u8 (bit 0: voter, bit 1: outgoing voter, bit 2: learner; and of a staged change bit 3: a learner that will
 * vote, bit 4: a voter that will leave, bit 5: a voter that will be a learner). Texts have a two-byte length before them.
 */
import { ByteReader, ByteWriter, DecodeError, decoding } from "./bytes.js";
import type { Configuration, MemberRecord } from "./configuration.js";
import type { MemberId } from "./types.js";

const VERSION = 1;
export const MAX_MEMBERS = 64;
const MAX_NAME_BYTES = 64;
/** A name, `#` and sixteen digits. */
const MAX_ID_BYTES = MAX_NAME_BYTES + 17;
const MAX_ADDRESS_BYTES = 256;

const VOTER = 1;
const OUTGOING = 2;
const LEARNER = 4;
const TO_PROMOTE = 8;
const TO_REMOVE = 16;
const TO_DEMOTE = 32;
/** A member votes in the new set, the old set or both, or learns; a voter on its way out may become a learner. */
const PARTS: ReadonlySet<number> = new Set([
  VOTER,
  OUTGOING,
  VOTER | OUTGOING,
  LEARNER,
  OUTGOING | LEARNER,
  LEARNER | TO_PROMOTE,
  VOTER | TO_REMOVE,
  VOTER | TO_DEMOTE,
]);

export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const writer = new ByteWriter();
  const { staged } = configuration;
  writer.u8(VERSION);
  writer.u8(configuration.leases ? 1 : 0);
  writer.u8(configuration.members.length);
  for (const { id, name, address } of configuration.members) {
    writer.text(id);
    writer.text(name);
    writer.text(address);
    writer.u8(
      (configuration.voters.includes(id) ? VOTER : 0) |
        (configuration.votersOutgoing.includes(id) ? OUTGOING : 0) |
        (configuration.learners.includes(id) ? LEARNER : 0) |
        (staged?.promote.includes(id) === true ? TO_PROMOTE : 0) |
        (staged?.remove.includes(id) === true ? TO_REMOVE : 0) |
        (staged?.demote.includes(id) === true ? TO_DEMOTE : 0),
    );
  }
  return writer.finish();
}

/** Null when the bytes are not the one encoding of a possible configuration. */
export function decodeConfiguration(bytes: Uint8Array): Configuration | null {
  const decoded = decoding(() => read(new ByteReader(bytes)));
  return decoded.ok ? decoded.value : null;
}

function read(reader: ByteReader): Configuration {
  if (reader.u8() !== VERSION) throw new DecodeError("is of an unknown version");
  const leases = reader.flag();
  const count = reader.u8();
  if (count > MAX_MEMBERS) throw new DecodeError(`has ${count} members`);
  const members: MemberRecord[] = [];
  const voters: MemberId[] = [];
  const votersOutgoing: MemberId[] = [];
  const learners: MemberId[] = [];
  const promote: MemberId[] = [];
  const remove: MemberId[] = [];
  const demote: MemberId[] = [];
  const names = new Set<string>();
  for (let place = 0; place < count; place += 1) {
    const id = reader.text(MAX_ID_BYTES);
    const name = reader.text(MAX_NAME_BYTES);
    const address = reader.text(MAX_ADDRESS_BYTES);
    const part = reader.u8();
    const before = members.at(-1);
    if (id === "" || name === "" || !PARTS.has(part) || names.has(name) || (before !== undefined && before.id >= id)) {
      throw new DecodeError(`lists member ${place} wrongly`);
    }
    names.add(name);
    members.push({ id, name, address });
    if ((part & VOTER) !== 0) voters.push(id);
    if ((part & OUTGOING) !== 0) votersOutgoing.push(id);
    if ((part & LEARNER) !== 0) learners.push(id);
    if ((part & TO_PROMOTE) !== 0) promote.push(id);
    if ((part & TO_REMOVE) !== 0) remove.push(id);
    if ((part & TO_DEMOTE) !== 0) demote.push(id);
  }
  reader.end();
  if (voters.length === 0) throw new DecodeError("has no voter");
  const isStaged = promote.length + remove.length + demote.length > 0;
  if (isStaged && (promote.length === 0 || votersOutgoing.length > 0)) throw new DecodeError("stages no possible change");
  return { voters, votersOutgoing, learners, members, leases, staged: isStaged ? { promote, remove, demote } : null };
}
