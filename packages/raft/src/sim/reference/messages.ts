/** Which rule judges which message: when it leaves, by what its sender was in that term; when it arrives, by whether it ever left. */
import type { MemberId } from "../../core/index.js";
import {
  receivePreVoteResponse,
  receiveRequestPreVote,
  receiveRequestVote,
  receiveVoteResponse,
  sendPreVoteResponse,
  sendRequestPreVote,
  sendRequestVote,
  sendVoteResponse,
} from "./election.js";
import { type Cluster, type Server, termFacts } from "./facts.js";
import { receiveReadRequest, receiveReadResponse, sendReadResponse } from "./read.js";
import {
  checkAppendEntries,
  receiveAppendEntries,
  receiveAppendResponse,
  receiveHeartbeat,
  receiveHeartbeatResponse,
  sendAppendResponse,
  sendHeartbeat,
  sendHeartbeatResponse,
} from "./replication.js";
import { refuse } from "./rules.js";
import { checkInstallSnapshot, receiveInstallSnapshot, receiveSnapshotResponse, sendSnapshotResponse } from "./snapshot.js";
import type { TraceMessage, TraceMessageOf } from "./trace.js";

export function send(cluster: Cluster, server: Server, to: MemberId, message: TraceMessage): void {
  const { id } = server;
  if (message.term > server.diskTerm)
    refuse("termIsDurable", `${id} sends ${message.type} in term ${message.term}, and ${server.diskTerm} is durable`);
  // Every server is beyond this term: nobody will heed it.
  if (message.term < cluster.oldestTerm) return;
  switch (message.type) {
    case "RequestPreVote":
      return sendRequestPreVote(cluster, server, message);
    case "RequestPreVoteResponse":
      return sendPreVoteResponse(cluster, server, to, message);
    case "RequestVote":
      return sendRequestVote(cluster, server, message);
    case "RequestVoteResponse":
      return sendVoteResponse(cluster, server, to, message);
    case "AppendEntries":
      return checkAppendEntries(cluster, id, message);
    case "AppendEntriesResponse":
      return sendAppendResponse(cluster, server, message);
    case "Heartbeat":
      return sendHeartbeat(cluster, id, to, message);
    case "HeartbeatResponse":
      return sendHeartbeatResponse(cluster, server, message);
    case "InstallSnapshot":
      return checkInstallSnapshot(cluster, id, message);
    case "InstallSnapshotResponse":
      return sendSnapshotResponse(cluster, server, message);
    case "ReadIndexResponse":
      return sendReadResponse(cluster, server, to, message);
    case "ProposeResponse":
      return sendProposeResponse(cluster, id, message);
    case "ReadIndexRequest":
    case "ProposeRequest":
      return;
  }
}

function sendProposeResponse(cluster: Cluster, id: MemberId, message: TraceMessageOf<"ProposeResponse">): void {
  if (message.refusal !== null || message.entryTerm < cluster.oldestTerm) return;
  const { leadership } = termFacts(cluster, message.entryTerm);
  const { firstIndex } = message;
  if (leadership?.id !== id || firstIndex < leadership.first || firstIndex > leadership.log.lastIndex)
    refuse("forwarded", `${id} says that it appended commands at ${firstIndex}/${message.entryTerm}, and has not`);
}

export function receive(cluster: Cluster, server: Server, from: MemberId, message: TraceMessage): void {
  if (from === server.id) refuse("networkInvents", `${from} hears itself`);
  // A question before a campaign changes nothing, so no term is learned from it.
  if (message.type === "RequestPreVote") {
    if (message.term >= cluster.oldestTerm) receiveRequestPreVote(cluster, server, from, message);
    return;
  }
  server.heardTerm = Math.max(server.heardTerm, message.term);
  // It may answer a question about a term that its sender has not entered.
  if (message.type === "RequestPreVoteResponse") return receivePreVoteResponse(cluster, server, from, message);
  if (message.type === "ReadIndexRequest") return receiveReadRequest(cluster, server, from, message);
  // Stale: it must not matter.
  if (message.term < server.term || message.term < cluster.oldestTerm) return;
  switch (message.type) {
    case "RequestVote":
      return receiveRequestVote(cluster, server, from, message);
    case "RequestVoteResponse":
      return receiveVoteResponse(cluster, server, from, message);
    case "AppendEntries":
      checkAppendEntries(cluster, from, message);
      return receiveAppendEntries(server, message);
    case "AppendEntriesResponse":
      return receiveAppendResponse(cluster, server, from, message);
    case "Heartbeat":
      return receiveHeartbeat(cluster, server, from, message);
    case "HeartbeatResponse":
      return receiveHeartbeatResponse(cluster, server, from, message);
    case "InstallSnapshot":
      checkInstallSnapshot(cluster, from, message);
      return receiveInstallSnapshot(server, message);
    case "InstallSnapshotResponse":
      return receiveSnapshotResponse(cluster, server, from, message);
    case "ReadIndexResponse":
      return receiveReadResponse(cluster, server, from, message);
    case "ProposeRequest":
    case "ProposeResponse":
      return;
  }
}
