/** Addresses as people write them, and what the system says about them. */

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, the host in brackets if it holds colons. Null if it is none. */
export function parseAddress(address: string): HostAndPort | null {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3] ?? 0);
  return host === undefined || port < 1 || port > 65_535 ? null : { host, port };
}

export function formatAddress({ host, port }: HostAndPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The code of a system error; a connection that was tried at several addresses has the code of each try. */
function codes(error: Error): readonly string[] {
  const code = (error as { readonly code?: unknown }).code;
  const inner = error instanceof AggregateError ? error.errors.flatMap((each) => (each instanceof Error ? codes(each) : [])) : [];
  return inner.length > 0 ? inner : typeof code === "string" ? [code] : [];
}

/** The system said that nobody listens there; so at every address that the name has. */
export function isRefusal(error: Error): boolean {
  const all = codes(error);
  return all.length > 0 && all.every((code) => code === "ECONNREFUSED");
}

/** Why there is no connection, in a person's words where the code is a usual one. */
export function connectionErrorText(error: Error): string {
  const [code] = codes(error);
  const words: Readonly<Record<string, string>> = {
    ECONNREFUSED: "nobody listens there",
    ECONNRESET: "the connection was reset",
    EPIPE: "the connection was closed",
    ETIMEDOUT: "no answer",
    EHOSTUNREACH: "the host can't be reached",
    ENETUNREACH: "the network can't be reached",
    ENOTFOUND: "the host's name is unknown",
    EAI_AGAIN: "the host's name can't be looked up now",
  };
  const text = code === undefined ? undefined : words[code];
  return text === undefined ? error.message || String(code) : `${text} (${code})`;
}

/** Why an address can't be listened on, and what to do about it, in one sentence. */
export function listenErrorText(error: Error, listen: HostAndPort): string {
  const place = formatAddress(listen);
  switch (codes(error)[0]) {
    case "EADDRINUSE":
      return `the address ${place} is in use: another process listens there; stop it, or give this node another address to listen on`;
    case "EADDRNOTAVAIL":
      return `the address ${place} can't be listened on: this machine has no such address; give one of its own, or 0.0.0.0 for all of them`;
    case "EACCES":
      return `the address ${place} can't be listened on: permission denied; ports below 1024 need a privilege, choose a higher one`;
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `the address ${place} can't be listened on: the name ${listen.host} can't be resolved; write an IP address, or mend the name service`;
    default:
      return `the address ${place} can't be listened on: ${error.message}; choose another address to listen on`;
  }
}
