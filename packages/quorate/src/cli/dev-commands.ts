/** The lines that `quorate dev` understands while it runs. */

export type DevAction = "kill" | "restart" | "stop" | "cont";

export type DevCommand =
  | { readonly kind: "act"; readonly action: DevAction; readonly name: string }
  | { readonly kind: "quit" }
  | { readonly kind: "help" }
  | { readonly kind: "nothing" }
  | { readonly kind: "unknown"; readonly message: string };

const ACTIONS: Readonly<Record<string, DevAction>> = {
  kill: "kill",
  k: "kill",
  restart: "restart",
  r: "restart",
  stop: "stop",
  s: "stop",
  cont: "cont",
  c: "cont",
};

export const HELP: readonly string[] = [
  "kill a     ends node a at once, as a crash would (SIGKILL)",
  "restart a  starts node a again; if it runs, stops it gracefully first",
  "stop a     freezes node a (SIGSTOP)",
  "cont a     lets it go on (SIGCONT)",
  "quit       stops all nodes gracefully; the data stays",
];

export function parseDevCommand(line: string, names: readonly string[]): DevCommand {
  const words = line.trim().split(/\s+/);
  const [verb = "", name, ...rest] = words;
  if (verb === "") return { kind: "nothing" };
  if (name === undefined && ["quit", "exit", "q"].includes(verb)) return { kind: "quit" };
  if (name === undefined && ["help", "h", "?"].includes(verb)) return { kind: "help" };
  const action = Object.hasOwn(ACTIONS, verb) ? ACTIONS[verb] : undefined;
  if (action === undefined) return unknown(`${quoted(verb)} is no command: kill, restart, stop, cont, help and quit are`);
  if (name === undefined) return unknown(`${verb} needs a node: one of ${names.join(", ")}`);
  if (rest.length > 0) return unknown(`${verb} takes one node: ${quoted(rest.join(" "))} is too much`);
  if (!names.includes(name)) return unknown(`${quoted(name)} is no node: ${names.join(", ")} are`);
  return { kind: "act", action, name };
}

function unknown(message: string): DevCommand {
  return { kind: "unknown", message };
}

function quoted(text: string): string {
  return `"${text.slice(0, 40)}"`;
}
