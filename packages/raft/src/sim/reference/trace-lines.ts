export const TRACE_HEADER = 1; export const parseTrace = 1, printTrace = 1, TraceError = 1;
