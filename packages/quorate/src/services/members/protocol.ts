/**
 * What `quorate member` and a node say to each other, in JSON over plain HTTP on the client port: more than etcd's API can
 * carry, above all how far a learner has come. Both ends check what they read.
 *
 * `GET /quorate/v1/members` answers with a `MembersView`. `POST /quorate/v1/members/change` takes a `ChangeRequest` and
 * answers with lines: any number of `progress`, then one `done` or `error`. Any node will do; only the leader knows how far
 * a learner is, so the view names the leader.
 */
import { z } from "zod";

export const MEMBERS_PATH = "/quorate/v1/members";
export const CHANGE_PATH = "/quorate/v1/members/change";

const index = z.number().int().nonnegative();
const names = z.array(z.string());

const memberView = z.object({
  name: z.string(),
  /** As etcd's clients show it: hexadecimal. */
  id: z.string(),
  address: z.string(),
  clientUrls: names,
  /** False: it was added, and nobody has heard it yet. */
  started: z.boolean(),
  voter: z.boolean(),
  leader: z.boolean(),
  /** To the node that answers; true for itself. */
  connected: z.boolean(),
  /** How far its log is; null where the node that answers does not lead. */
  matchIndex: index.nullable(),
});

const membersView = z.object({
  clusterId: z.string(),
  /** The name of the node that answers, and its state. */
  answeredBy: z.string(),
  state: z.string(),
  leader: z.object({ name: z.string(), clientUrls: names }).nullable(),
  lastLogIndex: index,
  members: z.array(memberView),
  configuration: z.object({
    index,
    committed: z.boolean(),
    joint: z.boolean(),
    staged: z.object({ promote: names, remove: names, demote: names }).nullable(),
  }),
});

const newMember = z.object({ name: z.string().optional(), address: z.string() });

const wantedChange = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("add"), members: z.array(newMember), learner: z.boolean() }),
  z.object({ kind: z.literal("remove"), names }),
  z.object({ kind: z.literal("replace"), remove: names, add: z.array(newMember) }),
  z.object({ kind: z.literal("promote"), names }),
  z.object({ kind: z.literal("demote"), names }),
  z.object({ kind: z.literal("cancel") }),
  z.object({ kind: z.literal("wait") }),
]);

export const changeRequest = z.object({ change: wantedChange, timeoutMs: z.number().positive().max(86_400_000) });

const progress = z.object({
  configurationIndex: index,
  committed: z.boolean(),
  joint: z.boolean(),
  /** Names, or addresses where no name is known. */
  waitingFor: names,
  catchingUp: z.array(
    z.object({ name: z.string(), matchIndex: index.nullable(), lastLogIndex: index, receivesSnapshot: z.boolean() }),
  ),
});

const changeLine = z.union([
  z.object({ progress }),
  z.object({ done: z.object({ configurationIndex: index }) }),
  z.object({ error: z.object({ code: z.string(), message: z.string(), outcome: z.string(), retry: z.string() }) }),
]);

export type MemberView = Readonly<z.infer<typeof memberView>>;
export type MembersView = Readonly<z.infer<typeof membersView>>;
export type WantedMemberChange = Readonly<z.infer<typeof wantedChange>>;
export type ChangeRequest = Readonly<z.infer<typeof changeRequest>>;
export type ChangeProgress = Readonly<z.infer<typeof progress>>;
export type ChangeLine = Readonly<z.infer<typeof changeLine>>;

/** Null: it is no such answer. */
export function parseMembersView(text: string): MembersView | null {
  return parsed(membersView, text);
}

/** Null: it is no such line. */
export function parseChangeLine(text: string): ChangeLine | null {
  return parsed(changeLine, text);
}

function parsed<T>(schema: z.ZodType<T>, text: string): T | null {
  try {
    const result = schema.safeParse(JSON.parse(text));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}
