/** Lost entries and their repair: single things that must not happen in it. */
import { at, atMessage, type Corruption, type Place, restOfTurn } from "./corruption.js";

/** Whether the node of the record has lost entries, and is not whole again. */
function isRecovering({ trace, at: here }: Place, id: string): boolean {
  for (let before = here - 1; before >= 0; before -= 1) {
    const record = trace[before];
    if (record?.node !== id) continue;
    if (record.type === "recovered") return false;
    if (record.type === "start") return record.recovering === true;
  }
  return false;
}

export const REPAIR: readonly Corruption[] = [
  at("start", "who has lost entries that were durable starts as if it was whole", ["restartKeeps"], (record, { node }) => {
    const { recovering, ...whole } = record;
    const last = record.entries.at(-1)?.index ?? record.logStart.index;
    return recovering === true && last < node.durable ? [whole] : null;
  }),
  at("persist", "who has lost entries writes that it is whole", ["batchIsState"], (record) => {
    const { recovering, ...whole } = record;
    return recovering === true ? [whole] : null;
  }),
  atMessage(
    "send",
    "RequestVoteResponse",
    "who has lost entries votes",
    ["recoveringIsSilent", "oneVote"],
    (message, record, place) =>
      isRecovering(place, record.node) && message.term === place.node.term
        ? [{ ...record, message: { ...message, voteGranted: true } }]
        : null,
  ),
  atMessage(
    "send",
    "RequestPreVoteResponse",
    "who has lost entries promises its vote",
    ["recoveringIsSilent"],
    (message, record, place) =>
      isRecovering(place, record.node) && !message.voteGranted
        ? [{ ...record, message: { ...message, voteGranted: true } }]
        : null,
  ),
  atMessage(
    "send",
    "EntryStatusResponse",
    "who has lost entries says that it does not have one",
    ["entryStatus"],
    (message, record, place) =>
      isRecovering(place, record.node) && message.status === "haveFaulty"
        ? [{ ...record, message: { ...message, status: "dontHave" } }]
        : null,
  ),
  atMessage("send", "EntryStatusResponse", "who has an entry says that it does not", ["entryStatus"], (message, record, place) =>
    message.status === "have" && message.index > place.node.logStart && message.index <= place.node.last
      ? [{ ...record, message: { ...message, status: "dontHave", entry: null } }]
      : null,
  ),
  atMessage(
    "send",
    "EntryStatusResponse",
    "another entry is given under the name of the lost one",
    ["logMatching"],
    ({ entry, ...message }, record) =>
      entry === null ? null : [{ ...record, message: { ...message, entry: { ...entry, digest: entry.digest + 1 } } }],
  ),
  atMessage("send", "EntryStatusResponse", "who does not lead says that it does", ["onlyTheLeader"], (message, record) =>
    message.leading ? null : [{ ...record, message: { ...message, leading: true } }],
  ),
  at(
    "recovered",
    "a repair by copies is said to be one by the leader, who was never asked",
    ["repairByLeader"],
    (record, place) => {
      const heard = place.trace
        .slice(0, place.at)
        .some(
          (each) =>
            each.type === "receive" &&
            each.node === record.node &&
            each.message.type === "EntryStatusResponse" &&
            each.message.leading,
        );
      return record.how === "copied" && !heard ? [{ ...record, how: "led" }] : null;
    },
  ),
  at("recovered", "a repair by the leader is said to be a discard", ["discardMajority"], (record) =>
    record.how === "led" ? [{ ...record, how: "discarded" }] : null,
  ),
  at("entriesRestored", "fewer entries are restored than were lost", ["repairKeeps"], (record, place) =>
    record.last > record.first && restOfTurn(place, record.node).some(({ type }) => type === "recovered")
      ? [{ ...record, last: record.last - 1 }]
      : null,
  ),
];

/** Rare: a lost entry that a majority does not have. */
export const DISCARDS: readonly Corruption[] = [
  atMessage(
    "receive",
    "EntryStatusResponse",
    "the word that decides a discard never arrives",
    ["discardMajority"],
    (_message, record, place) =>
      restOfTurn(place, record.node).some((each) => each.type === "recovered" && each.how === "discarded") ? [] : null,
  ),
  at("recovered", "what is discarded is said to be copied", ["repairKeeps"], (record) =>
    record.how === "discarded" ? [{ ...record, how: "copied" }] : null,
  ),
];
