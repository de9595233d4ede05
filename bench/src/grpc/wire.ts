/** As much of gRPC and protobuf as the benchmark needs: varints, a canned Put, and the fields of two answers. */

/** The body of one gRPC message: a flag for compression (none), four bytes of length, the message. */
export function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** etcdserverpb.PutRequest{key, value}. */
export function putRequest(key: string, valueBytes: number): Buffer {
  return Buffer.concat([bytesField(1, Buffer.from(key)), bytesField(2, Buffer.alloc(valueBytes, 0x71))]);
}

/** etcdserverpb.RangeRequest{key}. */
export function rangeRequest(key: string): Buffer {
  return bytesField(1, Buffer.from(key));
}

function bytesField(field: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2]), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** The fields of a message by number: varints as bigint, the rest as bytes. A repeated field keeps its last value. */
export function fieldsOf(message: Uint8Array): Map<number, bigint | Uint8Array> {
  const fields = new Map<number, bigint | Uint8Array>();
  let at = 0;
  const next = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at];
      if (byte === undefined) throw new Error("a message ends inside a number");
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(next());
    const wireType = tag & 7;
    if (wireType === 0) {
      fields.set(tag >> 3, next());
    } else {
      const length = wireType === 2 ? Number(next()) : wireType === 1 ? 8 : 4;
      fields.set(tag >> 3, message.subarray(at, at + length));
      at += length;
    }
  }
  return fields;
}

export function numberField(fields: ReadonlyMap<number, bigint | Uint8Array>, field: number): bigint {
  const value = fields.get(field);
  return typeof value === "bigint" ? value : 0n;
}

export function messageField(fields: ReadonlyMap<number, bigint | Uint8Array>, field: number): Map<number, bigint | Uint8Array> {
  const value = fields.get(field);
  return fieldsOf(value instanceof Uint8Array ? value : new Uint8Array(0));
}
