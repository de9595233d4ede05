/** `quorate status` against real sockets: a server of this kind, one that fails, and things that are no server at all. */
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { status } from "../../src/cli/status.js";
import { formatBytes } from "../../src/cli/status-view.js";
import { ClientPort } from "../../src/services/grpc/port.js";
import type { Method } from "../../src/services/grpc/router.js";
import { GrpcServer } from "../../src/services/grpc/server.js";
import { GrpcCode, GrpcError } from "../../src/services/grpc/status.js";
import { WireWriter } from "../../src/store/protobuf.js";

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

interface Played {
  readonly memberId: bigint;
  readonly leader: bigint;
  readonly errors?: readonly string[];
  readonly isLearner?: boolean;
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

function statusResponse(played: Played): Uint8Array {
  const writer = new WireWriter();
  const header = writer.beginMessage(1);
  writer.int64ExactField(1, 99n);
  writer.int64ExactField(2, played.memberId);
  writer.endMessage(header);
  writer.bytesField(2, utf8("3.4.30"));
  writer.int64Field(3, 20_480);
  writer.int64ExactField(4, played.leader);
  writer.int64Field(5, 17);
  writer.int64Field(6, 2);
  writer.int64Field(7, 16);
  for (const error of played.errors ?? []) writer.bytesField(8, utf8(error));
  writer.int64Field(9, 20_480);
  writer.boolField(10, played.isLearner === true);
  writer.bytesField(99, utf8("from a newer version"));
  return writer.finish();
}

function memberListResponse(members: readonly (readonly [bigint, string])[]): Uint8Array {
  const writer = new WireWriter();
  for (const [id, name] of members) {
    const member = writer.beginMessage(2);
    writer.int64ExactField(1, id);
    writer.bytesField(2, utf8(name));
    writer.bytesField(3, utf8("http://127.0.0.1:2380"));
    writer.endMessage(member);
  }
  return writer.finish();
}

async function grpcServer(routes: Readonly<Record<string, () => Uint8Array>>): Promise<string> {
  const methods = Object.entries(routes).map(([path, handle]): [string, Method] => [
    `/etcdserverpb.${path}`,
    { kind: "unary", handle },
  ]);
  const port = new ClientPort({
    grpc: new GrpcServer({ routes: new Map(methods) }),
    http: (_, response) => response.end("hello"),
  });
  const { port: number } = await port.listen("127.0.0.1", 0);
  ends.push(() => port.stop(0));
  return `127.0.0.1:${number}`;
}

/** Listens, and hands connections to `serve`. */
async function rawServer(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => new Promise((resolve) => server.close(() => resolve())));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function closedPort(): Promise<string> {
  const server = createServer();
  const endpoint = await rawServer(server);
  await ends.pop()?.();
  return endpoint;
}

async function ask(endpoints: readonly string[], timeoutMs = 30_000): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const code = await status(endpoints, timeoutMs, (line) => lines.push(line));
  return { code, lines };
}

describe("quorate status", () => {
  it("a table of those that answer; member ids use all 64 bits", async () => {
    const members = memberListResponse([
      [0xffff_ffff_ffff_fff1n, "a"],
      [2n, "b"],
    ]);
    const a = await grpcServer({
      "Maintenance/Status": () => statusResponse({ memberId: 0xffff_ffff_ffff_fff1n, leader: 0xffff_ffff_ffff_fff1n }),
      "Cluster/MemberList": () => members,
    });
    const b = await grpcServer({
      "Maintenance/Status": () => statusResponse({ memberId: 2n, leader: 0n, errors: ["etcdserver: no leader"] }),
      "Cluster/MemberList": () => members,
    });
    const { code, lines } = await ask([a, b]);
    expect(code).toBe(0);
    const pad = (text: string): string => text.padEnd(Math.max(a.length, b.length));
    expect(lines).toEqual([
      `${pad("ENDPOINT")}  NAME  MEMBER ID         VERSION  DB SIZE  LEADER  TERM  INDEX  APPLIED`,
      `${pad(a)}  a     fffffffffffffff1  3.4.30   20.5 kB  yes        2     17       16`,
      `${pad(b)}  b     2                 3.4.30   20.5 kB  no         2     17       16`,
      `${b} says: etcdserver: no leader`,
    ]);
  });

  it("a node that can't list members still shows; a learner is one", async () => {
    const endpoint = await grpcServer({
      "Maintenance/Status": () => statusResponse({ memberId: 3n, leader: 1n, isLearner: true }),
    });
    const { code, lines } = await ask([endpoint]);
    expect(code).toBe(0);
    expect(lines[1]).toMatch(/ {2}- {5}3 .*learner/);
  });

  it("one sentence for each that can't be reached, and exit code 1", async () => {
    const good = await grpcServer({ "Maintenance/Status": () => statusResponse({ memberId: 1n, leader: 1n }) });
    const closed = await closedPort();
    const mute = await rawServer(createServer((socket) => socket.on("error", () => {}).resume()));
    const rude = await rawServer(createServer((socket) => socket.on("error", () => {}).destroy()));
    const { code, lines } = await ask([good, closed, mute, rude], 500);
    expect(code).toBe(1);
    expect(lines.slice(2)).toEqual([
      `unreachable: ${closed}: nothing listens there; is the node running?`,
      `unreachable: ${mute}: no answer within 500 ms`,
      expect.stringMatching(new RegExp(`^unreachable: ${rude}: the connection was (reset|closed without an answer)$`)),
    ]);
  });

  it("what is no such server says so", async () => {
    const refusing = await grpcServer({
      "Maintenance/Status": () => {
        throw new GrpcError(GrpcCode.UNAVAILABLE, "etcdserver: zu früh");
      },
    });
    const other = await grpcServer({});
    const rubbish = await grpcServer({ "Maintenance/Status": () => Uint8Array.of(0x0a, 0xff) });
    const http1 = createHttpServer((_, response) => response.end("hello"));
    const web = await rawServer(http1);
    ends.push(async () => http1.closeAllConnections());
    const { code, lines } = await ask([refusing, other, rubbish, web]);
    expect(code).toBe(1);
    expect(lines).toEqual([
      `unreachable: ${refusing}: refuses: etcdserver: zu früh (gRPC code 14)`,
      `unreachable: ${other}: refuses: unknown service etcdserverpb.Maintenance (gRPC code 12)`,
      expect.stringMatching(new RegExp(`^unreachable: ${rubbish}: answers with something that can't be read: `)),
      expect.stringMatching(
        new RegExp(`^unreachable: ${web}: (does not speak HTTP/2; is it the client port\\?|the connection was .*)$`),
      ),
    ]);
  });

  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [20_480, "20.5 kB"],
    [999_949, "999.9 kB"],
    [999_950, "1.0 MB"],
    [64 * 1024 * 1024, "67.1 MB"],
    [5e12, "5.0 TB"],
  ])("%i bytes are %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
