import { describe, expect, it } from "vitest";
import { type DevCommand, parseDevCommand } from "../../src/cli/dev-commands.js";

describe("the lines typed into quorate dev", () => {
  it.each<[string, DevCommand]>([
    ["kill a", { kind: "act", action: "kill", name: "a" }],
    ["  r   c ", { kind: "act", action: "restart", name: "c" }],
    ["stop b", { kind: "act", action: "stop", name: "b" }],
    ["cont b", { kind: "act", action: "cont", name: "b" }],
    ["quit", { kind: "quit" }],
    ["q", { kind: "quit" }],
    ["help", { kind: "help" }],
    ["", { kind: "nothing" }],
    ["   ", { kind: "nothing" }],
    ["destroy a", { kind: "unknown", message: '"destroy" is no command: kill, restart, stop, cont, help and quit are' }],
    ["constructor a", { kind: "unknown", message: '"constructor" is no command: kill, restart, stop, cont, help and quit are' }],
    ["kill", { kind: "unknown", message: "kill needs a node: one of a, b, c" }],
    ["kill d", { kind: "unknown", message: '"d" is no node: a, b, c are' }],
    ["kill a b", { kind: "unknown", message: 'kill takes one node: "b" is too much' }],
  ])("%j", (line, command) => {
    expect(parseDevCommand(line, ["a", "b", "c"])).toEqual(command);
  });
});
