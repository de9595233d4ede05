/** The reference: an abstract Raft that judges traces. Begin reading at reference.ts. */
export { Reference } from "./reference.js";
export { RULES, type RuleName } from "./rules.js";
export * from "./trace.js";
export { parseTrace, printTrace, TRACE_HEADER, TraceError } from "./trace-lines.js";
export { TracedRaft } from "./traced-raft.js";
