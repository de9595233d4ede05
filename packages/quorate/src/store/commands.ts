/**
 * What the log holds for the store: one byte that says which command (and, in its upper half, which format: 1), and then the
 * body. For the four that write, the body is the request just as the client sent it (etcdserverpb protobuf): it is never
 * decoded and encoded again on its way into the log.
 *
 *     0x11 put           etcdserverpb.PutRequest
 *     0x12 deleteRange   etcdserverpb.DeleteRangeRequest
 *     0x13 txn           etcdserverpb.TxnRequest
 *     0x14 compact       etcdserverpb.CompactionRequest
 *     0x15 attributes    etcdserverpb.Member with ID, name and clientURLs: what a member tells the others about itself
 *
 * Numbers are never used again for something else. A member that meets a command it does not know answers with an error and
 * changes nothing; a new command is therefore only sent once every member knows it.
 */
import { ProtobufError, WireReader, WireWriter } from "./protobuf.js";
import { decodeText, encodeText } from "./utf8.js";

export const CommandKind = { put: 0x11, deleteRange: 0x12, txn: 0x13, compact: 0x14, attributes: 0x15 } as const;
export type CommandKind = keyof typeof CommandKind;

/** A member's word about itself. It is kept by the state machine, so every member can tell a client where the others are. */
export interface MemberAttributes {
  readonly memberId: bigint;
  /** At most 256 bytes of UTF-8. */
  readonly name: string;
  /** Addresses for clients, such as `http://10.0.0.1:2379`: at most 32, each at most 1,024 bytes. */
  readonly clientUrls: readonly string[];
}

export const NAME_LIMIT_BYTES = 256;
export const CLIENT_URLS_LIMIT = 32;
export const CLIENT_URL_LIMIT_BYTES = 1024;

export function encodeCommand(kind: CommandKind, body: Uint8Array): Uint8Array {
  const command = new Uint8Array(body.length + 1);
  command[0] = CommandKind[kind];
  command.set(body, 1);
  return command;
}

/** The body of an `attributes` command. Throws a RangeError when a limit of MemberAttributes is passed. */
export function encodeAttributes(attributes: MemberAttributes): Uint8Array {
  const writer = new WireWriter(128);
  writer.int64ExactField(1, attributes.memberId);
  writer.bytesField(2, encodeText(attributes.name));
  for (const url of attributes.clientUrls) {
    const bytes = encodeText(url);
    writer.alwaysBytesField(4, bytes, 0, bytes.length);
  }
  const body = writer.finish();
  try {
    decodeAttributes(body);
  } catch (error) {
    throw new RangeError(error instanceof Error ? error.message : "attributes");
  }
  return body;
}

export function decodeAttributes(bytes: Uint8Array, start = 0, end = bytes.length): MemberAttributes {
  const reader = new WireReader(bytes, start, end);
  let memberId = 0n;
  let name = "";
  const clientUrls: string[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x08) memberId = reader.uint64Exact();
    else if (tag === 0x12) name = text(reader, NAME_LIMIT_BYTES, "name");
    else if (tag === 0x22) clientUrls.push(text(reader, CLIENT_URL_LIMIT_BYTES, "clientUrls"));
    else if (tag >>> 3 === 3 || tag >>> 3 === 5) reader.skip(tag);
    else reader.unknown(tag, 4);
  }
  if (clientUrls.length > CLIENT_URLS_LIMIT) throw new ProtobufError(`clientUrls has more than ${CLIENT_URLS_LIMIT} addresses`);
  return { memberId, name, clientUrls };
}

function text(reader: WireReader, limit: number, field: string): string {
  const bytes = reader.view();
  if (bytes.length > limit) throw new ProtobufError(`${field} is longer than ${limit} bytes`);
  const decoded = decodeText(bytes);
  if (decoded === null) throw new ProtobufError(`${field} is not UTF-8`);
  return decoded;
}
