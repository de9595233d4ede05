/**
 * What the store refuses, and with which words. Code names are gRPC's; the messages are etcd's, letter for letter, because
 * clients tell errors apart by them (api/v3rpc/rpctypes/error.go).
 */

/** gRPC code names that the store answers with; the services know the numbers. */
export type FaultCode = "InvalidArgument" | "OutOfRange" | "NotFound" | "ResourceExhausted" | "Internal";

/** A request that was refused: nothing was changed, except where the message says otherwise. */
export interface StoreFault {
  readonly code: FaultCode;
  readonly message: string;
}

const fault = (code: FaultCode, message: string): StoreFault => ({ code, message: `etcdserver: ${message}` });

export const EMPTY_KEY = fault("InvalidArgument", "key is not provided");
export const KEY_NOT_FOUND = fault("InvalidArgument", "key not found");
export const VALUE_PROVIDED = fault("InvalidArgument", "value is provided");
export const LEASE_PROVIDED = fault("InvalidArgument", "lease is provided");
export const TOO_MANY_OPERATIONS = fault("InvalidArgument", "too many operations in txn request");
export const DUPLICATE_KEY = fault("InvalidArgument", "duplicate key given in txn request");
export const INVALID_SORT_OPTION = fault("InvalidArgument", "invalid sort option");
export const COMPACTED = fault("OutOfRange", "mvcc: required revision has been compacted");
export const FUTURE_REVISION = fault("OutOfRange", "mvcc: required revision is a future revision");
export const LEASE_NOT_FOUND = fault("NotFound", "requested lease not found");

/** Ours, not etcd's: an answer that would not fit in memory. For a transaction with writes these were made all the same. */
export const RESPONSE_TOO_LARGE: StoreFault = {
  code: "ResourceExhausted",
  message:
    "quorate: the answer is too large; ask for less with limit, keys_only or a narrower range (a transaction's writes were made)",
};

/** Ours: bytes in the log that are no command this version knows. */
export const malformed = (why: string): StoreFault => ({
  code: "InvalidArgument",
  message: `quorate: malformed command: ${why}`,
});
